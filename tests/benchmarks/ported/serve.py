"""Serves the Python side of an example program until standard input ends: `serve SCRIPT [CELL]`.

The script's `endpoint` is served as a notebook serves it; then `CELL` runs, as a cell after it would.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.ported.loading import load


def main() -> None:
    script, *cells = sys.argv[1:]
    module = load(Path(script))
    with module.endpoint:
        for cell in cells:
            exec(cell, module.__dict__)  # noqa: S102 - the command line is this folder's own
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
