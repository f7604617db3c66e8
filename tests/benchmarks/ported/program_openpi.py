"""openpi's policy protocol: three images and a state vector to the policy, 50 steps of 14 joints back."""

from tests.benchmarks.ported.program import Program, Way, beside, caller, example, python

#: Each case's policy, an expression of `policy.py`.
POLICIES = {"a policy that costs nothing": "Hold()", "a policy of 5 ms": "Network(0, 0.005)"}


def _ways(policy: str) -> list[Way]:
    make, _, args = policy.removesuffix(")").partition("(")
    worker = beside("openpi", "policy.py", f"policy.reload({', '.join(filter(None, (make, args)))}).result()")
    server = python("openpi_server", policy)
    return [
        Way("PyCrust, Rust", lambda _: example("openpi", "--measure", "in-place"), worker, ours=True),
        Way("PyCrust, Rust, images copied", lambda _: example("openpi", "--measure", "copied"), worker, ours=True),
        Way("PyCrust, Python", lambda _: python("openpi_client", "pycrust"), worker, ours=True),
        Way("websocket, Python (as openpi does)", lambda at: python("openpi_client", "websocket", at), server),
        Way("websocket, Rust", lambda at: caller("openpi_websocket", "--address", at), server),
    ]


PROGRAM = Program(
    name="openpi",
    call="One call is three images of 224 by 224 by 3 and 14 joints there, and 50 steps of 14 actions back",
    cases={case: _ways(policy) for case, policy in POLICIES.items()},
    packages=("websockets", "msgpack", "numpy", "tokio-tungstenite"),
    needs=("websockets", "msgpack"),
)
