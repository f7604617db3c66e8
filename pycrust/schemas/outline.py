"""A method's schemas in a line, as Python writes a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycrust.schemas.shapes import Atom, Choice, Group, Members, Ref, SchemaReader, Struct, Values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pycrust.schemas.shapes import Part, Request, Shape

#: What the kinds of methods that stream are written with: arguments, result.
_STREAMS = {"upload": (True, False), "stream": (False, True), "exchange": (True, True)}


def signature(name: str, entry: Mapping[str, Any]) -> str:
    """A method as Python would declare it.

    Args:
        name: The method's name.
        entry: What a lock file has of it: `kind`, `request` and `response`.

    Examples:
        >>> request = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"default": 2}},
        ...            "required": ["a"]}
        >>> signature("add", {"kind": "call", "request": request, "response": {"type": "integer"}})
        'add(a: int, b: Any = 2) -> int'
    """
    kind = str(entry["kind"])
    uploads, streams = _STREAMS.get(kind, (False, False))
    request = SchemaReader(entry["request"], "Request").request(kind)
    result = _written(SchemaReader(entry["response"], "Response").whole())
    arguments = ", ".join(_arguments(request, uploads=uploads))
    return f"{name}({arguments}) -> {f'Iterator[{result}]' if streams else result}"


def _arguments(request: Request, *, uploads: bool) -> list[str]:
    if request.whole is not None:
        whole = _written(request.whole)
        return [f"Iterator[{whole}]" if uploads else whole]
    parts = [_argument(part) for part in request.parts]
    if request.by_position and parts:
        parts.append("/")
    if request.rest is not None:
        parts.append(f"*args: {_written(request.rest)}")
    if request.more is not None:
        parts.append(f"**kwargs: {_written(request.more)}")
    return parts


def _argument(part: Part) -> str:
    declared = f"{part.name}: {_written(part.shape)}"
    if part.required:
        return declared
    return f"{declared} = {part.default[0]!r}" if part.default else f"{declared} = …"


def _written(shape: Shape) -> str:  # noqa: PLR0911 - one return for each kind
    match shape:
        case Atom(source):
            return source
        case Ref(key):
            return key
        case Group("variadic", of):
            return f"tuple[{', '.join(_written(one) for one in of)}, ...]"
        case Group(kind, of):
            return f"{kind}[{', '.join(_written(one) for one in of)}]"
        case Choice(of):
            return " | ".join(_written(one) for one in of)
        case Values(of):
            return f"Literal[{', '.join(of)}]"
        case Members(title):
            return title
        case Struct(title):
            return title
