"""Functions below a callable: frozen, marked and told apart, whatever is wrapped around them."""

from __future__ import annotations

import functools
import importlib
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from pycrust.functions.callables import functions_below

#: How a function of a notebook becomes a handler: each makes `handler`, which gives `a + OFFSET`.
KINDS = {
    "function": "def handler(a: int) -> int: return a + OFFSET",
    "lambda": "handler = lambda a: a + OFFSET",
    "closure": """
        def make():
            def inner(a: int) -> int: return a + OFFSET
            def outer(a: int) -> int: return inner(a)
            return outer
        handler = make()
        """,
    "wraps": """
        def logged(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs): return function(*args, **kwargs)
            return wrapper
        @logged
        @logged
        def handler(a: int) -> int: return a + OFFSET
        """,
    "a decorator of another module": """
        @OTHER.logged
        def handler(a: int) -> int: return a + OFFSET
        """,
    "a decorator without wraps": """
        def plain(function):
            def wrapper(a: int) -> int: return function(a)
            return wrapper
        @plain
        def handler(a: int) -> int: return a + OFFSET
        """,
    "a default": """
        def add(a): return a + OFFSET
        def handler(a: int, by: Any = add) -> int: return by(a)
        """,
    "partial": """
        def add(b: int, a: int) -> int: return a + b + OFFSET
        handler = functools.partial(add, 0)
        """,
    "partial of a partial": """
        def add(b: int, c: int, a: int) -> int: return a + OFFSET
        handler = functools.partial(functools.partial(add, 0), 0)
        """,
    "partial with a function": """
        def add(a): return a + OFFSET
        def apply(function, a: int) -> int: return function(a)
        handler = functools.partial(apply, add)
        """,
    "lru_cache": """
        @functools.lru_cache(maxsize=4)
        def handler(a: int) -> int: return a + OFFSET
        """,
    "cache of a wrapped": """
        def logged(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs): return function(*args, **kwargs)
            return wrapper
        @functools.cache
        @logged
        def handler(a: int) -> int: return a + OFFSET
        """,
    "singledispatch": """
        @functools.singledispatch
        def handler(a) -> int: return -1
        @handler.register
        def _(a: int) -> int: return a + OFFSET
        """,
    "method": """
        class Arm:
            def move(self, a: int) -> int: return a + OFFSET
        handler = Arm().move
        """,
    "classmethod": """
        class Arm:
            @classmethod
            def move(cls, a: int) -> int: return a + OFFSET
        handler = Arm.move
        """,
    "staticmethod": """
        class Arm:
            @staticmethod
            def move(a: int) -> int: return a + OFFSET
        handler = Arm.move
        """,
    "staticmethod object": """
        @staticmethod
        def handler(a: int) -> int: return a + OFFSET
        """,
    "partialmethod": """
        class Arm:
            def add(self, b: int, a: int) -> int: return a + b + OFFSET
            move = functools.partialmethod(add, 0)
        handler = Arm().move
        """,
    "object": """
        class Add:
            def __call__(self, a: int) -> int: return a + OFFSET
        handler = Add()
        """,
    "partial of a wrapped method": """
        def logged(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs): return function(*args, **kwargs)
            return wrapper
        class Arm:
            @logged
            def move(self, b: int, a: int) -> int: return a + b + OFFSET
        handler = functools.partial(Arm().move, 0)
        """,
    "a cached helper": """
        @functools.lru_cache
        def offset(): return OFFSET
        def handler(a: int) -> int: return a + offset()
        """,
    "a partial helper": """
        def add(b, a): return a + b + OFFSET
        helper = functools.partial(add, 0)
        def handler(a: int) -> int: return helper(a)
        """,
    "a helper below a helper": """
        def offset(): return OFFSET
        def helper(): return offset()
        def handler(a: int) -> int: return a + helper()
        """,
}

OTHER = """
import functools
def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper
"""


