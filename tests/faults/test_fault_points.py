"""Workers and clients that are ended, stopped or delayed at every step of a call.

More of the same, for as long as one likes: `make soak`, and `python -m tests.soak.faults --seed N` for one.
"""

from __future__ import annotations

import random

import pytest

from tests.faults import points
from tests.faults.controller import Plan, carry_out

#: Plans of every kind; thousands are run by `make soak`.
SEEDS = range(12)


def test_the_points_are_those_that_there_are():
    assert {*points.OF_WORKER, *points.OF_CLIENT} == points.in_sources()


def at_each_point() -> list[tuple[bool, str]]:
    return [(True, point) for point in points.OF_WORKER] + [(False, point) for point in points.OF_CLIENT]


@pytest.mark.parametrize(("worker", "point"), at_each_point())
def test_a_process_is_killed_at_each_step(worker, point, tmp_path):
    most = (points.OF_WORKER if worker else points.OF_CLIENT)[point]
    times = random.Random(f"{worker}{point}").randint(1, most)
    outcome = carry_out(Plan(seed=0, worker=worker, point=point, times=times, action="kill"), tmp_path)
    assert outcome.fired, "it never came by: was the extension built with `--features fault-points` (make build)?"


@pytest.mark.parametrize("seed", SEEDS)
def test_anything_happens_to_anybody(seed, tmp_path):
    assert carry_out(Plan.of(seed), tmp_path).answered
