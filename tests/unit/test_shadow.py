"""Shadows and replays: candidates on calls that were answered, over real traffic of a client."""

from __future__ import annotations

import threading

import pytest

from pycrust import RpcClient
from tests.conftest import wait_until


@pytest.fixture
def serving(endpoint):
    @endpoint.register
    def half(x: float) -> dict[str, float]:
        if x < 0:
            raise ValueError("below zero")
        return {"half": x / 2}

    endpoint.serve()
    with RpcClient(endpoint.name) as client:
        yield endpoint, client


def settled(shadow, calls: int) -> None:
    wait_until(lambda: shadow.calls + shadow.skipped >= calls, "the shadow to catch up")


class TestShadow:
    def test_an_equal_candidate_agrees(self, serving):
        endpoint, client = serving
        threads = []

        def candidate(x: float) -> dict[str, float]:
            threads.append(threading.current_thread().name)
            if x < 0:
                raise ValueError("said otherwise")
            return {"half": 0.5 * x * (1 + 1e-9)}

        shadow = endpoint["half"].shadow(candidate)
        for x in range(20):
            client.call("half", x)
        with pytest.raises(RuntimeError):
            client.call("half", -1)
        with pytest.raises(ValueError, match="invalid arguments"):
            client.call("half", "x")
        settled(shadow, 22)
        assert (shadow.calls, shadow.agreed, shadow.differing, shadow.skipped) == (22, 22, 0, 0)
        assert set(threads) == {"pycrust-shadow-half"}
        assert all(times["max"] > 0 for times in shadow.latencies().values())
        assert repr(shadow).splitlines()[1].split() == ["half", "p50", "p90", "p99", "max"]
        assert [line.split()[0] for line in repr(shadow).splitlines()[2:4]] == ["live", "candidate"]
        shadow.discard()
        assert not shadow.running
        assert endpoint["half"].version == 1

    def test_what_differs_is_shown(self, serving):
        endpoint, client = serving

        def candidate(x: float) -> dict[str, float]:
            if x == 3:
                raise KeyError("three")
            return {"half": x / 2 if x < 2 else 9.0}

        shadow = endpoint["half"].shadow(candidate)
        for x in (1, 2, 3):
            assert client.call("half", x) == {"half": x / 2}
        settled(shadow, 3)
        shadow.discard()
        assert shadow.summary() == "half: 3 calls, 1 agree, 2 differ, 1 of them fail"
        first, second = shadow.mismatches
        assert str(first) == f"call {first.call.seq} ({{'x': 2}}): $.half: 1.0 → 9.0"
        assert str(second).endswith(""": {'half': 1.5} → KeyError: "'three'\"""".replace("\"'three'\"", "'three'"))

    def test_tolerance_is_the_users(self, serving):
        endpoint, client = serving
        wide = endpoint["half"].shadow(lambda x: {"half": x / 2 + 0.01}, atol=0.1)
        narrow = endpoint["half"].shadow(lambda x: {"half": x / 2 + 0.01}, atol=0.001, rtol=0.0)
        client.call("half", 1)
        settled(wide, 1)
        settled(narrow, 1)
        assert (wide.agreed, narrow.agreed) == (1, 0)
        wide.discard()
        narrow.discard()

    def test_promotion(self, serving):
        endpoint, client = serving
        shadow = endpoint["half"].shadow(lambda x: {"half": 7.0})
        client.call("half", 14)
        settled(shadow, 1)
        assert shadow.promote() == f"{endpoint.name}.half: promoted after 1 calls, 0 differ"
        assert client.call("half", 1) == {"half": 7.0}
        assert endpoint["half"].history[-1].reason == "promoted after 1 calls, 0 differ"
        endpoint["half"].rollback()
        assert client.call("half", 1) == {"half": 0.5}

    def test_a_kept_version_as_candidate(self, serving):
        endpoint, client = serving
        endpoint.register("half")(lambda x: {"half": x})
        shadow = endpoint["half"].shadow(1)
        client.call("half", 4)
        settled(shadow, 1)
        assert [str(one.differences[0]) for one in shadow.mismatches] == ["$.half: 4 → 2.0"]
        shadow.discard()

    def test_streams_and_async_handlers(self, endpoint):
        @endpoint.register
        def items(n: int):
            yield from range(n)

        @endpoint.register
        async def later(n: int) -> int:
            return n

        def candidate(n: int):
            yield from range(n)
            yield 99

        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            shadows = [endpoint["items"].shadow(candidate), endpoint["later"].shadow(lambda n: n)]
            assert list(client.stream("items", 2)) == [0, 1]
            client.call("later", 3)
            settled(shadows[0], 1)
            settled(shadows[1], 1)
            for shadow in shadows:
                shadow.discard()
        assert [str(one.differences[0]) for one in shadows[0].mismatches] == ["$: 2 items → 3 items"]
        assert shadows[1].summary() == "later: 1 calls, 1 agree, 0 differ"

    def test_models_are_bound(self, endpoint):
        endpoint.model("gain", load=lambda: [3.0])
        endpoint.register("scale", models=["gain"])(lambda x, gain: x * gain[0])
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            shadow = endpoint["scale"].shadow(lambda x, gain: gain[0] * x)
            client.call("scale", 2)
            settled(shadow, 1)
            shadow.discard()
        assert shadow.agreed == 1

    def test_side_effects_are_refused(self, endpoint):
        endpoint.register("launch", side_effects=True)(lambda: 1)
        endpoint.register("look")(lambda: 1)
        for attempt in (
            lambda: endpoint["launch"].shadow(lambda: 1),
            lambda: endpoint["launch"].replay([]),
            lambda: endpoint["look"].shadow(lambda: 1, side_effects=True),
        ):
            with pytest.raises(ValueError, match="registered with side_effects=True"):
                attempt()
        endpoint.register("private", record=False)(lambda: 1)
        with pytest.raises(ValueError, match="record=False: a shadow runs what was recorded"):
            endpoint["private"].shadow(lambda: 1)
        with pytest.raises(ValueError, match="share is above 0"):
            endpoint["look"].shadow(lambda: 1, share=0)


