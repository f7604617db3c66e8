"""Pieces of Python source, as formatters write them."""

from __future__ import annotations

import inspect
import keyword
import re
from typing import TYPE_CHECKING

from pycrust.schemas.shapes import camel_case

if TYPE_CHECKING:
    from pycrust.schemas.shapes import Part

#: Columns of a line; what is longer is broken where a formatter would.
WIDTH = 88


def call_statement(begin: str, constant: str, given: list[str] | str) -> list[str]:
    """The statement that makes the call."""
    sent = given if isinstance(given, str) else f"{given[0]}{', '.join(given[1:-1])}{given[-1]}"
    line = f"{begin}{constant}, {sent})"
    if len(line) <= WIDTH:
        return [line]
    if isinstance(given, str):
        return [begin, f"            {constant},", f"            {sent},", "        )"]
    inside = [f"                {one}," for one in given[1:-1]]
    return [
        begin,
        f"            {constant},",
        f"            {given[0]}",
        *inside,
        f"            {given[-1]},",
        "        )",
    ]


def said_of(own: str, part: Part) -> list[str]:
    """What is said of a parameter, if there is anything to say."""
    default = f"`{part.default[0]!r}` by default." if part.default else ""
    text = " ".join(" ".join(part.doc.split()).rstrip(".").split(" ")) + "." if part.doc else ""
    whole = " ".join(one for one in (text, default) if one)
    return [f"    {own}: {whole}"] if whole else []


def with_arguments(doc: str, docs: list[str]) -> str:
    """A method's docstring, with what is said of its parameters."""
    return "\n".join([doc or "Calls the handler.", "", "Args:", *docs]) if docs else doc


def docstring(doc: str, indent: int = 4) -> list[str]:
    """A docstring's lines; none for no text."""
    text = inspect.cleandoc(doc).strip()
    if not text:
        return []
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    text = "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )
    lines = [line.rstrip() for line in text.split("\n")]
    if len(lines) == 1 and lines[-1].endswith('"'):
        lines[-1] += " "
    space = " " * indent
    if len(lines) == 1:
        return [f'{space}"""{lines[0]}"""']
    return [f'{space}"""{lines[0]}', *(f"{space}{line}" if line else "" for line in lines[1:]), f'{space}"""']


def double_quoted(source: str) -> str:
    """Source of a literal with the quotes that formatters prefer."""
    if source[:1] == "'" and '"' not in source:
        return f'"{source[1:-1]}"'
    return source


def text_literal(text: str) -> str:
    """Source as a literal of text."""
    return double_quoted(repr(text))


def identifier(name: str, taken: set[str]) -> str:
    """A name as Python can have it: an underscore for each other character, and after a word that is taken."""
    own = "".join(char if f"a{char}".isidentifier() else "_" for char in name)
    if not own or own[0].isdigit():
        own = f"_{own}" if not own or not own.strip("_") else f"n{own}"
    return f"{own}_" if keyword.iskeyword(own) or own in taken else own


def unused(name: str, taken: set[str]) -> str:
    """A name that is not taken: this one, or with a number behind it."""
    number, own = 2, name
    while own in taken:
        own, number = f"{name}_{number}", number + 1
    return own


def class_name(endpoint: str) -> str:
    """What the client of an endpoint is called."""
    own = camel_case(endpoint)
    return own if own[:1].isalpha() else f"Endpoint{own}"


def spaced(parts: list[str]) -> str:
    """Definitions as a formatter spaces them: two empty lines around classes."""
    text = ""
    before = ""
    for part in parts:
        one_line = not part.startswith("class") and not before.startswith("class")
        text += part if not text else ("\n" if one_line and "\n\n\n" not in part else "\n\n\n") + part
        before = part
    return text + "\n"


def merged(lines: list[str]) -> list[str]:
    """Imports from one module in one line."""
    by_module: dict[str, set[str]] = {}
    others: list[str] = []
    for line in lines:
        found = re.fullmatch(r"from (\S+) import (.+)", line)
        if found is None:
            others.append(line)
        else:
            by_module.setdefault(found[1], set()).update(found[2].split(", "))
    return [*others, *(f"from {module} import {', '.join(sorted(names))}" for module, names in by_module.items())]


def import_order(line: str) -> tuple[bool, str]:
    """By what imports are sorted."""
    return line.startswith("from"), line
