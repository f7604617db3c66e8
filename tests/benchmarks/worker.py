"""The worker that is measured: `add` with Pydantic validation. `--spin-us 0` makes it sleep between calls."""

import argparse
import signal
import sys

from pydantic import BaseModel

from pycrust import RpcEndpoint


class AddArgs(BaseModel):
    a: int
    b: int


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spin-us", type=float)
    parser.add_argument("--busy", action="store_true", help="burn pure Python on the main thread, as a cell does")
    options = parser.parse_args()
    endpoint = RpcEndpoint("bench", spin_us=options.spin_us)

    @endpoint.register(request_model=AddArgs)
    def add(a: int, b: int) -> int:
        return a + b

    # Ended in good order, so that nothing stays in shared memory.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with endpoint:
        print("ready", flush=True)
        while options.busy:
            sum(range(1000))
        sys.stdin.read()


if __name__ == "__main__":
    main()
