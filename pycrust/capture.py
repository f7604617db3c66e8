"""What a handler prints goes to the record of its call, and never into whichever cell ran last.

While an endpoint serves, the `write` of `sys.stdout` and of `sys.stderr` asks first whether a handler runs here: on
the streams themselves, so that whatever holds one of them (a logging handler, a progress bar) is covered. In a
kernel a handler's output goes to its record only, elsewhere to the terminal as well.
"""

from __future__ import annotations

import builtins
import functools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from pycrust import _binding, loops
from pycrust.display import in_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pycrust._binding import Printed

    Channel = Literal["stdout", "stderr", "display"]


#: Takes what is printed, in place of a call's record.
_collector: ContextVar[list[str] | None] = ContextVar("pycrust_collector", default=None)
#: Where a thread prints that a handler started, or what a handler gave to a pool of threads.
_printed: ContextVar[Printed | None] = ContextVar("pycrust_printed", default=None)


def keep(channel: Channel, text: str) -> bool | None:
    """Keeps output with the call that runs here.

    Returns:
        Whether it was kept, which it is not where calls are not recorded; `None` if no handler runs here.
    """
    collector = _collector.get()
    if collector is not None:
        collector.append(text)
        return True
    kept = _binding.write_output(channel, text)
    if kept is not None:
        return kept
    call = loops.current_task_call()
    if call is not None:
        return call.write_output(channel, text)
    printed = _printed.get()
    return None if printed is None else printed.write(channel, text)


@contextmanager
def collected() -> Generator[list[str]]:
    """Collects what is printed here, in this thread or task, and shows it nowhere: for a handler that is tried."""
    pieces: list[str] = []
    owner = f"collected {id(pieces)}"
    capture.want(owner)
    before = _collector.set(pieces)
    try:
        yield pieces
    finally:
        _collector.reset(before)
        capture.release(owner)


def in_handler() -> bool:
    """Whether a handler runs here: on this thread, in this task, or on a thread that it started."""
    if _binding.write_output("stdout", "") is not None or loops.current_task_call() is not None:
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
    call = _binding.current_call() or loops.current_task_call()
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
        self._lock = threading.Lock()
        self._wanted: set[str] = set()
        self._patches: list[_Patch] = []
        self._kernel = False

    def want(self, endpoint: str) -> None:
        """An endpoint begins to serve."""
        with self._lock:
            if not self._wanted:
                self._install()
            if not self._kernel:
                self._watch_streams()
            self._wanted.add(endpoint)

    def release(self, endpoint: str) -> None:
        """An endpoint stops."""
        with self._lock:
            self._wanted.discard(endpoint)
            if not self._wanted:
                self._remove()

    def forked(self) -> None:
        """In a forked child, which serves nothing."""
        self._lock = threading.Lock()
        self._wanted = set()
        self._remove()

    def _install(self) -> None:
        self._kernel = in_kernel()
        self._patch(builtins, "input", _question("input()"))
        self._patch(sys, "breakpointhook", _question("breakpoint()"))
        self._patch(threading.Thread, "start", _starter)
        self._patch(ThreadPoolExecutor, "submit", _submitter)
        if not self._kernel:
            return
        self._patch(builtins, "print", _printer)
        from pycrust.jupyter import output  # noqa: PLC0415 - it imports IPython

        for owner, name, make in output.patches(_question):
            self._patch(owner, name, make)

    def _watch_streams(self) -> None:
        """Also where somebody has put other streams in their place meanwhile."""
        if not isinstance(getattr(sys.stdout, "write", None), _Writer):
            self._patch(sys.stdout, "write", lambda write: _Writer("stdout", write))
        if not isinstance(getattr(sys.stderr, "write", None), _Writer):
            self._patch(sys.stderr, "write", lambda write: _Writer("stderr", write))

    def _patch(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        try:
            self._patches.append(_Patch(owner, name, make))
        except (AttributeError, TypeError):
            return  # no stream at all, or one of a kind that can't be watched

    def _remove(self) -> None:
        while self._patches:
            self._patches.pop().undo()


class _Writer:
    """`write` of a stream outside of a kernel: a handler's text is kept, and passed on as well."""

    def __init__(self, channel: Literal["stdout", "stderr"], write: Callable[[str], int]) -> None:
        self._channel: Literal["stdout", "stderr"] = channel
        self._write = write

    def __call__(self, text: str) -> int:
        if isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - else the stream itself refuses it
            keep(self._channel, text)
            if _collector.get() is not None:
                return len(text)
        return self._write(text)


class _Kept:
    """Standard output of a handler in a kernel, for `print`."""

    def write(self, text: str) -> int:
        """Keeps text with its call."""
        keep("stdout", text)
        return len(text)

    def flush(self) -> None:
        """There is nothing to flush."""


def _printer(printed: Callable[..., None]) -> Callable[..., None]:
    kept = _Kept()

    @functools.wraps(printed)
    def watched(*values: Any, file: Any = None, **options: Any) -> None:
        # `%%capture` and `redirect_stdout` in a cell replace sys.stdout for every thread.
        if file is None and is_kept():
            file = kept
        printed(*values, file=file, **options)

    return watched


def _here() -> Callable[[Callable[..., Any]], Callable[..., Any]] | None:
    """What makes a function of another thread print where this one does; `None` if no handler runs here."""
    call = loops.current_task_call()
    printed = _binding.printed() or (call.printed() if call is not None else _printed.get())
    collector = _collector.get()
    if printed is None and collector is None:
        return None
    return lambda function: functools.partial(_printing, printed, collector, function)


def _printing(
    printed: Printed | None, collector: list[str] | None, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    before = _printed.set(printed), _collector.set(collector)
    try:
        return function(*args, **kwargs)
    finally:
        _printed.reset(before[0])
        _collector.reset(before[1])


def _starter(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(start)
    def watched(thread: threading.Thread) -> None:
        # A thread of a pool outlives the call: what it is given belongs to whoever gives it.
        of_pool = getattr(getattr(thread, "_target", None), "__module__", "") == ThreadPoolExecutor.__module__
        bind = None if of_pool else _here()
        if bind is not None:
            thread.run = bind(thread.run)
        start(thread)

    return watched


def _submitter(submit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(submit)
    def watched(pool: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        bind = _here()
        return submit(pool, function if bind is None else bind(function), *args, **kwargs)

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
