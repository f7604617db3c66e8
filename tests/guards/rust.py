"""What a Rust source names, read without a compiler: enough to hold rooms to what they may touch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RAW_STRING = re.compile(r'(?<![A-Za-z0-9_])[bc]?r(#*)"')
_CHARACTER = re.compile(r"b?'(\\[^']*|[^'\\])'")
_TEST_ONLY = re.compile(
    r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?(?:mod|fn|impl|use)\b[^{;]*([{;])"
)
_NAME = re.compile(r"(?:r#)?[A-Za-z_]\w*|\*")
_FURTHER = re.compile(r"\s*::\s*(?=[A-Za-z_{*])")
_ALIAS = re.compile(r"\s+as\s+\w+")
_SPACE = re.compile(r"\s*")


def code(source: str) -> str:
    """A source without its comments, and with empty strings."""
    kept: list[str] = []
    at = 0
    while at < len(source):
        if source.startswith("//", at):
            at = _or_end(source, source.find("\n", at))
        elif source.startswith("/*", at):
            at = _after_comment(source, at)
        elif raw := _RAW_STRING.match(source, at):
            at = source.index('"' + raw[1], raw.end()) + 1 + len(raw[1])
            kept.append('""')
        elif source[at] == '"':
            at += 1
            while source[at] != '"':
                at += 2 if source[at] == "\\" else 1
            at += 1
            kept.append('""')
        elif character := _CHARACTER.match(source, at):
            at = character.end()
            kept.append("' '")
        else:
            kept.append(source[at])
            at += 1
    return "".join(kept)


def _or_end(source: str, at: int) -> int:
    return at if at >= 0 else len(source)


def _after_comment(source: str, at: int) -> int:
    depth, at = 1, at + 2
    while depth and at < len(source):
        if source.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif source.startswith("*/", at):
            depth, at = depth - 1, at + 2
        else:
            at += 1
    return at


def without_tests(text: str) -> str:
    """Code without what only its unit tests compile."""
    while found := _TEST_ONLY.search(text):
        at = found.end()
        depth = int(found[1] == "{")
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        text = text[: found.start()] + text[at:]
    return text


def _tree(text: str, at: int, path: str) -> tuple[list[str], int]:
    """The paths of a use tree that begins at `at`, and where it ends."""
    at = _space(text, at)
    if text[at] == "{":
        found: list[str] = []
        at = _space(text, at + 1)
        while text[at] != "}":
            more, at = _tree(text, at, path)
            found += more
            at = _space(text, at)
            at = _space(text, at + 1) if text[at] == "," else at
        return found, at + 1
    name = _NAME.match(text, at)
    if name is None:
        return [path], at
    path = path if name[0] == "self" else f"{path}::{name[0]}"
    if further := _FURTHER.match(text, name.end()):
        return _tree(text, further.end(), path)
    alias = _ALIAS.match(text, name.end())
    return [path], alias.end() if alias else name.end()


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def paths(text: str, root: str) -> set[str]:
    """Every path of `text` that begins with the crate `root`, use trees taken apart."""
    found: set[str] = set()
    for start in re.finditer(rf"(?<![\w:]){root}\s*::\s*", text):
        found.update(_tree(text, start.end(), root)[0])
    # `::std::…` begins with the same crate.
    for start in re.finditer(rf"(?<!\w)(?<!\w\s)::\s*{root}\s*::\s*", text):
        found.update(_tree(text, start.end(), root)[0])
    return found


def sources(folder: Path) -> Iterator[tuple[Path, str]]:
    """The sources below a crate's `src`, and the code of each, without tests."""
    for path in sorted((folder / "src").rglob("*.rs")):
        if path.name == "tests.rs":
            continue
        yield path, without_tests(code(path.read_text()))
