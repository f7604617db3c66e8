"""From a handler's signature to the plan by which the native side binds a call's arguments.

The modes of `pycrust._native.Handler`, and what its `validate` then takes and gives:

- `none`: no parameters; only nil or an empty array or map is accepted.
- `raw`: everything fits (`*args, **kwargs` without annotations); nothing is validated.
- `args`: `validate(ArgsKwargs)` gives `(args, kwargs)`.
- `fields`: `validate(dict)` gives an instance of the request model, whose fields are the keywords.
- `model`: the same, and the instance is the one argument.
- `items`: `validate(item)` gives each item of the iterator that is the one argument.

`validate` is a method of pydantic-core's, so that a validated call runs no Python code of this package,
except for nested structs (`structs`), rarer forms of dates, times and bytes (`wireforms`) and keyword-only
parameters (below). More values by position than there are fields are refused natively, unless the plan
takes `more`.
"""

from __future__ import annotations

import inspect
import types
import typing
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, is_typeddict

from pydantic import BaseModel, ConfigDict, RootModel, TypeAdapter
from pydantic_core import ArgsKwargs, SchemaValidator

from pycrust.handlers.request_schema.given import GivenSchema, read_schema
from pycrust.handlers.schema import request_schema
from pycrust.handlers.sendable import check_arguments, check_model, check_places
from pycrust.handlers.signature import SINGLE, stand_in
from pycrust.handlers.structs import extra_behavior, field_names, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pycrust.handlers.structs import Schema

#: Classes that Pydantic doesn't know are checked with isinstance.
ARBITRARY = ConfigDict(arbitrary_types_allowed=True)

Mode = Literal["none", "raw", "fields", "model", "args", "items"]


@dataclass(frozen=True, slots=True)
class ArgumentPlan:
    """How a handler's arguments are bound and validated."""

    mode: Mode
    #: What the native side validates with.
    validate: Callable[[Any], Any] | None
    #: Names by which an array is bound by position, in order.
    fields: tuple[str, ...]
    #: The JSON Schema of a request.
    schema: dict[str, Any]
    #: What they are validated by, as it was before arrays were accepted in place of structs; `None` is anything.
    core: Mapping[str, Any] | None = None
    #: Whether more may come by position than there are fields.
    more: bool = False


def plan_items(method: str, parameter: str, declared: Any) -> ArgumentPlan:
    """How the arguments of a handler that takes a stream are validated: one by one.

    Args:
        method: The method's name, for errors.
        parameter: The name of the handler's one parameter.
        declared: The type of the items.

    Returns:
        The plan.

    Raises:
        TypeError: Pydantic can't make a schema.
    """
    if declared is Any:
        return ArgumentPlan("items", None, (parameter,), {"type": "array"})
    try:
        of_all: Any = types.GenericAlias(list, (declared,))
        adapter: TypeAdapter[Any] = TypeAdapter(of_all, config=ARBITRARY)
        config = None if _is_class_with_config(declared) else ARBITRARY
        items: TypeAdapter[Any] = TypeAdapter(declared, config=config)
    except Exception as error:  # Pydantic's errors have no common class, and annotations run a user's code
        raise TypeError(f"{method}: no validator can be made for the arguments: {error}") from error
    core = from_wire(cast("Schema", items.core_schema)).schema
    validator = SchemaValidator(cast("Any", core), {"title": method}, _use_prebuilt=False)
    schema = request_schema(adapter)
    return ArgumentPlan("items", validator.validate_python, (parameter,), schema, items.core_schema)


def _is_class_with_config(declared: Any) -> bool:
    """Whether Pydantic refuses a configuration beside the type's own."""
    if not isinstance(declared, type):
        return False
    cls = cast("type[Any]", declared)
    return issubclass(cls, BaseModel) or is_dataclass(cls) or is_typeddict(cls)


def plan_arguments(
    method: str,
    function: Callable[..., Any],
    signature: inspect.Signature,
    request_model: type[BaseModel] | None,
    names: Mapping[str, Any],
) -> ArgumentPlan:
    """Chooses how a handler's arguments are bound and builds what validates them.

    Args:
        method: The method's name, for errors.
        function: The handler.
        signature: Its signature, with annotations resolved.
        request_model: A model that the arguments are validated by, instead of the annotations.
        names: Names that the model's forward references may use.

    Returns:
        The plan.

    Raises:
        TypeError: The handler can't take what the model gives, or Pydantic can't make a schema.
    """
    try:
        if request_model is not None:
            return _plan_model(method, signature, request_model, names)
        return _plan_annotations(method, function, signature)
    except TypeError:
        raise  # it says what is wrong
    except Exception as error:  # Pydantic's errors have no common class, and annotations run a user's code
        raise TypeError(f"{method}: no validator can be made for the arguments: {error}") from error


def _plan_annotations(method: str, function: Callable[..., Any], signature: inspect.Signature) -> ArgumentPlan:
    parameters = list(signature.parameters.values())
    adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", stand_in(signature, function)), config=ARBITRARY)
    check_places(method, parameters)
    check_arguments(method, _arguments_of(cast("Schema", adapter.core_schema)))
    schema = request_schema(adapter)
    if not parameters:
        return ArgumentPlan("none", None, (), schema, _arguments_of(cast("Schema", adapter.core_schema)))
    fields = tuple(parameter.name for parameter in parameters if parameter.kind in SINGLE)
    if not fields and len(parameters) == 2 and all(p.annotation is p.empty for p in parameters):  # noqa: PLR2004 - *args and **kwargs
        return ArgumentPlan("raw", None, (), schema, _arguments_of(cast("Schema", adapter.core_schema)))
    core = from_wire(_arguments_of(cast("Schema", adapter.core_schema))).schema
    by_position = _keyword_only_by_position(parameters)
    if by_position is not None:
        core = _before(core, by_position)
    validator = SchemaValidator(cast("Any", core), {"title": method}, _use_prebuilt=False)
    more = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    given = _arguments_of(cast("Schema", adapter.core_schema))
    return ArgumentPlan("args", validator.validate_python, fields, schema, given, more)


