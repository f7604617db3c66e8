"""An inference engine and a market maker, both sides, while what serves them is replaced, fails, or is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PATIENCE, ROOT, wait_until
from tests.kernels import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Program

EXAMPLES = ROOT / "client-rs" / "examples"
#: Requests that run at once in these tests.
AT_ONCE = 32
#: A stream for each request, and one stream of steps for all of them.
WAYS = {"generate": (), "submit": ("--steps",)}


def cells(example: str, script: str, before_serving: str = "") -> str:
    """The Python side of an example, without what is for a script."""
    source, main, _ = (EXAMPLES / example / script).read_text().partition('\nif __name__ == "__main__":\n')
    assert main
    return f"{source}\n{before_serving}\nendpoint.serve()\n"


ENGINE = cells("engine", "engine.py", "STEP_SECONDS = 0.001")
QUOTING = cells("market_maker", "quoting.py")


def calls(kernel: Kernel, matching: str) -> int:
    """How many of the recorded calls match."""
    return int(kernel.run(f"len(endpoint.traffic({matching!r}))"))


@pytest.fixture
def second_kernel() -> Iterator[Callable[[], Kernel]]:
    """Starts a kernel that takes another one's place."""
    started: list[Kernel] = []

    def start() -> Kernel:
        started.append(Kernel())
        return started[-1]

    yield start
    for running in started:
        running.stop()


