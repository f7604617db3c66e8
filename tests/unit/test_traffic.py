"""What is recorded of real calls, and how it reads."""

import itertools
import json
import threading
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from pycrust import Batch, RpcClient, RpcError, current_call
from pycrust.arrays.absent import Absent
from pycrust.errors import Code
from pycrust.traffic.filters import STAGES, FilterError
from pycrust.traffic.recorded import Truncated
from pycrust.traffic.traffic import Traffic, lines_of
from tests.conftest import wait_until


@pytest.fixture
def calculator(endpoint):
    @endpoint.register
    def add(a: int, b: int) -> int:
        return a + b

    @endpoint.register
    def fail(why: str):
        raise KeyError(why)

    @endpoint.register
    def count(below: int):
        yield from range(below)

    @endpoint.register
    async def wait(word: str) -> str:
        return word

    endpoint.serve()
    return endpoint


@pytest.fixture
def client(calculator):
    with RpcClient(calculator.name, client_name="loop") as connected:
        yield connected


def test_a_call_is_there_when_its_answer_is(calculator, client):
    for number in range(20):
        client.call("add", a=number, b=1)
        call = calculator.traffic()[-1]
        assert call.arguments == {"a": number, "b": 1}
        assert (call.result, call.error, call.code) == (number + 1, None, Code.OK)
        assert (call.method, call.version, call.client, call.seq) == ("add", 1, "loop", number + 1)
        assert call.client_pid > 0
        assert set(call.stages) >= {"transit", "queue", "interpreter", "decode", "handler", "encode"}
        assert sum(call.stages_ns.values()) == pytest.approx(call.duration_ns, rel=0.5)


def test_positional_arguments_have_their_names(calculator, client):
    client.call("add", 1, 2)
    assert calculator.traffic()[-1].arguments == {"a": 1, "b": 2}


def test_what_the_client_measured_follows(calculator, client):
    client.call("add", 1, 2)
    wait_until(lambda: client.call("add", 1, 2) and calculator.traffic()[0].round_trip, "the client's report")
    call = calculator.traffic()[0]
    assert call.round_trip_ns > call.duration_ns > 0
    assert call.stages["back"] > 0
    assert call.took_ns == call.round_trip_ns


def test_errors_have_what_their_caller_was_told(calculator, client):
    with pytest.raises(RpcError):
        client.call("fail", why="no reason")
    with pytest.raises(RpcError):
        client.call("add", "x", 2)
    with pytest.raises(RpcError):
        client.call("sub", 1, 2)
    failed, invalid, unknown = calculator.traffic("status:error")
    assert failed.result is None
    assert (failed.error.code, failed.error.type) == (Code.UNKNOWN, "KeyError")
    assert "raise KeyError(why)" in failed.error.traceback
    assert (invalid.code, invalid.version) == (Code.INVALID_ARGUMENT, 1)
    assert invalid.error.details[0]["loc"][-1] in {"a", 0}
    assert invalid.arguments == {"a": "x", "b": 2}
    assert (unknown.method, unknown.version, unknown.ran) == ("sub", 0, False)
    assert unknown.code is Code.UNIMPLEMENTED
    assert unknown.arguments == [1, 2]


@pytest.mark.parametrize("kind", ["function", "generator", "coroutine", "batch"])
def test_a_record_has_the_traceback_that_the_caller_does_not_get(make_endpoint, kind):
    endpoint = make_endpoint(traceback=False)

    def function(why: str):
        raise KeyError(why)

    def generator(why: str):
        yield why
        raise KeyError(why)

    async def coroutine(why: str):
        raise KeyError(why)

    def batch(why: list[str]) -> list[str]:
        raise KeyError(why[0])

    handler = {"function": function, "generator": generator, "coroutine": coroutine, "batch": batch}[kind]
    endpoint.register("fail", batch=Batch() if kind == "batch" else None)(handler)
    endpoint.serve()
    with RpcClient(endpoint.name) as client, pytest.raises(RpcError) as raised:
        list(client.stream("fail", "x")) if kind == "generator" else client.call("fail", "x")
    assert not getattr(raised.value, "__notes__", []), "a traceback that travels is a note"
    assert "raise KeyError" not in f"{raised.value}{vars(raised.value)}"
    call = endpoint.traffic()[-1]
    assert call.error.type == "KeyError"
    assert "raise KeyError(why" in call.error.traceback
    assert call.output == ""
    assert not call.as_row()["printed"]
    assert b"raise KeyError" not in call.response


