"""In a notebook, `call.debug()` asks through the cell that it runs in."""

import pytest

SETUP = """
import asyncio
from pycrust import RpcClient, RpcEndpoint

endpoint = RpcEndpoint("kernel-debug")

@endpoint.register
def halve(number: int) -> float:
    half = number / 2
    return half

@endpoint.register
async def wait(number: int) -> float:
    await asyncio.sleep(0)
    half = number / 2
    return half

@endpoint.register
def count(below: int):
    for number in range(below):
        yield number

endpoint.serve()
with RpcClient("kernel-debug") as client:
    client.call("halve", 3)
    client.call("wait", 3)
    list(client.stream("count", 2))
"""


@pytest.mark.parametrize(
    ("method", "answers", "shown", "result"),
    [
        ("halve", ["p number * 7", "n", "p half", "c"], ["21", "1.5"], "1.5"),
        ("wait", ["p number * 7", "n", "n", "p half", "c"], ["21", "1.5"], "1.5"),
        ("count", ["p below * 7", "c"], ["14"], "[0, 1]"),
        ("halve", ["q"], [], "None"),
    ],
)
def test_the_debugger_stops_at_the_handlers_first_line(kernel, method, answers, shown, result):
    kernel.run(SETUP)
    asked, texts, left = [], [], list(answers)

    def answer(message):
        asked.append(message["content"]["prompt"])
        kernel.client.input(left.pop(0))

    def collect(message):
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])

    reply = kernel.client.execute_interactive(
        f"print('got', endpoint.traffic({method!r})[-1].debug())",
        allow_stdin=True, stdin_hook=answer, output_hook=collect, timeout=120,
    )  # fmt: skip
    assert reply["content"]["status"] == "ok", reply["content"]
    lines = "".join(texts).splitlines()
    assert not left
    assert len(asked) == len(answers)
    assert [line for line in lines if line in shown] == shown
    assert lines[-1] == f"got {result}"
    # The kernel goes on as before.
    assert kernel.run("print(await asyncio.sleep(0, 'fine'))") == "fine\n"
