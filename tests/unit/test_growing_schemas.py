"""A change that is called compatible is one: what callers of the old version send is taken, what they get is read.

Random handlers and models are changed at random. What is sent is made from the old version's JSON Schema, what is
answered from the new one's. That is read strictly, as by a typed client that knows no bounds but an integer's sign.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, create_model
from pydantic_core import ValidationError

from pycrust import RpcEndpoint
from pycrust.handlers.schema import request_schema
from pycrust.handlers.schema_diff import schema_changes

#: Names of fields; few, so that what comes anew has sometimes been there.
NAMES = ["a", "b", "c", "d", "e"]
#: Stands for a field that must be given.
REQUIRED: Any = object()
#: Calls that each version gets.
CALLS = 6


@dataclass(frozen=True)
class Type:
    """A type of a random handler: `inside` are its parts, in the order that the kind has them."""

    kind: str
    inside: tuple[Any, ...] = ()
    least: int | None = None
    most: int | None = None
    #: Of a struct: its name, and what it says of fields that it doesn't know.
    name: str = ""
    extra: str | None = None


@dataclass(frozen=True)
class Part:
    """A field of a struct."""

    name: str
    type: Type
    default: Any = REQUIRED


# Making and changing types --------------------------------------------------------------------------------


def some_type(rng: random.Random, depth: int) -> Type:  # noqa: PLR0911 - one for each kind
    kinds = ["int", "int", "float", "str", "bool", "literal"]
    if depth:
        kinds += ["list", "map", "tuple", "optional", "struct", "struct", "union", "tagged"]
    kind = rng.choice(kinds)
    match kind:
        case "int":
            return Type("int", least=rng.choice([None, None, 0, -3]), most=rng.choice([None, None, 9]))
        case "str":
            return Type("str", most=rng.choice([None, None, 3]))
        case "literal":
            return Type("literal", tuple(rng.sample(["x", "y", "z", 1, 2], rng.randint(1, 3))))
        case "list" | "map" | "optional":
            return Type(kind, (some_type(rng, depth - 1),))
        case "tuple":
            return Type("tuple", tuple(some_type(rng, depth - 1) for _ in range(rng.randint(1, 3))))
        case "struct":
            return some_struct(rng, depth - 1)
        case "union":
            return Type("union", tuple(some_type(rng, depth - 1) for _ in range(2)))
        case "tagged":
            return Type("tagged", tuple(tagged(rng, at, depth - 1) for at in range(2)))
    return Type(kind)


def some_struct(rng: random.Random, depth: int) -> Type:
    names = rng.sample(NAMES, rng.randint(0, 3))
    return Type(
        "struct",
        tuple(some_part(rng, name, depth) for name in names),
        name=rng.choice(["Point", "Pose", "Order"]),
        extra=rng.choice([None, None, None, "ignore", "allow"]),
    )


def tagged(rng: random.Random, at: int, depth: int) -> Type:
    kind = Part("kind", Type("literal", (f"t{at}",)), rng.choice([REQUIRED, f"t{at}"]))
    struct = some_struct(rng, depth)
    return replace(struct, inside=(kind, *struct.inside), name=f"Tag{at}")


def some_part(rng: random.Random, name: str, depth: int) -> Part:
    kind = some_type(rng, depth)
    return Part(name, kind, rng.choice([REQUIRED, value_of(rng, kind)]))


def changed(rng: random.Random, old: Type) -> Type:
    """The type with one thing changed, here or further inside."""
    if old.inside and rng.random() < 0.5 and old.kind != "literal":
        at = rng.randrange(len(old.inside))
        part = old.inside[at]
        if isinstance(part, Part):
            part = replace(part, type=changed(rng, part.type))
            if part.default is not REQUIRED:
                part = replace(part, default=value_of(rng, part.type))
        else:
            part = changed(rng, part)
        return replace(old, inside=(*old.inside[:at], part, *old.inside[at + 1 :]))
    general = [
        lambda: Type("optional", (old,)),
        lambda: some_type(rng, 1),
        lambda: Type("union", (old, some_type(rng, 0))),
    ]
    return rng.choice([*general, *CHANGES.get(old.kind, lambda *_: [])(rng, old) * 3])()


def _of_int(rng: random.Random, old: Type) -> list[Any]:
    return [
        lambda: Type("float"),
        lambda: replace(old, least=rng.choice([None, 0, -3, 1])),
        lambda: replace(old, most=rng.choice([None, 9, 12])),
    ]


def _of_literal(rng: random.Random, old: Type) -> list[Any]:
    further = [value for value in ["x", "y", "z", 1, 2] if value not in old.inside]
    return [
        lambda: replace(old, inside=(*old.inside, rng.choice(further))),
        lambda: replace(old, inside=old.inside[1:] or ("x",)),
        lambda: replace(old, inside=old.inside[::-1]),
        lambda: Type("str"),
    ]


def _of_struct(rng: random.Random, old: Type) -> list[Any]:
    parts = list(old.inside)
    unused = [name for name in NAMES if name not in {part.name for part in parts}] or ["f"]

    def added(at: int, *, default: bool) -> Type:
        part = some_part(rng, rng.choice(unused), 0)
        part = replace(part, default=value_of(rng, part.type) if default else REQUIRED)
        return replace(old, inside=(*parts[:at], part, *parts[at:]))

    def other_default() -> Type:
        at = rng.randrange(len(parts))
        default = REQUIRED if parts[at].default is not REQUIRED else value_of(rng, parts[at].type)
        return replace(old, inside=(*parts[:at], replace(parts[at], default=default), *parts[at + 1 :]))

    def renamed() -> Type:
        at = rng.randrange(len(parts))
        return replace(old, inside=(*parts[:at], replace(parts[at], name=unused[0]), *parts[at + 1 :]))

    found = [
        lambda: added(len(parts), default=True),
        lambda: added(len(parts), default=True),
        lambda: added(len(parts), default=False),
        lambda: added(rng.randint(0, len(parts)), default=True),
        lambda: replace(old, extra=rng.choice([None, "ignore", "allow"])),
        lambda: replace(old, name="Renamed"),
    ]
    if parts:
        found += [
            other_default,
            other_default,
            renamed,
            lambda: replace(old, inside=tuple(rng.sample(parts, len(parts)))),
            lambda: replace(old, inside=tuple(parts[:-1])),
        ]
    return found


def _of_choices(rng: random.Random, old: Type) -> list[Any]:
    def more() -> Type:
        one = tagged(rng, 7, 0) if old.kind == "tagged" else some_type(rng, 0)
        return replace(old, inside=(*old.inside, one))

    # A list of choices that one of them left is a union of one, which is that choice.
    return [more, more, lambda: replace(old, inside=old.inside[::-1]), lambda: old.inside[0]]


CHANGES: dict[str, Any] = {
    "int": _of_int,
    "float": lambda _rng, _old: [lambda: Type("int")],
    "str": lambda rng, old: [lambda: replace(old, most=rng.choice([None, 2, 5])), lambda: Type("literal", ("x",))],
    "literal": _of_literal,
    "struct": _of_struct,
    "union": _of_choices,
    "tagged": _of_choices,
    "optional": lambda _rng, old: [lambda: old.inside[0]],
    "tuple": lambda rng, old: [
        lambda: replace(old, inside=(*old.inside, some_type(rng, 0))),
        lambda: replace(old, inside=old.inside[1:] or old.inside),
        lambda: Type("list", old.inside[:1]),
    ],
}


# Types as annotations -------------------------------------------------------------------------------------


def annotation(of: Type, *, reader: bool = False) -> Any:  # noqa: PLR0911 - one for each kind
    """A type as Python has it; a reader ignores what it doesn't know, and bounds."""
    inside = [annotation(one, reader=reader) for one in of.inside if isinstance(one, Type)]
    match of.kind:
        case "int" if reader:
            return Annotated[int, Field(ge=0)] if of.least is not None and of.least >= 0 else int
        case "int":
            return Annotated[int, Field(ge=of.least, le=of.most)]
        case "str":
            return str if reader else Annotated[str, Field(max_length=of.most)]
        case "literal":
            return Literal[of.inside]
        case "list":
            return list[inside[0]]
        case "map":
            return dict[str, inside[0]]
        case "tuple":
            return tuple[tuple(inside)]
        case "optional":
            return inside[0] | None
        case "union":
            return Union[tuple(inside)]  # noqa: UP007 - of so many
        case "tagged":
            return Annotated[Union[tuple(inside)], Field(discriminator="kind")]  # noqa: UP007 - of so many
        case "struct":
            return model(of, reader=reader)
    return {"float": float, "bool": bool}[of.kind]


