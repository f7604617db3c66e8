"""Bad input gives a clear error in Rust and loses nothing: the worker goes on answering."""

import json

import pytest

SERVE = """
from pydantic import BaseModel
from pycrust import RpcEndpoint, RpcError, Code

endpoint = RpcEndpoint("errors")

class Order(BaseModel):
    symbol: str
    lots: int

@endpoint.register(request_model=Order)
def place(symbol: str, lots: int) -> str:
    return f"{lots} of {symbol}"

@endpoint.register
def total(numbers: list[int]) -> int:
    return sum(numbers)

@endpoint.register
def book(order: Order, dry: bool = False) -> str:
    return f"{order.lots} of {order.symbol}"

@endpoint.register(request_model=Order)
def check(order: Order) -> str:
    return f"{order.lots} of {order.symbol}"

@endpoint.register
def check_inside() -> None:
    Order.model_validate({"symbol": "A"})

@endpoint.register
def divide(a: float, b: float) -> float:
    return a / b

@endpoint.register
def refuse() -> None:
    raise RpcError(Code.PERMISSION_DENIED, "the market is closed", details={"opens": "09:30"})

@endpoint.register
def leak():
    return {"order": [1, object()]}

@endpoint.register
def leave() -> None:
    raise SystemExit(3)

@endpoint.register
def promise() -> int:
    return "many"

endpoint.serve()
"""


@pytest.fixture
def probe(worker, rust):
    """Calls `errors` from Rust: the value, or what the Rust error says."""
    worker(SERVE)

    def probing(method: str, arguments: object = None) -> dict:
        answer = rust("call", "--endpoint", "errors", "--method", method, "--args", json.dumps(arguments))
        return json.loads(answer.finish())

    return probing


def test_every_error_is_clear_and_the_worker_goes_on(probe):
    unknown = probe("plase", {"symbol": "A", "lots": 1})["error"]
    assert unknown["code"] == "UNIMPLEMENTED"
    assert "place" in unknown["message"], "near matches are named"
    assert unknown["may_have_run"] is False

    invalid = probe("place", {"symbol": "A", "lots": "several"})["error"]
    assert invalid["code"] == "INVALID_ARGUMENT"
    assert invalid["details"] == [
        {
            "loc": ["lots"],
            "msg": "Input should be a valid integer, unable to parse string as an integer",
            "type": "int_parsing",
        }
    ]

    raised = probe("divide", [1.0, 0.0])["error"]
    assert raised["code"] == "UNKNOWN"
    assert raised["exception"] == "ZeroDivisionError"
    assert "division by zero" in raised["message"]
    assert "in divide" in raised["traceback"]
    assert "ZeroDivisionError" in raised["traceback"]
    assert raised["may_have_run"] is True

    refused = probe("refuse")["error"]
    assert (refused["code"], refused["message"]) == ("PERMISSION_DENIED", "the market is closed")
    assert refused["details"] == {"opens": "09:30"}

    leaked = probe("leak")["error"]
    assert leaked["code"] == "INTERNAL"
    assert "object" in leaked["message"]
    assert "$['order'][1]" in leaked["message"], "the type and the path to it"

    promised = probe("promise")["error"]
    assert promised["code"] == "INTERNAL"
    assert "result doesn't fit its declared type" in promised["message"], promised
    assert "valid integer" in promised["message"], promised

    left = probe("leave")["error"]
    assert left["code"] == "UNKNOWN"
    assert left["exception"] == "SystemExit"

    assert probe("place", {"symbol": "A", "lots": 3})["value"] == "3 of A"
    assert probe("place", ["B", 4])["value"] == "4 of B", "an array binds by position"


def test_a_forgotten_tuple_is_told_and_the_advice_works(probe):
    order = {"symbol": "A", "lots": 3}
    for method, forgotten, mended, name in [
        ("total", [1, 2, 3], [[1, 2, 3]], "numbers"),
        ("total", [1], [[1]], "numbers"),
        ("book", order, [order], "order"),
        ("book", ["A", 3], [["A", 3]], "order"),
    ]:
        error = probe(method, forgotten)["error"]
        assert error["code"] == "INVALID_ARGUMENT"
        assert f"fits {name!r}" in error["message"]
        assert "&(value,)" in error["message"]
        assert "error" not in probe(method, mended), mended
    for method in ["place", "check"]:
        error = probe(method, [order])["error"]
        assert "&value instead of &(value,)" in error["message"], "the other way round"
        assert probe(method, order)["value"] == "3 of A"
    error = probe("refuse", [1])["error"]
    assert "&()" in error["message"]
    assert "&(value" not in probe("divide", ["x", 1.0])["error"]["message"], "no advice where it would not help"


def test_errors_name_parameters_and_nothing_private(probe):
    wrong = probe("divide", [1.0, "x"])["error"]
    assert wrong["details"][0]["loc"] == ["b"]
    assert wrong["shown"].startswith("INVALID_ARGUMENT: divide: invalid arguments: b: Input should be")
    nested = probe("total", [[1, "x"]])["error"]
    assert nested["details"][0]["loc"] == ["numbers", 1]
    assert "numbers.1: " in nested["shown"]
    struct = probe("book", [["A", "x"]])["error"]
    assert struct["details"][0]["loc"] == ["order", "lots"]
    missing = probe("divide", [1.0])["error"]
    assert missing["details"][0]["loc"] == ["b"]
    inside = probe("check_inside")["error"]
    assert inside["exception"] == "pydantic_core.ValidationError"
    assert inside["debug"] == f"{inside['shown']}\n\n{inside['traceback'].rstrip()}", "the traceback, in lines"
    for error in [wrong, nested, struct, missing, inside]:
        assert "_pydantic_core." not in json.dumps(error)


def test_a_worker_that_is_not_there(probe, rust, runtime_dir):
    answer = json.loads(rust("call", "--endpoint", "erors", "--method", "place", "--args", "null").finish())[
        "error"
    ]
    assert answer["code"] == "UNAVAILABLE"
    assert str(runtime_dir) in answer["message"], "where it looked"
    assert "errors" in answer["message"], "which endpoints live"
    assert answer["shown"].startswith("UNAVAILABLE: connect: ")


def test_a_name_that_can_not_be_an_endpoint(rust):
    answer = json.loads(rust("call", "--endpoint", "a/b", "--method", "m", "--args", "null").finish())["error"]
    assert answer["code"] == "INVALID_ARGUMENT"
    assert "'/'" in answer["message"]
