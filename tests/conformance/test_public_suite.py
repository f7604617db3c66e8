"""MessagePack's public test suite (https://github.com/kawanet/msgpack-test-suite), read from its npm package."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pycrust import Timestamp, _extension

SUITE = Path(__file__).parent / "node_modules" / "msgpack-test-suite" / "dist" / "msgpack-test-suite.json"


def cases() -> list[Any]:
    if not SUITE.exists():
        pytest.fail(f"{SUITE} is not there: make conformance")
    suite = json.loads(SUITE.read_text())
    numbered = [(group, number, case) for group in suite for number, case in enumerate(suite[group])]
    return [pytest.param(case, id=f"{group}-{number}") for group, number, case in numbered]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


def value_of(case: dict[str, Any]) -> Any:
    """The value that a case is about."""
    if "bignum" in case:
        return int(case["bignum"])
    if "binary" in case:
        return unhex(case["binary"])
    if "timestamp" in case:
        seconds, nanoseconds = case["timestamp"]
        return Timestamp(seconds, nanoseconds)
    return next(case[kind] for kind in ("nil", "bool", "number", "string", "array", "map") if kind in case)


@pytest.mark.parametrize("case", cases())
def test_each_form_is_read_and_one_of_them_is_written(case):
    forms = [unhex(form) for form in case["msgpack"]]
    if "ext" in case:  # types that are an array's or an integer's here, or nobody's
        for form in forms:
            with pytest.raises(ValueError, match=r"extension type|^malformed MessagePack"):
                _extension.decode(form)
        return
    value = value_of(case)
    for form in forms:
        read = _extension.decode(form)
        if isinstance(read, datetime):
            assert read == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
                seconds=value.seconds, microseconds=value.nanoseconds / 1000
            )
        else:
            assert read == value
            assert isinstance(read, int | float) or type(read) is type(value)
    assert _extension.encode(value) in forms
