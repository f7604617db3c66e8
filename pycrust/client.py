"""A client in Python, for notebooks, tests and the command line: blocking and async, over the same transport."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pycrust._extension import encode, make_client
from pycrust.calls.current import running_call
from pycrust.errors import Cancelled, Code, RpcError
from pycrust.logs import drain
from pycrust.process.threads import Thread
from pycrust.taken_options import TakenOptions
from pycrust.text.names import check_endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from pycrust._extension import Client, ClientFeed, ClientStream


#: What the worker answers by itself about its methods.
_METHODS = "pycrust.methods"


class RpcClient:
    """Calls the handlers of one endpoint, also one of this very process.

    Waiting releases the interpreter, and can be interrupted. It may be used by any number of threads and
    event loops; after the worker has gone away, the next call connects to the one that serves the name then.

    Args:
        name: The endpoint's name.
        timeout: Seconds that a call has unless it says otherwise; `math.inf` is no limit.
        wait: Seconds to wait for a worker to appear.
        wait_for_ready: Whether calls wait, within their time, for a worker that can take them, while they certainly
            did not run. Otherwise they raise `Unavailable` at once. Connecting then waits, too, as long as a call.
        lazy: Whether to connect at the first call, so that there need be no worker yet.
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

    def __init__(  # noqa: PLR0913 - all but the name are keywords with defaults
        self,
        name: str,
        *,
        timeout: float = 30.0,
        wait: float = 0.0,
        wait_for_ready: bool = False,
        lazy: bool = False,
        client_name: str | None = None,
    ) -> None:
        """Connects."""
        self.name = check_endpoint(name)
        own = client_name if client_name is not None else os.path.basename(sys.argv[0] or "python")  # noqa: PTH119 - a name, not a path
        drain.start()
        self._options = TakenOptions()
        self._timeout = timeout
        self._client = make_client(name, own, timeout, wait, wait_for_ready=wait_for_ready, lazy=lazy)

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
            **kwargs: arguments by name; not both. Those of the names of the options below go through
                `request(method).call(…)`.
            timeout: Seconds that the call has; the client's usual ones by default, `math.inf` is no limit.
            idempotent: Whether it may be made again if the worker goes away.
            metadata: What the handler finds in `current_call().metadata`.

        Returns:
            The result.

        Raises:
            RpcError: The call failed; each code has a class of its own. The handler's traceback, where the
                endpoint allows it, is a note of the exception, and `may_have_run` says whether it had started.
            TypeError: An argument can't be serialised, or both kinds are given; or an option was given whose name
                one of the handler's parameters has, too: `request(method, timeout=…).call(timeout=…)` has a place
                for each.
        """
        if given := _given(timeout=timeout, idempotent=idempotent or None, metadata=metadata):
            timeout = self._check(method, given, self._timeout if timeout is None else timeout)
        return self.request(method, timeout=timeout, idempotent=idempotent, metadata=metadata).call(*args, **kwargs)

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
        if given := _given(timeout=timeout, idempotent=idempotent or None, metadata=metadata):
            if self._options.is_due(method):
                began, timeout = time.monotonic(), self._timeout if timeout is None else timeout
                self._options.learn(await self._ask(timeout))
                timeout = _rest(timeout, began)
            self._options.check(method, given)
        request = self.request(method, timeout=timeout, idempotent=idempotent, metadata=metadata)
        return await request.acall(*args, **kwargs)

    def stream(
        self,
        method: str,
        /,
        *args: Any,
        timeout: float = math.inf,
        idle_timeout: float | None = None,
        metadata: dict[str, str | bytes] | None = None,
        **kwargs: Any,
    ) -> Stream:
        """Calls a handler that streams.

        Args:
            method: The method's name.
            *args: Arguments by position, or
            **kwargs: arguments by name; not both.
            timeout: Seconds that the whole stream has; without limit by default.
            idle_timeout: Seconds that it may be silent while an item is waited for; without limit by default.
            metadata: What the handler finds in `current_call().metadata`.

        Returns:
            The items, for `for` and for `async for`. Closing it, or dropping it, cancels the call.

        Raises:
            RpcError: At the item where the call failed.
        """
        given = _given(
            timeout=None if timeout == math.inf else timeout, idle_timeout=idle_timeout, metadata=metadata
        )
        if given:
            timeout = self._check(method, given, timeout)
        request = self.request(method, timeout=timeout, idle_timeout=idle_timeout, metadata=metadata)
        return request.stream(*args, **kwargs)

    async def _ask(self, timeout: float) -> Any:  # noqa: ASYNC109 - the worker is told of it
        try:
            return await self._question(timeout).acall()
        except RpcError as error:
            return _unanswered(error)

    def _check(self, method: str, given: list[str], timeout: float) -> float:
        """Refuses options that may be meant for the handler; gives the time that the call has left."""
        if self._options.is_due(method):
            began = time.monotonic()
            try:
                self._options.learn(self._question(timeout).call())
            except RpcError as error:
                self._options.learn(_unanswered(error))
            timeout = _rest(timeout, began)
        self._options.check(method, given)
        return timeout

    def _question(self, timeout: float) -> Request:
        """Asks for the parameters of methods within a call's own time; waits for no worker."""
        return self.request(_METHODS, timeout=timeout, wait_for_ready=False)

    def load(  # noqa: PLR0913 - all but the call are keywords with defaults
        self,
        method: str,
        arguments: Any = None,
        *,
        seconds: float,
        rate: float | None = None,
        concurrency: int = 1,
        calls: int | None = None,
    ) -> dict[str, Any]:
        """Calls a method over and over, from a native loop, and measures: what `pycrust bench` shows.

        Args:
            method: The method's name.
            arguments: Arguments by name as a dict, by position as a list, or `None`.
            seconds: How long new calls are made.
            rate: Calls a second in all. Each one's latency is counted from when it was due, also where it had to
                wait for the answers to others ("coordinated omission"). Without it, each call follows an answer.
            concurrency: Calls at the same time, at most.
            calls: Calls in all, at most.

        Returns:
            `sent`, `ok`, `errors` by code, `first_error`, `unsent` calls that were due, `late` ones (by more than
            1 ms), `versions`, `took_ns`; `latency`, `service` (from a call's sending) and `stages`, each with
            `count`, `min_ns`, `mean_ns`, `p50_ns`, `p90_ns`, `p99_ns`, `p999_ns`, `max_ns` and `buckets`.

        Raises:
            ValueError: A number is out of bounds.
        """
        return self._client.load(
            method, arguments, {}, seconds=seconds, rate=rate, concurrency=concurrency, calls=calls
        )

    def request(  # noqa: PLR0913 - all but the method are keywords with defaults
        self,
        method: str,
        *,
        timeout: float | None = None,
        idle_timeout: float | None = None,
        wait_for_ready: bool | None = None,
        idempotent: bool = False,
        latest: bool = False,
        metadata: dict[str, str | bytes] | None = None,
        schema: int = 0,
        traceparent: str | None = None,
        window: int = 64,
    ) -> Request:
        """A call with options.

        Args:
            method: The method's name.
            timeout: Seconds that the call has, of one that streams to the end of its stream. By default the
                client's usual ones, and no limit where arguments or answer stream; `math.inf` is no limit.
            idle_timeout: Seconds that a call which streams may be silent while its caller waits: no item of the
                answer comes and no argument goes. Then it raises `DeadlineExceeded` and is cancelled.
            wait_for_ready: Whether it waits for a worker that can take it; by default as the client does.
            idempotent: Whether it may be made again if the worker goes away.
            latest: Whether it takes the place of older such calls of this client that still wait; those end in
                `Aborted`.
            metadata: What the handler finds in `current_call().metadata`.
            schema: The schema hash that the caller was built against; a handler of another one refuses the call
                and says what differs.
            traceparent: The W3C trace context that the call belongs to; in a handler, by default its own call's.
            window: Items of a streamed answer that may come before they are taken.

        Returns:
            What makes the call, in one of several ways.
        """
        given = traceparent is not None
        if not given:
            call = running_call()
            traceparent = call.traceparent if call is not None else None
        options = {
            "timeout": timeout,
            "idle_timeout": idle_timeout,
            "wait_for_ready": wait_for_ready,
            "idempotent": idempotent,
            "latest": latest,
            "metadata": metadata,
            "schema": schema,
            "traceparent": traceparent,
            "window": window,
        }
        return requests(self.name, self._client, method, options, given=given)

    def ready(self, method: str, /, *args: Any, **kwargs: Any) -> None:
        """Asks the worker to run a real handler, as a supervisor would.

        Args:
            method: The handler that is run.
            *args: Its arguments by position, or
            **kwargs: by name.

        Raises:
            RpcError: The worker is not there, or the handler does not answer; as from `call`.
        """
        self.call("pycrust.ready", method, encode(_arguments(args, kwargs)))

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


