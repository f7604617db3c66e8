"""What the native extension offers to the package; a test checks it against the binary."""

from collections.abc import Callable, Sequence
from contextvars import Context
from pathlib import Path
from typing import Any, Literal, final

#: The version of the protocol that both sides speak.
PROTOCOL_VERSION: int
#: The release, as Cargo numbers it.
VERSION: str

@final
class Items:
    """The arguments that a caller streams, as an iterator for a sync handler."""

    def __iter__(self) -> Items: ...
    def __next__(self) -> Any: ...

@final
class BaseContext:
    """The context that serving began in. Each call runs in a copy of it."""

    def __new__(cls, context: Context, renew: Callable[[], object] | None) -> BaseContext:
        """`renew` is called in each copy, for what copies would share."""
    def copy(self) -> Context:
        """A context for one call."""

@final
class Buffer:
    """Bytes that came; read-only. They stay for as long as anything refers to this object."""

    @property
    def shared(self) -> bool:
        """Whether the bytes are in shared memory, not copied."""
    def private(self) -> Private | None:
        """The same bytes as writable memory, without a copy; what is written stays in this process.

        `None` where that can't be: few bytes, or copied ones, or another such object for them lives.
        """
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Private:
    """Bytes that came, writable: whoever sent them does not see it. They stay while anything refers to this."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Step:
    """Gives a value that is exactly of one class as it is, and what a function makes of any other."""

    def __new__(cls, class_: type, text: bool, function: Callable[[Any], Any], /) -> Step: ...
    def __call__(self, value: Any, /) -> Any: ...

@final
class Room:
    """Bytes that a handler writes its answer into; sent where they are once nothing else refers to them."""

    @property
    def shared(self) -> bool:
        """Whether the bytes are in shared memory; otherwise they are copied when they are sent."""
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Printed:
    """Where output is kept with its call, or with the calls of its batch; it keeps nothing else of them."""

    def write(self, channel: Literal["stdout", "stderr", "display"], text: str) -> bool:
        """Keeps output: whether it was kept, which it is not where calls are not recorded."""

@final
class CurrentCall:
    """The call that a handler runs for. It may be kept beyond the call's end."""

    @property
    def id(self) -> int:
        """The caller's number for the call; unique on its connection only."""
    @property
    def method(self) -> str:
        """The method's name."""
    @property
    def version(self) -> int:
        """The version of the handler that runs, from 1."""
    @property
    def client(self) -> str:
        """What the caller calls itself."""
    @property
    def client_pid(self) -> int:
        """The caller's process id."""
    @property
    def connection(self) -> int:
        """The number of the caller's connection."""
    @property
    def time_left(self) -> float | None:
        """Seconds until the deadline, 0.0 once it has passed; `None` if there is none."""
    @property
    def elapsed(self) -> float:
        """Seconds since the call was sent."""
    def write_output(self, channel: Literal["stdout", "stderr", "display"], text: str) -> bool:
        """Keeps output with the call: whether it was kept."""
    def printed(self) -> Printed:
        """Where its output is kept."""
    @property
    def cancelled(self) -> bool:
        """Whether the caller cancelled the call, gave it up or is gone."""
    @property
    def idempotent(self) -> bool:
        """Whether the caller said that running the call twice does no harm."""
    @property
    def metadata(self) -> dict[str, str | bytes]:
        """The caller's metadata: strings to strings or bytes."""
    @property
    def traceparent(self) -> str | None:
        """The caller's trace context as a W3C `traceparent`; `None` if it has none."""
    def set_metadata(self, metadata: dict[str, str | bytes]) -> None:
        """Sends metadata back with the answer, in place of what was set before."""
    def room(self, size: int) -> Room:
        """`size` bytes for the answer to be built in; copied where the connection has no memory for it."""

@final
class AsyncCall:
    """One call of an `async def` handler or an async generator."""

    @staticmethod
    def take(inbox: Inbox, /) -> list[AsyncCall | int]:
        """Takes what waits in an inbox: calls to run, and numbers of calls to look at again."""

    @property
    def number(self) -> int:
        """Tells it from the loop's other calls."""
    @property
    def cancelled(self) -> bool:
        """Whether the caller cancelled the call or is gone."""
    @property
    def may_send(self) -> bool:
        """Whether the caller takes one more item now."""
    @property
    def streams(self) -> bool:
        """Whether the handler is an async generator."""
    def context(self) -> CurrentCall:
        """What `pycrust.current_call()` gives in the handler."""
    def begin(self, items: object) -> Any:
        """Binds the arguments and calls the handler; `None` if they don't fit, which is answered."""
    def finish(self, result: object) -> None:
        """Answers with the coroutine's result."""
    def send(self, item: object) -> bool:
        """Sends an item of the answer. False if it can't cross, which is answered."""
    def end(self) -> None:
        """Ends the streamed answer."""
    def fail(self, error: BaseException) -> None:
        """Answers with what the handler raised."""
    def abandon(self) -> None:
        """Answers that the call was cancelled, by its caller or by the worker's stop."""
    def take_argument(self) -> tuple[bool, Any] | None:
        """The next streamed argument; `(False, None)` at the end, `None` if it is not here yet."""

