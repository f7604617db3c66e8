"""LeRobot's asynchronous inference: two images and a state vector to the policy, 50 steps of 6 motors back."""

from tests.benchmarks.ported.program import Program, Way, beside, example, python

#: Each case's policy, an expression of `policy.py`.
POLICIES = {"a policy that costs nothing": "Hold()", "a policy of 5 ms": "Network(0, 0.005)"}


def _ways(policy: str) -> list[Way]:
    make, _, args = policy.removesuffix(")").partition("(")
    worker = beside("lerobot", "policy.py", f"policy.reload({', '.join(filter(None, (make, args)))}).result()")
    server = python("lerobot_server", policy)
    return [
        Way("PyCrust, Rust", lambda _: example("lerobot", "--measure", "in-place"), worker, ours=True),
        Way("PyCrust, Rust, images copied", lambda _: example("lerobot", "--measure", "copied"), worker, ours=True),
        Way("PyCrust, Python", lambda _: python("lerobot_client", "pycrust"), worker, ours=True),
        Way("gRPC and pickle, Python (as LeRobot does)", lambda at: python("lerobot_client", "robot", at), server),
        Way("gRPC, arrays as bytes, Python", lambda at: python("lerobot_client", "bytes", at), server),
    ]


PROGRAM = Program(
    name="lerobot",
    call="One call is two images of 480 by 640 by 3 and 6 motors there, and 50 steps of 6 actions back",
    cases={case: _ways(policy) for case, policy in POLICIES.items()},
    packages=("grpcio", "protobuf", "torch", "numpy"),
    needs=("grpc", "grpc_tools", "torch"),
)
