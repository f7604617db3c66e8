"""A Python module with a typed client of an endpoint, made of its lock file."""

from __future__ import annotations

import builtins
import keyword
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from pycrust.schemas import typed
from pycrust.schemas.naming import Types
from pycrust.schemas.shapes import ANY, Members, SchemaReader, Struct, camel_case
from pycrust.schemas.source import (
    WIDTH,
    call_statement,
    class_name,
    docstring,
    double_quoted,
    identifier,
    import_order,
    merged,
    said_of,
    spaced,
    text_literal,
    unused,
    with_arguments,
)

if TYPE_CHECKING:
    from pycrust.schemas.lock import Lock
    from pycrust.schemas.shapes import Part, Request, Shape

#: Characters of a type that stands where it is used; a longer one gets a name.
_LONGEST = 44
#: Names that a module has beside its types.
_IMPORTED = {
    "Any", "Decimal", "Enum", "IPv4Address", "IPv4Interface", "IPv4Network", "IPv6Address", "IPv6Interface",
    "IPv6Network", "Iterable", "Literal", "Path", "Timestamp", "TypeAliasType", "UUID", "Annotated", "annotations",
    "builtins", "dt", "np", "npt", "torch", "typed",
}  # fmt: skip
_HEAD = '''\
"""A typed client of the endpoint `{}`.

Made by `pycrust stub`: change the handlers and make it again,
rather than changing it here.
"""'''
_BUILTIN = {"bool", "bytes", "dict", "float", "int", "list", "set", "str", "tuple"}
#: Names that a client's methods can't have.
_OF_CLIENTS = {name for name in dir(typed.Client) if not name.startswith("__")} | {"aio", "property"}
_OF_MODELS = {name for name in dir(BaseModel) if not name.startswith("__")}


def python_stub(lock: Lock) -> str:
    """The source of the module; the same for the same lock file."""
    return _Module(lock).text()


