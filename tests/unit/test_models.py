"""Model slots: loading, swapping, refusing, letting go."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from pycrust import Batch, ModelRefusedError, RpcClient, Unavailable
from pycrust.errors import Cancelled
from tests.conftest import wait_until


class Model:
    """What is loaded; every one that is alive is known."""

    alive: weakref.WeakSet[Model] = weakref.WeakSet()

    def __init__(self, mark: int) -> None:
        self.mark = mark
        self.alive.add(self)


@pytest.fixture(autouse=True)
def no_models_of_other_tests():
    gc.collect()
    Model.alive.clear()


def marks() -> list[int]:
    return sorted(model.mark for model in Model.alive)


@pytest.fixture
def slot(endpoint):
    made = endpoint.model("policy", load=lambda mark=1: Model(mark))

    @endpoint.register(models=["policy"])
    def act(policy, x: int) -> list[int]:
        return [policy.mark, x]

    return made


def states(slot) -> list[str]:
    return [one.state for one in slot.history]


class TestBinding:
    def test_a_handler_gets_its_model(self, endpoint, slot):
        assert endpoint["act"](5) == [1, 5]
        assert endpoint["act"](x=5) == [1, 5]
        assert endpoint["act"].history[-1].models == {"policy": 1}
        assert "policy" not in endpoint["act"].history[-1].schema
        assert (
            repr(slot) == f"<model {endpoint.name}.policy v1 · Model · loaded in {slot.history[0].seconds:.2f} s>"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "def f(x: int, policy): return [policy.mark, x]",
            "def f(policy, x: int): return [policy.mark, x]",
            "def f(x: int, *, policy): return [policy.mark, x]",
            "def f(x, policy): return [policy.mark, x]",
            "def f(x: int, **models): return [models['policy'].mark, x]",
            "async def f(policy, x: int): return [policy.mark, x]",
        ],
    )
    def test_wherever_it_stands(self, endpoint, slot, text):
        names = {}
        exec(text, names)  # noqa: S102
        endpoint.register(models=["policy"])(names["f"])
        assert endpoint["f"](5) == [1, 5]
        assert endpoint._dispatch("f", {"x": 5}) == [1, 5]

    def test_beside_a_request_model(self, endpoint, slot):
        from pydantic import BaseModel

        class Args(BaseModel):
            x: int

        @endpoint.register(request_model=Args, models=["policy"])
        def fields(policy, x: int) -> int:
            return policy.mark + x

        @endpoint.register(request_model=Args, models=["policy"])
        def whole(policy, args: Args) -> int:
            return policy.mark + args.x

        @endpoint.register(models=["policy"])
        def uploaded(policy, numbers: Iterator[int]) -> int:
            return policy.mark + sum(numbers)

        assert (endpoint["fields"](2), endpoint["whole"](x=2), endpoint["uploaded"](1, 2)) == (3, 3, 4)

    @pytest.mark.parametrize("text", ["def f(xs: list[int], policy)", "def f(policy, xs: list[int])"])
    def test_in_a_batch(self, endpoint, slot, text):
        names = {}
        exec(f"{text}: return [policy.mark + x for x in xs]", names)  # noqa: S102
        endpoint.register(batch=Batch(), models=["policy"])(names["f"])
        assert endpoint["f"](4) == 5

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("def f(x): ...", "the model 'policy' is given as the keyword policy: add it as a parameter"),
            ("def f(policy, /): ...", "is given as the keyword policy"),
            ("def f(policy, *rest): ...", "would take the model's place"),
        ],
    )
    def test_what_can_not_be_bound(self, endpoint, slot, text, said):
        names = {}
        exec(text, names)  # noqa: S102
        with pytest.raises(TypeError, match=said):
            endpoint.register(models=["policy"])(names["f"])

    def test_a_caller_can_not_give_the_model(self, endpoint, slot):
        @endpoint.register(models=["policy"])
        def f(**everything):
            return everything["policy"].mark

        assert endpoint._dispatch("f", {"policy": "forged"}) == 1

    def test_a_slot_that_does_not_exist(self, endpoint, slot):
        with pytest.raises(ValueError, match=r"no model slot 'polcy': did you mean 'policy'\?"):
            endpoint.register("f", models=["polcy"])(lambda polcy: 1)

    def test_warm_ups_see_the_model(self, endpoint, slot):
        seen = []
        endpoint.register("f", models=["policy"], warmup=(3,))(lambda x, policy: seen.append((x, policy.mark)))
        assert seen == [(3, 1)]

    def test_streams_keep_the_model_that_they_began_with(self, endpoint, slot):
        gate = threading.Event()

        @endpoint.register(models=["policy"])
        def items(policy):
            yield policy.mark
            gate.wait()
            yield policy.mark

        @endpoint.register(models=["policy"])
        async def later(policy):
            import asyncio

            yield policy.mark
            await asyncio.to_thread(gate.wait)
            yield policy.mark

        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            streams = [client.stream("items"), client.stream("later")]
            assert [next(stream) for stream in streams] == [1, 1]
            reload = slot.reload(2).wait()
            assert client.call("act", 0) == [2, 0]
            assert states(slot) == ["draining", "live"]
            gate.set()
            assert [list(stream) for stream in streams] == [[1], [1]]
            reload.wait(drained=True)
            assert states(slot) == ["retired", "live"]
        assert marks() == [2]


class TestReload:
    def test_it_publishes_the_handlers_again(self, endpoint, slot):
        endpoint.register("other")(lambda: 1)
        assert slot.reload(2).result() == 2
        assert endpoint["act"](0) == [2, 0]
        assert (endpoint["act"].version, endpoint["other"].version, slot.version) == (2, 1, 2)
        newest = endpoint["act"].history[-1]
        assert (newest.reason, newest.models) == ("model policy v2", {"policy": 2})
        assert [(one.kind, one.text) for one in endpoint.events][-2:] == [
            ("reload", f"{endpoint.name} model policy v1 → v2"),
            ("publish", f"{endpoint.name}.act v1 → v2 (model policy v2)"),
        ]

    def test_what_was_replaced_is_let_go(self, endpoint, slot):
        for number in range(2, 20):
            slot.reload(number).wait(drained=True)
        assert marks() == [19]
        assert states(slot) == ["retired"] * 18 + ["live"]

    def test_unload_sees_the_old_model_after_its_last_call(self, endpoint):
        unloaded = []
        slot = endpoint.model("policy", load=lambda mark=1: Model(mark), unload=lambda m: unloaded.append(m.mark))
        slot.reload(2).wait(drained=True)
        assert (unloaded, marks()) == ([1], [2])

    def test_another_load_from_now_on(self, endpoint, slot):
        slot.reload(load=lambda mark=7: Model(mark)).result()
        slot.reload().result()
        assert endpoint["act"](0) == [7, 0]

    def test_reloads_run_in_order(self, endpoint, slot):
        reloads = [slot.reload(number) for number in range(2, 12)]
        assert [reload.result() for reload in reloads] == list(range(2, 12))
        assert endpoint["act"](0) == [11, 0]

    def test_it_can_be_cancelled_before_the_swap(self, endpoint, slot):
        loading, go_on = threading.Event(), threading.Event()

        def load():
            loading.set()
            go_on.wait()
            return Model(2)

        reload = slot.reload(load=load)
        loading.wait()
        assert (reload.state, reload.finished) == ("loading", False)
        assert repr(reload).startswith("<reload of policy: loading, ")
        with pytest.raises(TimeoutError, match="still loading"):
            reload.wait(0.01)
        queued = slot.reload()
        assert reload.cancel()
        queued.cancel()
        go_on.set()
        assert isinstance(queued.wait().error, Cancelled)
        assert slot.version >= 1

    def test_it_finishes_while_the_endpoint_stops_and_serves_again(self, endpoint, slot):
        loading, go_on = threading.Event(), threading.Event()

        def load():
            loading.set()
            go_on.wait()
            return Model(2)

        endpoint.serve()
        reload = slot.reload(load=load)
        loading.wait()
        endpoint.stop()
        go_on.set()
        assert reload.result() == 2
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            assert client.call("act", 0) == [2, 0]

    def test_unload_first(self, endpoint):
        alive_at_load = []

        def load(mark=1):
            alive_at_load.append(marks())
            return Model(mark)

        slot = endpoint.model("policy", load, policy="unload_first")
        endpoint.register("act", models=["policy"])(lambda policy: policy.mark)
        endpoint.serve()
        with RpcClient(endpoint.name) as client:
            assert client.call("act") == 1
            slot.reload(2).result()
            assert client.call("act") == 2
        assert alive_at_load == [[], []]
        assert marks() == [2]


def out_of_memory():
    raise MemoryError("no room")


def interrupted():
    raise KeyboardInterrupt


class TestFailures:
    """Each keeps the old model serving."""

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"load": lambda: 1 / 0}, ZeroDivisionError),
            ({"load": lambda: None}, TypeError),
            ({"load": out_of_memory}, MemoryError),
            ({"load": interrupted}, KeyboardInterrupt),
        ],
    )
    def test_load_raises(self, endpoint, slot, options, error):
        reload = slot.reload(**options)
        with pytest.raises(error):
            reload.result()
        assert reload.state == "failed"
        assert (endpoint["act"](0), endpoint["act"].version, slot.version) == ([1, 0], 1, 1)
        assert endpoint.events[-1].kind == "refused"
        assert endpoint.events[-1].text.startswith(f"{endpoint.name} model policy stays v1: {error.__name__}")
        assert slot.reload(5).result() == 2, "the load that failed is not the slot's"

    @pytest.mark.parametrize("which", ["warmup", "validate"])
    def test_a_later_step_raises_and_the_candidate_is_let_go(self, endpoint, which):
        def refuse(model):
            if model.mark == 2:
                raise RuntimeError("not this one")

        slot = endpoint.model("policy", load=lambda mark=1: Model(mark), **{which: refuse})
        endpoint.register("act", models=["policy"])(lambda policy: policy.mark)
        reload = slot.reload(2).wait()
        assert isinstance(reload.error, RuntimeError)
        assert "in refuse" in reload.error.__notes__[0]
        gc.collect()
        assert (endpoint["act"](), marks()) == (1, [1])
        assert slot.reload(3).result() == 2
        assert endpoint["act"]() == 3

    @pytest.mark.parametrize("verdict", [False, 0, ""])
    def test_validation_says_no(self, endpoint, verdict):
        slot = endpoint.model("policy", load=lambda mark=1: Model(mark), validate=lambda m: m.mark == 1 or verdict)
        with pytest.raises(ModelRefusedError, match="validate gave"):
            slot.reload(2).result()
        assert slot.version == 1

    def test_the_first_load_raises_in_the_cell(self, endpoint):
        for error, load in ((ZeroDivisionError, lambda: 1 / 0), (KeyboardInterrupt, interrupted)):
            with pytest.raises(error):
                endpoint.model("policy", load)
        with pytest.raises(ValueError, match="no model slot"):
            endpoint.register("f", models=["policy"])(lambda policy: 1)
        endpoint.model("policy", lambda: Model(1))
        endpoint.register("f", models=["policy"])(lambda policy: policy.mark)
        assert endpoint["f"]() == 1

    def test_unload_first_loads_the_old_one_again(self, endpoint):
        fails = []

        def load(mark=1):
            if fails:
                raise OSError(fails.pop())
            return Model(mark)

        slot = endpoint.model("policy", load, policy="unload_first")
        endpoint.register("act", models=["policy"])(lambda policy: policy.mark)
        fails.append("disk")
        with pytest.raises(OSError, match="disk"):
            slot.reload(2).result()
        assert endpoint["act"]() == 1
        assert "is what was live, loaded again: OSError: disk" in endpoint.events[-1].text
        fails += ["again", "disk"]
        slot.reload(2).wait()
        assert "out of service" in endpoint.events[-1].text
        with pytest.raises(Unavailable, match="'policy' is unloaded"):
            endpoint["act"]()
        slot.reload(3).result()
        assert endpoint["act"]() == 3

    def test_unload_raises(self, endpoint):
        slot = endpoint.model("policy", load=lambda mark=1: Model(mark), unload=lambda m: 1 / 0)
        slot.reload(2).wait(drained=True)
        assert "unload raised ZeroDivisionError" in endpoint.events[-1].text
        assert marks() == [2]

    @pytest.mark.parametrize(
        ("options", "error", "said"),
        [
            ({"load": 3}, TypeError, "load is a function that gives the model"),
            ({"load": Model, "warmup": 3}, TypeError, "warmup is a function of the model"),
            ({"load": Model, "policy": "both"}, ValueError, "'load_first' or 'unload_first'"),
            ({"load": Model, "keep": -1}, ValueError, "at least 0"),
        ],
    )
    def test_options(self, endpoint, options, error, said):
        with pytest.raises(error, match=said):
            endpoint.model("policy", **options)

    def test_names(self, endpoint):
        with pytest.raises(ValueError, match="handlers get it as the keyword"):
            endpoint.model("not a name", load=lambda: 1)


class TestHeld:
    def test_who_holds_a_replaced_model_is_named(self, endpoint, slot):
        def closure(model):
            return lambda: model

        kept = slot.apply(closure)
        slot.reload(2).wait(drained=True)
        first = slot.history[0]
        assert (first.state, first.holders) == (
            "held",
            (f"the closure of {kept.__qualname__}",),
        )
        assert endpoint.events[-1].kind == "held"
        assert f"policy v1 is still in memory: held by {first.holders[0]}" in endpoint.events[-1].text
        assert "held by the closure" in repr(slot.history)
        del kept
        assert states(slot) == ["retired", "live"]
        assert endpoint.events[-1].kind == "freed"

    def test_garbage_in_a_circle_is_collected(self, endpoint):
        def load(mark=1):
            model = Model(mark)
            model.itself = model
            return model

        slot = endpoint.model("policy", load)
        gc.disable()
        try:
            slot.reload(2).wait(drained=True)
        finally:
            gc.enable()
        assert states(slot) == ["retired", "live"]

    def test_a_model_that_can_not_be_watched(self, endpoint):
        slot = endpoint.model("weights", load=lambda mark=1: {"mark": mark})
        endpoint.register("act", models=["weights"])(lambda weights: weights["mark"])
        slot.reload(2).wait(drained=True)
        assert (endpoint["act"](), states(slot)) == (2, ["retired", "live"])


class TestRollback:
    def test_it_needs_kept_weights(self, endpoint, slot):
        slot.reload(2).wait(drained=True)
        with pytest.raises(ValueError, match=r"not kept: endpoint.model\(..., keep=1\)"):
            slot.rollback()

    def test_a_kept_model_comes_back_without_loading(self, endpoint):
        loads = []

        def load(mark=1):
            loads.append(mark)
            return Model(mark)

        slot = endpoint.model("policy", load, keep=1)
        endpoint.register("act", models=["policy"])(lambda policy: policy.mark)
        slot.reload(2).wait(drained=True)
        assert states(slot) == ["kept", "live"]
        assert slot.rollback() == f"{endpoint.name} model policy v2 → v3 (rollback to v1)"
        assert (endpoint["act"](), slot.version, loads) == (1, 3, [1, 2])
        wait_until(lambda: "draining" not in states(slot), "v2 to drain")
        slot.reload(4).wait(drained=True)
        wait_until(lambda: marks() == [1, 4], "v2 to go")


class TestRemoval:
    def test_a_slot_in_use_stays(self, endpoint, slot):
        with pytest.raises(ValueError, match="'policy' is bound to act: remove or register these first"):
            slot.remove()
        endpoint["act"].remove()
        slot.remove()
        wait_until(lambda: marks() == [], "the model to go")
        assert states(slot) == ["retired"]
        with pytest.raises(ValueError, match="no model slot"):
            endpoint["act"].rollback()

    def test_a_removed_name_can_be_made_again(self, endpoint):
        endpoint.model("policy", load=lambda: Model(1)).remove()
        assert endpoint.model("policy", load=lambda: Model(2)).version == 1


class TestCells:
    def test_the_same_cell_again_loads_nothing(self, endpoint):
        loads = []

        def make():
            return endpoint.model("policy", load=lambda: loads.append(1) or Model(1))

        assert make() is make()
        assert loads == [1]

    def test_another_load_loads_at_once(self, endpoint, slot):
        endpoint.model("policy", load=lambda: Model(5))
        assert endpoint["act"](0) == [5, 0]
        with pytest.raises(ZeroDivisionError):
            endpoint.model("policy", load=lambda: 1 / 0)
        assert endpoint["act"](0) == [5, 0]

    def test_a_rolled_back_handler_gets_the_model_of_now(self, endpoint, slot):
        endpoint.register("act", models=["policy"])(lambda policy, x: ["new", policy.mark])
        slot.reload(2).result()
        endpoint["act"].rollback()
        assert endpoint["act"](3) == [2, 3]
        assert endpoint["act"].version == 4
        slot.reload(3).result()
        with pytest.raises(ValueError, match="v4 and the live v5 are the same handler with other models"):
            endpoint["act"].rollback(4)
