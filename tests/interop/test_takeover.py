"""Another process takes a name over: the one that served it stops in order, and clients go on."""

import sys

import pytest

from pycrust import AlreadyServed, RpcClient, RpcEndpoint, Unavailable, Unimplemented

SERVES = """
import asyncio
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("arm")
endpoint.register("who")(lambda: "first")

@endpoint.register
async def forever():
    await asyncio.sleep(10**6)

endpoint.listen()
print("ended in order", flush=True)
"""


def test_a_name_is_taken_over(start):
    first = start(sys.executable, "-c", SERVES)
    assert first.line().startswith("serving arm")
    second = RpcEndpoint("arm")
    second.register("who")(lambda: "second")
    with RpcClient("arm") as client:
        assert client.call("who") == "first"
        waiting = client._client.start("forever", [], {}, lambda result, error: outcome.append((result, error)))
        outcome: list = []
        with pytest.raises(AlreadyServed, match=rf"pid {first.pid}.*takeover=True"):
            second.serve()
        assert client.call("who") == "first", "asking costs nobody anything"
        second.serve(takeover=True)
        assert client.call("who") == "second"
        while not outcome:
            client.call("who")
        (result, error) = outcome[0]
        assert (result, type(error), error.may_have_run) == (None, Unavailable, True)
        waiting.cancel()
    assert "ended in order" in first.finish()
    assert second.stop()


def test_a_call_hands_no_name_over():
    endpoint = RpcEndpoint("kept")
    endpoint.register("who")(lambda: "first")
    with endpoint, RpcClient("kept") as client:
        with pytest.raises(Unimplemented, match="hand_over"):
            client.call("pycrust.hand_over")
        assert client.call("who") == "first"
