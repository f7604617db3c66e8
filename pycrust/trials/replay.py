"""Making a recorded call again: on the live version, on a candidate, under the debugger, as a test."""

from __future__ import annotations

import asyncio
import bdb
import pdb  # noqa: T100 - debugging is what `debug` is for
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pycrust.arrays.absent import arguments_again
from pycrust.calls.output import collected
from pycrust.errors import Code, UnknownMethod, describe, describe_arguments
from pycrust.service import lifecycle
from pycrust.text.statistics import duration
from pycrust.text.values import brief
from pycrust.traffic.recorded_error import RecordedError
from pycrust.trials.answers import Answer, Comparison, compared, gone_arguments, shown_answer
from pycrust.trials.trial import candidate_of, check_harmless, raise_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pycrust.handlers.registration import Registration
    from pycrust.service.service import Service
    from pycrust.traffic.recorded import RecordedCall


@dataclass(frozen=True)
class Outcome:
    """What one run of a call gave.

    Attributes:
        of: What ran: `v3`, or the candidate's name.
        result: The result; of a stream, the list of its items. `None` if it failed.
        error: Why it failed; `None` if it did not.
        duration_ns: Nanoseconds that it took: decoding, validating, the handler, encoding.
        output: What it printed.
    """

    of: str
    result: Any
    error: RecordedError | None
    duration_ns: int
    output: str = ""

    @property
    def duration(self) -> float:
        """Seconds that it took."""
        return self.duration_ns / 1e9

    @property
    def answer(self) -> Answer:
        """The result or the error."""
        return Answer(self.result, self.error)

    def __repr__(self) -> str:
        """One line."""
        answer = str(self.error) if self.error else brief(self.result)
        return f"<{self.of}: {answer} · {duration(self.duration_ns)}>"


@dataclass(frozen=True)
class Replay:
    """A recorded call beside one that was made again with its arguments.

    Attributes:
        call: The recorded call.
        recorded: What was answered then.
        live: What the live version gives now; `None` where a candidate was asked for and none is live.
        candidate: What the candidate gives; `None` without one.
    """

    call: RecordedCall
    recorded: Outcome
    live: Outcome | None
    candidate: Outcome | None = None
    #: Where the newest differs from what was recorded, or can't be compared with it, each as a line of text.
    differences: list[str] = field(default_factory=list[str])
    #: Whether all that may differ is not there to be compared, so that nobody can tell.
    uncompared: bool = False

    @property
    def new(self) -> Outcome:
        """What is compared with the recorded answer: the candidate's, or without one the live version's."""
        new = self.candidate or self.live
        assert new is not None  # noqa: S101 - there is always one of them
        return new

    @property
    def same(self) -> bool:
        """Whether the new answer is the recorded one; not where nobody can tell, which `uncompared` says."""
        return not self.differences

    def __repr__(self) -> str:
        """One line for each run, and one for each difference."""
        runs = [run for run in (self.recorded, self.live, self.candidate) if run is not None]
        width = max(len(run.of) for run in runs)
        lines = [
            f"  {run.of.ljust(width)}  {duration(run.duration_ns):>8}  {run.error or brief(run.result)}"
            for run in runs
        ]
        verdict = "the same answer" if self.same else "another answer"
        if self.uncompared:
            verdict = "an answer that can't be compared"
        return "\n".join(
            [f"<replay of call {self.call.seq}, {self.call.method}: {verdict}>", *lines]
            + [f"  {'?' if self.uncompared else '≠'} {difference}" for difference in self.differences]
        )


def replay(call: RecordedCall, candidate: Callable[..., Any] | None = None) -> Replay:
    """Makes a call again in this process, on the calling thread, outside of statistics.

    Raises:
        LookupError: Its endpoint is not in this process, has no such method, or its arguments were not kept whole;
            where fields were dropped, they were not.
        ValueError: The method has side effects.
    """
    service, arguments = _service(call), _arguments(call)
    live = tried = None
    try:
        version = service.catalog.version(call.method)
    except UnknownMethod:
        if candidate is None:
            raise
    else:
        check_harmless(call.method, service.catalog.registered(call.method))
        live = _run(f"v{version}", service, service.catalog.registered(call.method), call, arguments)
    if candidate is not None:
        registration = candidate_of(service, call.method, candidate, {}, {})
        tried = _run(getattr(candidate, "__name__", "candidate"), service, registration, call, arguments)
    handler_ns = sum(call.stages_ns.get(stage, 0) for stage in ("decode", "handler", "encode"))
    recorded = Outcome(f"recorded v{call.version}", call.result, call.error, handler_ns, call.output)
    new = tried or live
    assert new is not None  # noqa: S101 - without a candidate, the live version ran
    comparison = compared(call, new.answer, new.shown.answer, messages=True)
    said = _said(comparison, recorded, new.shown)
    return Replay(call, recorded, live and live.shown, tried and tried.shown, said, comparison.uncompared)


@dataclass(frozen=True)
class _Run:
    """One run of a call: what it gave, and what of that may be shown."""

    answer: Answer
    shown: Outcome


def _said(comparison: Comparison, recorded: Outcome, new: Outcome) -> list[str]:
    """What differs, in lines that may be shown."""
    if not comparison.otherwise:
        return [str(difference) for difference in comparison.differences]
    before, now = (str(one.error) if one.error else brief(one.result) for one in (recorded, new))
    if before == now and recorded.error and new.error:
        before, now = recorded.error.type, new.error.type
    return [f"{before} → {now}" if before != now else "the answers differ in what is redacted"]


