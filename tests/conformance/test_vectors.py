"""The vectors of the protocol, against this package and an independent implementation of MessagePack."""

import msgpack
import pytest

from pycrust import Code, _binding
from pycrust.naming import check_endpoint, check_method
from tests.conformance.vectors import file, string, unhex, value, vectors


def named(vector):
    """The name of a vector, for a report."""
    return string(vector["name"])[:60]


@pytest.mark.parametrize("vector", vectors("control_requests"), ids=named)
def test_request(vector):
    raw, expected = unhex(vector["hex"]), vector["value"]
    message = [expected["id"], string(expected["method"]), unhex(expected["payload"])]
    assert msgpack.unpackb(raw) == message
    if vector.get("canonical"):
        assert msgpack.packb(message) == raw


@pytest.mark.parametrize("vector", vectors("control_responses"), ids=named)
def test_response(vector):
    raw, expected = unhex(vector["hex"]), vector["value"]
    message = [expected["id"], expected["status"], unhex(expected["payload"])]
    assert msgpack.unpackb(raw) == message
    if vector.get("canonical"):
        assert msgpack.packb(message) == raw


@pytest.mark.parametrize("vector", vectors("payloads"), ids=named)
def test_payload(vector):
    raw = unhex(vector["hex"])
    if "python_error" in vector:
        with pytest.raises(ValueError, match=vector["python_error"]["reason"]) as caught:
            _binding.decode(raw)
        assert f"byte {vector['python_error']['offset']}" in str(caught.value)
        return
    # As text: a float that is not a number equals nothing.
    decoded = _binding.decode(raw)
    assert repr(decoded) == repr(value(vector["value"]))
    if vector.get("canonical"):
        assert _binding.encode(decoded) == raw


@pytest.mark.parametrize("vector", vectors("payloads", "error"), ids=named)
def test_malformed_payload(vector):
    with pytest.raises(ValueError, match="byte") as caught:
        _binding.decode(unhex(vector["hex"]))
    assert f"byte {vector['error']['offset']}" in str(caught.value)
    assert vector["error"]["reason"] in str(caught.value)


@pytest.mark.parametrize("vector", vectors("errors"), ids=named)
def test_error_payload(vector):
    expected = dict(vector["value"])
    if "details" in expected:
        expected["details"] = _binding.decode(unhex(expected["details"]))
    decoded = _binding.decode(unhex(vector["hex"]))
    for key, field in expected.items():
        assert decoded[key] == (string(field) if isinstance(field, dict) else field)
    if "issues" in vector:
        of_interest = [{key: issue[key] for key in ("loc", "msg", "type")} for issue in decoded["details"]]
        assert of_interest == vector["issues"]


def test_codes():
    assert [[int(code), code.name] for code in Code] == file("codes")["codes"]


@pytest.mark.parametrize("vector", file("names")["vectors"], ids=named)
def test_name(vector):
    check = {"endpoint": check_endpoint, "method": check_method}[vector["of"]]
    name = string(vector["name"])
    if "error" not in vector:
        assert check(name) == name
        return
    with pytest.raises(ValueError, match="."):
        check(name)
