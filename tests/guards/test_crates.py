"""Crates that can be published: they say what they are, for which Rust, and that they are for Linux."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.guards.test_dependencies import packages

WORKSPACE = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
OWN = {one["name"]: one for one in packages() if one["id"].startswith("path+")}
PUBLISHED = {name for name, one in OWN.items() if one["publish"] is None}

#: Those that call what only Linux has.
LINUX_ONLY = ("client-rs", "native", "native/transport")


def test_what_is_published():
    kept = {"cart_pole", "pycrust-docs", "pycrust-fuzz", "pycrust-native", "pycrust-programs"}
    assert set(OWN) - PUBLISHED == kept
    parts = {"protocol", "schema", "transport", "engine", "macros", "build", "client"}
    assert {f"pycrust-{part}" for part in parts} == PUBLISHED


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_crate_says_what_it_is(name):
    package: dict[str, Any] = OWN[name]
    folder = ROOT / os.path.relpath(package["manifest_path"], ROOT)
    assert package["description"].endswith(".")
    assert package["license"] == "Apache-2.0"
    assert (folder.parent / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert package["repository"] == package["homepage"] == WORKSPACE["package"]["repository"]
    assert package["documentation"] == f"https://docs.rs/{name}"
    assert (folder.parent / package["readme"]).read_text().startswith(f"# {name}\n")
    # What crates.io takes.
    assert 1 <= len(package["keywords"]) <= 5
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_+-]{0,19}", word) for word in package["keywords"])
    assert 1 <= len(package["categories"]) <= 5
    docs = package["metadata"]["docs"]["rs"]
    assert docs["targets"] == ["x86_64-unknown-linux-gnu"]
    optional = set(package["features"]) - {"default", "binding", "fault-points"}
    assert set(docs.get("features", [])) == optional


def test_crates_of_one_release_belong_together():
    version = WORKSPACE["package"]["version"]
    own = {name: one for name, one in WORKSPACE["dependencies"].items() if name.startswith("pycrust-")}
    assert len(own) >= 6
    assert {name: one["version"] for name, one in own.items()} == dict.fromkeys(own, f"={version}")


def release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("."))) + (0,) * (2 - version.count("."))


def test_nothing_that_is_built_asks_for_a_newer_rust():
    ours = WORKSPACE["package"]["rust-version"]
    others = [one for one in packages() if one["source"] and one["rust_version"]]
    assert len(others) > 50
    newer = {one["name"]: one["rust_version"] for one in others if release(one["rust_version"]) > release(ours)}
    assert newer == {}
    needed = max((one["rust_version"] for one in others), key=release)
    assert release(needed) == release(ours), "and none could be older"


def test_versions_of_rust_are_compared_by_their_numbers():
    assert release("1.89") == release("1.89.0") > release("1.9") > release("1.8.1")


# What the compiler says of a guard for a system that no library is installed of: without any library.
PRELUDE = """\
#![feature(no_core, rustc_attrs, decl_macro)]
#![allow(internal_features, unused_macros)]
#![no_core]
#[rustc_builtin_macro]
macro_rules! compile_error { ($said:expr) => {{}} }
"""


@pytest.mark.parametrize("room", LINUX_ONLY)
@pytest.mark.parametrize(
    ("target", "compiles"),
    [
        ("x86_64-unknown-linux-gnu", True),
        ("aarch64-unknown-linux-gnu", True),
        ("x86_64-apple-darwin", False),
        ("aarch64-apple-darwin", False),
        ("x86_64-pc-windows-msvc", False),
        ("x86_64-unknown-freebsd", False),
    ],
)
def test_other_systems_are_told(tmp_path, room, target, compiles):
    source = (ROOT / room / "src" / "lib.rs").read_text()
    guard = re.search(r"^#\[cfg\(not\(target_os[^\n]*\n+compile_error!\([^;]*?\);\n", source, re.MULTILINE)
    assert guard
    assert not re.search(r"^(?:mod|use|pub use) ", source[: guard.start()], re.MULTILINE), "it comes first"
    (tmp_path / "guard.rs").write_text(PRELUDE + guard[0])
    compiled = subprocess.run(
        ["rustc", "--edition=2024", "--crate-type=lib", "--emit=metadata", f"--target={target}", "guard.rs"],
        cwd=tmp_path, env={**os.environ, "RUSTC_BOOTSTRAP": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (compiled.returncode == 0) == compiles, compiled.stderr
    if not compiles:
        assert compiled.stderr.startswith("error: PyCrust runs on Linux only")
        assert compiled.stderr.count("error: ") == 2, "and that compiling was given up"