class _Module:
    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._class = class_name(lock.endpoint)
        self.types = Types({*_IMPORTED, *dir(builtins), *keyword.kwlist, self._class, f"Async{self._class}"})
        self.imports: set[str] = {"from pycrust.schemas import typed"}
        self._methods = [_Method(self, name, entry) for name, entry in lock.methods.items()]
        own = _OF_CLIENTS | _IMPORTED | set(self.types.defined)
        taken = set[str]()
        for one in self._methods:
            one.own = unused(identifier(one.name.lstrip("_") or "method", own), taken)
            taken.add(one.own)
        #: Types that a method's name hides within the class.
        self.hidden = taken & _BUILTIN
        constants = set[str]()
        for one in self._methods:
            one.constant = unused(f"_{one.own.strip('_').upper()}", constants)
            constants.add(one.constant)

    def text(self) -> str:
        clients = "\n\n\n".join([self._client(is_async=False), self._client(is_async=True)])
        constants = "\n".join(one.declared() for one in self._methods)
        # After the methods, which name the types that are needed.
        # Enums stand first, since their members are defaults of the others' fields.
        named = sorted(self._all_definitions(), key=lambda one: not isinstance(one[1], Members))
        defined = [self._definition(name, shape) for name, shape in named]
        head = [_HEAD.format(self._lock.endpoint), "from __future__ import annotations"]
        parts = [*defined, constants, clients]
        gap = "\n\n\n" if parts[0].startswith("class") else "\n\n"
        return "\n\n".join([*head, *self._import_blocks()]) + gap + spaced(parts)

    def _all_definitions(self) -> list[tuple[str, Shape]]:
        """Each type that is named, also those that writing others has given a name."""
        done: dict[str, Shape] = {}
        while left := [one for one in self.types.defined.items() if one[0] not in done]:
            for name, shape in left:
                done[name] = shape
                self._definition(name, shape)
        return list(done.items())

    def _import_blocks(self) -> list[str]:
        if self.hidden:
            self.imports.add("import builtins")
        lines = sorted({line for one in self.imports for line in one.splitlines()})
        own = [line for line in lines if line.startswith("from pycrust")]
        third = [line for line in lines if re.match(r"(import|from) (numpy|torch|typing_extensions)", line)]
        standard = merged([line for line in lines if line not in own and line not in third])
        blocks = [standard, merged(third), merged(own)]
        return ["\n".join(sorted(block, key=import_order)) for block in blocks if block]

    # Types ------------------------------------------------------------------------------------------------

    def source(self, shape: Shape, *, in_class: bool = False) -> str:
        """A type as source."""
        text, needs = self.types.source(shape, qualified=self.hidden if in_class else frozenset())
        self.imports |= needs
        return text

    def short(self, shape: Shape, name: str, *, in_class: bool = False) -> str:
        """A type as source; a long one by a name, which it is given."""
        text = self.source(shape, in_class=in_class)
        if len(text) <= _LONGEST:
            return text
        return self.types.alias(shape, name)

    def _definition(self, name: str, shape: Shape) -> str:
        if isinstance(shape, Struct):
            return self._struct(name, shape)
        if isinstance(shape, Members):
            return self._members(name, shape)
        self.imports.add("from typing_extensions import TypeAliasType")
        text = text_literal(self.source(shape))
        line = f'{name} = TypeAliasType("{name}", {text})'
        return line if len(line) <= WIDTH else f'{name} = TypeAliasType(\n    "{name}",\n    {text},\n)'

    def _members(self, name: str, shape: Members) -> str:
        self.imports.add("from enum import Enum")
        lines = [f"class {name}(Enum):", *docstring(shape.doc)]
        lines += [""] if len(lines) > 1 else []
        taken = set[str]()
        for given, value in shape.of:
            own = unused(identifier(given, set()), taken)
            taken.add(own)
            lines.append(f"    {own} = {double_quoted(value)}")
        return "\n".join(lines)

    def _struct(self, name: str, shape: Struct) -> str:
        base = 'typed.Model, extra="allow"' if shape.more else "typed.Model"
        lines = [f"class {name}({base}):", *docstring(shape.doc)]
        lines += [""] if len(lines) > 1 and shape.parts else []
        taken = set[str]()
        for part in shape.parts:
            own = unused(identifier(part.name.lstrip("_") or "field", _OF_MODELS | _BUILTIN | _IMPORTED), taken)
            taken.add(own)
            lines += self._field(own, part, f"{name}{camel_case(part.name)}")
        if len(lines) == 1:
            lines.append("    pass")
        return "\n".join(lines)

    def _field(self, own: str, part: Part, name: str) -> list[str]:
        text = self.short(part.shape, name)
        if own != part.name:
            self.imports.add("from typing import Annotated")
            text = f"Annotated[{text}, typed.Field(alias={double_quoted(repr(part.name))})]"
        default = "" if part.required else f" = {self._default(part)}"
        return [f"    {own}: {text}{default}", *docstring(part.doc)]

    def _default(self, part: Part) -> str:
        """A default as source, where it is of the field's type as it stands; else the one that isn't sent."""
        found = self.types.literal(part.shape, part.default[0]) if part.default else None
        return "typed.UNSET" if found is None else double_quoted(found)

    # Clients ----------------------------------------------------------------------------------------------

    def _client(self, *, is_async: bool) -> str:
        if is_async:
            head = [f"class Async{self._class}(typed.AsyncClient):", f'    """`{self._class}`, awaited."""']
        else:
            head = [
                f"class {self._class}(typed.Client):",
                f'    """Calls the handlers of `{self._lock.endpoint}`."""',
                "",
                f'    _ENDPOINT = "{self._lock.endpoint}"',
                "",
                "    @property",
                f"    def aio(self) -> Async{self._class}:",
                '        """The same methods, to be awaited."""',
                f"        return Async{self._class}(self)",
            ]
        return "\n".join([*head, *(line for one in self._methods for line in ["", *one.lines(is_async=is_async)])])


