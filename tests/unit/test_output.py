"""What handlers print, log, warn of and ask."""

import ast
import asyncio
import builtins
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pycrust import Batch, RpcClient, RpcError
from tests.conftest import wait_until


@pytest.fixture
def talker(endpoint):
    @endpoint.register
    async def talk_later(word: str) -> str:
        print("before", word)
        await asyncio.sleep(0)
        await asyncio.to_thread(print, "in a thread", word)
        return word

    @endpoint.register
    def talk_often(count: int):
        for number in range(count):
            print("item", number)
            yield number

    @endpoint.register
    def much():
        print("x" * 10_000_000)

    endpoint.serve()
    return endpoint


SCRIPT = """
import logging, sys, warnings
from pycrust import RpcClient, RpcEndpoint

log = logging.getLogger("talker")
logging.basicConfig(format="%(message)s")
endpoint = RpcEndpoint("script")

@endpoint.register
def talk(word: str) -> str:
    print("printed", word)
    print("wrong", word, file=sys.stderr)
    log.error("logged %s", word)
    warnings.warn(f"warned {word}", stacklevel=1)
    return word

endpoint.serve()
with RpcClient("script") as client:
    client.call("talk", "a")
    print("mine")
    client.call("talk", "b")
endpoint.stop()
print([call.output.splitlines() for call in endpoint.traffic("talk")], file=open(sys.argv[1], "w"))
"""


def test_in_a_script_output_is_kept_and_reaches_the_terminal(tmp_path):
    kept = tmp_path / "kept"
    run = subprocess.run([sys.executable, "-c", SCRIPT, kept], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    first, second = ast.literal_eval(kept.read_text())
    for lines, word in ((first, "a"), (second, "b")):
        assert lines[:3] == [f"printed {word}", f"wrong {word}", f"logged {word}"]
        assert f"warned {word}" in lines[3]
    assert run.stdout.splitlines()[1:] == ["printed a", "mine", "printed b"]
    assert "wrong a\nlogged a\n" in run.stderr


def test_output_of_async_handlers_and_generators(talker):
    with RpcClient(talker.name) as client:
        client.call("talk_later", "a")
        assert list(client.stream("talk_often", 3)) == [0, 1, 2]
    assert talker.traffic("talk_later")[-1].output == "before a\nin a thread a\n"
    assert talker.traffic("talk_often")[-1].output == "item 0\nitem 1\nitem 2\n"


def test_output_is_bounded(talker):
    with RpcClient(talker.name) as client:
        client.call("much")
    output = talker.traffic("much")[-1].output
    assert len(output) < 1_000_000
    assert "more bytes were not kept" in output


def test_handlers_can_not_ask(endpoint):
    @endpoint.register
    def ask() -> str:
        return input("? ")

    @endpoint.register
    async def look():
        breakpoint()  # noqa: T100

    endpoint.serve()
    with RpcClient(endpoint.name) as client:
        for method, what in (("ask", "input()"), ("look", "breakpoint()")):
            with pytest.raises(RpcError) as raised:
                client.call(method)
            assert what in raised.value.message
            assert f'traffic("method:{method}")[-1].debug()' in raised.value.message


def test_what_was_watched_is_put_back(endpoint):
    before = (builtins.input, sys.breakpointhook, vars(sys.stdout).get("write"))
    endpoint.serve()
    assert builtins.input is not before[0]
    endpoint.stop()
    assert (builtins.input, sys.breakpointhook, vars(sys.stdout).get("write")) == before


def test_running_calls_are_listed_and_interrupted(endpoint):
    begun: list[str] = []

    @endpoint.register
    def spin(cleaned: bool = True):
        try:
            begun.append("spin")
            while True:
                pass
        finally:
            print("left")

    @endpoint.register
    async def rest():
        begun.append("rest")
        await asyncio.sleep(3600)

    endpoint.serve()
    with RpcClient(endpoint.name, client_name="me") as client:
        for method in ("spin", "rest", "spin"):
            done = []
            pending = client._client.start(method, None, {}, lambda *outcome, done=done: done.append(outcome))
            wait_until(lambda method=method: [c.method for c in endpoint.running()] == [method], "the call to run")
            # It is listed before its handler's first line: interrupted there, it would have nothing to clean up.
            wait_until(lambda method=method: begun[-1:] == [method], "its handler to begin")
            begun.clear()
            running = endpoint.running()[0]
            assert (running.method, running.version, running.client) == (method, 1, "me")
            assert repr(running).startswith(f"<running {method} v1 for me")
            assert endpoint.interrupt(running)
            wait_until(lambda done=done: done, "the answer")
            assert done[0][1].code == 1
            assert "interrupted by endpoint.interrupt()" in done[0][1].message
            wait_until(lambda: not endpoint.running(), "the call to end")
            assert not endpoint.interrupt(running)
            del pending
        assert [call.output for call in endpoint.traffic("spin")] == ["left\n", "left\n"]
        assert "in spin\n" in endpoint.traffic("spin")[0].error.traceback


def test_output_of_a_batch_is_kept_with_each_of_its_calls(endpoint):
    @endpoint.register(batch=Batch(max_size=8, max_wait_us=50_000))
    def square(values: list[float]) -> list[float]:
        print("running", [call.method for call in endpoint.running()])
        return [value * value for value in values]

    endpoint.serve()
    with RpcClient(endpoint.name) as client, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda value: client.call("square", value), range(4))) == [0, 1, 4, 9]
    calls = endpoint.traffic("square")
    assert sorted(call.result for call in calls) == [0, 1, 4, 9]
    for call in calls:
        assert call.output.startswith("running ['square'")
    assert not endpoint.running()


def test_threads_and_pools_of_a_handler_print_to_its_call(endpoint):
    pool = ThreadPoolExecutor(1)

    @endpoint.register
    def spread(word: str) -> str:
        def inner() -> None:
            print("in a thread", word)
            deeper = threading.Thread(target=print, args=("deeper", word))
            deeper.start()
            deeper.join()

        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()
        pool.submit(print, "in a pool", word).result()
        return word

    @endpoint.register
    async def spread_later(word: str) -> str:
        thread = threading.Thread(target=print, args=("started later", word))
        thread.start()
        await asyncio.to_thread(thread.join)
        return word

    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    endpoint.serve()
    with RpcClient(endpoint.name) as client:
        for word in ("a", "b"):
            client.call("spread", word)
            client.call("spread_later", word)
    outputs = [call.output for call in endpoint.traffic("spread")]
    assert outputs == [f"in a thread {word}\ndeeper {word}\nin a pool {word}\n" for word in ("a", "b")]
    assert [call.output for call in endpoint.traffic("spread_later")] == ["started later a\n", "started later b\n"]
    pool.submit(print, "of nobody").result()
    thread = threading.Thread(target=print, args=("of nobody",))
    thread.start()
    thread.join()
    assert [call.output for call in endpoint.traffic("spread")] == outputs
    endpoint.stop()
    pool.shutdown()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (start, submit)


def test_what_a_handlers_thread_prints_after_the_call_is_kept_with_it(endpoint):
    go_on, threads = threading.Event(), []

    @endpoint.register
    def leave_behind() -> None:
        def late() -> None:
            go_on.wait()
            print("late")

        threads.append(threading.Thread(target=late))
        threads[0].start()

    endpoint.serve()
    with RpcClient(endpoint.name) as client:
        client.call("leave_behind")
    go_on.set()
    threads[0].join()
    assert endpoint.traffic("leave_behind")[0].output == "late\n"
