"""Arrays between a Rust client and Python handlers, and between Python and itself: property tests, lifetimes."""

from __future__ import annotations

import array
import gc
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import BaseModel, ConfigDict

from pycrust import DType, InvalidArgument, RpcClient, RpcEndpoint, RpcError, Shape
from pycrust._extension import Buffer, Room
from pycrust.arrays.absent import Absent
from tests.conftest import PATIENCE, shared_memory, wait_until

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]


LAYOUTS = ["as it is", "column major", "transposed", "backwards", "strided"]
LAYOUTS += ["rolled", "cropped", "broadcast", "large"]


def mapping_of(found: np.ndarray) -> str:
    """The line of /proc/self/maps that an array's memory lies in."""
    start = found.__array_interface__["data"][0]
    # It is no snapshot: while other threads map and unmap memory, a line may be missing.
    for _ in range(10):
        for line in Path("/proc/self/maps").read_text().splitlines():
            low, high = (int(bound, 16) for bound in line.split()[0].split("-"))
            if low <= start < high:
                assert start + found.nbytes <= high or "/dev/shm/" not in line
                return line
    raise AssertionError(f"no mapping holds {start:#x}")


def is_shared(found: np.ndarray) -> bool:
    mapping = mapping_of(found)
    return "r--s" in mapping and "/dev/shm/" in mapping


def same(found: Any, sent: Any) -> bool:
    """Whether two nested values are equal to the bit, types and orders of bytes included."""
    if isinstance(sent, np.ndarray):
        return (
            isinstance(found, np.ndarray)
            and found.dtype == sent.dtype
            and found.shape == sent.shape
            and found.tobytes() == sent.tobytes()
        )
    if isinstance(sent, dict):
        return list(found) == list(sent) and all(same(found[key], value) for key, value in sent.items())
    if isinstance(sent, (list, tuple)):
        return len(found) == len(sent) and all(map(same, found, sent))
    return type(found) is type(sent) and found == sent


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(DTYPES))).newbyteorder(draw(st.sampled_from("<>")))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6))
    made = draw(hnp.arrays(dtype, shape))
    return {
        "as it is": lambda: made,
        "column major": lambda: np.asfortranarray(made),
        "transposed": lambda: made.T,
        "backwards": lambda: made[::-1] if made.ndim else made,
        "strided": lambda: np.repeat(made, 2, axis=-1)[..., ::2] if made.ndim else made,
        "rolled": lambda: np.moveaxis(made, 0, -1) if made.ndim else made,
        "cropped": lambda: np.pad(made, 2)[tuple(slice(2, -2) for _ in made.shape)] if made.ndim else made,
        "broadcast": lambda: np.broadcast_to(made, (3, *made.shape)),
        "large": lambda: np.resize(made, (50, 100)) if made.size else made,
    }[draw(st.sampled_from(LAYOUTS))]()


