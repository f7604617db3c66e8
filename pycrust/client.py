"""A client in Python, for notebooks, tests and the command line: blocking and async, over the same transport."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from typing import TYPE_CHECKING, Any, Self

from pycrust._binding import make_client
from pycrust.naming import check_endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pycrust._binding import ClientStream


class RpcClient:
    """Calls the handlers of one endpoint, also one of this very process.

    Waiting releases the interpreter, and can be interrupted. It may be used by any number of threads and
    event loops; after the worker has gone away, the next call connects to the one that serves the name then.

    Args:
        name: The endpoint's name.
        timeout: Seconds that a call has unless it says otherwise; `math.inf` is no limit.
        wait: Seconds to wait for a worker to appear.
        client_name: What the worker calls this client.

    Raises:
        Unavailable: Nobody serves the name; the message says where was looked and which endpoints live there.
        ValueError: The name or an option is out of bounds.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> with RpcEndpoint("client-doc") as endpoint:
        ...     endpoint.register("add")(lambda a, b: a + b)
        ...     with RpcClient("client-doc") as client:
        ...         print(client.call("add", 10, 20))  # doctest: +ELLIPSIS
        serving client-doc · pid ... · 0 methods · 0 clients
        <function <lambda> at ...>
        30
    """

    def __init__(
        self, name: str, *, timeout: float = 30.0, wait: float = 0.0, client_name: str | None = None
    ) -> None:
        """Connects."""
        self.name = check_endpoint(name)
        own = client_name if client_name is not None else os.path.basename(sys.argv[0] or "python")  # noqa: PTH119 - a name, not a path
        self._client = make_client(name, own, timeout, wait)

    def call(
        self,
        method: str,
        /,
        *args: Any,
        timeout: float | None = None,
        idempotent: bool = False,
        metadata: dict[str, str | bytes] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Calls a handler and waits for its result.

        Args:
            method: The method's name.
            *args: Arguments by position, or
            **kwargs: arguments by name; not both.
            timeout: Seconds that the call has; the client's usual ones by default, `math.inf` is no limit.
            idempotent: Whether it may be made again if the worker goes away.
            metadata: What the handler finds in `current_call().metadata`.

        Returns:
            The result.

        Raises:
            RpcError: The call failed; each code has a class of its own. The handler's traceback, where the
                endpoint allows it, is a note of the exception, and `may_have_run` says whether it had started.
            TypeError: An argument can't be serialised, or both kinds are given.
        """
        return self._client.call(
            method, _arguments(args, kwargs), _options(timeout, idempotent=idempotent, metadata=metadata)
        )

    async def acall(
        self,
        method: str,
        /,
        *args: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - the worker is told of it
        idempotent: bool = False,
        metadata: dict[str, str | bytes] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Like `call`, awaited. Cancelling the task cancels the call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def done(result: Any, error: BaseException | None) -> None:
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

        pending = self._client.start(
            method, _arguments(args, kwargs), _options(timeout, idempotent=idempotent, metadata=metadata), done
        )
        try:
            return await future
        finally:
            pending.cancel()

    def stream(
        self,
        method: str,
        /,
        *args: Any,
        timeout: float = math.inf,
        metadata: dict[str, str | bytes] | None = None,
        **kwargs: Any,
    ) -> Stream:
        """Calls a handler that streams.

        Args:
            method: The method's name.
            *args: Arguments by position, or
            **kwargs: arguments by name; not both.
            timeout: Seconds that the whole stream has.
            metadata: What the handler finds in `current_call().metadata`.

        Returns:
            The items, for `for` and for `async for`. Closing it, or dropping it, cancels the call.

        Raises:
            RpcError: At the item where the call failed.
        """
        options = _options(timeout, idempotent=False, metadata=metadata)
        return Stream(self._client.stream(method, _arguments(args, kwargs), options))

    def close(self) -> None:
        """Closes the connection: calls in flight end in `Cancelled`, and so does every later call."""
        self._client.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Closes."""
        self.close()

    def __repr__(self) -> str:
        """One line."""
        return f"<RpcClient {self.name}>"


class Stream:
    """The items of a streamed answer, for `for` and for `async for`."""

    def __init__(self, stream: ClientStream) -> None:
        """Made by `RpcClient.stream`."""
        self._stream = stream

    def __iter__(self) -> Iterator[Any]:
        """Itself."""
        return self

    def __next__(self) -> Any:
        """The next item; waits for it."""
        found = self._stream.next()
        if found is None:
            raise StopIteration
        return found[0]

    def __aiter__(self) -> AsyncIterator[Any]:
        """Itself."""
        return self

    async def __anext__(self) -> Any:
        """The next item, awaited."""
        found = await asyncio.to_thread(self._stream.next)
        if found is None:
            raise StopAsyncIteration
        return found[0]

    def close(self) -> None:
        """Cancels the call, if it has not ended."""
        self._stream.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Closes."""
        self.close()


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and kwargs:
        raise TypeError("give the arguments by position or by name, not both: they travel as an array or as a map")
    return kwargs or list(args)


def _options(timeout: float | None, *, idempotent: bool, metadata: dict[str, str | bytes] | None) -> dict[str, Any]:
    return {"timeout": timeout, "idempotent": idempotent, "metadata": metadata}