def model(of: Type, *, reader: bool = False) -> type[BaseModel]:
    extra: Any = "ignore" if reader else of.extra
    fields: Any = {
        part.name: (
            annotation(part.type, reader=reader),
            ... if part.default is REQUIRED else Field(part.default, validate_default=True),
        )
        for part in of.inside
    }
    return create_model(of.name, __config__=ConfigDict(extra=extra) if extra else ConfigDict(), **fields)


def value_of(rng: random.Random, of: Type) -> Any:
    """A value of a type, for a default."""
    schema = request_schema(TypeAdapter(annotation(of)))
    return Values(rng, schema, arrays=False).value(schema)


# Values from schemas --------------------------------------------------------------------------------------


@dataclass
class Values:
    """Makes values that a JSON Schema describes, structs as arrays or as maps."""

    rng: random.Random
    root: dict[str, Any]
    arrays: bool

    def value(self, schema: Any) -> Any:  # noqa: PLR0911, PLR0912 - one for each kind
        rng = self.rng
        schema = self.resolved(schema)
        for choices in ("anyOf", "oneOf"):
            if choices in schema:
                choice = self.resolved(rng.choice(schema[choices]))
                found = self.value(choice)
                if isinstance(found, dict) and "discriminator" in schema:
                    tag = schema["discriminator"]["propertyName"]
                    found[tag] = self.value(choice["properties"][tag])
                return found
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return rng.choice(schema["enum"])
        match schema.get("type"):
            case "integer":
                least, most = schema.get("minimum", -(1 << 63)), schema.get("maximum", (1 << 63) - 1)
                return rng.choice([least, most, max(least, min(most, rng.choice([-1, 0, 2, 12])))])
            case "number":
                return rng.choice([0.5, -1.0, 1e300, 3])
            case "string":
                return rng.choice(["", "x", "y", "n" * schema.get("maxLength", 20)])
            case "boolean":
                return rng.choice([True, False])
            case "null":
                return None
            case "array" if "prefixItems" in schema:
                return [self.value(place) for place in schema["prefixItems"]]
            case "array":
                return [self.value(schema.get("items", {})) for _ in range(rng.randint(0, 2))]
            case "object" if "properties" in schema:
                return self.struct(schema)
            case "object":
                values = schema.get("additionalProperties", {})
                return {key: self.value(values) for key in rng.sample(["k", "l", "a"], rng.randint(0, 2))}
        return rng.choice([0, "any", None])

    def resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            schema = self.root["$defs"][schema["$ref"].rpartition("/")[2]]
        return schema

    def struct(self, schema: dict[str, Any]) -> Any:
        rng, required = self.rng, schema.get("required", [])
        fields = schema["properties"]
        if self.arrays:
            least = max((at + 1 for at, name in enumerate(fields) if name in required), default=0)
            count = rng.randint(least, len(fields))
            return [self.value(field) for field in list(fields.values())[:count]]
        given = {
            name: self.value(field) for name, field in fields.items() if name in required or rng.random() < 0.7
        }
        more = schema.get("additionalProperties")
        if more is True:
            given |= {name: rng.choice([1, "more"]) for name in rng.sample(NAMES, 1) if name not in fields}
        elif more is None and rng.random() < 0.3:
            given["beyond"] = 1
        return given


