"""What a handler displays in a notebook goes to the record of its call; it asks nobody for input."""

from __future__ import annotations

import base64
import functools
import json
import re
import sys
from typing import TYPE_CHECKING, Any, cast

from pycrust.calls import output
from pycrust.jupyter import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pycrust.calls.output import Patch

#: Colours of a terminal, which IPython puts into tracebacks.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def patches(question: Callable[[str], Callable[[Any], Any]]) -> Iterator[Patch]:
    """What is watched in this kernel beside the standard streams.

    Args:
        question: Gives what makes a guard for a function that asks the user.
    """
    from ipykernel.kernelbase import Kernel  # noqa: PLC0415 - only a notebook has it
    from IPython.core.displayhook import CapturingDisplayHook, DisplayHook  # noqa: PLC0415 - as above
    from IPython.core.displaypub import CapturingDisplayPublisher, DisplayPublisher  # noqa: PLC0415 - as above

    kernel = cast("Any", Kernel).instance()
    # The kernel puts these in the place of `input` and `getpass` for as long as a cell runs.
    yield kernel, "raw_input", question("input()")
    yield kernel, "getpass", question("getpass()")
    streams: set[type] = {type(sys.stdout), type(sys.stderr)}
    for stream in streams:
        if "write" in vars(stream):
            yield stream, "write", _WatchedWrite
    # The classes, since `%%capture` replaces the publisher itself.
    yield DisplayHook, "__call__", _shown_result
    yield CapturingDisplayHook, "__call__", _shown_result
    # On the object: the kernel has put its class's method there once more.
    yield kernel.shell, "_showtraceback", _kept_traceback
    publishers: set[type] = {type(kernel.shell.display_pub), CapturingDisplayPublisher, DisplayPublisher}
    for publisher in publishers:
        if "publish" in vars(publisher):
            yield publisher, "publish", _publisher
        if "clear_output" in vars(publisher):
            yield publisher, "clear_output", _clearer


class _WatchedWrite:
    """`write` of the kernel's streams, in the place of their class's.

    While a cell runs, IPython puts a `write` of its own on the stream and puts back afterwards what it found. A
    descriptor with `__set__` goes before both, and takes what is put there as what it passes text on to.
    """

    def __init__(self, write: Callable[[Any, str], int]) -> None:
        self._write = write

    def __get__(self, stream: Any, _owner: type | None = None) -> Any:
        if stream is None:
            return self._write
        own = cast("dict[str, Any]", vars(stream))
        passed_to = own.get("write") or functools.partial(self._write, stream)
        channel = "stderr" if getattr(stream, "name", "") == "stderr" else "stdout"
        return output.Writer(channel, passed_to, passes_on=False)

    def __set__(self, stream: Any, write: Any) -> None:
        vars(stream)["write"] = write.passed_to if isinstance(write, output.Writer) else write

    def __delete__(self, stream: Any) -> None:
        own = cast("dict[str, Any]", vars(stream))
        own.pop("write", None)


def _publisher(publish: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(publish)
    def watched(self: Any, data: dict[str, Any], metadata: dict[str, Any] | None = None, **options: Any) -> None:
        if not output.is_kept():
            publish(self, data, metadata, **options)
            return
        shown = {"data": {mime: _text(value) for mime, value in data.items()}, "metadata": metadata or {}}
        output.keep("display", json.dumps(shown, default=str))

    return watched


def _clearer(clear: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(clear)
    def watched(self: Any, *values: Any, **options: Any) -> None:
        if not output.in_handler():
            clear(self, *values, **options)

    return watched


def _shown_result(show: Callable[..., None]) -> Callable[..., None]:
    """`sys.displayhook` of the notebook, which would make a cell's result of what a handler gives it."""

    @functools.wraps(show)
    def watched(self: Any, result: Any = None) -> None:
        if not output.is_kept():
            show(self, result)
        elif result is not None:
            from IPython import display  # noqa: PLC0415 - only a notebook has it

            cast("Any", display).display(result)

    return watched


def _kept_traceback(show: Callable[..., None]) -> Callable[..., None]:
    """Where `showtraceback()` and the notebook's `sys.excepthook` end, which send it to the running cell."""

    @functools.wraps(show)
    def watched(kind: Any, value: Any, lines: list[str]) -> None:
        text = "\n".join(lines)
        if output.keep("stderr", f"{_COLOURS.sub('', text)}\n") is None:
            show(kind, value, lines)

    return watched


def _output_widget(module: Any) -> Iterator[Patch]:
    """`ipywidgets.Output`: entered by a handler it would take what the running cell prints."""

    def here_only(enter: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(enter)
        def watched(self: Any, *exception: Any) -> Any:
            return None if output.in_handler() else enter(self, *exception)

        return watched

    yield module.Output, "__enter__", here_only
    yield module.Output, "__exit__", here_only


def _figures(module: Any) -> Iterator[Patch]:
    """Where pyplot keeps its open figures."""
    yield module.Gcf, "figs", figures.Figures


#: What is watched in modules that may be imported later.
LATER: dict[str, Callable[[Any], Iterator[Patch]]] = {
    "ipywidgets.widgets.widget_output": _output_widget,
    "matplotlib._pylab_helpers": _figures,
}


def _text(value: Any) -> Any:
    """Images are bytes here, and base64 where they are shown."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