def _arguments_of(schema: Schema) -> Schema:
    """The schema of a function's arguments, out of that of its call."""
    if schema["type"] == "definitions":
        return {**schema, "schema": _arguments_of(schema["schema"])}
    return schema["arguments_schema"]


def _before(schema: Schema, step: Callable[[Any], Any]) -> Schema:
    if schema["type"] == "definitions":
        return {**schema, "schema": _before(schema["schema"], step)}
    return {"type": "function-before", "function": {"type": "no-info", "function": step}, "schema": schema}


def _keyword_only_by_position(
    parameters: Sequence[inspect.Parameter],
) -> Callable[[Any], Any] | None:
    """Lets an array fill keyword-only parameters in order, since a struct can arrive as an array."""
    keyword_only = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    if not keyword_only or any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    positional = sum(
        parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD} for parameter in parameters
    )

    def fill(value: Any) -> Any:
        if isinstance(value, ArgsKwargs) and positional < len(value.args) <= positional + len(keyword_only):
            more = dict(zip(keyword_only, value.args[positional:], strict=False))
            return ArgsKwargs(value.args[:positional], {**more, **(value.kwargs or {})})
        return value

    return fill


def _plan_model(
    method: str, signature: inspect.Signature, model: type[BaseModel], names: Mapping[str, Any]
) -> ArgumentPlan:
    complete_model(method, "request_model", model, names)
    if issubclass(model, RootModel):
        raise TypeError(f"{method}: request_model={model.__name__} is a RootModel and has no fields to bind by")
    mode = _mode_for(method, signature, model)
    core = cast("Schema", model.__pydantic_core_schema__)
    check_model(method, core, lambda schema: _struct_of(schema)["schema"].get("fields"))
    rewritten = from_wire(core, outermost=False)
    if rewritten.changed:
        validate = SchemaValidator(cast("Any", rewritten.schema), _use_prebuilt=False).validate_python
    else:
        validate = model.__pydantic_validator__.validate_python
    struct = _struct_of(core)
    fields = field_names(struct) or ()
    more = extra_behavior(struct) != "forbid"
    return ArgumentPlan(mode, validate, tuple(fields), request_schema(TypeAdapter(model)), core, more)


def plan_schema(method: str, signature: inspect.Signature, given: Any) -> ArgumentPlan:
    """How arguments are bound and validated that a JSON Schema describes.

    Args:
        method: The method's name, for errors.
        signature: The handler's signature.
        given: The schema, as `register` was given it.

    Raises:
        ImportError: What validates by it is not installed.
        TypeError: It is no schema of arguments, or the handler can't take what it describes.
        ValueError: It is wrong, or can't be read.
    """
    schema = GivenSchema(method, read_schema(method, given), signature)
    return ArgumentPlan("args", schema.validate, schema.fields, schema.schema, schema.core)


def complete_model(method: str, option: str, model: Any, names: Mapping[str, Any]) -> None:
    """Checks that `model` is a Pydantic model whose forward references are all resolved.

    Raises:
        TypeError: It is not.
    """
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"{method}: {option} is a subclass of pydantic.BaseModel, not {model!r}")
    if not model.__pydantic_complete__:
        model.model_rebuild(_types_namespace={**vars(inspect.getmodule(model) or object), **names})


def _struct_of(schema: Schema) -> Schema:
    """The model's own schema, out of its definitions and of validators around it."""
    definitions: dict[str, Schema] = {}
    while schema["type"] != "model":
        if schema["type"] == "definitions":
            definitions = {definition["ref"]: definition for definition in schema["definitions"]}
            schema = schema["schema"]
        elif schema["type"] == "definition-ref":
            schema = definitions[schema["schema_ref"]]
        else:
            schema = schema["schema"]
    return schema


def _mode_for(method: str, signature: inspect.Signature, model: type[BaseModel]) -> Literal["fields", "model"]:
    """Whether the handler takes the model or its fields; refuses one that can take neither."""
    parameters = list(signature.parameters.values())
    if len(parameters) == 1 and parameters[0].kind in SINGLE and _bare(parameters[0].annotation) is model:
        return "model"
    has_kwargs = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    by_keyword = {p.name for p in parameters if p.kind in SINGLE[1:]}
    hint = f"annotate its one parameter with {model.__name__} to get the model itself"
    if missing := [name for name in model.model_fields if name not in by_keyword and not has_kwargs]:
        raise TypeError(
            f"{method}: {model.__name__} has the field {missing[0]!r}, the handler has no parameter of that "
            f"name; {hint}"
        )
    if model.model_config.get("extra") == "allow" and not has_kwargs:
        raise TypeError(
            f"{method}: {model.__name__} allows extra fields, the handler takes no **kwargs for them; {hint}"
        )
    for parameter in parameters:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"{method}: {parameter.name!r} is positional-only, fields are given by name; {hint}")
        if (
            parameter.kind in SINGLE
            and parameter.default is parameter.empty
            and parameter.name not in model.model_fields
        ):
            raise TypeError(
                f"{method}: the handler requires {parameter.name!r}, {model.__name__} has no such field; {hint}"
            )
    return "fields"


def _bare(annotation: Any) -> Any:
    """An annotation without what `Annotated` adds."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
