"""What a service tells systemd: sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time


class Supervisor:
    """Whoever has started this process and wants to be told how it is; nobody, where `NOTIFY_SOCKET` is not set."""

    def __init__(self) -> None:
        """Reads what systemd has put into the environment."""
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def ready(self, status: str) -> None:
        """It serves; and from now on, as often as it is asked for, that it lives."""
        self._say("READY=1", f"MAINPID={os.getpid()}", f"STATUS={status}")
        if self._thread is None and (period := self._watchdog_s()):
            self._thread = threading.Thread(target=self._live, args=(period,), name="pycrust-watchdog", daemon=True)
            self._thread.start()

    def reloading(self) -> None:
        """It runs its module again; `ready` ends that."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def status(self, status: str) -> None:
        """What it does, for a person."""
        self._say(f"STATUS={status}")

    def stopping(self) -> None:
        """It drains."""
        self._end.set()
        self._say("STOPPING=1")

    def _watchdog_s(self) -> float:
        """Seconds between two signs of life: half of what systemd waits for one; 0 if it waits for none."""
        if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return 0.0
        try:
            return int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6
        except ValueError:
            return 0.0

    def _live(self, period: float) -> None:
        # It needs the interpreter: whoever holds that for so long serves nobody.
        while not self._end.wait(period):
            self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        # A supervisor that does not listen is no reason not to serve.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto("\n".join(lines).encode(), address)
