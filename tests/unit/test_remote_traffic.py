"""Answers to `pycrust.traffic` as another process reads them: what is none is refused with its place."""

from __future__ import annotations

import pytest

from pycrust import RpcClient, RpcEndpoint
from pycrust.traffic.remote import Page, RemoteTraffic, TrafficAnswerError


def answered() -> dict:
    """A worker's own answer about one call."""
    endpoint = RpcEndpoint("remote-traffic", fresh=True)
    endpoint.register("echo")(lambda value: value)
    endpoint.recording.clear()
    with endpoint, RpcClient("remote-traffic") as client:
        client.call("echo", "text")
        return client.call("pycrust.traffic")


def changed(**fields: object) -> dict:
    page = answered()
    page["calls"][0] |= fields
    return page


def test_what_a_worker_tells():
    page = Page.read(answered())
    assert (page.recording, page.hooked, [call.method for call in page.calls]) == (True, False, ["echo"])


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"status": 17}, "calls.0.status"),
        ({"seq": -1}, "calls.0.seq"),
        ({"ended_unix_ns": 1 << 68}, "calls.0.ended_unix_ns"),
        ({"method": b"\xff"}, "calls.0.method"),
        ({"method": "x" * 1025}, "calls.0.method"),
        ({"request": "not base64!"}, "calls.0.request"),
        ({"stages": {"queue": "long"}}, "calls.0.stages.queue"),
        ({"output": [["screen", "x"]]}, "calls.0.output.0.0"),
        ({"items_kept": 1 << 40}, "calls.0.items_kept"),
    ],
)
def test_a_call_that_is_none(fields, place):
    with pytest.raises(TrafficAnswerError) as caught:
        Page.read(changed(**fields))
    assert f"the worker's answer to pycrust.traffic: {place}: " in str(caught.value)


@pytest.mark.parametrize("answer", [None, [], "page", {}, {"calls": []}])
def test_a_page_that_is_none(answer):
    with pytest.raises(TrafficAnswerError):
        Page.read(answer)


def test_a_worker_that_began_anew_is_read_from_its_beginning():
    endpoint = RpcEndpoint("remote-traffic", fresh=True)
    endpoint.register("echo")(lambda value: value)
    with endpoint, RpcClient("remote-traffic") as client:
        client.call("echo", 1)

        def ask(after: int, most: int) -> object:
            return client.call("pycrust.traffic", after, most)

        last = ask(0, 0)["last"]
        traffic = RemoteTraffic("remote-traffic", ask, after=last + 1000)
        assert traffic.page() == []
        assert traffic.after == 0
        assert [call.seq for call in traffic.held()][-1] == last
