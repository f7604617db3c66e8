"""Tests of what is installed: `python -m release.pythons` builds a wheel for each interpreter and tests it there.

Each interpreter gets an environment of its own below `target/pythons`, with the wheel and no way to the source.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "target" / "pythons"
#: What the notebook's tests and the fixtures need beside the group `dev`.
EXTRAS = "notebook"
TESTS = ("tests/unit", "tests/interop", "tests/jupyter/test_debugging.py")
#: Containers are played with what this checkout has built, which is not what is installed.
ELSEWHERE = "tests/interop/test_operating.py::TestContainers"


def run(*command: object, **environment: str) -> None:
    """Runs a program; its failure is this one's."""
    print("$", *command, flush=True)
    outcome = subprocess.run(list(map(str, command)), cwd=ROOT, env={**os.environ, **environment}, check=False)
    if outcome.returncode:
        sys.exit(outcome.returncode)


def environment(python: str) -> Path:
    """The folder of an interpreter, with an environment in it that has what tests need."""
    asked = "import sysconfig; print(sysconfig.get_config_var('SOABI'))"
    name = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    folder, pip = HERE / name, HERE / name / "bin" / "pip"
    installed = folder / ".installed"
    if not installed.exists() or installed.stat().st_mtime < (ROOT / "pyproject.toml").stat().st_mtime:
        run(python, "-m", "venv", folder)
        run(pip, "install", "--quiet", "--upgrade", "pip>=25.1")
        run(pip, "install", "--quiet", "--group", "dev")
        installed.touch()
    return folder


def install(folder: Path) -> None:
    """Builds a wheel for an environment, as quickly as that goes, and installs it there."""
    wheels = folder / "wheels"
    for old in wheels.glob("*.whl"):
        old.unlink()
    # With the steps at which tests end a process, as `make build` has them: then little is compiled once more.
    run(
        sys.executable, "-m", "maturin", "build", "--profile", "release", "--features", "fault-points",
        "--interpreter", folder / "bin" / "python", "--compatibility", "linux", "--out", wheels,
    )  # fmt: skip
    [wheel] = wheels.glob("*.whl")
    run(folder / "bin" / "pip", "install", "--quiet", "--force-reinstall", "--no-deps", wheel)
    run(folder / "bin" / "pip", "install", "--quiet", f"pycrust[{EXTRAS}] @ {wheel.as_uri()}")


def test(folder: Path, tests: list[str]) -> None:
    """Runs tests in an environment, which sees this project's tests and nothing else of its source."""
    tree = folder / "tree"
    tree.mkdir(exist_ok=True)
    for name in ("pyproject.toml", "tests"):
        if not (tree / name).is_symlink():
            (tree / name).symlink_to(ROOT / name)
    python = folder / "bin" / "python"
    # Whatever is started in the source folder would import from there.
    safe = {"PYTHONSAFEPATH": "1", "VIRTUAL_ENV": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    outcome = subprocess.run(
        [python, "-c", "import pycrust; print(pycrust.__file__)"],
        cwd=tree, env={**os.environ, **safe}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    where = Path(outcome.stdout.strip())
    if not where.is_relative_to(folder):
        sys.exit(f"tested would be {where}")
    print(f"testing {where}", flush=True)
    command = [python, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--rootdir", tree, "-p", "no:cacheprovider"]
    outcome = subprocess.run(
        [*command, "--deselect", ELSEWHERE, *tests], cwd=tree, env={**os.environ, **safe}, check=False
    )
    if outcome.returncode:
        sys.exit(outcome.returncode)


def main() -> None:
    """Tests every interpreter that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON", help="an interpreter: its path or its name")
    parser.add_argument("--tests", default=" ".join(TESTS), help="what of the tests, as pytest takes it")
    chosen = parser.parse_args()
    for python in chosen.pythons:
        folder = environment(python)
        install(folder)
        test(folder, chosen.tests.split())


if __name__ == "__main__":
    main()
