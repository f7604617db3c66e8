"""A candidate that runs on live traffic without answering anybody."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING

from pycrust.process.threads import Thread
from pycrust.traffic.recorded import RecordedCall
from pycrust.trials.trial import Trial

if TYPE_CHECKING:
    from pycrust.handlers.registration import Registration
    from pycrust.service.service import Service
    from pycrust.trials.compare import Tolerance

#: Seconds between two looks whether it was stopped.
_SLICE = 0.1
#: Recorded calls that are taken in one go; what came before them meanwhile is skipped.
_BATCH = 256


class Shadow(Trial):
    """A candidate beside the live handler: it runs the calls that were answered, on a thread of its own.

    Callers don't wait for it and don't see it. It uses at most a share of one core's time, and skips calls when it
    can't keep up.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("shadow-doc", fresh=True)
        >>> @endpoint.register
        ... def half(x: float) -> float:
        ...     return x / 2
        >>> shadow = endpoint["half"].shadow(lambda x: x * 0.5)
        >>> shadow.summary()
        'half: 0 calls, 0 agree, 0 differ'
        >>> shadow.promote()
        shadow-doc.half: promoted after 0 calls, 0 differ
        >>> endpoint["half"].version
        2
    """

    def __init__(self, service: Service, candidate: Registration, tolerance: Tolerance, share: float) -> None:
        """Made by `endpoint[name].shadow()`; it begins at once.

        Raises:
            ValueError: `share` is out of bounds.
        """
        if not 0 < share <= 1:
            raise ValueError(f"share is above 0 and at most 1, not {share}")
        super().__init__(service, candidate, tolerance)
        self._share = share
        self._stop = threading.Event()
        self._since: int = service.worker.recorder()["last"]
        self._thread = Thread(target=self._main, name=f"pycrust-shadow-{self.method}", daemon=True)
        service.shadows.add(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it still looks at live calls."""
        return not self._stop.is_set()

    @property
    def ended(self) -> bool:
        """Whether its thread has ended."""
        return not self._thread.is_alive()

    def _main(self) -> None:
        worker = self._service.worker
        while not self._stop.is_set():
            if not worker.wait_recorded(self._since, _SLICE):
                continue
            for record in worker.recorded(self._since, _BATCH):
                self.skipped += self._missed(record.seq)
                self._since = record.seq
                if record.method != self.method or self._stop.is_set():
                    continue
                begun = time.perf_counter()
                self.run(RecordedCall(record, self._service.recording.redaction, self._service.name))
                rest = (time.perf_counter() - begun) * (1 / self._share - 1)
                self._stop.wait(rest)

    def _missed(self, seq: int) -> int:
        """Calls between the last one and this one that are not there any more, of any method."""
        return max(seq - self._since - 1, 0)

    def promote(self) -> str:
        """Ends the trial and makes the candidate the live version, in a cell when that succeeds.

        Returns:
            The line that says so.
        """
        self.discard()
        reason = f"promoted after {self.calls} calls, {self.differing} differ"
        reason += f", {self.uncompared} can't be compared" if self.uncompared else ""
        change = dataclasses.replace(self._candidate, reason=reason)
        return self._service.catalog.changed([change], f"{self._service.name}.{self.method}: {reason}")

    def discard(self) -> None:
        """Ends the trial; the live handler goes on as it is."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(2 * _SLICE)
