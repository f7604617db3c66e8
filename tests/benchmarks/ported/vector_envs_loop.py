"""Environments stepped from Python with the policy of `vector_envs`: `vector_envs_loop KIND COUNT`.

`processes` is Gymnasium's `AsyncVectorEnv` as its documentation has it, a process for each environment and their
observations in shared memory; `arrays` its `CartPole-v1` written for NumPy arrays, in this process; `envpool` is
EnvPool's, in C++ on threads of this process.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tests.benchmarks.ported import slices
from tests.benchmarks.ported.loading import load
from tests.benchmarks.ported.program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "CartPole-v1"


def network() -> Any:
    """The network that acts, as `policy.py` begins with it."""
    learner = load(ROOT / "client-rs" / "examples" / "vector_envs" / "learner.py")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return learner.Network().eval()


def processes(count: int) -> Any:
    import gymnasium

    return gymnasium.vector.AsyncVectorEnv([partial(gymnasium.make, NAME)] * count)


def arrays(count: int) -> Any:
    import gymnasium

    return gymnasium.make_vec(NAME, num_envs=count, vectorization_mode="vector_entry_point")


def envpool(count: int) -> Any:
    import envpool

    return envpool.make_gymnasium(NAME, num_envs=count)


def stepping(environments: Any) -> Callable[[], object]:
    """One step of all environments: the policy looks, then they move."""
    policy = network()
    observations, _ = environments.reset()

    def step() -> None:
        nonlocal observations
        with torch.inference_mode():
            actions, _likelihoods, _values = policy.act(torch.from_numpy(np.array(observations, np.float32)))
        observations, *_ = environments.step(actions.numpy().astype(np.int64))

    return step


def main() -> None:
    kind, count = sys.argv[1:]
    environments = {"processes": processes, "arrays": arrays, "envpool": envpool}[kind](int(count))
    try:
        slices.answer(stepping(environments))
    finally:
        environments.close()


if __name__ == "__main__":
    main()
