"""The names of the types that an endpoint's schemas define: one for equal ones, others for different ones."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pycrust.schemas.shapes import (
    ANY,
    NONE,
    Atom,
    Choice,
    Group,
    Members,
    Part,
    Ref,
    Request,
    Struct,
    Values,
)
from pycrust.schemas.source import double_quoted, identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pycrust.schemas.shapes import Shape

#: Characters of a class's name: those of generic classes can be any number.
_LONGEST = 60
#: What a default of each of these types is, as JSON has it.
_PLAIN: dict[str, type] = {"int": int, "str": str, "bool": bool}


class Types:
    """Types by their names.

    Args:
        taken: Names that no type may have.

    Attributes:
        defined: What each name stands for; what it refers to are names, too.
    """

    def __init__(self, taken: Collection[str]) -> None:
        """Knows none."""
        self._taken = set(taken)
        self.defined: dict[str, Shape] = {}
        #: For each name, the definitions that it came with, by which it is told from others.
        self._origins: dict[str, tuple[str, dict[str, Shape]]] = {}

    def adopt(self, definitions: Mapping[str, Shape], suffix: str) -> dict[str, str]:
        """Takes the types that one schema defines.

        Args:
            definitions: By the schema's own names.
            suffix: What a name gets that another type has already.

        Returns:
            For each of the schema's names the one that the type has.
        """
        names: dict[str, str] = {}
        fresh: list[str] = []
        for key, shape in definitions.items():
            known = next((name for name in self._origins if self._is(name, key, definitions)), None)
            if known is None:
                known = self._unused(_class_name(key, shape), suffix)
                self._origins[known] = key, dict(definitions)
                self.defined[known] = ANY  # its place, in order
                fresh.append(key)
            names[key] = known
        for key in definitions:
            name = names[key]
            self.defined[name] = (
                self.renamed(definitions[key], names)
                if key in fresh
                else _merged(self.defined[name], self.renamed(definitions[key], names))
            )
        return names

    def _is(self, name: str, key: str, definitions: Mapping[str, Shape]) -> bool:
        """Whether a known type is the same as this one, with all that it refers to."""
        own_key, origins = self._origins[name]
        shape = definitions[key]
        if _class_name(own_key, origins[own_key]) != _class_name(key, shape) or origins[own_key] != shape:
            return False
        # The whole of a schema goes by its title, which is another key than it has where it is referred to.
        reached, known = _reached(key, definitions), _reached(own_key, origins)
        del reached[key], known[own_key]
        return reached == known

    def _unused(self, name: str, suffix: str) -> str:
        own, number = name, 2
        if own in self._taken:
            own = f"{name}{suffix}"
        while own in self._taken:
            own, number = f"{name}{suffix}{number}", number + 1
        self._taken.add(own)
        return own

    def alias(self, shape: Shape, name: str) -> str:
        """A name for a type that is too long to be written out where it is used."""
        known = next(
            (own for own, one in self.defined.items() if one == shape and not isinstance(one, Struct)), None
        )
        if known is not None:
            return known
        own = self._unused(name, "Type")
        self.defined[own] = shape
        return own

    def renamed(self, shape: Shape, names: Mapping[str, str]) -> Shape:
        """A type that refers to others by these names."""
        match shape:
            case Ref(key):
                return Ref(names.get(key, key))
            case Group(kind, of):
                return Group(kind, tuple(self.renamed(one, names) for one in of))
            case Choice(of):
                return Choice(tuple(self.renamed(one, names) for one in of))
            case Struct():
                return replace(shape, parts=self._parts(shape.parts, names))
            case _:
                return shape

    def renamed_request(self, request: Request, names: Mapping[str, str]) -> Request:
        """Arguments whose types refer to others by these names."""
        rest, more, whole = (
            None if one is None else self.renamed(one, names) for one in (request.rest, request.more, request.whole)
        )
        return Request(self._parts(request.parts, names), request.by_position, rest, more, whole)

    def _parts(self, parts: tuple[Part, ...], names: Mapping[str, str]) -> tuple[Part, ...]:
        return tuple(replace(part, shape=self.renamed(part.shape, names)) for part in parts)

    # Source -----------------------------------------------------------------------------------------------

    def source(self, shape: Shape, qualified: Collection[str] = frozenset()) -> tuple[str, set[str]]:
        """A type as source, and the imports that it needs.

        Args:
            shape: The type.
            qualified: Built-in types that go by `builtins.…`, for something else has their name.
        """
        needs: set[str] = set()

        def builtin(name: str) -> str:
            return f"builtins.{name}" if name in qualified else name

        def text(one: Shape) -> str:  # noqa: PLR0911 - one return for each kind
            match one:
                case Atom(source, needed):
                    needs.update([needed] if needed else [])
                    return builtin(source)
                case Ref(key):
                    return key
                case Values(of):
                    needs.add("from typing import Literal")
                    return f"Literal[{', '.join(double_quoted(value) for value in of)}]"
                case Choice(of):
                    return " | ".join(text(inner) for inner in of)
                case Group("tuple", ()):
                    return f"{builtin('tuple')}[()]"
                case Group("variadic", of):
                    *first, last = of
                    rest = f"*{builtin('tuple')}[{text(last)}, ...]" if first else f"{text(last)}, ..."
                    return f"{builtin('tuple')}[{', '.join([*map(text, first), rest])}]"
                case Group(kind, of):
                    return f"{builtin(kind)}[{', '.join(map(text, of))}]"
                case _:
                    raise TypeError(f"{one} has a name of its own")

        return text(shape), needs

    def literal(self, shape: Shape, value: Any) -> str | None:  # noqa: PLR0911 - one return for each kind
        """A JSON value as the source of a value of this type; `None` where it isn't one as it stands."""
        match shape:
            case Atom("None"):
                return "None" if value is None else None
            case Atom("float"):
                is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
                return repr(value) if is_number and abs(value) != float("inf") and value == value else None  # noqa: PLR0124 - nan isn't
            case Atom(source):
                return repr(value) if type(value) is _PLAIN.get(source) else None
            case Values(of):
                return repr(value) if repr(value) in of else None
            case Choice(of):
                found = (self.literal(one, value) for one in of if one != NONE or value is None)
                return next((one for one in found if one is not None), None)
            case Ref(key):
                one = self.defined.get(key)
                if isinstance(one, Members):
                    return next((f"{key}.{name}" for name, own in one.of if own == repr(value)), None)
                return self.literal(one, value) if isinstance(one, (Values, Choice)) else None
            case _:
                return None


