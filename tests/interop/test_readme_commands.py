"""The README's command lines do what it says, in a directory with its calculator."""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

from tests.conftest import ROOT
from tests.interop.command_line import PYCRUST, environment, run

README = (ROOT / "README.md").read_text()


def lines() -> list[list[str]]:
    """The commands of the section, as a shell would split them."""
    section = README.partition("## Command line")[2].partition("\n## ")[0]
    block = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0]
    return [shlex.split(line, comments=True) for line in block.splitlines()]


def test_every_command_has_a_line():
    # Those that a section of their own shows stand there.
    commands = {path.stem for path in (ROOT / "pycrust/cli/commands").glob("[a-z]*.py")}
    shown = {words[1] for words in lines()}
    assert {name for name in commands - shown if f"pycrust {name} " not in README} == set()
    assert all(words[0] == "pycrust" and words[1] in commands for words in lines())


def test_they_run(tmp_path: Path, start):
    calculator = next(
        block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "endpoint.listen()" in block
    )
    (tmp_path / "calculator.py").write_text(calculator)
    serve, *others = lines()
    assert serve[1] == "serve"
    program = start(*PYCRUST, *serve[1:], cwd=tmp_path, env=environment())
    assert program.line().startswith("serving calculator")
    for words in others:
        if words[1] == "top":
            words.append("--json")  # without a terminal
        if words[1] == "record":
            words.append("--held")  # the calls of before
        done = run(*words[1:], cwd=tmp_path)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        if words[1] == "call":
            assert done.stdout == "3\n"
        if words[1] == "replay":
            assert re.match(r"[1-9]\d* calls, [1-9]\d* agree, 0 differ", done.stdout)
    assert (tmp_path / "calculator_client.py").exists()
    program.send(signal.SIGTERM)
    program.process.communicate()
    assert program.process.returncode == 0
