"""The two programs that every user starts from run as they are, against each other."""

import json
import signal
import sys
from pathlib import Path

from tests.conftest import ROOT, wait_until
from tests.docs.blocks import blocks

PYTHON_PROGRAM = Path(__file__).with_name("contract_calculator.py")
RUST_PROGRAM = Path(__file__).with_name("contract_client.rs")


def test_the_two_programs_run_against_each_other(start, rust, runtime_dir):
    server = start(sys.executable, PYTHON_PROGRAM)
    wait_until(lambda: list(runtime_dir.glob("*.sock")), "the server")
    rust("contract").finish()
    for arguments in ('{"a": 10, "b": 20}', "[10, 20]"):
        call = rust("call", "--endpoint", "calculator", "--method", "add", "--args", arguments)
        assert json.loads(call.finish())["value"] == 30, "a struct crosses as a map and as an array"
    server.send(signal.SIGINT)
    server.finish()


def test_the_readme_shows_these_programs():
    shown = [block.text.strip() for block in blocks((ROOT / "README.md").read_text(), "README.md")]
    assert PYTHON_PROGRAM.read_text().strip() in shown
    assert RUST_PROGRAM.read_text().strip() in shown
