"""What kind of process this is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def in_kernel() -> bool:
    """Whether this process is a Jupyter kernel, whose front end may show widgets."""
    kernelbase: Any = sys.modules.get("ipykernel.kernelbase")
    return kernelbase is not None and kernelbase.Kernel.initialized()


def front_end_without(package: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The environment of the JupyterLab that shows this kernel's output, if it lacks an extension.

    A front end loads what draws a widget from its own environment, which need not be the kernel's.

    Args:
        package: The extension, by the name of its folder.
        environ: This process's variables, among them the server's process.

    Returns:
        Its prefix; `None` where it has the extension, or where nobody can tell.
    """
    try:
        command = Path("/proc", environ["JPY_PARENT_PID"], "cmdline").read_bytes()
    except (KeyError, OSError, ValueError):
        return None
    interpreter = Path(os.fsdecode(command.split(b"\0")[0]))
    prefix = interpreter.parent.parent
    # Whatever else has started the kernel brings its own front end.
    if not interpreter.is_absolute() or not (prefix / "share" / "jupyter" / "lab").is_dir():
        return None
    # As jupyter_core looks for data; the server has passed its variables on.
    more = [folder for folder in environ.get("JUPYTER_PATH", "").split(os.pathsep) if folder]
    own = environ.get("JUPYTER_DATA_DIR") or Path.home() / ".local" / "share" / "jupyter"
    folders = [*more, own, prefix / "share" / "jupyter", "/usr/local/share/jupyter", "/usr/share/jupyter"]
    there = any(Path(folder, "labextensions", package).is_dir() for folder in folders)
    return None if there else prefix
