"""Slots with PyTorch modules: weights from files, and what becomes of the old ones."""

from __future__ import annotations

import gc
import weakref

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make setup TORCH=torch installs it")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from pycrust import load_weights  # noqa: E402 - behind the skips

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")),
]


def network():
    return torch.nn.Linear(4, 2)


def saved(path, value: float):
    net = network()
    torch.nn.init.constant_(net.weight, value)
    torch.nn.init.zeros_(net.bias)
    safetensors.save_file(net.state_dict(), path)
    return path


def test_safetensors(tmp_path):
    net = load_weights(network(), saved(tmp_path / "a.safetensors", 3.0))
    assert not net.training
    assert net.weight[0, 0].item() == 3.0
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(torch.nn.Linear(5, 2), tmp_path / "a.safetensors")


def test_pickles_need_a_word(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(network().state_dict(), path)
    with pytest.raises(ValueError, match="allow_pickle=True if you trust it"):
        load_weights(network(), path)
    load_weights(network(), path, allow_pickle=True)


@pytest.mark.parametrize("device", DEVICES)
def test_old_modules_and_their_memory_go(endpoint, tmp_path, device):
    modules, sizes = [], []

    def load(value: float = 1.0):
        net = load_weights(network(), saved(tmp_path / "a.safetensors", value), device=device)
        modules.append(weakref.ref(net))
        return net

    slot = endpoint.model("net", load, warmup=lambda net: net(torch.zeros(4, device=device)))

    @endpoint.register(models=["net"], context=torch.inference_mode)
    def act(xs: list[float], net) -> list[float]:
        return net(torch.tensor(xs, device=device)).tolist()

    for value in range(2, 12):
        assert slot.reload(float(value)).wait(drained=True).error is None
        assert endpoint["act"]([1, 0, 0, 0]) == [value, value]
        if device == "cuda":
            gc.collect()
            sizes.append(torch.cuda.memory_allocated())
    assert sum(ref() is not None for ref in modules) == 1
    assert len(set(sizes)) <= 1, "memory goes back to its allocator"
    assert [one.state for one in slot.history] == ["retired"] * 10 + ["live"]


def test_a_global_module_is_warned_of(endpoint):
    names = {"net": network(), "endpoint": endpoint}
    with pytest.warns(UserWarning, match="reads the global 'net', a torch module: bind it to the call"):
        exec("@endpoint.register\ndef f() -> float:\n    return float(net.bias[0])", names)  # noqa: S102
