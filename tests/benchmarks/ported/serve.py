"""Serves the Python side of an example program until standard input ends: `serve SCRIPT [NAME=VALUE …]`.

The script's `endpoint` is served as a notebook serves it; what stands under `if __name__ == "__main__"` does not
run. Its globals of these names get these values first, literals of Python's.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path


def main() -> None:
    script, *settings = sys.argv[1:]
    spec = importlib.util.spec_from_file_location(Path(script).stem, script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    for setting in settings:
        name, _, value = setting.partition("=")
        if not hasattr(module, name):
            raise SystemExit(f"{script} has no {name}")
        setattr(module, name, ast.literal_eval(value))
    with module.endpoint:
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
