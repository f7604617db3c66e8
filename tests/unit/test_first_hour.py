"""What a person meets in the first hour: each mistake is named where it is made, with what to do."""

import copy
import enum
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

import anywidget
import numpy as np
import pytest
from pydantic import BaseModel

from pycrust import RpcClient, RpcEndpoint
from tests.conftest import ROOT

# Importing ------------------------------------------------------------------------------------------------


def test_importing_the_source_says_how_to_build_it(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "pycrust", source / "pycrust", ignore=shutil.ignore_patterns("*.so", "node_modules"))
    (source / "native").mkdir()
    (source / "native" / "Cargo.toml").write_text("")
    # Without the site's own paths for editable installs, the copy is what is found.
    imported = subprocess.run(
        [sys.executable, "-c", "import pycrust"], cwd=source, env={**os.environ, "PYTHONSAFEPATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert imported.returncode == 1
    last = imported.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert str(source) in last
    assert "make build" in last


# Registering ----------------------------------------------------------------------------------------------


class Incomplete(BaseModel):
    part: "Missing"  # noqa: F821 - that is what is tested


class Around(BaseModel):
    inner: Incomplete


@dataclass
class Plain:
    part: "Absent"  # noqa: F821 - as above


class Generic(BaseModel):
    many: list[Optional["Lost"]]  # noqa: F821 - as above


UNDEFINED = [
    (Incomplete, "Incomplete", "Missing"),
    (Around, "Incomplete", "Missing"),
    (list[Around], "Incomplete", "Missing"),
    (Plain, "Plain", "Absent"),
    (Generic | None, "Generic", "Lost"),
]
#: A `request_model` is a model and no other type.
PLACES = {
    "argument": UNDEFINED,
    "result": UNDEFINED,
    "response_model": UNDEFINED,
    "request_model": [case for case in UNDEFINED if case[0] in {Incomplete, Around}],
}


@pytest.mark.parametrize(
    ("place", "declared", "owner", "name"), [(place, *case) for place, cases in PLACES.items() for case in cases]
)
def test_an_undefined_reference_inside_a_model_is_named(endpoint, declared, owner, name, place):
    def takes(value: declared) -> None: ...
    def gives() -> declared: ...
    def untyped(**fields: Any) -> Any: ...

    options = {place: declared} if "model" in place else {}
    function = {"argument": takes, "result": gives}.get(place, untyped)
    with pytest.raises(TypeError, match=f"{owner} names '{name}', which isn't defined"):
        endpoint.register("f", **options)(function)
    assert "f" not in endpoint


def test_a_reference_that_is_defined_by_then_is_resolved(endpoint):
    class Tree(BaseModel):
        leaf: "Leaf"

    class Forest(BaseModel):
        trees: list[Tree]

    class Leaf(BaseModel):
        size: int

    @endpoint.register
    def count(forest: Forest) -> int:
        return sum(tree.leaf.size for tree in forest.trees)

    assert endpoint._dispatch("count", {"forest": {"trees": [{"leaf": {"size": 3}}]}}) == 3
    assert Leaf(size=1)


class Arm:
    def turn(self, by: float) -> float:
        return by

    @classmethod
    def kinds(cls) -> list[str]:
        return ["left"]

    @staticmethod
    def ping() -> str:
        return "pong"


def test_methods_without_an_object_are_refused(endpoint):
    with pytest.raises(TypeError, match=r"Arm\.turn is a method.*@rpc_method.*add_service\(Arm\(\)\)"):
        endpoint.register(Arm.turn)
    with pytest.raises(TypeError, match=r"Leg\.bend is a method"):

        class Leg:
            @endpoint.register
            def bend(self, by: float) -> float:
                return by

    with pytest.raises(TypeError, match="is a method"):
        endpoint.register("kinds")(Arm.__dict__["kinds"].__func__)
    assert list(endpoint) == []
    # What can be called without one may be registered.
    for function in (Arm().turn, Arm.kinds, Arm.ping):
        endpoint.register(function)

    class Hand:
        @staticmethod
        @endpoint.register
        def close(by: float) -> float:
            return by

    assert list(endpoint) == ["close", "kinds", "ping", "turn"]
    assert endpoint._dispatch("turn", [1.0]) == 1.0


class Local:
    pass


class Holder(BaseModel, arbitrary_types_allowed=True):
    local: Local


def takes_object(value: Local): ...
def takes_function(value: Callable[[int], int]): ...
def takes_class(value: type[int]): ...
def takes_either(value: Local | Callable[[], None]): ...
def takes_pair(value: tuple[int, Local]): ...
def takes_holder(value: Holder): ...
def takes_named_only(value: int, /, *more: int, other: int): ...
def takes_any_named(value: int, /, **other: int): ...


@pytest.mark.parametrize(
    ("function", "parameter", "what"),
    [
        (takes_object, "value", "an object of the class Local"),
        (takes_function, "value", "a function"),
        (takes_class, "value", "a subclass of int"),
        (takes_either, "value", "an object of the class Local"),
        (takes_pair, "value", "an object of the class Local"),
        (takes_holder, "value", "an object of the class Local"),
        (takes_named_only, "other", "'value' is positional-only"),
        (takes_any_named, "other", "'value' is positional-only"),
    ],
)
def test_parameters_that_no_caller_can_send_are_refused(endpoint, function, parameter, what):
    with pytest.raises(TypeError, match=f"no caller can send '{parameter}'.*{what}"):
        endpoint.register(function)
    assert list(endpoint) == []


def test_a_request_model_with_such_a_field_is_refused(endpoint):
    with pytest.raises(TypeError, match="no caller can send 'local'"):
        endpoint.register("f", request_model=Holder)(lambda local: None)


def test_what_some_caller_can_send_is_taken(endpoint):
    class Node(BaseModel):
        children: list["Node"] = []

    def optional(value: Local | None): ...
    def default(value: Local = Local()): ...  # noqa: B008 - that is what is tested
    def many(values: list[Local]): ...
    def arrays(values: np.ndarray): ...
    def anything(value: object): ...
    def tree(value: Node): ...
    def positions(value: int, /, *more: int): ...
    def named(value: int, /, other: int, *, third: int): ...

    for function in (optional, default, many, arrays, anything, tree, positions, named):
        endpoint.register(function)
    assert len(endpoint) == 8


# One object of a name --------------------------------------------------------------------------------------


def test_a_copy_of_an_endpoint_is_the_endpoint(endpoint):
    @endpoint.register
    def ping() -> str:
        return "pong"

    def travelled(thing):
        return pickle.loads(pickle.dumps(thing))  # noqa: S301 - of this very test

    for same in (copy.copy(endpoint), copy.deepcopy([endpoint])[0], travelled(endpoint)):
        assert same is endpoint
    assert travelled(endpoint["ping"])() == "pong"
    assert copy.deepcopy(endpoint["ping"])() == "pong"


def run(source: str, tmp_path) -> subprocess.CompletedProcess:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(source))
    return subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)


