"""What the clients are made of that `pycrust stub` writes: a class for each endpoint, a method for each handler.

What a call answers is read as the type that its method declares: text becomes a `UUID` or a `datetime` again, maps
become models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, model_serializer
from pydantic_core import SchemaValidator

from pycrust import client as plain
from pycrust._extension import crossed
from pycrust.handlers.structs import from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import SerializationInfo

__all__ = ["UNSET", "AsyncClient", "AsyncStream", "Client", "Field", "Method", "Model", "Stream", "either", "whole"]

T = TypeVar("T")

_ARBITRARY = ConfigDict(arbitrary_types_allowed=True)


class _Unset:
    """An argument that was not given, and is not sent: the handler's own default holds."""

    def __repr__(self) -> str:
        return "UNSET"


#: The default of arguments that need not be given. It fits every type, since it is never sent.
UNSET: Any = _Unset()


class Model(BaseModel):
    """A struct that a handler takes or gives.

    Of one that is sent, only the fields go that were set: the worker's own defaults hold for the others. Fields
    that a worker knows and this class doesn't are ignored.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="ignore",
        protected_namespaces=(),
        use_enum_values=False,
        validate_by_alias=True,
        validate_by_name=True,
    )

    @model_serializer(mode="plain")
    def _only_set(self, info: SerializationInfo) -> dict[str, Any]:
        fields = type(self).model_fields
        given = {
            (field.alias or name) if info.by_alias else name: getattr(self, name)
            for name, field in fields.items()
            if name in self.model_fields_set
        }
        return {**given, **(self.model_extra or {})}


class Method(Generic[T]):
    """A method of an endpoint: its name, and what it answers.

    Args:
        name: The method's name.
        returns: The type of its answer, or of one item of it.
    """

    def __init__(self, name: str, returns: Any) -> None:
        """Keeps both; a validator is made when the first answer comes."""
        self.name = name
        self._returns = returns
        self._validate: Callable[[Any], Any] | None = None

    def read(self, value: Any) -> T:
        """An answer as its type.

        Raises:
            pydantic.ValidationError: It is of another type: the worker's handler is not the one that this client
                was made for.
        """
        if self._validate is None:
            self._validate = _validator(self.name, self._returns)
        return self._validate(value)


def _validator(method: str, returns: Any) -> Callable[[Any], Any]:
    if returns is Any:
        return lambda value: value
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(returns, config=_ARBITRARY)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        adapter = TypeAdapter(returns)  # a model's own config decides
    core: Any = from_wire(cast("dict[str, Any]", adapter.core_schema)).schema
    return SchemaValidator(core, {"title": f"{method}'s result"}, _use_prebuilt=False).validate_python


class Stream(Generic[T]):
    """The items of a streamed answer; closing it, or dropping it, cancels the call."""

    def __init__(self, of: plain.Stream, method: Method[T]) -> None:
        """Made by a client's method."""
        self._of = of
        self._method = method

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> T:
        """The next item; waits for it."""
        return self._method.read(next(self._of))

    def close(self) -> None:
        """Cancels the call, if it has not ended."""
        self._of.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Closes."""
        self._of.close()


class AsyncStream(Generic[T]):
    """The items of a streamed answer, awaited; closing it, or dropping it, cancels the call."""

    def __init__(self, of: plain.Stream, method: Method[T]) -> None:
        """Made by a client's method."""
        self._of = of
        self._method = method

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> T:
        """The next item."""
        return self._method.read(await self._of.__anext__())

    async def aclose(self) -> None:
        """Cancels the call, if it has not ended."""
        self._of.close()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Closes."""
        self._of.close()


class Client:
    """A client of one endpoint, with a method for each handler.

    Args:
        endpoint: The endpoint's name, by default that of the one that this class was made of; or a client that is
            used, which `close()` leaves open.
        timeout: Seconds that a call has unless it says otherwise; `math.inf` is no limit.
        wait: Seconds to wait for a worker to appear.
        wait_for_ready: Whether calls wait, within their time, for a worker that can take them.
        lazy: Whether to connect at the first call, so that there need be no worker yet.
        client_name: What the worker calls this client.

    Raises:
        Unavailable: Nobody serves the name; the message says where was looked and which endpoints live there.
        ValueError: The name or an option is out of bounds.
    """

    _ENDPOINT: ClassVar[str] = ""

    def __init__(  # noqa: PLR0913 - all but the first are keywords with defaults
        self,
        endpoint: str | plain.RpcClient | None = None,
        *,
        timeout: float = 30.0,
        wait: float = 0.0,
        wait_for_ready: bool = False,
        lazy: bool = False,
        client_name: str | None = None,
    ) -> None:
        """Connects."""
        self._is_own = not isinstance(endpoint, plain.RpcClient)
        self._client = (
            endpoint
            if isinstance(endpoint, plain.RpcClient)
            else plain.RpcClient(
                self._ENDPOINT if endpoint is None else endpoint,
                timeout=timeout,
                wait=wait,
                wait_for_ready=wait_for_ready,
                lazy=lazy,
                client_name=client_name,
            )
        )
        self._options: dict[str, Any] = {}

    def with_options(  # noqa: PLR0913 - keywords with defaults
        self,
        *,
        timeout: float | None = None,
        idle_timeout: float | None = None,
        wait_for_ready: bool | None = None,
        idempotent: bool | None = None,
        latest: bool | None = None,
        metadata: Mapping[str, str | bytes] | None = None,
    ) -> Self:
        """The same client, whose calls are made with these options: `client.with_options(timeout=0.5).add(1, 2)`.

        Args:
            timeout: Seconds that a call has, of one that streams to the end of its stream.
            idle_timeout: Seconds that a call which streams may be silent while its caller waits.
            wait_for_ready: Whether a call waits for a worker that can take it.
            idempotent: Whether it may be made again if the worker goes away.
            latest: Whether it takes the place of older such calls of this client that still wait.
            metadata: What the handler finds in `current_call().metadata`.
        """
        given = {
            "timeout": timeout,
            "idle_timeout": idle_timeout,
            "wait_for_ready": wait_for_ready,
            "idempotent": idempotent,
            "latest": latest,
            "metadata": None if metadata is None else dict(metadata),
        }
        made = object.__new__(type(self))
        made._is_own, made._client = False, self._client
        made._options = {**self._options, **{name: value for name, value in given.items() if value is not None}}
        return made

    def close(self) -> None:
        """Closes the connection, if it has made it: calls in flight and later ones end in `Cancelled`."""
        if self._is_own:
            self._client.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Closes."""
        self.close()

    def __repr__(self) -> str:
        """One line."""
        return f"<{type(self).__name__} of {self._client.name}>"

    def _request(self, method: Method[Any]) -> plain.Request:
        return self._client.request(method.name, **self._options)

    def _call(self, method: Method[T], arguments: Arguments) -> T:
        args, kwargs = _given(arguments)
        return method.read(self._request(method).call(*args, **kwargs))

    def _stream(self, method: Method[T], arguments: Arguments) -> Stream[T]:
        args, kwargs = _given(arguments)
        return Stream(self._request(method).stream(*args, **kwargs), method)

    def _upload(self, method: Method[T], items: Iterable[Any]) -> T:
        return method.read(self._request(method).upload(items))

    def _exchange(self, method: Method[T], items: Iterable[Any]) -> Stream[T]:
        return Stream(self._request(method).exchange(items), method)


