"""Code that IPython itself runs inside of a cell: scripts of `%run`, what `%%prun` profiles, reloaded modules.

IPython may show such code's failure, or swallow it, and call the cell around it a success; no hook announces its
end. So its frame says how it ended: one that returned stopped at a return instruction.
"""

from __future__ import annotations

import dis
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import IPython

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_IPYTHON = str(Path(IPython.__file__).parent) + os.sep
#: Runs the cell's own statements.
_CELL = "run_code"
#: Those that take a script's `sys.exit(0)` for a good end, and show any other failure.
_FORGIVING = frozenset({"safe_execfile", "safe_run_module"})
_RETURNS = frozenset({dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in dis.opmap})


class Script:
    """One run of a module's or a script's code, known by its frame. It takes the place of an `ExecutionResult`.

    Args:
        frame: The code's own frame.
        runner: The frame of IPython's that runs it.
        cell: The result of the run that it belongs to.
    """

    def __init__(self, frame: FrameType, runner: FrameType, cell: Any) -> None:
        """It has just been seen on the stack."""
        self.frame = frame
        self.info, self.execution_count = cell.info, cell.execution_count
        if runner.f_code.co_name == "execfile" and runner.f_back is not None:
            runner = runner.f_back  # `safe_execfile`, which that is inside of
        self._forgiving = runner.f_code.co_name in _FORGIVING and not runner.f_locals.get("raise_exceptions")
        #: Whether an error that came out of it was shown.
        self.shown = False

    @property
    def name(self) -> str:
        """The file that the code is from."""
        return Path(self.frame.f_code.co_filename).name

    @property
    def success(self) -> bool:
        """Whether it ran to its end, or left by a `sys.exit` that is no failure. Asked when it is over."""
        code = self.frame.f_code.co_code
        returned = 0 <= self.frame.f_lasti < len(code) and code[self.frame.f_lasti] in _RETURNS
        return returned or (self._forgiving and not self.shown)


def runs_of_ipython(frame: FrameType | None) -> Iterator[tuple[FrameType, FrameType | None]]:
    """The frames of a stack, the innermost first; beside one that runs such code, that code's own frame."""
    module = None
    while frame is not None:
        code, ran = frame.f_code, None
        if code.co_name == "<module>":
            module = frame
        elif module is not None and code.co_filename.startswith(_IPYTHON):
            ran, module = module if code.co_name != _CELL else None, None
        yield frame, ran
        frame = frame.f_back
