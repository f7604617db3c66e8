"""What `register` takes, refuses and makes of it, outside of notebooks: published at once."""

from __future__ import annotations

import contextlib
import gc
import inspect
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel, ValidationError
from typing_extensions import TypeAliasType

from pycrust import RpcClient, RpcEndpoint, UnknownMethod, rpc_method
from pycrust.handlers.options import RegisterOptions


class AddArgs(BaseModel):
    a: int
    b: int


class TestForms:
    def test_the_decorator_returns_the_function_unchanged(self, endpoint):
        def one() -> int:
            return 1

        def two() -> int:
            return 2

        def three() -> int:
            return 3

        def four() -> int:
            return 4

        assert endpoint.register(one) is one
        assert endpoint.register()(two) is two
        assert endpoint.register("drei")(three) is three
        assert endpoint.register(four, response_model=float) is four
        assert list(endpoint) == ["drei", "four", "one", "two"]
        assert [endpoint._dispatch(name) for name in endpoint] == [3, 4.0, 1, 2]

    def test_the_contracts_first_program(self, endpoint):
        @endpoint.register()
        def ping() -> str:
            return "pong"

        @endpoint.register(request_model=AddArgs)
        def add(a: int, b: int) -> int:
            return a + b

        assert endpoint._dispatch("ping", None) == "pong"
        assert endpoint._dispatch("add", {"a": 10, "b": 20}) == 30
        assert endpoint._dispatch("add", [10, 20]) == 30
        with pytest.raises(ValidationError):
            endpoint._dispatch("add", {"a": 10})

    def test_one_function_under_two_names(self, endpoint):
        @endpoint.register("b")
        @endpoint.register("a")
        def handler() -> int:
            return 1

        assert list(endpoint) == ["a", "b"]

    def test_the_handlers_own_exception(self, endpoint):
        class OwnError(Exception): ...

        @endpoint.register
        def fail():
            raise OwnError("mine")

        with pytest.raises(OwnError, match="mine"):
            endpoint._dispatch("fail")


class TestRefused:
    def test_what_is_no_function(self, endpoint):
        class Handler: ...

        for function, message in ((Handler, "is a class"), (3, "is a function, not int")):
            with pytest.raises(TypeError, match=message):
                endpoint.register("f")(function)
        assert list(endpoint) == []

    def test_a_signature_shows_each_option(self, endpoint):
        for shown in (inspect.signature(endpoint.register), inspect.signature(rpc_method)):
            assert list(shown.parameters)[:3] == ["name", "request_model", "response_model"]
            assert shown.parameters["record"].default is True
            assert {*shown.parameters} == {"name", *RegisterOptions.__annotations__}
            assert {one.kind for one in shown.parameters.values()} == {
                inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
            }  # fmt: skip

    def test_names(self, endpoint):
        with pytest.raises(TypeError, match="no name of its own"):
            endpoint.register(lambda: 1)
        with pytest.raises(ValueError, match="answered by the worker itself"):
            endpoint.register("pycrust.health")(lambda: 1)
        endpoint.register("one")(lambda: 1)
        assert endpoint._dispatch("one") == 1

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"concurrency": 0}, ValueError, "at least 1"),
            ({"concurrency": -1}, ValueError, "at least 1"),
            ({"concurrency": 33}, ValueError, r"more than the 32 threads .*max_threads=33\)"),
            ({"concurrency": True}, TypeError, "is an int"),
            ({"concurrency": 1.5}, TypeError, "is an int"),
            ({"admission": "late"}, ValueError, "admission is 'queue' or 'deadline', not 'late'"),
            ({"context": 3}, TypeError, "context manager"),
            ({"request_model": dict}, TypeError, "BaseModel"),
            ({"warmup": [1, 2]}, ValueError, "warm-up failed"),
            ({"models": ["policy"]}, ValueError, "no model slot 'policy'"),
            ({"models": "policy"}, TypeError, "a list of slots' names"),
            ({"models": ["a", "a"]}, ValueError, "names a slot twice"),
            ({"concurency": 2}, TypeError, "'concurency' is no option of a handler: did you mean 'concurrency'"),
            ({"timeout": 2}, TypeError, "'timeout' is no option of a handler: there are request_model, "),
        ],
    )
    def test_options(self, endpoint, options, error, message):
        with pytest.raises(error, match=message):

            @endpoint.register(**options)
            def handler(): ...

        assert list(endpoint) == []

    def test_annotations(self, endpoint):
        with pytest.raises(TypeError, match="names 'Missing', which isn't defined"):

            @endpoint.register
            def handler(a: Missing): ...  # noqa: F821

        with pytest.raises(TypeError, match="can't be resolved"):

            @endpoint.register
            def other(a: "1 +"): ...  # noqa: F722

    def test_a_failed_registration_leaves_the_live_one(self, endpoint):
        @endpoint.register
        def f() -> int:
            return 1

        with pytest.raises(ValueError, match="warm-up"):

            @endpoint.register("f", warmup=[1])
            def g() -> int:
                return 2

        assert endpoint._dispatch("f") == 1
        assert endpoint["f"].version == 1


