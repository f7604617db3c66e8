"""Vectorised environments: all of them step once, with the actions of one look of a policy."""

import tempfile
from pathlib import Path

from tests.benchmarks.ported.program import Program, Way, beside, caller, example, python

COUNTS = (8, 64)


def _ways(count: int) -> list[Way]:
    path = Path(tempfile.gettempdir()) / f"vector-envs-{count}"
    return [
        Way(
            "PyCrust, environments in Rust",
            lambda _: example("vector_envs", "--measure", "--envs", count),
            beside("vector_envs", "policy.py"),
            ours=True,
        ),
        Way(
            "ZeroMQ, environments in Rust",
            lambda at: caller("vector_envs_zmq", "--address", at, "--envs", count),
            python("vector_envs_server", path),
        ),
        Way("Gymnasium, a process for each", lambda _: python("vector_envs_loop", "processes", count)),
        Way("Gymnasium, NumPy in one process", lambda _: python("vector_envs_loop", "arrays", count)),
        Way("EnvPool, C++ in one process", lambda _: python("vector_envs_loop", "envpool", count)),
    ]


PROGRAM = Program(
    name="vector_envs",
    call="One call is a step of all environments: the policy (4 to 64 to 64 to 2, PyTorch, one thread) gives an "
    "action for each, and each moves",
    cases={f"{count} cart-poles": _ways(count) for count in COUNTS},
    packages=("torch", "gymnasium", "envpool", "pyzmq", "zeromq"),
    needs=("torch", "gymnasium", "envpool", "zmq"),
)
