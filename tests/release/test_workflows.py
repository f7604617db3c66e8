"""What GitHub runs: recipes of the Makefile, with no more rights than they need."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
RECIPES = set(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"\$\(([A-Z_]+)\)", MAKEFILE))
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: `${{ … }}`, which GitHub replaces before a shell sees the line.
EXPRESSION = re.compile(r"\$\{\{[^}]*\}\}")


def read(file: Path) -> dict[str, Any]:
    # `on` is a truth in YAML 1.1.
    return yaml.safe_load(file.read_text().replace("\non:", "\n'on':"))


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in read(file)["jobs"].values() for step in job.get("steps", [])]


def wrong(line: str) -> str | None:
    """Why a line that GitHub runs is none of a recipe; `None` if it is one."""
    program, *words = shlex.split(EXPRESSION.sub("value", line))
    if program != "make":
        return f"{line}: no recipe"
    settings = [word.split("=")[0] for word in words if "=" in word]
    recipes = [word for word in words if "=" not in word]
    unknown = [name for name in recipes if name not in RECIPES] + [
        name for name in settings if name not in VARIABLES
    ]
    return f"{line}: the Makefile has no {', '.join(unknown)}" if unknown or not recipes else None


def test_there_are_workflows():
    assert {"test.yml", "wheels.yml", "release.yml"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_step_is_a_recipe(file):
    lines = [line for step in steps(file) if "run" in step for line in step["run"].splitlines()]
    assert [said for line in lines if (said := wrong(line))] == []


@pytest.mark.parametrize("line", ["cargo test", "make nothing-of-this-name", "make test NO_SUCH=1", "make"])
def test_what_is_no_recipe_is_seen(line):
    assert wrong(line)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_rights_are_few_and_actions_are_pinned(file):
    told = read(file)
    assert told["permissions"] == {"contents": "read"}
    for name, job in told["jobs"].items():
        more = {right for right, how in job.get("permissions", {}).items() if how == "write"}
        assert more <= {"pypi": {"id-token"}, "crates-io": {"id-token"}, "github": {"contents"}}.get(name, set())
    for step in steps(file):
        if "uses" in step:
            assert re.search(r"@(v\d+|release/v\d+)$", step["uses"]), step["uses"]
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_every_python_that_is_promised_is_tested_and_built():
    promised = set(re.findall(r"Python :: (3\.\d+)\"", (ROOT / "pyproject.toml").read_text()))
    assert len(promised) == 4
    assert (
        set(read(ROOT / ".github/workflows/test.yml")["jobs"]["pythons"]["strategy"]["matrix"]["python"])
        == promised
    )
    built = [
        step["run"] for step in steps(ROOT / ".github/workflows/wheels.yml") if "make wheels" in step.get("run", "")
    ]
    assert built
    assert {name for line in built for name in re.findall(r"python(3\.\d+)", line)} == promised


def test_actionlint_finds_nothing():
    if not shutil.which("go"):
        pytest.skip("actionlint needs Go")
    done = subprocess.run(["make", "workflows"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
