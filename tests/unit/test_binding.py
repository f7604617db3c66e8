"""How arguments reach a handler: by name, by position, not at all; validated by a model or by annotations."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    model_validator,
)

from pycrust import validate_arguments
from pycrust._extension import Handler, decode, encode


class AddArgs(BaseModel):
    a: int
    b: int = 5


def add(a: int, b: int = 5) -> int:
    return a + b


def _received(*args, **kwargs):
    return args, kwargs


class TestByAnnotations:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ({"a": 1, "b": 2}, ((), {"a": 1, "b": 2})),
            ({"a": 1}, ((), {"a": 1, "b": 5})),
            ([1, 2], ((1, 2), {})),
            ([1], ((1,), {"b": 5})),
            ((1, 2), ((1, 2), {})),
            (1, ((1,), {"b": 5})),
            ("1", ((1,), {"b": 5})),
        ],
    )
    def test_bound(self, arguments, expected):
        assert validate_arguments(add, arguments) == expected

    @pytest.mark.parametrize("arguments", [None, [], {}, {"b": 1}, [1, 2, 3], {"a": 1, "c": 2}, ["x"], {"a": None}])
    def test_refused(self, arguments):
        with pytest.raises(ValidationError):
            validate_arguments(add, arguments)

    @pytest.mark.parametrize("arguments", [None, [], {}, ()])
    def test_nothing_is_no_argument(self, arguments):
        assert validate_arguments(lambda: None, arguments) == ((), {})

    @pytest.mark.parametrize("arguments", [0, [None], {"a": 1}, False, ""])
    def test_no_parameters_take_nothing(self, arguments):
        with pytest.raises(ValidationError) as caught:
            validate_arguments(lambda: None, arguments)
        assert {error["type"] for error in caught.value.errors()} == {"extra_forbidden"}

    @pytest.mark.parametrize("arguments", [None, [], {}])
    def test_all_defaults(self, arguments):
        def handler(a: int = 1, *, b: int = 2): ...

        args, kwargs = validate_arguments(handler, arguments)
        assert (args, kwargs) == ((), {"a": 1, "b": 2})

    def test_an_explicit_nil_is_an_argument_by_name(self):
        assert validate_arguments(lambda a: a, {"a": None}) == ((), {"a": None})

    def test_unannotated_parameters_take_what_came(self):
        value = {"x": [1, "2", b"3", None, {"y": 1.5}]}
        assert validate_arguments(lambda a, b: None, [value, "1"]) == ((value, "1"), {})

    def test_unannotated_parameters_are_counted(self):
        with pytest.raises(ValidationError):
            validate_arguments(lambda a, b: None, [1])

    def test_a_map_for_one_parameter_binds_by_name(self):
        with pytest.raises(ValidationError):
            validate_arguments(lambda config: None, {"speed": 1})
        assert validate_arguments(lambda config: None, {"config": {"speed": 1}}) == ((), {"config": {"speed": 1}})
        assert validate_arguments(lambda config: None, [{"speed": 1}]) == (({"speed": 1},), {})

    def test_positional_only(self):
        def handler(a: int, /, b: int): ...

        assert validate_arguments(handler, ["1", 2]) == ((1, 2), {})
        with pytest.raises(ValidationError):
            validate_arguments(handler, {"a": 1, "b": 2})

    def test_keyword_only_by_name_and_by_position(self):
        def handler(a: int, *, b: int, c: int = 7): ...

        assert validate_arguments(handler, {"a": 1, "b": 2}) == ((), {"a": 1, "b": 2, "c": 7})
        assert validate_arguments(handler, [1, 2, "3"]) == ((1,), {"b": 2, "c": 3})
        assert validate_arguments(handler, [1, 2]) == ((1,), {"b": 2, "c": 7})
        with pytest.raises(ValidationError):
            validate_arguments(handler, [1, 2, 3, 4])
        with pytest.raises(ValidationError):
            validate_arguments(handler, [1])

    def test_variadic(self):
        def handler(a: int, *rest: int, key: str = "k", **more: float): ...

        assert validate_arguments(handler, [1, "2", 3]) == ((1, 2, 3), {"key": "k"})
        assert validate_arguments(handler, {"a": 1, "x": "2.5"}) == ((), {"a": 1, "key": "k", "x": 2.5})
        with pytest.raises(ValidationError):
            validate_arguments(handler, [1, "two"])

    def test_anything_goes_unvalidated(self):
        assert validate_arguments(_received, None) == ((), {})
        assert validate_arguments(_received, [1, "2"]) == ((1, "2"), {})
        assert validate_arguments(_received, {"a": [1]}) == ((), {"a": [1]})
        assert validate_arguments(_received, 3) == ((3,), {})
        with pytest.raises(TypeError, match="named by strings"):
            validate_arguments(_received, {1: 2})

    def test_constraints(self):
        def handler(speed: Annotated[float, Field(gt=0, le=2)]): ...

        assert validate_arguments(handler, 1) == ((1.0,), {})
        with pytest.raises(ValidationError) as caught:
            validate_arguments(handler, {"speed": 3})
        (error,) = caught.value.errors()
        assert (error["loc"], error["type"]) == (("speed",), "less_than_equal")

    def test_types_that_only_python_knows_are_checked_by_instance(self):
        class Opaque: ...

        def handler(value: Opaque | None): ...

        with pytest.raises(ValidationError, match="instance of"):
            validate_arguments(handler, 1)

    def test_timestamps_arrive_as_aware_datetimes(self):
        moment = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)

        def handler(at: datetime): ...

        assert validate_arguments(handler, [moment]) == ((moment,), {})

    def test_a_partial_a_bound_method_and_a_callable_object(self):
        class Arm:
            def turn(self, by: int): ...

            def __call__(self, by: int): ...

        assert validate_arguments(functools.partial(add, b=1), {"a": "3"}) == ((), {"a": 3, "b": 1})
        assert validate_arguments(Arm().turn, ["4"]) == ((4,), {})
        assert validate_arguments(Arm(), ["5"]) == ((5,), {})

    def test_a_decorated_function_has_the_inner_signature(self):
        @functools.wraps(add)
        def wrapper(*args, **kwargs): ...

        assert validate_arguments(wrapper, ["1"]) == ((1,), {"b": 5})

    def test_a_builtin(self):
        assert validate_arguments(divmod, [7, 2]) == ((7, 2), {})

    def test_string_annotations_see_the_locals_of_the_definition(self):
        class Local(BaseModel):
            x: int

        def handler(value: Local): ...  # a string, by the __future__ import

        assert validate_arguments(handler, [[3]]) == ((Local(x=3),), {})

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**63), 2**64 - 1)
            | st.floats(allow_nan=False)
            | st.text()
            | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=20,
        )
    )
    def test_whatever_comes_is_bound_by_the_rule(self, value):
        """The rule, written out once more, against what another MessagePack implementation sends."""
        arguments = decode(msgpack.packb(value))
        if value is None:
            expected = ((), {})
        elif isinstance(value, dict):
            expected = ((), value)
        elif isinstance(value, list):
            expected = (tuple(value), {})
        else:
            expected = ((value,), {})
        assert Handler(_received, mode="raw").start(arguments) == expected
        assert msgpack.unpackb(encode(value), strict_map_key=False) == value


class Pose(BaseModel):
    x: float
    y: float = 0.0


class Aliased(BaseModel):
    first: int = Field(alias="FIRST")
    second: int = Field(2, validation_alias=AliasChoices(AliasPath("deep", 0), "SECOND"))


class Move(BaseModel):
    name: str
    start: Pose
    path: list[Pose] = []
    by_name: dict[str, Pose] = {}
    end: Pose | None = None
    before: Move | None = None
    aliased: Aliased | None = None


class TestNestedStructs:
    """`rmp_serde` writes structs as arrays on every level."""

    ARRAY = ["m", [1, 2], [[3, 4], [5, 6]], {"k": [7, 8]}, [9], ["n", [0, 0]], [1, 2]]
    MAP = {
        "name": "m",
        "start": {"x": 1, "y": 2},
        "path": [{"x": 3, "y": 4}, {"x": 5, "y": 6}],
        "by_name": {"k": {"x": 7, "y": 8}},
        "end": {"x": 9},
        "before": {"name": "n", "start": {"x": 0, "y": 0}},
        "aliased": {"FIRST": 1, "SECOND": 2},
    }

    def test_in_a_request_model(self):
        def handler(**fields): ...

        _, by_array = validate_arguments(handler, self.ARRAY, request_model=Move)
        _, by_map = validate_arguments(handler, self.MAP, request_model=Move)
        assert by_array == by_map == dict(Move.model_validate(self.MAP))

    def test_in_annotations(self):
        def handler(move: Move, poses: tuple[Pose, ...] = ()): ...

        args, _ = validate_arguments(handler, [self.ARRAY, [[1, 2]]])
        assert args == (Move.model_validate(self.MAP), (Pose(x=1, y=2),))
        _, kwargs = validate_arguments(handler, {"move": self.MAP})
        assert kwargs == {"move": Move.model_validate(self.MAP), "poses": ()}

    def test_too_long_an_array_is_refused_where_it_is(self):
        with pytest.raises(ValidationError) as caught:
            validate_arguments(lambda **fields: None, ["m", [1, 2, 3]], request_model=Move)
        assert [error["loc"] for error in caught.value.errors()] == [("start", 2)]

    def test_errors_name_the_place(self):
        with pytest.raises(ValidationError) as caught:
            validate_arguments(lambda **fields: None, ["m", [1, "y"], [[1], ["x", 2]]], request_model=Move)
        assert [error["loc"] for error in caught.value.errors()] == [("start", "y"), ("path", 1, "x")]

    def test_unions_choose_by_what_fits(self):
        class Circle(BaseModel):
            radius: float

        class Box(BaseModel):
            width: float
            height: float

        def handler(shape: Circle | Box | list[str]): ...

        assert validate_arguments(handler, [[1, 2]])[0] == (Box(width=1, height=2),)
        assert validate_arguments(handler, [[1]])[0] == (Circle(radius=1),)
        assert validate_arguments(handler, [["a", "b", "c"]])[0] == (["a", "b", "c"],)

    def test_tagged_unions(self):
        from typing import Literal

        class Circle(BaseModel):
            kind: Literal["circle"]
            radius: float

        class Box(BaseModel):
            kind: Literal["box"]
            width: float
            height: float

        def handler(shape: Annotated[Circle | Box, Field(discriminator="kind")]): ...

        assert validate_arguments(handler, [["box", 1, 2]])[0] == (Box(kind="box", width=1, height=2),)
        assert validate_arguments(handler, [{"kind": "circle", "radius": 1}])[0] == (
            Circle(kind="circle", radius=1),
        )
        with pytest.raises(ValidationError):
            validate_arguments(handler, [["star", 1]])

    def test_dataclasses_typed_dicts_and_named_tuples(self):
        import dataclasses

        from typing_extensions import TypedDict

        @dataclasses.dataclass
        class Data:
            a: int
            b: Pose
            c: int = dataclasses.field(default=3, init=False)

        class Typed(TypedDict):
            a: int
            b: Pose

        class Named(NamedTuple):
            a: int
            b: Pose

        def handler(data: Data, typed: Typed, named: Named): ...

        both = [1, [2, 3]]
        pose = Pose(x=2, y=3)
        args, _ = validate_arguments(handler, [both, both, both])
        assert args == (Data(1, pose), {"a": 1, "b": pose}, Named(1, pose))

    def test_root_models_and_validators_stay_as_they_are(self):
        class Names(RootModel[list[str]]): ...

        class Checked(BaseModel):
            low: int
            high: int

            @model_validator(mode="before")
            @classmethod
            def see(cls, data: Any) -> Any:
                seen.append(data)
                return data

        def handler(names: Names, checked: Checked): ...

        seen: list[Any] = []
        args, _ = validate_arguments(handler, [["a"], [1, 2]])
        assert args == (Names(["a"]), Checked(low=1, high=2))
        assert seen[0] == {"low": 1, "high": 2}

    def test_fields_may_be_named_like_parts_of_a_schema(self):
        class Odd(BaseModel):
            type: str
            schema_: Pose
            fields: Pose
            ref: str = "r"

        assert validate_arguments(lambda odd: None, [["t"]])[0] == (["t"],)

        def handler(odd: Odd): ...

        expected = Odd(type="t", schema_=Pose(x=1), fields=Pose(x=2))
        assert validate_arguments(handler, [["t", [1], [2]]])[0] == (expected,)

    def test_defaults_that_look_like_schemas_are_left_alone(self):
        class Odd(BaseModel):
            pose: Pose
            shape: dict[str, Any] = {"type": "model", "schema": 1}

        def handler(odd: Odd): ...

        assert validate_arguments(handler, [[[1]]])[0][0].shape == {"type": "model", "schema": 1}

    @given(st.lists(st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), max_size=5))
    def test_array_and_map_are_the_same(self, points):
        def handler(poses: list[Pose]): ...

        by_array = validate_arguments(handler, [[list(point) for point in points]])
        by_map = validate_arguments(handler, [[{"x": x, "y": y} for x, y in points]])
        assert by_array == by_map


class TestRequestModel:
    @pytest.mark.parametrize("arguments", [{"a": 1, "b": 2}, [1, 2], ["1", "2"], AddArgs(a=1, b=2)])
    def test_its_fields_are_keywords(self, arguments):
        assert validate_arguments(add, arguments, request_model=AddArgs) == ((), {"a": 1, "b": 2})

    def test_defaults_are_the_models(self):
        def handler(a, b): ...

        assert validate_arguments(handler, [1], request_model=AddArgs) == ((), {"a": 1, "b": 5})
        assert validate_arguments(handler, 1, request_model=AddArgs) == ((), {"a": 1, "b": 5})

    def test_nothing_is_an_empty_model(self):
        class Options(BaseModel):
            speed: float = 1.0

        for arguments in (None, [], {}):
            assert validate_arguments(lambda speed: None, arguments, request_model=Options) == ((), {"speed": 1.0})

    def test_the_model_itself(self):
        def handler(args: AddArgs): ...

        def annotated(args: Annotated[AddArgs, "doc"]): ...

        for function in (handler, annotated):
            for arguments in ({"a": 1}, [1], 1):
                assert validate_arguments(function, arguments, request_model=AddArgs) == ((AddArgs(a=1),), {})

    def test_aliases_name_the_fields_outside(self):
        def handler(first, second): ...

        for arguments in ({"FIRST": 1, "SECOND": 3}, {"FIRST": 1, "deep": [3]}, [1, 3]):
            bound = validate_arguments(handler, arguments, request_model=Aliased)
            assert bound == ((), {"first": 1, "second": 3})
        with pytest.raises(ValidationError):
            validate_arguments(handler, {"first": 1}, request_model=Aliased)

    def test_names_where_aliases_are_not_to_be_used(self):
        class ByName(BaseModel):
            model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)
            first: int = Field(alias="FIRST")

        assert validate_arguments(lambda first: None, [1], request_model=ByName) == ((), {"first": 1})

    def test_extra_fields_reach_kwargs(self):
        class Open(BaseModel):
            model_config = ConfigDict(extra="allow")
            a: int

        def handler(a, **more): ...

        assert validate_arguments(handler, {"a": 1, "z": 2}, request_model=Open) == ((), {"a": 1, "z": 2})
        with pytest.raises(TypeError, match="allows extra fields"):
            validate_arguments(lambda a: None, {"a": 1}, request_model=Open)

    def test_too_many_by_position(self):
        with pytest.raises(ValidationError, match=r"3 values came, 2 are taken \(a, b\)"):
            validate_arguments(add, [1, 2, 3], request_model=AddArgs)

    def test_a_handler_that_cannot_take_the_fields(self):
        def positional(a, b, /): ...

        for function, message in (
            (lambda a: None, "has the field 'b'"),
            (lambda a, b, c: None, "requires 'c'"),
            (lambda args: None, "annotate its one parameter with AddArgs"),
            (positional, "has the field 'a'"),
            (lambda: None, "has the field 'a'"),
        ):
            with pytest.raises(TypeError, match=message):
                validate_arguments(function, [1, 2], request_model=AddArgs)

    def test_only_models_with_fields(self):
        class Names(RootModel[list[str]]): ...

        for model, message in (
            (dict, "subclass of pydantic.BaseModel"),
            (Names, "RootModel"),
            (AddArgs(a=1), "subclass"),
        ):
            with pytest.raises(TypeError, match=message):
                validate_arguments(add, [1], request_model=model)

    def test_forward_references_to_locals(self):
        class Outer(BaseModel):
            inner: Inner

        class Inner(BaseModel):
            x: int

        assert validate_arguments(lambda inner: None, [[1]], request_model=Outer) == ((), {"inner": Inner(x=1)})

    def test_a_recursive_model(self):
        class Tree(BaseModel):
            value: int
            children: list[Tree] = []

        def handler(value, children): ...

        _, kwargs = validate_arguments(handler, [1, [[2, [[3]]], {"value": 4}]], request_model=Tree)
        expected = Tree(value=2, children=[Tree(value=3)]), Tree(value=4)
        assert (kwargs["value"], tuple(kwargs["children"])) == (1, expected)


class TestFastPath:
    """A flat validated call runs pydantic-core's own methods, no Python code of this package."""

    def test_annotations(self):
        from pycrust.handlers.arguments import plan_arguments
        from pycrust.handlers.signature import resolved_signature

        plan = plan_arguments("add", add, resolved_signature("add", add, {}), None, {})
        assert plan.mode == "args"
        assert type(plan.validate.__self__).__name__ == "SchemaValidator"

    def test_model(self):
        from pycrust.handlers.arguments import plan_arguments
        from pycrust.handlers.signature import resolved_signature

        plan = plan_arguments("add", add, resolved_signature("add", add, {}), AddArgs, {})
        assert (plan.mode, plan.fields) == ("fields", ("a", "b"))
        assert type(plan.validate.__self__).__name__ == "SchemaValidator"
