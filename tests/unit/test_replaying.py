"""Recorded calls that are made again, become tests, are saved and loaded."""

import asyncio
import base64
import datetime as dt
import json
import subprocess
import sys

import pandas as pd
import pytest

from pycrust import RpcClient, RpcEndpoint, RpcError, Timestamp
from pycrust.errors import Code
from pycrust.traffic.file import TrafficFileError
from pycrust.traffic.traffic import Traffic
from tests.conftest import wait_until

HANDLERS = """
import asyncio
import datetime as dt
from pycrust import RpcEndpoint, RpcError, Timestamp

endpoint = RpcEndpoint("{name}")

@endpoint.register
def price(spot: float, tags: list[str]) -> dict[str, float]:
    return {{tag: spot * number for number, tag in enumerate(tags)}}

@endpoint.register
def fail(why: str):
    raise KeyError(why)

@endpoint.register
def nothing():
    return None

@endpoint.register
def broken() -> float:
    return float("nan")

@endpoint.register
def when(at: dt.datetime) -> dt.datetime:
    return at

@endpoint.register
def count(below: int):
    yield from range(below)

@endpoint.register
async def slowly(data: bytes) -> bytes:
    await asyncio.sleep(0)
    return data * 2

@endpoint.register
def tick(at: Timestamp) -> Timestamp:
    return at

@endpoint.register
def refuse(number: int):
    raise RpcError("not_found", f"no {{number}}")
"""


@pytest.fixture
def served(make_endpoint):
    endpoint = make_endpoint()
    exec(compile(HANDLERS.format(name=endpoint.name), "handlers.py", "exec"), {"__name__": "handlers"})  # noqa: S102 - the test's own
    endpoint.serve()
    with RpcClient(endpoint.name, client_name="it's me") as client:
        client.call("price", 2.5, ["a", "b"])
        client.call("price", spot=1.0, tags=["long" * 10, "tags" * 10, "that" * 10, "need" * 10])
        for method, arguments in (("fail", ["it's"]), ("price", ["x", []]), ("nothing", []), ("refuse", [3])):
            try:
                client.call(method, *arguments)
            except RpcError:
                continue
        client.call("broken")
        client.call("when", dt.datetime(2024, 2, 29, tzinfo=dt.UTC))
        list(client.stream("count", 3))
        client.call("slowly", b"ab")
        client.call("tick", Timestamp.from_ns(1_700_000_000_123_456_789))
    # What the client measured of its last calls comes as it leaves.
    wait_until(lambda: not endpoint.stats()["clients"], "the client to be gone")
    return endpoint


def test_every_call_becomes_a_test_that_passes(served, tmp_path):
    (tmp_path / "conftest.py").write_text(HANDLERS.format(name=served.name))
    sources = [call.as_test() for call in served.traffic()]
    assert len(sources) == 11
    for number, source in enumerate(sources):
        (tmp_path / f"test_{number}.py").write_text(source)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert "11 passed" in run.stdout, run.stdout
    assert "def test_price_call_1():" in sources[0]
    assert "endpoint._dispatch('price', [2.5, ['a', 'b']])" in sources[0]
    assert all(len(line) < 130 for source in sources for line in source.splitlines())


def test_a_test_fails_when_the_answer_is_another(served, tmp_path):
    (tmp_path / "conftest.py").write_text(HANDLERS.format(name=served.name).replace("spot * number", "spot"))
    (tmp_path / "test_it.py").write_text(served.traffic()[0].as_test())
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 1, run.stdout
    assert "1 failed" in run.stdout


def test_a_replay_sets_the_answers_side_by_side(served, capsys):
    calls = served.traffic()
    before = served.stats()["methods"]
    for call in calls:
        replay = call.replay()
        assert replay.same, replay
        assert replay.live.of == "v1"
        assert "the same answer" in repr(replay)
    assert served.stats()["methods"] == before
    assert len(served.traffic()) == len(calls)

    @served.register
    def price(spot: float, tags: list[str]) -> dict[str, float]:
        return {tag: spot * number + 1 for number, tag in enumerate(tags)}

    before_fix, capsys_text = calls[0].replay(), "printed nowhere"
    served.register("price")(lambda spot, tags: print(capsys_text) or {"a": 1.0, "b": 3.5})
    assert (calls[0].replay().live.output, before_fix.live.output) == ("printed nowhere\n", "")
    assert "printed nowhere" not in capsys.readouterr().out
    replay = before_fix
    assert (replay.recorded.of, replay.live.of, replay.same) == ("recorded v1", "v2", False)
    assert (replay.recorded.result, replay.live.result) == ({"a": 0.0, "b": 2.5}, {"a": 1.0, "b": 3.5})
    assert "another answer" in repr(replay)
    assert "≠" in repr(replay)