class _Method:
    """One method of the client."""

    def __init__(self, module: _Module, name: str, entry: dict[str, Any]) -> None:
        self.module = module
        self.name = name
        self.kind = str(entry["kind"])
        self.doc = str(entry["doc"])
        self.own = self.constant = ""
        self._title = camel_case(name) or "Method"
        reader = SchemaReader(entry["request"], self._title)
        self.request: Request = reader.request(self.kind)
        self._request_definitions = reader.definitions
        answer = SchemaReader(entry["response"], f"{self._title}Result")
        self._returns = answer.whole()
        self._response_definitions = answer.definitions
        self._adopt()

    def _adopt(self) -> None:
        types = self.module.types
        renamed = types.adopt(self._request_definitions, suffix="Args")
        self.request = types.renamed_request(self.request, renamed)
        renamed = types.adopt(self._response_definitions, suffix="Result")
        self._returns = types.renamed(self._returns, renamed)

    def declared(self) -> str:
        """The constant that says what the method is called and answers."""
        returns = self.module.short(self._returns, f"{self._title}Result")
        name = double_quoted(repr(self.name))
        line = f"{self.constant}: typed.Method[{returns}] = typed.Method({name}, {returns})"
        if len(line) <= WIDTH:
            return line
        return f"{self.constant}: typed.Method[{returns}] = typed.Method(\n    {name},\n    {returns},\n)"

    def lines(self, *, is_async: bool) -> list[str]:
        """The method."""
        module = self.module
        returns = module.short(self._returns, f"{self._title}Result", in_class=True)
        streams = self.kind in {"stream", "exchange"}
        if streams:
            returns = f"typed.{'AsyncStream' if is_async else 'Stream'}[{returns}]"
        parameters, given, docs = self._parameters()
        called = {"stream": "_stream", "upload": "_upload", "exchange": "_exchange"}.get(self.kind, "_call")
        awaits = is_async and not streams
        line = f"    {'async ' if awaits else ''}def {self.own}({', '.join(parameters)}) -> {returns}:"
        if len(line) > WIDTH:
            inside = "".join(f"        {one},\n" for one in parameters)
            # After `*` and `/` alone a comma may stand, too.
            line = f"    {'async ' if awaits else ''}def {self.own}(\n{inside}    ) -> {returns}:"
        begin = f"        return {'await ' if awaits else ''}self.{called}("
        return [
            line,
            *docstring(with_arguments(self.doc, docs), indent=8),
            *call_statement(begin, self.constant, given),
        ]

    def _parameters(self) -> tuple[list[str], list[str] | str, list[str]]:
        """The parameters, what is sent as source (a list or dict as its lines), and what is said of them."""
        module, request = self.module, self.request
        if self.kind in {"upload", "exchange"}:
            module.imports.add("from collections.abc import Iterable")
            item = module.short(request.whole or ANY, f"{self._title}Item", in_class=True)
            return ["self", f"items: Iterable[{item}]"], "items", []
        if request.whole is not None:
            value = module.short(request.whole, f"{self._title}Args", in_class=True)
            return ["self", f"value: {value}", "/"], "typed.whole(value)", []
        if not request.parts and request.rest is not None and request.more is not None:
            return ["self", "*args: Any", "**kwargs: Any"], "typed.either(args, kwargs)", []
        parameters, names, docs = self._named(request)
        taken = set(names)
        sent = (
            list(names)
            if request.by_position
            else [
                f"{double_quoted(repr(part.name))}: {own}" for part, own in zip(request.parts, names, strict=True)
            ]
        )
        if request.rest is not None:
            own = unused("args", taken)
            parameters.append(f"*{own}: {module.short(request.rest, f'{self._title}Item', in_class=True)}")
            sent.append(f"*{own}")
        if request.more is not None:
            own = unused("kwargs", taken)
            parameters.append(f"**{own}: {module.short(request.more, f'{self._title}Extra', in_class=True)}")
            sent.insert(0, f"**{own}")
        brackets = "[]" if request.by_position else "{}"
        return parameters, [brackets[0], *sent, brackets[1]], docs

    def _named(self, request: Request) -> tuple[list[str], list[str], list[str]]:
        """The parameters that have names; each that may be left out stands after those that may not, or by name."""
        parameters, names, docs = ["self"], list[str](), list[str]()
        optional, by_name = False, False
        for part in request.parts:
            own = unused(identifier(part.name, {"self"}), set(names))
            names.append(own)
            text = self.module.short(part.shape, self._title + camel_case(part.name), in_class=True)
            if part.required and optional and not by_name and not request.by_position:
                parameters.append("*")
                by_name = True
            optional = optional or not part.required
            parameters.append(f"{own}: {text}" if part.required else f"{own}: {text} = typed.UNSET")
            docs += said_of(own, part)
        if request.by_position and names:
            parameters.append("/")
        return parameters, names, docs