def test_streams_have_their_items(calculator, client):
    assert list(client.stream("count", 5)) == list(range(5))
    call = calculator.traffic("is:stream")[-1]
    assert (call.result, call.items, call.streamed) == ([0, 1, 2, 3, 4], 5, True)
    assert len(list(client.stream("count", 100_000))) == 100_000
    call = calculator.traffic("count")[-1]
    assert call.items == 100_000
    assert call.result[-1] == Truncated(len(call.result) - 1, 100_000, "items")
    assert call.result[:1000] == list(range(1000))


def test_arguments_that_a_caller_streams_are_kept_and_replayed(calculator, client, tmp_path):
    @calculator.register
    def mean(values: Iterator[float]) -> float:
        numbers = list(values)
        return sum(numbers) / len(numbers)

    @calculator.register
    async def doubled(values: AsyncIterator[int]) -> AsyncIterator[int]:
        async for value in values:
            yield 2 * value

    @calculator.register
    def first(values: Iterator[int]) -> int:
        return next(values)

    def largest(values: Iterator[float]) -> float:
        return max(values)

    assert client.request("mean").upload([1.0, 2.0, 6.0]) == 3.0
    call = calculator.traffic()[-1]
    assert (call.arguments, call.uploaded, call.truncated, call.result) == ([1.0, 2.0, 6.0], 3, False, 3.0)
    assert call.replay().same
    assert call.replay(largest).new.result == 6.0
    assert calculator["mean"].replay([call]).agreed == 1
    assert "'mean', [1.0, 2.0, 6.0]" in call.as_test()

    assert list(client.request("doubled").exchange(range(3))) == [0, 2, 4]
    both = calculator.traffic()[-1]
    assert (both.arguments, both.result) == ([0, 1, 2], [0, 2, 4])
    assert both.replay().same

    assert client.request("first").upload(range(5)) == 0
    assert calculator.traffic()[-1].arguments == [0], "what the handler took"

    assert client.request("mean").upload(float(number) for number in range(20_000)) == 9999.5
    long = calculator.traffic()[-1]
    kept = long.arguments[-1]
    assert (kept, long.truncated) == (Truncated(len(long.arguments) - 1, 20_000, "items"), True)
    assert long.arguments[:3] == [0.0, 1.0, 2.0]
    with pytest.raises(LookupError, match="not kept whole"):
        long.replay()

    assert calculator.traffic().save(tmp_path / "calls.jsonl") == 4
    loaded = Traffic.load(tmp_path / "calls.jsonl")
    assert [one.arguments for one in loaded] == [one.arguments for one in calculator.traffic()]


def test_streamed_arguments_are_redacted_and_dropped_by_name(calculator, client, tmp_path):
    @calculator.register
    def count_users(password: Iterator[dict[str, str]]) -> int:
        return len(list(password))

    calculator.recording(redact=["user"], drop=["password"])
    client.request("count_users").upload([{"user": "ada", "password": "hunter2"}])
    call = calculator.traffic()[-1]
    assert call.arguments == [{"user": "[redacted]", "password": "[redacted]"}], "items are not the parameter"
    assert b"hunter2" not in call.payload
    calculator.traffic().save(tmp_path / "calls.jsonl")
    assert Traffic.load(tmp_path / "calls.jsonl")[0].arguments == call.arguments


def test_arrays_among_the_arguments_are_kept_up_to_a_bound(calculator, client, tmp_path):
    @calculator.register
    def brightest(image: np.ndarray, password: str = "") -> int:
        return int(image.max())

    image = np.arange(64 * 48 * 3, dtype="uint8").reshape(64, 48, 3)
    client.call("brightest", image=image)
    first = calculator.traffic()[-1]
    assert first.arguments["image"] == Absent("uint8", (64, 48, 3))
    with pytest.raises(LookupError, match="max_arrays"):
        first.replay()

    calculator.recording(max_arrays=image.nbytes)
    client.call("brightest", image=image)
    client.call("brightest", image=np.concatenate([image, image]))
    client.call("brightest", image=image[::2, :, 0])
    kept, larger, part = calculator.traffic()[-3:]
    assert np.array_equal(kept.arguments["image"], image)
    assert not kept.arguments["image"].flags.writeable
    assert kept.replay().same
    assert np.array_equal(part.arguments["image"], image[::2, :, 0])
    assert (kept.arrays, larger.arrays, larger.arguments["image"].shape) == (True, False, (128, 48, 3))
    assert calculator.recording.state["bytes"] > image.nbytes

    calculator.traffic().save(tmp_path / "calls.jsonl")
    assert np.array_equal(Traffic.load(tmp_path / "calls.jsonl")[-1].arguments["image"], image[::2, :, 0])
    calculator.recording(redact=["password"])
    calculator.traffic().save(tmp_path / "calls.jsonl")
    assert not Traffic.load(tmp_path / "calls.jsonl")[-1].arrays, "a picture may show what is hidden"

    calculator.recording(drop=["password"])
    client.call("brightest", image=image, password="x")  # noqa: S106 - there is none
    assert not calculator.traffic()[-1].arrays, "an array doesn't know its name"
    with pytest.raises(ValueError, match="max_arrays"):
        calculator.recording(max_arrays=-1)


