"""Answers with hidden fields beside new ones: the true values count, and of what is not there nobody can tell."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, field_validator

from pycrust import RpcClient, RpcEndpoint, RpcError, current_call
from pycrust.errors import Code
from pycrust.jupyter.view import replays
from pycrust.traffic.redaction import REDACTED, Redaction
from pycrust.traffic.traffic import Traffic
from pycrust.trials.compare import Pair, compare
from tests.conftest import wait_until

OLD, NEW = "the old secret", "the new secret"
HIDE = ["token", "pin", "password"]

#: How fields are hidden: whether the true answers are still there.
WAYS = {"redact": True, "hook": True, "drop": False, "redacted file": False, "hooked file": False}


def old(user: str) -> dict[str, Any]:
    return {"user": user, "token": OLD, "more": [{"pin": 4711}, {"pin": 4712}]}


def equal(user: str) -> dict[str, Any]:
    return old(user)


def hidden(user: str) -> dict[str, Any]:
    return {**old(user), "token": NEW}


def nested(user: str) -> dict[str, Any]:
    return {**old(user), "more": [{"pin": 4711}, {"pin": 9999}]}


def literal(user: str) -> dict[str, Any]:
    return {**old(user), "token": REDACTED, "more": [{"pin": REDACTED}] * 2}


def visible(user: str) -> dict[str, Any]:
    return {**old(user), "user": user.upper()}


def everything(user: str) -> dict[str, Any]:
    return {**old(user), "user": user.upper(), "token": NEW}


#: Candidates: whether they differ where the true answers are there, whether anything differs that is shown, and
#: what is said of what is hidden.
CANDIDATES = {
    equal: (False, False, []),
    hidden: (True, False, ["$.token: differs, and is redacted"]),
    nested: (True, False, ["$.more[1].pin: differs, and is redacted"]),
    literal: (
        True,
        False,
        [f"$.{one}: differs, and is redacted" for one in ("token", "more[0].pin", "more[1].pin")],
    ),
    visible: (True, True, []),
    everything: (True, True, ["$.token: differs, and is redacted"]),
}
GONE = ["$.token: can't be compared, it is redacted", "$.more[…].pin: can't be compared, it is redacted"]
HOOKED = ["$: can't be compared, a hook has hidden some of it"]


def hook(_method: str, part: str, value: Any) -> Any:
    """Hides what `HIDE` names in a way of its own, in the value that it is given."""
    if isinstance(value, dict):
        for name in value:
            value[name] = "***" if name in HIDE else hook(_method, part, value[name])
    return [hook(_method, part, one) for one in value] if isinstance(value, list) else value


def hide(endpoint: RpcEndpoint, way: str) -> None:
    if way.startswith("hook"):
        endpoint.recording(redact_hook=hook)
    else:
        endpoint.recording(**{"drop" if way == "drop" else "redact": HIDE})


def recorded(endpoint: RpcEndpoint, way: str, path: Any) -> Traffic:
    wait_until(endpoint.traffic, "the calls to be recorded")
    if not way.endswith("file"):
        return endpoint.traffic()
    endpoint.traffic().save(path / "calls.jsonl")
    return Traffic.load(path / "calls.jsonl")


def untold(way: str) -> list[str]:
    return HOOKED if way == "hooked file" else GONE


def counted(trial: Any) -> tuple[int, int, int, int]:
    return trial.calls, trial.agreed, trial.differing, trial.uncompared


def settled(shadow: Any, calls: int) -> None:
    wait_until(lambda: shadow.calls + shadow.skipped + shadow.uncompared >= calls, "the shadow to catch up")
    shadow.discard()


def expected(way: str, candidate: Any) -> tuple[tuple[int, int, int, int], list[str]]:
    """What comes of one call: the counts and what is said of the places."""
    differs, shows, said = CANDIDATES[candidate]
    shown = ["$.user: 'ada' → 'ADA'"] if shows else []
    if WAYS[way]:
        return (1, int(not differs), int(differs), 0), [*shown, *said]
    if way == "hooked file" or not shows:
        return (0, 0, 0, 1), untold(way)
    return (1, 0, 1, 0), [*shown, *untold(way)]


def check(trial: Any, way: str, candidate: Any) -> None:
    counts, said = expected(way, candidate)
    assert counted(trial) == counts, str(trial)
    kept = trial.untold if counts[3] else trial.mismatches
    assert [str(one) for mismatch in kept for one in mismatch.differences] == said
    assert all(mismatch.uncompared is bool(counts[3]) for mismatch in kept)
    summary = f"f: {counts[0]} calls, {counts[1]} agree, {counts[2]} differ"
    why = "; ".join(one.replace("can't be compared, ", "") for one in untold(way))
    assert trial.summary() == summary + (f"; 1 can't be compared ({why})" if counts[3] else "")
    assert all(str(one) in repr(trial) for one in kept)
    shows_nothing(repr(trial) + repr(list(trial.mismatches)) + repr(list(trial.untold)))


def shows_nothing(text: str) -> None:
    for secret in (OLD, NEW, "4711", "4712", "9999"):
        assert secret not in text


@pytest.fixture(params=["map", "array"])
def call(request, endpoint, way):
    """Makes a call of an endpoint that hides fields, in each encoding of the arguments."""
    hide(endpoint, way)
    endpoint.register("f")(old)
    endpoint.serve()

    def make() -> None:
        with RpcClient(endpoint.name) as client:
            client.call("f", user="ada") if request.param == "map" else client.call("f", "ada")

    return make


by_name = pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda one: one.__name__)


@by_name
@pytest.mark.parametrize("way", [way for way in WAYS if not way.endswith("file")])
def test_a_shadow(endpoint, call, way, candidate):
    shadow = endpoint["f"].shadow(candidate)
    call()
    settled(shadow, 1)
    check(shadow, way, candidate)


@by_name
@pytest.mark.parametrize("way", WAYS)
def test_a_replay_of_many(endpoint, call, way, candidate, tmp_path):
    call()
    check(endpoint["f"].replay(recorded(endpoint, way, tmp_path), candidate), way, candidate)


@by_name
@pytest.mark.parametrize("way", WAYS)
def test_a_replay_of_one(endpoint, call, way, candidate, tmp_path):
    call()
    (one,) = recorded(endpoint, way, tmp_path)
    replay = one.replay(candidate)
    counts, said = expected(way, candidate)
    assert replay.differences == said
    assert (replay.same, replay.uncompared) == (bool(counts[1]), bool(counts[3]))
    verdict = ["another answer", "an answer that can't be compared"][counts[3]] if said else "the same answer"
    assert repr(replay).startswith(f"<replay of call 1, f: {verdict}>\n")
    assert repr(replay).endswith("".join(f"\n  {'?' if counts[3] else '≠'} {line}" for line in said))
    shows_nothing(repr(replay))


def test_what_is_not_there_hides_no_difference_behind_it(make_endpoint):
    """However many places can't be compared, the others are."""
    endpoint = make_endpoint()
    endpoint.recording(drop=HIDE)
    endpoint.register("f")(lambda: [*({"pin": number} for number in range(50)), 1])
    call = called(endpoint)
    trial = endpoint["f"].replay([call], lambda: [*({"pin": number} for number in range(50)), 2])
    assert counted(trial) == (1, 0, 1, 0)
    assert [str(one) for one in trial.mismatches[0].differences] == [
        "$[50]: 1 → 2",
        "$[…].pin: can't be compared, it is redacted",
    ]


