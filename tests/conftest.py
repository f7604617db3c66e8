"""What every test may use: a runtime directory of its own, worker processes, kernels and Rust programs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernels import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
#: Where tests are imported from: there, or a folder without the package, where an installed wheel is tested.
IMPORTED = Path(__file__).absolute().parent.parent
#: What was built of `client-rs/examples`, and of `tests/programs`.
EXAMPLES = ROOT / "target" / "release" / "examples"
PROGRAMS = ROOT / "target" / "release"
PROGRAMS_OF_TESTS = {
    program["name"] for program in tomllib.loads((ROOT / "tests/programs/Cargo.toml").read_text())["bin"]
}
#: A hang guard, not a bound on speed.
PATIENCE = 60.0
#: What Python says of `1.0 / 0`.
DIVISION = "float division by zero" if sys.version_info < (3, 14) else "division by zero"

# A shell starts what runs in its background with SIGINT ignored, and what a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Waits for `condition` to become true; a hang becomes a failure that says `what` was awaited."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE} s for {what}")
        time.sleep(0.01)


def shared_memory(runtime_dir: str | Path | None = None) -> set[str]:
    """What in /dev/shm belongs to a runtime directory, by default the test's own: lives, and the memory in them."""
    directory = os.path.realpath(runtime_dir or os.environ["PYCRUST_RUNTIME_DIR"])
    # FNV-1a of the path and a zero, its lower 32 bits, as `native/transport/src/claiming/runtime_dir.rs` has it.
    digest = 0xCBF2_9CE4_8422_2325
    for byte in [*os.fsencode(directory), 0]:
        digest = (digest ^ byte) * 0x0100_0000_01B3 & 0xFFFF_FFFF_FFFF_FFFF
    prefix = f"pyc{os.getuid()}_{digest & 0xFFFF_FFFF:08x}_"
    shm = Path("/dev/shm")
    found = {name for name in os.listdir(shm) if name.startswith(prefix)}
    for life in [shm / name for name in found]:
        if life.is_dir() and not life.is_symlink():
            with contextlib.suppress(FileNotFoundError):  # it has just ended
                found |= {f"{life.name}/{name}" for name in os.listdir(life) if name.startswith(prefix)}
    return found


@pytest.fixture(autouse=True)
def runtime_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own, and nothing left in shared memory after it."""
    directory = tmp_path / "runtime"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("PYCRUST_RUNTIME_DIR", str(directory))
    yield directory
    wait_until(lambda: not shared_memory(directory), "shared memory to be freed")


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Ctrl-C is Python's again after a debugger's `continue`, which makes it the debugger's for good."""
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Program:
    """A process that a test started; killed at the test's end if it is still there."""

    def __init__(self, arguments: list[str], **options: object) -> None:
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"the process ended with {self.process.wait()}: {self.process.stderr.read()}")
        return line.rstrip("\n")

    def finish(self) -> str:
        """Its remaining output once it has ended well."""
        out, err = self.process.communicate(timeout=PATIENCE * 4)
        assert self.process.returncode == 0, f"ended with {self.process.returncode}\n{out}\n{err}"
        return out

    def send(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)

    def stop(self) -> None:
        """Ends it: in good order if closing its standard input does that, else by force."""
        try:
            self.process.communicate(timeout=PATIENCE / 4 if self.process.stdin else 0.1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Starts programs; those still running at the end are killed."""
    programs: list[Program] = []

    def starter(*arguments: object, **options: object) -> Program:
        program = Program([str(argument) for argument in arguments], **options)
        programs.append(program)
        return program

    yield starter
    for program in programs:
        program.stop()


@pytest.fixture
def worker(start: Callable[..., Program]) -> Callable[..., Program]:
    """Starts a Python process that runs `source` and has printed `ready` when this returns.

    `source` must register and `serve()`; the process then prints `ready` and waits for its standard input to close.
    """

    def starter(source: str, **options: object) -> Program:
        script = f"import sys\n{source}\nprint('ready', flush=True)\nsys.stdin.read()\n"
        program = start(sys.executable, "-c", script, stdin=subprocess.PIPE, **options)
        while program.line() != "ready":
            pass
        return program

    return starter


@pytest.fixture
def rust(start: Callable[..., Program]) -> Callable[..., Program]:
    """Starts a program of `tests/programs`, or else one of the client's examples."""

    def starter(name: str, *arguments: object, **options: object) -> Program:
        folder = PROGRAMS if name in PROGRAMS_OF_TESTS else EXAMPLES
        return start(folder / name, *arguments, **options)

    return starter


@pytest.fixture
def call(rust: Callable[..., Program]) -> Callable[..., dict]:
    """One call from Rust: `call("calculator", "add", {"a": 1})` gives the report of the program `load`."""

    def caller(endpoint: str, method: str, arguments: object = None, *more: object, calls: int = 1) -> dict:
        program = rust(
            "load", "--endpoint", endpoint, "--method", method, "--args", json.dumps(arguments),
            "--calls", calls, "--tasks", 1, "--json", *more,
        )  # fmt: skip
        return json.loads(program.finish())

    return caller


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A real Jupyter kernel."""
    running = Kernel()
    yield running
    running.stop()
