"""Which public items of the Rust client have an example in their documentation.

They are found as a reader of `lib.rs` finds them: by what it exports, and what the modules export that it shows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Where what the client exports may be written.
SOURCES = ("client-rs/src", "client-rs/macros/src", "native/protocol/src", "native/transport/src")

#: Serde calls them: `#[serde(with = "pycrust_client::attached")]`, which is the module's example.
OF_SERDE = {"attached::serialize", "attached::deserialize"}

_ITEM = re.compile(r"pub (?:const )?(?:fn|struct|enum|trait|type|const|static|macro) (\w+)")
_MODULE = re.compile(r"pub mod (\w+);")
_USE = re.compile(r"pub use ([\w:]+::)?(\w+|\{[^}]*\});")


class Item(NamedTuple):
    """What a file makes public: its name, its documentation, and whether it is written elsewhere."""

    name: str
    documentation: str
    elsewhere: bool


def public(source: str) -> Iterator[Item]:
    """What the source of a module makes public at its outermost level; not what is hidden."""
    documentation: list[str] = []
    hidden = False
    lines = iter(source.split("\n"))
    for line in lines:
        if line.startswith("///"):
            documentation.append(line)
            continue
        if line.startswith("#["):
            hidden = hidden or "doc(hidden)" in line or "doctest" in line
            while not line.rstrip().endswith("]"):
                line = next(lines)  # noqa: PLW2901 - an attribute of several lines
            continue
        if line.startswith("//"):
            continue
        text = "\n".join(documentation)
        while line.startswith("pub use") and ";" not in line:
            line += next(lines).strip()  # noqa: PLW2901 - a list of several lines
        if not hidden:
            if found := _ITEM.match(line):
                yield Item(found[1], text, elsewhere=False)
            elif found := _MODULE.match(line):
                yield Item(found[1] + "::", text, elsewhere=True)
            elif found := _USE.match(line):
                for name in re.findall(r"\w+", found[2]):
                    # A module, or something in one.
                    yield Item(name, text, elsewhere=True)
        documentation, hidden = [], False


def has_example(documentation: str) -> bool:
    return documentation.count("```") >= 2


def without(root: Path) -> tuple[list[str], list[str]]:
    """The public items, and those that have no example."""
    written: dict[str, list[str]] = {}
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*.rs")):
            text = path.read_text()
            for item in public(text):
                if not item.elsewhere:
                    written.setdefault(item.name, []).append(item.documentation)
            for name in re.findall(r"#\[proc_macro_derive\((\w+)", text):
                written.setdefault(name, [])
    client = root / "client-rs" / "src"
    seen: list[str] = []
    missing: list[str] = []

    def look(module: Path, prefix: str) -> None:
        for item in public(module.read_text()):
            inside = _file(client, module, item.name.rstrip(":")) if item.elsewhere else None
            if inside and not item.name[0].isupper():
                name = prefix + item.name.rstrip(":")
                seen.append(name)
                head = "\n".join(line for line in inside.read_text().split("\n") if line.startswith("//!"))
                if not has_example(head) and not has_example(item.documentation):
                    missing.append(name)
                look(inside, name + "::")
                continue
            name = prefix + item.name
            if name in OF_SERDE or name in seen:
                continue
            seen.append(name)
            texts = [item.documentation, *(written.get(item.name, []) if item.elsewhere else [])]
            if not any(map(has_example, texts)):
                missing.append(name)

    look(client / "lib.rs", "")
    return seen, missing


def _file(client: Path, module: Path, name: str) -> Path | None:
    """The file of a module with this name, beside what exports it."""
    folder = module.parent if module.name == "lib.rs" else module.with_suffix("")
    places = [folder / f"{name}.rs", client / "tensor" / f"{name}.rs"]
    return next((place for place in places if place.is_file()), None)
