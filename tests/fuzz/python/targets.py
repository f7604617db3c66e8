"""Targets: functions of any bytes that raise where a property does not hold. `TARGETS` lists them.

Nothing here needs atheris, so that the tests run the same functions over what it has found.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from pycrust import Timestamp, _extension
from pycrust.traffic import file, filters
from pycrust.traffic.recorded import RecordedCall
from tests.fuzz.python.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable

#: What the decoder refuses although it is MessagePack, and why.
REFUSALS = (
    "nested deeper than 128",
    "extension type",
    "an array",
    "elements of the unknown type",
    "a reserved byte that is not 0",
    "a shape of",
    "a record",
    "records",
    "a field",
    "two fields",
    "the field",
    "an integer",
    "a timestamp",
    "a map can't be the key of a map in Python",
    "keys of a map have one hash",
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Pairs(list):
    """A map as it is written: pairs, of which some may have one key."""


def decode(data: bytes) -> None:
    """The decoder reads what `msgpack` reads, or says why not; and what it reads is written and read again."""
    theirs = _unpacked(data)
    try:
        ours = _extension.decode(data)
    except ValueError as error:
        text = str(error)
        assert text.startswith("malformed MessagePack at byte "), text
        assert theirs is _NOTHING or any(reason in text for reason in REFUSALS), (text, theirs)
        return
    assert theirs is not _NOTHING, ours
    expected = _plain(theirs)
    assert _same(ours, expected), (ours, expected)
    written = _extension.encode(ours)
    assert _same(_extension.decode(written), ours), ours
    assert _same(_plain(_unpacked(written)), ours), ours


_NOTHING = object()


def _unpacked(data: bytes) -> Any:
    """What `msgpack` reads; `_NOTHING` if it reads nothing."""
    try:
        return msgpack.unpackb(data, strict_map_key=False, object_pairs_hook=Pairs, ext_hook=msgpack.ExtType)
    except (ValueError, TypeError, msgpack.UnpackException, msgpack.StackError, RecursionError):
        return _NOTHING


def _plain(value: Any) -> Any:
    """As our decoder gives it."""
    if isinstance(value, Pairs):
        made: dict[Any, Any] = {}
        for key, item in value:
            made[_key(key)] = _plain(item)
        return made
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _scalar(value)


def _key(value: Any) -> Any:
    return tuple(_key(item) for item in value) if isinstance(value, list) else _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, msgpack.Timestamp):
        micros, rest = divmod(value.nanoseconds, 1000)
        try:
            moment = EPOCH + timedelta(seconds=value.seconds, microseconds=micros)
        except OverflowError:
            return Timestamp(value.seconds, value.nanoseconds)
        return Timestamp(value.seconds, value.nanoseconds) if rest else moment
    if isinstance(value, msgpack.ExtType):
        assert value.code == 2, value
        return int.from_bytes(value.data, "big", signed=True)
    return value


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same, of the same types; a float is what its bits are."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=False)
        return len(one) == len(other) and all(_same(a, c) and _same(b, d) for (a, b), (c, d) in pairs)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


class Text(str):
    """A subclass of a basic type."""

    __slots__ = ()


class Whole(int):
    """A subclass of a basic type."""


def encode(data: bytes) -> None:
    """What the encoder writes is read as what it was; what it can't write is refused in words."""
    value = _made(Cursor(data), 0)
    try:
        written = _extension.encode(value)
    except (TypeError, ValueError) as error:
        assert str(error), value
        return
    assert _unpacked(written) is not _NOTHING
    try:
        again = _extension.decode(written)
    except ValueError as error:
        # A map as a key has a form, and Python no object for it.
        assert any(reason in str(error) for reason in ("key of a map", "one hash", "nested")), error
        return
    assert _same(_extension.decode(_extension.encode(again)), again), value
    assert _alike(again, value), (again, value)


def _alike(one: Any, other: Any) -> bool:  # noqa: PLR0911
    """Whether this is what becomes of a value that crosses."""
    if isinstance(other, dict):
        # Keys of different types may be one afterwards.
        return isinstance(one, dict) and len(one) <= len(other)
    if isinstance(other, set | frozenset):
        return isinstance(one, list) and len(one) == len(other)
    if isinstance(other, list | tuple):
        return isinstance(one, list | tuple) and len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(other, float):
        return isinstance(one, float) and _same(one, float(other))
    if isinstance(other, bytearray | memoryview):
        return one == bytes(other)
    if isinstance(other, Timestamp | datetime):
        return isinstance(one, Timestamp | datetime | str)
    return one == other


def _made(cursor: Cursor, depth: int) -> Any:  # noqa: PLR0911, PLR0912
    """Any object, mostly one that can cross."""
    if depth > 200:
        return None
    kind = cursor.below(24)
    if kind < 4 and depth < 150:
        items = [_made(cursor, depth + 1) for _ in range(cursor.below(5))]
        return (items, tuple(items), items, items)[kind]
    match kind:
        case 4 | 5:
            made = {}
            for _ in range(cursor.below(5)):
                key = _made(cursor, depth + 1)
                if _hashable(key):
                    made[key] = _made(cursor, depth + 1)
            return made
        case 6:
            inner = _made(cursor, depth + 1)
            for _ in range(cursor.below(160)):
                inner = [inner]
            return inner
        case 7:
            whole: list[Any] = []
            whole.append(whole)
            return whole
        case 8:
            return cursor.number()
        case 9:
            return -cursor.number()
        case 10:
            return cursor.number() << cursor.below(140)
        case 11:
            return struct.unpack("<d", cursor.take(8).ljust(8, b"\0"))[0]
        case 12:
            return cursor.take(cursor.below(40))
        case 13:
            return bytearray(cursor.take(cursor.below(40)))
        case 14:
            return memoryview(cursor.take(cursor.below(40)))
        case 15:
            return cursor.take(cursor.below(80)).decode("utf-8", "surrogateescape")
        case 16:
            return "x" * (cursor.below(256) * 300)
        case 17:
            return Text(cursor.take(4).decode("latin-1"))
        case 18:
            return Whole(cursor.number())
        case 19:
            return Timestamp(cursor.number() % (1 << 63), cursor.number() % 1_000_000_000)
        case 20:
            return EPOCH + timedelta(microseconds=cursor.number() % (1 << 56))
        case 21:
            return {item for item in (_made(cursor, depth + 1) for _ in range(3)) if _hashable(item)}
        case 22:
            return (object(), 1 + 2j, range(3), ..., type)[cursor.below(5)]
        case _:
            return (None, True, False)[cursor.below(3)]


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except (TypeError, ValueError):
        return False
    return True


