"""Each room touches only what it may."""

import ast
import re
import tomllib

import pytest

from tests.conftest import ROOT

#: What a crate may name among its (non-development) dependencies, by the rule of its room.
FORBIDDEN = {
    "native/protocol": {"pyo3", "tokio", "iceoryx2", "rustix", "pycrust-transport", "pycrust-engine"},
    "native/transport": {"pyo3", "tokio", "pycrust-engine"},
    "native/engine": {"pyo3", "tokio", "iceoryx2"},
    "native": {"tokio", "iceoryx2"},
    "client-rs": {"pyo3", "pycrust-engine"},
}
SAFE = ["native/protocol", "native/engine", "client-rs"]


@pytest.mark.parametrize("room", FORBIDDEN)
def test_crate_depends_only_on_what_its_room_allows(room):
    manifest = tomllib.loads((ROOT / room / "Cargo.toml").read_text())
    tables = [manifest, *manifest.get("target", {}).values()]
    dependencies = {name for table in tables for name in table.get("dependencies", {})}
    assert dependencies, "a manifest without dependencies means that this test looks at the wrong file"
    assert not dependencies & FORBIDDEN[room]


@pytest.mark.parametrize("room", SAFE)
def test_crate_forbids_unsafe_code(room):
    assert "#![forbid(unsafe_code)]" in (ROOT / room / "src" / "lib.rs").read_text()


def imports(path) -> set[str]:
    """The modules that a Python file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_one_module_imports_the_native_extension():
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pycrust").rglob("*.py")
        if "node_modules" not in path.parts and "pycrust._native" in imports(path)
    }
    assert len(importers) == 1
    assert not any(path.startswith("pycrust/jupyter/") for path in importers)


def test_iceoryx2_is_pinned_exactly():
    workspace = (ROOT / "Cargo.toml").read_text()
    assert re.search(r'^iceoryx2 = \{ version = "=0\.10\.0"', workspace, re.MULTILINE)


def test_no_lock_of_ours_has_state_that_a_fork_breaks():
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    names = {package["name"] for package in packages}
    assert "lock_api" in names, "a lock file without our locks means that this test looks at the wrong file"
    assert not names & {"parking_lot", "parking_lot_core"}