class TestReplay:
    def test_recorded_calls_run_again(self, serving):
        endpoint, client = serving
        for x in (1, 2, 3):
            client.call("half", x)
        wait_until(lambda: len(endpoint.traffic()) == 3, "the calls to be recorded")
        calls = endpoint.traffic()
        again = endpoint["half"].replay(calls)
        assert again.summary() == "half: 3 calls, 3 agree, 0 differ"
        other = endpoint["half"].replay(calls, lambda x: {"half": x / 2, "new": 1})
        assert [str(one.differences[0]) for one in other.mismatches] == ["$.new: 1 is new"] * 3
        assert endpoint["half"].version == 1
        assert endpoint.traffic()[-1].seq == calls[-1].seq, "a replay is no call"

    def test_one_call_again_with_models_and_never_with_side_effects(self, endpoint):
        endpoint.model("gain", load=lambda: [3.0])
        endpoint.register("scale", models=["gain"])(lambda x, gain: x * gain[0])
        endpoint.register("launch", side_effects=True)(lambda: 1)
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            client.call("scale", 2)
            client.call("launch")
        wait_until(lambda: len(endpoint.traffic()) == 2, "the calls to be recorded")
        scaled, launched = endpoint.traffic()
        assert scaled.replay().same
        assert scaled.replay(lambda x, gain: gain[0] + x).differences == ["$: 6.0 → 5.0"]
        with pytest.raises(ValueError, match="side_effects=True"):
            launched.replay()
        bound = endpoint._service.catalog.bound(endpoint._service.catalog.registered("scale"))
        assert bound.bound([2]) == ((2,), {"gain": [3.0]}), "the debugger gets the models, too"
