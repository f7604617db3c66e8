"""How an endpoint shows itself in a notebook."""

from __future__ import annotations

import html
import importlib.util
from typing import TYPE_CHECKING, Any

from pycrust.process.environment import in_kernel
from pycrust.text.lines import Form

if TYPE_CHECKING:
    from pycrust.endpoint.endpoint import RpcEndpoint


#: What brings the live view to a notebook that has none.
_INSTALL = "pip install 'pycrust[notebook]', then restart the kernel"


def mimebundle(endpoint: RpcEndpoint, **options: Any) -> Any:
    """The live view in a kernel that has its widget installed, a table in one that has not; always text.

    Args:
        endpoint: What is shown.
        **options: What IPython asks for: `include` and `exclude`.

    Returns:
        Data by MIME type, or a pair of those and their metadata.
    """
    plain = {"text/plain": repr(endpoint)}
    if not in_kernel():
        return plain
    if importlib.util.find_spec("anywidget") is None:
        return {"text/plain": f"{plain['text/plain']}\nlive view: {_INSTALL}", "text/html": _table(endpoint)}
    from pycrust.jupyter import widget  # noqa: PLC0415 - it imports ipywidgets

    view: Any = widget.view_of(endpoint)
    data, metadata = view._repr_mimebundle_(**options)
    return {**data, **plain}, metadata


def view(endpoint: RpcEndpoint) -> Any:
    """What marimo shows in the endpoint's place: the live view, or the table where that is not installed."""
    if importlib.util.find_spec("anywidget") is None:
        return Form("text/html", _table(endpoint))
    from pycrust.jupyter import widget  # noqa: PLC0415 - it imports ipywidgets

    return widget.view_of(endpoint)


def _table(endpoint: RpcEndpoint) -> str:
    """The numbers of this moment, and what brings the live view."""
    from pycrust.jupyter.view import static  # noqa: PLC0415 - only a notebook needs it

    table = static.html(endpoint.stats(), serving=endpoint.serving)
    return f"{table}<p>The numbers of this moment; for the live view: <code>{html.escape(_INSTALL)}</code></p>"
