"""The Python side of an example program, as a module."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def load(script: Path) -> ModuleType:
    """Runs a script without what stands under its `if __name__ == "__main__"`."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec
    assert spec.loader
    # As for a script: what stands beside it can be imported.
    sys.path.insert(0, str(script.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