# The engine ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", WAYS)
def test_each_request_of_many_has_its_own_end(kernel: Kernel, rust: Callable[..., Program], method: str):
    kernel.run(ENGINE)
    requests, tokens, leave, wrong = 400, 12, 5, 7
    crowd = rust(
        "engine", "--at-once", 256, "--requests", requests, "--tokens", tokens, "--leave", leave, "--wrong", wrong,
        *WAYS[method],
    )  # fmt: skip
    *_, told = crowd.finish().splitlines()
    report = json.loads(told)
    refused = [number for number in range(requests) if number % wrong == wrong - 1]
    left = [number for number in range(requests) if number % leave == leave - 1 and number not in refused]
    whole = requests - len(refused) - len(left)
    assert report["errors"] == {"INVALID_ARGUMENT": len(refused)}
    assert (report["whole"], report["left"]) == (whole, len(left))
    assert report["tokens"] == whole * tokens + len(left) * (tokens // 2)
    # Those that were left are ended, too: nothing steps for nobody.
    wait_until(lambda: kernel.run("len(engine)") == "0", "the requests that were left to end")


ANOTHER_SAMPLER = """
def second() -> Sampler:
    return lambda _, logprobs: np.argsort(logprobs, axis=1)[:, -2]

sampler = endpoint.model("sampler", load=second)
"""


@pytest.mark.parametrize("method", WAYS)
def test_an_answer_has_one_sampler_from_its_first_token_to_its_last(
    kernel: Kernel, rust: Callable[..., Program], method: str
):
    kernel.run(ENGINE)
    crowd = rust("engine", "--at-once", AT_ONCE, *WAYS[method])
    assert crowd.line() == "generating"
    # Whoever reads asks again after an answer: with more requests than readers, some answers have ended.
    wait_until(lambda: calls(kernel, f"{method} version:1 status:ok") > AT_ONCE, "answers")
    kernel.run(ANOTHER_SAMPLER)
    wait_until(lambda: calls(kernel, f"{method} version:2 status:ok") > AT_ONCE, "answers of the other sampler")
    crowd.send(signal.SIGINT)
    report = json.loads(crowd.finish())
    assert report["errors"] == {}
    likelihoods = {version: told["likelihoods"] for version, told in report["versions"].items()}
    assert likelihoods == {"1": ["-0.5"], "2": ["-1.25"]}


BROKEN_SAMPLER = """
def broken() -> Sampler:
    def sample(tokens, logprobs):
        raise ValueError("no such token")
    return sample

sampler = endpoint.model("sampler", load=broken)
"""


def test_a_sampler_that_fails_fails_its_own_requests(kernel: Kernel, rust: Callable[..., Program]):
    kernel.run(ENGINE)
    # Long answers, so that some of the first sampler's run beside those that fail.
    crowd = rust("engine", "--at-once", AT_ONCE, "--tokens", 200)
    assert crowd.line() == "generating"
    wait_until(lambda: calls(kernel, "generate version:1 status:ok") > AT_ONCE, "answers")
    kernel.run(BROKEN_SAMPLER)
    wait_until(lambda: calls(kernel, "generate version:2 status:internal"), "an answer that failed")
    kernel.run(ANOTHER_SAMPLER)
    wait_until(lambda: calls(kernel, "generate version:3 status:ok") > AT_ONCE, "answers of the third sampler")
    failures = kernel.run("{call.error for call in endpoint.traffic('generate version:2')}")
    crowd.send(signal.SIGINT)
    report = json.loads(crowd.finish())
    assert set(report["errors"]) == {"INTERNAL"}
    assert "ValueError: no such token" in failures
    assert calls(kernel, "generate version:1 status:internal") == 0
    assert set(report["versions"]) == {"1", "3"}


@pytest.mark.parametrize("method", WAYS)
def test_a_front_end_goes_on_with_the_next_engine(
    kernel: Kernel, second_kernel: Callable[[], Kernel], rust: Callable[..., Program], method: str
):
    kernel.run(ENGINE)
    crowd = rust("engine", "--at-once", AT_ONCE, *WAYS[method])
    assert crowd.line() == "generating"
    wait_until(lambda: calls(kernel, f"{method} status:ok") > AT_ONCE, "answers")
    kernel.kill()
    again = second_kernel()
    again.run(ENGINE)
    wait_until(lambda: calls(again, f"{method} status:ok") > AT_ONCE, "answers of the next engine")
    crowd.send(signal.SIGINT)
    report = json.loads(crowd.finish())
    # What ran when the engine died is lost, and said to be; what came after waited for the next one.
    assert set(report["errors"]) == {"UNAVAILABLE"}
    assert report["errors"]["UNAVAILABLE"] <= AT_ONCE
    assert report["whole"] > AT_ONCE


# The market maker ------------------------------------------------------------------------------------------

TIGHTER = """
@endpoint.register
def quote(book: Book) -> Quotes:
    bid = math.floor((book.bid_tick + book.ask_tick) / 2 - 0.2 * book.position)
    return Quotes(bid_tick=bid, ask_tick=bid + 1)
"""


def test_quotes_change_in_the_middle_of_a_day(kernel: Kernel, rust: Callable[..., Program]):
    kernel.run(QUOTING)
    desk = rust("market_maker", "--busier", 10)
    assert desk.line() == "quoting"
    wait_until(lambda: calls(kernel, "version:1 status:ok"), "a decision")
    kernel.run(TIGHTER)
    wait_until(lambda: calls(kernel, "version:2 status:ok"), "a decision of the other kind")
    desk.send(signal.SIGINT)
    report = json.loads(desk.finish())
    assert report["errors"] == {}
    versions = report["versions"]
    assert sum(told["decisions"] for told in versions.values()) + report["late"] == report["asked"]
    assert set(versions) <= {"1", "2"}
    widths = {version: set(told["widths"]) for version, told in versions.items()}
    assert widths.get("1", set()) <= {2, 3}
    assert widths.get("2", set()) <= {1}


def test_the_books_are_right_at_the_end_of_the_day(kernel: Kernel, rust: Callable[..., Program]):
    """A long day at once, with time enough for each decision: so that all of it is traded by."""
    kernel.run(QUOTING + TIGHTER)
    day = ("--unpaced", "--seconds", 20, "--deadline-us", 60_000_000)
    *_, told = rust("market_maker", *day).finish().splitlines()
    report = json.loads(told)
    assert (report["errors"], report["late"]) == ({}, 0)
    [version] = report["versions"].values()
    assert version["decisions"] == report["asked"] > 1000
    assert version["fills"] > 100
    assert report["position"] == report["bought"] - report["sold"]
    assert abs(report["position"]) <= version["largest_position"]
    # What was earned change by change is what there is at the end.
    assert version["earned_ticks"] == pytest.approx(report["worth_ticks"])
    # Held at the price where the market is, within what it moves in a day.
    assert report["worth_ticks"] == pytest.approx(report["cash_ticks"] + 10_000 * report["position"], abs=2_000)


NOTHING = """
@endpoint.register
def quote(book: Book) -> Quotes:
    return Quotes(bid_tick=None, ask_tick=None, lots=0)
"""


def test_a_seed_is_a_market(kernel: Kernel, rust: Callable[..., Program]):
    """Where nobody trades with it: whoever does is asked once more for each trade, as soon as he decides."""
    kernel.run(QUOTING + NOTHING)

    def asked(seed: int) -> int:
        day = ("--unpaced", "--seconds", 5, "--deadline-us", 60_000_000)
        *_, told = rust("market_maker", *day, "--seed", seed).finish().splitlines()
        return json.loads(told)["asked"]

    first = asked(1)
    assert first > 1000
    assert asked(1) == first
    assert asked(2) != first


LATE = """
import time

@endpoint.register
def quote(book: Book) -> Quotes:
    time.sleep(0.005)
    return Quotes(bid_tick=book.bid_tick, ask_tick=book.ask_tick)
"""


def test_who_decides_too_late_quotes_nothing(kernel: Kernel, rust: Callable[..., Program]):
    kernel.run(QUOTING + LATE)
    desk = rust("market_maker", "--unpaced", "--deadline-us", 200)
    assert desk.line() == "quoting"
    wait_until(lambda: calls(kernel, "status:deadline_exceeded") > 20, "decisions that were late")
    desk.send(signal.SIGINT)
    report = json.loads(desk.finish())
    assert report["late"] == report["asked"] > 20
    assert (report["bought"], report["sold"]) == (0, 0)
    assert report["versions"] == {}


def test_a_desk_goes_on_with_the_next_notebook(
    kernel: Kernel, second_kernel: Callable[[], Kernel], rust: Callable[..., Program]
):
    kernel.run(QUOTING)
    desk = rust("market_maker", "--busier", 10)
    assert desk.line() == "quoting"
    wait_until(lambda: calls(kernel, "status:ok"), "a decision")
    kernel.kill()
    again = second_kernel()
    again.run(QUOTING)
    wait_until(lambda: calls(again, "status:ok"), "a decision of the next notebook")
    desk.send(signal.SIGINT)
    report = json.loads(desk.finish())
    assert set(report["errors"]) == {"UNAVAILABLE"}
    unanswered = report["late"] + sum(report["errors"].values())
    assert sum(told["decisions"] for told in report["versions"].values()) + unanswered == report["asked"]


def test_the_quoting_side_runs_as_a_script(start: Callable[..., Program], rust: Callable[..., Program]):
    """Its last lines serve until they are interrupted."""
    script = start(sys.executable, EXAMPLES / "market_maker" / "quoting.py", stdin=subprocess.DEVNULL)
    health = ("call", "--endpoint", "quoting", "--method", "pycrust.health", "--args", "null")
    wait_until(lambda: "value" in json.loads(rust(*health).finish()), "the script to serve")
    *_, told = rust("market_maker", "--unpaced", "--seconds", 1, "--deadline-us", 60_000_000).finish().splitlines()
    report = json.loads(told)
    assert sum(version["decisions"] for version in report["versions"].values()) == report["asked"] > 0
    script.send(signal.SIGINT)
    assert script.process.wait(PATIENCE) == 0
