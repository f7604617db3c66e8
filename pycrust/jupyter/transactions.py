"""A cell is a transaction: its registrations publish together when it succeeds, or not at all.

A transaction belongs to one execution, known by the `ExecutionResult` that IPython makes at its start and
hands to `post_run_cell` at its end. Which execution a piece of code belongs to is read from its call stack
(the frame of `run_cell_async`): that is true for the cell that imports this package first, which no hook
could announce, for nested runs, for `%run`, and for cells that await. A task that a cell created has a stack
of its own; for it a context variable, set at the start of each cell, says which cell that was. Other threads,
tasks of finished cells and widget callbacks belong to no execution: they publish at once.
"""

from __future__ import annotations

import sys
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

from pycrust import lifecycle
from pycrust.registration import Registration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from pycrust.shelf import ModelChange
    from pycrust.staging import Publisher

__all__ = ["Transaction", "current"]


class Transaction:
    """The registrations of one execution of one cell.

    Args:
        result: What IPython will report of the execution.
        parent: The transaction of the run that this one is nested in.
        shell: What runs the cell.
    """

    def __init__(self, result: ExecutionResult, parent: Transaction | None, shell: Any) -> None:
        """Opens it; it belongs to the calling thread."""
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
        self.closed = True
        _open.pop(id(self.result), None)
        if not succeeded:
            self._drop()
        elif self.parent and not self.parent.closed:
            for endpoint, registrations in self.stage.items():
                self.parent.stage.setdefault(endpoint, {}).update(registrations)
        else:
            for endpoint, registrations in self.stage.items():
                self.notices += endpoint.publish(list(registrations.values()))
        self.stage = {}
        outermost = self.parent is None or self.parent.closed
        if not outermost and self.parent:
            self.parent.notices += self.notices
        elif self.notices:
            print(*self.notices, sep="\n")  # noqa: T201 - the cell's own output
        self.notices = []

    def _drop(self) -> None:
        dropped: list[str] = []
        for endpoint, stage in self.stage.items():
            endpoint.refused(list(stage.values()), self.result.execution_count)
            dropped += [f"{endpoint.name}.{change.title}" for change in stage.values()]
        if dropped:
            self.notices.append(
                f"pycrust: the cell failed, so it published nothing of {', '.join(dropped)}; "
                "what was live before serves on"
            )


def _two_functions(before: Registration | ModelChange | None, after: Registration | ModelChange) -> bool:
    """Whether one cell has registered two different functions under one name."""
    if not isinstance(before, Registration) or not isinstance(after, Registration):
        return False
    return bool(before.handler and after.handler and after.changes(before))


#: Open transactions by the identity of their result, which they keep alive.
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
    transaction = None
    for frame, result in reversed(list(_executions(sys._getframe(1)))):  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see the top
        known = _open.get(id(result))
        if known is None:
            shell = frame.f_locals.get("self")
            _hook(shell)
            known = _open[id(result)] = Transaction(result, transaction, shell)
            _creator.set(known)
        transaction = known
    return transaction


def _executions(frame: FrameType | None) -> Iterator[tuple[FrameType, ExecutionResult]]:
    """The runs of cells on a stack, the innermost first; silent ones are none, nothing announces their end."""
    while frame is not None:
        if frame.f_code.co_name == "run_cell_async":
            result = frame.f_locals.get("result")
            if isinstance(result, ExecutionResult) and not getattr(cast("Any", result).info, "silent", False):
                yield frame, result
        frame = frame.f_back


def _hook(shell: Any) -> None:
    """Asks a shell, once, to announce the start and the end of its cells."""
    if isinstance(shell, InteractiveShell) and shell not in _hooked:
        _hooked.add(shell)
        shell.events.register("pre_run_cell", _started)
        shell.events.register("post_run_cell", _ended)


def _started(_info: Any) -> None:
    """A cell starts: its transaction is opened, so that the tasks that it creates can be told."""
    _from_stack()
    running = {id(known) for _, known in _executions(sys._getframe(1))}  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see the top
    for before in list(_open.values()):
        # An application that awaits `run_cell_async` itself announces no end; the next start shows it.
        ended = getattr(before.shell, "last_execution_result", None) is before.result
        if ended and before.thread == threading.get_ident() and id(before.result) not in running:
            _ended(before.result)


def _ended(result: ExecutionResult | None) -> None:
    """A cell ended: its transaction ends, and so do those of runs inside it that nothing announced."""
    transaction = _open.get(id(result)) if result is not None else None
    if transaction is None:
        _abandoned(result)
        return
    for inner in [run for run in _open.values() if run is not transaction and _within(run, transaction)]:
        inner.close(succeeded=bool(inner.result.success))
    _creator.set(transaction.parent)
    transaction.close(succeeded=_succeeded(transaction))
    if transaction.parent is None:
        _look()


def _look() -> None:
    """Says what the cell has changed under live handlers without registering them: globals, reloaded modules."""
    lines = [line for service in list(lifecycle.services.values()) for line in service.look()]
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
        ours = transaction.thread == threading.get_ident() and id(transaction.result) not in running
        if ours and (result is None or transaction.text == text):
            _creator.set(transaction.parent)
            transaction.close(succeeded=False)
