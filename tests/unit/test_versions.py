"""Versions: what their history says, what two of them differ in, rollback, removal, events, late-bound globals."""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
import threading
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from pycrust import DType, RpcClient, Shape, UnknownMethod
from pycrust.errors import FailedPrecondition, SchemaMismatch
from pycrust.functions.globals import Reads
from tests.conftest import wait_until


def run(endpoint, text: str, namespace: dict) -> None:
    """Runs text as a script's or a cell's."""
    namespace.setdefault("__name__", "__main__")
    namespace["endpoint"] = endpoint
    exec(textwrap.dedent(text), namespace)  # noqa: S102


def constant(endpoint, name: str, value: object) -> None:
    endpoint.register(name)(lambda: value)


class TestHistory:
    def test_numbers_states_and_reasons(self, endpoint):
        for value in (1, 2, 3):
            constant(endpoint, "f", value)
        history = endpoint["f"].history
        assert [(one.number, one.state, one.kept) for one in history] == [
            (1, "retired", False), (2, "retired", True), (3, "live", False),
        ]  # fmt: skip
        endpoint["f"].remove()
        assert endpoint["f"].history[-1].state == "removed"
        assert repr(endpoint["f"]) == f"<{endpoint.name}.f removed>"

    def test_it_shows_itself_as_a_table(self, endpoint):
        @endpoint.register
        def add(a: int, b: int = 2) -> int:
            return a + b

        constant(endpoint, "add", 3)
        history = endpoint["add"].history
        lines = repr(history).splitlines()
        assert lines[0].split() == ["version", "state", "published", "cell", "handler", "why", "schema"]
        assert "add(a: 'int', b: 'int' = 2) -> 'int'" in lines[1]
        assert lines[2].split()[:2] == ["v2", "live"]
        assert len(lines) == 3
        assert history._repr_html_().count("<tr>") == 3

    def test_a_version_drains_while_a_call_runs(self, endpoint):
        started, go_on = threading.Event(), threading.Event()

        @endpoint.register
        def f() -> int:
            started.set()
            go_on.wait()
            return 1

        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            answers = []
            caller = threading.Thread(target=lambda: answers.append(client.call("f")))
            caller.start()
            started.wait()
            constant(endpoint, "f", 2)
            assert [one.state for one in endpoint["f"].history] == ["draining", "live"]
            assert client.call("f") == 2
            go_on.set()
            caller.join()
            assert answers == [1]
            wait_until(lambda: endpoint["f"].history[0].state == "retired", "v1 to drain")

    def test_what_two_versions_differ_in(self, endpoint):
        names = {}
        for number, line in enumerate(("def f(a: int) -> int:", "def f(a: float, b: int = 0) -> int:"), 1):
            source = f"{line}\n    return {number}\n"
            code = compile(source, f"<version {number}>", "exec")
            import linecache

            linecache.cache[f"<version {number}>"] = (len(source), None, source.splitlines(keepends=True), "")
            exec(code, names)  # noqa: S102
            endpoint.register(names["f"])
        assert endpoint["f"].diff() == endpoint["f"].diff(1, 2)
        assert endpoint["f"].diff().splitlines() == [
            "--- f v1", "+++ f v2", "@@ -1,2 +1,2 @@", "-def f(a: int) -> int:", "-    return 1",
            "+def f(a: float, b: int = 0) -> int:", "+    return 2", "",
            "schema of f v1 → f v2",
            "    request.a: integer → number", "    request.b: added (integer, optional)",
            "callers built against v1 go on working",
        ]  # fmt: skip
        assert endpoint["f"].diff(2, 1).splitlines()[-4:] == [
            "schema of f v2 → f v1",
            "  ! request.b: removed (was integer, optional)", "  ! request.a: number → integer",
            "callers built against v2 must change: generate their client again",
        ]  # fmt: skip
        assert "same source" in endpoint["f"].diff(1, 1)
        with pytest.raises(ValueError, match="f has no version 9: it has 1 to 2"):
            endpoint["f"].diff(1, 9)


