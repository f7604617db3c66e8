"""What tests of the command line share: commands as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PYCRUST = (sys.executable, "-m", "pycrust")


def environment(**more: str) -> dict[str, str]:
    """What a command runs with."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: object, cwd: Path = ROOT, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end.

    Args:
        *arguments: What follows `pycrust`.
        cwd: Where it runs.
        said: What it reads from its standard input.
        **more: Variables of its environment.
    """
    command = [*PYCRUST, *(str(one) for one in arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, input=said, env=environment(**more)
    )


def answer(*arguments: object, status: int = 0, said: str = "") -> str:
    """The output of a command that ends with this status."""
    done = run(*arguments, said=said)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout
