"""Which files have changed: told by the kernel where `watchfiles` is installed, else looked at."""

from __future__ import annotations

import importlib.util
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Watched:
    """Files, and which of them have changed since they were last run.

    Args:
        files: The files.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        """Looks at them."""
        self._seen = {file: _state(file) for file in files}
        self._last = dict(self._seen)
        self._told = threading.Event()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._listen()

    def changed(self) -> list[Path]:
        """The files that are others than they were, once they stay as they are from one look to the next.

        Who writes a file may have written half of it: one look finds that it changes, a later one that it has.
        """
        if self._thread is not None and not self._told.is_set():
            return []
        now = {file: _state(file) for file in self._seen}
        steady, self._last = now == self._last, now
        if not steady:
            return []
        self._told.clear()
        changed = [file for file, state in now.items() if state != self._seen[file]]
        self._seen = now
        return changed

    def watch(self, files: Iterable[Path]) -> None:
        """Watches these from now on. What has become of one since it was last looked at is a change."""
        known, wanted = self._seen, list(files)
        self._seen = {file: known[file] if file in known else _state(file) for file in wanted}
        self._last = dict(self._seen)
        if {file.parent for file in known} != {file.parent for file in wanted}:
            self.close()
            self._listen()
        self._told.set()

    def close(self) -> None:
        """Watches no more."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _listen(self) -> None:
        """Has the kernel tell of changes, where that can be."""
        if importlib.util.find_spec("watchfiles") is None:
            return
        self._end.clear()
        folders = {file.parent for file in self._seen}
        self._thread = threading.Thread(target=self._follow, args=(folders,), name="pycrust-watch", daemon=True)
        self._thread.start()
        self._told.set()  # nobody tells of what came before

    def _follow(self, folders: set[Path]) -> None:
        from watchfiles import watch  # noqa: PLC0415 # pyright: ignore[reportMissingImports, reportUnknownVariableType] - optional

        for _ in watch(*folders, stop_event=self._end, recursive=False, rust_timeout=200):  # pyright: ignore[reportUnknownVariableType]
            self._told.set()


def _state(file: Path) -> tuple[int, int, int] | None:
    """What tells one state of a file from another; an editor may put another file in its place."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
