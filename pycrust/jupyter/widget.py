"""The live view of an endpoint: an ipywidgets widget that shows its traffic while it happens."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from typing import Any, cast

import anywidget

from pycrust.jupyter.view import bundle, static
from pycrust.jupyter.view.outlet import Outlet
from pycrust.jupyter.view.publisher import Watched, publisher_of

__all__ = ["LiveView", "view_of"]

_SAVED_BYTES = 1150
"""What a notebook file may keep of the static forms beside the widget, whose state takes 2.8 kB of the 4 kB."""

_MOST_SAVED = 8
"""Methods in the static forms that are saved, if they fit."""


class LiveView(anywidget.AnyWidget):
    """Shows an endpoint's methods, rates, round trips and where their time went, five times a second.

    Nothing of it is kept in traits: what a notebook saves of a view is a few lines and one small table.
    Updates come from one thread for each endpoint, which runs only while a view is open, and go on while a
    cell is busy.

    Args:
        endpoint: What to watch: an `RpcEndpoint`.

    Example:
        ```python
        from pycrust.jupyter.widget import LiveView

        LiveView(endpoint)
        ```
    """

    def __init__(self, endpoint: Watched) -> None:
        """Makes the view; nothing runs until it is shown."""
        self._endpoint = endpoint
        self._publisher = publisher_of(endpoint)
        self._outlet: Outlet | None = None
        self._esm = bundle.loader()
        super().__init__()
        cast("Any", self).on_msg(self._heard)
        self.observe(self._comm_changed_to, names="comm")
        _keep_route(self.comm)

    def text(self) -> str:
        """The numbers of this moment as plain text."""
        stats = self._endpoint.stats()
        return static.text(stats, serving=self._endpoint.serving)

    def html(self) -> str:
        """The numbers of this moment as an HTML table without scripts."""
        stats = self._endpoint.stats()
        return static.html(stats, serving=self._endpoint.serving)

    def post(self, content: str) -> None:
        """Sends a message, which is JSON, to every view of this widget; from any thread.

        Args:
            content: The message.
        """
        comm, outlet = self.comm, self._outlet
        if comm is None:
            return
        if outlet is None or outlet.comm is not comm:
            outlet = self._outlet = Outlet(comm)
        outlet.post(content)

    def _repr_mimebundle_(self, **_kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        stats = self._endpoint.stats()
        forms: dict[str, Any] = _saved_forms(stats, serving=self._endpoint.serving)
        if self.comm is not None:  # a closed view has nothing to show but its numbers
            model = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
            forms["application/vnd.jupyter.widget-view+json"] = model
        return forms, {}

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        """What a view says. It comes from a browser, so nothing about its form is taken for granted."""
        if not isinstance(content, Mapping):
            return
        said = cast("Mapping[str, object]", content)
        kind, view = said.get("kind"), str(said.get("view", ""))[:64]
        if kind == "code":
            cast("Any", self).send({"kind": "code"}, buffers=[bundle.front_end()])
        elif kind == "hello":
            self._publisher.hello(view, self)
        elif kind == "alive":
            self._publisher.alive(view, self)
        elif kind == "goodbye":
            self._publisher.goodbye(view)
        else:
            self._publisher.inspector.heard(view, said, self._answer)

    def _answer(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        cast("Any", self).send(message, buffers=buffers or None)

    def _comm_changed_to(self, change: Any) -> None:
        if change["new"] is None:
            self._publisher.leave(self)
        else:
            _keep_route(change["new"])


_views: weakref.WeakKeyDictionary[Watched, LiveView] = weakref.WeakKeyDictionary()


def view_of(endpoint: Watched) -> LiveView:
    """The endpoint's one view, made at the first call: shown again, it keeps its minute of history."""
    found = _views.get(endpoint)
    if found is None or found.comm is None:
        found = _views[endpoint] = LiveView(endpoint)
    return found


def _saved_forms(stats: Mapping[str, object], *, serving: bool) -> dict[str, str]:
    """Text and HTML of as many methods as a notebook file may keep."""
    for most in range(_MOST_SAVED, -1, -1):
        forms = {
            "text/plain": static.text(stats, serving=serving, most=most),
            "text/html": static.html(stats, serving=serving, most=most),
        }
        if len(json.dumps(forms)) <= _SAVED_BYTES:
            return forms
    return {"text/plain": static.headline(stats, serving=serving)}


def _keep_route(comm: Any) -> None:
    """Lets a view's words reach the kernel while a cell is busy.

    JupyterLab addresses them to a subshell. ipykernel 7.4 sends them to the shell that published last
    instead: for a publisher thread that is the main one, where they wait for the cell. Earlier versions keep
    the address, and have nothing to override.
    """
    if callable(getattr(comm, "_reply_subshell_for", None)):
        comm._reply_subshell_for = _as_addressed  # noqa: SLF001 - there is no public way


def _as_addressed(_data: object, addressed: object) -> object:
    return addressed
