"""Each room touches only what it may, and the rules see it when one does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ROOT
from tests.guards import rooms

#: What the rules look at; no build products.
LEFT_OUT = shutil.ignore_patterns("target", "node_modules", "__pycache__", "*.so", "tests", "examples", "benches")


def test_dependencies_are_those_of_the_room():
    assert rooms.manifests(ROOT) == []


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_code_names_what_its_room_may(room):
    assert rooms.sources(ROOT, room) == []


def test_python_modules_import_what_they_may():
    assert rooms.python(ROOT) == []


def test_no_lock_of_ours_has_state_that_a_fork_breaks():
    assert rooms.locks(ROOT) == []


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_what_a_rule_allows_is_there(room):
    """A list that allows what nobody needs allows too much."""
    for kind in ("unsafe", "headers", "bytes"):
        files = getattr(rooms.ROOMS[room], kind)
        for name in files:
            assert (ROOT / room / "src" / name).is_file(), f"{room} {kind}: {name}"


class Violation(NamedTuple):
    """A change that a rule must see."""

    file: str
    change: Callable[[str], str]
    said: str


def before(what: str, added: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert what in text, f"{what!r} is not there to be changed"
        return text.replace(what, added + what, 1)

    return change


def instead(what: str, other: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert what in text, f"{what!r} is not there to be changed"
        return text.replace(what, other, 1)

    return change


def added(line: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n{line}\n"


DEPENDENCIES = "[dependencies]\n"
FORBID = "#![forbid(unsafe_code)]"
VIOLATIONS = {
    "a crate from outside": Violation(
        "native/protocol/Cargo.toml", instead(DEPENDENCIES, DEPENDENCIES + 'rand = "0.9"\n'), "depends on rand"
    ),
    "a crate that this system alone needs": Violation(
        "native/engine/Cargo.toml",
        added('[target."cfg(unix)".dependencies]\niceoryx2 = "=0.10.0"'),
        "depends on iceoryx2",
    ),
    "a crate that only the build needs": Violation(
        "native/protocol/Cargo.toml", added('[build-dependencies]\ncc = "1"'), "depends on cc"
    ),
    "tokio under another name": Violation(
        "native/engine/Cargo.toml",
        instead(DEPENDENCIES, DEPENDENCIES + 'log2 = { package = "tokio", version = "1" }\n'),
        "depends on tokio",
    ),
    "tokio under an allowed name": Violation(
        "native/engine/Cargo.toml",
        instead("log.workspace = true", 'log = { package = "tokio", version = "1" }'),
        "tokio goes by the name of log",
    ),
    "tokio under an allowed name, for all": Violation(
        "Cargo.toml",
        instead(
            "[workspace.dependencies]\n",
            '[workspace.dependencies]\nstrsim = { package = "tokio", version = "1" }\n',
        ),
        "tokio goes by the name of strsim",
    ),
    "the interpreter in the client's tests": Violation(
        "client-rs/Cargo.toml",
        instead("[dev-dependencies]\n", '[dev-dependencies]\npyo3 = "0.28"\n'),
        "its tests depend on pyo3",
    ),
    "another iceoryx2": Violation("Cargo.toml", instead('"=0.10.0"', '"0.10"'), "not pinned"),
    "lints of its own": Violation(
        "native/engine/Cargo.toml", instead("[lints]\nworkspace = true", ""), "the workspace's lints no longer"
    ),
    "files in the protocol": Violation(
        "native/protocol/src/name.rs", added('fn read() { std::fs::read("x"); }'), "names std::fs::read"
    ),
    "files among other imports": Violation(
        "native/protocol/src/name.rs", added("use std::{fmt::Debug, io::{self, Read}};"), "names std::io"
    ),
    "files by the full path": Violation(
        "native/protocol/src/name.rs", added('fn read() { ::std::fs::read("x"); }'), "names std::fs::read"
    ),
    "std under another name": Violation(
        "native/protocol/src/name.rs", added("use std as base;"), "gives std another name"
    ),
    "a socket in the engine": Violation(
        "native/engine/src/queueing/queue.rs", added("use std::net::TcpStream;"), "names std::net::TcpStream"
    ),
    "a process that the engine starts": Violation(
        "native/engine/src/queueing/queue.rs", added("use std::process::Command;"), "names std::process::Command"
    ),
    "a file of another room": Violation(
        "native/engine/src/queueing/queue.rs",
        added('#[path = "../../transport/src/words.rs"]\nmod words;'),
        "made of a file from elsewhere",
    ),
    "unsafe allowed by a comment": Violation(
        "native/protocol/src/lib.rs", instead(FORBID, f"// {FORBID}"), "does not forbid unsafe code"
    ),
    "unsafe only denied": Violation(
        "native/engine/src/lib.rs", instead(FORBID, "#![deny(unsafe_code)]"), "does not forbid unsafe code"
    ),
    "unsafe forbidden in tests alone": Violation(
        "client-rs/src/lib.rs",
        instead(FORBID, "#![cfg_attr(test, forbid(unsafe_code))]"),
        "does not forbid unsafe code",
    ),
    "unsafe where nobody looks for it": Violation(
        "native/src/worker.rs", added("fn peek(at: *const u8) -> u8 { unsafe { *at } }"), "has unsafe code"
    ),
    "a header by hand": Violation(
        "native/engine/src/queueing/queue.rs",
        added("fn header(id: u64) -> ResponseHeader { ResponseHeader { id, ..Default::default() } }"),
        "makes a header by hand",
    ),
    "bytes of a frame by hand": Violation(
        "client-rs/src/call/retries.rs",
        added("fn id(id: u64) -> [u8; 8] { id.to_le_bytes() }"),
        "turns numbers into bytes by itself",
    ),
    "the view past the door": Violation(
        "pycrust/jupyter/widget.py", added("from pycrust import _extension"), "imports pycrust._extension"
    ),
    "the view at what serves": Violation(
        "pycrust/jupyter/view/publisher.py",
        added("from pycrust.service.service import Service"),
        "imports pycrust.service.service",
    ),
    "the view at the extension": Violation(
        "pycrust/jupyter/widget.py", added("from pycrust._native import Worker"), "imports the extension"
    ),
    "the extension by a second door": Violation(
        "pycrust/versions/catalog.py", added("from pycrust import _native"), "imports the extension"
    ),
    "the extension by its name": Violation(
        "pycrust/versions/catalog.py",
        added('import importlib\nnative = importlib.import_module("pycrust._native")'),
        "imports the extension",
    ),
    "the extension from beside": Violation(
        "pycrust/versions/catalog.py", added("from .._native import Worker"), "imports the extension"
    ),
    "upwards": Violation(
        "pycrust/versions/catalog.py",
        added("from pycrust.jupyter.widget import view"),
        "imports pycrust.jupyter.widget",
    ),
    "upwards inside of a function": Violation(
        "pycrust/endpoint/endpoint.py",
        added("def later():\n    from ..jupyter import widget"),
        "imports pycrust.jupyter.widget",
    ),
    "pickle": Violation("pycrust/client.py", added("import pickle"), "imports pickle"),
    "a package that nobody has": Violation("pycrust/client.py", added("import requests"), "imports requests"),
    "the notebook in the core": Violation("pycrust/client.py", added("import IPython"), "imports IPython"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The tree without what is built, to be spoilt and mended."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy(ROOT / name, tree / name)
    for name in ("native", "client-rs", "pycrust"):
        shutil.copytree(ROOT / name, tree / name, ignore=LEFT_OUT)
    return tree


def check(tree: Path, file: str) -> list[str]:
    """What the rule for a file says."""
    if file.endswith(".toml"):
        return rooms.manifests(tree)
    if file.endswith(".py"):
        return rooms.python(tree)
    return rooms.sources(tree, file.partition("/src/")[0])


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_seen(copy, name):
    file, change, said = VIOLATIONS[name]
    path = copy / file
    as_it_was = path.read_text()
    path.write_text(change(as_it_was))
    try:
        problems = check(copy, file)
    finally:
        path.write_text(as_it_was)
    assert any(said in problem for problem in problems), problems
    assert all(problem.startswith(f"{file}: ") for problem in problems), problems


def test_a_lock_file_with_other_locks_is_seen(tmp_path):
    (tmp_path / "Cargo.lock").write_text('[[package]]\nname = "lock_api"\n[[package]]\nname = "parking_lot"\n')
    assert rooms.locks(tmp_path) == ["Cargo.lock: parking_lot"]


def test_comments_and_strings_and_tests_are_no_code(copy):
    path = copy / "native/protocol/src/name.rs"
    as_it_was = path.read_text()
    path.write_text(
        as_it_was
        + '// std::fs::read\n/* unsafe /* std::env */ std::fs */\nconst A: &str = "std::fs \\" unsafe";\n'
        + 'const B: &str = r#"std::fs " unsafe"#;\nconst C: char = \'"\';\n'
        + "#[cfg(test)]\nmod more {\n    use std::fs;\n    fn f() { unsafe {} }\n}\n"
    )
    try:
        assert rooms.sources(copy, "native/protocol") == []
    finally:
        path.write_text(as_it_was)
