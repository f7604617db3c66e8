"""PyTorch tensors as arguments and results; skipped where PyTorch is not installed."""

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from pycrust import InvalidArgument, RpcClient, RpcEndpoint, to_torch

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
