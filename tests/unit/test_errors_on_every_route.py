"""An error is what was raised, on every route: transported, in this process, relayed, copied, recorded."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pycrust import RpcClient, RpcEndpoint
from pycrust.errors import (
    AlreadyServed,
    Code,
    NotFound,
    ResourceExhausted,
    RpcError,
    Unavailable,
    Unknown,
    UnknownMethod,
    describe,
)
from tests.conftest import DIVISION

if TYPE_CHECKING:
    from collections.abc import Callable

DETAILS = {"arms": [1, 2]}


class ArmError(RpcError):
    """A user's own, with arguments of its own."""

    def __init__(self, arm: int) -> None:
        super().__init__(Code.NOT_FOUND, f"no arm {arm}")
        self.arm = arm


@pytest.fixture
def arms(endpoint: RpcEndpoint) -> RpcEndpoint:
    @endpoint.register
    def find(arm: int = 3) -> None:
        raise RpcError(Code.NOT_FOUND, f"no arm {arm}", DETAILS)

    @endpoint.register
    def stream() -> Iterator[int]:
        yield 1
        raise RpcError(Code.NOT_FOUND, "no arm 3", DETAILS)

    @endpoint.register
    async def later() -> None:
        raise RpcError(Code.NOT_FOUND, "no arm 3", DETAILS)

    @endpoint.register
    def divide(a: float) -> float:
        return 1 / a

    @endpoint.register
    def caused() -> None:
        try:
            divide(0)
        except ZeroDivisionError as error:
            raise RpcError(Code.FAILED_PRECONDITION, "no arm moves") from error

    @endpoint.register
    def hidden() -> None:
        try:
            divide(0)
        except ZeroDivisionError:
            raise RpcError(Code.FAILED_PRECONDITION, "no arm moves") from None

    @endpoint.register
    def implied() -> None:
        try:
            divide(0)
        except ZeroDivisionError:
            raise RpcError(Code.FAILED_PRECONDITION, "no arm moves")  # noqa: B904 - the point of it

    @endpoint.register
    def noted() -> None:
        error = RpcError(Code.FAILED_PRECONDITION, "no arm moves")
        error.add_note("the brake of arm 3 is on")
        raise error

    @endpoint.register
    def grouped() -> None:
        raise ExceptionGroup("two arms", [ValueError("left"), RpcError(Code.NOT_FOUND, "right")])

    return endpoint


@pytest.fixture
def client(arms: RpcEndpoint) -> Iterator[RpcClient]:
    with arms, RpcClient(arms.name) as made:
        yield made


def _is_as_sent(error: BaseException) -> None:
    assert isinstance(error, NotFound)
    assert isinstance(error, LookupError)
    assert (error.code, error.message, error.details, str(error)) == (5, "no arm 3", DETAILS, "no arm 3")


def test_it_is_of_its_codes_class_wherever_it_is_made():
    for made in (
        RpcError(Code.NOT_FOUND, "no arm 3", DETAILS),
        RpcError(5, message="no arm 3", details=DETAILS),
        RpcError(code=5, message="no arm 3", details=DETAILS),
        RpcError.of(5, "no arm 3", DETAILS),
    ):
        _is_as_sent(made)
    assert type(ArmError(3)) is ArmError
    assert isinstance(RpcError(1), RpcError)


ROUTES: dict[str, Callable[[RpcEndpoint], object]] = {
    "direct": lambda endpoint: endpoint["find"](),
    "dispatch": lambda endpoint: endpoint._dispatch("find", {}),
    "direct stream": lambda endpoint: list(endpoint["stream"]()),
    "direct async": lambda endpoint: endpoint["later"](),
}


@pytest.mark.parametrize("route", ROUTES)
def test_in_this_process(arms, route):
    with pytest.raises(NotFound) as caught:
        ROUTES[route](arms)
    _is_as_sent(caught.value)


def test_through_the_transport(client):
    for method in ("find", "later"):
        with pytest.raises(NotFound) as caught:
            client.call(method)
        _is_as_sent(caught.value)
    with pytest.raises(NotFound) as caught:
        list(client.stream("stream"))
    _is_as_sent(caught.value)


def test_in_a_replay(arms, client):
    with pytest.raises(NotFound):
        client.call("find")
    replay = arms.traffic("find")[-1].replay()
    assert replay.same
    assert replay.live is not None
    assert (replay.live.error.code, replay.live.error.message) == (5, "no arm 3")
    assert replay.live.error.type == replay.recorded.error.type == "pycrust.errors.NotFound"


