"""Weights of PyTorch modules from files, without running code that a file brings."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike


def load_weights(
    module: Any, path: str | PathLike[str], *, strict: bool = True, device: str = "cpu", allow_pickle: bool = False
) -> Any:
    """Loads a state dict into a PyTorch module and sets it to evaluation.

    Args:
        module: The module, made but not trained.
        path: A `.safetensors` file; or, with `allow_pickle`, one that `torch.save` has written.
        strict: Whether names that are missing or left over are an error.
        device: Where the weights go.
        allow_pickle: Whether a pickled file may be read: pickles can run code, so only one that you trust.

    Returns:
        The module.

    Raises:
        ValueError: The file is not safetensors and `allow_pickle` was not given.
        RuntimeError: Names or shapes don't fit the module.

    Example:
        ```python
        policy = endpoint.model("policy", lambda path="v1.safetensors": load_weights(Policy(), path))
        policy.reload("v2.safetensors")
        ```
    """
    file = Path(path)
    if file.suffix == ".safetensors":
        state: Any = import_module("safetensors.torch").load_file(file, device=device)
    elif allow_pickle:
        state = import_module("torch").load(file, map_location=device, weights_only=True)
    else:
        raise ValueError(
            f"{file.name} is not a .safetensors file, and other weights are pickled, which can run code: convert "
            "it with safetensors.torch.save_file, or say allow_pickle=True if you trust it"
        )
    module.load_state_dict(state, strict=strict)
    return module.to(device).eval()
