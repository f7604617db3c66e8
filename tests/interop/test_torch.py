"""PyTorch tensors as arguments and results; skipped where PyTorch is not installed."""

import gc
import os
import struct
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from pycrust import DType, InvalidArgument, RpcClient, RpcEndpoint, Shape, to_torch
from tests.conftest import wait_until

torch = pytest.importorskip("torch")


class Observation(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    images: list[torch.Tensor]


@pytest.fixture
def served():
    endpoint = RpcEndpoint("torch", fresh=True)

    @endpoint.register
    def echo(value):
        return value

    with endpoint, RpcClient("torch") as client:
        yield endpoint, client
    RpcEndpoint("torch", fresh=True)


def mapping(address: int) -> list[str]:
    """Permissions, file and so on of the mapping that an address lies in."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(bound, 16) for bound in line.split()[0].split("-"))
        if low <= address < high:
            return line.split()[1:]
    raise LookupError(hex(address))


def is_not_copied(tensor: torch.Tensor) -> bool:
    """Whether a tensor lies in a mapping of shared memory, and every page that was looked at is the file's."""
    start, size = tensor.data_ptr(), tensor.numel() * tensor.element_size()
    permissions, *_, path = mapping(start)
    assert mapping(start + size - 1) == mapping(start)
    with Path("/proc/self/pagemap").open("rb", 0) as pages:
        count = -(-size // 4096)
        entries = struct.unpack(f"{count}Q", os.pread(pages.fileno(), 8 * count, start // 4096 * 8))
    own = [entry for entry in entries if entry >> 62 & 1 or (entry >> 61) & 0b101 == 0b100]
    return path.startswith("/dev/shm/") and permissions == "rw-p" and not own


def test_a_large_argument_is_a_tensor_in_shared_memory(served):
    endpoint, client = served

    @endpoint.register
    def look(image: Annotated[torch.Tensor, Shape(None, None, 3), DType("uint8")], weights: torch.Tensor) -> list:
        assert is_not_copied(image)
        assert is_not_copied(weights)
        total = [int(image.sum(dtype=torch.int64)), float(weights.sum())]
        assert is_not_copied(image)
        return total

    rng = np.random.default_rng(1)
    for _ in range(20):
        image = rng.integers(0, 255, (224, 224, 3), "u1")
        weights = np.asfortranarray(rng.integers(0, 9, (300, 200)).astype("f4"))
        assert client.call("look", image, weights) == [int(image.sum()), float(weights.sum())]


def test_what_a_handler_writes_stays_with_its_call(served):
    endpoint, client = served

    @endpoint.register
    def spoil(image: torch.Tensor, again: np.ndarray) -> list:
        before = again.copy()
        image[100:] += 1
        image[0, 0] = 99
        assert not is_not_copied(image)
        assert np.array_equal(again, before)
        return [int(image.sum(dtype=torch.int64)), int(again.sum())]

    @endpoint.register
    def total(image: torch.Tensor) -> int:
        assert is_not_copied(image)
        return int(image.sum(dtype=torch.int64))

    rng = np.random.default_rng(2)
    for _ in range(20):
        image = rng.integers(0, 200, (224, 224, 3), "u1")
        changed = image.copy()
        changed[100:] += 1
        changed[0, 0] = 99
        assert client.call("spoil", image, image) == [int(changed.sum()), int(image.sum())]
        # The same memory again: nothing is left of what was written.
        assert client.call("total", image) == int(image.sum())


def test_tensors_of_one_argument_do_not_share_what_is_written(served):
    endpoint, client = served

    @endpoint.register
    def both(image: np.ndarray) -> list:
        first, second = to_torch(image), to_torch(image)
        assert is_not_copied(first)
        first.zero_()
        return [int(first.sum()), int(second.sum()), int(image.sum())]

    assert client.call("both", np.ones((300, 300), "u1")) == [0, 90_000, 90_000]


def test_a_tensor_outlives_its_call_and_its_connection(served):
    endpoint, client = served
    kept = []

    @endpoint.register
    def keep(image: torch.Tensor) -> None:
        image[0] = 7
        kept.append(image)

    with RpcClient("torch") as other:
        other.call("keep", np.full((300, 300), 3, "u1"))
        views = endpoint.stats()["clients"][-1]["views"]
    for number in range(100):
        client.call("echo", np.full((300, 300), number, "u1"))
    assert views == 1
    assert int(kept[0].sum(dtype=torch.int64)) == 7 * 300 + 3 * 299 * 300
    kept.clear()
    gc.collect()
    wait_until(lambda: all(one["views"] == 0 for one in endpoint.stats()["clients"]), "the sample to be free")


def test_bfloat16_comes_without_a_copy(served):
    endpoint, client = served

    @endpoint.register
    def mean(values: torch.Tensor) -> float:
        assert values.dtype is torch.bfloat16
        assert is_not_copied(values)
        return float(values.float().mean())

    assert client.call("mean", torch.full((200, 300), 1.5, dtype=torch.bfloat16)) == 1.5


def test_an_annotated_argument_is_a_tensor_of_the_handler_s_own(served):
    endpoint, client = served

    @endpoint.register
    def double(values: torch.Tensor) -> torch.Tensor:
        values *= 2
        return values

    sent = np.arange(5000, dtype="f4")
    assert np.array_equal(client.call("double", sent), sent * 2)
    assert np.array_equal(client.call("double", sent.astype(">f4")), sent * 2)
    assert np.array_equal(
        client.call("double", np.asfortranarray(sent.reshape(50, 100))), (sent * 2).reshape(50, 100)
    )
    with pytest.raises(InvalidArgument, match=r"torch\.Tensor"):
        client.call("double", [1])


def test_tensors_in_a_model(served):
    endpoint, client = served

    @endpoint.register(request_model=Observation)
    def count(observation: Observation) -> int:
        assert all(isinstance(image, torch.Tensor) for image in observation.images)
        return sum(image.numel() for image in observation.images)

    assert client.call("count", images=[np.zeros((2, 3)), torch.zeros(4)]) == 10


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "complex64"])
def test_tensors_cross_as_arrays(served, dtype):
    _endpoint, client = served
    for tensor in [
        torch.ones(3, 4).to(getattr(torch, dtype)),
        torch.ones(100, 100).to(getattr(torch, dtype)).T[::2],
        torch.ones(0, 2).to(getattr(torch, dtype)),
        torch.tensor(1).to(getattr(torch, dtype)),
        torch.ones(5, requires_grad=True).to(getattr(torch, dtype)),
    ]:
        found = client.call("echo", tensor)
        assert found.dtype.name == dtype
        assert np.array_equal(found, tensor.detach().numpy())


def test_bfloat16_comes_as_a_tensor_or_with_its_own_type(served):
    _endpoint, client = served
    tensor = torch.arange(10, dtype=torch.bfloat16)
    found = client.call("echo", tensor)
    assert [float(value) for value in found] == list(range(10))


def test_results_are_built_in_place(served):
    endpoint, client = served

    @endpoint.register
    def product(first: np.ndarray, second: np.ndarray):
        out = endpoint.empty((100, 100), torch.float32)
        return torch.mm(to_torch(first), to_torch(second), out=out)

    ones = np.ones((100, 100), "f4")
    assert (client.call("product", ones, ones) == 100).all()
    assert endpoint.stats()["clients"][0]["sent_in_place"] == 1


def test_what_cannot_cross_says_what_to_do(served):
    _endpoint, client = served
    with pytest.raises(TypeError, match="to_dense"):
        client.call("echo", torch.ones(2, 2).to_sparse())
    with pytest.raises(TypeError, match=r"\.cpu\(\)"):
        client.call("echo", torch.ones(2, device="meta"))


def test_an_argument_is_copied_to_another_device_at_once(served):
    endpoint, client = served

    @endpoint.register
    def shape(image: np.ndarray) -> list[int]:
        elsewhere = to_torch(image, "meta")
        assert elsewhere.device.type == "meta"
        return list(elsewhere.shape)

    assert client.call("shape", np.zeros((224, 224, 3), "u1")) == [224, 224, 3]
    assert client.call("shape", np.zeros((0, 3))) == [0, 3]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_one_call_copies_an_argument_to_a_gpu(served):
    endpoint, client = served

    @endpoint.register
    def mean(image: np.ndarray) -> float:
        on_gpu = to_torch(image, "cuda")
        assert on_gpu.is_cuda
        return float(on_gpu.float().mean())

    assert client.call("mean", np.full((224, 224, 3), 7, "u1")) == 7.0
