"""Arguments that a JSON Schema describes, as Rust's `schemars` writes one."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from pycrust import Batch, Code, InvalidArgument, RpcClient, RpcEndpoint

#: What schemars 1 makes of
#: `struct Move { joint: u32, to: f64, label: Option<String>, path: Vec<Point>, mode: Mode, speed: u8 }`.
SCHEMARS = """{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Move",
  "description": "Moves a joint.",
  "type": "object",
  "properties": {
    "joint": {"type": "integer", "format": "uint32", "minimum": 0},
    "to": {"description": "In radians.", "type": "number", "format": "double"},
    "label": {"type": ["string", "null"]},
    "path": {"type": "array", "items": {"$ref": "#/$defs/Point"}},
    "mode": {"$ref": "#/$defs/Mode", "default": "Fast"},
    "speed": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255, "default": 10}
  },
  "required": ["joint", "to", "path"],
  "$defs": {
    "Point": {
      "type": "object",
      "properties": {"x": {"type": "number", "format": "double"}, "y": {"type": "number", "format": "double"}},
      "required": ["x", "y"]
    },
    "Mode": {
      "oneOf": [
        {"type": "string", "enum": ["Fast", "Slow"]},
        {
          "type": "object",
          "properties": {
            "Limited": {"type": "object", "properties": {"to": {"type": "number"}}, "required": ["to"]}
          },
          "required": ["Limited"],
          "additionalProperties": false
        }
      ]
    }
  }
}"""
RIGHT = {"joint": 1, "to": 0.5, "path": [{"x": 0, "y": 1.5}]}


def one(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.fixture
def move(endpoint):
    @endpoint.register(request_schema=SCHEMARS)
    def move(joint, to, path, mode, speed=10, label=None):  # noqa: PLR0913, PLR0917 - as many as the schema has
        return [joint, to, label, path, mode, speed]

    return endpoint["move"]


def mistakes(call, *args, **kwargs):
    with pytest.raises(ValidationError) as raised:
        call(*args, **kwargs)
    return [(one["loc"], one["type"], one["msg"]) for one in raised.value.errors()]


class TestSchemars:
    def test_the_handler_gets_plain_keywords(self, move):
        assert move(**RIGHT) == [1, 0.5, None, [{"x": 0, "y": 1.5}], "Fast", 10]

    def test_by_position_in_the_order_of_the_properties(self, move):
        assert move(1, 0.5, "a", [], {"Limited": {"to": 1}}, 3) == [1, 0.5, "a", [], {"Limited": {"to": 1}}, 3]
        assert mistakes(move, 1, 0.5, "a", [], "Fast", 3, 4)[0][1] == "extra_forbidden"

    @pytest.mark.parametrize(
        ("change", "loc", "kind", "said"),
        [
            ({"joint": -1}, ("joint",), "greater_than_equal", "Input should be greater than or equal to 0"),
            ({"joint": 1 << 32}, ("joint",), "format", "Input should be a valid uint32"),
            ({"joint": "1"}, ("joint",), "int_type", "Input should be a valid integer"),
            ({"joint": True}, ("joint",), "int_type", "Input should be a valid integer"),
            ({"speed": 256}, ("speed",), "less_than_equal", "Input should be less than or equal to 255"),
            ({"label": 1}, ("label",), "type", "Input should be of type string or null, not int"),
            ({"path": [{"x": 1}]}, ("path", 0, "y"), "missing", "Field required"),
            ({"path": [{"x": 1, "y": "{no}"}]}, ("path", 0, "y"), "float_type", "Input should be a valid number"),
            ({"more": 1}, ("more",), "extra_forbidden", "Extra inputs are not permitted"),
            ({"mode": "Slower"}, ("mode",), "union", "Input fits none of 2 choices; of the nearest"),
            ({"mode": {"Limited": {}}}, ("mode",), "union", "of the nearest.Limited.to: Field required"),
        ],
    )
    def test_what_does_not_fit_is_told_as_pydantic_would(self, move, change, loc, kind, said):
        found = mistakes(move, **{**RIGHT, **change})
        assert [(one[0], one[1]) for one in found] == [(loc, kind)]
        assert said in found[0][2]

    def test_what_is_missing(self, move):
        assert [found[:2] for found in mistakes(move, joint=1)] == [(("to",), "missing"), (("path",), "missing")]

    def test_a_caller_sees_the_list(self, endpoint, move):
        with endpoint, RpcClient(endpoint.name) as client:
            assert client.call("move", **RIGHT)[0] == 1
            with pytest.raises(InvalidArgument) as raised:
                client.call("move", **{**RIGHT, "joint": -1})
            assert raised.value.code is Code.INVALID_ARGUMENT
            assert raised.value.details == [
                {
                    "loc": ["joint"],
                    "msg": "Input should be greater than or equal to 0",
                    "type": "greater_than_equal",
                }
            ]
            (told,) = client.call("pycrust.methods")
            assert json.loads(told["schema"])["request"] == json.loads(SCHEMARS)
            assert list(json.loads(told["schema"])["request"]["properties"])[:3] == ["joint", "to", "label"]

    def test_a_file(self, endpoint, tmp_path):
        file = tmp_path / "move.json"
        file.write_text(SCHEMARS)
        endpoint.register("move", request_schema=file)(lambda **kwargs: sorted(kwargs))
        assert endpoint["move"](**RIGHT) == ["joint", "path", "to"]
        with pytest.raises(ValueError, match=r"move: request_schema=/.*/none.json can't be read: .*No such file"):
            endpoint.register("move", request_schema=tmp_path / "none.json")(lambda **kwargs: 0)


class TestVersions:
    def test_the_schema_counts(self, endpoint):
        def handler(a):
            return a

        for schema, version in [("integer", 1), ("integer", 1), ("number", 2)]:
            endpoint.register("h", request_schema=one(a={"type": schema}))(handler)
            assert endpoint["h"].version == version
        endpoint.register("h")(handler)
        assert endpoint["h"].version == 3

    def test_the_dict_may_change_after(self, endpoint):
        schema = one(a={"type": "integer"})
        endpoint.register("h", request_schema=schema)(lambda a: a)
        schema["properties"]["a"]["type"] = "string"
        assert endpoint["h"](a=1) == 1


class TestRefused:
    @pytest.mark.parametrize(
        ("schema", "error", "said"),
        [
            ("{", ValueError, "no JSON"),
            ("move.json", ValueError, "for a file, give its pathlib.Path"),
            ("[]", TypeError, "not list"),
            (3, TypeError, "not int"),
            (one(a={"type": "strng"}), ValueError, r"wrong at \$\.properties\.a\.type: 'strng'"),
            (one(a={"pattern": "("}), ValueError, r"wrong at \$\.properties\.a\.pattern"),
            (one(a={"items": [{}]}), ValueError, r"wrong at \$\.properties\.a\.items"),
            (one(a={"$ref": "#/$defs/A"}), ValueError, r"'#/\$defs/A' at \$\.properties\.a\.\$ref: it has no such"),
            (one(a={"$ref": "https://example.com/a"}), ValueError, "nothing is fetched"),
            (one(a={"$ref": "file:///etc/passwd"}), ValueError, "nothing is fetched"),
            (one(a={"$ref": "other.json#/a"}), ValueError, "nothing is fetched"),
            (one(a={"$dynamicRef": "#a"}), ValueError, r"a \$dynamicRef"),
            (one(a={"$id": "https://example.com/a"}), ValueError, r"an \$id at \$\.properties\.a"),
            ({"$ref": "#"}, ValueError, r"in a circle at \$"),
            (
                {**one(a={"$ref": "#/$defs/A"}), "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}},
                ValueError,
                r"in a circle at \$\.\$defs\.A",
            ),
            (
                {**one(a={}), "$schema": "http://json-schema.org/draft-07/schema#"},
                ValueError,
                "draft-07.*read as Draft 2020-12",
            ),
            ({"type": "array"}, TypeError, 'describes "array"'),
            (one(b={}), TypeError, "requires 'a', request_schema has no such property"),
            (one(a={}, b={}), TypeError, "has 'b', the handler has no parameter"),
            ({"type": "object", "properties": {"a": {}}}, TypeError, "doesn't require 'a': give .* a default"),
            ({**one(a={}), "additionalProperties": True}, TypeError, r"no \*\*kwargs"),
        ],
    )
    def test_a_schema(self, endpoint, schema, error, said):
        with pytest.raises(error, match=f"h: .*{said}"):
            endpoint.register("h", request_schema=schema)(lambda a: a)
        assert list(endpoint) == []

    def test_a_dict_that_holds_itself(self, endpoint):
        schema = one(a={})
        schema["properties"]["a"] = schema
        with pytest.raises(ValueError, match="nested too deeply"):
            endpoint.register("h", request_schema=schema)(lambda a: a)

    def test_other_options(self, endpoint):
        class Model(BaseModel):
            a: int

        def stream(items: Iterator[int]) -> int:
            return sum(items)

        schema = one(a={})
        with pytest.raises(TypeError, match="request_model= and request_schema= both"):
            endpoint.register("h", request_schema=schema, request_model=Model)(lambda a: a)
        with pytest.raises(TypeError, match="batch="):
            endpoint.register("h", request_schema=schema, batch=Batch())(lambda a: a)
        with pytest.raises(TypeError, match="takes a stream"):
            endpoint.register(stream, request_schema=schema)
        with pytest.raises(TypeError, match="'a' is positional-only"):
            endpoint.register("h", request_schema=schema)(lambda a, /: a)

    def test_without_the_package(self, endpoint, monkeypatch):
        monkeypatch.setitem(sys.modules, "jsonschema", None)
        with pytest.raises(ImportError, match=r"h: request_schema= needs .*pip install 'pycrust\[schema\]'"):
            endpoint.register("h", request_schema=one(a={}))(lambda a: a)


class TestBeyondJson:
    def register(self, endpoint, schema):
        endpoint.register("h", request_schema=one(a=schema))(lambda a: a)
        return endpoint["h"]

    def test_bytes(self, endpoint):
        octets = {"type": "array", "items": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255}}
        for schema in (octets, {"type": "string", "format": "binary"}):
            assert self.register(endpoint, schema)(a=b"\xff") == b"\xff"
        assert self.register(endpoint, octets)(a=[255]) == [255]
        assert mistakes(self.register(endpoint, octets), a=[256])[0][:2] == (("a", 0), "less_than_equal")
        for schema in ({"type": "string"}, {"type": "array", "items": {"type": "integer"}}):
            assert mistakes(self.register(endpoint, schema), a=b"1")[0][1] == "type"

    def test_moments(self, endpoint):
        moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
        method = self.register(endpoint, {"type": "string", "format": "date-time"})
        assert method(a=moment) == moment
        assert method(a="2026-03-01T12:30:15.123456789Z") == "2026-03-01T12:30:15.123456789Z"
        assert mistakes(method, a="yesterday")[0][2] == "Input should be a valid date-time"
        assert mistakes(self.register(endpoint, {"type": "string"}), a=moment)[0][1] == "type"

    def test_arrays(self, endpoint):
        schema = {"type": "array", "x-array": "numpy", "dtype": "float32", "shape": [None, 3]}
        method = self.register(endpoint, schema)
        assert method(a=np.zeros((2, 3), "float32")).shape == (2, 3)
        for wrong in (np.zeros((2, 2), "float32"), np.zeros((2, 3)), b"1"):
            assert mistakes(method, a=wrong)[0][1] == "type"
        plain = self.register(endpoint, {"type": "array", "items": {"type": "number"}})
        assert mistakes(plain, a=np.zeros(3))[0][1] == "type"

    def test_keys_that_are_no_text(self, endpoint):
        schema = {
            "type": "object",
            "patternProperties": {"^\\d+$": {"type": "string"}},
            "additionalProperties": False,
        }
        method = self.register(endpoint, schema)
        assert method(a={1: "a", 22: "b"}) == {1: "a", 22: "b"}
        assert mistakes(method, a={1: 1})[0][:2] == (("a", "1"), "string_type")
        assert mistakes(method, a={-1: "a"})[0][:2] == (("a", "-1"), "extra_forbidden")

    def test_bounds_of_integers(self, endpoint):
        for kind, low, high in [("int8", -128, 127), ("uint64", 0, (1 << 64) - 1), ("int64", -(1 << 63), None)]:
            method = self.register(endpoint, {"type": "integer", "format": kind})
            assert method(a=low) == low
            if high is not None:
                assert method(a=high) == high
            if kind != "int64":
                assert mistakes(method, a=low - 1)[0][1] == "format"


class TestHostile:
    TREE = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/Node"}},
        "required": ["root"],
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
                "required": ["children"],
            }
        },
    }

    def test_recursive_schemas_and_deep_values(self, endpoint):
        endpoint.register("h", request_schema=self.TREE)(lambda root: root)
        node = {"children": []}
        for _ in range(50):
            node = {"children": [node]}
        with endpoint, RpcClient(endpoint.name) as client:
            try:
                assert client.call("h", root=node) == node
            except InvalidArgument as error:
                assert error.details[0]["type"] == "too_deep"
            assert client.call("h", root={"children": [{"children": []}]})
            with pytest.raises(InvalidArgument):
                client.call("h", root={"children": [{}]})

    def test_very_many_mistakes_are_a_short_answer(self, endpoint):
        endpoint.register("h", request_schema=one(a={"type": "array", "items": {"type": "string"}}))(lambda a: 0)
        with endpoint, RpcClient(endpoint.name) as client:
            with pytest.raises(InvalidArgument) as raised:
                client.call("h", a=list(range(200_000)))
            assert len(raised.value.details) == 100
            assert len(raised.value.message) < 1_000

    def test_very_many_mistakes_in_choices(self, endpoint):
        choices = [{"type": "null"}, {"type": "integer"}, {"type": "array", "items": {"$ref": "#/$defs/N"}}]
        endpoint.register("h", request_schema={**one(a={"$ref": "#/$defs/N"}), "$defs": {"N": {"anyOf": choices}}})(
            lambda a: a
        )
        assert endpoint["h"](a=[[1, None]]) == [[1, None]]
        ((loc, kind, said),) = mistakes(endpoint["h"], a=[["x"] * 50 for _ in range(20_000)])
        assert (loc, kind) == (("a",), "union")
        assert said == "Input fits none of 3 choices; of the nearest.0.0: Input should be a valid integer"

    def test_unique_items_that_are_maps(self, endpoint):
        schema = {"type": "array", "items": {"type": "object"}, "uniqueItems": True}
        endpoint.register("h", request_schema=one(a=schema))(len_of)
        assert endpoint["h"](a=[{"k": n} for n in range(20_000)]) == 20_000
        assert endpoint["h"](a=[[1, {"a": 1}], [True, {"a": 1}]] and [{"a": 1}, {"a": True}]) == 2
        assert mistakes(endpoint["h"], a=[{"a": 1}, {"b": 1}, {"a": 1.0}])[0][1] == "unique_items"

    def test_values_are_not_in_the_message(self, endpoint):
        endpoint.register("h", request_schema=one(a={"type": "integer"}, b={"enum": ["x"]}))(lambda a, b: 0)
        with endpoint, RpcClient(endpoint.name) as client:
            with pytest.raises(InvalidArgument) as raised:
                client.call("h", a="secret", b="secret")
            assert "secret" not in str(raised.value.message) + str(raised.value.details)


def len_of(a):
    return len(a)


class TestEnumsOfRust:
    SCHEMA = {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": "stop"}}, "required": ["kind"]},
            {
                "type": "object",
                "properties": {"kind": {"const": "go"}, "to": {"type": "number"}},
                "required": ["kind", "to"],
            },
        ]
    }

    def test_need_keywords(self, endpoint):
        endpoint.register("h", request_schema=self.SCHEMA)(lambda **order: order)
        assert endpoint["h"](kind="go", to=1.5) == {"kind": "go", "to": 1.5}
        assert mistakes(endpoint["h"], kind="go")[0][1] == "union"
        with pytest.raises(TypeError, match=r"no \*\*kwargs"):
            endpoint.register("h", request_schema=self.SCHEMA)(lambda kind: kind)


def test_hidden_names_hide_what_comes_by_position():
    with RpcEndpoint("schema-secrets") as endpoint:
        endpoint.recording(redact=["password"])
        endpoint.register("login", request_schema=one(user={"type": "string"}, password={"type": "string"}))(
            lambda user, password: user
        )
        with RpcClient("schema-secrets") as client:
            client.call("login", "ada", "hunter2")
        assert "hunter2" not in str([call.arguments for call in endpoint.traffic()])
        assert "ada" in str([call.arguments for call in endpoint.traffic()])
