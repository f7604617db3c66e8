from __future__ import annotations

import hashlib
import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

VIEW = ROOT / "pycrust" / "jupyter" / "view"


def test_bundle_is_built_from_these_sources() -> None:
    sources = sorted(
        (path for path in (VIEW / "src").rglob("*") if path.is_file()), key=lambda path: path.as_posix()
    )
    sources.append(VIEW / "package-lock.json")
    assert len(sources) > 5
    now = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    bundle = (VIEW / "dist" / "live.js").read_text(encoding="utf-8")
    assert f"// sources {now}\n" in bundle, "run `npm ci && npm run build` in pycrust/jupyter/view"


def test_bundle_fetches_nothing() -> None:
    bundle = (VIEW / "dist" / "live.js").read_text(encoding="utf-8")
    assert not re.search(r"\bfetch\(|XMLHttpRequest|\bimport\(|@import|https?://(?!www\.w3\.org/)", bundle)


def test_lock_file_names_no_download_host() -> None:
    assert "resolved" not in (VIEW / "package-lock.json").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_pure_functions() -> None:
    tests = sorted((VIEW / "test").glob("*.test.js"))
    assert tests
    ended = subprocess.run(["node", "--test", *tests], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
