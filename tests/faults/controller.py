"""Ends, stops or delays a worker or a client at a chosen step, and checks what everyone saw of it.

A canary client, which is never touched, calls throughout; a second client may be the one that is ended. What a plan
does follows from its seed alone: `python -m tests.soak.faults --seed 17` does it again.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from pycrust import RpcClient
from tests.conftest import PROGRAMS, shared_memory, wait_until
from tests.faults import points
from tests.kernels import Kernel

HERE = Path(__file__).parent
NAME = "faults"
#: A hang guard, not a bound on speed.
PATIENCE = 120.0
_ANNOUNCED = re.compile(r"^fault point: .* at (\d+)$", re.MULTILINE)
#: Calls of the canary before something is done to a process that does not come by its point, and after.
CALLS_BEFORE, CALLS_AFTER = 400, 60


@dataclass(frozen=True)
class Plan:
    """What happens to whom."""

    seed: int
    #: Whether the worker is the one; otherwise the second client is.
    worker: bool
    #: The step, how often it is passed, and what happens then.
    point: str
    times: int
    action: str
    #: What becomes of a process that was stopped.
    stopped_is_killed: bool = False
    #: The second client is killed, too, in the moment in which the worker's end is seen.
    both: bool = False
    #: The worker is a Jupyter kernel.
    kernel: bool = False
    one_thread: bool = False

    @classmethod
    def of(cls, seed: int) -> Plan:
        """The plan of a seed."""
        chance = random.Random(seed)
        worker = chance.random() < 0.6
        point, most = chance.choice(sorted((points.OF_WORKER if worker else points.OF_CLIENT).items()))
        plan = cls(
            seed=seed,
            worker=worker,
            point=point,
            times=chance.randint(1, most),
            action=chance.choice(["kill", "kill", "kill", "abort", "stop", "stop", "term", "pause"]),
            stopped_is_killed=chance.random() < 0.4,
            both=worker and chance.random() < 0.2,
            kernel=chance.random() < 0.1,
            one_thread=chance.random() < 0.3,
        )
        # A kernel that ends within a cell never answers it.
        return replace(plan, kernel=plan.kernel and worker and not plan.point.startswith(("serve.", "stop.")))

    @property
    def armed(self) -> dict[str, str]:
        """The environment of the process that is the one."""
        return {"PYCRUST_FAULT_POINT": f"{self.point}@{self.times}={self.action}"}

    @property
    def ends(self) -> bool:
        """Whether the process does not survive it."""
        return self.action in {"kill", "abort", "term"} or (self.action == "stop" and self.stopped_is_killed)


@dataclass
class Outcome:
    """What one plan came to."""

    plan: Plan
    #: Whether the process came by the point.
    fired: bool = False
    calls: int = 0
    answered: int = 0
    failed: collections.Counter[str] = field(default_factory=collections.Counter)
    #: Nanoseconds from a worker's death to the error of each call that was in flight.
    told_after_ns: list[int] = field(default_factory=list)


class History:
    """What a client has noted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self.began: set[int] = set()
        self.ended: dict[int, dict[str, Any]] = {}

    def read(self) -> History:
        """Reads on."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
            self._offset += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            for line in map(json.loads, lines):
                if "began" in line:
                    self.began.add(line["began"])
                else:
                    assert line["ended"] not in self.ended, f"call {line['ended']} ended twice"
                    self.ended[line["ended"]] = line
        return self

    @property
    def answered(self) -> int:
        return sum("code" not in call for call in self.ended.values())


class Process:
    """A worker or a client of a plan."""

    def __init__(self, arguments: list[object], said: Path, env: dict[str, str]) -> None:
        self._said = said
        with said.open("a") as file:
            self._process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env={**os.environ, **env},
            )  # fmt: skip
        self._line = b""
        self.pid = self._process.pid
        self.handle = psutil.Process(self.pid)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def is_ready(self) -> bool:
        """Whether it has said its first line."""
        stdout = self._process.stdout
        while not self._line.endswith(b"\n") and select.select([stdout], [], [], 0)[0]:
            byte = os.read(stdout.fileno(), 1)
            if not byte:
                break
            self._line += byte
        return self._line.endswith(b"\n")

    def close(self) -> None:
        """Lets it end in good order."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def finish(self) -> None:
        """Waits for its good end."""
        status = self._process.wait(PATIENCE)
        self._process.stdout.close()
        assert status == 0, f"ended with {status}: {self._said.read_text()}"

    def forget(self) -> None:
        """Lets go of one that has ended, or ends it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                end.close()


class KernelWorker:
    """A Jupyter kernel that serves from a cell."""

    def __init__(self, source: str, said: Path, env: dict[str, str]) -> None:
        with said.open("a") as file:
            self._kernel = Kernel(env, stderr=file)
        self.pid = self._kernel.pid
        self.handle = psutil.Process(self.pid)
        self._kernel.begin(source)

    @property
    def ended(self) -> bool:
        return not self._kernel.manager.is_alive()

    def is_ready(self) -> bool:
        """Whoever calls finds out."""
        return True

    def close(self) -> None:
        self._kernel.run("served.stop()")
        self._kernel.stop()

    def finish(self) -> None:
        assert self.ended

    def forget(self) -> None:
        self._kernel.kill()
        self._kernel.stop()


class Controller:
    """Carries a plan out in a directory of its own, with `PYCRUST_RUNTIME_DIR` set."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._plan = plan
        self._directory = directory
        self._chance = random.Random(plan.seed + 1)
        self._ran = directory / "ran"
        self._processes: list[Process | KernelWorker] = []
        self._histories: list[History] = []
        self._killed: list[History] = []
        #: Whether the process that is the one was told to end.
        self._ends_anyway = False
        #: Whether a process that was stopped was told to go on.
        self._went_on = False
        #: When the worker died, if that is known.
        self._death_ns = 0
        self._outcome = Outcome(plan)

    def run(self) -> Outcome:
        """Does it, and checks."""
        try:
            self._happen()
        except BaseException as error:
            error.add_note(f"{self._plan}\nagain: python -m tests.soak.faults --seed {self._plan.seed}")
            error.add_note("\n".join(f"{path.name}: {path.read_text()}" for path in self._directory.glob("*.said")))
            raise
        finally:
            for process in self._processes:
                process.forget()
        return self._outcome

    # ---- processes ----

    def _begin_worker(self, armed: dict[str, str], *, kernel: bool = False) -> Process | KernelWorker:
        said = self._directory / f"worker-{len(self._processes)}.said"
        if kernel:
            source = f"""
from tests.faults.fault_worker import serve
served = serve({NAME!r}, {str(self._ran)!r})
"""
            worker: Process | KernelWorker = KernelWorker(source, said, {**armed, "PYTHONPATH": str(points.ROOT)})
        else:
            worker = Process([sys.executable, HERE / "fault_worker.py", NAME, self._ran], said, armed)
        self._processes.append(worker)
        return worker

    def _begin_client(self, armed: dict[str, str]) -> tuple[Process, History]:
        number = len(self._processes)
        path = self._directory / f"client-{number}.calls"
        arguments: list[object] = [
            PROGRAMS / "faults", "--endpoint", NAME, "--file", path, "--first", number * 10_000_000,
        ]  # fmt: skip
        if self._plan.one_thread:
            arguments.append("--one-thread")
        client = Process(arguments, self._directory / f"client-{number}.said", armed)
        self._processes.append(client)
        history = History(path)
        self._histories.append(history)
        return client, history

    def _attend(self, process: Process | KernelWorker) -> bool:
        """Goes on with one that has stopped, or ends it. Whether it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.handle.status() == psutil.STATUS_STOPPED:
                time.sleep(self._chance.uniform(0, 0.4))
                process.handle.send_signal(signal.SIGKILL if self._plan.stopped_is_killed else signal.SIGCONT)
                self._went_on = not self._plan.stopped_is_killed
                wait_until(
                    lambda: process.ended or process.handle.status() != psutil.STATUS_STOPPED, "it to go on or end"
                )
        return process.ended

    def _wait_until_ready(self, process: Process | KernelWorker) -> bool:
        """Whether it came up; it may be ended before."""
        wait_until(lambda: self._attend(process) or process.is_ready(), "a process to come up")
        return not process.ended

    # ---- what happens ----

    def _happen(self) -> None:
        plan = self._plan
        worker = self._begin_worker(plan.armed if plan.worker else {}, kernel=plan.kernel)
        is_up = self._wait_until_ready(worker)
        canary, calls = self._begin_client({})
        self._canary = canary
        probe = RpcClient(NAME, timeout=PATIENCE, wait=PATIENCE, lazy=True)
        if not is_up:
            worker = self._replace(worker)
        victim, victim_calls = None, None
        if plan.worker:
            if plan.both or plan.point.startswith("drop."):
                victim, victim_calls = self._begin_client({})
            if is_up:
                self._provoke(worker, victim, victim_calls)
                self._wait_for(worker, calls)
            if worker.ended:
                if victim is not None and not victim.ended:
                    victim.handle.send_signal(signal.SIGKILL)
                    self._killed.append(victim_calls)
                worker = self._replace(worker)
        else:
            self._wait_until(lambda: calls.read().answered >= CALLS_AFTER, "the canary to call")
            probe.call("pycrust.health")
            held = worker.handle.num_fds()
            victim, victim_calls = self._begin_client(plan.armed)
            self._provoke(victim, victim, victim_calls)
            self._wait_for(victim, calls)
            if victim.ended:
                self._killed.append(victim_calls)
                self._wait_until(
                    lambda: worker.handle.num_fds() <= held, "the worker to let go of what the dead client had"
                )
        if victim is not None and victim.ended:
            victim, victim_calls = self._begin_client({})
        for history in filter(None, [calls, victim_calls]):
            before = history.read().answered
            self._wait_until(
                lambda h=history, b=before: h.read().answered >= b + CALLS_AFTER, "the survivors to go on"
            )
        self._end(worker, [client for client in (canary, victim) if client is not None], probe)
        self._check()

    def _provoke(self, marked: Process | KernelWorker, victim: Process | None, calls: History | None) -> None:
        """Brings a process to points that it does not come by while it only calls or serves."""
        if self._plan.point.startswith(("drop.", "close.")):
            self._wait_until(lambda: calls.read().answered, "the second client to call")
        if self._plan.point.startswith("drop."):
            victim.handle.send_signal(signal.SIGKILL)
            self._killed.append(calls)
        elif self._plan.point.startswith(("stop.", "close.")):
            self._ends_anyway = True
            marked.close()

    def _wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Waits while the canary lives."""

        def met() -> object:
            assert not self._canary.ended, "the canary ended"
            return condition()

        wait_until(met, what)

    def _wait_for(self, marked: Process | KernelWorker, calls: History) -> None:
        """Waits for the fault; a process that does not come by its point is ended from outside."""
        plan = self._plan
        since = calls.read().answered
        self._wait_until(
            lambda: self._attend(marked) or self._announced() or calls.read().answered - since >= CALLS_BEFORE,
            f"{plan.point} or {CALLS_BEFORE} calls",
        )
        if not self._announced() and not marked.ended and not self._ends_anyway and plan.action != "pause":
            strike = {"abort": signal.SIGABRT, "stop": signal.SIGSTOP, "term": signal.SIGTERM}
            marked.handle.send_signal(strike.get(plan.action, signal.SIGKILL))
        if plan.ends or self._ends_anyway:
            self._wait_until(lambda: self._attend(marked), "the process to end")
        elif plan.action == "stop":
            self._wait_until(lambda: self._attend(marked) or self._went_on, "the process to end, or to stop")

    def _announced(self) -> int:
        """When the process came by its point, in nanoseconds; 0 if it did not."""
        for path in self._directory.glob("*.said"):
            if found := _ANNOUNCED.search(path.read_text()):
                return int(found[1])
        return 0

    def _replace(self, worker: Process | KernelWorker) -> Process | KernelWorker:
        """Another worker in a dead one's place."""
        self._death_ns = self._announced() if self._plan.action in {"kill", "abort"} else 0
        worker.forget()
        worker = self._begin_worker({})
        assert self._wait_until_ready(worker), "the next worker did not come up"
        return worker

    def _end(self, worker: Process | KernelWorker, clients: list[Process], probe: RpcClient) -> None:
        """Everybody ends in good order, and nothing is left."""
        for client in clients:
            client.close()
        for client in clients:
            client.finish()
        wait_until(lambda: len(probe.call("pycrust.stats")["clients"]) == 1, "the clients to be forgotten")
        in_flight = lambda: sum(method["in_flight"] for method in probe.call("pycrust.stats")["methods"])  # noqa: E731
        wait_until(lambda: not in_flight(), "no call to be left")
        probe.close()
        worker.close()
        worker.finish()
        wait_until(lambda: not shared_memory(), "shared memory to be freed")
        left = [name for name in os.listdir(os.environ["PYCRUST_RUNTIME_DIR"]) if name.endswith((".sock", ".lock"))]
        assert not left, left

    # ---- what must hold ----

    def _check(self) -> None:
        ran = self._what_ran()
        twice = [number for number, count in ran.items() if count > 1]
        assert not twice, f"calls that ran twice: {twice}"
        self._outcome.fired = self._announced() > 0
        for history in self._histories:
            history.read()
            if history not in self._killed:
                lost = history.began - history.ended.keys()
                assert not lost, f"calls that never ended: {sorted(lost)}"
            self._outcome.calls += len(history.ended)
            self._outcome.answered += history.answered
            for call in history.ended.values():
                check(call, ran)
                if "code" in call:
                    self._outcome.failed[call["code"]] += 1
                    self._outcome.told_after_ns += self._told_after(call)
            check_versions(history.ended.values())
        for path in self._directory.glob("*.said"):
            said = path.read_text()
            assert "panicked" not in said, said
            assert "Traceback" not in said, said

    def _what_ran(self) -> collections.Counter[int]:
        text = self._ran.read_text() if self._ran.exists() else ""
        return collections.Counter(int(line) for line in text.split("\n")[:-1])

    def _told_after(self, call: dict[str, Any]) -> Iterator[int]:
        """How long after the worker's death a call that was in flight was failed."""
        if call["code"] == "UNAVAILABLE" and call["began_ns"] < self._death_ns < call["ended_ns"]:
            yield call["ended_ns"] - self._death_ns