def called(endpoint: RpcEndpoint, *arguments: Any, **options: Any) -> Any:
    """The record of one call of `f`."""
    with endpoint, RpcClient(endpoint.name) as client, contextlib.suppress(RpcError):
        client.call("f", *arguments, **options)
    return endpoint.traffic()[-1]


class TestPlaces:
    def test_names_below_a_hidden_field_are_hidden(self, endpoint):
        endpoint.recording(redact=HIDE)
        endpoint.register("f")(lambda: {"token": {"inner": {"key-one": 1}}})
        call = called(endpoint)
        for candidate in (lambda: {"token": {"inner": {"key-two": 1}}}, lambda: {"token": 3}):
            replay = call.replay(candidate)
            assert replay.differences == ["$.token: differs, and is redacted"]

    def test_new_and_missing_fields_are_named_and_not_shown(self, endpoint):
        endpoint.recording(redact=HIDE)
        endpoint.register("f")(lambda: {"token": OLD})
        replay = called(endpoint).replay(lambda: {"pin": NEW})
        assert replay.differences == ["$.token: '[redacted]' is missing", "$.pin: '[redacted]' is new"]

    def test_a_text_is_shown_as_far_as_it_may_be(self, endpoint):
        endpoint.recording(redact=HIDE)
        endpoint.register("f")(lambda password: f"<{password}>")
        call = called(endpoint, OLD)
        assert call.replay(lambda password: f"({password})").differences == ["$: '<[redacted]>' → '([redacted])'"]
        assert call.replay(lambda password: "<[redacted]>").differences == ["$: differs, and is redacted"]
        assert call.replay().same

    def test_numbers_and_bytes_that_repeat_what_is_hidden(self, endpoint):
        endpoint.recording(redact=HIDE)
        endpoint.register("f")(lambda pin, password: [12, b"none"])
        call = called(endpoint, 4711, OLD)
        replay = call.replay(lambda pin, password: [pin, password.encode()])
        assert replay.differences == ["$[0]: differs, and is redacted", "$[1]: differs, and is redacted"]
        assert replay.new.result == [REDACTED, REDACTED]
        assert "4711" not in str(endpoint["f"].replay([call], lambda pin, password: [pin, 1]))

    def test_a_part_that_is_gone_is_a_part_of_a_text(self):
        assert compare("<[redacted]>", "<x>") != [], "where nothing was dropped, it is a text like others"
        for found in ("<x>", b"<x>"):
            (one,) = compare("<[redacted]>", found, dropped=True)
            assert not one.certain
        assert compare("<[redacted]>", 3, dropped=True)[0].certain
        assert not compare("[redacted]", 3, dropped=True)[0].certain

    def test_hooks_may_show_anything(self):
        expected, found = {"a": 1, "b": float("nan")}, {"a": 2, "b": float("nan")}
        for seen in (Pair("no", "no"), Pair([1], {}), Pair(None, None), Pair({"a": 1, "b": 1}, {"a": 1, "b": 1})):
            (one,) = compare(expected, found, seen=seen)
            assert one.certain
            assert "2" not in str(one)
        assert compare(expected, expected, seen=Pair("no", "yes")) == []
        assert compare(expected, {"a": 1, "b": float("nan")}, seen=Pair("no", "yes")) == []


