"""What a handler displays in a notebook goes to the record of its call; it asks nobody for input."""

from __future__ import annotations

import base64
import functools
import json
import sys
from typing import TYPE_CHECKING, Any, Literal, cast

from pycrust import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: An object, the attribute of it that is replaced, and what makes the replacement of what was there.
    Patch = tuple[Any, str, Callable[[Any], Any]]


def patches(question: Callable[[str], Callable[[Any], Any]]) -> Iterator[Patch]:
    """What is watched in this kernel beside the standard streams.

    Args:
        question: Gives what makes a guard for a function that asks the user.
    """
    from ipykernel.kernelbase import Kernel  # noqa: PLC0415 - only a notebook has it
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
        return _Watched(stream, own.get("write") or functools.partial(self._write, stream))

    def __set__(self, stream: Any, write: Any) -> None:
        vars(stream)["write"] = write.passed_to if isinstance(write, _Watched) else write

    def __delete__(self, stream: Any) -> None:
        own = cast("dict[str, Any]", vars(stream))
        own.pop("write", None)


class _Watched:
    """One stream's `write`: a handler's text goes to its record, any other is passed on."""

    def __init__(self, stream: Any, passed_to: Callable[[str], int]) -> None:
        self.passed_to = passed_to
        self._channel: Literal["stdout", "stderr"] = (
            "stderr" if getattr(stream, "name", "") == "stderr" else "stdout"
        )

    def __call__(self, text: str) -> int:
        # What is no text is refused by the stream itself.
        if not isinstance(text, str) or capture.keep(self._channel, text) is None:  # pyright: ignore[reportUnnecessaryIsInstance]
            return self.passed_to(text)
        return len(text)


def _publisher(publish: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(publish)
    def watched(self: Any, data: dict[str, Any], metadata: dict[str, Any] | None = None, **options: Any) -> None:
        if not capture.is_kept():
            publish(self, data, metadata, **options)
            return
        shown = {"data": {mime: _text(value) for mime, value in data.items()}, "metadata": metadata or {}}
        capture.keep("display", json.dumps(shown, default=str))

    return watched


def _clearer(clear: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(clear)
    def watched(self: Any, *values: Any, **options: Any) -> None:
        if not capture.in_handler():
            clear(self, *values, **options)

    return watched


def _text(value: Any) -> Any:
    """Images are bytes here, and base64 where they are shown."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