@dataclass(frozen=True)
class Reply:
    """An answer with what is known about it.

    Attributes:
        value: What the handler returned.
        version: The version of the handler that answered, from 1; 0 where the worker answered itself.
        timing: Seconds by stage: `round_trip` is all of it as the client measured it, `transit`, `queue`,
            `interpreter`, `decode`, `handler`, `encode` and `back` are parts of it.
    """

    value: Any
    version: int
    timing: dict[str, float]


class Request:
    """A call with options, made by `RpcClient.request`; each method below makes it."""

    def __init__(
        self, _endpoint: str, client: Client, method: str, options: dict[str, Any], *, given: bool
    ) -> None:
        """Made by `RpcClient.request`; `given` is whether the caller chose the trace that it belongs to."""
        del given
        self._client = client
        self._method = method
        self._options = options

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        """Calls and waits for the result: see `RpcClient.call`."""
        return self._client.call(self._method, _arguments(args, kwargs), self._options)

    def send(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Calls and waits for the answer: the result, the version that gave it, and where the time went."""
        return Reply(*self._client.reply(self._method, _arguments(args, kwargs), self._options))

    async def acall(self, /, *args: Any, **kwargs: Any) -> Any:
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

        pending = self._client.start(self._method, _arguments(args, kwargs), self._options, done)
        try:
            return await future
        finally:
            pending.cancel()

    def notify(self, /, *args: Any, **kwargs: Any) -> None:
        """Sends the call and wants no answer; whether it ran is not told.

        Raises:
            RpcError: There is no worker, or no room in time.
        """
        self._client.notify(self._method, _arguments(args, kwargs), self._options)

    def stream(self, /, *args: Any, **kwargs: Any) -> Stream:
        """Calls a handler that streams: see `RpcClient.stream`."""
        return Stream(self._client.stream(self._method, _arguments(args, kwargs), self._options))

    def exchange(self, arguments: Iterable[Any]) -> Stream:
        """Calls a handler that takes a stream of arguments and streams its answer; both go on at once.

        Args:
            arguments: Taken on a thread of their own, as the handler takes them.

        Returns:
            The items of the answer.
        """
        feed, items = self._client.exchange(self._method, self._options)
        stream = Stream(items)
        Thread(target=_feed, args=(feed, iter(arguments), stream), name="pycrust-feed", daemon=True).start()
        return stream

    def upload(self, arguments: Iterable[Any]) -> Any:
        """Calls a handler that takes a stream of arguments and waits for its result.

        Args:
            arguments: Taken on a thread of their own, as the handler takes them.
        """
        with self.exchange(arguments) as stream:
            return next(stream, None)


#: What `RpcClient.request` makes: `pycrust.telemetry` puts one in its place that records the call.
requests: type[Request] = Request


def _feed(feed: ClientFeed, arguments: Iterator[Any], stream: Stream) -> None:
    """Hands a call its arguments, as long as it wants more."""
    try:
        for argument in arguments:
            if not feed.put(argument):
                break
    except BaseException as error:  # noqa: BLE001 - it is raised where the answer is taken
        stream.broken = error
        feed.fail(f"the iterator over the arguments raised {error!r}")
    finally:
        feed.end()


class Stream:
    """The items of a streamed answer, for `for` and for `async for`."""

    def __init__(self, stream: ClientStream) -> None:
        """Made by `RpcClient.stream`."""
        self._stream = stream
        #: What the iterator over the arguments has raised.
        self.broken: BaseException | None = None

    def __iter__(self) -> Iterator[Any]:
        """Itself."""
        return self

    def __next__(self) -> Any:
        """The next item; waits for it."""
        found = self._next()
        if found is None:
            raise StopIteration
        return found[0]

    def _next(self) -> tuple[Any] | None:
        try:
            return self._stream.next()
        except Cancelled:
            if self.broken is not None:
                raise self.broken from None
            raise

    def __aiter__(self) -> AsyncIterator[Any]:
        """Itself."""
        return self

    async def __anext__(self) -> Any:
        """The next item, awaited."""
        found = await asyncio.to_thread(self._next)
        if found is None:
            raise StopAsyncIteration
        return found[0]

    @property
    def version(self) -> int:
        """The version of the handler that ended the stream; 0 before its end."""
        return self._stream.version

    def close(self) -> None:
        """Cancels the call, if it has not ended."""
        self._stream.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Closes."""
        self.close()


def _given(**options: Any) -> list[str]:
    """The options that a caller has given."""
    return [name for name, value in options.items() if value is not None]


def _unanswered(error: RpcError) -> list[Any]:
    """What is known of the methods of a worker that has not said it: nothing, and the call will say why."""
    if error.code is Code.DEADLINE_EXCEEDED:
        error.may_have_run = False  # the call itself was not even sent, and there is no time left for it
        raise error
    return []


def _rest(timeout: float, began: float) -> float:
    """What is left of a call's seconds."""
    return max(0.0, timeout - (time.monotonic() - began))


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and kwargs:
        raise TypeError("give the arguments by position or by name, not both: they travel as an array or as a map")
    return kwargs or list(args)
