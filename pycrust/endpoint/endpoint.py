"""An endpoint: a name under which this process serves handlers."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, cast, overload

from pycrust._extension import CurrentCall
from pycrust.arrays.in_place import empty
from pycrust.calls.current import running_call
from pycrust.endpoint.display import mimebundle, view
from pycrust.endpoint.method import Method
from pycrust.endpoint.rpc_methods import service_registrations
from pycrust.handlers.options import Options, shows_options
from pycrust.handlers.registration import Registration, locals_around, make_registration
from pycrust.models.recipe import Recipe
from pycrust.process.shield import shielded
from pycrust.service import hosting, lifecycle
from pycrust.service.service import Service
from pycrust.service.settings import Settings
from pycrust.service.termination import on_sigterm
from pycrust.text.lines import PrintedLine
from pycrust.text.names import check_endpoint, check_method
from pycrust.text.statistics import Stats, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pycrust.calls.local import LocalCall
    from pycrust.calls.running import RunningCall
    from pycrust.handlers.options import RegisterOptions
    from pycrust.models.slot import ModelSlot
    from pycrust.process.realtime import RealTime
    from pycrust.schemas.rust import RustClient
    from pycrust.traffic.recorded import RecordedCall
    from pycrust.traffic.recording import Recording
    from pycrust.traffic.traffic import Traffic
    from pycrust.versions.events import EventLog

Function = TypeVar("Function", bound="Callable[..., Any]")


class RpcEndpoint:
    """A name under which this process serves handlers to clients on the same machine.

    The same name again in one process is the same endpoint, with its handlers, history and clients.

    Args:
        name: 1 to 128 ASCII letters, digits, `.`, `_`, `-`.
        traceback: Whether the text of a handler's traceback reaches the caller.
        max_threads: Threads that run handlers, at most. Of 16 and more, two are kept for methods of which no
            call runs.
        max_in_flight: Calls received and not yet answered, at most.
        max_in_flight_per_client: The same for one client.
        spin_us: Microseconds that a thread polls before it sleeps; 0 never polls, `None` lets the worker decide.
        switch_interval: Seconds of the interpreter's thread switch interval while anything serves; `None`
            leaves it, and how the kernel schedules the main thread, alone.
        keep_versions: Replaced handlers of each method that are kept for rollback.
        anticipation: The share of a core that may be spent for each client on being awake before its calls, where
            they have a rhythm: such a call finds a thread that polls for it, and the code of its path warm. Five
            times as much may be spent for all clients; 0 is nothing. `stats()["clients"]` has the hits, the
            misses and what they took.
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
    _service: Service

    def __new__(  # noqa: PLR0913 - all but the name are keywords with defaults
        cls,
        name: str,
        *,
        traceback: bool = True,
        max_threads: int = Settings.max_threads,
        max_in_flight: int = Settings.max_in_flight,
        max_in_flight_per_client: int = Settings.max_in_flight_per_client,
        spin_us: float | None = Settings.spin_us,
        switch_interval: float | None = Settings.switch_interval,
        keep_versions: int = Settings.keep_versions,
        anticipation: float = Settings.anticipation,
        fresh: bool = False,
    ) -> Self:
        """A handle on the endpoint of this name, which is made if this process has none yet."""
        settings = Settings(
            traceback,
            max_threads,
            max_in_flight,
            max_in_flight_per_client,
            spin_us,
            switch_interval,
            keep_versions,
            anticipation,
        )
        check_endpoint(name)
        settings.check()
        service, endpoint = cls._handle(name, settings)
        service.settings.check_conflict(name, settings)
        service.catalog.made_again()
        if fresh:
            service.catalog.change([Registration(method) for method in service.catalog.visible()])
        return cast("Self", endpoint)

    @classmethod
    @shielded
    def _handle(cls, name: str, settings: Settings) -> tuple[Service, RpcEndpoint]:
        """The service of this name and the one handle of this class on it, made if there are none yet."""
        with lifecycle.lock:
            service = lifecycle.services.get(name)
            if service is None:
                service = lifecycle.services[name] = Service(name, settings)
            endpoint = service.handles.get(cls)
            if endpoint is None:
                endpoint = super().__new__(cls)
                endpoint.name, endpoint._service = name, service
                service.handles[cls] = endpoint
            return service, endpoint

    # Registering ------------------------------------------------------------------------------------------

    @overload
    def register(self, name: Function, **options: Unpack[RegisterOptions]) -> Function: ...
    @overload
    def register(
        self, name: str | None = None, **options: Unpack[RegisterOptions]
    ) -> Callable[[Function], Function]: ...
    @shows_options
    def register(self, name: Any = None, **options: Unpack[RegisterOptions]) -> Any:
        """Registers a handler, or replaces it under live traffic.

        A handler is a function, an `async def` function, or a generator of either kind, which streams its
        answer. One whose only parameter is an `Iterator` (`AsyncIterator`) takes arguments that its caller streams.

        Use it as `@endpoint.register`, `@endpoint.register()`, `@endpoint.register("name")` or
        `endpoint.register(function)`. In a notebook it is published when its cell succeeds, elsewhere at once.

        Args:
            name: The method's name for callers, the function's own by default; or the function itself.
            **options: As keywords, each of which has a default.

        Keyword Args:
            request_model: Validates the arguments. The handler gets its fields as keywords, or the model
                itself if its one parameter is annotated with it. Without it, the annotations are the schema.
            response_model: Validates and serialises the result, in place of the return annotation.
            request_schema: A JSON Schema that the arguments are validated by, in place of the annotations: a dict,
                JSON text, or a `pathlib.Path` to a file of it, as `schemars` makes one of a Rust type. The handler
                gets its properties as keywords, as they came. It needs `pip install 'pycrust[schema]'`.
            concurrency: Calls of this handler that may run at once: 1 by default, for an `async def` handler as
                many as come. A sync handler's are at most the endpoint's `max_threads`, of which a few are kept
                for others. Of a generator, its steps from one `yield` to the next count.
            warmup: Called before the handler goes live; or the arguments of one call that is run then.
            context: Gives a context manager that is entered around each call, such as `torch.inference_mode`. It is
                for what belongs to a thread (`torch.set_grad_enabled`): handlers run on others than the cells do;
                context variables, decimal's settings and NumPy's errors are each call's own without it.
            batch: Gives the handler a list of many calls' arguments, and each caller its own of the list of
                results; one that is an exception is raised for its caller only.
            loop: Where an `async def` handler runs: on an event loop of the worker's own, or on the kernel's, where
                it waits while a cell runs.
            record: Whether its calls are recorded for `traffic()`.
            models: Names of model slots. The handler gets their models as the keywords of these names; a call
                keeps the ones that it started with.
            freeze: Whether the globals that the handler reads stay as they are now.
            exclusive: Whether a new version waits until no call of an older one runs.
            admission: Which calls may wait for their turn: with `"queue"`, the default, as many as the endpoint's
                bounds allow; with `"deadline"`, those of them that will be answered in time, by what calls of the
                handler usually take and what is queued before them. The others get RESOURCE_EXHAUSTED at once and
                have not run. One that is alone is always tried, and so are calls that stream or want no answer.
            side_effects: Whether running it changes the world: then nobody may shadow or replay it.

        Returns:
            The function unchanged, or a decorator that returns it unchanged.

        Raises:
            TypeError: The handler's kind or signature is unfit, or Pydantic can't make a validator.
            ValueError: The name or an option is out of bounds, or the warm-up failed.
            ImportError: What `request_schema` needs is not installed.

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
        wanted = Options.of(options)
        if name is None or isinstance(name, str):

            def decorate(function: Function) -> Function:
                registration = make_registration(function, name, wanted, locals_around(0), self._service)
                self._service.catalog.change([registration])
                return function

            return decorate
        function = cast("Callable[..., Any]", name)
        registration = make_registration(function, None, wanted, locals_around(0), self._service)
        self._service.catalog.change([registration])
        return name

    def add_service(self, service: object, *, prefix: str = "") -> list[str]:
        """Registers the methods of an object that are marked with `@rpc_method`, all in one step.

        An object of a class that was registered before, under the same prefix, takes the place of the earlier one:
        methods that it no longer has are removed. If it has a method `__handover__(self, old)`, that is called with
        the earlier object first, to take over its state; otherwise the line about the swap names what is let go.

        Args:
            service: The object.
            prefix: Put before each method's name.

        Returns:
            The names that were registered.

        Raises:
            TypeError: `service` is a class and not an instance.
            ValueError: Nothing is marked.
            Exception: Whatever `__handover__` raises; then nothing is registered.

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
        registrations = service_registrations(self._service, service, prefix, locals_around(0))
        self._service.catalog.change(registrations)
        return [registration.method for registration in registrations if registration.handler is not None]

    def model(  # noqa: PLR0913 - all but the name and the function are keywords with defaults
        self,
        name: str,
        load: Callable[..., Any],
        *,
        warmup: Callable[[Any], Any] | None = None,
        validate: Callable[[Any], Any] | None = None,
        unload: Callable[[Any], Any] | None = None,
        policy: Literal["load_first", "unload_first"] = "load_first",
        keep: int = 0,
    ) -> ModelSlot:
        """Makes a slot for a model that can be loaded again under live traffic, and loads it.

        Handlers get the model with `register(models=[name])`. The handle that this gives never holds the model
        itself, so that a notebook's `Out` pins nothing. In a notebook the model is live when its cell succeeds.
        Running the cell again with the same `load` changes nothing; with another one it loads anew.

        Args:
            name: The slot's name, which is the handlers' keyword.
            load: Gives the model. `reload()` passes its arguments on to it.
            warmup: Called with the model before it goes live.
            validate: Called with the model; a false result or an exception refuses it.
            unload: Called with a replaced model once its last call has ended.
            policy: Whether a reload loads the new model before the old one is let go, or, where there is no room
                for two, after: callers get UNAVAILABLE meanwhile.
            keep: Replaced models whose weights are kept for `rollback`.

        Returns:
            The slot's handle.

        Raises:
            TypeError: A function is none.
            ValueError: The name or an option is out of bounds, or `validate` refused the model.
            BaseException: Whatever `load` or `warmup` raises.
        """
        return self._service.slot(name, Recipe(load, warmup, validate, unload, policy, keep))

    def unregister(self, name: str) -> None:
        """Removes a method: calls that were received still run, later ones get UNIMPLEMENTED.

        Args:
            name: The method's name.

        Raises:
            UnknownMethod: There is none of this name.
        """
        self._service.catalog.registered(name)
        self._service.catalog.change([Registration(name)])

    def commit(self) -> None:
        """Publishes at once what the running cell has registered; it then stays, even if the cell fails."""
        self._service.catalog.commit()

    def refresh(self) -> list[str]:
        """Publishes what reloaded modules have changed (`importlib.reload`, autoreload), as new versions.

        In a notebook this happens at the end of each cell.

        Returns:
            A line for each method that changed or could not be registered again.
        """
        return self._service.look()

    # Looking ----------------------------------------------------------------------------------------------

    @property
    def models(self) -> dict[str, ModelSlot]:
        """The model slots by their names."""
        return dict(self._service.slots)

    @property
    def events(self) -> EventLog:
        """What happened to handlers and models: publications, refusals, rollbacks, reloads; the oldest first."""
        return self._service.catalog.events

    @property
    def rebound(self) -> dict[str, list[str]]:
        """Methods whose live version is marked (`v3*`), each with the globals under it that are others now.

        Looked for at the end of each cell.
        """
        return self._service.catalog.rebound()

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
        return self._service.catalog.call(method, args)

    def __getitem__(self, name: str) -> Method:
        """One method, by its name.

        Raises:
            UnknownMethod: There is and was none of this name (it is a `KeyError`, too).
        """
        self._service.catalog.known(name)
        return Method(self._service, name)

    def __contains__(self, name: object) -> bool:
        """Whether a method of this name is registered."""
        return name in self._service.catalog.visible()

    def __iter__(self) -> Iterator[str]:
        """The names of the methods, sorted."""
        return iter(self._service.catalog.visible())

    def __len__(self) -> int:
        """How many methods are registered."""
        return len(self._service.catalog.visible())

    def __copy__(self) -> Self:
        """Itself: a process has one endpoint of a name."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Itself, as of `copy`."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """By its name: in this process it is the same one, in another one that has no handlers yet."""
        return _elsewhere, (type(self), self.name, asdict(self._service.settings), os.getpid())

    def __bool__(self) -> bool:
        """An endpoint is true, also before it has methods."""
        return True

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __dir__(self) -> list[str]:
        """What completion offers: the public names."""
        return [name for name in super().__dir__() if not name.startswith("_")]

    def empty(self, shape: int | Sequence[int], dtype: Any = "float64") -> Any:
        """An array to build a result in; its content is not defined.

        In a handler that runs for a client it lies in that client's shared memory, and goes out without a copy
        if it, or an array of which it is the whole, is in the result and nothing else refers to it when the
        handler has returned. Otherwise, and anywhere else, it is an array like any other.

        Args:
            shape: Elements in each dimension.
            dtype: A NumPy type or its name; a PyTorch type gives a tensor.

        Returns:
            A NumPy array or a PyTorch tensor.

        Examples:
            >>> import numpy as np
            >>> endpoint = RpcEndpoint("empty-doc")
            >>> @endpoint.register
            ... def double(values: np.ndarray) -> np.ndarray:
            ...     return np.multiply(values, 2.0, out=endpoint.empty(values.shape))
            >>> endpoint._dispatch("double", [np.array([1.0, 2.0])])
            array([2., 4.])
        """
        call = running_call()
        return empty(shape, dtype, call.room if isinstance(call, CurrentCall) else None)

    # Serving ----------------------------------------------------------------------------------------------

    @property
    def serving(self) -> bool:
        """Whether clients can reach this endpoint."""
        return self._service.serving

    @property
    def metrics_url(self) -> str | None:
        """Where monitoring reads this endpoint's metrics; `None` if it does not serve with `metrics=`."""
        address = self._service.worker.metrics_address
        return None if address is None else f"http://{address}/metrics"

    def serve(
        self,
        *,
        expect: Sequence[str] = (),
        takeover: bool = False,
        realtime: RealTime | None = None,
        placement: Literal["auto", "kernel"] = "auto",
        metrics: int | str | None = None,
    ) -> str:
        """Serves from now on, on native threads; returns at once. Safe to run twice.

        Publishes what the running cell has registered.

        Args:
            expect: Methods that are still to be registered: until then callers get UNAVAILABLE, not
                UNIMPLEMENTED.
            takeover: Whether another process that serves the name is asked to stop. Its calls have 2 s to end;
                clients go on with this one.
            realtime: Cores, a priority and locked memory for the threads that serve. What can't be had is printed
                and logged with the way to get it, and it serves all the same.
            placement: Where a thread waits for a client with a rhythm. `auto` leaves that client the core on which
                it runs, so that neither waits for the other; which cores a handler may use stays as it is. `kernel`
                leaves it to the kernel, and so do cores that `realtime` asks for.
            metrics: Where monitoring reads metrics (`GET /metrics`) and whether this serves (`GET /healthz`), over
                HTTP and without the interpreter: a port of this machine's own 127.0.0.1, 0 being any free one, or
                `host:port`. Any user of the machine, or whoever reaches that host, can read them; `metrics_url`
                says where they are.

        Returns:
            The line that it prints; below that, it prints what of `realtime` can't be had.

        Raises:
            AlreadyServed: Another live process serves this name, and was not asked to hand it over or did not.
            OSError: Another program listens at the port of `metrics`.
            ValueError: The process may not use a core of `realtime`, or serves already with another one or with
                other `metrics`; `placement` is none, or `metrics` no address.
        """
        expected = [check_method(name) for name in expect]
        options = {
            "expect": expected,
            "takeover": takeover,
            "realtime": realtime,
            "placement": placement,
            "metrics": metrics,
        }
        if hosting.takes(self.name, options):
            return PrintedLine(f"{self._state()}, served by `pycrust serve`")
        self.commit()
        before = self.serving
        try:
            self._service.start(
                expected, takeover=takeover, realtime=realtime, placement=placement, metrics=metrics
            )
            line = PrintedLine(f"serving {self._state()}")
            print(line, *self._service.missing, sep="\n", flush=True)  # noqa: T201 - the line is what a user runs this for
        except BaseException:
            if not before:
                self.stop(0.0)
            raise
        return line

    def listen(
        self,
        *,
        expect: Sequence[str] = (),
        takeover: bool = False,
        realtime: RealTime | None = None,
        placement: Literal["auto", "kernel"] = "auto",
        metrics: int | str | None = None,
    ) -> None:
        """Serves until interrupted (Ctrl-C, SIGTERM) or stopped, then stops cleanly and returns.

        Args:
            expect: As in `serve`.
            takeover: As in `serve`.
            realtime: As in `serve`.
            placement: As in `serve`.
            metrics: As in `serve`.

        Raises:
            AlreadyServed: Another live process serves this name.
            OSError: As in `serve`.
            ValueError: As in `serve`.
        """
        options = {
            "expect": expect,
            "takeover": takeover,
            "realtime": realtime,
            "placement": placement,
            "metrics": metrics,
        }
        if hosting.takes(self.name, options):
            return
        # The signal is heard before the line is printed: who reads it may send one at once.
        with on_sigterm() as terminated:
            try:
                self.serve(
                    expect=expect, takeover=takeover, realtime=realtime, placement=placement, metrics=metrics
                )
                self._service.wait(terminated)
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
        return self._service.stop(grace)[0]

    def __enter__(self) -> Self:
        """Serves."""
        self.serve()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stops."""
        self.stop()

    def stats(self) -> Stats:
        """What was called and how long it took, as `pycrust.stats` answers it; `str` of it is a table.

        Where it serves with `realtime`, that key has what was reached of it: policy, priority and cores of each
        thread as the kernel has them, `memory_locked`, `collections` between calls by generation, and what is
        `missing`.
        """
        return Stats(self._service.stats())

    def glance(self) -> dict[str, Any]:
        """The numbers of `stats()` that the live view shows five times a second, flat, at a fraction of its cost.

        `names` of the methods and `rows` of them: version, calls, errors, calls in flight; p50, p90, p99, p999 and
        maximum of the round trip, then the p50 of each stage, in nanoseconds. Of all methods: `trip`, `wait` for
        the interpreter and the `latest` second's round trips, each p50 and p99; `up` in milliseconds; counts.
        """
        return self._service.worker.glance()

    def traffic(self, filter: str = "", *, limit: int | None = 1_000, since: int = 0) -> Traffic:  # noqa: A002 - what users call it
        """The last calls, recorded as they ended: what they brought, what they were answered, where time went.

        Args:
            filter: Which calls, such as `add status:error >5ms`; `pycrust.traffic.filters` has the grammar.
            limit: The newest so many that match; `None` is all that are held.
            since: Only calls that were recorded after the one with this number (`call.seq`).

        Raises:
            FilterError: The filter can't be read; the message points at what is wrong.

        Examples:
            >>> endpoint = RpcEndpoint("traffic-doc")
            >>> endpoint.traffic("add status:error", limit=10)
            <Traffic of traffic-doc: 0 calls that match add status:error>
        """
        return self._service.tap.calls(filter, limit, since)

    def follow(self, filter: str = "", *, since: int | None = None) -> Generator[RecordedCall]:  # noqa: A002 - as in traffic
        """Calls as they are recorded, for a `for` loop: it waits for the next one until it is interrupted.

        Args:
            filter: As in `traffic`.
            since: Begins after the call with this number; `None` begins now.

        Raises:
            FilterError: The filter can't be read.
        """
        return self._service.tap.follow(filter, since)

    @property
    def recording(self) -> Recording:
        """What of the traffic is recorded: shows it, and called with settings changes it."""
        return self._service.recording

    def running(self, *, least: float = 0.0) -> list[RunningCall]:
        """The calls that run now, the longest first; a stream counts while it makes an item.

        Args:
            least: Only those that were sent so many seconds ago or earlier.
        """
        return self._service.running(round(least * 1e9))

    def interrupt(self, call: RunningCall | CurrentCall | LocalCall) -> bool:
        """Ends a running call, where Python can; its caller gets CANCELLED.

        In a sync handler it raises `pycrust.errors.Interrupted`, a `KeyboardInterrupt`, at the next step of its
        Python code: not before `time.sleep` or another call into C returns. An async handler's task is cancelled.

        Args:
            call: One of `running()`, or what `current_call()` gave.

        Returns:
            Whether the call was still running.
        """
        return self._service.interrupt(call.connection, call.id)

    def rust_client(self) -> RustClient:
        """A Rust module with a typed client of this endpoint, made of the schemas that its handlers have now.

        It sees what the calling code sees: in a cell, also what the cell has registered and what is published when
        it succeeds. `pycrust types` makes the same module from the command line.

        Returns:
            What has the module as its text: `str(...)`, and `save("src/calculator.rs")`. A notebook shows it with a
            button that copies it.

        Raises:
            LockError: The endpoint has no methods.

        Examples:
            >>> endpoint = RpcEndpoint("rust-client-doc")
            >>> @endpoint.register
            ... def add(a: int, b: int) -> int:
            ...     return a + b
            >>> "add" in str(endpoint.rust_client())
            True
        """
        from pycrust.schemas.lock import Lock  # noqa: PLC0415 - only who asks for it needs it
        from pycrust.schemas.rust import RustClient  # noqa: PLC0415 - as above

        catalog = self._service.catalog
        methods = catalog.visible()
        versions = {name: catalog.version(name) for name in methods}
        return RustClient(Lock.of_registrations(self.name, methods, versions))

    def summary(self) -> str:
        """The endpoint and its methods as a small text table."""
        text = f"{'serving ' if self.serving else ''}{self._state()}\n{self.stats()}"
        stale = self._service.catalog.stale
        return f"{text}\nnot registered since the endpoint was made again: {', '.join(stale)}" if stale else text

    def _state(self) -> str:
        """`calculator · pid 4711 · 2 methods · 0 clients` while serving."""
        methods = counted(len(self), "method")
        if not self.serving:
            return f"{self.name} · not serving · {methods}"
        clients = counted(len(self.stats()["clients"]), "client")
        state = f"{self.name} · pid {os.getpid()} · {methods} · {clients}"
        return state if (url := self.metrics_url) is None else f"{state} · metrics at {url}"

    def __repr__(self) -> str:
        """One line."""
        return f"<{type(self).__name__} {self._state()}>"

    def _display_(self) -> Any:
        """The live view in marimo."""
        return view(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """The live view in a notebook; always text."""
        return mimebundle(self, include=include, exclude=exclude)


def _elsewhere(cls: type[RpcEndpoint], name: str, settings: dict[str, Any], process: int) -> RpcEndpoint:
    """The endpoint of this name in the process that unpickles it."""
    known = lifecycle.services.get(name)
    endpoint = cls(name, **(settings if known is None else asdict(known.settings)))
    if known is None:
        lifecycle.services[name].catalog.origin = f"; it came from process {process}, and handlers do not travel"
    return endpoint