def debug(call: RecordedCall) -> Any:
    """Makes a call again under the debugger, which stops at the handler's first line.

    Raises:
        RuntimeError: This is not the main thread: the debugger could not ask.
        LookupError: As in `replay`.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("debug() asks at the keyboard: call it from a cell or a script's main thread")
    service, arguments = _service(call), _arguments(call)
    registration = service.catalog.registered(call.method)
    assert registration.handler is not None  # noqa: S101 - only registrations with one are visible
    args, kwargs = service.catalog.bound(registration).bound(arguments)
    function, debugger = registration.handler.function, _debugger()
    interrupts = signal.getsignal(signal.SIGINT)
    try:
        with service.catalog.local_call(registration, call).here():
            if registration.kind == "function":
                return debugger.runcall(function, *args, **kwargs)
            work = function(*args, **kwargs)
            with _stopping_in(work, debugger):
                return list(work) if registration.kind == "generator" else _drive(work)
    except bdb.BdbQuit:
        return None  # as the user asked
    finally:
        # `continue` makes Ctrl-C the debugger's, for good.
        if interrupts is not None:
            signal.signal(signal.SIGINT, interrupts)


@contextmanager
def _stopping_in(work: Any, debugger: pdb.Pdb) -> Generator[None]:
    """Stops where the body of a coroutine or generator begins, not in what drives it."""
    frame = next(
        (getattr(work, name) for name in ("cr_frame", "gi_frame", "ag_frame") if hasattr(work, name)), None
    )
    if frame is None:
        yield
        return
    debugger.reset()
    debugger.set_next(frame)
    sys.settrace(debugger.trace_dispatch)
    try:
        yield
    finally:
        debugger.quitting = True
        sys.settrace(None)


def _debugger() -> pdb.Pdb:
    """IPython's debugger where IPython runs: it has colours, and asks through the notebook."""
    if "IPython" in sys.modules:
        from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only where it is loaded already

        shell = cast("Any", get_ipython)()
        if shell is not None:
            return shell.debugger_cls()
    return pdb.Pdb()


async def _collected(items: Any) -> list[Any]:
    return [item async for item in items]


def _drive(work: Any) -> Any:
    """Runs a coroutine or an async generator to its end on this thread, where a notebook's loop may run already."""
    if hasattr(work, "__anext__"):
        work = _collected(work)
    outer = asyncio._get_running_loop()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - put back below
    if outer is None:
        return asyncio.run(work)
    # It waits for this cell. Since Python 3.14 its task counts for the thread, where no other may run beside it.
    task = asyncio.current_task(outer)
    if task is not None:
        asyncio.tasks._leave_task(outer, task)  # noqa: SLF001 - for whoever runs tasks, as asyncio documents it
    asyncio._set_running_loop(None)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as above
    try:
        return asyncio.run(work)
    finally:
        asyncio._set_running_loop(outer)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as above
        if task is not None:
            asyncio.tasks._enter_task(outer, task)  # noqa: SLF001 - as above


def _service(call: RecordedCall) -> Service:
    service = lifecycle.services.get(call.endpoint)
    if service is None:
        raise LookupError(
            f"no endpoint {call.endpoint!r} is in this process: make it with RpcEndpoint({call.endpoint!r}) and "
            f"register {call.method!r} first"
        )
    return service


def _arguments(call: RecordedCall) -> Any:
    if "upload" in call.kinds and not call.payload:
        raise LookupError(f"call {call.seq} streamed its arguments, and none of them was recorded")
    if call.arguments_lost:
        raise LookupError(
            f"the arguments of call {call.seq} were not kept whole; "
            "endpoint.recording(max_payload=...) keeps more of later calls"
        )
    arguments = arguments_again(call.unredacted_arguments)
    if call.arguments_dropped:
        places = ", ".join(one.path for one in gone_arguments(call, arguments))
        raise LookupError(
            f"fields of the arguments of call {call.seq} are not there ({places}): they were dropped before they "
            "were stored (endpoint.recording(drop=...)), or hidden as the call was saved; redact= hides fields and "
            "keeps them for replays"
        )
    return arguments


def _run(of: str, service: Service, registration: Registration, call: RecordedCall, arguments: Any) -> _Run:
    result, told = None, None
    local = service.catalog.local_call(registration, call)
    with collected() as printed:
        begun = time.perf_counter_ns()
        try:
            result = service.catalog.call_registered(registration, arguments, local)
            if hasattr(result, "__next__"):
                result = list(result)
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its answer
            raise_interrupt(error)
            result, told = None, _told(error)
        took_ns = time.perf_counter_ns() - begun
    answer = Answer(result, told, local.looked_at_metadata)
    shown = shown_answer(call, answer, service.recording.redaction)
    return _Run(answer, Outcome(of, shown.result, shown.error, took_ns, call.shown_text("".join(printed))))


def _told(error: BaseException) -> RecordedError:
    """As its caller would be told."""
    from pydantic import ValidationError  # noqa: PLC0415 - loaded long ago

    how = describe_arguments if isinstance(error, ValidationError) else describe
    code, told = how(error)
    return RecordedError.of(Code(code), told)
