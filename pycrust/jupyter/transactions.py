"""A cell is a transaction: its registrations publish together when it succeeds, or not at all.

A transaction belongs to one execution, known by the `ExecutionResult` that IPython makes at its start and
hands to `post_run_cell` at its end. Which execution a piece of code belongs to is read from its call stack
(the frame of `run_cell_async`): that is true for the cell that imports this package first, which no hook
could announce, for nested runs, for `%run`, and for cells that await. A task that a cell created has a stack
of its own; for it a context variable, set at the start of each cell, says which cell that was. Other threads,
tasks of finished cells and widget callbacks belong to no execution: they publish at once.

Scripts and silent runs inside a cell are executions of their own, too, whose end nothing announces: they end when
they are no longer on the stack, which the next registration and the cell's end look at.
"""

from __future__ import annotations

import functools
import sys
import threading
import traceback as tracebacks
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

from pycrust.handlers.registration import Registration
from pycrust.jupyter.scripts import Script, runs_of_ipython
from pycrust.process.shield import shielded
from pycrust.service import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from pycrust.models.store import ModelChange
    from pycrust.versions.staging import Publisher

__all__ = ["Transaction", "current"]


class Transaction:
    """The registrations of one execution of one cell.

    Args:
        key: What the execution is known by: its result, or a script's frame.
        result: What IPython will report of the execution.
        parent: The transaction of the run that this one is nested in.
        shell: What runs the cell.
    """

    def __init__(
        self, key: object, result: ExecutionResult | Script, parent: Transaction | None, shell: Any
    ) -> None:
        """Opens it; it belongs to the calling thread."""
        self.key = key
        self.shell = shell
        self.result = result
        self.parent = parent
        self.thread = threading.get_ident()
        self.closed = False
        #: By endpoint and method, in order of registration.
        self.stage: dict[Publisher, dict[str, Registration | ModelChange]] = {}
        #: Lines about failed inner runs, to be printed when the outermost run ends: what runs inside may
        #: have its output captured.
        self.notices: list[str] = []

    @property
    def _info(self) -> Any:
        return cast("Any", self.result).info

    @property
    def unannounced(self) -> bool:
        """Whether IPython says nothing when it ends."""
        return isinstance(self.result, Script) or _is_silent(self.result)

    @property
    def text(self) -> str:
        """What the cell says."""
        return self._info.raw_cell

    @property
    def cell(self) -> tuple[int | None, str | None]:
        """The number and the id of the cell."""
        return self.result.execution_count, getattr(self._info, "cell_id", None)

    def put(self, endpoint: Publisher, registration: Registration | ModelChange) -> None:
        """Adds a registration, in place of an earlier one of the same method.

        Raises:
            ValueError: This transaction has another function under that name.
        """
        stage = self.stage.setdefault(endpoint, {})
        before = stage.get(registration.method)
        if _two_functions(before, registration):
            raise ValueError(
                f"two different functions are registered as {registration.method!r} of {endpoint.name!r} in one "
                "cell: give one of them another name, or run them in cells of their own to swap"
            )
        stage[registration.method] = registration

    def staged(self, endpoint: Publisher) -> dict[str, Registration | ModelChange]:
        """What this run and those around it have registered with an endpoint, by method."""
        outer = self.parent.staged(endpoint) if self.parent else {}
        return {**outer, **self.stage.get(endpoint, {})}

    def take(self, endpoint: Publisher) -> list[Registration | ModelChange]:
        """Hands over what is held for an endpoint, here and in the runs around this one."""
        taken = list(self.staged(endpoint).values())
        run: Transaction | None = self
        while run:
            run.stage.pop(endpoint, None)
            run = run.parent
        return taken

    def close(self, *, succeeded: bool) -> None:
        """Ends the transaction: publishes, or passes on to the run around it, or drops."""
        if self.closed:
            return
        self._settle(succeeded=succeeded)
        outermost = self.parent is None or self.parent.closed
        if not outermost and self.parent:
            self.parent.notices += self.notices
        elif self.notices:
            print(*self.notices, sep="\n")  # noqa: T201 - the cell's own output
        self.notices = []

    @shielded
    def _settle(self, *, succeeded: bool) -> None:
        """Publishes, passes on or drops what is staged."""
        self.closed = True
        _open.pop(id(self.key), None)
        if not succeeded:
            self._drop()
        elif self.parent and not self.parent.closed:
            for endpoint, registrations in self.stage.items():
                self.parent.stage.setdefault(endpoint, {}).update(registrations)
        else:
            for endpoint, registrations in self.stage.items():
                self.notices += endpoint.publish(list(registrations.values()))
        self.stage = {}

    def _drop(self) -> None:
        dropped: list[str] = []
        for endpoint, stage in self.stage.items():
            endpoint.refused(list(stage.values()), self.result.execution_count)
            dropped += [f"{endpoint.name}.{change.title}" for change in stage.values()]
        if dropped:
            failed = self.result.name if isinstance(self.result, Script) else "the cell"
            self.notices.append(
                f"pycrust: {failed} failed, so it published nothing of {', '.join(dropped)}; "
                "what was live before serves on"
            )