@pytest.fixture
def cell():
    """Runs text as a cell would; gives the notebook's names."""
    other = type(sys)("other")
    exec(OTHER, vars(other))  # noqa: S102 - as a module's
    from typing import Any

    names = {"__name__": "__main__", "functools": functools, "OFFSET": 1, "OTHER": other, "Any": Any}

    def run(text: str) -> dict:
        exec(textwrap.dedent(text), names)  # noqa: S102 - as a cell would
        return names

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_a_snapshot_stays_as_it_is(endpoint, cell, kind):
    names = cell(KINDS[kind])
    endpoint.register("f", freeze=True)(names["handler"])
    names["OFFSET"] = 100
    assert endpoint["f"](5) == 6
    assert repr(endpoint["f"]).endswith("v1>")


@pytest.mark.parametrize("kind", KINDS)
def test_a_rebound_global_marks_the_version(endpoint, cell, kind):
    names = cell(KINDS[kind])
    endpoint.register("f")(names["handler"])
    assert repr(endpoint["f"]).endswith("v1>")
    names["OFFSET"] = 100
    assert repr(endpoint["f"]).endswith("v1*>")
    assert endpoint["f"].history[0].rebound == ("OFFSET",)
    assert endpoint["f"](6) == 106, "globals are late-bound"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"lru_cache", "cache of a wrapped", "singledispatch"}))
def test_code_that_is_changed_in_place_changes_no_version(endpoint, cell, kind):
    """As autoreload does, of functions and of classes' methods."""
    names = cell(KINDS[kind])
    endpoint.register("f")(names["handler"])
    named = {id(one) for one in names.values()}
    held = kind in {"closure", "a decorator without wraps", "a default", "partial with a function"}
    for function in functions_below(names["handler"]):
        if function.__code__.co_names == ("OFFSET",) and not (held and id(function) not in named):
            if held:
                continue  # not what is registered: a function that it names or holds
            changed = function.__code__.replace(co_consts=(None,), co_names=("WRONG",))
            function.__code__ = changed
    assert endpoint["f"](5) == 6


@pytest.mark.parametrize(
    "kind", sorted(set(KINDS) - {"method", "object", "partialmethod", "classmethod", "partial of a wrapped method"})
)
def test_the_same_cell_again_is_unchanged_and_another_is_not(endpoint, cell, kind):
    """Of what is made anew with an object or a class of its own, each is another one."""
    for text, version in ((KINDS[kind], 1), (KINDS[kind], 1), (KINDS[kind].replace("+ OFFSET", "- OFFSET"), 2)):
        endpoint.register("f")(cell(text)["handler"])
        helper = "helper" in kind and version == 2
        assert endpoint["f"].version == (1 if helper else version)


def test_an_object_that_was_changed_in_place_is_another_version_when_it_is_registered_again(endpoint, cell):
    names = cell(KINDS["object"])
    endpoint.register("f")(names["handler"])
    endpoint.register("f")(names["handler"])
    assert endpoint["f"].version == 1
    names["Add"].__call__ = cell("def changed(self, a: int) -> int: return a + 50")["changed"]
    assert endpoint["f"](1) == 2
    endpoint.register("f")(names["handler"])
    assert (endpoint["f"].version, endpoint["f"](1)) == (2, 51)


def test_a_cache_is_the_handlers_own_only_in_a_snapshot(endpoint, cell):
    names = cell(KINDS["lru_cache"])
    endpoint.register("late")(names["handler"])
    endpoint.register("frozen", freeze=True)(names["handler"])
    assert (endpoint["late"](1), endpoint["frozen"](1)) == (2, 2)
    assert names["handler"].cache_info().currsize == 1
    names["OFFSET"] = 100
    names["handler"].cache_clear()
    assert (endpoint["late"](1), endpoint["frozen"](1)) == (101, 2)


def test_what_a_snapshot_writes_stays_in_it(endpoint, cell):
    names = cell(
        """
        counter = 0
        def count():
            global counter
            counter += 1
            return counter
        def logged(function):
            @functools.wraps(function)
            def wrapper(*args): return function(*args)
            return wrapper
        @logged
        def handler() -> list[int]:
            return [count(), counter]
        """
    )
    endpoint.register("f", freeze=True)(names["handler"])
    assert endpoint["f"]() == [1, 1]
    assert endpoint["f"]() == [2, 2]
    assert names["counter"] == 0