class Login(BaseModel):
    password: str

    @field_validator("password")
    @classmethod
    def check(cls, value: str) -> str:
        raise ValueError(f"{value[:7]}… has no sign")


def login(who: Login) -> int:
    return len(who.password)


class TestErrors:
    def test_true_messages_are_compared(self, endpoint):
        endpoint.recording(redact=HIDE)

        @endpoint.register
        def f(password: str) -> None:
            raise ValueError(f"no {password}")

        def differently(password: str) -> None:
            raise ValueError("no [redacted]")

        def with_a_sign(password: str) -> None:
            raise ValueError(f"no {password}!")

        call = called(endpoint, OLD)
        assert call.replay().same
        assert call.replay(differently).differences == ["the answers differ in what is redacted"]
        assert call.replay(with_a_sign).differences == ["UNKNOWN: no [redacted] → UNKNOWN: no [redacted]!"]

    @pytest.mark.parametrize("way", WAYS)
    def test_types_that_are_hidden(self, endpoint, tmp_path, way):
        if way.startswith("hook"):
            endpoint.recording(
                redact_hook=lambda _method, part, value: {**value, "type": "***"} if part == "error" else value
            )
        else:
            endpoint.recording(**{"drop" if way == "drop" else "redact": ["type"]})

        @endpoint.register
        def f(x: int) -> None:
            raise KeyError(x)

        def otherwise(x: int) -> None:
            raise LookupError(f"{x}")

        called(endpoint, 3)
        calls = recorded(endpoint, way, tmp_path)
        same, other = (endpoint["f"].replay(calls, candidate) for candidate in (None, otherwise))
        if WAYS[way]:
            assert (counted(same), counted(other)) == ((1, 1, 0, 0), (1, 0, 1, 0))
        else:
            why = "$: a hook has hidden some of it" if way == "hooked file" else "error.type: it is redacted"
            assert (counted(same), counted(other)) == ((0, 0, 0, 1), (0, 0, 0, 1))
            assert f"1 can't be compared ({why})" in same.summary()
        assert "LookupError" not in str(other)

    def test_a_message_of_which_a_part_is_gone(self, endpoint):
        endpoint.recording(drop=HIDE)

        @endpoint.register
        def f() -> None:
            raise ValueError(f"no {current_call().metadata['token']}")

        endpoint.serve()
        with RpcClient(endpoint.name) as client, contextlib.suppress(RpcError):
            client.call("f", metadata={"token": OLD})
        (call,) = endpoint.traffic()

        def candidate() -> None:
            raise ValueError("no way")

        replay = call.replay(candidate)
        assert replay.uncompared
        assert replay.differences == ["error.message: can't be compared, it is redacted"]

    def test_what_validation_says_of_a_hidden_field(self, endpoint):
        endpoint.register("f")(lambda who: 1)
        endpoint.recording(redact=HIDE)
        replay = called(endpoint, {"password": OLD}).replay(login)
        assert replay.new.error.code is Code.INVALID_ARGUMENT
        assert OLD[:7] not in repr(replay) + repr(replay.new.error)
        (detail,) = replay.new.error.details
        assert (detail["loc"], detail["msg"]) == (["who", "password"], REDACTED)
        assert replay.new.error.message == "invalid arguments: who.password: [redacted]"

    def test_a_hook_is_asked_about_new_errors_as_well(self, endpoint):
        endpoint.recording(
            redact_hook=lambda _method, part, value: {**value, "message": "…"} if part == "error" else value
        )
        endpoint.register("f")(lambda x: x)

        def candidate(x: int) -> None:
            raise ValueError(f"{x} of {OLD}")

        replay = called(endpoint, 3).replay(candidate)
        assert (replay.new.error.message, replay.new.error.type) == ("…", "ValueError")


