"""What the rest of the package asks a notebook for, put where it asks: nothing below imports a notebook's side."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pycrust.calls import output
from pycrust.models import reload
from pycrust.versions import staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pycrust.calls.output import Later, Patch, Question
    from pycrust.versions.staging import Stage


def install() -> None:
    """Answers from now on. IPython is imported only when it is there and one of these is called."""
    staging.of_notebook = _stage
    reload.follow = _follow
    output.of_kernel = _watched


def _stage() -> Stage | None:
    if "IPython" not in sys.modules:
        return None
    from pycrust.jupyter import transactions  # noqa: PLC0415 - it imports IPython

    return transactions.current()


def _follow(thing: object) -> Callable[[], None]:
    from pycrust.jupyter import progress  # noqa: PLC0415 - it imports IPython

    return progress.follow(thing)


def _watched(question: Question) -> tuple[Iterable[Patch], Later]:
    from pycrust.jupyter import output as watching  # noqa: PLC0415 - it imports IPython

    return watching.patches(question), watching.LATER
