"""A market maker: eleven numbers about the book there, where to quote back, at every change of the best prices."""

from tests.benchmarks.ported.program import Program, Way, beside, caller, example, python

#: The market's own pace, a busier one, and each decision after the other.
CASES = {
    "some 400 changes a second": (),
    "some 4,000 changes a second": ("--busier", "10"),
    "as fast as answers come": ("--unpaced",),
}
#: So that late decisions are measured, not cut off.
PATIENT = ("--measure", "--deadline-us", "1000000")


def _ways(*options: str) -> list[Way]:
    asked = (*PATIENT, *options)
    worker = beside("market_maker", "quoting.py")
    # Not kept off the caller's core, which helps where both cores have other things to do.
    placed = beside("market_maker", "quoting.py", 'endpoint.stop(); endpoint.serve(placement="kernel")')
    zeromq = python("market_server", "zeromq")
    return [
        Way("PyCrust", lambda _: example("market_maker", *asked), worker, ours=True),
        Way("PyCrust, sleeping", lambda _: example("market_maker", *asked, "--sleeping"), worker, ours=True),
        Way("PyCrust, placement by the kernel", lambda _: example("market_maker", *asked), placed, ours=True),
        Way("ZeroMQ, REQ", lambda at: caller("market_zmq", "--address", at, *asked), zeromq),
        Way("ZeroMQ, REQ, polled", lambda at: caller("market_zmq", "--address", at, *asked, "--polled"), zeromq),
        Way(
            "Unix socket, by hand",
            lambda at: caller("market_socket", "--path", at, *asked),
            python("market_server", "socket"),
        ),
    ]


PROGRAM = Program(
    name="market_maker",
    call="One call is a decision",
    cases={case: _ways(*options) for case, options in CASES.items()},
    packages=("pyzmq", "msgspec", "zmq", "rmp-serde"),
    needs=("zmq", "msgspec"),
)