def test_a_replay_tries_a_candidate_beside_what_is_live(served):
    def fixed(why: str) -> str:
        return why.upper()

    failed = served.traffic("fail")[0]
    replay = failed.replay(fixed)
    assert replay.live.error.type == "KeyError"
    assert (replay.candidate.of, replay.candidate.result, replay.new) == ("fixed", "IT'S", replay.candidate)
    assert not replay.same
    assert "KeyError" in replay.live.error.traceback
    invalid = served.traffic("price status:invalid_argument")[0]
    assert invalid.replay().live.error.code is Code.INVALID_ARGUMENT
    assert invalid.replay(lambda spot, tags: 1).candidate.result == 1
    assert served["fail"].version == 1


def test_what_can_not_be_replayed_says_why(served, tmp_path):
    served.traffic().save(tmp_path / "calls.jsonl")
    (tmp_path / "other.jsonl").write_text((tmp_path / "calls.jsonl").read_text().replace(served.name, "elsewhere"))
    with pytest.raises(LookupError, match="no endpoint 'elsewhere' is in this process"):
        Traffic.load(tmp_path / "other.jsonl")[0].replay()
    served.recording(max_payload=1)
    with RpcClient(served.name) as client:
        client.call("slowly", b"abc")
    with pytest.raises(LookupError, match="max_payload"):
        served.traffic("slowly")[-1].replay()
    with pytest.raises(ValueError, match="not kept whole"):
        served.traffic("slowly")[-1].as_test()
    served.unregister("price")
    with pytest.raises(LookupError, match="no method 'price'"):
        served.traffic("price")[0].replay()


def test_calls_survive_a_file(served, tmp_path):
    calls = served.traffic()
    path = tmp_path / "calls.jsonl"
    assert calls.save(path) == 11
    loaded = Traffic.load(path)
    assert (len(loaded), loaded.name, loaded.text) == (11, served.name, "")
    for before, after in zip(calls, loaded, strict=True):
        assert repr(after) == repr(before)
        assert after.as_dict() == before.as_dict()
        assert after.payload == before.payload
    assert len(loaded.filter("price status:ok")) == 2
    assert loaded[0].replay().same
    assert [line.name for line in tmp_path.glob("calls*")] == ["calls.jsonl"]
    header = json.loads(path.read_text().splitlines()[0])
    assert header == {
        "format": "pycrust traffic", "version": 1, "endpoint": served.name, "filter": "", "hooked": False,
    }  # fmt: skip


def test_a_file_is_redacted_as_calls_are_shown(served, tmp_path):
    served.recording(redact=["spot", "b", "data"])
    path = tmp_path / "calls.jsonl"
    served.traffic().save(path)
    loaded = Traffic.load(path)
    assert loaded[0].arguments == {"spot": "[redacted]", "tags": ["a", "b"]}
    assert loaded[0].result == {"a": 0.0, "b": "[redacted]"}
    assert loaded.filter("count")[0].result == [0, 1, 2]
    assert loaded.filter("fail")[0].error == served.traffic("fail")[0].error
    assert base64.b64encode(b"\xcb@\x04") not in path.read_bytes(), "2.5 as MessagePack"


def test_redacted_fields_show_in_no_replay_and_no_test(served):
    call = served.traffic()[0]
    served.register("price")(lambda spot, tags: {"a": 0.0, "b": 99.5})
    served.recording(redact=["b", "spot"])
    call = served.traffic()[0]
    replay = call.replay()
    assert not replay.same
    assert replay.differences == ["$.b: differs, and is redacted"]
    for text in (repr(replay), repr(replay.recorded), call.as_test()):
        assert "99.5" not in text
        assert "2.5" not in text
        assert "[redacted]" in text
    assert "to be filled in" in call.as_test()