def test_an_endpoint_in_a_spawned_process_is_one_of_that_process(tmp_path):
    ended = run(
        """
        import multiprocessing
        from pycrust import RpcEndpoint, UnknownMethod

        def look(endpoint):
            print(endpoint, endpoint is RpcEndpoint("spawned", max_threads=3))
            try:
                endpoint._dispatch("ping")
            except UnknownMethod as error:
                print(error.message)

        if __name__ == "__main__":
            endpoint = RpcEndpoint("spawned", max_threads=3)
            endpoint.register("ping")(lambda: "pong")
            with endpoint:
                child = multiprocessing.get_context("spawn").Process(target=look, args=(endpoint,))
                child.start()
                child.join()
                print(child.exitcode, endpoint.serving)
        """,
        tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    told = ended.stdout.splitlines()
    assert told[1] == "<RpcEndpoint spawned · not serving · 0 methods> True"
    assert told[2].startswith("'spawned' has no method 'ping': it has no methods; it came from process ")
    assert told[2].endswith("handlers do not travel")
    assert told[3] == "0 True"


def test_a_script_that_serves_again_in_what_it_spawns_is_told_why(tmp_path):
    ended = run(
        """
        import multiprocessing
        from pycrust import RpcEndpoint

        endpoint = RpcEndpoint("spawned")
        endpoint.register("ping")(lambda: "pong")
        endpoint.serve()

        if __name__ == "__main__":
            child = multiprocessing.get_context("spawn").Process(target=print)
            child.start()
            child.join()
            print(child.exitcode)
        """,
        tmp_path,
    )
    assert ended.stdout.splitlines()[-1] == "1", ended
    assert 'Put what serves under `if __name__ == "__main__":`' in ended.stderr


# Options and arguments of the same name --------------------------------------------------------------------


def test_an_option_that_may_be_the_handlers_is_refused_and_both_have_a_place(endpoint):
    @endpoint.register
    def wait(timeout: float = 1.0, metadata: str = "") -> list:
        return [timeout, metadata]

    @endpoint.register
    def plain(x: int) -> int:
        return x

    @endpoint.register
    def steps(timeout: int = 1) -> Iterator[int]:
        yield timeout

    endpoint.serve()
    with RpcClient(endpoint.name) as client:
        with pytest.raises(TypeError, match=r"client\.request\('wait', timeout=…\).*\.call\(timeout=…\)"):
            client.call("wait", timeout=3.0)
        with pytest.raises(TypeError, match="metadata=…"):
            client.call("wait", metadata={})
        with pytest.raises(TypeError, match="timeout=…"):
            client.stream("steps", timeout=3.0)
        assert client.request("wait", timeout=5.0).call(timeout=3.0, metadata="m") == [3.0, "m"]
        assert client.request("wait").call(timeout=3.0) == [3.0, ""]
        assert client.call("wait", 2.0) == [2.0, ""]
        assert list(client.request("steps").stream(timeout=7)) == [7]
        assert client.call("plain", 1, timeout=5.0) == 1
        assert client.call("plain", 1, timeout=5.0, metadata={"a": "b"}) == 1


def test_an_option_that_may_be_the_handlers_is_refused_where_it_is_awaited(endpoint):
    import asyncio

    @endpoint.register
    def wait(timeout: float = 1.0) -> float:
        return timeout

    endpoint.serve()

    async def main(client) -> None:
        with pytest.raises(TypeError, match="timeout=…"):
            await client.acall("wait", timeout=3.0)
        with pytest.raises(TypeError, match="timeout=…"):
            await client.acall("wait", timeout=3.0)
        assert await client.request("wait", timeout=5.0).acall(timeout=3.0) == 3.0

    with RpcClient(endpoint.name) as client:
        asyncio.run(main(client))


def test_a_version_that_takes_such_an_argument_is_noticed(endpoint):
    @endpoint.register("wait")
    def before() -> float:
        return 0.0

    endpoint.serve()
    with RpcClient(endpoint.name) as client:
        assert client.call("wait", timeout=3.0) == 0.0

        @endpoint.register("wait")
        def after(timeout: float = 1.0) -> float:
            return timeout

        # What the client knows is good for a second.
        answers = []
        while not isinstance(answers[-1] if answers else None, TypeError):
            try:
                answers.append(client.call("wait", timeout=3.0))
            except TypeError as error:
                answers.append(error)
        assert set(answers[:-1]) <= {1.0}


# Classes of a module that was reloaded --------------------------------------------------------------------


def test_an_enum_of_a_module_that_was_reloaded_marks_the_version(endpoint, tmp_path, monkeypatch):
    import importlib

    module = tmp_path / f"colours_{os.getpid()}.py"
    module.write_text("import enum\nclass Colour(enum.Enum):\n    RED = 'red'\n")
    monkeypatch.syspath_prepend(tmp_path)
    colours = importlib.import_module(module.stem)

    class Paint(BaseModel):
        colour: colours.Colour

    @endpoint.register
    def is_red(colour: colours.Colour) -> bool:
        return colour is colours.Colour.RED

    @endpoint.register
    def paint(paint: Paint) -> bool:
        return paint.colour is colours.Colour.RED

    endpoint.serve()
    assert endpoint._dispatch("is_red", ["red"])
    importlib.reload(colours)
    # The old class still validates, and what it gives is no member of the new one.
    assert not endpoint._dispatch("is_red", ["red"])
    lines = endpoint._service.look()
    for method in ("is_red", "paint"):
        assert any(
            f".{method} v1* reads {module.stem}.Colour" in line and f"use the new {module.stem}.Colour" in line
            for line in lines
        ), lines
        assert endpoint[method].history[-1].label == "v1*"
    assert endpoint._service.look() == []

    @endpoint.register("is_red")
    def again(colour: colours.Colour) -> bool:
        return colour is colours.Colour.RED

    assert endpoint._dispatch("is_red", ["red"])
    assert endpoint["is_red"].history[-1].label == "v2"
    assert isinstance(colours.Colour.RED, enum.Enum)
    assert isinstance(endpoint, RpcEndpoint)


# marimo -----------------------------------------------------------------------------------------------------


def test_marimo_gets_the_live_view_and_one_line(endpoint):
    """Its protocol: what `_display_` gives takes the object's place, and `_mime_` is a type and data."""
    line = endpoint.serve()
    assert line._display_()._mime_() == ("text/plain", "")
    view = endpoint._display_()
    assert isinstance(view, anywidget.AnyWidget)
    assert endpoint._display_() is view


def test_marimo_without_the_extra_gets_the_table_that_says_so(endpoint, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
    mime, data = endpoint._display_()._mime_()
    assert mime == "text/html"
    assert endpoint.name in data
    assert "pip install &#x27;pycrust[notebook]&#x27;" in data
