"""What `import pycrust` takes on top of pydantic."""

from __future__ import annotations

import subprocess
import sys

from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results

NAME = "import/pycrust after pydantic"
SOURCE = (
    "import time; from pydantic import BaseModel, TypeAdapter\n"
    "class Model(BaseModel):\n    field: int\n"
    "begun = time.perf_counter(); import pycrust; print((time.perf_counter() - begun) * 1e3)"
)


def imported(_seconds: float) -> Figures:
    run = subprocess.run([sys.executable, "-c", SOURCE], capture_output=True, text=True, check=True)
    return {"value": float(run.stdout)}


def goals(results: Results) -> list[Goal]:
    if not results.has(NAME):
        return []
    return [Goal("import pycrust on top of pydantic, ms", results.medians(NAME)["value"], 150)]


CASE = Case([Measurement(NAME, imported, unit="ms")], goals)
