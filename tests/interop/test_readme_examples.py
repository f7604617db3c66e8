"""The README's examples of streams and of the Python client do what it says."""

import re
import subprocess
import sys

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
