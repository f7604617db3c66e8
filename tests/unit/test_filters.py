"""The grammar that chooses recorded calls."""

import time
from types import SimpleNamespace

import pytest

from pycrust.errors import Code
from pycrust.traffic.filters import MAX_LENGTH, STAGES, FilterError, parse


def made(**fields):
    """A call as a filter sees it."""
    plain = {
        "method": "add", "version": 3, "code": Code.OK, "client": "loop", "client_pid": 4711, "took_ns": 5_000_000,
        "stages_ns": {"handler": 4_000_000}, "ended_unix_ns": time.time_ns(), "seq": 12, "kinds": frozenset(),
        "text": 'add\n{"a": "Hello World"}',
    }  # fmt: skip
    return SimpleNamespace(**{**plain, **fields})


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "add", "a*", "method:add", "-sub", "-status:error", "status:ok", "status:0", "version:3",
        "version:v3",
        "version:2..4", "version:3..", "-version:..2", "client:loop", "client:4711", "client:l*p", ">4ms", ">=5ms",
        "<=5ms", "<6ms", ">4.9ms", "1ms..5ms", "..5ms", "5ms..", ">4999us", "<5.1ms", ">4999µs", "<1s",
        "handler:>3ms",
        "handler:3ms..5ms", "-queue:>1ms", "since:10s", "seq:12", "seq:10..20", "-is:stream", '"hello world"',
        '"hello"',
        'add status:ok >1ms version:3 client:loop "world"', '-"goodbye"', 'client:"loop"',
    ],
)  # fmt: skip
def test_matches(text):
    assert parse(text)(made())
    assert parse(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "sub", "-add", "status:error", "status:invalid_argument", "version:4", "version:4..", "client:other",
        ">5ms", "<5ms", "6ms..", "..4ms", "handler:>4ms", "queue:>1ns", "seq:13", "is:stream", '"goodbye"',
        "add sub",
        '-"hello"', "client:4712",
    ],
)  # fmt: skip
def test_does_not_match(text):
    assert not parse(text)(made())


def test_statuses_match_by_name_and_number():
    failed = made(code=Code.INVALID_ARGUMENT)
    for text in ("status:error", "status:invalid_argument", "status:INVALID-ARGUMENT", "status:3"):
        assert parse(text)(failed)
    assert not parse("status:ok")(failed)


def test_since_forgets():
    assert not parse("since:10s")(made(ended_unix_ns=time.time_ns() - 11_000_000_000))


@pytest.mark.parametrize("kind", ["stream", "one-way", "latest", "idempotent", "truncated", "late"])
def test_kinds(kind):
    assert parse(f"is:{kind}")(made(kinds=frozenset({kind})))


@pytest.mark.parametrize("stage", STAGES)
def test_stages(stage):
    assert parse(f"{stage}:>1us")(made(stages_ns={stage: 1_001}))


@pytest.mark.parametrize(
    ("text", "piece", "says"),
    [
        ("add >5", "5", "is no time"),
        (">" + "9" * 400 + "s", "9" * 400 + "s", "is no time"),
        ("add >", " ", "a value is missing"),
        ("stutus:error", "stutus", "status:"),
        ("add status:bad", "bad", "invalid_argument"),
        ("add status:", " ", "a value is missing"),
        ("version:x", "x", "no whole number"),
        ('add "open', '"', "not closed"),
        ("is:blue", "blue", "one-way"),
        ("handler:5ms", "5ms", ">5ms"),
        ("5ms..1ms", "5ms..1ms", "1ms..5ms"),
        ("handler:..", "..", "at least one end"),
        ("add - sub", "-", "missing after"),
        ("since:10", "10", "such as 5ms"),
        ("1ms..5", "5", "is no time"),
    ],
)
def test_errors_point_at_what_is_wrong(text, piece, says):
    with pytest.raises(FilterError, match=".") as raised:
        parse(text)
    error = raised.value
    assert says in error.reason
    assert (text + " ")[error.position : error.position + error.length] == piece
    line, mark = str(error).splitlines()[-2:]
    assert line.strip() == text.strip()
    assert mark.index("^") == line.index(text[0]) + error.position
    assert isinstance(error, ValueError)


def test_hostile_filters_end_in_errors():
    with pytest.raises(FilterError):
        parse("x" * (MAX_LENGTH + 1))
    with pytest.raises(FilterError):
        parse("version:" + "9" * 500)
    assert not parse("*" * 30 + "b")(made(method="a" * 200))
