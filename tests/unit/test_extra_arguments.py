"""More or less than a handler knows: one rule for maps and arrays, with and without a model, at every depth."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import TypedDict

from pycrust import RpcEndpoint, validate_arguments
from pycrust.errors import describe_arguments


class Unsaid(BaseModel):
    a: int
    b: int = 5


class Ignoring(Unsaid):
    model_config = ConfigDict(extra="ignore")


class Allowing(Unsaid):
    model_config = ConfigDict(extra="allow")


class Forbidding(Unsaid):
    model_config = ConfigDict(extra="forbid")


@dataclasses.dataclass
class Data:
    a: int
    b: int = 5


class Typed(TypedDict):
    a: int
    b: int


def plain(a: int, b: int = 5): ...
def unsaid(pose: Unsaid): ...
def forbidding(pose: Forbidding): ...
def data(pose: Data): ...
def typed(pose: Typed): ...
def among(poses: list[dict[str, Unsaid]]): ...
def either(pose: Unsaid | list[str]): ...


class Tagged(BaseModel):
    kind: Literal["x"]
    a: int


class Other(BaseModel):
    kind: Literal["y"]


def chosen(pose: Annotated[Tagged | Other, Field(discriminator="kind")]): ...


def details(function: Any, arguments: Any, model: Any = None) -> list[dict[str, Any]]:
    """What a caller is told."""
    with pytest.raises(ValidationError) as caught:
        validate_arguments(function, arguments, request_model=model)
    code, payload = describe_arguments(caught.value)
    assert code == 3
    return payload["details"]


MAP, ARRAY = {"a": 1, "b": 2, "c": 3}, [1, 2, 3]


@pytest.mark.parametrize("model", [None, Unsaid, Forbidding])
def test_outermost(model):
    (by_name,) = details(plain, MAP, model)
    (by_position,) = details(plain, ARRAY, model)
    assert (by_name["loc"], by_name["type"]) == (["c"], "extra_forbidden")
    assert (by_position["loc"], by_position["type"]) == ([2], "extra_forbidden")
    assert by_name["msg"] == "Extra inputs are not permitted"
    assert by_position["msg"] == "Extra inputs are not permitted: 3 values came, 2 are taken (a, b)"


@pytest.mark.parametrize(
    ("function", "wrap", "place"),
    [
        (unsaid, lambda value: [value], [0]),
        (forbidding, lambda value: [value], [0]),
        (data, lambda value: [value], [0]),
        (typed, lambda value: [value], [0]),
        (among, lambda value: [[{"k": value}]], [0, 0, "k"]),
    ],
)
def test_nested(function, wrap, place):
    place = [next(iter(inspect.signature(function).parameters)), *place[1:]]
    (by_name,) = details(function, wrap(MAP))
    (by_position,) = details(function, wrap(ARRAY))
    assert (by_name["loc"], by_name["type"]) == ([*place, "c"], "extra_forbidden")
    assert (by_position["loc"], by_position["type"]) == ([*place, 2], "extra_forbidden")


class Holding(BaseModel):
    pose: Unsaid


class HoldingData(BaseModel):
    pose: Data


class HoldingTyped(BaseModel):
    pose: Typed


class HoldingMany(BaseModel):
    poses: list[dict[str, Unsaid]]


@pytest.mark.parametrize(
    ("function", "model", "wrap"),
    [
        (unsaid, Holding, lambda value: value),
        (data, HoldingData, lambda value: value),
        (typed, HoldingTyped, lambda value: value),
        (among, HoldingMany, lambda value: [{"k": value}]),
    ],
)
@pytest.mark.parametrize("surplus", [MAP, ARRAY])
@pytest.mark.parametrize("as_map", [True, False])
def test_nested_with_a_model_and_without_the_details_are_the_same(function, model, wrap, surplus, as_map):
    """Whichever of the outer and the inner struct comes as a map and which as an array."""
    (name,) = inspect.signature(function).parameters
    arguments = {name: wrap(surplus)} if as_map else [wrap(surplus)]
    (plain_line,), (model_line,) = details(function, arguments), details(function, arguments, model)
    inside = [0, "k"] if function is among else []
    assert plain_line["loc"] == [name, *inside, "c" if surplus is MAP else 2]
    assert plain_line["type"] == "extra_forbidden"
    assert plain_line == model_line


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Painted(BaseModel):
    color: Color
    finish: Literal["matt", "gloss"]


@pytest.mark.parametrize("model", [None, Painted])
@pytest.mark.parametrize("arguments", [{"color": "green", "finish": "wet"}, ["green", "wet"]])
def test_a_member_that_is_not_known_is_refused_with_those_that_are(model, arguments):
    def paint(color: Color, finish: Literal["matt", "gloss"]): ...

    of_color, of_finish = details(paint, arguments, model)
    assert (of_color["type"], of_finish["type"]) == ("enum", "literal_error")
    assert of_color["msg"] == "Input should be 'red' or 'blue'"
    assert of_finish["msg"] == "Input should be 'matt' or 'gloss'"


def test_in_a_union():
    assert {line["type"] for line in details(either, [MAP])} == {"extra_forbidden", "list_type"}
    assert "extra_forbidden" in {line["type"] for line in details(either, [ARRAY])}
    (by_name,) = details(chosen, [{"kind": "x", "a": 1, "c": 2}])
    (by_position,) = details(chosen, [["x", 1, 2]])
    assert (by_name["type"], by_position["type"]) == ("extra_forbidden", "extra_forbidden")


def test_a_handler_without_parameters():
    assert [line["loc"] for line in details(lambda: None, ["x", "y"])] == [[0], [1]]
    assert [line["loc"] for line in details(lambda: None, {"a": 1})] == [["a"]]
    (single,) = details(lambda: None, 3)
    assert single["type"] == "extra_forbidden"
    assert "takes no arguments" in single["msg"]


def test_a_model_that_says_otherwise():
    for arguments in (MAP, ARRAY):
        assert validate_arguments(plain, arguments, request_model=Ignoring) == ((), {"a": 1, "b": 2})

    def nested(pose: Ignoring, other: Allowing): ...

    (ignoring, allowing), _ = validate_arguments(nested, [MAP, MAP])
    assert (dict(ignoring), dict(allowing)) == ({"a": 1, "b": 2}, MAP)
    (ignoring, allowing), _ = validate_arguments(nested, [ARRAY, ARRAY])
    assert (dict(ignoring), dict(allowing)) == ({"a": 1, "b": 2}, {"a": 1, "b": 2})

    def kept(a, b, **more): ...

    assert validate_arguments(kept, MAP, request_model=Allowing) == ((), MAP)


def test_a_handler_that_says_otherwise():
    def rest(a: int, *rest: int, **more: int): ...

    assert validate_arguments(rest, ARRAY) == ((1, 2, 3), {})
    assert validate_arguments(rest, {"a": 1, "c": 3}) == ((), {"a": 1, "c": 3})


@pytest.mark.parametrize("model", [None, Unsaid])
def test_too_few(model):
    def both(a: int, b: int): ...

    class Both(BaseModel):
        a: int
        b: int

    (missing,) = details(both, [1], model and Both)
    assert (missing["loc"], missing["type"]) == (["b"], "missing")
    assert missing["msg"] == "Field required: 1 value came, 2 are taken (a, b)"
    (missing,) = details(both, {"a": 1}, model and Both)
    assert (missing["loc"], missing["type"], missing["msg"]) == (["b"], "missing", "Field required")


def test_a_default_may_be_added():
    """Callers that were built before go on working."""
    assert validate_arguments(plain, {"a": 1}) == ((), {"a": 1, "b": 5})
    assert validate_arguments(plain, [1]) == ((1,), {"b": 5})


def test_the_schema_says_so():
    endpoint = RpcEndpoint("extra")

    @endpoint.register(request_model=Unsaid)
    def closed(a, b): ...

    @endpoint.register(request_model=Ignoring)
    def open_(a, b): ...

    schema = {name: json.loads(endpoint[name].history[-1].schema)["request"] for name in ("closed", "open_")}
    assert schema["closed"]["additionalProperties"] is False
    assert "additionalProperties" not in schema["open_"]


class Aliased(BaseModel):
    a: int = Field(alias="A")


class ByName(BaseModel):
    model_config = ConfigDict(validate_by_name=True)
    a: int = Field(alias="A")


class Choices(BaseModel):
    a: int = Field(validation_alias=AliasChoices("A", AliasPath("deep", 0)))


class Renaming(BaseModel):
    a: int

    @model_validator(mode="before")
    @classmethod
    def rename(cls, given: Any) -> Any:
        return {"a": given["old"]} if "old" in given else given


class Changing(BaseModel):
    a: int
    b: int = 5

    @model_validator(mode="after")
    def change(self) -> Changing:
        self.b = 7
        return self


class Making(BaseModel):
    a: int

    def __init__(self, **given: Any) -> None:
        super().__init__(a=given["a"])


@pytest.mark.parametrize(
    ("model", "taken", "refused"),
    [
        (Aliased, [{"A": 1}], [{"A": 1, "a": 2}, {"A": 1, "c": 2}]),
        (ByName, [{"A": 1}, {"a": 1}], [{"A": 1, "c": 2}, {"a": 1, "c": 2}]),
        (Choices, [{"A": 1}, {"deep": [1]}], [{"A": 1, "c": 2}, {"deep": [1], "c": 2}]),
        (Renaming, [{"a": 1}, {"old": 1}], [{"a": 1, "c": 2}]),
        (Changing, [{"a": 1}], [{"a": 1, "c": 2}]),
        # Its constructor decides.
        (Making, [{"a": 1}, {"a": 1, "c": 2}], []),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_models_that_take_their_fields_in_other_ways(model, taken, refused):
    def handler(model): ...

    handler.__annotations__ = {"model": model}
    for arguments in taken:
        (found,), _ = validate_arguments(handler, arguments, request_model=model)
        assert found.a == 1
    for arguments in refused:
        assert {line["type"] for line in details(handler, arguments, model)} == {"extra_forbidden"}


def test_what_is_missing_is_told_beside_what_is_too_much():
    told = {tuple(line["loc"]): line["type"] for line in details(plain, {"A": 1}, Unsaid)}
    assert told == {("a",): "missing", ("A",): "extra_forbidden"}