class TestRollback:
    def test_it_publishes_a_new_number(self, endpoint):
        constant(endpoint, "f", 1)
        constant(endpoint, "f", 2)
        assert endpoint["f"].rollback() == f"{endpoint.name}.f: rollback to v1"
        assert (endpoint["f"](), endpoint["f"].version) == (1, 3)
        assert endpoint["f"].history[-1].reason == "rollback to v1"
        endpoint["f"].rollback(2)
        assert (endpoint["f"](), endpoint["f"].version) == (2, 4)

    def test_what_was_let_go_can_be_kept(self, endpoint, make_endpoint):
        for value in (1, 2, 3):
            constant(endpoint, "f", value)
        with pytest.raises(
            ValueError, match=r"v1 was let go: the last one is kept, RpcEndpoint\(..., keep_versions=n"
        ):
            endpoint["f"].rollback(1)
        with pytest.raises(ValueError, match="v3 is the live version"):
            endpoint["f"].rollback(3)
        more, none = make_endpoint(keep_versions=2), make_endpoint(keep_versions=0)
        for value in (1, 2, 3):
            constant(more, "f", value)
            constant(none, "f", value)
        more["f"].rollback(1)
        assert more["f"]() == 1
        with pytest.raises(ValueError, match="none are kept"):
            none["f"].rollback()

    def test_a_removed_method_comes_back(self, endpoint):
        constant(endpoint, "f", 1)
        endpoint["f"].remove()
        with pytest.raises(UnknownMethod):
            endpoint["f"]()
        endpoint["f"].rollback()
        assert (endpoint["f"](), endpoint["f"].version) == (1, 2)
        with pytest.raises(UnknownMethod):
            endpoint["never"].rollback()

    def test_it_names_globals_that_differ(self, endpoint):
        names = {"OFFSET": 1, "SCALE": 2}
        run(endpoint, "@endpoint.register\ndef f(a: int) -> int:\n    return a * SCALE + OFFSET", names)
        names["SCALE"] = 3  # while it is live
        run(endpoint, "@endpoint.register\ndef f(a: int) -> int:\n    return a", names)
        names["OFFSET"] = 10
        assert endpoint["f"].rollback() == (
            f"{endpoint.name}.f: rollback to v1; OFFSET differs from when it was live"
        )
        assert endpoint["f"](1) == 13


class TestEvents:
    def test_what_happened_is_logged(self, endpoint):
        constant(endpoint, "f", 1)
        seen = endpoint.events.last
        constant(endpoint, "f", 2)
        endpoint["f"].rollback()
        endpoint["f"].remove()
        new = endpoint.events.since(seen)
        assert [(one.kind, one.subject, one.version) for one in new] == [
            ("publish", "f", 2), ("rollback", "f", 3), ("remove", "f", 3),
        ]  # fmt: skip
        assert [one.number for one in new] == [seen + 1, seen + 2, seen + 3]
        assert new[1].text == f"{endpoint.name}.f v2 → v3 (rollback to v1)"
        assert endpoint.events.since(endpoint.events.last) == []
        assert repr(endpoint.events).splitlines()[-1].endswith(f"{endpoint.name}.f v3 removed")

    def test_the_log_is_bounded(self, endpoint):
        for number in range(1_005):
            endpoint.events.add("publish", "f", number, "again")
        assert len(endpoint.events) == 1_000
        assert [one.number for one in endpoint.events][::999] == [6, 1_005]
        assert endpoint.events[-1].number == 1_005


