"""The vectors of the control messages, against an independent implementation of MessagePack."""

import json

import msgpack
import pytest

from tests.conftest import ROOT


def vectors(name: str) -> list[dict]:
    """The vectors of a file that hold a value."""
    read = json.loads((ROOT / "native" / "protocol" / "vectors" / f"{name}.json").read_text())["vectors"]
    found = [vector for vector in read if "value" in vector]
    assert found
    return found


def unhex(text: str) -> bytes:
    """The bytes of hexadecimal digits; `2a*3` is `2a2a2a`."""
    groups = [group.partition("*") for group in text.split()]
    return b"".join(bytes.fromhex(digits) * int(count or 1) for digits, _, count in groups)


def string(value) -> str:
    """A string; `{"$repeat": ["a", 3]}` is `aaa`."""
    return value["$repeat"][0] * value["$repeat"][1] if isinstance(value, dict) else value


@pytest.mark.parametrize("vector", vectors("control_requests"), ids=lambda vector: vector["name"])
def test_request(vector):
    raw, value = unhex(vector["hex"]), vector["value"]
    expected = [value["id"], string(value["method"]), unhex(value["payload"])]
    assert msgpack.unpackb(raw) == expected
    if vector.get("canonical"):
        assert msgpack.packb(expected) == raw


@pytest.mark.parametrize("vector", vectors("control_responses"), ids=lambda vector: vector["name"])
def test_response(vector):
    raw, value = unhex(vector["hex"]), vector["value"]
    expected = [value["id"], value["status"], unhex(value["payload"])]
    assert msgpack.unpackb(raw) == expected
    if vector.get("canonical"):
        assert msgpack.packb(expected) == raw
