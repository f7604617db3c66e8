"""Measures arrays beside a memcpy, an empty call and the peers; writes `bench-arrays.json`.

- `sizes`: round trips of 1 KiB to 1 GiB from Rust to a Python handler that looks at nothing, built in place and
  copied in; the first call, which makes the memory, apart. The peers carry the same bytes to a Python process
  that answers with one byte: a Unix socket, ZeroMQ and gRPC, the latter two where they are installed.
- `loops`: three 224x224x3 images and a state vector per call, at 240 Hz and 1 kHz; missed deadlines beside those
  of a loop that makes empty calls, and of one that sends a byte to another process and back, in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
#: What was built of `tests/programs`, and of the crates' examples.
PROGRAMS = ROOT / "target" / "release"
EXAMPLES = PROGRAMS / "examples"
SIZES = [1 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30]
#: gRPC refuses more than 2 GiB and copies a lot: larger sizes take minutes.
MOST_OF_PEERS = {"unix socket": 1 << 30, "zeromq": 1 << 30, "grpc": 256 << 20}


# The workers: this file again, with a role -----------------------------------------------------------------


def serve_pycrust(_address: str) -> None:
    """Handlers that look at nothing."""
    import numpy  # noqa: F401, ICN001 - otherwise the first array would pay for it

    from pycrust import RpcEndpoint

    endpoint = RpcEndpoint("bench-arrays")

    @endpoint.register
    def swallow(*_arrays: Any) -> None:
        return None

    @endpoint.register
    def act(images: Any, state: Any) -> Any:
        answer = endpoint.empty(7, "float32")
        answer[:] = state + images[0][0, 0, 0]
        return answer

    with endpoint:
        print("ready", flush=True)
        sys.stdin.read()


def serve_unix(address: str) -> None:
    """Answers each message, eight bytes of length and the rest, with one byte."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        connection, _ = listening.accept()
        buffer = bytearray(1 << 30)
        with connection:
            while head := connection.recv(8, socket.MSG_WAITALL):
                left = memoryview(buffer)[: int.from_bytes(head, "little")]
                while left:
                    left = left[connection.recv_into(left) :]
                connection.sendall(b"!")


def serve_zeromq(address: str) -> None:
    """Answers each message with one byte."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.REP) as replies:
        replies.bind(f"ipc://{address}")
        print("ready", flush=True)
        while len(replies.recv(copy=False)):
            replies.send(b"!")


def serve_grpc(address: str) -> None:
    """Answers each message with one byte."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    def swallow(_request: bytes, _context: Any) -> bytes:
        return b"!"

    handler = grpc.method_handlers_generic_handler(
        "bench", {"swallow": grpc.unary_unary_rpc_method_handler(swallow)}
    )
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"unix:{address}")
    server.start()
    print("ready", flush=True)
    sys.stdin.read()


ROLES = {"pycrust": serve_pycrust, "unix socket": serve_unix, "zeromq": serve_zeromq, "grpc": serve_grpc}


@contextlib.contextmanager
def worker(role: str, address: str = "") -> Iterator[None]:
    """A process that plays a role."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--role", role, "--address", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        while process.stdout.readline().strip() != "ready":
            if process.poll() is not None:
                raise RuntimeError(f"the worker for {role} ended with {process.returncode}")
        yield
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()


# The peers' callers ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def unix_caller(address: str) -> Iterator[Callable[[bytes], None]]:
    """Calls `serve_unix`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)

        def call(payload: bytes) -> None:
            connection.sendall(len(payload).to_bytes(8, "little"))
            connection.sendall(payload)
            assert connection.recv(1) == b"!"

        yield call