#: What ends calls of a kind beside their answer and the worker's end.
OWN_ENDS = {"late": {"DEADLINE_EXCEEDED"}, "dropped": {"CANCELLED"}, "fails": {"INVALID_ARGUMENT"}}


#: What call `number` of a kind is answered; that of any other is its number.
ANSWERS: dict[str, Callable[[int], Any]] = {
    "count": lambda number: [number * 1000 + item for item in range(50)],
    "dropped stream": lambda number: number * 1000,
    "upload": lambda number: [number, number + 28],
    "exchange": lambda number: [number + sum(range(item)) for item in range(1, 9)],
    "one way": lambda _: None,
    "batch": lambda number: number * number,
}


def is_its_own(call: dict[str, Any]) -> bool:
    """Whether a call got its own answer."""
    number, value = call["ended"], call.get("value")
    if call["kind"] in {"echo", "idempotent"}:
        return value[0] == number
    return value == ANSWERS.get(call["kind"], lambda own: own)(number) and call["kind"] != "fails"


def check(call: dict[str, Any], ran: collections.Counter[int]) -> None:
    """Asserts what must hold for one call that has ended."""
    runs = ran[call["ended"]]
    if "code" not in call:
        assert is_its_own(call), f"another's answer, or none: {call}"
        assert runs == 1 or call["kind"] in {"idempotent", "one way"}, f"answered and ran {runs} times: {call}"
        return
    assert call["code"] in {"UNAVAILABLE", *OWN_ENDS.get(call["kind"], ())}, call
    assert call["may_have_run"] or not runs or call["code"] != "UNAVAILABLE", (
        f"said not to have run, and did: {call}"
    )


def check_versions(calls: Any) -> None:
    """Asserts that no version of `echo` in one process came after one that had replaced it was seen to answer."""
    echoes = [call for call in calls if call["kind"] == "echo" and "code" not in call]
    for pid in {call["value"][1] for call in echoes}:
        here = [call for call in echoes if call["value"][1] == pid]
        acknowledged = collections.deque(sorted(here, key=lambda call: call["ended_ns"]))
        newest = 0
        for call in sorted(here, key=lambda call: call["began_ns"]):
            while acknowledged and acknowledged[0]["ended_ns"] < call["began_ns"]:
                newest = max(newest, acknowledged.popleft()["value"][2])
            assert call["value"][2] >= newest, f"version {newest} had answered before: {call}"


def carry_out(plan: Plan, directory: Path) -> Outcome:
    """Carries a plan out in a directory."""
    return Controller(plan, directory).run()