# Handlers -------------------------------------------------------------------------------------------------


@dataclass
class Answers:
    """What the handler of a test answers."""

    value: Any = None
    calls: int = 0

    def give(self) -> Any:
        self.calls += 1
        return self.value


@dataclass(frozen=True)
class Method:
    """A random handler: what it takes, as a signature or as a model, and what it gives."""

    request: Type
    response: Type
    by_model: bool

    def register(self, endpoint: RpcEndpoint, answers: Answers) -> None:
        result = annotation(self.response)
        if self.by_model:

            def fields(**_given: Any) -> Any:
                return answers.give()

            endpoint.register("f", request_model=model(self.request), response_model=result)(fields)
            return
        names: dict[str, Any] = {"answers": answers, "Result": result}
        parameters = []
        for at, part in enumerate(self.request.inside):
            names[f"Type{at}"], names[f"default{at}"] = annotation(part.type), part.default
            default = "" if part.default is REQUIRED else f" = default{at}"
            parameters.append(f"{part.name}: Type{at}{default}")
        # Some orders of parameters are only possible by keyword.
        defaults = [part.default is not REQUIRED for part in self.request.inside]
        if defaults != sorted(defaults):
            parameters.insert(0, "*")
        exec(f"def f({', '.join(parameters)}) -> Result:\n    return answers.give()", names)  # noqa: S102
        endpoint.register("f")(names["f"])

    def changed(self, rng: random.Random) -> Method:
        if rng.random() < 0.4:
            return replace(self, response=changed(rng, self.response))
        # What comes of the arguments as a whole is a struct.
        for _ in range(20):
            request = changed(rng, self.request)
            if request.kind == "struct":
                return replace(self, request=request)
        return self