@final
class Inbox:
    """Calls for one event loop, and the descriptor that tells of them."""

    def __new__(cls) -> Inbox: ...
    def fileno(self) -> int:
        """The descriptor that becomes readable when there is something to take."""
    def open(self) -> None:
        """Takes calls from now on."""
    def close(self) -> None:
        """Takes no more calls; those that wait are answered with UNAVAILABLE."""

@final
class Handler:
    """One immutable handler: binding, validation, function, validation and serialisation of the result."""

    def __new__(
        cls,
        function: Callable[..., object],
        *,
        mode: Literal["none", "raw", "fields", "model", "args", "items"],
        validate: Callable[[Any], Any] | None = None,
        fields: Sequence[str] = ...,
        more: bool = False,
        validate_result: Callable[[Any], Any] | None = None,
        serialize_result: Callable[[Any], Any] | None = None,
        context: Callable[[], Any] | None = None,
        kind: Literal["function", "generator", "coroutine", "async_generator"] = ...,
        inbox: Inbox | None = None,
        batch: bool = False,
        pure: bool = False,
    ) -> Handler: ...
    @property
    def function(self) -> Callable[..., Any]:
        """What is called."""
    def bound(self, arguments: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Binds and validates arguments: those by position and those by name."""
    def bind_models(self, models: dict[str, Any] | None) -> Handler:
        """The same handler, whose calls get these keywords beside their arguments."""
    def start(self, arguments: object) -> Any:
        """Binds and validates arguments and calls the function: its result, coroutine or generator.

        Of a handler that runs many calls at once, the call is a batch of its own.
        """
    def finish(self, result: object) -> Any:
        """Validates and serialises a result, or an item of a streamed one."""
    def answer(self, payload: bytes) -> bytes:
        """Everything that a dispatch thread does with a call's bytes, without a call: the result's MessagePack."""

@final
class Client:
    """Calls the handlers of one endpoint."""

    def __new__(
        cls,
        name: str,
        client_name: str,
        timeout: float,
        wait: float,
        *,
        wait_for_ready: bool = False,
        lazy: bool = False,
    ) -> Client: ...
    def call(self, method: str, arguments: object, options: dict[str, Any]) -> Any:
        """Calls and waits for the result."""
    def reply(self, method: str, arguments: object, options: dict[str, Any]) -> tuple[Any, int, dict[str, float]]:
        """Calls and waits for the result, the version that answered and the seconds that each stage took."""
    def start(
        self,
        method: str,
        arguments: object,
        options: dict[str, Any],
        done: Callable[[Any, BaseException | None], None],
    ) -> PendingCall:
        """Calls; `done(result, error)` is called on a thread of the client's, one of them `None`."""
    def stream(self, method: str, arguments: object, options: dict[str, Any]) -> ClientStream:
        """Calls a handler that streams."""
    def notify(self, method: str, arguments: object, options: dict[str, Any]) -> None:
        """Sends a call that wants no answer."""
    def exchange(self, method: str, options: dict[str, Any]) -> tuple[ClientFeed, ClientStream]:
        """Calls a handler that takes a stream of arguments: where they are put, and the items of its answer."""
    def load(
        self,
        method: str,
        arguments: object,
        options: dict[str, Any],
        *,
        seconds: float,
        rate: float | None = None,
        concurrency: int = 1,
        calls: int | None = None,
    ) -> dict[str, Any]:
        """Calls one method for `seconds`, at most `concurrency` times at once, and gives what was measured.

        `rate` calls a second in all, or as fast as answers come; at most `calls` in all.

        Raises:
            ValueError: A number is out of bounds.
        """
    def close(self) -> None:
        """Closes the connection."""

@final
class ClientFeed:
    """Where the arguments of a call are put that takes a stream of them."""

    def put(self, argument: object) -> bool:
        """Puts one argument, once there is room for it; false if no more are wanted."""
    def fail(self, reason: str) -> bool:
        """There are no more arguments, for this reason: the call is cancelled."""
    def end(self) -> None:
        """There are no more arguments."""

@final
class PendingCall:
    """A call that was started and not waited for."""

    def cancel(self) -> None:
        """Cancels the call; nobody is told of its result then."""

@final
class ClientStream:
    """The items of a streamed answer."""

    @property
    def version(self) -> int:
        """The handler version that ended the stream; 0 before its end."""
    def next(self) -> tuple[Any] | None:
        """The next item; waits for it. `None` at the end, otherwise a tuple of the item alone."""
    def close(self) -> None:
        """Cancels the call."""

@final
class Scrub:
    """Names of fields that are not shown; `*` in one stands for any text, case doesn't matter."""

    def __new__(cls, names: list[str]) -> Scrub: ...
    def hides(self, name: str) -> bool:
        """Whether a field of this name is hidden."""

@final
class Shown:
    """What is shown of a recorded call."""

    @property
    def request(self) -> bytes:
        """The arguments as MessagePack; empty if nothing can be shown of them."""
    @property
    def request_metadata(self) -> bytes:
        """The caller's metadata as MessagePack."""
    @property
    def response(self) -> bytes:
        """The result or the error as MessagePack; of a stream, its items one after the other."""
    @property
    def response_metadata(self) -> bytes:
        """The answer's metadata as MessagePack."""
    @property
    def less_request(self) -> bool:
        """Whether anything of the arguments is hidden."""
    @property
    def less_response(self) -> bool:
        """Whether anything of the answer is hidden."""
    def text(self, text: str) -> str:
        """A text without what is hidden of the call."""

@final
class Record:
    """One recorded call."""

    @property
    def seq(self) -> int:
        """Its number among the recorded calls, from 1."""
    @property
    def id(self) -> int:
        """The caller's number for it, unique on its connection only."""
    @property
    def method(self) -> str:
        """What was called."""
    @property
    def version(self) -> int:
        """The version that answered; 0 where none did."""
    @property
    def status(self) -> int:
        """The number of the answer's status."""
    @property
    def seen(self) -> int | None:
        """The number of the status that the caller saw; `None` until it has told."""
    @property
    def flags(self) -> int:
        """The request's flags."""
    @property
    def client(self) -> str:
        """What the caller calls itself."""
    @property
    def client_pid(self) -> int:
        """The caller's process id."""
    @property
    def connection(self) -> int:
        """The number of the caller's connection."""
    @property
    def ended_unix_ns(self) -> int:
        """When it ended, in nanoseconds since 1970."""
    @property
    def duration_ns(self) -> int:
        """Nanoseconds from its publishing to its answer."""
    @property
    def deadline_ns(self) -> int:
        """Nanoseconds that it had from its publishing on; 0 is without end."""
    @property
    def round_trip_ns(self) -> int | None:
        """Nanoseconds until the caller had its answer, as it measured; `None` until it has told."""
    @property
    def stages(self) -> dict[str, int]:
        """Nanoseconds of each stage, by its name."""
    @property
    def ran(self) -> bool:
        """Whether a handler was started for it."""
    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream."""
    @property
    def items(self) -> int:
        """Items of the answer, of a stream."""
    @property
    def items_kept(self) -> int:
        """Of these, the first ones that are kept."""
    @property
    def uploaded(self) -> int:
        """Arguments that its handler took of those that the caller streamed."""
    @property
    def uploaded_kept(self) -> int:
        """Of these, the first ones that are kept: `request` is their array."""
    @property
    def parameters(self) -> list[str]:
        """The names of the method's arguments by position."""
    def shown(self, scrub: Scrub) -> Shown:
        """The call without the fields that are not shown."""
    @property
    def request_dropped(self) -> bool:
        """Whether fields of the arguments were dropped before they were stored."""
    @property
    def response_dropped(self) -> bool:
        """Whether fields of the answer were dropped before it was stored."""
    @property
    def request(self) -> bytes:
        """The arguments as MessagePack, as far as they were kept."""
    @property
    def request_arrays(self) -> list[bytes]:
        """The arrays among the arguments, if they were kept."""
    @property
    def request_len(self) -> int:
        """Bytes that the arguments had."""
    @property
    def request_metadata(self) -> bytes:
        """The caller's metadata as MessagePack."""
    @property
    def response(self) -> bytes:
        """The result or the error as MessagePack, as far as it was kept; of a stream, its items in a row."""
    @property
    def response_len(self) -> int:
        """Bytes that the answer had."""
    @property
    def response_metadata(self) -> bytes:
        """The answer's metadata as MessagePack."""
    @property
    def output(self) -> list[tuple[str, str]]:
        """What the handler printed, in order: pairs of channel (`stdout`, `display`, …) and text."""
    @property
    def output_lost(self) -> int:
        """Bytes of output that were not kept."""

@final
class RealTimeProfile:
    """What the threads that serve are given while an endpoint serves, and its process.

    Raises:
        ValueError: The process may not use one of the cores.
    """

    def __new__(
        cls, cores: Sequence[int], priority: int | None, lock_memory: bool, collect_between_calls: bool
    ) -> RealTimeProfile: ...
    @property
    def missing(self) -> list[str]:
        """What could not be had: a line each, with the way to get it."""
    def enter(self) -> None:
        """Gives the calling thread, which serves, what is asked for, until it leaves."""
    def leave(self) -> None:
        """The calling thread has what it had before it entered."""
    def end(self) -> None:
        """Puts everything back: the memory, and threads that still run."""
    def reached(self) -> dict[str, Any]:
        """What was reached, as the kernel has it now."""

@final
class MetricsServer:
    """Answers `GET /metrics` with what `collect()` gives, pairs as `metrics_text` takes them, until it is stopped.

    Raises:
        OSError: `address` is no `host:port`, or another program listens there.
    """

    def __new__(cls, address: str, collect: Callable[[], list[tuple[str, bytes | None]]]) -> MetricsServer: ...
    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
    def stop(self) -> None:
        """Ends it."""

@final
class Worker:
    """Serves one endpoint: claims its name, holds its handlers, runs its dispatch threads."""

    def __new__(
        cls,
        name: str,
        *,
        notebook: str = ...,
        max_threads: int = 32,
        max_in_flight: int = 65536,
        max_in_flight_per_client: int = 16384,
        spin_us: float | None = None,
        anticipation: float = 0.02,
        traceback: bool = True,
        name_lost: Callable[[str], object] | None = None,
    ) -> Worker: ...
    @property
    def serving(self) -> bool:
        """Whether callers can reach the worker."""
    @property
    def metrics_address(self) -> str | None:
        """Where it answers monitoring, as `host:port`; `None` if it does not."""
    def publish(self, changes: Sequence[tuple[str, Handler | None, dict[str, Any]]]) -> list[int]:
        """Registers or, with `None`, removes methods in one atomic step; gives their version numbers."""
    def expect(self, methods: Sequence[str]) -> None:
        """Answers UNAVAILABLE, not UNIMPLEMENTED, for these methods until they are registered."""
    def start(
        self,
        base: BaseContext,
        profile: RealTimeProfile | None = None,
        *,
        elsewhere: bool = True,
        metrics: str | None = None,
    ) -> dict[str, Any]:
        """Claims the name and serves, each call in a copy of `base`; gives `pid`, `generation` and `dir`.

        The threads have what `profile` asks for; `elsewhere` leaves a client with a rhythm its core. Monitoring is
        answered at `metrics`, `host:port`.
        """
    def ask_for_name(self) -> None:
        """Asks whoever serves the name to drain and stop, so that this worker can serve it."""
    def stop(self, grace: float) -> tuple[bool, bool]:
        """Stops serving; waits up to `grace` seconds for calls. Whether every call and every thread ended."""
    def settle(self) -> None:
        """Waits for stops that are under way, such as a hand-over to another process."""
    def stats(self) -> dict[str, Any]:
        """The answer to `pycrust.stats`."""
    def glance(self) -> dict[str, Any]:
        """The same as flat numbers: a row for each method, as the live view shows it."""
    def recorded(self, after: int = 0, most: int = ..., *, newest: bool = True) -> list[Record]:
        """Recorded calls with numbers above `after`, the oldest first; the newest `most`, or the oldest."""
    def wait_recorded(self, after: int, patience: float) -> bool:
        """Waits up to `patience` seconds for a call with a number above `after`; whether there is one."""
    def running(self, least_ns: int = 0) -> list[dict[str, Any]]:
        """The calls of sync handlers that run now and were sent `least_ns` nanoseconds ago or earlier, as dicts."""
    def interrupt(self, exception: type[BaseException], connection: int, id: int) -> bool:  # noqa: A002
        """Raises an exception of this class in the sync handler that runs this call; whether there is one."""
    def forget_recorded(self) -> None:
        """Forgets the recorded calls."""
    def set_recording(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes the settings that are named; gives all of them."""
    def recorder(self) -> dict[str, Any]:
        """How the recorder is doing: `calls`, `bytes`, `recorded`, `skipped`, `share`, `last`."""

def current_call() -> CurrentCall | None:
    """The call that this thread runs a sync handler for; `None` if it runs none."""

def current_calls() -> list[CurrentCall] | None:
    """The calls that this thread runs a batch handler for, in the order of its list; `None` if it runs none."""

def write_output(channel: Literal["stdout", "stderr", "display"], text: str) -> bool | None:
    """Keeps output of the sync handler that this thread runs: whether it was, `None` if the thread runs none."""

def encode_metadata(metadata: dict[str, str | bytes]) -> bytes:
    """A call's metadata as MessagePack, checked: strings to strings or bytes, no more than may travel."""

def shielded(function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """Calls `function` on a thread of its own, which no interrupt reaches, and waits for it."""

def encode(value: object, /) -> bytes:
    """MessagePack of `value`."""

def decode(payload: bytes, /) -> Any:
    """The Python object that the MessagePack in `payload` stands for."""

def at_end(callback: Callable[[], object]) -> bool:
    """Calls `callback` when the sync handler that this thread runs has returned; whether it runs one.

    That is before its caller is answered; of a generator, after the step that runs.
    """

def log_put(note: object) -> bool:
    """Leaves an object for the thread that logs: whether there was room, and the thread has not ended."""

def log_take(patience: float | None = None) -> tuple[list[Any], int] | None:
    """What the thread that logs is to do, and how many notes had no room; `None` at the end.

    Notes are objects that were put, and lines as `(level, logger, text, seconds since 1970, thread)`. Waits for
    them, at most `patience` seconds if that is no `None`.
    """

def log_close() -> None:
    """The thread that logs is to end, once it has taken what waits."""

def log_forked() -> None:
    """In a forked child: what waits is the parent's to say."""

def log_levels(levels: list[int]) -> None:
    """Native lines of these levels and above are wanted, as Python numbers levels; others are not even made.

    Of `pycrust`, and of its `transport`, `client` and `iceoryx2`.
    """

def trace_calls(
    begin: Callable[[str, CurrentCall, int, bool], object] | None = None,
    end: Callable[[Any, int, tuple[int, int, int, int, int]], object] | None = None,
) -> None:
    """Has `begin(endpoint, call, since_received_ns, current)` called in the context of each call.

    And `end(span, code, stages)`, with what that gave, before the call is answered; `stages` are the nanoseconds of
    queue, interpreter, decode, handler and encode. `current` is whether the span is to be the context's. Without
    arguments, no longer.
    """

def printed() -> Printed | None:
    """Where output of the sync handler that this thread runs is kept; `None` if the thread runs none."""

def be_punctual() -> None:
    """The calling thread, which answers calls, comes before threads that compute."""

def collector_forked() -> None:
    """In a forked child: the collector is as it was before the calls that its parent runs."""

def yield_to_others(*, enabled: bool) -> None:
    """The main thread lets every thread that wakes come first; or, with `False`, no longer."""

def decode_kept(payload: bytes, arrays: Sequence[bytes] = ...) -> Any:
    """Like `decode`, of a recorded payload and its arrays; without them, each is an `Absent`."""

def call_lines(calls: Sequence[Record]) -> str:
    """The calls as lines of a list, in JSON; nothing of them is decoded."""

def matches(pattern: str, text: str) -> bool:
    """Whether a pattern in which `*` stands for any text matches a whole text."""

def rust_module(lock: str, /) -> str:
    """The source of a Rust module that calls the handlers of a lock file, which is given as its text.

    Raises:
        ValueError: The text is none of a lock file.
    """

def schema_changes(old: str, new: str, /) -> list[tuple[str, str, bool]]:
    """What differs between two versions' schemas of a method: path, what, whether older callers have to change."""

def crossed(value: object) -> Any:
    """What a caller makes of `value`: encoded and decoded again; its arrays are copied once."""

def live_endpoints() -> list[dict[str, Any]]:
    """Every endpoint that a live process of this user serves."""

def stale_endpoints() -> list[dict[str, Any]]:
    """Every endpoint whose worker ended without removing its lock; whoever lists the live ones removes it."""

def metrics_text(answers: Sequence[tuple[str, bytes | None]], *, openmetrics: bool = False) -> str:
    """The metrics of some workers as text: Prometheus' format, or OpenMetrics.

    Args:
        answers: Pairs of an endpoint's name and its answer to `pycrust.metrics` as MessagePack, `None` if it gave
            none.
        openmetrics: Which format it is.
    """

def runtime_dirs() -> list[Path]:
    """The directories in which workers and clients of this user find each other, in that order.

    Raises:
        OSError: None can be made or trusted; it says why.
    """

def stack_size() -> int:
    """Bytes of stack for a thread that runs handlers: as many as the main thread may use."""

def clean_up() -> None:
    """Removes what this process has in shared memory under names that no other process uses."""
