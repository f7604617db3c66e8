"""What the crates depend on: all of it is used, and nobody's licence stands in the way."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.guards import rooms, rust

#: Licences that code under Apache-2.0 may be built with and given away with.
FREE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
}  # fmt: skip


def allowed(expression: str) -> bool:
    """Whether each part of an SPDX expression gives a choice that is free. Old manifests write `/` for `OR`."""
    parts = expression.replace("/", " OR ").split(" AND ")
    return all(any(choice.strip(" ()") in FREE for choice in part.split(" OR ")) for part in parts)


@cache
def packages() -> list[dict[str, Any]]:
    """Every package that is built, and what its manifest says."""
    told = subprocess.run(
        [
            "cargo", "metadata", "--format-version", "1", "--locked", "--offline",
            "--filter-platform", "x86_64-unknown-linux-gnu",
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(told.stdout)["packages"]


def test_licences_are_free():
    others = [one for one in packages() if one["source"]]
    assert len(others) > 50, "a workspace without dependencies means that this test looks at the wrong one"
    wrong = {one["name"]: one["license"] for one in others if not allowed(one["license"] or "none")}
    assert wrong == {}


@pytest.mark.parametrize(
    ("expression", "free"),
    [
        ("MIT", True),
        ("MIT OR Apache-2.0", True),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("(MIT OR Apache-2.0) AND GPL-2.0-only", False),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", True),
        ("none", False),
    ],
)
def test_licences_are_read(expression, free):
    assert allowed(expression) is free


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_every_dependency_is_used(room):
    manifest = rooms.read_manifest(ROOT / room / "Cargo.toml")
    own = "\n".join(text for _, text in rust.sources(ROOT / room))
    # Examples in comments are tests.
    folders = [ROOT / room / name for name in ("src", "tests", "examples", "benches")]
    everything = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.rs"))
    features = " ".join(feature for enabled in manifest.get("features", {}).values() for feature in enabled)
    for kind, text in (("dependencies", own), ("dev-dependencies", everything)):
        for name, _ in rooms.tables(manifest, kind):
            used = re.search(rf"\b{name.replace('-', '_')}\b", text)
            assert used or f"{name}/" in features, f"{room}: nobody uses the {kind[:-3]}y {name}"
