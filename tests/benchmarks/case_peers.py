"""One caller, unpaced and at 100 calls a second: PyO3 in its process, and what is installed of the larger peers.

What isn't installed is named and left out: `make bench PEERS=1` installs and builds what it can.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.case_calls import SLEEPING, SPINNING
from tests.benchmarks.measuring import Case, Measurement
from tests.benchmarks.programs import PEERS, dora, embedded, peer_of_its_own, ray

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.measuring import Figures

HERTZ = 100
PACED = f"paced/{HERTZ} Hz"


@dataclass(frozen=True)
class Peer:
    """Something to measure twice: as fast as it answers, and in a rhythm."""

    name: str
    #: Takes options of the program that calls, and `seconds`.
    run: Callable[..., Figures]
    #: What the p50 of its unpaced row is shown as a multiple of.
    floor: str = SLEEPING
    #: The program that calls, if it has one.
    program: str = ""
    #: The Python packages that it needs.
    packages: tuple[str, ...] = ()

    def missing(self) -> str:
        """Why it can't be measured; empty if it can."""
        lacks = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if self.program and not (PEERS / self.program).exists():
            lacks.append(self.program)
        return f"no {', '.join(lacks)}" if lacks else ""

    def measurements(self) -> list[Measurement]:
        paced = partial(self.run, "--pace", str(HERTZ))
        return [
            Measurement(f"peers/{self.name}", lambda seconds: self.run(seconds=seconds), floor=self.floor),
            Measurement(f"{PACED}, {self.name}", lambda seconds: paced(seconds=seconds), floor=PACED),
        ]


EMBEDDING = "peer-embedding"
ALL = [
    Peer("PyO3, main thread", partial(embedded, "attached"), SPINNING, EMBEDDING),
    Peer("PyO3, another thread", partial(embedded, "attached-elsewhere"), SPINNING, EMBEDDING),
    Peer("PyO3, spawn_blocking", partial(embedded, "spawn-blocking"), SLEEPING, EMBEDDING),
    Peer("PyO3, coroutine", partial(embedded, "coroutine"), SLEEPING, EMBEDDING),
    Peer("Zenoh queryable", partial(peer_of_its_own, "zenoh"), SLEEPING, "peer-zenoh", ("zenoh",)),
    Peer("Tachyon RPC", partial(peer_of_its_own, "tachyon"), SPINNING, "peer-tachyon", ("tachyon",)),
    Peer("dora's service, from Python", dora, packages=("dora", "dora_cli")),
    Peer("Ray compiled graph, from Python", partial(ray, "graph"), packages=("ray",)),
    Peer("Ray actor, from Python", partial(ray, "actor"), packages=("ray",)),
]
CASE = Case(
    [row for one in ALL if not one.missing() for row in one.measurements()],
    left_out={f"peers/{one.name}": missing for one in ALL if (missing := one.missing())},
)
