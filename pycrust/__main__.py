"""`python -m pycrust`: the command line, as `pycrust` has it."""

from __future__ import annotations

import sys

from pycrust.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
