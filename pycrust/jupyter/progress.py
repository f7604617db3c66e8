"""A reload's line in a notebook, kept up to date by the thread that it runs on."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, cast

from IPython.core import display_functions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["follow"]


def follow(thing: object) -> Callable[[], None]:
    """Shows the text of `thing` in the running cell; gives what shows it again in that place.

    Args:
        thing: Anything whose `repr` changes.
    """
    place = uuid.uuid4().hex
    show: Any = cast("Any", display_functions).display
    show(_bundle(thing), raw=True, display_id=place)

    def again() -> None:
        show(_bundle(thing), raw=True, display_id=place, update=True)

    return again


def _bundle(thing: object) -> dict[str, str]:
    return {"text/plain": repr(thing)}
