from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from pycrust.jupyter.view.models import Models, memory


def slot(*versions: tuple[int, str], model: Any = None) -> SimpleNamespace:
    looks: list[int] = []

    def apply(function: Any) -> Any:
        looks.append(1)
        return function(model)

    history = [
        SimpleNamespace(
            number=number, state=state, kind="Net", seconds=0.5, holders=("Out[3]",) if state == "held" else ()
        )
        for number, state in versions
    ]
    return SimpleNamespace(history=history, apply=apply, looks=looks)


def test_a_slot_shows_its_live_version_and_what_becomes_of_the_others() -> None:
    one = slot((1, "retired"), (2, "held"), (3, "draining"), (4, "live"), model={"w": np.zeros(10)})
    models = Models()
    for _ in range(3):
        rows = models.rows({"policy": one, "empty": slot()})
    assert rows == [
        ["empty", 0, "loading", "", None, ""],
        ["policy", 4, "live", "Net", 80, "v2 held by Out[3] · v3 draining · loaded in 0.50 s"],
    ]
    assert len(one.looks) == 1, "its memory is found out once"


def test_memory_counts_each_array_once() -> None:
    shared = np.zeros(4)

    class Module:
        def parameters(self) -> list[np.ndarray]:
            return [shared, shared, np.zeros(2)]

        def buffers(self) -> list[np.ndarray]:
            return [np.zeros(1)]

    class Plain:
        def __init__(self) -> None:
            self.weights = shared
            self.name = "x"

    assert memory(Module()) == 56
    assert memory(Plain()) == 32
    assert memory(object()) is None