def some_method(rng: random.Random) -> Method:
    by_model = rng.random() < 0.5
    request = some_struct(rng, 2)
    # A handler with **kwargs could take more than it names; here each says what it takes.
    return Method(replace(request, extra=request.extra if by_model else None), some_type(rng, 2), by_model)


def refused(endpoint: RpcEndpoint, arguments: Any, answers: Answers) -> str:
    """Why the handler doesn't take these arguments; "" if it does."""
    calls = answers.calls
    try:
        endpoint._dispatch("f", arguments)
    except ValidationError as error:
        if answers.calls > calls:
            raise  # the result did not fit
        return str(error)
    return ""


@pytest.mark.filterwarnings("ignore:.*shadows an attribute")
def test_what_is_called_compatible_is():
    counts: Counter[str] = Counter()

    @settings(
        max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    @given(st.randoms(use_true_random=True))
    def holds(rng: random.Random) -> None:
        endpoint = RpcEndpoint("growing", fresh=True)
        old = some_method(rng)
        answers = Answers()
        old.register(endpoint, answers)
        old_text = endpoint["f"].history[-1].schema
        before = json.loads(old_text)
        answers.value = Values(rng, before["response"], arrays=False).value(before["response"])
        sent = []
        for arrays in (False, True) * CALLS:
            arguments = Values(rng, before["request"], arrays=arrays).value(before["request"])
            why = refused(endpoint, arguments, answers)
            # A struct of a union is not always told from a list.
            assert arrays or not why, (arguments, why, before["request"])
            taken = not why
            counts["array" if arrays else "map", taken] += 1
            sent += [arguments] if taken else []

        try:
            old.changed(rng).register(endpoint, answers)
        except (PydanticUserError, TypeError):
            counts["no handler"] += 1  # a choice without the field that tells it from the others
            return
        new_text = endpoint["f"].history[-1].schema
        changes = schema_changes(old_text, new_text)
        schema = json.loads(new_text)["response"]
        answers.value = Values(rng, schema, arrays=False).value(schema)
        if any(change.breaking for change in changes):
            counts["breaking"] += 1
            return
        counts["compatible" if changes else "same"] += 1
        for arguments in sent:
            why = refused(endpoint, arguments, answers)
            assert not why, (arguments, why, changes, old_text, new_text)
        reader = TypeAdapter(annotation(old.response, reader=True))
        for _ in range(CALLS):
            answers.value = Values(rng, schema, arrays=False).value(schema)
            result = json.dumps(endpoint._dispatch("f", sent[0]))
            reader.validate_json(result, strict=True)

    holds()
    assert counts["breaking"] >= 25, counts
    assert counts["compatible"] >= 25, counts
    assert counts["map", True] >= 300, counts
    assert counts["array", True] >= 300, counts