def test_a_snapshot_finds_itself_and_not_an_older_one(endpoint, cell):
    text = """
        def logged(function):
            @functools.wraps(function)
            def wrapper(*args): return function(*args)
            return wrapper
        @endpoint.register(freeze=True)
        @logged
        def fact(n: int) -> int:
            return ONE if n < 2 else n * fact(n - 1)
        """
    cell("ONE = 1")["endpoint"] = endpoint
    cell(text)
    assert endpoint["fact"](4) == 24
    cell("ONE = 2" + textwrap.dedent(text))
    assert endpoint["fact"](4) == 48


REFUSED = {
    "finds through its object": """
        class Arm:
            def offset(self): return OFFSET
            def move(self, a: int) -> int: return a + self.offset()
        handler = Arm().move
        """,
    "finds through its object when": """
        class Retry:
            def __init__(self, function): self.function = function
            def __call__(self, a: int) -> int: return self.function(a)
        @Retry
        def handler(a: int) -> int: return a + OFFSET
        """,
    "keeps in an object of its own": """
        def kept(function):
            held = [function]
            @functools.wraps(function)
            def wrapper(*args): return held[0](*args)
            return wrapper
        @kept
        def handler(a: int) -> int: return a + OFFSET
        """,
    "is not Python code": """
        import numpy
        handler = numpy.frompyfunc(lambda a: a + OFFSET, 1, 1)
        """,
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_can_not_be_frozen_is_refused_with_the_reason(endpoint, cell, reason):
    names = cell(REFUSED[reason])
    with pytest.raises(TypeError, match=rf"^f: freeze=True can't take a snapshot of .*{reason}"):
        endpoint.register("f", freeze=True)(names["handler"])
    assert list(endpoint) == []


def test_methods_that_read_no_global_need_not_be_frozen(endpoint, cell):
    names = cell(
        """
        import math
        class Arm:
            length = 2
            def scaled(self, a): return math.floor(a * self.length)
            @property
            def zero(self): return 0
            def move(self, a: int) -> int: return self.scaled(a) + OFFSET + self.zero
        handler = Arm().move
        """
    )
    endpoint.register("f", freeze=True)(names["handler"])
    endpoint.register("g", freeze=True)(len)
    names["OFFSET"] = 100
    assert endpoint["f"](2) == 5


def test_methods_that_a_handler_finds_through_its_object_mark_its_version(endpoint, cell):
    names = cell(REFUSED["finds through its object"])
    endpoint.register("f")(names["handler"])
    names["OFFSET"] = 2
    assert repr(endpoint["f"]).endswith("v1*>")


def test_models_and_options_stay_beside_what_is_wrapped(endpoint, cell):
    names = cell(
        """
        def logged(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs): return function(*args, **kwargs)
            return wrapper
        @logged
        def handler(a: int, *, policy) -> int: return a + policy[0] + OFFSET
        """
    )
    endpoint.model("policy", lambda: np.array([10]))
    endpoint.register("f", models=["policy"], freeze=True)(names["handler"])
    names["OFFSET"] = 100
    assert endpoint["f"](1) == 12


class TestAutoreload:
    """A module that is changed in place under handlers made of its functions and classes."""

    TEXT = """
def add(b, a: int) -> int:
    return a + b

class Add:
    def __call__(self, a: int) -> int:
        return a + 1
"""

    @pytest.fixture
    def module(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        (tmp_path / "frozen_handlers.py").write_text(self.TEXT)
        yield importlib.import_module("frozen_handlers")
        sys.modules.pop("frozen_handlers", None)

    def test_partials_and_objects_stay(self, endpoint, module):
        from IPython.extensions.autoreload import superreload

        add, instance = module.add, module.Add()
        endpoint.register("partial")(functools.partial(add, 1))
        endpoint.register("object")(instance)
        old_objects = {}
        superreload(module, old_objects=old_objects)
        Path(module.__file__).write_text(self.TEXT.replace("a + b", "a + b + 50").replace("a + 1", "a + 51"))
        importlib.invalidate_caches()
        superreload(module, old_objects=old_objects)
        assert (module.add(1, 1), add(1, 1), instance(1)) == (52, 52, 52), "changed in place"
        assert (endpoint["partial"](1), endpoint["object"](1)) == (2, 2)
        assert (endpoint["partial"].version, endpoint["object"].version) == (1, 1)