def _reached(key: str, definitions: Mapping[str, Shape]) -> dict[str, Shape]:
    """A definition and all those that it refers to."""
    found: dict[str, Shape] = {}
    left = [key]
    while left:
        one = left.pop()
        if one in definitions and one not in found:
            found[one] = definitions[one]
            left += _references(definitions[one])
    return found


def _references(shape: Shape) -> list[str]:
    match shape:
        case Ref(key):
            return [key]
        case Group(_, of) | Choice(of):
            return [key for one in of for key in _references(one)]
        case Struct():
            return [key for part in shape.parts for key in _references(part.shape)]
        case _:
            return []


def _merged(one: Shape, other: Shape) -> Shape:
    """Two equal types, of which one may leave out fields that the other always has."""
    if not isinstance(one, Struct) or not isinstance(other, Struct):
        return one
    parts = [
        replace(
            part,
            required=part.required and also.required,
            default=part.default or also.default,
            doc=part.doc or also.doc,
        )
        for part, also in zip(one.parts, other.parts, strict=True)
    ]
    return replace(one, parts=tuple(parts), doc=one.doc or other.doc)


def _class_name(key: str, shape: Shape) -> str:
    """A class's name, out of what a schema calls it: `Holder[int]` is `HolderInt`, `pkg__mod__Pose` is `Pose`."""
    title = shape.title if isinstance(shape, (Struct, Members)) else ""
    text = title if title and re.match(r"[A-Za-z]", title) else key.rsplit("__", 1)[-1]
    own = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W+", text))
    own = identifier(own, set()).strip("_")
    if len(own) > _LONGEST:
        own = identifier(text.partition("[")[0], set())[:_LONGEST].strip("_")
    return own if own[:1].isalpha() else f"Type{own}"
