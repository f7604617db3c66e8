"""Which folders import which: `python -m tests.guards.arrows` prints what points upwards or runs in circles."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.guards import rust
from tests.guards.rooms import imports, python_modules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: The folders and files of `pycrust`, from the ground up: each imports what stands before it.
FLOORS = (
    "text", "_unbuilt", "taken_options", "functions", "_extension", "values", "process", "arrays", "logs", "errors",
    "models", "traffic", "calls", "handlers", "client", "telemetry", "schemas", "versions", "testing", "service",
    "trials",
    "jupyter", "endpoint", "", "cli", "__main__",
)  # fmt: skip

#: The same of the crates; a crate's own `lib.rs` stands above all of them.
RUST_FLOORS = {
    "native/transport": (
        "clock", "cores", "lately", "faults", "fork", "reentrant", "gate", "sync", "stack", "pinning", "scheduling",
        "owner",
        "shortage", "error", "descriptors", "usage", "process", "realtime", "sleeping", "http", "memory",
        "claiming", "iceoryx", "endpoints", "connection", "handshake",
    ),
    "native/engine": (
        "config", "measuring", "recording", "clients", "queueing", "threads", "refusals", "receiver", "engine",
        "answering", "running", "receiving", "lifecycle",
    ),
    "client-rs": (
        "spin", "timing", "metadata", "options", "codec", "timestamp", "error", "telemetry", "tensor", "raw",
        "argument",
        "connection", "call", "method", "schemas", "builder", "shared", "pacing", "client", "request", "service",
        "blocking",
        "binding",
        "testing",
    ),
    "native": (
        "attaching", "values", "shown", "scheduling", "realtime", "calls", "client", "shield", "monitoring",
        "worker",
    ),
}  # fmt: skip

#: What points upwards all the same, and why.
UPWARDS = {
    # A log line that comes of a handler leaves the call's own output alone.
    ("logs", "calls.output"),
    # Types only: a slot publishes through the catalog that holds it.
    ("models.slot", "versions.catalog"),
    # When it is asked for: a recorded call is made again where all of the rest is.
    ("traffic.recorded", "trials.replay"),
    # Refusals are errors with a code, and errors explain arguments that don't fit.
    ("values.refusals", "errors"),
}  # fmt: skip

#: Files of the largest circle that may be.
LARGEST = 3


@dataclass(frozen=True)
class Arrow:
    """One import of one module by another, by their names below the package."""

    source: str
    target: str
    #: Whether a type checker alone follows it.
    types_only: bool


def python_arrows(root: Path) -> list[Arrow]:
    """Every import of one of the package's modules by another."""
    paths = {name.removeprefix("pycrust").removeprefix("."): path for path, name in python_modules(root)}
    found = {}
    for own, path in paths.items():
        tree = ast.parse(path.read_text())
        unseen = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node, source, name in imports(tree, path, f"pycrust.{own}".rstrip(".")):
            target = _module(f"{source}.{name}" if name else source, paths)
            if target is not None and target != own:
                types_only = id(node) in unseen and found.get((own, target), True)
                found[own, target] = types_only
    return [Arrow(source, target, types_only) for (source, target), types_only in found.items()]


def _module(full: str, known: Mapping[str, Path]) -> str | None:
    """The module that an imported name is, or is of; `None` for what is not ours or the package itself."""
    if not full.startswith("pycrust."):
        return None
    return _longest(full.removeprefix("pycrust."), known)


def _longest(path: str, known: Iterable[str]) -> str | None:
    """The longest beginning of a dotted path that is a module."""
    parts = path.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in known), None)


def rust_arrows(root: Path, crate: str) -> list[Arrow]:
    """Every module of a crate that another one names, without what only tests compile."""
    source = root / crate / "src"
    texts = {
        ".".join(path.relative_to(source).with_suffix("").parts): text for path, text in rust.sources(root / crate)
    }
    del texts["lib"]
    found = set()
    for own, text in texts.items():
        paths = {one.removeprefix("crate::").replace("::", ".") for one in rust.paths(text, "crate")}
        around = own.rpartition(".")[0]
        paths |= {one.replace("super::", f"{around}.", 1).replace("::", ".") for one in rust.paths(text, "super")}
        for path in paths:
            target = _longest(path.lstrip("."), texts)
            if target not in {own, None}:
                found.add((own, target))
    return [Arrow(source, target, types_only=False) for source, target in sorted(found)]


def floor(module: str) -> str:
    """The folder that a module stands in, or its own name for a file at the top."""
    return module.split(".", maxsplit=1)[0]


def between(arrows: Iterable[Arrow]) -> list[Arrow]:
    """Those that lead from one folder to another."""
    return [one for one in arrows if floor(one.source) != floor(one.target)]


def upwards(arrows: Iterable[Arrow], floors: tuple[str, ...]) -> list[Arrow]:
    """Those that lead to a folder above their own."""
    return [one for one in between(arrows) if floors.index(floor(one.target)) > floors.index(floor(one.source))]


def circles(arrows: Iterable[Arrow]) -> list[list[str]]:
    """Modules that reach one another by imports that run, largest group first (Tarjan's algorithm)."""
    targets: dict[str, list[str]] = defaultdict(list)
    for one in arrows:
        if not one.types_only:
            targets[one.source].append(one.target)
    return sorted(_connected(targets), key=len, reverse=True)


def _connected(targets: Mapping[str, list[str]]) -> Iterator[list[str]]:
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []

    def visit(name: str) -> Iterator[list[str]]:
        number[name] = lowest[name] = len(number)
        waiting.append(name)
        for target in targets.get(name, ()):
            if target not in number:
                yield from visit(target)
                lowest[name] = min(lowest[name], lowest[target])
            elif target in waiting:
                lowest[name] = min(lowest[name], number[target])
        if lowest[name] == number[name]:
            at = waiting.index(name)
            group = waiting[at:]
            del waiting[at:]
            if len(group) > 1:
                yield sorted(group)

    for name in list(targets):
        if name not in number:
            yield from visit(name)


def show(what: str, arrows: list[Arrow], floors: tuple[str, ...]) -> None:
    """Prints what points upwards and what runs in circles."""
    print(f"{what}: {len(between(arrows))} from folder to folder")
    for one in upwards(arrows, floors):
        print(f"  upwards: {one.source} -> {one.target}{' (types)' if one.types_only else ''}")
    for group in circles(arrows):
        print(f"  circle of {len(group)}: {', '.join(group)}")


def main() -> None:
    """Prints them of the package and of the crates."""
    show("pycrust", python_arrows(Path()), FLOORS)
    for crate, floors in RUST_FLOORS.items():
        show(crate, rust_arrows(Path(), crate), floors)


if __name__ == "__main__":
    main()
