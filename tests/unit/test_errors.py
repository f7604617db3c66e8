"""Every code has one class, every class carries its code, and what a caller is told of an exception."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError, field_validator

import pycrust
from pycrust import errors
from pycrust._extension import decode, encode
from pycrust.errors import BY_CODE, Code, RpcError, describe, describe_arguments, describe_result

ROOT = Path(__file__).resolve().parents[2]

BUILT_IN = {
    Code.INVALID_ARGUMENT: ValueError,
    Code.DEADLINE_EXCEEDED: TimeoutError,
    Code.NOT_FOUND: LookupError,
    Code.PERMISSION_DENIED: PermissionError,
    Code.OUT_OF_RANGE: IndexError,
    Code.UNIMPLEMENTED: NotImplementedError,
    Code.UNAVAILABLE: ConnectionError,
    Code.UNAUTHENTICATED: PermissionError,
}


def test_the_codes_are_the_rust_ones():
    text = (ROOT / "native/protocol/src/code.rs").read_text()
    listed = {
        name: int(number) for number, name in re.findall(r'^    \w+ = (\d+), "([A-Z_]+)";', text, re.MULTILINE)
    }
    assert len(listed) == 17
    assert {code.name: int(code) for code in Code} == listed


def test_every_error_code_has_exactly_one_class():
    assert set(BY_CODE) == set(Code) - {Code.OK}
    assert len(set(BY_CODE.values())) == len(BY_CODE)
    direct = set(errors._CodedError.__subclasses__())
    assert direct == set(BY_CODE.values())


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_class_carries_its_code(code):
    raised = RpcError.of(code, "why", {"more": 1})
    assert type(raised) is BY_CODE[code]
    assert (raised.code, raised.message, raised.details, str(raised)) == (code, "why", {"more": 1}, "why")
    assert isinstance(raised, BUILT_IN.get(code, Exception))
    assert type(raised).__name__ in pycrust.__all__
    assert describe(raised)[0] == code
    again = pickle.loads(pickle.dumps(raised))  # noqa: S301 - of this test's own making
    assert (type(again), again.message, again.details) == (type(raised), "why", {"more": 1})
    with pytest.raises(RpcError) as caught:
        raise raised
    assert caught.value is raised


@pytest.mark.parametrize("code", [0, 17, -1])
def test_no_error_without_an_error_code(code):
    with pytest.raises(ValueError, match="code|Code"):
        RpcError(code, "x")


def test_an_rpc_error_arrives_as_sent():
    code, payload = describe(RpcError(Code.NOT_FOUND, "no arm", {"arm": 3}))
    assert code == 5
    assert payload == {"message": "no arm", "type": "pycrust.errors.NotFound", "details": {"arm": 3}}


def test_details_that_cannot_cross_are_said_so():
    code, payload = describe(RpcError(Code.ABORTED, "no", {"what": object()}))
    assert (code, payload.keys()) == (10, {"message", "type"})
    assert "$['what']: object has no MessagePack form" in payload["message"]


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


@pytest.mark.parametrize(
    "exc", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3), Broken(), ValueError("\ud800")]
)
def test_whatever_a_handler_raises_is_an_answer(exc):
    code, payload = describe(exc)
    assert code == 2
    assert decode(encode(payload))["type"].endswith(type(exc).__name__)


def test_a_validation_error_of_the_handlers_own_is_its_own_exception():
    class Inner(BaseModel):
        x: int

    with pytest.raises(ValidationError) as caught:
        Inner(x="no")
    assert describe(caught.value)[0] == 2
    assert describe_arguments(caught.value)[0] == 3
    assert describe_result(caught.value)[0] == 13


def test_the_traceback_begins_at_the_handlers_frame(endpoint):
    @endpoint.register
    def outer() -> None:
        inner()

    def inner() -> None:
        raise ValueError("deep")

    with pytest.raises(ValueError, match="deep") as caught:
        endpoint._dispatch("outer")
    first = caught.value
    while first.__traceback__ and first.__traceback__.tb_frame.f_code.co_filename == __file__:
        first.__traceback__ = first.__traceback__.tb_next
    text = describe(first)[1]["traceback"]
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("  File")] == ["outer", "inner"]
    assert text.endswith("ValueError: deep\n")
    assert str(Path(pycrust.__file__).parent) not in text


def test_no_traceback_where_it_is_not_allowed():
    try:
        raise ValueError("x")
    except ValueError as error:
        assert "traceback" not in describe(error, traceback=False)[1]
        assert "traceback" in describe(error)[1]


def test_long_texts_are_cut():
    _, payload = describe(ValueError("x" * 1_000_000))
    assert len(encode(payload)) < 100_000


class Args(BaseModel):
    a: int
    b: list[int] = []

    @field_validator("a")
    @classmethod
    def check(cls, value: int) -> int:
        if value == 13:
            raise RpcError(Code.FAILED_PRECONDITION, "not today")
        if value == 14:
            raise RuntimeError("a fault of the validator's")
        return value


def _arguments_error(**values) -> Exception:
    try:
        Args(**values)
    except Exception as error:
        return error
    raise AssertionError("it validated")


def test_arguments_that_do_not_validate_are_listed():
    code, payload = describe_arguments(_arguments_error(a="x", b=[1, "y"]))
    assert code == 3
    assert [(error["loc"], error["type"]) for error in payload["details"]] == [
        (["a"], "int_parsing"),
        (["b", 1], "int_parsing"),
    ]
    assert payload["message"].startswith("invalid arguments: a: Input should be")
    assert decode(encode(payload)) == payload
    assert "x" not in {str(error.get("input")) for error in payload["details"]}


def test_what_a_validator_raises_keeps_its_meaning():
    assert describe_arguments(_arguments_error(a=13))[0] == 9
    assert describe_arguments(_arguments_error(a=14))[0] == 2


def test_arguments_that_cannot_be_bound():
    code, payload = describe_arguments(TypeError("this handler takes no arguments"))
    assert (code, payload["details"][0]["loc"]) == (3, [])


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (TypeError("object has no form"), "object has no form"),
        (ValueError("too deep"), "too deep"),
        (RuntimeError("serializer"), "RuntimeError: serializer"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_a_result_that_cannot_be_sent_is_internal(exc, said):
    code, payload = describe_result(exc)
    assert code == 13
    assert payload["message"] == f"the handler's result can't be sent: {said}"


def test_who_serves_a_name_is_said():
    raised = errors.AlreadyServed.by("calculator", 4711, "arm.ipynb")
    assert (raised.code, raised.details) == (6, {"endpoint": "calculator", "pid": 4711, "notebook": "arm.ipynb"})
    assert isinstance(raised, RuntimeError)
    assert "arm.ipynb (pid 4711)" in str(raised)


def test_a_schema_mismatch_is_known_by_its_type_and_its_code():
    of_the_worker = "pycrust.errors.SchemaMismatch"
    details = {"method": "add", "pinned": 1, "live": 2, "version": 3, "changes": []}
    found = errors.received(9, "no", details, of_the_worker, None, False)
    assert (type(found), found.code, found.details, found.type) == (
        errors.SchemaMismatch,
        9,
        details,
        of_the_worker,
    )
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - of this test's own making
    assert (type(again), again.details) == (errors.SchemaMismatch, details)
    # What a handler lets pass that had it from another endpoint is still that.
    assert describe(found)[1]["type"] == of_the_worker
    for code, exception in ((9, None), (9, "other.SchemaMismatch"), (2, of_the_worker)):
        assert type(errors.received(code, "no", None, exception, None, False)) is BY_CODE[code]
    text = (ROOT / "native/engine/src/refusals.rs").read_text()
    assert f'"{errors.qualified_name(errors.SchemaMismatch)}"' in text


def test_an_unknown_method_is_a_key_error_with_a_plain_message(endpoint):
    with pytest.raises(KeyError) as caught:
        endpoint["nothing"]
    assert str(caught.value) == f"{endpoint.name!r} has no method 'nothing': it has no methods"
    assert caught.value.code is Code.UNIMPLEMENTED