def _two_functions(before: Registration | ModelChange | None, after: Registration | ModelChange) -> bool:
    """Whether one cell has registered two different functions under one name."""
    if not isinstance(before, Registration) or not isinstance(after, Registration):
        return False
    return bool(before.handler and after.handler and after.changes(before))


#: Open transactions by the identity of their key, which they keep alive.
_open: dict[int, Transaction] = {}
#: The cell that created the running task.
_creator: ContextVar[Transaction | None] = ContextVar("pycrust_cell", default=None)
_hooked: weakref.WeakSet[InteractiveShell] = weakref.WeakSet()


def current() -> Transaction | None:
    """The transaction that the calling code belongs to, opened if it is the first to ask; or `None`."""
    found = _from_stack()
    if found is not None:
        return found
    created = _creator.get()
    if created is not None and not created.closed and created.thread == threading.get_ident():
        return created
    return None


def _from_stack() -> Transaction | None:
    """The innermost execution on this stack; opens transactions for it and those around it."""
    running = list(_executions(sys._getframe(1)))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see the top
    _settle({id(key) for _, key in running})
    transaction = None
    for frame, key in reversed(running):
        known = _open.get(id(key))
        transaction = known if known is not None else _opened(frame, key, transaction)
    return transaction


def _opened(frame: FrameType, key: Any, parent: Transaction | None) -> Transaction | None:
    """A new transaction; only a script inside of a cell has one."""
    if isinstance(key, ExecutionResult):
        shell = frame.f_locals.get("self")
        _hook(shell)
        known = Transaction(key, key, parent, shell)
        if not known.unannounced:
            _creator.set(known)
    elif parent is not None:
        known = Transaction(key, Script(key, frame, parent.result), parent, parent.shell)
    else:
        return None
    _open[id(key)] = known
    return known


def _settle(running: set[int]) -> None:
    """Ends this thread's transactions that nothing announces and that are over, the inner ones first."""
    for known in reversed(list(_open.values())):
        if known.unannounced and known.thread == threading.get_ident() and id(known.key) not in running:
            known.close(succeeded=bool(known.result.success))


def _executions(frame: FrameType | None) -> Iterator[tuple[FrameType, ExecutionResult | FrameType]]:
    """The runs on a stack, the innermost first: what runs them, and their results, or their frames of scripts.

    A silent cell is one only inside of another that is not: nothing announces its end.
    """
    found: list[tuple[FrameType, ExecutionResult | FrameType]] = []
    for one, ran in runs_of_ipython(frame):
        result = one.f_locals.get("result") if one.f_code.co_name == "run_cell_async" else None
        if isinstance(result, ExecutionResult) and not _is_silent(result):
            yield from found
            found = []
            yield one, result
        elif isinstance(result, ExecutionResult) and _is_synchronous(one):
            found.append((one, result))
        elif ran is not None:
            found.append((one, ran))


