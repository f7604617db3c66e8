from __future__ import annotations

import numpy as np

from pycrust import RpcEndpoint
from pycrust.jupyter.view.model_rows import Models, memory
from pycrust.jupyter.view.timeline import Timeline


def test_slots_show_their_live_version_its_memory_and_what_happened() -> None:
    endpoint = RpcEndpoint("models-shown", fresh=True)
    policy = endpoint.model(
        "policy", load=lambda size=10: {"w": np.zeros(size)}, validate=lambda model: len(model["w"])
    )
    models, timeline = Models(), Timeline()
    (row,) = models.rows(endpoint.models)
    assert row[:5] == ["policy", 1, "live", "dict", 80]
    assert row[5].startswith("loaded in ")
    policy.reload(20).result()
    assert models.rows(endpoint.models)[0][:5] == ["policy", 2, "live", "dict", 160]
    assert policy.reload(0).wait().error is not None
    assert models.rows(endpoint.models)[0][:5] == ["policy", 2, "live", "dict", 160]
    timeline.look_at_notes(endpoint.events, endpoint.name)
    told = [(kind, marks) for _, _, kind, _, marks, _ in timeline.all()]
    assert ("model", ["policy v2"]) in told
    assert "refused" in {kind for kind, _ in told}


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
