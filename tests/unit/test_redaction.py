"""What is redacted or dropped shows nowhere: one table of cases, which the Rust tests run, too."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator  # a handler's annotation
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, field_validator

from pycrust import RpcClient, RpcEndpoint, RpcError
from pycrust._extension import decode, matches
from pycrust.errors import Code
from pycrust.jupyter.view.inspector import Inspector
from pycrust.traffic.redaction import REDACTED, Redaction
from pycrust.traffic.traffic import Traffic
from tests.conftest import ROOT

TABLE = json.loads((ROOT / "native/engine/tests/redaction.json").read_text())
CASES = {case["what"]: case for case in TABLE["cases"]}
SECRET = "hunter2"  # noqa: S105 - of this test


def _registered(endpoint: RpcEndpoint, case: dict[str, Any]) -> None:
    if "handler" not in case:
        return
    names: dict[str, Any] = {"__name__": "__main__"}
    text = "\n".join([*TABLE["prelude"], case["handler"]])
    exec(compile(text, "table", "exec", dont_inherit=True), names)  # noqa: S102 - the table's own
    model = names[case["request_model"]] if "request_model" in case else None
    endpoint.register("f", request_model=model)(names["f"])


@pytest.mark.parametrize(("pattern", "text", "matched"), TABLE["patterns"])
def test_one_matcher(pattern, text, matched):
    assert matches(pattern, text) is matched
    shown = Redaction((pattern,)).apply("f", "result", {text: 1})
    assert shown == {text: REDACTED if matched else 1}


@pytest.mark.parametrize("what", CASES)
def test_the_names_of_the_table_are_the_handlers_own(endpoint, what):
    case = CASES[what]
    _registered(endpoint, case)
    if "handler" in case:
        assert json.loads(endpoint._service.catalog.registered("f").naming) == case["naming"]


@pytest.mark.parametrize("option", ["redact", "drop"])
def test_arguments_lose_fields_in_both_encodings(make_endpoint, option):
    for what, case in CASES.items():
        endpoint = make_endpoint()
        _registered(endpoint, case)
        endpoint.recording(**{option: case["hide"]})
        forms = [(sent, left) for sent, left in case["forms"] if isinstance(sent, (dict, list))]
        with endpoint, RpcClient(endpoint.name) as client:
            for sent, _ in forms:
                # Arguments may not validate, and there may be no such method.
                with contextlib.suppress(RpcError):
                    client.call("f", **sent) if isinstance(sent, dict) else client.call("f", *sent)
            for call, (sent, left) in zip(endpoint.traffic(), forms, strict=True):
                payload = call.source.request if option == "drop" else call.shown.request
                if sent:
                    assert decode(payload) == left, f"{what}: {sent}"
                _shows_nothing(endpoint, call, f"{what}: {sent}")
                assert call.arguments_dropped is (option == "drop" and sent != left), what


def _shown(call: Any) -> str:
    said = [repr(call), call.text, json.dumps(call.as_dict()), *call.cells(), call._repr_html_(), call.output]
    said += [repr(call.error), repr(call.result), repr(call.arguments), repr(call.displayed), repr(call.metadata)]
    try:
        said.append(call.as_test())
    except ValueError as error:
        said.append(str(error))
    return "\n".join(said)


def _shows_nothing(endpoint: RpcEndpoint, call: Any, what: str = "", secret: str = SECRET) -> None:
    assert secret not in _shown(call), what
    said: list[Any] = []
    Inspector(lambda: endpoint).heard(
        "page", {"kind": "call", "to": 1, "call": str(call.seq)}, lambda *one: said.append(one)
    )
    assert said, what
    assert secret not in repr(said), what
    assert call.seq not in {one.seq for one in endpoint.traffic(f'"{secret}"')}, f"{what}: nor can it be asked for"


@pytest.fixture(params=["redact", "drop"])
def hiding(request, make_endpoint) -> Any:
    """Makes endpoints that hide what is called a password, a pin or a token."""

    def make(**options: Any) -> RpcEndpoint:
        endpoint = make_endpoint(**options)
        endpoint.recording(**{request.param: ["password", "pin", "*token"]})
        return endpoint

    return make


class Login(BaseModel):
    user: str
    password: str

    @field_validator("password")
    @classmethod
    def check(cls, value: str) -> str:
        if value.startswith("hunter"):
            raise ValueError(f"{value} ({value[:4]}…) has no sign")
        return value


class Free(BaseModel):
    user: str
    password: str


class Strict(BaseModel):
    pin: int


def _call(endpoint: RpcEndpoint, *arguments: Any, method: str = "f", **keywords: Any) -> Any:
    with endpoint, RpcClient(endpoint.name) as client, contextlib.suppress(RpcError):
        client.call(method, *arguments, **keywords)
    (call,) = endpoint.traffic()
    return call


@pytest.mark.parametrize("traceback", [True, False])
@pytest.mark.parametrize("arguments", [{"user": "ada", "password": SECRET}, ["ada", SECRET]])
def test_errors_output_and_causes(hiding, traceback, arguments):
    endpoint = hiding(traceback=traceback)

    @endpoint.register
    def f(user: str, password: str) -> None:
        print(f"{user} tries {password!r}")
        try:
            Strict(pin=password)
        except ValueError as error:
            error.add_note(f"a note about {password}")
            raise RuntimeError(f"no {password} for {user}") from error

    call = _call(endpoint, **arguments) if isinstance(arguments, dict) else _call(endpoint, *arguments)
    _shows_nothing(endpoint, call)
    assert call.error.message == "no [redacted] for ada"
    assert call.output == "ada tries '[redacted]'\n"
    assert "input_value=[redacted], input_type=str" in call.error.traceback
    assert "a note about [redacted]" in call.error.traceback
    if endpoint.recording.settings["drop"]:
        assert SECRET not in repr(call.source.output)
        assert SECRET.encode() not in call.source.response


@pytest.mark.parametrize("who", [{"user": "ada", "password": SECRET}, ["ada", SECRET]])
def test_refused_arguments(hiding, who):
    endpoint = hiding()

    @endpoint.register
    def f(who: Login) -> None: ...

    call = _call(endpoint, who)
    assert call.code == Code.INVALID_ARGUMENT
    _shows_nothing(endpoint, call)
    _shows_nothing(endpoint, call, secret="hunt…")  # noqa: S106 - a part of it
    (detail,) = call.error.details
    assert (detail["loc"][-1], detail["msg"], detail["type"]) == ("password", REDACTED, "value_error")
    assert call.error.message.startswith("invalid arguments: ")
    assert call.error.message.endswith(".password: [redacted]")


def test_calls_that_were_not_run(hiding):
    endpoint = hiding()
    started, go_on = threading.Event(), threading.Event()

    @endpoint.register
    def f(who: dict[str, Login] | list[str]) -> None:
        started.set()
        go_on.wait(60)

    with endpoint, RpcClient(endpoint.name) as client:
        running = threading.Thread(target=client.call, args=("f", {}))
        running.start()
        assert started.wait(60)
        with pytest.raises(RpcError):
            client.call("g", {"x": ["ada", SECRET]})
        # One whose time is over before it is even sent leaves no record.
        while len(endpoint.traffic("-status:ok")) < 2:
            with pytest.raises(RpcError):
                client.request("f", timeout=0.05).call({"x": ["ada", SECRET]})
            client.call("pycrust.health")
        go_on.set()
        running.join()
        calls = endpoint.traffic("-status:ok")
    assert {call.method for call in calls} == {"f", "g"}
    for call in calls:
        assert not call.ran
        _shows_nothing(endpoint, call)
        if endpoint.recording.settings["drop"]:
            assert SECRET.encode() not in call.source.request


def test_a_lone_argument_of_a_rust_caller(hiding, call):
    endpoint = hiding()
    endpoint.register("set")(lambda password: f"set {password}")
    with endpoint:
        call(endpoint.name, "set", SECRET)
    for recorded in endpoint.traffic():
        assert recorded.arguments == REDACTED
        _shows_nothing(endpoint, recorded)
        assert recorded.result == "set [redacted]"


def test_streamed_arguments_and_results(hiding):
    endpoint = hiding()

    @endpoint.register
    def uploaded(logins: Iterator[Free]) -> list[str]:
        return [login.password for login in logins]

    @endpoint.register
    def streamed(password: str) -> Iterator[dict[str, str]]:
        yield {"api_token": "another one", "again": password, "user": "ada"}

    with endpoint, RpcClient(endpoint.name) as client:
        client.request("uploaded").upload([{"user": "ada", "password": SECRET}, ["ada", SECRET]])
        list(client.stream("streamed", SECRET))
    uploads, stream = endpoint.traffic()
    assert uploads.arguments == [{"user": "ada", "password": REDACTED}, ["ada", REDACTED]]
    assert uploads.result == [REDACTED, REDACTED]
    assert stream.result == [{"api_token": REDACTED, "again": REDACTED, "user": "ada"}]
    for call in (uploads, stream):
        _shows_nothing(endpoint, call)


def test_keys_in_bytes_and_metadata(hiding):
    endpoint = hiding()

    @endpoint.register
    def f(who: dict) -> dict:
        return {b"password": SECRET, "said": f"<{SECRET}>", "pin": 4711, "count": 4711, "user": "ada"}

    with endpoint, RpcClient(endpoint.name) as client:
        client.call("f", {b"password": SECRET, b"pin": 4711}, metadata={"api_token": SECRET, "who": "ada"})
    (call,) = endpoint.traffic()
    _shows_nothing(endpoint, call)
    assert call.arguments == {"who": {b"password": REDACTED, b"pin": REDACTED}}
    assert call.result == {
        b"password": REDACTED, "said": "<[redacted]>", "pin": REDACTED, "count": REDACTED, "user": "ada",
    }  # fmt: skip
    assert call.metadata["request"] == {"api_token": REDACTED, "who": "ada"}


def test_arrays_under_a_hidden_name_have_no_picture(make_endpoint):
    endpoint = make_endpoint()

    @endpoint.register
    def f(face_token: np.ndarray, view: np.ndarray) -> None: ...

    endpoint.recording(redact=["*token"], max_arrays=1 << 20)
    call = _call(endpoint, np.full((16, 16), 7, "uint8"), np.full((16, 16), 9, "uint8"))
    assert call.arguments["face_token"] == REDACTED
    assert call.arguments["view"].tolist() == [[9] * 16] * 16
    sent: list[Any] = []
    Inspector(lambda: endpoint).heard(
        "page", {"kind": "call", "to": 1, "call": str(call.seq)}, lambda *one: sent.append(one)
    )
    ((_, pixels),) = sent
    assert [len(picture) for picture in pixels] == [256]
    assert bytes([7] * 16) not in pixels[0]


def test_saved_files_are_this_users_and_hold_nothing(hiding, tmp_path):
    endpoint = hiding()

    @endpoint.register
    def f(who: list[Login], more: str = "") -> None: ...

    call = _call(endpoint, [["ada", SECRET]])
    path = tmp_path / "calls.jsonl"
    path.write_text("an older one")
    path.chmod(0o644)
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "calls.jsonl.part").symlink_to(tmp_path / "elsewhere")
    assert Traffic.save(endpoint.traffic(), path) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "elsewhere").read_text() == "kept"
    line = json.loads(path.read_text().splitlines()[1])
    texts = [json.dumps(line), *(repr(base64.b64decode(line[name])) for name in ("request", "response"))]
    assert SECRET not in "".join(texts)
    (loaded,) = Traffic.load(path)
    assert SECRET not in _shown(loaded)
    assert loaded.arguments == call.arguments
    assert loaded.arguments_dropped
    assert SECRET not in endpoint.traffic().to_pandas().to_string()


class TestComparing:
    @pytest.fixture
    def session(self, hiding):
        endpoint = hiding()
        given = iter(["one-one", "two-two", "three-three", "four-four"])

        @endpoint.register
        def f(user: str) -> dict[str, str]:
            print("token", token := next(given))
            return {"user": user, "token": token}

        return endpoint

    def test_a_replay(self, session):
        replay = _call(session, "ada").replay()
        dropped = bool(session.recording.settings["drop"])
        assert not replay.same
        assert replay.uncompared is dropped
        assert replay.differences == (
            ["$.token: can't be compared, it is redacted"] if dropped else ["$.token: differs, and is redacted"]
        )
        assert "two-two" not in repr(replay.new.result)
        assert ("an answer that can't be compared" in repr(replay)) is dropped

    def test_a_trial(self, session):
        call = _call(session, "ada")
        trial = session["f"].replay([call])
        assert "two-two" not in str(trial)
        if session.recording.settings["drop"]:
            assert (trial.calls, trial.agreed, trial.uncompared, len(trial.mismatches)) == (0, 0, 1, 0)
            assert trial.summary() == (
                "f: 0 calls, 0 agree, 0 differ; 1 can't be compared ($.token: it is redacted)"
            )
        else:
            assert (trial.calls, trial.agreed, trial.differing, trial.uncompared) == (1, 0, 1, 0)

    def test_what_is_not_redacted_is_compared(self, session):
        call = _call(session, "ada")
        trial = session["f"].replay([call], lambda user: {"user": "bob", "token": "two-two"})
        assert (trial.calls, trial.differing) == (1, 1)
        assert "$.user: 'ada' → 'bob'" in str(trial)
        assert "two-two" not in str(trial)

    def test_calls_whose_arguments_were_dropped_are_not_made_again(self, make_endpoint):
        endpoint = make_endpoint()
        endpoint.recording(drop=["password"])
        endpoint.register("f")(lambda password: f"{len(password)} characters")
        call = _call(endpoint, SECRET)
        with pytest.raises(
            LookupError, match=r"fields of the arguments of call 1 are not there \(arguments.password\)"
        ):
            call.replay()
        trial = endpoint["f"].replay([call])
        assert (trial.calls, trial.skipped, trial.uncompared) == (0, 0, 1)
        assert "1 can't be compared (arguments.password: it is redacted)" in trial.summary()

    def test_a_replay_that_fails_repeats_nothing(self, make_endpoint):
        endpoint = make_endpoint()
        endpoint.recording(redact=["password"])
        endpoint.register("f")(lambda password: f"{len(password)} characters")
        call = _call(endpoint, SECRET)

        def candidate(password: str) -> int:
            print(password)
            raise ValueError(f"no {password}")

        replay = call.replay(candidate)
        assert SECRET not in repr(replay)
        assert SECRET not in repr(replay.new.error) + replay.new.output + replay.new.error.traceback
        assert replay.new.error.message == "no [redacted]"
        trial = endpoint["f"].replay([call], candidate)
        assert SECRET not in str(trial)


def test_of_a_request_that_was_cut_no_text_is_shown(make_endpoint):
    endpoint = make_endpoint()
    endpoint.recording(redact=["password"], max_payload=1_000)

    @endpoint.register
    def f(filling: str, password: str) -> None:
        raise ValueError(f"no {password}")

    call = _call(endpoint, "x" * 2_000, SECRET)
    _shows_nothing(endpoint, call)
    assert call.error.message == REDACTED