class TestMetadata:
    def whose(self) -> bool:
        return current_call().metadata.get("token") == OLD

    @pytest.mark.parametrize(("way", "there"), [("redact", True), ("drop", False), ("redacted file", False)])
    def test_what_a_handler_looked_at_and_is_gone(self, endpoint, tmp_path, way, there):
        hide(endpoint, way)
        endpoint.register("f")(self.whose)
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            assert client.call("f", metadata={"token": OLD})
        (call,) = recorded(endpoint, way, tmp_path)
        trial, replay = endpoint["f"].replay([call]), call.replay()
        if there:
            assert (counted(trial), replay.same) == ((1, 1, 0, 0), True)
        else:
            assert (counted(trial), replay.uncompared) == ((0, 0, 0, 1), True)
            assert replay.differences == ["metadata.token: can't be compared, it is redacted"]
        unaware = endpoint["f"].replay([call], lambda: False)
        assert counted(unaware) == (1, 0, 1, 0), "it has not looked, so that the difference is its own"


class TestArrays:
    @pytest.mark.parametrize("way", ["redact", "redacted file"])
    def test_elements_that_were_not_recorded(self, endpoint, tmp_path, way):
        hide(endpoint, way)
        endpoint.register("f")(lambda: {"mask": np.zeros(3), "label": "cat"})
        called(endpoint)
        calls = recorded(endpoint, way, tmp_path)

        def trial(candidate: Any) -> Any:
            return endpoint["f"].replay(calls, candidate)

        same = trial(lambda: {"mask": np.ones(3), "label": "cat"})
        assert counted(same) == (0, 0, 0, 1)
        assert "1 can't be compared ($.mask: its elements were not recorded)" in same.summary()
        assert counted(trial(lambda: {"mask": np.zeros(3), "label": "dog"})) == (1, 0, 1, 0)
        assert counted(trial(lambda: {"mask": np.zeros(4), "label": "cat"})) == (1, 0, 1, 0)
        assert calls[0].replay().uncompared

    @pytest.mark.parametrize("way", ["redact", "redacted file"])
    def test_arguments_that_were_not_recorded(self, endpoint, tmp_path, way):
        hide(endpoint, way)
        endpoint.recording(max_arrays=1 << 20 if way == "redacted file" else 0)
        endpoint.register("f")(lambda image, token: image.sum())
        called(endpoint, np.ones(3), OLD)
        (call,) = recorded(endpoint, way, tmp_path)
        trial = endpoint["f"].replay([call])
        assert (counted(trial), trial.failed, trial.skipped) == ((0, 0, 0, 1), 0, 0)
        assert "arguments" in trial.summary()


