"""One caller: the floors, this project, and what one would use instead; sleeping and spinning apart."""

from __future__ import annotations

import json
import subprocess

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results
from tests.benchmarks.programs import EXAMPLES, load, peer, worker

EVENTFD, ICEORYX2 = "floor/eventfd ping-pong, blocking", "floor/iceoryx2 publish-subscribe, polled"
SLEEPING, SPINNING = "calls/sleeping", "calls/spinning"
SOCKET, ZEROMQ, GRPC = "peers/MessagePack over a Unix socket", "peers/ZeroMQ", "peers/gRPC"
PYTHON_EVENTS, PYTHON_POLLED = "peers/iceoryx2's Python package, events", "peers/iceoryx2's Python package, polled"


class Floors:
    """Both floors come from one run of one program."""

    def __init__(self) -> None:
        self._found: dict[str, Figures] = {}

    def eventfd(self, _seconds: float) -> Figures:
        run = subprocess.run([EXAMPLES / "floors"], capture_output=True, text=True, check=True)
        self._found = json.loads(run.stdout)
        return self._found["eventfd"]

    def iceoryx2(self, _seconds: float) -> Figures:
        return self._found["iceoryx2"]


def sleeping(seconds: float) -> Figures:
    with worker("--spin-us", "0"):
        return load("--spin", "off", seconds=seconds)


def spinning(seconds: float) -> Figures:
    with worker():
        return load(seconds=seconds)


def goals(results: Results) -> list[Goal]:
    found = []

    def ratio(text: str, rows: tuple[str, str], figure: str, limit: float, *, at_least: bool = False) -> None:
        if results.has(*rows):
            found.append(Goal(text, results.ratio(*rows, figure), limit, at_least))

    ratio("sleeping, p50 / eventfd", (SLEEPING, EVENTFD), "p50", 1.4)
    ratio("sleeping, p99 / eventfd", (SLEEPING, EVENTFD), "p99", 3)
    ratio("spinning, p50 / iceoryx2 polled", (SPINNING, ICEORYX2), "p50", 4)
    ratio("spinning, p99.9 / iceoryx2 polled", (SPINNING, ICEORYX2), "p999", 4)
    for mine, how, limits in ((SLEEPING, "sleeping", (2.5, 4, 18)), (SPINNING, "spinning", (10, 18, 80))):
        for other, limit in zip((SOCKET, ZEROMQ, GRPC), limits, strict=True):
            text = f"{how}, p50 of {other.removeprefix('peers/')} / ours"
            ratio(text, (other, mine), "p50", limit, at_least=True)
    return found


floors = Floors()
CASE = Case(
    [
        Measurement(EVENTFD, floors.eventfd),
        Measurement(ICEORYX2, floors.iceoryx2),
        Measurement(SLEEPING, sleeping, floor=EVENTFD),
        Measurement(SPINNING, spinning, floor=ICEORYX2),
        Measurement(SOCKET, lambda seconds: peer("socket", seconds=seconds), floor=SLEEPING),
        Measurement(ZEROMQ, lambda seconds: peer("zeromq", seconds=seconds), floor=SLEEPING),
        Measurement(GRPC, lambda seconds: peer("grpc", seconds=seconds), floor=SLEEPING),
        Measurement(PYTHON_EVENTS, lambda seconds: peer("iceoryx2", seconds=seconds), floor=SLEEPING),
        Measurement(PYTHON_POLLED, lambda seconds: peer("iceoryx2-polled", seconds=seconds), floor=SPINNING),
    ],
    goals,
)