@pytest.mark.parametrize(
    "error",
    [
        RpcError(Code.NOT_FOUND, "no arm 3", DETAILS),
        ArmError(3),
        AlreadyServed.by("arm", 4711),
        UnknownMethod("no such method", {"near": []}),
        Unavailable("gone"),
        ResourceExhausted(),
    ],
)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - of this test's own making
def test_a_copy_is_the_same_error(error, again):
    error.may_have_run, error.type = True, "shop.Closed"
    if not getattr(error, "__notes__", []):
        error.add_note("a note")
    made = again(error)
    assert type(made) is type(error)
    assert vars(made) == vars(error)
    assert (str(made), repr(made), made.args) == (str(error), repr(error), error.args)


@pytest.fixture
def relays(arms, client, make_endpoint) -> Iterator[tuple[RpcClient, RpcEndpoint]]:
    """A client of an endpoint that calls one that calls `arms`; and the outermost endpoint."""
    inner = client
    opened = []
    for _ in range(2):
        relay = make_endpoint()

        def forward(method: str, arguments: dict, to: RpcClient = inner) -> object:
            if to is client:
                return to.call(method, **arguments)
            return to.call("forward", method, arguments)

        relay.register("forward")(forward)
        relay.serve()
        inner = RpcClient(relay.name)
        opened.append((inner, relay))
    yield opened[-1]
    for made, relay in opened:
        made.close()
        relay.stop()


def test_relayed_it_stays_as_sent(relays):
    client, _ = relays
    with pytest.raises(NotFound) as caught:
        client.call("forward", "find", {"arm": 3})
    _is_as_sent(caught.value)


def test_relayed_another_exception_keeps_its_type_and_its_traceback(relays):
    client, outermost = relays
    with pytest.raises(Unknown) as caught:
        client.call("forward", "divide", {"a": 0})
    error = caught.value
    assert (error.message, error.type) == (DIVISION, "ZeroDivisionError")
    assert str(error) == f"ZeroDivisionError: {DIVISION}"
    notes = "".join(error.__notes__)
    assert "in divide" in notes
    assert "in forward" in notes
    recorded = outermost.traffic()[-1].error
    assert (recorded.type, recorded.message) == ("ZeroDivisionError", DIVISION)
    assert "in divide" in recorded.traceback


def test_relayed_invalid_arguments_keep_their_list(relays):
    client, _ = relays
    with pytest.raises(ValueError, match=r"^invalid arguments: a: Input should be a valid number") as caught:
        client.call("forward", "divide", {"a": "x"})
    assert caught.value.details[0]["loc"] == ["a"]


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("caused", ["ZeroDivisionError", "direct cause", "no arm moves"]),
        ("implied", ["ZeroDivisionError", "During handling", "no arm moves"]),
        ("noted", ["no arm moves", "the brake of arm 3 is on"]),
        ("grouped", ["two arms", "ValueError: left", "NotFound: right"]),
    ],
)
def test_causes_are_kept(arms, client, method, told):
    with pytest.raises(RpcError) as caught:
        client.call(method)
    (call,) = arms.traffic(method)
    for text in ("".join(caught.value.__notes__), call.error.traceback):
        places = [text.index(piece) for piece in told]
        assert places == sorted(places)


def test_causes_are_kept_where_callers_get_no_traceback(make_endpoint):
    endpoint = make_endpoint(traceback=False)

    @endpoint.register
    def caused() -> None:
        raise RpcError(Code.ABORTED, "no") from ValueError("the cause")

    with endpoint, RpcClient(endpoint.name) as client, pytest.raises(RpcError) as caught:
        client.call("caused")
    assert not getattr(caught.value, "__notes__", [])
    assert "ValueError: the cause" in endpoint.traffic()[-1].error.traceback


def test_what_hides_its_cause_or_has_none_needs_no_traceback(arms, client):
    for method in ("hidden", "find"):
        with pytest.raises(RpcError) as caught:
            client.call(method)
        assert not getattr(caught.value, "__notes__", [])
        assert arms.traffic(method)[-1].error.traceback == ""


def test_the_first_cause_of_a_long_chain_is_told():
    try:
        try:
            raise ValueError("the first")
        except ValueError as first:
            raise RpcError(Code.ABORTED, "x" * 60_000) from first
    except RpcError as error:
        text = describe(error)[1]["traceback"]
    assert "ValueError: the first" in text
    assert len(text) < 40_000
