"""The README's examples of streams and of the Python client do what it says."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def test_the_market_answers_as_the_readme_says():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    market, client = (next(block for block in blocks if word in block) for word in ('"market")\n\n@', "RpcClient("))
    program = f"{market}\nendpoint.serve()\n{client}\nendpoint.stop()"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    shown = re.findall(r"# (.*)", client)
    printed = ran.stdout.splitlines()[1:]
    for line, expected in zip(printed, shown, strict=True):
        assert re.fullmatch(re.escape(expected).replace("…", ".*"), line), (line, expected)


def test_the_model_slot_does_what_the_readme_says():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    slot = next(block for block in blocks if "endpoint.model(" in block)
    show = "print(endpoint['scale'](2.0), gain.version, [one.number for one in endpoint['scale'].history])"
    ran = subprocess.run([sys.executable, "-c", f"{slot}\n{show}"], capture_output=True, text=True, check=False)
    assert ran.stdout == "10.0 2 [1, 2]\n", ran.stderr


def _in_order(block: str, source: str) -> bool:
    """Whether the lines of an example stand in a program, which is compiled, in this order."""
    lines = iter([line.strip() for line in source.splitlines()])
    return all(line.strip() in lines for line in block.splitlines() if line.strip())


@pytest.mark.parametrize(
    ("word", "program"),
    [("tracing_opentelemetry::layer()", "examples/traced.rs"), ("tower::retry::Policy", "tests/observability.rs")],
)
def test_the_rust_examples_of_telemetry_are_of_programs(word, program):
    blocks = re.findall(r"```rust\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = [block for block in blocks if word in block]
    assert _in_order(block, (ROOT / "client-rs" / program).read_text())
    assert not _in_order(f"{block}\nnot_there();", (ROOT / "client-rs" / program).read_text())


def test_the_worker_s_spans_are_printed_as_the_readme_says():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "pycrust.telemetry.instrument()" in block]
    use = """
from pycrust import RpcClient, RpcEndpoint
with RpcEndpoint("told") as endpoint, RpcClient("told", lazy=True) as client:
    endpoint.register("add")(lambda a, b: a + b)
    assert client.call("add", 1, 2) == 3
"""
    ran = subprocess.run([sys.executable, "-c", f"{block}{use}"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert re.findall(r'"kind": "SpanKind\.(\w+)"', ran.stdout) == ["SERVER", "CLIENT"]
    assert ran.stdout.count('"name": "told/add"') == 2