class TestOptions:
    def test_warmup_runs_before_it_goes_live(self, endpoint):
        seen = []

        @endpoint.register(warmup=(3,))
        def f(a: int) -> int:
            seen.append((a, "f" in endpoint))
            return a

        @endpoint.register(warmup=lambda: seen.append("called"))
        def g(): ...

        assert seen == [(3, False), "called"]

    def test_context_surrounds_each_call(self, endpoint):
        seen = []

        @contextlib.contextmanager
        def inside():
            seen.append("in")
            yield
            seen.append("out")

        @endpoint.register(context=inside)
        def f():
            seen.append("run")

        endpoint._dispatch("f")
        endpoint._dispatch("f")
        assert seen == ["in", "run", "out"] * 2

    def test_response_model_takes_the_place_of_the_annotation(self, endpoint):
        @endpoint.register(response_model=list[int])
        def f() -> str:
            return ("1", "2")

        assert endpoint._dispatch("f") == [1, 2]

    def test_the_schema_is_published(self, endpoint):
        @endpoint.register(request_model=AddArgs)
        def add(a: int, b: int) -> float:
            """Adds.

            At length.
            """
            return a + b

        (version,) = endpoint["add"].history
        schema = json.loads(version.schema)
        assert list(schema["request"]["properties"]) == ["a", "b"]
        assert schema["response"] == {"type": "number"}
        assert (version.doc, version.removed, version.cell) == ("Adds.", False, None)
        assert "def add(a: int, b: int) -> float:" in version.source
        assert 0 < version.schema_hash < 2**64

    def test_arguments_without_a_json_schema(self, endpoint):
        @endpoint.register
        def f(a, /, *, b): ...

        assert json.loads(endpoint["f"].history[0].schema) == {"kind": "call", "request": {}, "response": {}}


class TestVersions:
    def test_they_count_from_1_and_unchanged_ones_are_none(self, endpoint):
        def define(body: str):
            names = {"endpoint": endpoint}
            exec(f"@endpoint.register\ndef f(a: int) -> int:\n    {body}\n", names)  # noqa: S102

        functions = {"__name__": "cell"}

        def run(text: str) -> None:
            functions["endpoint"] = endpoint
            exec(text, functions)  # noqa: S102 - as a cell would

        run("@endpoint.register\ndef f(a: int) -> int:\n    return a + 1")
        run("@endpoint.register\ndef f(a: int) -> int:\n    return a + 1")
        run("\n\n# moved down\n@endpoint.register\ndef f(a: int) -> int:\n    return a + 1")
        assert endpoint["f"].version == 1
        run("@endpoint.register\ndef f(a: int) -> int:\n    return a + 2")
        assert (endpoint["f"].version, endpoint._dispatch("f", [1])) == (2, 3)
        run("@endpoint.register\ndef f(a: int) -> int:\n    return a + 1")
        assert [version.number for version in endpoint["f"].history] == [1, 2, 3]
        define("return a")
        assert endpoint["f"].version == 4

    def test_a_version_keeps_its_code_when_the_function_is_changed_in_place(self, endpoint):
        @endpoint.register
        def f(a=1):
            return a

        def g(a=2):
            return -a

        f.__code__, f.__defaults__ = g.__code__, g.__defaults__
        assert f() == -2
        assert endpoint._dispatch("f") == 1
        endpoint.register(f)
        assert (endpoint._dispatch("f"), endpoint["f"].version) == (-2, 2)

    def test_globals_and_closures_stay_late_bound(self, endpoint):
        offset = 1

        @endpoint.register
        def f(a: int) -> int:
            return a + offset

        offset = 10
        assert endpoint._dispatch("f", [1]) == 11

    def test_history_keeps_no_old_handler_alive(self, endpoint):
        class Weights: ...

        def publish(weights):
            @endpoint.register
            def f():
                return id(weights)

            return weakref.ref(weights)

        first, second, third = publish(Weights()), publish(Weights()), publish(Weights())
        gc.collect()
        assert first() is None
        assert second() is not None, "the last one is kept for rollback"
        assert third() is not None
        assert len(endpoint["f"].history) == 3

    def test_removal(self, endpoint):
        @endpoint.register
        def f() -> int:
            return 1

        endpoint.unregister("f")
        assert "f" not in endpoint
        with pytest.raises(UnknownMethod):
            endpoint._dispatch("f")
        with pytest.raises(UnknownMethod):
            endpoint.unregister("f")
        endpoint.register(f)
        assert endpoint["f"].version == 2
        assert [version.removed for version in endpoint["f"].history] == [False, True, False]


