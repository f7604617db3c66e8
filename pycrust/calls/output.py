"""What a handler prints goes to the record of its call, and never into whichever cell ran last.

While an endpoint serves, the `write` of `sys.stdout` and of `sys.stderr` asks first whether a handler runs here: on
the streams themselves, so that whatever holds one of them (a logging handler, a progress bar) is covered, and on
those that a running cell puts in their place. In a kernel a handler's output goes to its record only, elsewhere to
the terminal as well.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import io
import sys
import threading
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from pycrust import _extension
from pycrust.calls import leaving
from pycrust.calls.tasks import current_task_call
from pycrust.process.environment import in_kernel
from pycrust.process.imports import Awaited
from pycrust.process.shield import shielded

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from pycrust._extension import Printed

    Channel = Literal["stdout", "stderr", "display"]
    #: An object, the attribute of it that is replaced, and what makes the replacement of what was there.
    Patch = tuple[Any, str, Callable[[Any], Any]]
    #: What is watched in modules that may be imported later, by their names.
    Later = Mapping[str, Callable[[Any], Iterable[Patch]]]
    #: Makes, of what asks the user, what makes its replacement.
    Question = Callable[[str], Callable[[Any], Any]]


def _nothing(_question: Question) -> tuple[Iterable[Patch], Later]:
    return (), {}


#: What is watched in a kernel, now and later; `pycrust.jupyter` has its own put here.
of_kernel: Callable[[Question], tuple[Iterable[Patch], Later]] = _nothing

#: Takes what is printed, in place of a call's record.
_collector: ContextVar[list[str] | None] = ContextVar("pycrust_collector", default=None)
#: Where a thread prints that a handler started, or what a handler gave to a pool of threads.
_printed: ContextVar[Printed | None] = ContextVar("pycrust_printed", default=None)
#: Streams that a handler has put in the place of the standard ones, for itself.
_own: ContextVar[Mapping[str, Any]] = ContextVar("pycrust_streams", default=types.MappingProxyType({}))
#: What is done at the end of an async handler.
endings: ContextVar[list[Callable[[], object]] | None] = ContextVar("pycrust_endings", default=None)


def keep(channel: Channel, text: str) -> bool | None:
    """Keeps output with the call that runs here.

    Returns:
        Whether it was kept, which it is not where calls are not recorded; `None` if no handler runs here.
    """
    collector = _collector.get()
    if collector is not None:
        collector.append(text)
        return True
    kept = _extension.write_output(channel, text)
    if kept is not None:
        return kept
    call = current_task_call()
    if call is not None:
        return call.write_output(channel, text)
    printed = _printed.get()
    return None if printed is None else printed.write(channel, text)


@contextmanager
def collected() -> Generator[list[str]]:
    """Collects what is printed here, in this thread or task, and shows it nowhere: for a handler that is tried."""
    pieces: list[str] = []
    owner = f"collected {id(pieces)}"
    before = _collector.set(pieces)
    try:
        capture.want(owner)
        yield pieces
    finally:
        _collector.reset(before)
        capture.release(owner)


class _Nowhere(list[str]):
    """Takes text and keeps none of it."""

    def append(self, _text: str, /) -> None:
        return


def leave_call(*, silent: bool) -> None:
    """What this thread prints belongs to no call; `silent`: it is shown nowhere while streams are watched."""
    _printed.set(None)
    _collector.set(_Nowhere() if silent else None)


def at_end(then: Callable[[], object]) -> bool:
    """Does something when the handler that runs here ends, before its caller is answered; whether one runs."""
    if _extension.at_end(then):
        return True
    waiting = endings.get()
    if waiting is not None:
        waiting.append(then)
    return waiting is not None


def in_handler() -> bool:
    """Whether a handler runs here: on this thread, in this task, or on a thread that it started."""
    if _extension.write_output("stdout", "") is not None or current_task_call() is not None:
        return True
    return _printed.get() is not None


def is_kept() -> bool:
    """Whether what is printed here is kept, by the record of a call or by `collected`."""
    return _collector.get() is not None or in_handler()


def refuse(what: str) -> NoReturn:
    """Raises, in place of what a handler can't do: nobody is there to answer it.

    Raises:
        RuntimeError: Always; it names the way that works.
    """
    call = _extension.current_call() or current_task_call()
    method = call.method if call else "…"
    raise RuntimeError(
        f"{what} waits for a person, and a handler's caller is a program. To debug this call, make it again on the "
        f'main thread, under pdb: endpoint.traffic("method:{method}")[-1].debug()'
    )


class _Patch:
    """Puts something in the place of an attribute, and back again."""

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        self._owner, self._name = owner, name
        #: Whether the owner itself had it, or its class.
        self._own = name in vars(owner)
        self._before = getattr(owner, name)
        self._ours = make(self._before)
        setattr(owner, name, self._ours)

    def undo(self) -> None:
        """Puts back what was there, unless somebody else has put something over it, who may need this one."""
        if cast("dict[str, Any]", vars(self._owner)).get(self._name) is not self._ours:
            return
        if self._own:
            setattr(self._owner, self._name, self._before)
        else:
            delattr(self._owner, self._name)


class Capture:
    """The process's standard streams and questions to the user, watched while anything serves."""

    def __init__(self) -> None:
        """Nothing serves yet."""
        self._lock = threading.RLock()
        self._wanted: set[str] = set()
        self._patches: list[_Patch] = []
        #: Streams whose `write` is watched, by themselves.
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self._awaited: list[Awaited] = []
        self._kernel = False

    @shielded
    def want(self, endpoint: str) -> None:
        """An endpoint begins to serve."""
        with self._lock:
            if not self._wanted:
                self._install()
            self._wanted.add(endpoint)
            self.watch("stdout", sys.stdout)
            self.watch("stderr", sys.stderr)

    @shielded
    def release(self, endpoint: str) -> None:
        """An endpoint stops."""
        with self._lock:
            self._wanted.discard(endpoint)
            if not self._wanted:
                self._remove()

    def forked(self) -> None:
        """In a forked child, which serves nothing."""
        self._lock = threading.RLock()
        self._wanted = set()
        self._remove()

    def watch(self, channel: Literal["stdout", "stderr"], stream: Any) -> None:
        """Asks first whether a handler runs, when something is written to a stream that stands for a standard one.

        On the stream itself, so that whatever holds it (a logging handler, a progress bar) is covered.
        """
        before = getattr(stream, "write", None)
        if before is None or isinstance(before, Writer):
            return
        with contextlib.suppress(AttributeError, TypeError):  # one of a kind that can't be watched
            stream.write = Writer(channel, before, passes_on=not self._kernel, own="write" in vars(stream))
            self._streams.add(stream)

    def _install(self) -> None:
        self._kernel = in_kernel()
        if type(sys) is types.ModuleType:
            cast("Any", sys).__class__ = _Sys
        self._patch(builtins, "input", _question("input()"))
        self._patch(builtins, "print", _printer)
        for owner, name, make in leaving.patches():
            self._patch(owner, name, make)
        self._patch(sys, "breakpointhook", _question("breakpoint()"))
        self._patch(threading.Thread, "start", _starter)
        self._patch(ThreadPoolExecutor, "submit", _submitter)
        if not self._kernel:
            return
        now, later = of_kernel(_question)
        for owner, name, make in now:
            self._patch(owner, name, make)
        for module, patches in later.items():
            self._awaited.append(Awaited(module, lambda found, patches=patches: self._patch_all(patches(found))))

    def _patch_all(self, patches: Iterable[Patch]) -> None:
        for owner, name, make in patches:
            self._patch(owner, name, make)

    def _patch(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        try:
            self._patches.append(_Patch(owner, name, make))
        except (AttributeError, TypeError):
            return  # one of a kind that can't be watched

    def _remove(self) -> None:
        while self._awaited:
            self._awaited.pop().give_up()
        while self._patches:
            self._patches.pop().undo()
        for stream in list(self._streams):
            _unwatch(stream)
        self._streams.clear()
        if type(sys) is _Sys:
            cast("Any", sys).__class__ = types.ModuleType


class Writer:
    """`write` of a stream: a handler's text is kept; outside of a kernel it is passed on as well.

    Args:
        channel: What the stream is.
        passed_to: What writes.
        passes_on: Whether a handler's text reaches the stream, too.
        own: Whether the stream itself had that, or its class.
    """

    def __init__(
        self,
        channel: Literal["stdout", "stderr"],
        passed_to: Callable[[str], int],
        *,
        passes_on: bool,
        own: bool = False,
    ) -> None:
        """Watches from now on."""
        self.channel: Literal["stdout", "stderr"] = channel
        self.passed_to = passed_to
        self.own = own
        self._passes_on = passes_on

    def __call__(self, text: str) -> int:
        """Keeps text, passes it on, or both."""
        # What is no text is refused by the stream itself.
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            return self.passed_to(text)
        kept = keep(self.channel, text)
        if kept is None or (self._passes_on and _collector.get() is None):
            return self.passed_to(text)
        return len(text)


def _unwatch(stream: Any) -> None:
    written = cast("dict[str, Any]", vars(stream)).get("write")
    if not isinstance(written, Writer):
        return  # somebody has put something over it, who may need this one
    if written.own:
        stream.write = written.passed_to
    else:
        del stream.write


class _Kept(io.TextIOBase):
    """A standard stream of a handler, where the one that stands there can't be watched."""

    def __init__(self, channel: Literal["stdout", "stderr"]) -> None:
        super().__init__()
        self._channel: Literal["stdout", "stderr"] = channel

    def write(self, text: str, /) -> int:
        keep(self._channel, text)
        return len(text)

    def writable(self) -> bool:
        return True


def _stream(channel: Literal["stdout", "stderr"]) -> property:
    """One of `sys`'s streams: a handler that puts its own there does so for itself, others for the process."""

    def get(module: types.ModuleType) -> Any:
        own = _own.get()
        if channel in own:
            return own[channel]
        try:
            stream = module.__dict__[channel]
        except KeyError:
            raise AttributeError(f"module 'sys' has no attribute {channel!r}") from None
        watched = stream is None or isinstance(getattr(stream, "write", None), Writer)
        return stream if watched or not is_kept() else _Kept(channel)

    def put(module: types.ModuleType, stream: Any) -> None:
        if not is_kept():
            module.__dict__[channel] = stream
            capture.watch(channel, stream)
            return
        others = {name: found for name, found in _own.get().items() if name != channel}
        # What was there before, as `redirect_stdout` puts it back.
        _own.set(others if stream is module.__dict__.get(channel) else {**others, channel: stream})

    def delete(module: types.ModuleType) -> None:
        try:
            del module.__dict__[channel]
        except KeyError:
            raise AttributeError(channel) from None

    return property(get, put, delete)


class _Sys(types.ModuleType):
    """`sys` while anything serves.

    `%%capture`, `contextlib.redirect_stdout` and the like replace the standard streams for every thread: here it is
    seen what they put there, so that handlers' text can be told from theirs.
    """

    stdout = _stream("stdout")
    stderr = _stream("stderr")

    def __reduce__(self) -> Any:
        # As a module travels with those who pickle modules, cloudpickle for one.
        return importlib.import_module, ("sys",)


def _printer(printed: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(printed)
    def watched(*values: Any, file: Any = None, **options: Any) -> None:
        # The built-in looks past what a handler has put in the place of sys.stdout for itself.
        if file is None and is_kept():
            file = sys.stdout
        printed(*values, file=file, **options)

    return watched


def _here() -> tuple[Printed | None, list[str] | None] | None:
    """Where this thread prints, for others to do the same; `None` if no handler runs here."""
    call = current_task_call()
    printed = _extension.printed() or (call.printed() if call is not None else _printed.get())
    collector = _collector.get()
    if printed is None and collector is None:
        return None
    return printed, collector


def _printing(
    printed: Printed | None, collector: list[str] | None, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    before = _printed.set(printed), _collector.set(collector)
    try:
        return function(*args, **kwargs)
    finally:
        _printed.reset(before[0])
        _collector.reset(before[1])


def _printing_to_the_end(printed: Printed | None, collector: list[str] | None, function: Callable[..., Any]) -> Any:
    # Not put back: the thread ends after this, and `threading.excepthook` tells of what was raised then.
    _printed.set(printed)
    _collector.set(collector)
    return function()


def _starter(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(start)
    def watched(thread: threading.Thread) -> None:
        # A thread of a pool outlives the call: what it is given belongs to whoever gives it.
        of_pool = getattr(getattr(thread, "_target", None), "__module__", "") == ThreadPoolExecutor.__module__
        here = None if of_pool else _here()
        if here is not None:
            thread.run = functools.partial(_printing_to_the_end, *here, thread.run)
        start(thread)

    return watched


def _submitter(submit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(submit)
    def watched(pool: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        here = _here()
        bound = function if here is None else functools.partial(_printing, *here, function)
        return submit(pool, bound, *args, **kwargs)

    return watched


def _question(what: str) -> Callable[[Any], Any]:
    def make(ask: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(ask)
        def guarded(*values: Any, **options: Any) -> Any:
            if in_handler():
                refuse(what)
            return ask(*values, **options)

        return guarded

    return make


capture = Capture()