def _is_silent(result: Any) -> bool:
    return bool(getattr(result.info, "silent", False))


def _is_synchronous(run: FrameType) -> bool:
    """Whether a run ends before it leaves the stack: one that awaits leaves it in between."""
    return run.f_back is not None and run.f_back.f_code.co_name == "_pseudo_sync_runner"


def _hook(shell: Any) -> None:
    """Asks a shell, once, to announce the start and the end of its cells."""
    if isinstance(shell, InteractiveShell) and shell not in _hooked:
        _hooked.add(shell)
        shell.events.register("pre_run_cell", _started)
        shell.events.register("post_run_cell", _ended)
        _notice_failures(shell)


def _notice_failures(shell: Any) -> None:
    """Notes which scripts the errors that a shell shows come out of: that is all it does about their failure."""
    show = shell.showtraceback

    @functools.wraps(show)
    def showtraceback(*args: Any, **kwargs: Any) -> Any:
        for frame, _ in tracebacks.walk_tb(sys.exc_info()[2]):
            known = _open.get(id(frame))
            if known is not None and isinstance(known.result, Script):
                known.result.shown = True
        return show(*args, **kwargs)

    shell.showtraceback = showtraceback


def _started(_info: Any) -> None:
    """A cell starts: its transaction is opened, so that the tasks that it creates can be told."""
    _from_stack()
    running = {id(known) for _, known in _executions(sys._getframe(1))}  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see the top
    for before in list(_open.values()):
        # An application that awaits `run_cell_async` itself announces no end; the next start shows it.
        ended = getattr(before.shell, "last_execution_result", None) is before.result
        if ended and before.thread == threading.get_ident() and id(before.key) not in running:
            _ended(cast("ExecutionResult", before.result))


def _ended(result: ExecutionResult | None) -> None:
    """A cell ended: its transaction ends, and so do those of runs inside it that nothing announced."""
    transaction = _open.get(id(result)) if result is not None else None
    if transaction is None:
        _abandoned(result)
        return
    inside = [run for run in _open.values() if run is not transaction and _within(run, transaction)]
    for inner in reversed(inside):
        inner.close(succeeded=bool(inner.result.success))
    _creator.set(transaction.parent)
    succeeded = _succeeded(transaction)
    transaction.close(succeeded=succeeded)
    if transaction.parent is None:
        _look(*transaction.cell if succeeded else (None, None))


def _look(run: int | None, cell: str | None) -> None:
    """Says what the cell has changed under live handlers without registering them: globals, reloaded modules.

    And which methods an earlier run of it has registered and this one has not.
    """
    services = list(lifecycle.services.values())
    lines = [line for service in services for line in service.look()]
    if cell is not None:
        lines += [line for service in services for line in service.catalog.left_out(run, cell)]
    if lines:
        print(*lines, sep="\n")  # noqa: T201 - the cell's own output


def _succeeded(transaction: Transaction) -> bool:
    # ipykernel answers with an error, too, if showing the cell's value failed.
    shown = not getattr(transaction.shell, "_last_traceback_during_displayhook", False)
    return bool(transaction.result.success) and shown


def _within(run: Transaction, outer: Transaction) -> bool:
    around = run.parent
    while around is not None and around is not outer:
        around = around.parent
    return around is outer


def _abandoned(result: ExecutionResult | None) -> None:
    """A cell was torn down and its end is reported with another result, or none: it failed.

    It is one of this thread's that is no longer on the stack.
    """
    if result is not None and result.success:
        return  # a run without a transaction
    running = {id(known) for _, known in _executions(sys._getframe(1))}  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see the top
    text = getattr(getattr(result, "info", None), "raw_cell", None)
    for transaction in list(_open.values()):
        ours = transaction.thread == threading.get_ident() and id(transaction.key) not in running
        if ours and (result is None or transaction.text == text):
            _creator.set(transaction.parent)
            transaction.close(succeeded=False)
