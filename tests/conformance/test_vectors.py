"""The vectors of the protocol, against this package and an independent implementation of MessagePack."""

import json
import struct

import msgpack
import pytest

from pycrust import Code, _extension
from pycrust.arrays.absent import absent
from pycrust.arrays.records import dtype_of, layout_of
from pycrust.handlers.schema import schema_hash, shape_text
from pycrust.handlers.schema_diff import schema_changes
from pycrust.text.names import check_endpoint, check_method
from pycrust.traffic.remote import Page
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
            _extension.decode(raw)
        assert f"byte {vector['python_error']['offset']}" in str(caught.value)
        return
    # As text: a float that is not a number equals nothing.
    decoded = _extension.decode(raw)
    assert repr(decoded) == repr(value(vector["value"]))
    if vector.get("canonical"):
        assert _extension.encode(decoded) == raw


@pytest.mark.parametrize("vector", vectors("payloads", "error"), ids=named)
def test_malformed_payload(vector):
    with pytest.raises(ValueError, match="byte") as caught:
        _extension.decode(unhex(vector["hex"]))
    assert f"byte {vector['error']['offset']}" in str(caught.value)
    assert vector["error"]["reason"] in str(caught.value)


def field_of(call, name):
    """A field of a recorded call, as the vectors write it."""
    field = getattr(call, name)
    if name == "output":
        return [list(piece) for piece in field]
    return field.hex() if isinstance(field, bytes) else field


@pytest.mark.parametrize("vector", vectors("traffic"), ids=named)
def test_traffic(vector):
    raw, expected = unhex(vector["hex"]), vector["value"]
    if vector["of"] == "query":
        given = _extension.decode(raw) if raw else []
        named_ones = given if isinstance(given, dict) else dict(zip(("after", "most"), given or [], strict=False))
        assert {"after": 0, "most": 1000} | named_ones == expected
        return
    page = Page.read(_extension.decode(raw))
    assert msgpack.packb(msgpack.unpackb(raw)) == raw
    told = {name: getattr(page, name) for name in expected}
    told["calls"] = [
        {name: field_of(call, name) for name in fields}
        for call, fields in zip(page.calls, expected["calls"], strict=True)
    ]
    assert told == expected


@pytest.mark.parametrize("vector", vectors("errors"), ids=named)
def test_error_payload(vector):
    expected = dict(vector["value"])
    if "details" in expected:
        expected["details"] = _extension.decode(unhex(expected["details"]))
    decoded = _extension.decode(unhex(vector["hex"]))
    for key, field in expected.items():
        assert decoded[key] == (string(field) if isinstance(field, dict) else field)
    if "issues" in vector:
        of_interest = [{key: issue[key] for key in ("loc", "msg", "type")} for issue in decoded["details"]]
        assert of_interest == vector["issues"]


@pytest.mark.parametrize("vector", vectors("tensors"), ids=named)
def test_tensor(vector):
    raw, expected = unhex(vector["hex"]), vector["value"]
    decoded = _extension.decode_kept(msgpack.packb(msgpack.ExtType(1, raw)))
    layout = layout_of_record(expected)
    assert decoded == absent(expected["dtype"] if layout is None else layout, tuple(expected["shape"]))
    if layout is not None:
        assert layout_of(dtype_of(layout)) == layout
    _dtype, flags, dimensions, _reserved, attachment = struct.unpack_from("<BBBBI", raw)
    assert (flags & 1, flags >> 1) == (expected.get("big_endian", False), expected.get("column_major", False))
    assert attachment == expected.get("attachment", 0)
    assert list(struct.unpack_from(f"<{dimensions}Q", raw, 8)) == expected["shape"]


def layout_of_record(value):
    """What is in a vector's records, as this package has it; `None` if it has none."""
    if "fields" not in value:
        return None
    fields = [
        (
            string(field["name"]),
            "bytes" if field.get("string") else field["dtype"],
            field["offset"],
            tuple(field.get("shape", ())),
            field.get("big_endian", False),
        )
        for field in value["fields"]
    ]
    return value["itemsize"], tuple(fields)


@pytest.mark.parametrize("vector", vectors("tensors", "error"), ids=named)
def test_malformed_tensor(vector):
    with pytest.raises(ValueError, match="byte 0") as caught:
        _extension.decode_kept(msgpack.packb(msgpack.ExtType(1, unhex(vector["hex"]))))
    assert vector["error"]["reason"] in str(caught.value)


@pytest.mark.parametrize("vector", vectors("attachments"), ids=named)
def test_table_of_attachments(vector):
    sample, header = unhex(vector["hex"]), vector["header"]
    at = header.get("body_len", 0) + header.get("metadata_len", 0) + 32 * header.get("reports", 0)
    table = [
        list(entry) for entry in struct.iter_unpack("<QQ", sample[at : at + 16 * header.get("attachments", 0)])
    ]
    assert table == vector["value"]


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


@pytest.mark.parametrize("vector", vectors("schema_changes", "changes"), ids=named)
def test_what_schemas_differ_in(vector):
    changes = schema_changes(json.dumps(vector["old"]), json.dumps(vector["new"]))
    assert [list(change) for change in changes] == vector["changes"]


@pytest.mark.parametrize("vector", vectors("schema_hashes", "hash"), ids=named)
def test_hash_of_a_schema(vector):
    assert shape_text(vector["text"]) == vector["shape"]
    assert f"{schema_hash(vector['text']):016x}" == vector["hash"]
