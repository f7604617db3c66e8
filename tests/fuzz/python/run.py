"""atheris' loop around one target: `python -m tests.fuzz.python.run decode CORPUS... [-max_total_time=60 ...]`.

Pure Python is instrumented as it is imported. The extension tells its own coverage if it is one that
`make fuzz` has built for that, which `PYCRUST_FUZZ_EXTENSION` names.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

import atheris


def load_extension(path: Path) -> None:
    """Takes the extension from there. What it calls to tell of its coverage is in `coverage.so` above it."""
    os.environ["PYCRUST_FUZZ_CORE"] = next(
        str(core) for core in Path(atheris.__file__).parent.glob("core_with_libfuzzer.*.so")
    )
    ctypes.CDLL(str(path.parents[2] / "coverage.so"), os.RTLD_NOW | os.RTLD_GLOBAL)
    spec = importlib.util.spec_from_file_location("pycrust._native", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pycrust._native"] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Runs the target that the first argument names."""
    name = sys.argv.pop(1)
    if path := os.environ.get("PYCRUST_FUZZ_EXTENSION"):
        load_extension(Path(path))
    with atheris.instrument_imports(include=["pycrust", "tests.fuzz"]):
        from tests.fuzz.python.targets import TARGETS
    # libFuzzer merges in processes of their own, which a shell starts by this.
    again = f"{sys.executable} -m tests.fuzz.python.run {name}"
    atheris.Setup([again, *sys.argv[1:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
