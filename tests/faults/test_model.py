"""Random interleavings of calls, drops, deadlines, swaps, deaths and restarts, against what must always hold.

A call gets its own answer, once, or one error; it runs at most once, and exactly once if it was answered; a call
that is said not to have run did not; after a swap was acknowledged no call is answered by what it replaced; nothing
is left.
"""

from __future__ import annotations

import collections
import signal
import subprocess
import sys
import threading
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pycrust import Cancelled, DeadlineExceeded, RpcClient, RpcError, Unavailable
from tests.conftest import shared_memory, wait_until

HERE = Path(__file__).parent


class Call:
    """One call that was started and not waited for."""

    def __init__(self, client: RpcClient, method: str, number: int, *arguments: object) -> None:
        self.number = number
        self.dropped = False
        self.ended = threading.Event()
        self.outcomes: list[tuple[object, BaseException | None]] = []
        self.pending = client._client.start(method, [number, *arguments], {"timeout": 60.0}, self.done)

    def done(self, result: object, error: BaseException | None) -> None:
        self.outcomes.append((result, error))
        self.ended.set()

    def drop(self) -> None:
        self.dropped = True
        self.pending.cancel()


class Model(RuleBasedStateMachine):
    """A worker, its clients, and what is known of them."""

    #: Where the machine keeps its files, set by the test.
    directory: Path

    def __init__(self) -> None:
        super().__init__()
        self.log = self.directory / "ran"
        self.log.unlink(missing_ok=True)
        self.before = shared_memory()
        self.numbers = 0
        #: The mark of the handler that was swapped in last.
        self.mark = 0
        self.answered: set[int] = set()
        self.never_ran: set[int] = set()
        self.started: list[Call] = []
        self.worker: subprocess.Popen[str] | None = None
        self.other: subprocess.Popen[str] | None = None
        self.client: RpcClient | None = None

    @initialize()
    def begin(self) -> None:
        self.start_worker()
        self.client = RpcClient("model", timeout=60)

    def start_worker(self) -> None:
        self.worker = subprocess.Popen(
            [sys.executable, HERE / "model_worker.py", self.log],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        while (line := self.worker.stdout.readline()) != "ready\n":
            assert line, "the worker ended"
        self.mark = 0

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def made(self, number: int, make) -> object:
        """Makes a call and notes how it ended; gives its result."""
        try:
            result = make()
        except RpcError as error:
            assert isinstance(error, Unavailable | DeadlineExceeded | Cancelled), error
            if not error.may_have_run:
                self.never_ran.add(number)
            return None
        self.answered.add(number)
        return result

    # ---- what happens ----

    @rule()
    def call(self) -> None:
        number = self.number()
        result = self.made(number, lambda: self.client.call("echo", number))
        if self.worker is not None:
            assert result == [number, self.mark], "its own answer, by the handler that is live"

    @rule(seconds=strategies.sampled_from([0.0, 0.002, 0.01]), method=strategies.sampled_from(["nap", "anap"]))
    def call_with_a_deadline(self, method: str, seconds: float) -> None:
        number = self.number()
        result = self.made(number, lambda: self.client.call(method, number, seconds, timeout=0.005))
        assert result in {None, number}

    @rule(items=strategies.integers(0, 200), taken=strategies.integers(0, 200))
    def stream(self, items: int, taken: int) -> None:
        if self.worker is None:
            return
        number = self.number()
        with self.client.stream("count", number, items) as stream:
            got = [item for item, _ in zip(stream, range(taken), strict=False)]
        assert got == [number * 1000 + item for item in range(min(items, taken))]

    @precondition(lambda self: len(self.started) < 12)
    @rule(method=strategies.sampled_from(["nap", "anap"]), seconds=strategies.sampled_from([0.0, 0.01, 0.1]))
    def start(self, method: str, seconds: float) -> None:
        self.started.append(Call(self.client, method, self.number(), seconds))

    @precondition(lambda self: self.started)
    @rule(data=strategies.data())
    def drop(self, data) -> None:
        data.draw(strategies.sampled_from(self.started), "call").drop()

    @precondition(lambda self: self.started)
    @rule()
    def gather(self) -> None:
        for call in self.started:
            if call.dropped and not call.ended.is_set():
                continue
            assert call.ended.wait(60), "a call was never answered"
            (outcome,) = call.outcomes
            result, error = outcome
            if error is None:
                assert result == call.number
                self.answered.add(call.number)
            else:
                assert isinstance(error, Unavailable | Cancelled), error
                if not error.may_have_run:
                    self.never_ran.add(call.number)
        self.started.clear()

    @precondition(lambda self: self.worker is not None)
    @rule()
    def swap(self) -> None:
        self.mark += 1
        self.worker.stdin.write(f"{self.mark}\n")
        self.worker.stdin.flush()
        assert self.worker.stdout.readline() == "swapped\n"

    @precondition(lambda self: self.worker is not None)
    @rule(gently=strategies.booleans())
    def end_the_worker(self, gently: bool) -> None:
        if gently:
            self.worker.stdin.close()
        else:
            self.worker.send_signal(signal.SIGKILL)
        self.worker.wait()
        self.worker.stdout.close()
        if not gently:
            self.worker.stdin.close()
        self.worker = None

    @precondition(lambda self: self.worker is None)
    @rule()
    def restart_the_worker(self) -> None:
        self.start_worker()

    @precondition(lambda self: self.other is None and self.worker is not None)
    @rule()
    def another_client_calls(self) -> None:
        first = 1_000_000 * self.number()
        self.other = subprocess.Popen(
            [sys.executable, HERE / "model_client.py", str(first)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.other.stdout.readline() == "calling\n"

    @precondition(lambda self: self.other is not None)
    @rule()
    def kill_the_other_client(self) -> None:
        assert self.other.poll() is None, self.other.stderr.read()
        self.other.send_signal(signal.SIGKILL)
        _, said = self.other.communicate()
        assert not said
        self.other = None

    # ---- what holds ----

    @invariant()
    def nothing_ran_twice(self) -> None:
        ran = self.ran()
        assert all(count == 1 for count in ran.values()), [number for number, count in ran.items() if count > 1]
        assert self.answered <= ran.keys(), "what was answered ran"
        assert not self.never_ran & ran.keys(), "what is said not to have run did not"

    def ran(self) -> collections.Counter[int]:
        text = self.log.read_text() if self.log.exists() else ""
        return collections.Counter(int(line) for line in text.split("\n")[:-1])

    def teardown(self) -> None:
        try:
            if self.other is not None:
                self.kill_the_other_client()
            if self.worker is None:
                self.start_worker()
            self.gather()
            if self.client is not None:
                stats = lambda: self.client.call("pycrust.stats")  # noqa: E731
                wait_until(lambda: len(stats()["clients"]) == 1, "the killed clients to be forgotten")
                wait_until(lambda: not sum(m["in_flight"] for m in stats()["methods"]), "no call to be left")
                self.call()
                self.nothing_ran_twice()
        finally:
            if self.client is not None:
                self.client.close()
            for process in (self.worker, self.other):
                if process is not None:
                    process.kill()
                    process.communicate()
        # What a killed worker left is removed by the next one.
        with subprocess.Popen(
            [sys.executable, HERE / "model_worker.py", self.log],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        ) as last:  # fmt: skip
            last.stdin.close()
        wait_until(lambda: shared_memory() <= self.before, "shared memory to be freed")


def test_what_must_hold_holds_in_every_order(tmp_path):
    class Here(Model):
        directory = tmp_path

    unhurried = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],  # a shorter example is not worth a restart of every process
    )
    run_state_machine_as_test(Here, settings=unhurried)