class TestServices:
    class Base:
        @rpc_method
        def who(self) -> str:
            return type(self).__name__

    class Arm(Base):
        def __init__(self) -> None:
            self.angle = 0.0

        @rpc_method("turn_by", request_model=None, concurrency=2)
        def turn(self, by: float) -> float:
            self.angle += by
            return self.angle

        @rpc_method()
        @staticmethod
        def version() -> int:
            return 3

        def hidden(self) -> None: ...

        @property
        def trap(self) -> None:
            raise AssertionError("properties are not run")

    def test_marked_methods_are_collected(self, endpoint):
        arm = self.Arm()
        assert endpoint.add_service(arm, prefix="arm.") == ["arm.who", "arm.turn_by", "arm.version"]
        assert endpoint._dispatch("arm.turn_by", ["1.5"]) == 1.5
        assert endpoint._dispatch("arm.who") == "Arm"
        assert endpoint._dispatch("arm.version") == 3
        assert arm.angle == 1.5

    def test_the_same_object_again_changes_nothing(self, endpoint):
        arm = self.Arm()
        endpoint.add_service(arm)
        endpoint.add_service(arm)
        assert endpoint["who"].version == 1
        endpoint.add_service(self.Arm())
        assert endpoint["who"].version == 2

    def test_an_override_keeps_the_mark_only_if_marked(self, endpoint):
        class Quiet(self.Arm):
            def turn(self, by: float) -> float:
                return 0.0

        assert endpoint.add_service(Quiet()) == ["who", "version"]

    def test_refused(self, endpoint):
        with pytest.raises(TypeError, match="not the class"):
            endpoint.add_service(self.Arm)
        with pytest.raises(ValueError, match="no method that is marked"):
            endpoint.add_service(object())


