"""vLLM's front end and engine: requests of 22 fields there, a token for each that runs back with every step."""

from tests.benchmarks.ported.program import Program, Way, beside, caller, example, python

#: What is measured, with how many requests at once and how long a step takes; and what each is called.
CASES = {
    "256 at once, steps of 10 ms: from a step's end to a token's reader": ("delivery", 256, 0.01),
    "256 at once, steps of 10 ms: from a request to its first token": ("first", 256, 0.01),
    "256 at once, steps that cost nothing: from a token to the next": ("between", 256, 0.0),
    "1 at a time, steps that cost nothing: from a token to the next": ("between", 1, 0.0),
}


def _ways(measure: str, at_once: int, step_seconds: float) -> list[Way]:
    options = ("--measure", measure, "--at-once", at_once)
    worker = beside("engine", "engine.py", f"STEP_SECONDS = {step_seconds}")
    return [
        Way("PyCrust, a stream a request", lambda _: example("engine", *options), worker, ours=True),
        Way("PyCrust, a stream of steps", lambda _: example("engine", *options, "--steps"), worker, ours=True),
        Way(
            "ZeroMQ (as vLLM does)",
            lambda at: caller("engine_zmq", "--directory", at, *options),
            python("engine_zmq", step_seconds),
        ),
    ]


PROGRAM = Program(
    name="engine",
    call="One call is a token, or, to the first one, a request",
    cases={case: _ways(*settings) for case, settings in CASES.items()},
    packages=("pyzmq", "msgspec", "zeromq", "rmp-serde"),
    needs=("zmq", "msgspec"),
)