class TestFiles:
    def test_a_file_of_an_endpoint_that_hides_is_compared_by_what_it_hides_now(self, endpoint, tmp_path):
        endpoint.register("f")(old)
        called(endpoint, "ada")
        endpoint.traffic().save(tmp_path / "calls.jsonl")
        (call,) = Traffic.load(tmp_path / "calls.jsonl")
        endpoint.recording(redact=HIDE)
        replay = call.replay(hidden)
        assert replay.differences == ["$.token: differs, and is redacted"]
        assert NEW not in repr(replay)
        trial = endpoint["f"].replay([call], hidden)
        assert NEW not in repr(trial)
        assert counted(trial) == (1, 0, 1, 0)

    def test_a_hook_s_say_survives_files(self, endpoint, tmp_path):
        hide(endpoint, "hook")
        endpoint.register("f")(old)
        called(endpoint, "ada")
        paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
        endpoint.traffic().save(paths[0])
        Traffic.load(paths[0]).save(paths[1])
        (call,) = Traffic.load(paths[1])
        assert (call.hooked, call.answer_dropped, call.arguments_dropped) == (True, True, False)
        assert call.replay().differences == HOOKED

    def test_arguments_that_a_hook_has_hidden(self, endpoint, tmp_path):
        hide(endpoint, "hook")
        endpoint.register("f")(lambda token: "x")
        called(endpoint, OLD)
        (call,) = recorded(endpoint, "hooked file", tmp_path)
        with pytest.raises(LookupError, match=r"are not there \(arguments\)"):
            call.replay()
        assert "(arguments: a hook has hidden some of it)" in endpoint["f"].replay([call]).summary()

    @pytest.mark.parametrize("shown", ["no", {"token": 3, "who": "ada"}, [1]])
    def test_metadata_that_is_none_any_more(self, endpoint, tmp_path, shown):
        endpoint.recording(redact_hook=lambda _method, part, value: shown if part == "metadata" else value)
        endpoint.register("f")(lambda: current_call().metadata.get("token"))
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            client.call("f", metadata={"token": OLD, "who": "ada"})
        (call,) = recorded(endpoint, "hooked file", tmp_path)
        assert call.replay().differences == HOOKED
        assert counted(endpoint["f"].replay([call])) == (0, 0, 0, 1)

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777])
    def test_saved_files_are_this_users_whatever_the_umask(self, endpoint, tmp_path, umask):
        endpoint.register("f")(old)
        called(endpoint, "ada")
        new, older = tmp_path / "new.jsonl", tmp_path / "older.jsonl"
        older.touch()
        older.chmod(0o666)
        before = os.umask(umask)
        try:
            for path in (new, older):
                endpoint.traffic().save(path)
        finally:
            os.umask(before)
        assert [path.stat().st_mode & 0o777 for path in (new, older)] == [0o600, 0o600]
        assert len(Traffic.load(new)) == len(Traffic.load(older)) == 1


def test_an_answer_that_was_cut(endpoint):
    endpoint.recording(max_payload=100)
    endpoint.register("f")(lambda: "x" * 1_000)
    call = called(endpoint)
    replay = call.replay()
    assert replay.uncompared
    assert replay.differences == ["$: can't be compared, it was not kept whole"]
    assert endpoint["f"].replay([call]).skipped == 1


def test_promotion_says_what_could_not_be_compared(endpoint):
    endpoint.recording(drop=HIDE)
    endpoint.register("f")(old)
    endpoint.serve()
    shadow = endpoint["f"].shadow(equal)
    with RpcClient(endpoint.name) as client:
        client.call("f", "ada")
    wait_until(lambda: shadow.uncompared, "the shadow")
    assert shadow.promote() == (f"{endpoint.name}.f: promoted after 0 calls, 0 differ, 1 can't be compared")


def test_reasons_are_summed_up():
    endpoint = RpcEndpoint("comparing-reasons")
    endpoint.register("f")(lambda: None)
    trial = endpoint["f"].replay([])
    for number in range(200):
        (one,) = compare({f"f{number}": REDACTED}, {f"f{number}": 1}, dropped=True)
        trial._leave(type("Untold", (), {"differences": (one,)}))
    assert trial.summary().endswith(
        "; 200 can't be compared ($.f0: it is redacted; $.f1: it is redacted; $.f2: it is redacted; "
        "and 97 more places)"
    )


def test_the_view_says_so(endpoint):
    endpoint.recording(redact=HIDE)
    endpoint.register("f")(hidden)
    endpoint.register("f")(old)
    call = called(endpoint, "ada")
    told = replays.replayed(endpoint, call, "function", hidden)
    assert told["said"].startswith("Another answer from hidden, in ")
    assert told["diff"][-1] == ["+", "$.token: differs, and is redacted"]
    told = replays.replayed(endpoint, call, "1")
    assert told["said"].startswith("Another answer from v1, in ")
    assert told["diff"] == [[" ", "$.token: differs, and is redacted"]]
    endpoint.recording(redact=[], drop=HIDE)
    call = called(endpoint, "ada")
    told = replays.replayed(endpoint, call, "function", hidden)
    assert told["said"].startswith("An answer that can't be compared from hidden, in ")
    assert told["diff"][-2:] == [[" ", one] for one in GONE]
    told = replays.replayed(endpoint, call, "1")
    assert told["diff"] == [[" ", one] for one in GONE]


def test_a_redaction_leaves_what_it_is_given():
    value = {"token": OLD, "list": [{"token": OLD}]}
    assert Redaction(hook=hook).apply("f", "result", value) == {"token": "***", "list": [{"token": "***"}]}
    assert value == {"token": OLD, "list": [{"token": OLD}]}