class TestEndpoint:
    def test_the_same_name_is_the_same_endpoint(self, make_endpoint):
        first = make_endpoint(max_threads=4)
        first.register("f")(lambda: 1)
        again = RpcEndpoint(first.name)
        assert again is first
        assert again._dispatch("f") == 1
        assert "not registered since the endpoint was made again: f" in again.summary()
        again.register("f")(lambda: 1)
        assert "not registered since" not in again.summary()

    def test_conflicting_options_are_named(self, make_endpoint):
        first = make_endpoint(max_threads=4, traceback=False)
        assert RpcEndpoint(first.name, max_threads=4) is first
        with pytest.raises(ValueError, match=r"max_threads=8 \(it has 4\), spin_us=5 \(it has None\)"):
            RpcEndpoint(first.name, max_threads=8, spin_us=5)

    @pytest.mark.parametrize(
        "options",
        [
            {"max_threads": 0},
            {"max_threads": 1 << 20},
            {"max_in_flight": 0},
            {"max_in_flight_per_client": -1},
            {"spin_us": -1},
            {"switch_interval": 0},
        ],
    )
    def test_options_out_of_bounds(self, options):
        with pytest.raises(ValueError, match=next(iter(options))):
            RpcEndpoint("never-made", **options)

    @pytest.mark.parametrize("options", [{"max_threads": True}, {"max_in_flight": 2.5}, {"keep_versions": "1"}])
    def test_options_that_are_no_numbers(self, options):
        with pytest.raises(TypeError, match=f"{next(iter(options))} is an int"):
            RpcEndpoint("never-made", **options)

    def test_as_many_calls_run_at_once_as_was_asked_for(self, make_endpoint):
        endpoint = make_endpoint(max_threads=3)
        with pytest.raises(ValueError, match="concurrency=4 is more than the 3 threads"):
            endpoint.register("meet", concurrency=4)(lambda: None)
        together = threading.Barrier(3)
        endpoint.register("meet", concurrency=3)(together.wait)
        endpoint.register("one")(lambda: None)

        async def many(): ...

        endpoint.register(concurrency=100)(many)
        with endpoint, RpcClient(endpoint.name) as client, ThreadPoolExecutor(3) as pool:
            # Each waits for the other two.
            places = [pool.submit(client.request("meet", timeout=60).call) for _ in range(3)]
            assert sorted(place.result() for place in places) == [0, 1, 2]
            stats = {method["name"]: method["concurrency"] for method in endpoint.stats()["methods"]}
        assert stats == {"meet": 3, "one": 1, "many": 100}

    def test_fresh_starts_empty(self, endpoint):
        endpoint.register("f")(lambda: 1)
        assert list(RpcEndpoint(endpoint.name, fresh=True)) == []

    def test_near_matches_are_named(self, endpoint):
        endpoint.register("add")(lambda: 1)
        endpoint.register("ping")(lambda: 1)
        with pytest.raises(UnknownMethod, match="did you mean 'add'") as caught:
            endpoint._dispatch("ad")
        assert caught.value.details == {"near": ["add"]}
        with pytest.raises(UnknownMethod, match="it has add, ping"):
            endpoint._dispatch("completely different")

    def test_it_reads_like_a_mapping_of_methods(self, endpoint):
        @endpoint.register
        def add(a: int, b: int = 2) -> int:
            return a + b

        assert (len(endpoint), list(endpoint), "add" in endpoint, bool(endpoint)) == (1, ["add"], True, True)
        assert endpoint._ipython_key_completions_() == ["add"]
        assert repr(endpoint) == f"<RpcEndpoint {endpoint.name} · not serving · 1 method>"
        assert repr(endpoint["add"]) == f"<{endpoint.name}.add(a, b) v1>"
        assert str(endpoint.stats()).splitlines()[0].split()[:3] == ["method", "version", "calls"]
        assert endpoint._repr_mimebundle_()["text/plain"] == repr(endpoint)
        assert not [name for name in dir(endpoint) if name.startswith("_")]

    def test_a_method_is_called_like_a_client_calls(self, endpoint):
        @endpoint.register
        def add(a: int, b: int = 2) -> int:
            return a + b

        method = endpoint["add"]
        assert [method(1), method("1", "3"), method(a=1, b=4), method(1, b=5)] == [3, 4, 5, 6]
        with pytest.raises(TypeError, match="'a' by position and by name"):
            method(1, a=1)
        with pytest.raises(TypeError, match="takes 2 arguments by position"):
            method(1, 2, 3, b=1)
        with pytest.raises(ValidationError):
            method("x")

    def test_a_result_that_cannot_cross(self, endpoint):
        endpoint.register("f")(lambda: {"a": object()})
        with pytest.raises(TypeError, match=r"\$\['a'\]: object has no MessagePack form"):
            endpoint._dispatch("f")


def test_types_that_hold_themselves_may_be_absent():
    """As JSON's values are declared: its alternative that is nothing stands around the others."""
    json_like = TypeAliasType("json_like", "dict[str, json_like] | list[json_like] | int | None")
    endpoint = RpcEndpoint("holds-itself")

    @endpoint.register
    def give_back(value: json_like) -> json_like:
        return value

    assert endpoint._dispatch("give_back", [{"a": [1, None]}]) == {"a": [1, None]}
