"""What kind of process this is."""

from __future__ import annotations

import sys
from typing import Any


def in_kernel() -> bool:
    """Whether this process is a Jupyter kernel, whose front end may show widgets."""
    kernelbase: Any = sys.modules.get("ipykernel.kernelbase")
    return kernelbase is not None and kernelbase.Kernel.initialized()
