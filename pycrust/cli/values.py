"""Arguments that are written on a command line, and answers in JSON."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from pycrust.values.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable


def arguments(text: str | None, arrays: Iterable[str] = ()) -> tuple[list[Any], dict[str, Any]]:
    """A call's arguments: by position and by name, one of them empty.

    Args:
        text: JSON, `@` and the path of a file of it, or `-` for standard input. A map is arguments by name, a list
            is by position, null is none, any other value is the one argument.
        arrays: `NAME=@FILE` or `@FILE`: arrays in `.npy` files, by name or by position after the others.

    Raises:
        click.UsageError: It is no JSON, or a file can't be read, or both kinds are given.
    """
    value = _parsed(text)
    if isinstance(value, dict):
        named, given = cast("dict[str, Any]", value), list[Any]()
    elif isinstance(value, list):
        named, given = dict[str, Any](), cast("list[Any]", value)
    else:
        named, given = dict[str, Any](), [] if value is None else [value]
    for one in arrays:
        name, _, path = one.rpartition("=")
        if not path.startswith("@"):
            raise click.UsageError(f"--array {one}: write NAME=@FILE.npy, or @FILE.npy for an argument by position")
        array = _array(Path(path[1:]))
        if name:
            named[name] = array
        else:
            given.append(array)
    if named and given:
        raise click.UsageError(
            "give the arguments by position or by name, not both: they travel as a list or a map"
        )
    return given, named


def _parsed(text: str | None) -> Any:
    if text is None:
        return None
    where, source = "the arguments", text
    try:
        if text == "-":
            where, source = "standard input", sys.stdin.read()
        elif text.startswith("@"):
            where = text[1:]
            source = Path(where).read_text(encoding="utf-8")
        return json.loads(source)
    except OSError as error:
        raise click.UsageError(f"{where} can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{where}: this is no JSON: {error}") from error


def _array(path: Path) -> Any:
    try:
        import numpy as np  # noqa: PLC0415 # pyright: ignore[reportMissingImports] - for arrays alone
    except ImportError as error:
        raise click.UsageError("--array needs NumPy: pip install numpy") from error
    try:
        # A file that would run code as it is read is refused.
        found: Any = cast("Any", np).load(path, allow_pickle=False)
    except OSError as error:
        raise click.UsageError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise click.UsageError(f"{path} is no .npy file of numbers: {error}") from error
    if not isinstance(found, cast("Any", np).ndarray):
        raise click.UsageError(f"{path} has several arrays: save each of them with numpy.save")
    return found


def jsonable(value: Any) -> Any:  # noqa: PLR0911 - one return for each kind
    """A value of a call in JSON's types, all of it.

    Arrays become lists, bytes their base64, moments ISO 8601, numbers that are none the text `NaN` or `Infinity`,
    and a map whose keys are no texts a list of pairs.

    Examples:
        >>> jsonable({"x": (1, float("nan")), "raw": b"abc"})
        {'x': [1, 'NaN'], 'raw': 'YWJj'}
        >>> jsonable({1: "a"})
        [[1, 'a']]
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (dt.datetime, Timestamp)):
        return value.isoformat() if isinstance(value, dt.datetime) else str(value)
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value)
        if all(isinstance(key, str) for key in pairs):
            return {key: jsonable(one) for key, one in pairs.items()}
        return [[jsonable(key), jsonable(one)] for key, one in pairs.items()]
    if isinstance(value, (list, tuple)):
        return [jsonable(one) for one in cast("list[Any]", value)]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, memoryview):
        return cast("Any", value).tolist()
    return str(value)
