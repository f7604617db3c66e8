"""What a shell completes: commands, live endpoints, their methods."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.interop.command_line import PYCRUST, answer, environment, run

WORKER = """
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("calculator")
endpoint.register("add")(lambda a, b: a + b)
endpoint.register("subtract")(lambda a, b: a - b)
endpoint.serve()
"""


def completed(*words: str) -> list[str]:
    """What bash offers for the last word of a command line."""
    done = run(
        _PYCRUST_COMPLETE="bash_complete", COMP_WORDS=shlex.join(["pycrust", *words]), COMP_CWORD=str(len(words))
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


class TestCandidates:
    def test_commands(self):
        assert completed("comp") == ["completion"]
        assert {"ls", "stub", "types"} <= set(completed(""))

    def test_endpoints_that_live(self, worker):
        assert completed("types", "calc") == ["calc"]  # a file, then
        worker(WORKER)
        assert completed("types", "calc") == ["calculator"]
        assert "--lock" in completed("types", "calculator", "--")
        assert completed("describe", "") == ["calculator"]

    def test_methods_of_an_endpoint(self, worker):
        assert completed("call", "calculator", "") == []
        worker(WORKER)
        assert completed("call", "calculator", "") == ["add", "subtract"]
        assert completed("call", "calculator", "s") == ["subtract"]
        assert completed("call", "no endpoint", "") == []


class TestScript:
    def test_bash_uses_it(self, worker, tmp_path: Path):
        worker(WORKER)
        program = tmp_path / "pycrust"
        program.write_text(f'#!/bin/sh\nexec {" ".join(PYCRUST)} "$@"\n')
        program.chmod(0o700)
        script = (
            'eval "$(pycrust completion bash)"; COMP_WORDS=(pycrust stub calc); COMP_CWORD=2; '
            '_pycrust_completion pycrust; echo "${COMPREPLY[@]}"'
        )
        variables = environment(PATH=f"{tmp_path}:{environment()['PATH']}")
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=variables)
        assert (done.stdout, done.stderr) == ("calculator\n", "")

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_it_says_how_to_install_it(self, shell):
        assert answer("completion", shell).startswith("# To install it, ")
        told = json.loads(answer("completion", shell, "--json"))
        assert (told["shell"], f"{shell}_complete" in told["script"]) == (shell, True)

    def test_another_shell(self):
        done = run("completion", "tcsh")
        assert (done.returncode, done.stdout, "'tcsh' is not one of" in done.stderr) == (2, "", True)