class AsyncClient:
    """The same methods, to be awaited; options and connection are those of the client that it was made of."""

    def __init__(self, of: Client) -> None:
        """Made by a client's `aio`."""
        self._of = of

    def __repr__(self) -> str:
        """One line."""
        return f"<{type(self).__name__} of {self._of!r}>"

    def _request(self, method: Method[Any]) -> plain.Request:
        return self._of._request(method)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - they are one

    async def _call(self, method: Method[T], arguments: Arguments) -> T:
        args, kwargs = _given(arguments)
        return method.read(await self._request(method).acall(*args, **kwargs))

    def _stream(self, method: Method[T], arguments: Arguments) -> AsyncStream[T]:
        args, kwargs = _given(arguments)
        return AsyncStream(self._request(method).stream(*args, **kwargs), method)

    async def _upload(self, method: Method[T], items: Iterable[Any]) -> T:
        stream = self._request(method).exchange(items)
        try:
            return method.read(await anext(stream, None))
        finally:
            stream.close()

    def _exchange(self, method: Method[T], items: Iterable[Any]) -> AsyncStream[T]:
        return AsyncStream(self._request(method).exchange(items), method)


#: A call's arguments: by name, or by position.
Arguments = dict[str, Any] | list[Any]


def either(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments of a handler that takes any, by position or by name.

    Raises:
        TypeError: There are some of both: they travel as an array or as a map.
    """
    if args and kwargs:
        raise TypeError("give the arguments by position or by name, not both: they travel as an array or as a map")
    return kwargs or list(args)


def whole(value: Any) -> Arguments:
    """A value that is all of a call's arguments, such as one of several structs."""
    found = crossed(value)
    return cast("Arguments", found) if isinstance(found, (dict, list)) else [found]


def _given(arguments: Arguments) -> tuple[list[Any], dict[str, Any]]:
    """The arguments that are sent: those by position up to the first one that was not given."""
    if isinstance(arguments, dict):
        return [], {name: value for name, value in arguments.items() if value is not UNSET}
    end = next((place for place, value in enumerate(arguments) if value is UNSET), len(arguments))
    if any(value is not UNSET for value in arguments[end:]):
        raise TypeError(
            f"argument {end + 1} is left out, and one after it is given: by position, none can be left out"
        )
    return arguments[:end], {}
