"""How an endpoint shows itself in a notebook."""

from __future__ import annotations

import html
import importlib.util
from typing import TYPE_CHECKING, Any

from pycrust.process.environment import front_end_without, in_kernel
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
    how = _INSTALL if importlib.util.find_spec("anywidget") is None else _beside_the_front_end()
    if how is not None:
        return {"text/plain": f"{plain['text/plain']}\nlive view: {how}", "text/html": _table(endpoint, how)}
    from pycrust.jupyter import widget  # noqa: PLC0415 - it imports ipywidgets

    view: Any = widget.view_of(endpoint)
    data, metadata = view._repr_mimebundle_(**options)
    return {**data, **plain}, metadata


def view(endpoint: RpcEndpoint) -> Any:
    """What marimo shows in the endpoint's place: the live view, or the table where that is not installed."""
    if importlib.util.find_spec("anywidget") is None:
        return Form("text/html", _table(endpoint, _INSTALL))
    from pycrust.jupyter import widget  # noqa: PLC0415 - it imports ipywidgets

    return widget.view_of(endpoint)


def _beside_the_front_end() -> str | None:
    """What brings the live view to a JupyterLab that lives elsewhere than the kernel and can't draw it."""
    prefix = front_end_without("anywidget")
    if prefix is None:
        return None
    # It brings the extension of ipywidgets, too.
    return f"{prefix}/bin/python -m pip install anywidget, which JupyterLab there lacks, then reload the page"


def _table(endpoint: RpcEndpoint, how: str) -> str:
    """The numbers of this moment, and what brings the live view."""
    from pycrust.jupyter.view import static  # noqa: PLC0415 - only a notebook needs it

    table = static.html(endpoint.stats(), serving=endpoint.serving)
    return f"{table}<p>The numbers of this moment; for the live view: <code>{html.escape(how)}</code></p>"
