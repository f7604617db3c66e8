"""An endpoint: a name under which this process serves handlers."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from pycrust import _binding, lifecycle, staging
from pycrust.errors import UnknownMethod
from pycrust.method import Method
from pycrust.naming import check_endpoint, check_method, near_matches
from pycrust.registration import Options, Registration, locals_around, make_registration
from pycrust.services import marked_methods
from pycrust.statistics import Stats, counted
from pycrust.versions import Version, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pydantic import BaseModel

    from pycrust._native import Worker

Function = TypeVar("Function", bound="Callable[..., Any]")

#: Seconds between looks at signals while `listen` waits.
_SLICE = 0.1


@dataclass(frozen=True)
class Settings:
    """An endpoint's options, with their defaults."""

    #: Whether the text of a handler's traceback reaches the caller.
    traceback: bool = True
    #: Threads that run handlers, at most.
    max_threads: int = 32
    #: Calls received and not yet answered, at most; past it a caller gets RESOURCE_EXHAUSTED.
    max_in_flight: int = 65_536
    #: The same for one client.
    max_in_flight_per_client: int = 16_384
    #: Microseconds that a thread polls before it sleeps; 0 never polls, `None` lets the worker decide.
    spin_us: float | None = None
    #: Seconds of the interpreter's thread switch interval while serving; `None` leaves it alone.
    switch_interval: float | None = 50e-6

    def check(self) -> None:
        """Refuses values that no worker could run with.

        Raises:
            ValueError: A number is out of bounds.
        """
        for name in ("max_threads", "max_in_flight", "max_in_flight_per_client"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.spin_us is not None and not 0 <= self.spin_us <= 1e6:  # noqa: PLR2004 - a second of polling
            raise ValueError(f"spin_us is between 0 and 1,000,000, not {self.spin_us}")
        if self.switch_interval is not None and not 0 < self.switch_interval <= 1:
            raise ValueError(f"switch_interval is above 0 s and at most 1 s, not {self.switch_interval}")


class _Line(str):
    """A line that was printed already, so that a notebook doesn't show it again as the cell's value."""

    __slots__ = ()

    def _ipython_display_(self) -> None:
        """Shows nothing."""


class RpcEndpoint:
    """A name under which this process serves handlers to clients on the same machine.

    The same name again in one process is the same endpoint, with its handlers, history and clients.

    Args:
        name: 1 to 128 ASCII letters, digits, `.`, `_`, `-`.
        traceback: Whether the text of a handler's traceback reaches the caller.
        max_threads: Threads that run handlers, at most.
        max_in_flight: Calls received and not yet answered, at most.
        max_in_flight_per_client: The same for one client.
        spin_us: Microseconds that a thread polls before it sleeps; 0 never polls, `None` lets the worker decide.
        switch_interval: Seconds of the interpreter's thread switch interval while anything serves; `None`
            leaves it alone.
        fresh: Removes the methods that an endpoint of this name has.

    Raises:
        ValueError: The name or an option is out of bounds, or an option is another than this endpoint has.

    Examples:
        >>> endpoint = RpcEndpoint("endpoint-doc")
        >>> @endpoint.register
        ... def add(a: int, b: int = 1) -> int:
        ...     return a + b
        >>> endpoint._dispatch("add", {"a": 10, "b": 20})
        30
        >>> endpoint
        <RpcEndpoint endpoint-doc · not serving · 1 method>
    """

    name: str
    _settings: Settings
    _worker: Worker
    #: What is live, by method.
    _live: dict[str, Registration]
    _history: dict[str, list[Version]]
    #: Methods that were not registered since the endpoint was last made under its name.
    _stale: set[str]
    _lock: threading.RLock
    #: Set while the endpoint does not serve.
    _stopped: threading.Event

    def __new__(
        cls,
        name: str,
        *,
        traceback: bool = True,
        max_threads: int = Settings.max_threads,
        max_in_flight: int = Settings.max_in_flight,
        max_in_flight_per_client: int = Settings.max_in_flight_per_client,
        spin_us: float | None = Settings.spin_us,
        switch_interval: float | None = Settings.switch_interval,
        fresh: bool = False,
    ) -> RpcEndpoint:
        """The endpoint of this name, made if this process has none yet."""
        settings = Settings(
            traceback, max_threads, max_in_flight, max_in_flight_per_client, spin_us, switch_interval
        )
        check_endpoint(name)
        settings.check()
        with lifecycle.lock:
            endpoint = lifecycle.endpoints.get(name)
            if endpoint is None:
                endpoint = super().__new__(cls)
                endpoint._set_up(name, settings)
                lifecycle.endpoints[name] = endpoint
                return endpoint
        endpoint._check_conflict(settings)
        endpoint._stale |= set(endpoint._live)
        if fresh:
            endpoint._change([Registration(method) for method in endpoint._names()])
        return endpoint

    def _set_up(self, name: str, settings: Settings) -> None:
        self.name = name
        self._settings = settings
        self._live = {}
        self._history = {}
        self._stale = set()
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._stopped.set()
        self._worker = self._make_worker()

    def _make_worker(self) -> Worker:
        options = asdict(self._settings)
        del options["switch_interval"]
        return _binding.make_worker(self.name, notebook=os.environ.get("JPY_SESSION_NAME", ""), **options)

    def _check_conflict(self, asked: Settings) -> None:
        """An option that was given has to be the one that the endpoint has; a default asks for nothing."""
        default, has, wants = asdict(Settings()), asdict(self._settings), asdict(asked)
        conflicts = [
            f"{option}={wants[option]!r} (it has {has[option]!r})"
            for option in wants
            if wants[option] not in (default[option], has[option])
        ]
        if conflicts:
            raise ValueError(
                f"{self.name!r} exists in this process with other options: {', '.join(conflicts)}; "
                "leave them out to use it as it is, or restart to change them"
            )

    # Registering ------------------------------------------------------------------------------------------

    @overload
    def register(
        self,
        name: Function,
        *,
        request_model: type[BaseModel] | None = None,
        response_model: Any = None,
        concurrency: int = 1,
        warmup: Any = None,
        context: Callable[[], AbstractContextManager[Any]] | None = None,
    ) -> Function: ...
    @overload
    def register(
        self,
        name: str | None = None,
        *,
        request_model: type[BaseModel] | None = None,
        response_model: Any = None,
        concurrency: int = 1,
        warmup: Any = None,
        context: Callable[[], AbstractContextManager[Any]] | None = None,
    ) -> Callable[[Function], Function]: ...
    def register(
        self,
        name: Any = None,
        *,
        request_model: type[BaseModel] | None = None,
        response_model: Any = None,
        concurrency: int = 1,
        warmup: Any = None,
        context: Callable[[], AbstractContextManager[Any]] | None = None,
    ) -> Any:
        """Registers a handler, or replaces it under live traffic.

        Use it as `@endpoint.register`, `@endpoint.register()`, `@endpoint.register("name")` or
        `endpoint.register(function)`. In a notebook it is published when its cell succeeds, elsewhere at once.

        Args:
            name: The method's name for callers, the function's own by default; or the function itself.
            request_model: Validates the arguments. The handler gets its fields as keywords, or the model
                itself if its one parameter is annotated with it. Without it, the annotations are the schema.
            response_model: Validates and serialises the result, in place of the return annotation.
            concurrency: Calls of this handler that may run at once.
            warmup: Called before the handler goes live; or the arguments of one call that is run then.
            context: Gives a context manager that is entered around each call, such as `torch.inference_mode`.

        Returns:
            The function unchanged, or a decorator that returns it unchanged.

        Raises:
            TypeError: The handler's kind or signature is unfit, or Pydantic can't make a validator.
            ValueError: The name or an option is out of bounds, or the warm-up failed.

        Examples:
            >>> from pydantic import BaseModel
            >>> endpoint = RpcEndpoint("register-doc")
            >>> class AddArgs(BaseModel):
            ...     a: int
            ...     b: int
            >>> @endpoint.register(request_model=AddArgs)
            ... def add(a: int, b: int) -> int:
            ...     return a + b
            >>> endpoint._dispatch("add", [10, 20])
            30
        """
        options = Options(
            request_model=request_model,
            response_model=response_model,
            concurrency=concurrency,
            warmup=warmup,
            context=context,
        )
        if name is None or isinstance(name, str):

            def decorate(function: Function) -> Function:
                self._register(function, name, options, locals_around(0))
                return function

            return decorate
        self._register(cast("Callable[..., Any]", name), None, options, locals_around(0))
        return name

    def _register(
        self, function: Callable[..., Any], name: str | None, options: Options, names: Mapping[str, Any]
    ) -> None:
        self._change([make_registration(function, name, options, names)])

    def add_service(self, service: object, *, prefix: str = "") -> list[str]:
        """Registers the methods of an object that are marked with `@rpc_method`.

        Args:
            service: The object.
            prefix: Put before each method's name.

        Returns:
            The names that were registered.

        Raises:
            TypeError: `service` is a class and not an instance.
            ValueError: Nothing is marked.

        Examples:
            >>> from pycrust import rpc_method
            >>> class Arm:
            ...     @rpc_method
            ...     def home(self) -> str:
            ...         return "homed"
            >>> endpoint = RpcEndpoint("service-doc")
            >>> endpoint.add_service(Arm(), prefix="arm.")
            ['arm.home']
        """
        names = locals_around(0)
        registrations = [
            make_registration(function, prefix + name, options, names)
            for name, function, options in marked_methods(service)
        ]
        if not registrations:
            raise ValueError(f"{type(service).__qualname__} has no method that is marked with @rpc_method")
        self._change(registrations)
        return [registration.method for registration in registrations]

    def unregister(self, name: str) -> None:
        """Removes a method: calls that were received still run, later ones get UNIMPLEMENTED.

        Args:
            name: The method's name.

        Raises:
            UnknownMethod: There is none of this name.
        """
        self._registered(name)
        self._change([Registration(name)])

    def _change(self, registrations: Sequence[Registration]) -> None:
        """Stages registrations in the running cell, or publishes them where there is none."""
        self._stale -= {registration.method for registration in registrations}
        stage = staging.current()
        if stage is None:
            self._publish(registrations)
            return
        for registration in registrations:
            stage.put(self, registration)

    def commit(self) -> None:
        """Publishes at once what the running cell has registered; it then stays, even if the cell fails."""
        stage = staging.current()
        if stage is not None:
            self._publish(stage.take(self))

    def _publish(self, registrations: Sequence[Registration]) -> list[str]:
        """Makes registrations live in one step; gives a line for each live method that changed."""
        with self._lock:
            changes = [one for one in registrations if one.changes(self._live.get(one.method))]
            if not changes:
                return []
            numbers = _binding.publish(self._worker, [(one.method, one.handler, one.details()) for one in changes])
            serving = self.serving
            lines = [
                self._went_live(registration, number) for registration, number in zip(changes, numbers, strict=True)
            ]
            return lines if serving else []

    def _went_live(self, registration: Registration, number: int) -> str:
        method = registration.method
        before = self._live_version(method) if method in self._live else 0
        where = _cell()
        version = Version(
            method=method,
            number=number,
            source=registration.source,
            doc=registration.doc,
            published=now(),
            cell=where[0],
            cell_id=where[1],
            schema=registration.schema,
            schema_hash=registration.schema_hash,
            removed=registration.handler is None,
        )
        self._history.setdefault(method, []).append(version)
        if registration.handler is None:
            del self._live[method]
            return f"{self.name}.{method} v{before} removed"
        self._live[method] = registration
        return f"{self.name}.{method} v{before} → v{number}" if before else f"{self.name}.{method} v{number}"

    # Looking ----------------------------------------------------------------------------------------------

    def _visible(self) -> dict[str, Registration]:
        """What the calling code sees: what is live, changed by what its cell has staged."""
        stage = staging.current()
        staged = stage.staged(self) if stage else {}
        return {name: one for name, one in {**self._live, **staged}.items() if one.handler is not None}

    def _names(self) -> list[str]:
        return sorted(self._visible())

    def _registered(self, name: str) -> Registration:
        visible = self._visible()
        if name in visible:
            return visible[name]
        near = near_matches(name, visible)
        if near:
            hint = f"did you mean {' or '.join(map(repr, near))}?"
        else:
            hint = f"it has {', '.join(sorted(visible))}" if visible else "it has no methods"
        raise UnknownMethod(f"{self.name!r} has no method {name!r}: {hint}", {"near": near})

    def _live_version(self, name: str) -> int:
        with self._lock:
            if name not in self._live:
                self._registered(name)  # raises, unless it is staged
                return 0
            return self._history[name][-1].number

    def _history_of(self, name: str) -> list[Version]:
        with self._lock:
            if name not in self._history:
                self._registered(name)
            return list(self._history.get(name, []))

    def _dispatch(self, method: str, args: Any = None) -> Any:
        """Makes one call in this process, without transport.

        Args:
            method: The method's name.
            args: Its arguments as they would be sent: a dict binds by name, a list or tuple by position,
                `None` is no argument, any other value is the single positional argument.

        Returns:
            What a caller would get: the result, validated and serialised.

        Raises:
            UnknownMethod: There is no such method; near matches are named.
            pydantic.ValidationError: The arguments or the result don't validate.
            TypeError: The arguments or the result can't be serialised.
            Exception: Whatever the handler raises.
        """
        handler = self._registered(method).handler
        assert handler is not None  # noqa: S101 - only registrations with one are visible
        arguments = _binding.decode(_binding.encode(args))
        return _binding.decode(_binding.encode(handler.invoke(arguments)))

    def __getitem__(self, name: str) -> Method:
        """One method, by its name.

        Raises:
            UnknownMethod: There is none of this name (it is a `KeyError`, too).
        """
        self._registered(name)
        return Method(self, name)

    def __contains__(self, name: object) -> bool:
        """Whether a method of this name is registered."""
        return name in self._visible()

    def __iter__(self) -> Iterator[str]:
        """The names of the methods, sorted."""
        return iter(self._names())

    def __len__(self) -> int:
        """How many methods are registered."""
        return len(self._visible())

    def __bool__(self) -> bool:
        """An endpoint is true, also before it has methods."""
        return True

    def _ipython_key_completions_(self) -> list[str]:
        return self._names()

    def __dir__(self) -> list[str]:
        """What completion offers: the public names."""
        return [name for name in super().__dir__() if not name.startswith("_")]

    # Serving ----------------------------------------------------------------------------------------------

    @property
    def serving(self) -> bool:
        """Whether clients can reach this endpoint."""
        return self._worker.serving

    def serve(self, *, expect: Sequence[str] = ()) -> str:
        """Serves from now on, on native threads; returns at once. Safe to run twice.

        Publishes what the running cell has registered.

        Args:
            expect: Methods that are still to be registered: until then callers get UNAVAILABLE, not
                UNIMPLEMENTED.

        Returns:
            The line that it prints.

        Raises:
            AlreadyServed: Another live process serves this name.
        """
        expected = [check_method(name) for name in expect]
        self.commit()
        with self._lock:
            if expected:
                self._worker.expect(expected)
            if not self._worker.serving:
                self._worker.start()
                self._stopped.clear()
                if self._settings.switch_interval is not None:
                    lifecycle.switch_interval.want(self.name, self._settings.switch_interval)
        line = _Line(f"serving {self._state()}")
        print(line, flush=True)  # noqa: T201 - the line is what a user runs this for
        return line

    def listen(self, *, expect: Sequence[str] = ()) -> None:
        """Serves until interrupted (Ctrl-C, SIGTERM) or stopped, then stops cleanly and returns.

        Args:
            expect: As in `serve`.

        Raises:
            AlreadyServed: Another live process serves this name.
        """
        terminated = threading.Event()
        with _sigterm(terminated):
            try:
                self.serve(expect=expect)
                # In slices: a wait without end would keep a signal waiting, too.
                while not terminated.is_set() and not self._stopped.wait(_SLICE):
                    pass
            except KeyboardInterrupt:
                pass  # how a user ends it
            finally:
                self.stop()

    def stop(self, grace: float = 2.0) -> bool:
        """Stops serving: refuses new calls, waits for running ones. Handlers stay registered.

        Args:
            grace: Seconds to wait for running calls.

        Returns:
            Whether every call ended in time; one that did not runs on, its answer is dropped.
        """
        with self._lock:
            if not self._worker.serving:
                self._stopped.set()
                return True
        try:
            return self._worker.stop(grace)
        finally:
            self._stopped.set()
            lifecycle.switch_interval.release(self.name)

    def __enter__(self) -> RpcEndpoint:
        """Serves."""
        self.serve()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stops."""
        self.stop()

    def stats(self) -> Stats:
        """What was called and how long it took, as `pycrust.stats` answers it; `str` of it is a table."""
        return Stats(self._worker.stats())

    def summary(self) -> str:
        """The endpoint and its methods as a small text table."""
        text = f"{self._state(joint='serving ' if self.serving else '')}\n{self.stats()}"
        if self._stale:
            text += f"\nnot registered since the endpoint was made again: {', '.join(sorted(self._stale))}"
        return text

    def _state(self, joint: str = "") -> str:
        """`calculator · pid 4711 · 2 methods · 0 clients`, the clients while serving."""
        methods = counted(len(self), "method")
        if not self.serving:
            return f"{self.name} · not serving · {methods}"
        clients = counted(len(self.stats()["clients"]), "client")
        return f"{joint}{self.name} · pid {os.getpid()} · {methods} · {clients}"

    def __repr__(self) -> str:
        """One line."""
        return f"<{type(self).__name__} {self._state()}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **options: Any) -> Any:
        """The live view in a notebook, where its widget is installed; always text."""
        plain = {"text/plain": repr(self)}
        if "ipykernel" not in sys.modules or importlib.util.find_spec("anywidget") is None:
            return plain
        try:
            from pycrust.jupyter.widget import LiveView  # noqa: PLC0415 # pyright: ignore

            bundle: Any = LiveView(self)._repr_mimebundle_(include=include, exclude=exclude, **options)  # noqa: SLF001 # pyright: ignore
        except ImportError:
            return plain
        if isinstance(bundle, tuple):
            data, metadata = cast("tuple[dict[str, Any], dict[str, Any]]", bundle)
            return {**data, **plain}, metadata
        return {**cast("dict[str, Any]", bundle or {}), **plain}

    # Forking ----------------------------------------------------------------------------------------------

    def _forked(self) -> None:
        """In a forked child: what serves is the parent's; this copy has its handlers and serves nothing."""
        _left_alone.append(self._worker)
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._stopped.set()
        self._worker = self._make_worker()
        live, self._live = list(self._live.values()), {}
        self._history = {}
        self._publish(live)


#: Workers of a parent process: freeing them in the child would touch what the parent uses.
_left_alone: list[Worker] = []


def _cell() -> tuple[int | None, str | None]:
    """The number and the id of the notebook cell that is running, if one is."""
    shell: Any = None
    if "IPython" in sys.modules:
        from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only where it is there already

        shell = get_ipython()
    stage: Any = staging.current() if shell is not None else None
    if stage is None:
        return None, None
    return stage.result.execution_count, getattr(stage.result.info, "cell_id", None)


@contextmanager
def _sigterm(terminated: threading.Event) -> Iterator[None]:
    """Lets SIGTERM set an event, where Python allows that: on the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: terminated.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