def hostile(path):
    """Files that were never saved by this, from a whole one."""
    lines = path.read_text().splitlines()
    call = json.loads(lines[1])
    yield b"", "line 1"
    yield b"\x80\x04\x95\x0c.", "line 1"
    yield b"[1, 2]", "line 1"
    yield b'{"format": "pickle", "version": 1, "endpoint": "x"}', "format"
    yield lines[0].replace('"version":1', '"version":2').encode(), "version is 2"
    yield b'{"format":"pycrust traffic","version":1,"endpoint":"x","filter":">5"}', "line 1"
    for field, value in (
        ("status", 99), ("seq", -1), ("method", 5), ("request", "%%%"), ("stages", [1]), ("ended_unix_ns", 1 << 80),
        ("output", [["stdin", "x"]]), ("items_kept", 1 << 40), ("duration_ns", 1 << 63), ("version", None),
    ):  # fmt: skip
        yield "\n".join([lines[0], "", json.dumps({**call, field: value})]).encode(), f"line 3: {field}"
    yield "\n".join([lines[0], "[" * 100_000]).encode(), "line 2"
    yield b"\n".join([lines[0].encode(), b"\xff\xfe"]), "line 2"


def test_hostile_files_end_in_errors(served, tmp_path):
    path = tmp_path / "calls.jsonl"
    served.traffic().save(path)
    bad = tmp_path / "bad.jsonl"
    for content, says in hostile(path):
        bad.write_bytes(content)
        try:
            Traffic.load(bad)
        except TrafficFileError as error:
            assert says in str(error)
        else:
            pytest.fail(f"{content[-200:]} was read")
    lines = path.read_text().splitlines()
    # Payloads that are no MessagePack are what a caller may have sent: they read, and say so.
    odd = {**json.loads(lines[1]), "request": "wQ==", "request_len": 1, "items": 5, "streamed": True}
    bad.write_text("\n".join([lines[0], json.dumps(odd)]))
    call = Traffic.load(bad)[0]
    assert "can't be decoded" in call.arguments
    for text in (repr(call), call._repr_html_(), str(call.as_dict()), call.text):
        assert text


def test_calls_as_a_table_of_pandas(served):
    frame = served.traffic("price").to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["status"]) == ["OK", "OK", "INVALID_ARGUMENT"]
    assert frame.loc[1, "arguments"] == {"spot": 2.5, "tags": ["a", "b"]}
    assert (frame["handler"] >= 0).all()
    assert served.traffic("nothing-at-all").to_pandas().empty


def test_fields_that_are_dropped_are_not_stored(make_endpoint, tmp_path):
    endpoint = make_endpoint()

    @endpoint.register
    def login(user: str, password: str) -> dict[str, str]:
        return {"token": user + password, "user": user}

    endpoint.serve()
    endpoint.recording(drop=["PASSWORD", "tok*"])
    with RpcClient(endpoint.name) as client:
        client.call("login", "ada", "hunter2")
        client.call("login", user="ada", password="hunter2")  # noqa: S106 - nobody's
    for call in endpoint.traffic():
        assert call.arguments == {"user": "ada", "password": "[redacted]"}
        assert call.result == {"token": "[redacted]", "user": "ada"}
        assert b"hunter2" not in call.payload + call.response
    with pytest.raises(TypeError, match=r"drop=\['password'\]"):
        endpoint.recording(drop="password")


DEBUGGED = """
import asyncio
import signal
from pycrust import RpcClient, RpcEndpoint

endpoint = RpcEndpoint("debugged")

@endpoint.register
def halve(number: int) -> float:
    half = number / 2
    return half

@endpoint.register
async def wait(number: int) -> float:
    await asyncio.sleep(0)
    return number / 2

interrupts = signal.getsignal(signal.SIGINT)
endpoint.serve()
with RpcClient("debugged") as client:
    client.call("halve", 3)
    client.call("wait", 3)
print("got", endpoint.traffic("halve")[-1].debug())
print("got", endpoint.traffic("wait")[-1].debug())
print("interrupts", signal.getsignal(signal.SIGINT) is interrupts)
endpoint.stop()
"""


def test_a_call_is_debugged_on_the_main_thread(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(DEBUGGED)
    run = subprocess.run(
        [sys.executable, script],
        input="p number\nn\np half\nc\nn\np number + 4\nc\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "half = number / 2" in run.stdout
    assert "(Pdb) 3" in run.stdout
    assert "(Pdb) 1.5" in run.stdout
    assert "(Pdb) 7" in run.stdout
    assert "interrupts True" in run.stdout, "Ctrl-C is the debugger's no longer"
    assert [line for line in run.stdout.splitlines() if "got" in line][-2:] == ["(Pdb) got 1.5", "(Pdb) got 1.5"]


def test_the_debugger_needs_the_main_thread(served):
    with pytest.raises(RuntimeError, match="main thread"):
        asyncio.run(asyncio.to_thread(served.traffic()[0].debug))
    assert isinstance(served, RpcEndpoint)