class TestGlobals:
    def test_a_rebound_global_marks_the_version(self, endpoint):
        names = {"OFFSET": 1}
        run(endpoint, "@endpoint.register\ndef f(a: int) -> int:\n    return a + OFFSET", names)
        assert repr(endpoint["f"]).endswith("v1>")
        names["OFFSET"] = 1
        assert repr(endpoint["f"]).endswith("v1>"), "an equal value changes nothing"
        names["OFFSET"] = 2
        assert repr(endpoint["f"]).endswith("v1*>")
        (version,) = endpoint["f"].history
        assert (version.rebound, str(version).split(",")[0]) == (("OFFSET",), "f v1*")
        names["OFFSET"] = 3
        endpoint["f"].history  # noqa: B018 - it looks
        assert [one.text for one in endpoint.events if one.kind == "rebound"] == [
            f"{endpoint.name}.f v1* reads OFFSET: bound anew since"
        ]

    def test_a_redefined_class_names_what_to_run_again(self, endpoint):
        names = {}
        define = "from pydantic import BaseModel\nclass Point(BaseModel):\n    x: int\n"
        run(endpoint, define + "@endpoint.register\ndef f(p: Point) -> list[Point]:\n    return [p]", names)
        run(endpoint, define + "    y: int = 0\n", names)
        (line,) = endpoint.refresh()
        assert line.endswith("reads Point: bound anew since; run its registration again to use the new Point")
        assert endpoint["f"]([1]) == [{"x": 1}]

    def test_frozen_globals_stay(self, endpoint):
        names = {"OFFSET": 1}
        run(
            endpoint,
            """
            def offset():
                return OFFSET

            @endpoint.register(freeze=True)
            def f(a: int) -> int:
                return a + offset()
            """,
            names,
        )
        names["OFFSET"] = 10
        assert endpoint["f"](1) == 2
        assert repr(endpoint["f"]).endswith("v1>")

    def test_what_is_read_and_what_is_not(self):
        names = {"A": 1, "B": 2, "C": 3, "counter": 0}
        text = """
            def helper():
                return [B for _ in range(2)]

            def f():
                global counter
                counter += 1
                return A, helper(), len([]), later
            """
        exec(textwrap.dedent(text), names)  # noqa: S102
        reads = Reads(names["f"])
        assert reads.names == ["A", "B", "helper", "later"]
        names["later"] = 1  # bound for the first time
        exec(textwrap.dedent(text), names)  # noqa: S102 - the same helper again
        assert reads.differing() == []
        names["B"], names["counter"] = 3, 5
        names["helper"] = lambda: 1
        assert reads.differing() == ["B", "helper"]

    def test_what_was_read_is_not_kept_alive(self):
        class Big: ...

        names = {"big": Big()}
        exec("def f():\n    return big", names)  # noqa: S102
        reads = Reads(names["f"])
        assert reads.differing() == []
        names["big"] = Big()
        assert reads.differing() == ["big"]


