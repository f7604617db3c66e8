"""Large objects that a handler holds or reads: they belong into a model slot, and the user is told once."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from pycrust.text.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pycrust.functions.globals import Reads

#: Bytes from which an array counts as large.
LARGE = 1 << 20

_warned: set[tuple[str, str, str]] = set()


def warn_of_large(endpoint: str, method: str, closure: Mapping[str, Any], reads: Reads) -> None:
    """Warns, once for each name, of a model or a large array that a handler closes over or reads.

    A handler that reads a global model can see two models in one call, and one that closes over a model keeps it
    alive for as long as its version is kept.
    """
    for how, values in (("closes over", closure.items()), ("reads the global", reads.values())):
        for name, value in values:
            what = large_kind(value)
            if what is None or (endpoint, method, name) in _warned:
                continue
            _warned.add((endpoint, method, name))
            warnings.warn(
                f"{endpoint}.{method} {how} {name!r}, {what}: bind it to the call instead, "
                f"endpoint.model({name!r}, load=...) and register(models=[{name!r}]); then a reload swaps it "
                "between calls and frees the old one",
                stacklevel=_depth_of_user(),
            )


def large_kind(value: Any) -> str | None:
    """What a large object is, in a few words; `None` for one that is not large."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        return "a torch module"
    if isinstance(value, (bytes, bytearray)):
        size: Any = len(value)
    elif hasattr(kind_of(value), "__array__") or hasattr(kind_of(value), "__dlpack__"):
        size = getattr(value, "nbytes", 0)
    else:
        return None
    if not isinstance(size, int) or size < LARGE:
        return None
    return f"{type(value).__name__} of {size / (1 << 20):.0f} MiB"


def _depth_of_user() -> int:
    """How far out the first frame is that is not this package's, as `warnings.warn` counts."""
    depth, frame = 1, sys._getframe(1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as `warnings` itself does
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("pycrust."):
        depth, frame = depth + 1, frame.f_back
    return depth