def test_lines_of_a_list_say_what_the_calls_say(calculator, client):
    client.call("add", a=1, b=2)
    list(client.stream("count", 3))
    with pytest.raises(RpcError):
        client.call("fail", why='"quoted"')
    calls = calculator.traffic()
    lines = json.loads(lines_of(calls))
    assert [line[:5] for line in lines] == [
        [str(call.seq), call.method, call.version, call.code.name, call.client] for call in calls
    ]
    assert [line[5] for line in lines] == [call.ended_unix_ns // 1_000_000 for call in calls]
    assert all(line[6] > 0 for line in lines)
    assert [line[7] for line in lines] == ["", "stream", ""]


def test_a_glance_has_the_numbers_of_the_statistics(calculator, client):
    client.call("add", a=1, b=2)
    wait_until(lambda: (client.call("add", a=1, b=2), calculator.glance()["latest"][1])[1], "round trips")
    glance, stats = calculator.glance(), calculator.stats()
    assert glance["names"] == [method["name"] for method in stats["methods"]]
    for row, method in zip(glance["rows"], stats["methods"], strict=True):
        times = [method["round_trip"][name] for name in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
        stages = [method["stages"][name]["p50_ns"] for name in (*STAGES,)]
        assert row == [*(method[name] for name in ("version", "calls", "errors", "in_flight")), *times, *stages]
    assert glance["trip"] == [stats["round_trip"][name] for name in ("p50_ns", "p99_ns")]
    assert (glance["clients"], glance["visit"]) == (1, stats["visits"][-1]["at_ns"])
    assert glance["recorder"].items() <= stats["recorder"].items()


def test_async_calls_are_recorded(calculator, client):
    client.call("wait", "hello")
    call = calculator.traffic()[-1]
    assert (call.method, call.arguments, call.result) == ("wait", {"word": "hello"}, "hello")


def test_metadata_goes_both_ways(calculator, client):
    @calculator.register
    def tagged():
        current_call().set_metadata({"lap": "7"})

    client.call("tagged")
    assert calculator.traffic()[-1].metadata == {"request": {}, "response": {"lap": "7"}}


def test_filters_limits_and_numbers(calculator, client):
    for number in range(10):
        client.call("add", number, 0)
        client.call("wait", "x")
    assert len(calculator.traffic()) == 20
    assert [call.result for call in calculator.traffic("add", limit=3)] == [7, 8, 9]
    last = calculator.traffic()[-1]
    client.call("add", 1, 1)
    assert [call.result for call in calculator.traffic(since=last.seq)] == [2]
    assert len(calculator.traffic().filter("add").filter("version:1")) == 11
    assert calculator.traffic().filter("add").text == "add"
    assert [call.result for call in calculator.traffic('"b\': 0" add')[:2]] == [0, 1]
    assert len(calculator.traffic().where(lambda call: call.arguments == {"a": 5, "b": 0})) == 1
    slowest = calculator.traffic().slowest(3)
    assert [call.took_ns for call in slowest] == sorted(
        (call.took_ns for call in calculator.traffic()), reverse=True
    )[:3]
    with pytest.raises(FilterError, match="stutus"):
        calculator.traffic("stutus:error")


def test_follow_gives_calls_as_they_come(calculator, client):
    client.call("add", 0, 0)
    since = calculator.traffic()[-1].seq
    seen = []

    def read():
        seen.extend(itertools.islice(calculator.follow("add", since=since), 3))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 4):
        client.call("wait", "x")
        client.call("add", number, 0)
    reader.join(60)
    assert [call.result for call in seen] == [1, 2, 3]
    with pytest.raises(FilterError):
        calculator.follow(">")


def test_recording_can_be_paused_cleared_and_left_out(calculator, client):
    @calculator.register(record=False)
    def secret(word: str) -> str:
        return word

    client.call("secret", "x")
    assert not calculator.traffic()
    client.call("add", 1, 2)
    calculator.recording.pause()
    client.call("add", 3, 4)
    assert "paused" in repr(calculator.recording)
    calculator.recording.resume()
    client.call("add", 5, 6)
    assert [call.result for call in calculator.traffic()] == [3, 11]
    calculator.recording.clear()
    assert not calculator.traffic()
    client.call("add", 7, 8)
    assert [call.seq for call in calculator.traffic()] == [3]


def test_long_payloads_are_cut(calculator, client):
    calculator.recording(max_payload=100)
    client.call("wait", "x" * 1000)
    call = calculator.traffic("is:truncated")[-1]
    assert isinstance(call.arguments, Truncated)
    assert isinstance(call.result, Truncated)
    assert "1,00" in repr(call.arguments)


def test_above_the_rate_calls_are_sampled(calculator, client):
    calculator.recording(calls_per_second=10, slow_ms=60_000)
    for _ in range(200):
        client.call("add", 1, 2)
    state = calculator.recording.state
    assert state["skipped"] > 0
    assert state["recorded"] + state["skipped"] == 200
    assert state["calls"] == len(calculator.traffic()) == state["recorded"]
    assert state["bytes"] > 0
    told = calculator.stats()["recorder"]
    assert {name: told[name] for name in ("calls", "bytes", "recorded", "skipped", "last")} == {
        name: state[name] for name in ("calls", "bytes", "recorded", "skipped", "last")
    }
    assert told["on"]
    assert 0 < told["share"] <= 1


def test_settings_are_checked(calculator):
    with pytest.raises(ValueError, match="max_calls is at least 0"):
        calculator.recording(max_calls=-1)
    with pytest.raises(TypeError, match=r"redact=\['password'\]"):
        calculator.recording(redact="password")
    calculator.recording(max_calls=5, slow_ms=2.5)
    assert calculator.recording.settings["max_calls"] == 5
    assert calculator.recording.settings["slow_ms"] == 2.5


def test_redacted_fields_don_t_show_anywhere(calculator, client):
    @calculator.register
    def login(user: str, password: str) -> dict[str, str]:
        return {"token": user + password}

    calculator.recording(redact=["PASSWORD", "tok*"])
    client.call("login", "ada", "hunter2")
    client.call("login", user="ada", password="hunter2")  # noqa: S106 - nobody's
    for call in calculator.traffic():
        assert call.arguments == {"user": "ada", "password": "[redacted]"}
        for text in (repr(call), str(calculator.traffic()), call._repr_html_(), str(call.as_dict()), call.text):
            assert "hunter2" not in text
    assert not calculator.traffic('"hunter2"')
    calculator.recording(redact=[], redact_hook=lambda method, part, value: part if method == "login" else value)
    assert calculator.traffic()[-1].arguments == "arguments"
    calculator.recording(redact_hook=lambda method, part, value: 1 / 0)
    assert "ZeroDivisionError" in calculator.traffic()[-1].arguments


def test_calls_show_themselves(calculator, client):
    client.call("add", 1, 2)
    with pytest.raises(RpcError):
        client.call("fail", "<b>")
    good, bad = calculator.traffic()
    assert repr(good).startswith("<call 1 add(a=1, b=2) v1 → 3 · ")
    assert "UNKNOWN: '<b>'" in repr(bad)
    assert len(repr(bad).splitlines()) == 1
    assert "&lt;b&gt;" in bad._repr_html_()
    assert "<b>" not in bad._repr_html_()
    table = str(calculator.traffic())
    assert table.splitlines()[0].split() == [
        "call", "time", "method", "version", "status", "took", "client", "arguments", "answer",
    ]  # fmt: skip
    assert table.splitlines()[-1] == "2 calls"
    assert "<b>" not in calculator.traffic()._repr_html_()
    row = good.as_row()
    assert (row["method"], row["status"], row["version"]) == ("add", "OK", 1)
    assert bad.as_dict()["error"]["type"] == "KeyError"
