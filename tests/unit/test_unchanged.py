"""When a registration changes nothing, and when it does."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from pydantic import BaseModel

from pycrust.functions.fingerprint import same


def run(text: str, **names):
    namespace = SHARED
    namespace.update(names)
    exec(text, namespace)  # noqa: S102 - as a cell would
    return namespace["f"]


SHARED: dict = {"__name__": "cell"}

BASE = "def f(a, b=1, *, c=2):\n    return a + b + c"


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        "\n\n" + BASE,
        BASE + "  # a comment",
        "def f(a,  b = 1, *, c=2):\n\n    return (a + b + c)",
    ],
)
def test_the_same_code_again(text):
    assert same(run(BASE), run(text))


@pytest.mark.parametrize(
    "text",
    [
        "def f(a, b=1, *, c=2):\n    return a + b - c",
        "def f(a, b=2, *, c=2):\n    return a + b + c",
        "def f(a, b=1, *, c=3):\n    return a + b + c",
        "def f(a, b=True, *, c=2):\n    return a + b + c",
        "def f(a, b=1.0, *, c=2):\n    return a + b + c",
        "def f(a, b, *, c=2):\n    return a + b + c",
        "def f(a, d=1, *, c=2):\n    return a + d + c",
        "def f(a, b=1, *, c=2):\n    'doc'\n    return a + b + c",
        "def f(a, b=1, *, c=2):\n    return a + b + c + (lambda: 1)()",
    ],
)
def test_other_code(text):
    assert not same(run(BASE), run(text))


def test_constants_are_told_apart_by_type_and_sign():
    texts = ["1", "1.0", "True", "-0.0", "0.0", "'1'", "b'1'", "(1, 2)", "(1, 2.0)", "{1, 2}"]
    functions = [run(f"def f(x):\n    return x in {text}") for text in texts]
    again = [run(f"def f(x):\n    return x in {text}") for text in texts]
    assert [[same(one, other) for other in again] for one in functions] == np.eye(len(texts), dtype=bool).tolist()


def test_inner_functions_count():
    one = "def f():\n    def g():\n        return 1\n    return g()"
    assert same(run(one), run(one))
    assert not same(run(one), run(one.replace("1", "2")))


def make(offset, scale=1):
    def f(x):
        return x * scale + offset

    return f


def test_closures_share_source_and_code_but_not_what_they_hold():
    assert same(make(1), make(1))
    assert not same(make(1), make(2))
    assert not same(make(1), make(1.0))
    one, other = [1], [2]
    assert same(make(one), make([1]))
    assert not same(make(one), make(other))


def test_objects_are_the_same_only_as_themselves():
    array = np.zeros(3)
    assert same(make(array), make(array))
    assert not same(make(array), make(np.zeros(3)))
    model = object()
    assert same(make(model), make(model))
    assert not same(make(object()), make(object()))


def test_functions_in_closures_are_compared_by_what_they_do():
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    assert same(decorate(run(BASE)), decorate(run(BASE)))
    assert not same(decorate(run(BASE)), decorate(run(BASE.replace("+ c", "- c"))))


def test_a_function_that_calls_itself():
    def define():
        def f(n):
            return n and f(n - 1)

        return f

    assert same(define(), define())


def test_globals_of_another_module_are_other_globals():
    one = run(BASE)
    exec(BASE, other := {"__name__": "cell"})  # noqa: S102 - as a cell would
    assert not same(one, other["f"])


def test_methods_of_one_object_and_of_another():
    class Arm:
        def turn(self): ...

    arm = Arm()
    assert same(arm.turn, arm.turn)
    assert not same(arm.turn, Arm().turn)
    assert same(functools.partial(run(BASE), 1), functools.partial(run(BASE), 1))
    assert not same(functools.partial(run(BASE), 1), functools.partial(run(BASE), 2))


def test_types_in_annotations(endpoint):
    def define(version: str) -> type[BaseModel]:
        return type("Args", (BaseModel,), {"__annotations__": {"a": int}, "__doc__": version})

    first, second = define("1"), define("1")

    def register(model):
        def f(value: model): ...

        f.__annotations__["value"] = model
        endpoint.register(f)
        return endpoint["f"].version

    assert [register(model) for model in (first, first, list[first], list[first], second)] == [1, 1, 2, 2, 3]


def test_options_count(endpoint):
    def f() -> int:
        return 1

    versions = []
    for options in ({}, {}, {"concurrency": 2}, {"concurrency": 2}, {"response_model": float}, {"warmup": []}):
        endpoint.register(f, **options)
        versions.append(endpoint["f"].version)
    assert versions == [1, 1, 2, 2, 3, 4]


def test_the_usual_admission_is_the_one_without_a_word(endpoint):
    def f() -> int:
        return 1

    versions = []
    for admission in (None, "queue", "deadline", "deadline", None):
        endpoint.register(f, admission=admission)
        versions.append(endpoint["f"].version)
    assert versions == [1, 1, 2, 2, 3]