@contextlib.contextmanager
def zeromq_caller(address: str) -> Iterator[Callable[[bytes], None]]:
    """Calls `serve_zeromq`."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.REQ) as requests:
        requests.connect(f"ipc://{address}")

        def call(payload: bytes) -> None:
            requests.send(payload, copy=False)
            assert requests.recv() == b"!"

        yield call
        requests.send(b"")


@contextlib.contextmanager
def grpc_caller(address: str) -> Iterator[Callable[[bytes], None]]:
    """Calls `serve_grpc`."""
    import grpc

    with grpc.insecure_channel(f"unix:{address}", options=[("grpc.max_send_message_length", -1)]) as channel:
        swallow = channel.unary_unary("/bench/swallow")

        def call(payload: bytes) -> None:
            assert swallow(payload) == b"!"

        yield call


PEERS = {"unix socket": (unix_caller, None), "zeromq": (zeromq_caller, "zmq"), "grpc": (grpc_caller, "grpc")}


def measure_peers(sizes: list[int], seconds: float) -> dict[str, dict[int, float]]:
    """The median round trip of each peer and size, in microseconds."""
    found: dict[str, dict[int, float]] = {}
    for name, (caller, package) in PEERS.items():
        if package is not None and importlib.util.find_spec(package) is None:
            continue
        with tempfile.TemporaryDirectory() as directory:
            address = f"{directory}/peer"
            with worker(name, address), caller(address) as call:
                for size in sizes:
                    if size > MOST_OF_PEERS[name]:
                        continue
                    payload = bytes(size)
                    call(payload)
                    times, until = [], time.perf_counter() + seconds
                    while not times or (time.perf_counter() < until):
                        begun = time.perf_counter()
                        call(payload)
                        times.append((time.perf_counter() - begun) * 1e6)
                    found.setdefault(name, {})[size] = statistics.median(times)
    return found


# This project ----------------------------------------------------------------------------------------------


def report(program: Path, *arguments: object) -> dict[str, Any]:
    """What a Rust program reports."""
    command = [program, "--endpoint", "bench-arrays", *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure_sizes(sizes: list[int], seconds: float) -> dict[int, dict[str, Any]]:
    """Round trips of each size, in microseconds."""
    found = {}
    for size in sizes:
        # A worker for each: its memory is new, so that first use can be seen.
        with worker("pycrust"):
            found[size] = report(PROGRAMS / "payloads", "--bytes", size, "--seconds", seconds)
    return found


def measure_loops(rates: list[int], seconds: float) -> dict[str, dict[str, Any]]:
    """Loops with images, with empty calls, and with a byte that goes to another process and back, in turns."""
    found = {}
    for rate in rates:
        with worker("pycrust"):
            images = report(
                EXAMPLES / "cameras", "--beside", "swallow", "--hz", rate, "--seconds", seconds, "--json"
            )
            found[f"{rate} Hz, floor"] = images.pop("floor")
            found[f"{rate} Hz, empty calls"] = images.pop("empty")
            found[f"{rate} Hz, images"] = images
    return found


def show(sizes: dict[int, Any], peers: dict[str, dict[int, float]], loops: dict[str, Any]) -> None:
    """Prints the tables."""
    names = list(peers)
    print(
        f"{'bytes':>12}{'empty':>10}{'in place':>10}{'x empty':>9}{'copied':>12}{'memcpy':>12}{'x both':>8}"
        f"{'first':>12}" + "".join(f"{name:>14}" for name in names)
    )
    for size, figures in sizes.items():
        empty, place, copied, memcpy = (figures[key]["p50"] for key in ("empty", "in_place", "copied", "memcpy"))
        print(
            f"{size:>12,}{empty:>10.1f}{place:>10.1f}{place / empty:>9.2f}{copied:>12.1f}{memcpy:>12.1f}"
            f"{copied / (memcpy + empty):>8.2f}{figures['in_place']['first']:>12.0f}"
            + "".join(f"{peers[name].get(size, float('nan')):>14.1f}" for name in names)
        )
    print(f"\n{'loop':<24}{'ticks':>8}{'missed':>8}{'p50':>9}{'p99':>9}{'p99.9':>9}")
    for name, loop in loops.items():
        trip = loop["round_trip_us"]
        print(
            f"{name:<24}{loop['ticks']:>8}{loop['missed']:>8}{trip['p50']:>9.1f}{trip['p99']:>9.1f}"
            f"{trip['p999']:>9.1f}"
        )


def main() -> None:
    """Runs everything and prints two tables, in microseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each kind and size")
    parser.add_argument("--loop-seconds", type=float, default=60.0, help="of each loop")
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--role", choices=ROLES, help=argparse.SUPPRESS)
    parser.add_argument("--address", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        ROLES[options.role](options.address)
        return
    sizes = [size for size in SIZES if size <= options.largest]
    with tempfile.TemporaryDirectory(prefix="pycrust-bench-") as directory:
        os.environ["PYCRUST_RUNTIME_DIR"] = directory
        found = measure_sizes(sizes, options.seconds)
        peers = measure_peers(sizes, options.seconds)
        loops = measure_loops([240, 1000], options.loop_seconds)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    print(f"{machine}; p50 in µs")
    show(found, peers, loops)
    report = {"machine": machine, "sizes": found, "peers": peers, "loops": loops}
    (ROOT / "bench-arrays.json").write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