class TestReloadedModules:
    @pytest.fixture
    def module(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        path = tmp_path / "reloaded_handlers.py"
        path.write_text("def f(a: int) -> int:\n    return a + 1\n")
        yield path
        sys.modules.pop("reloaded_handlers", None)

    def test_a_reload_is_a_new_version(self, endpoint, module):
        handlers = importlib.import_module("reloaded_handlers")
        endpoint.register(handlers.f)
        assert endpoint.refresh() == []
        module.write_text("def f(a: int, b: int = 0) -> int:\n    return a + 200\n")
        importlib.invalidate_caches()
        importlib.reload(handlers)
        assert endpoint["f"](1) == 2, "never silently"
        endpoint.refresh()
        assert (endpoint["f"](1), endpoint["f"].version) == (201, 2)
        assert endpoint["f"].history[-1].reason == "reloaded_handlers reloaded"
        endpoint.refresh()
        assert endpoint["f"].version == 2

    def test_code_that_is_changed_in_place_is_a_new_version(self, endpoint, module):
        handlers = importlib.import_module("reloaded_handlers")
        endpoint.register(handlers.f)
        handlers.f.__code__ = (lambda a: a + 5).__code__  # as autoreload does
        assert endpoint["f"](1) == 2
        endpoint.refresh()
        assert (endpoint["f"](1), endpoint["f"].version) == (6, 2)

    def test_a_reload_that_can_not_be_registered(self, endpoint, module):
        handlers = importlib.import_module("reloaded_handlers")
        endpoint.register(handlers.f)
        module.write_text("def f(a: 'Missing') -> int:\n    return 3\n")
        importlib.reload(handlers)
        (line,) = endpoint.refresh()
        assert "stays as it was: reloaded_handlers was reloaded, but f: an annotation names 'Missing'" in line
        assert endpoint["f"](1) == 2


class TestExclusive:
    def test_the_swap_waits_for_the_running_call(self, endpoint):
        started, go_on, log = threading.Event(), threading.Event(), []

        @endpoint.register(exclusive=True)
        def f() -> int:
            started.set()
            go_on.wait()
            log.append(1)
            return 1

        def second() -> int:
            log.append(2)
            return 2

        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            callers = [threading.Thread(target=client.call, args=("f",)) for _ in range(2)]
            callers[0].start()
            started.wait()
            endpoint.register("f", exclusive=True)(second)
            callers[1].start()
            wait_until(lambda: endpoint.stats()["methods"][0]["in_flight"] == 2, "the second call to wait")
            assert log == []
            go_on.set()
            for caller in callers:
                caller.join()
        assert log == [1, 2]


class TestSchemas:
    def test_a_pinned_caller_is_told_what_changed(self, endpoint):
        @endpoint.register
        def f(a: int) -> int:
            return a

        pinned = endpoint["f"].history[-1].schema_hash
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            assert client.request("f", schema=pinned).call(1) == 1

            @endpoint.register("f")
            def g(a: float, b: str) -> str:
                return b

            live = endpoint["f"].history[-1].schema_hash
            with pytest.raises(SchemaMismatch) as caught:
                client.request("f", schema=pinned).call(1)
            error = caught.value
            assert str(error) == (
                f'the caller was built against schema {pinned:#018x} of "f", version 2 has schema {live:#018x}: '
                "request.b: added (string, required); response: integer → string; "
                f"generate the client again: pycrust types {endpoint.name} -o FILE"
            )
            assert isinstance(error, FailedPrecondition)
            assert (error.type, error.may_have_run) == ("pycrust.errors.SchemaMismatch", False)
            assert error.details == {
                "method": "f", "pinned": pinned, "live": live, "version": 2,
                "changes": ["request.b: added (string, required)", "response: integer → string"],
            }  # fmt: skip
            assert client.request("f", schema=live).call(1, "x") == "x"
            endpoint["f"].rollback()
            assert client.request("f", schema=pinned).call(1) == 1

    def test_a_schema_that_the_worker_never_had_is_named_by_its_hash(self, endpoint):
        endpoint.register("f")(lambda: 1)
        endpoint.serve()
        with RpcClient(endpoint.name) as client, pytest.raises(SchemaMismatch) as caught:
            client.request("f", schema=5).call()
        assert caught.value.details["changes"] == []
        assert "; generate the client again" in str(caught.value)

    def test_callers_of_a_compatible_schema_go_on_working(self, endpoint):
        @endpoint.register("add")
        def first(a: int, b: int) -> int:
            return a + b

        first_schema = endpoint["add"].history[-1].schema_hash

        @endpoint.register("add")
        def second(a: int, b: int, c: int = 0) -> int:
            return a + b + c

        second_schema = endpoint["add"].history[-1].schema_hash

        @endpoint.register("add")
        def third(a: float, b: int, c: int = 0) -> int:
            return int(a) + b + c

        assert len({first_schema, second_schema, endpoint["add"].history[-1].schema_hash}) == 3
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            assert client.request("add", schema=first_schema).call(1, 2) == 3
            assert client.request("add", schema=first_schema).call(a=1, b=2) == 3
            assert client.request("add", schema=second_schema).call(1, 2, 3) == 6

            # Each earlier schema is compared with the live one: the first has never had what goes now.
            @endpoint.register("add")
            def fourth(a: int, b: int) -> int:
                return a + b

            assert client.request("add", schema=first_schema).call(1, 2) == 3
            with pytest.raises(SchemaMismatch, match=r"request\.c: removed"):
                client.request("add", schema=second_schema).call(1, 2, 3)

    def test_other_words_are_the_same_schema(self, endpoint):
        class Args(BaseModel):
            """Two numbers."""

            title: int
            b: int

        class Reworded(BaseModel):
            """Two whole numbers."""

            title: int = Field(description="the first one", examples=[3])
            b: int = Field(title="the other one", deprecated=True)

        endpoint.register("f", request_model=Args)(lambda title, b: 1)
        Reworded.__name__ = Reworded.__qualname__ = "Args"
        endpoint.register("f", request_model=Reworded)(lambda title, b: 2)
        first, second = endpoint["f"].history
        assert first.schema != second.schema
        assert first.schema_hash == second.schema_hash
        assert "schema of" not in endpoint["f"].diff()
        assert [one.text for one in endpoint.events][-1] == f"{endpoint.name}.f v1 → v2"

    def test_an_array_s_shape_is_part_of_the_schema(self, endpoint):
        import numpy as np  # noqa: TC002 - registering resolves annotations

        def loose(image: Annotated[np.ndarray, DType("uint8")]) -> None: ...
        def tight(image: Annotated[np.ndarray, Shape(2, None), DType("uint8")]) -> None: ...

        endpoint.register("f")(loose)
        endpoint.register("f")(tight)
        assert "  ! request.image: shape none → [2,null]" in endpoint["f"].diff(1, 2)
        assert "callers built against v2 go on working" in endpoint["f"].diff(2, 1)

    def test_numbers_that_json_has_not_are_no_default(self, endpoint):
        @endpoint.register
        def f(a: float = float("nan"), b: float = float("inf"), c: float = 1.0) -> int:
            return 1

        schema = json.loads(endpoint["f"].history[-1].schema, parse_constant=pytest.fail)
        defaults = {name: field.get("default") for name, field in schema["request"]["properties"].items()}
        assert defaults == {"a": None, "b": None, "c": 1.0}

    def test_a_publication_says_what_a_change_means_for_callers(self, endpoint):
        def one(a: int, b: int) -> int: ...
        def wider(a: float, b: int, c: int = 0) -> int: ...
        def narrower(a: str) -> int: ...
        def same(a: str) -> int:
            return 5

        for function in (one, wider, narrower, same):
            endpoint.register("add")(function)
        endpoint["add"].rollback(3)
        name = f"{endpoint.name}.add"
        assert [event.text for event in endpoint.events] == [
            f"{name} v1",
            f"{name} v1 → v2; callers built against v1 go on working",
            f"{name} v2 → v3; callers built against v2 must change (request.b removed and 2 more)",
            f"{name} v3 → v4",
            f"{name} v4 → v5 (rollback to v3)",
        ]
        endpoint["add"].remove()
        endpoint.register("add")(one)
        # Nobody calls what is not there.
        assert endpoint.events[-1].text == f"{name} v6"


class TestServices:
    def service(self, body: str):
        names: dict = {}
        exec("from pycrust import rpc_method\nclass Arm:\n" + textwrap.indent(textwrap.dedent(body), "    "), names)  # noqa: S102
        return names["Arm"]

    FIRST = """
        def __init__(self): self.angle = 7
        @rpc_method
        def turn(self) -> int: return self.angle
        @rpc_method
        def home(self) -> int: return 0
        """

    def test_methods_swap_as_one_and_those_that_are_gone_are_removed(self, endpoint):
        endpoint.add_service(self.service(self.FIRST)())
        endpoint.add_service(
            self.service(
                "@rpc_method\ndef turn(self) -> int: return 9\n@rpc_method\ndef new(self) -> int: return 1"
            )()
        )
        assert list(endpoint) == ["new", "turn"]
        assert endpoint["turn"]() == 9
        texts = [one.text for one in endpoint.events]
        assert any("the earlier Arm's state is let go: angle" in text for text in texts)
        assert f"{endpoint.name}.home v1 removed" in texts

    def test_state_is_handed_over(self, endpoint):
        endpoint.add_service(self.service(self.FIRST)())
        heir = self.service(
            "def __handover__(self, old): self.angle = old.angle + 1\n"
            "@rpc_method\ndef turn(self) -> int: return self.angle"
        )
        endpoint.add_service(heir())
        assert endpoint["turn"]() == 8
        assert any("Arm took over the earlier object's state" in one.text for one in endpoint.events)

    def test_a_hand_over_that_fails_changes_nothing(self, endpoint):
        endpoint.add_service(self.service(self.FIRST)())
        broken = self.service(
            "def __handover__(self, old): raise OSError('no')\n@rpc_method\ndef turn(self) -> int: return 1"
        )
        with pytest.raises(OSError, match="no"):
            endpoint.add_service(broken())
        assert (endpoint["turn"](), endpoint["home"]()) == (7, 0)


def test_a_large_global_is_warned_of_once(endpoint):
    import numpy as np

    names = {"weights": np.zeros(1 << 18), "small": np.zeros(3)}
    text = "@endpoint.register\ndef f() -> float:\n    return weights[0] + small[0]"
    with pytest.warns(
        UserWarning, match=r"f reads the global 'weights', ndarray of 2 MiB: bind it to the call"
    ) as caught:
        run(endpoint, text, names)
    run(endpoint, text + " + 1", names)  # a second warning would fail the test
    assert len(caught) == 1
    kept = bytes(1 << 21)
    with pytest.warns(UserWarning, match="g closes over 'kept', bytes of 2 MiB") as caught:
        endpoint.register("g")(lambda: len(kept))
    assert caught[0].filename == __file__
