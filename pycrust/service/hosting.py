"""While `pycrust serve` runs the module of an endpoint: what the module asks of serving is left to the command."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

#: The thread that runs a module, and what that has asked for so far: `serve`'s options by the endpoint's name.
_loading: tuple[int, dict[str, dict[str, Any]]] | None = None


@contextmanager
def loading() -> Generator[dict[str, dict[str, Any]]]:
    """Leaves to the caller what the code inside asks of `serve` and `listen`: options by the endpoint's name."""
    global _loading  # noqa: PLW0603 - there is one module that is run
    asked: dict[str, dict[str, Any]] = {}
    _loading = threading.get_ident(), asked
    try:
        yield asked
    finally:
        _loading = None


def takes(endpoint: str, options: dict[str, Any]) -> bool:
    """Whether somebody else serves what the calling code wants served."""
    if _loading is None or _loading[0] != threading.get_ident():
        return False
    _loading[1][endpoint] = options
    return True
