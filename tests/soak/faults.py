"""Carries out one plan of faults after the other: `python -m tests.soak.faults --seconds 600`, or one: `--seed 17`.

Two are under way at a time. The first that fails ends it, with its seed and what everybody said.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from tests.faults.controller import Outcome, Plan, carry_out

#: Plans under way at a time.
AT_ONCE = 2


def one(seed: int) -> Outcome:
    """Carries out the plan of a seed, with a runtime directory of its own."""
    with tempfile.TemporaryDirectory(prefix="pycrust-faults-") as directory:
        runtime = Path(directory, "runtime")
        runtime.mkdir(mode=0o700)
        os.environ["PYCRUST_RUNTIME_DIR"] = str(runtime)
        return carry_out(Plan.of(seed), Path(directory))


class Summary:
    """What all plans came to."""

    def __init__(self) -> None:
        self.plans = self.fired = self.calls = self.answered = 0
        self.failed: collections.Counter[str] = collections.Counter()
        self.actions: collections.Counter[str] = collections.Counter()
        self.points: set[tuple[bool, str]] = set()
        self.told_after_ns: list[int] = []

    def add(self, outcome: Outcome) -> None:
        """Counts one."""
        self.plans += 1
        self.fired += outcome.fired
        self.calls += outcome.calls
        self.answered += outcome.answered
        self.failed += outcome.failed
        if outcome.fired:
            self.actions[outcome.plan.action] += 1
            self.points.add((outcome.plan.worker, outcome.plan.point))
        self.told_after_ns += outcome.told_after_ns

    def __str__(self) -> str:
        actions = ", ".join(f"{action} {count}" for action, count in self.actions.most_common())
        failed = ", ".join(f"{code} {count}" for code, count in self.failed.most_common())
        lines = [
            f"{self.plans} plans; {self.fired} at their point ({actions}), at {len(self.points)} points",
            f"{self.calls} calls ended, {self.answered} answered; {failed}",
        ]
        if told := sorted(self.told_after_ns):
            at = lambda share: told[min(int(share * len(told)), len(told) - 1)] / 1e6  # noqa: E731
            lines.append(
                f"told of the worker's death: {len(told)} calls, after p50 {at(0.5):.1f} ms, p90 {at(0.9):.1f}, "
                f"p99 {at(0.99):.1f}, most {told[-1] / 1e6:.1f}"
            )
        return "\n".join(lines)


def main() -> int:
    """Does it; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one alone")
    asked = parser.parse_args()
    summary = Summary()
    if asked.seed is not None:
        print(Plan.of(asked.seed))
        summary.add(one(asked.seed))
        print(summary)
        return 0
    until, seeds = time.monotonic() + asked.seconds, itertools.count(asked.first)
    with ProcessPoolExecutor(AT_ONCE, max_tasks_per_child=1) as pool:
        running: set[Future[Outcome]] = set()
        while running or time.monotonic() < until:
            while len(running) < AT_ONCE and time.monotonic() < until:
                running.add(pool.submit(one, next(seeds)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for ended in done:
                summary.add(ended.result())
    print(summary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
