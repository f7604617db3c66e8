"""Reads the files of `native/protocol/vectors`, whose README describes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pycrust import Timestamp
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

_DIR = ROOT / "native" / "protocol" / "vectors"


def file(name: str) -> dict[str, Any]:
    """The JSON of one file."""
    return json.loads((_DIR / f"{name}.json").read_text())


def vectors(name: str, having: str = "value") -> list[dict[str, Any]]:
    """The vectors of a file that have this key, of which there must be some."""
    found = [vector for vector in file(name)["vectors"] if having in vector]
    assert found, f"{name} has no vector with {having!r}"
    return found


def unhex(text: str | list[str]) -> bytes:
    """The bytes of hexadecimal digits, in one string or several; `2a*3` is `2a2a2a`."""
    groups = [group.partition("*") for group in " ".join([text] if isinstance(text, str) else text).split()]
    return b"".join(bytes.fromhex(digits) * int(count or 1) for digits, _, count in groups)


def string(value: Any) -> str:
    """A string; `{"$repeat": ["a", 3]}` is `aaa`."""
    return value["$repeat"][0] * value["$repeat"][1] if isinstance(value, dict) else value


def value(written: Any) -> Any:
    """The Python object that a value of `payloads.json` stands for."""
    if isinstance(written, list):
        return [value(item) for item in written]
    if not isinstance(written, dict):
        return written
    [(tag, content)] = written.items()
    return _TAGS[tag](content)


def _nest(content: list[Any]) -> Any:
    inner = value(content[1])
    for _ in range(content[0]):
        inner = [inner]
    return inner


def _timestamp(content: list[int]) -> datetime | Timestamp:
    seconds, nanoseconds = content
    if nanoseconds % 1000 == 0 and -62_135_596_800 <= seconds < 253_402_300_800:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    return Timestamp(seconds, nanoseconds)


def _key(key: Any) -> Any:
    """What a dict holds an array under."""
    return tuple(_key(item) for item in key) if isinstance(key, list) else key


_TAGS: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$bin": unhex,
    "$repeat": lambda content: content[0] * content[1],
    "$map": lambda content: {_key(value(key)): value(item) for key, item in content},
    "$nest": _nest,
    "$timestamp": _timestamp,
    "$integer": int,
}
