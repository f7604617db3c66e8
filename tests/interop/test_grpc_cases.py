"""gRPC's interoperability cases that have a counterpart here, and what only this project has beside them."""

import re
import signal
import sys
from pathlib import Path

from tests.conftest import ROOT, wait_until

WORKER = Path(__file__).with_name("grpc_worker.py")


def test_every_case_passes(start, rust, runtime_dir):
    worker = start(sys.executable, WORKER)
    wait_until(lambda: list(runtime_dir.glob("*.sock")), "the worker")
    passed = rust("grpc_cases").finish().split("\n")
    source = (ROOT / "tests" / "programs" / "src" / "cases" / "grpc_cases.rs").read_text()
    listed = re.search(r"const CASES: .*?= \[(.*?)\]", source, re.DOTALL)
    assert listed
    cases = re.findall(r'"(\w+)"', listed[1])
    assert len(cases) >= 18
    assert passed[:-1] == [f"ok {case}" for case in cases]
    worker.send(signal.SIGINT)
    worker.finish()
