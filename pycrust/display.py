"""How an endpoint shows itself in a notebook."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pycrust.endpoint import RpcEndpoint


class PrintedLine(str):
    """A line that was printed already: a notebook doesn't show it again as its cell's value."""

    __slots__ = ()

    def _ipython_display_(self) -> None:
        """Shows nothing."""


def mimebundle(endpoint: RpcEndpoint, **options: Any) -> Any:
    """The live view where its widget is installed and a front end can show it; always text.

    Args:
        endpoint: What is shown.
        **options: What IPython asks for: `include` and `exclude`.

    Returns:
        Data by MIME type, or a pair of those and their metadata.
    """
    plain = {"text/plain": repr(endpoint)}
    if "ipykernel" not in sys.modules or importlib.util.find_spec("anywidget") is None:
        return plain
    try:
        from pycrust.jupyter import widget  # noqa: PLC0415 - it imports ipywidgets
    except ImportError:
        return plain
    view: Any = widget.LiveView(endpoint)
    bundle: Any = view._repr_mimebundle_(**options)
    if isinstance(bundle, tuple):
        data, metadata = cast("tuple[dict[str, Any], dict[str, Any]]", bundle)
        return {**data, **plain}, metadata
    return {**cast("dict[str, Any]", bundle or {}), **plain}