def traffic(data: bytes) -> None:
    """A file is read or refused by its line; whatever it says, its calls can be looked at and saved."""
    with tempfile.TemporaryDirectory(prefix="pycrust-fuzz-", dir="/dev/shm") as folder:
        path = Path(folder) / "traffic"
        path.write_bytes(data if data[:1] == b"{" else _lines(Cursor(data)))
        try:
            endpoint, text, calls = file.load(path)
        except file.TrafficFileError as error:
            assert str(error).startswith(str(path)), error
            return
        for call in calls:
            _look_at(call)
        again = path.with_name("again")
        assert file.save(again, endpoint, text, calls) == len(calls)
        endpoint_again, text_again, calls_again = file.load(again)
        assert (endpoint_again, text_again) == (endpoint, text)
        assert [call.source for call in calls_again] == [call.source for call in calls]


HEADER = {"format": "pycrust traffic", "version": 1, "endpoint": "arm", "filter": "", "hooked": False}
CALL: dict[str, Any] = {
    "seq": 1, "id": 65536, "method": "add", "version": 1, "status": 0, "seen": 0, "flags": 0, "client": "rust",
    "client_pid": 7, "connection": 1, "ended_unix_ns": 1_700_000_000_000_000_000, "duration_ns": 50_000,
    "deadline_ns": 0, "round_trip_ns": 60_000, "stages": {"handler": 10_000}, "ran": True, "streamed": False,
    "items": 0, "items_kept": 0, "uploaded": 0, "uploaded_kept": 0, "parameters": ["a", "b"],
    "request": "kgEC", "request_arrays": [], "request_len": 3, "request_metadata": "", "response": "Aw==",
    "response_len": 1, "response_metadata": "", "output": [["stdout", "hello"]], "output_lost": 0,
}  # fmt: skip


def _lines(cursor: Cursor) -> bytes:
    """A file of a few calls in which a few fields are something else."""
    lines = [dict(HEADER), *(dict(CALL) for _ in range(1 + cursor.below(2)))]
    for _ in range(cursor.below(6)):
        line = lines[cursor.below(len(lines))]
        name = list(line)[cursor.below(len(line))] if line else "seq"
        line[name] = _field(cursor)
    if cursor.seldom():
        lines[-1].pop(list(CALL)[cursor.below(len(CALL))], None)
    written = "\n".join(json.dumps(line) for line in lines).encode()
    return written[: cursor.number() % (len(written) + 1)] if cursor.seldom() else written


def _field(cursor: Cursor) -> Any:
    """What may stand in a field."""
    payload = base64.b64encode(cursor.take(cursor.below(30))).decode()
    return (
        payload, payload, cursor.below(17), cursor.below(256), cursor.number(), -1, None, True, False,
        [payload], ["a", "b"], [["display", payload], ["stderr", "x"]], [["display", '{"text/plain": "x"}']],
        {"back": 5}, "x" * 2000, 1.5, [],
    )[cursor.below(17)]  # fmt: skip


def _look_at(call: RecordedCall) -> None:
    """Everything that shows a call."""
    assert isinstance(repr(call), str)
    assert isinstance(call._repr_html_(), str)
    assert all(isinstance(cell, str) for cell in call.cells())
    json.dumps(call.as_dict())
    assert isinstance(call.text, str)
    assert call.kinds <= set(filters.KINDS)
    assert call.took_ns >= 0
    _ = (call.deadline, call.stages, call.metadata_dropped, call.unredacted_result, call.unredacted_error)
    for text in FILTERS:
        assert filters.parse(text)(call) in {True, False}


#: A filter of every kind.
FILTERS = (
    'add "x" status:error', "-status:ok version:1..3", "client:ru* >5us", "handler:>5ns", "seq:1 since:10s",
    "is:stream -is:late",
)  # fmt: skip


def filter_grammar(data: bytes) -> None:
    """A filter is read, and then says yes or no to any call; or the piece is named that is wrong."""
    text = data.decode("utf-8", "replace")
    try:
        found = filters.parse(text)
    except filters.FilterError as error:
        assert error.reason
        assert 0 <= error.position <= len(error.filter)
        assert error.length >= 1
        return
    assert found.text == text
    for fields in (CALL, CALL | {"round_trip_ns": None, "status": 3, "seen": None, "flags": 2, "stages": {}}):
        call = RecordedCall(file.StoredCall.model_validate(fields))
        assert found(call) in {True, False}


TARGETS: dict[str, Callable[[bytes], None]] = {
    "decode": decode,
    "encode": encode,
    "traffic": traffic,
    "filters": filter_grammar,
}
