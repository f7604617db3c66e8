"""What is told of arguments that don't fit."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from pycrust.errors import Code, describe_arguments


class Inner(BaseModel):
    x: int
    y: int


class Other(BaseModel):
    z: int


def refusal(endpoint, method: str, arguments: object) -> tuple[str, list]:
    """What a caller is told."""
    with pytest.raises((ValidationError, TypeError)) as caught:
        endpoint._dispatch(method, arguments)
    code, payload = describe_arguments(caught.value)
    assert code == Code.INVALID_ARGUMENT
    return payload["message"], [error["loc"] for error in payload["details"]]


def test_positions_become_names(endpoint):
    @endpoint.register
    def f(a: int, b: list[int], *rest: int, c: str = "", **more: int) -> None: ...

    _, where = refusal(endpoint, "f", ["x", [1, "y"], 2, "z"])
    assert where == [["a"], ["b", 1], [3]], "the fourth has no name of its own"
    _, where = refusal(endpoint, "f", {"a": 1, "b": ["y"], "c": 5, "d": "z"})
    assert where == [["b", 0], ["c"], ["d"]]
    message, where = refusal(endpoint, "f", [1])
    assert where == [["b"]]
    assert "b: Field required: 1 value came, 3 are taken (a, b, c)" in message


def test_a_union_names_its_choices_plainly(endpoint):
    @endpoint.register
    def f(either: Inner | Other) -> None: ...

    message, where = refusal(endpoint, "f", [{"z": "q"}])
    assert ["either", "Other", "z"] in where
    assert "function-" not in message


@pytest.mark.parametrize(
    ("arguments", "name"), [({"x": 1, "y": 2}, "inner"), ([1, 2], "inner"), ({"x": 1, "y": "2"}, "inner")]
)
def test_a_struct_for_the_one_argument(endpoint, arguments, name):
    @endpoint.register
    def f(inner: Inner) -> int:
        return inner.x

    message, _ = refusal(endpoint, "f", arguments)
    assert f"fits {name!r}" in message
    assert "&(value,)" in message
    assert endpoint._dispatch("f", [arguments]) == 1


def test_advice_is_given_only_where_it_helps(endpoint):
    @endpoint.register
    def f(inner: Inner, label: str) -> None: ...

    @endpoint.register(request_model=Inner)
    def g(x: int, y: int) -> None: ...

    for method, arguments in [
        ("f", {"x": 1, "y": 2}),  # the label would still be missing
        ("f", [{"x": 1}, "a"]),
        ("g", [1, 2, 3]),
        ("g", {"x": "q", "y": 2}),
    ]:
        message, _ = refusal(endpoint, method, arguments)
        assert "(value" not in message, message
        assert "&value" not in message, message
    message, _ = refusal(endpoint, "g", [{"x": 1, "y": 2}])
    assert "&value instead of &(value,)" in message


def test_who_calls_directly_reads_the_advice_as_a_note(endpoint):
    endpoint.register("f")(lambda: None)
    with pytest.raises(ValidationError, match="takes no arguments") as caught:
        endpoint._dispatch("f", [1])
    assert "&()" in caught.value.__notes__[0]


def test_an_exception_of_a_validator_s_own_stays_as_it_is(endpoint):
    class Locked(BaseModel):
        x: int

        def model_post_init(self, _context: object) -> None:
            raise RuntimeError("locked")

    @endpoint.register(request_model=Locked)
    def f(x: int) -> None: ...

    with pytest.raises(RuntimeError, match="locked") as caught:
        endpoint._dispatch("f", {"x": 1})
    assert not getattr(caught.value, "__notes__", [])
