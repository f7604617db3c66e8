"""Rust tests that are one program: each file is part of it, or a program of its own. Otherwise nobody runs it."""

import re
import tomllib

import pytest

from tests.conftest import ROOT

CRATES = [
    path.parent
    for path in sorted(ROOT.glob("*/Cargo.toml")) + sorted(ROOT.glob("native/*/Cargo.toml"))
    if not tomllib.loads(path.read_text())["package"].get("autotests", True)
]


def test_there_are_some():
    assert {crate.name for crate in CRATES} == {"client-rs", "engine"}


@pytest.mark.parametrize("crate", CRATES, ids=lambda crate: crate.name)
def test_every_file_of_tests_is_run(crate):
    programs = tomllib.loads((crate / "Cargo.toml").read_text())["test"]
    paths = [crate / program.get("path", f"tests/{program['name']}.rs") for program in programs]
    parts = re.findall(r"^mod (\w+);$", (crate / "tests/main.rs").read_text(), re.MULTILINE)
    run = {path.name for path in paths} | {f"{part}.rs" for part in parts}
    assert {path.name for path in (crate / "tests").glob("*.rs")} == run - {"support.rs"}