VALUES = st.recursive(
    arrays() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture
def echo():
    """An endpoint that echoes and keeps what it saw, and a client of it."""
    endpoint = RpcEndpoint("tensors", fresh=True)
    endpoint.seen = []

    @endpoint.register("echo")
    def echo(value):
        return value

    with endpoint, RpcClient("tensors") as client:
        yield endpoint, client
    RpcEndpoint("tensors", fresh=True)


def test_random_arrays_cross_to_the_bit_both_ways(echo):
    _endpoint, client = echo

    @given(value=VALUES)
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    def crosses(value):
        assert same(client.call("echo", value), value)

    crosses()
    gc.collect()


def test_rust_sends_and_gets_arrays_of_every_kind(rust):
    endpoint = RpcEndpoint("tensors-rust", fresh=True)

    @endpoint.register
    def echo(value):
        return value

    @endpoint.register
    def orders():
        values = np.arange(6, dtype="f4").reshape(2, 3)
        return np.asfortranarray(values), values.astype(">f4")

    @endpoint.register
    def sums(first: np.ndarray, second: np.ndarray):
        assert is_shared(first)
        assert is_shared(second)
        return int(first.sum(dtype="u8")), float(second.sum())

    @endpoint.register
    def frames(count: int):
        for number in range(count):
            frame = endpoint.empty((100, 100), "u2")
            frame[:] = number
            yield frame

    more = ["bfloat16"] if importlib.util.find_spec("torch") or importlib.util.find_spec("ml_dtypes") else []
    with endpoint:
        said = rust("tensor_cases", "tensors-rust", *more).finish()
    assert said.split() == ["types", "nested", "orders", "in", "place", "kept"]


def test_the_handler_sees_the_very_memory_that_was_sent(echo):
    endpoint, client = echo
    seen: list[Any] = []

    @endpoint.register
    def look(image):
        seen.append((mapping_of(image), image.flags.writeable, isinstance(image.base, Buffer)))
        return int(image.sum())

    assert client.call("look", np.ones(100_000, "u1")) == 100_000
    [(mapping, writeable, over_buffer)] = seen
    assert "/dev/shm/" in mapping
    assert " r--s " in mapping
    assert not writeable
    assert over_buffer


def test_what_comes_cannot_be_written_and_the_error_says_what_to_do(echo):
    endpoint, client = echo

    @endpoint.register
    def write(image):
        image[0] = 1

    with pytest.raises(RpcError, match=r"array\.copy\(\)"):
        client.call("write", np.zeros(10_000))
    found = client.call("echo", np.zeros(10_000))
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_results_built_in_place_go_out_without_a_copy(echo):
    endpoint, client = echo

    def in_place():
        return endpoint.stats()["clients"][0]["sent_in_place"]

    @endpoint.register
    def double(values: np.ndarray) -> np.ndarray:
        return np.multiply(values, 2, out=endpoint.empty(values.shape, values.dtype))

    @endpoint.register
    def several(count: int):
        built = [endpoint.empty((count, 1000), "f4") for _ in range(3)]
        for number, one in enumerate(built):
            one[:] = number
        return {"built": built, "beside": np.arange(5000), "text": "x"}

    assert np.array_equal(client.call("double", np.arange(5000.0)), np.arange(5000.0) * 2)
    assert in_place() == 1
    answer = client.call("several", 10)
    assert [float(one.mean()) for one in answer["built"]] == [0, 1, 2]
    assert np.array_equal(answer["beside"], np.arange(5000))
    assert in_place() == 2


def test_a_result_that_somebody_could_still_write_is_copied(echo):
    endpoint, client = echo
    kept: list[Any] = []

    @endpoint.register
    def keeps(count: int):
        built = endpoint.empty(count, "u1")
        built[:] = 1
        kept.append(built[5:10])
        return built

    @endpoint.register
    def part(count: int):
        built = endpoint.empty(count, "u1")
        built[:] = 3
        return built[100:]

    found = client.call("keeps", 10_000)
    kept[0][:] = 9
    assert found.tolist() == [1] * 10_000
    assert client.call("part", 10_000).tolist() == [3] * 9900
    assert endpoint.stats()["clients"][0]["sent_in_place"] == 0
    assert isinstance(kept[0].base.base, Room)
    # Written long after its call: it is nobody else's memory.
    for _ in range(20):
        client.call("part", 10_000)
    assert kept[0].tolist() == [9] * 5
    kept.clear()


def test_outside_of_a_call_empty_is_an_array_like_any_other(echo):
    endpoint, _client = echo
    assert endpoint.empty((2, 3)).shape == (2, 3)
    assert endpoint.empty(0, "u1").shape == (0,)


class Observation(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    image: Annotated[np.ndarray, Shape(..., None, 3), DType("uint8")]
    state: np.ndarray
    more: list[np.ndarray] = []


def test_annotations_are_checked_before_the_handler_runs(echo):
    endpoint, client = echo

    @endpoint.register(request_model=Observation)
    def act(seen: Observation) -> Observation:
        return seen

    image, state = np.zeros((4, 5, 3), "u1"), np.arange(7.0)
    found = client.call("act", image=image, state=state, more=[state])
    assert same(found, {"image": image, "state": state, "more": [state]})
    for wrong, said in [
        (np.zeros((4, 5, 4), "u1"), "Array should have the shape (..., any, 3), not (4, 5, 4)"),
        (np.zeros(3, "u1"), "Array should have the shape (..., any, 3), not (3,)"),
        (np.zeros((4, 5, 3), "f4"), "Array should have elements of uint8, not of float32"),
        ([1], "Input should be an array: numpy.ndarray"),
    ]:
        with pytest.raises(InvalidArgument) as caught:
            client.call("act", image=wrong, state=state)
        assert said in str(caught.value)
        assert caught.value.details[0]["loc"] == ["image"]


def test_what_cannot_cross_says_why(echo):
    _endpoint, client = echo
    for wrong, said in [
        (np.array([object()]), "dtype object"),
        (np.array(["2026"], "M8[D]"), "datetime64"),
        (np.ma.masked_array([1], [True]), "filled"),
    ]:
        with pytest.raises(TypeError, match=said):
            client.call("echo", [wrong])


def test_buffers_that_are_no_arrays_cross_as_arrays(echo):
    _endpoint, client = echo
    assert same(client.call("echo", array.array("d", [1.0, 2.0])), np.array([1.0, 2.0]))
    assert same(client.call("echo", memoryview(array.array("h", [1, 2]))), np.array([1, 2], "i2"))
    assert client.call("echo", bytearray(b"abc")) == b"abc"


def test_an_array_that_is_there_twice_travels_once(echo):
    _endpoint, client = echo
    large = np.zeros(1000)
    first, second = client.call("echo", [large, large])
    assert first.__array_interface__["data"] == second.__array_interface__["data"]


def test_views_outlive_everything(echo):
    endpoint, client = echo
    kept: list[Any] = []

    @endpoint.register
    def keep(value):
        kept.append(value)
        return value

    sent = [np.full(5000, number, "u2") for number in range(10)]
    kept += [client.call("keep", one) for one in sent]
    client.close()
    endpoint.stop()
    for number in range(10):
        assert (kept[number] == number).all()
        assert (kept[10 + number] == number).all()
    gone = threading.Thread(target=kept.clear)
    gone.start()
    gone.join()
    gc.collect()


def test_views_in_reference_cycles_are_collected(echo):
    endpoint, client = echo

    class Node:
        pass

    node = Node()
    node.view = client.call("echo", np.zeros(10_000))
    node.self = node
    gone = weakref.ref(node)
    del node
    gc.collect()
    assert gone() is None
    wait_until(lambda: endpoint.stats()["clients"][0]["views"] == 0, "the view to go")


def test_past_the_bound_copies_are_made_and_counted_and_nothing_stalls(echo):
    endpoint, client = echo
    kept: list[Any] = []

    @endpoint.register
    def keep(value):
        kept.append(value)

    for number in range(80):
        client.call("keep", np.full(5000, number, "u2"))
    stats = endpoint.stats()["clients"][0]
    assert (stats["views"], stats["copied"]) == (64, 16)
    assert [is_shared(one) for one in kept] == [True] * 64 + [False] * 16
    assert all((one == number).all() for number, one in enumerate(kept))
    kept.clear()
    client.call("keep", np.zeros(5000))
    assert is_shared(kept[0])
    kept.clear()


CLIENT = """
import sys
import numpy as np
from pycrust import RpcClient
client = RpcClient("tensors")
print(client.call("keep", np.full(100_000, 7, "u1")), flush=True)
sys.stdin.read()
"""


def test_views_outlive_a_killed_client(echo, start):
    endpoint, _client = echo
    kept: list[Any] = []

    @endpoint.register
    def keep(value):
        kept.append(value)
        return os.getpid()

    other = start(sys.executable, "-c", CLIENT)
    assert other.line() == str(os.getpid())
    other.send(signal.SIGKILL)
    wait_until(lambda: len(endpoint.stats()["clients"]) == 1, "the client to be forgotten")
    assert is_shared(kept[0])
    assert (kept[0] == 7).all()
    kept.clear()


def test_large_arrays_and_the_limit(echo):
    _endpoint, client = echo
    large = np.zeros(1 << 28, "u4")
    large[-1] = 5
    found = client.call("echo", large)
    assert (found.nbytes, int(found[-1]), is_shared(found)) == (1 << 30, 5, True)
    del found
    with pytest.raises(InvalidArgument, match="1074790400 are allowed"):
        client.call("echo", np.zeros((1 << 30) + (1 << 20), "u1"))
    assert client.call("echo", 1) == 1


def test_streams_of_frames_both_ways(echo):
    endpoint, client = echo

    @endpoint.register
    def frames(count: int):
        for number in range(count):
            yield {"number": number, "frame": np.full((100, 100), number, "u2")}

    numbers = []
    for item in client.stream("frames", 100):
        assert (item["frame"] == item["number"]).all()
        numbers.append(item["number"])
    assert numbers == list(range(100))


def test_async_handlers_take_and_give_arrays(echo):
    endpoint, client = echo

    @endpoint.register
    async def add(values: np.ndarray) -> np.ndarray:
        return np.add(values, 1, out=endpoint.empty(values.shape, values.dtype))

    assert client.call("add", np.arange(5000)).tolist() == list(range(1, 5001))


def test_dispatch_here_takes_and_gives_arrays(echo):
    endpoint, _client = echo
    assert same(endpoint._dispatch("echo", [np.arange(3)]), np.arange(3))


def test_a_recorded_call_shows_its_arrays_and_is_not_made_again(echo):
    endpoint, client = echo

    @endpoint.register
    def remembered(value):
        return value

    client.call("remembered", {"image": np.zeros((3, 4), "u1"), "step": 7})
    [call] = endpoint.traffic("remembered")
    assert call.arguments["value"] == {"image": Absent("uint8", (3, 4)), "step": 7}
    assert repr(call.result["image"]) == "<uint8 array of the shape (3, 4), not recorded>"
    with pytest.raises(LookupError, match="were not recorded"):
        call.replay()


KEEPS = """
import sys, threading, time
from pycrust import RpcClient, RpcEndpoint
endpoint = RpcEndpoint("keeps")
kept = []
begun = threading.Event()

@endpoint.register
def keep(value):
    kept.append(value)

@endpoint.register
def stay():
    begun.set()
    time.sleep(600)

endpoint.serve()
print("ready", flush=True)
if sys.stdin.readline() == "by force\\n":
    client = RpcClient("keeps")
    threading.Thread(target=client.call, args=["stay"], daemon=True).start()
    begun.wait()
"""


@pytest.mark.parametrize("end", ["in good order", "by force"])
def test_what_is_still_looked_at_when_its_process_ends_leaves_nothing(start, end, runtime_dir):
    others = shared_memory()
    process = start(sys.executable, "-c", KEEPS, stdin=subprocess.PIPE)
    while process.line() != "ready":
        pass
    before = shared_memory()
    with RpcClient("keeps") as client:
        client.call("keep", np.zeros(100_000))
    wait_until(lambda: shared_memory() != before, "the client to be gone")
    assert shared_memory() - others, "the array keeps its memory"
    process.process.communicate(f"{end}\n", timeout=PATIENCE)
    assert process.process.returncode == 0
    assert shared_memory() - others == set()
    assert [path.name for path in runtime_dir.iterdir() if path.suffix == ".sock"] == []
