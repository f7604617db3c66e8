"""A folder imports what stands below it, and nothing runs in circles."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.guards import arrows
from tests.guards.arrows import Arrow


@pytest.fixture(scope="module")
def found() -> list[Arrow]:
    return arrows.python_arrows(ROOT)


def test_every_folder_has_its_floor(found):
    assert {arrows.floor(one) for arrow in found for one in (arrow.source, arrow.target)} <= set(arrows.FLOORS)


def test_imports_lead_downwards(found):
    assert {(one.source, one.target) for one in arrows.upwards(found, arrows.FLOORS)} == arrows.UPWARDS


def test_no_large_circle(found):
    assert [group for group in arrows.circles(found) if len(group) > arrows.LARGEST] == []


@pytest.mark.parametrize("crate", arrows.RUST_FLOORS)
def test_a_crate_imports_downwards(crate):
    floors = arrows.RUST_FLOORS[crate]
    found = arrows.rust_arrows(ROOT, crate)
    assert len(found) > 20
    assert {arrows.floor(one) for arrow in found for one in (arrow.source, arrow.target)} <= set(floors)
    assert arrows.upwards(found, floors) == []
    assert [group for group in arrows.circles(found) if len(group) > arrows.LARGEST] == []


def test_an_arrow_upwards_is_seen():
    made = [
        Arrow("text.table", "endpoint.method", types_only=True),
        Arrow("endpoint.method", "text.table", types_only=False),
    ]
    assert arrows.upwards(made, arrows.FLOORS) == made[:1]


def test_a_circle_is_seen():
    made = [Arrow(one, other, types_only=False) for one, other in ("ab", "bc", "cd", "da", "ae")]
    assert arrows.circles(made) == [["a", "b", "c", "d"]]
    assert arrows.circles([*made[:3], Arrow("d", "a", types_only=True)]) == []
