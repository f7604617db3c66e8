"""The stub says what the binary has: names, parameters, defaults, kinds. mypy's stubtest compares them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

STUB = ROOT / "pycrust" / "_native.pyi"

#: What stubtest may find: what Python gives buffers by itself since 3.12, and the list of names that PyO3 makes.
ALLOWED = r"""
pycrust\._native\.__all__
pycrust\._native\.\w+\.__buffer__
"""


def differences(folder: Path, stub: str) -> list[str]:
    """What stubtest says of the built extension and this text of a stub."""
    package = folder / "pycrust"
    package.mkdir()
    (package / "__init__.pyi").touch()
    (package / "_native.pyi").write_text(stub)
    allowed = folder / "allowed"
    allowed.write_text(ALLOWED)
    # Imported is the extension as it is built, compared with the stub of that folder.
    outcome = subprocess.run(
        [
            sys.executable, "-m", "mypy.stubtest", "pycrust._native", "--concise", "--ignore-disjoint-bases",
            "--ignore-unused-allowlist", "--allowlist", str(allowed),
        ],
        cwd=folder, env={**os.environ, "MYPYPATH": str(folder), "MYPY_CACHE_DIR": str(folder / "cache")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = outcome.stdout.splitlines()
    assert (outcome.returncode == 0) == (not lines), outcome.stdout + outcome.stderr
    return lines


def test_stub_and_binary_agree(tmp_path):
    assert differences(tmp_path, STUB.read_text()) == []


@pytest.mark.parametrize(
    ("what", "instead", "said"),
    [
        ("def hides(self, name: str)", "def conceals(self, name: str)", "Scrub.hides"),
        ("def hides(self, name: str)", "def hides(self, names: str)", "Scrub.hides"),
        ("def hides(self, name: str)", "def hides(self, name: str, deep: bool)", "Scrub.hides"),
        ("class Scrub:", "class Scrub:\n    def shows(self) -> bool: ...", "Scrub.shows"),
        ("@final\nclass Scrub:", "class Scrub:", "Scrub cannot be subclassed"),
        ("def shielded(", "def protected(", "shielded"),
    ],
)  # fmt: skip
def test_a_stub_that_differs_is_seen(tmp_path, what, instead, said):
    stub = STUB.read_text()
    assert what in stub
    found = differences(tmp_path, stub.replace(what, instead, 1))
    assert any(said in line for line in found), found
