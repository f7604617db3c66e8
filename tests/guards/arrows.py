"""Which folders import which: `python -m tests.guards.arrows` prints what points upwards or runs in circles."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.guards.rooms import imports, python_modules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: The folders and files of `pycrust`, from the ground up: each imports what stands before it.
FLOORS = (
    "text", "_unbuilt", "taken_options", "functions", "_extension", "values", "process", "arrays", "logs", "errors",
    "models", "traffic", "calls", "handlers", "client", "versions", "testing", "service", "trials", "jupyter",
    "endpoint", "pytest_plugin", "", "__main__",
)  # fmt: skip

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
    parts = full.removeprefix("pycrust.").split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in known), None)


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


def main() -> None:
    """Prints them."""
    arrows = python_arrows(Path())
    print(f"pycrust: {len(between(arrows))} imports from folder to folder")
    for one in upwards(arrows, FLOORS):
        print(f"  upwards: {one.source} -> {one.target}{' (types)' if one.types_only else ''}")
    for group in circles(arrows):
        print(f"  circle of {len(group)}: {', '.join(group)}")


if __name__ == "__main__":
    main()
