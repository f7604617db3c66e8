"""JupyterLab in another environment than the kernel: what it lacks is named, with the way to get it."""

import subprocess
import sys

import pytest

from pycrust.process.environment import front_end_without

SHOW = """
from IPython.display import display
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("elsewhere")
bundle = endpoint._repr_mimebundle_()
data = bundle[0] if isinstance(bundle, tuple) else bundle
print(sorted(data))
print(data["text/plain"])
"""


@pytest.fixture
def prefix(tmp_path):
    """An environment with a JupyterLab and no extension."""
    prefix = tmp_path / "lab"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python").symlink_to(sys.executable)
    (prefix / "share" / "jupyter" / "lab").mkdir(parents=True)
    return prefix


@pytest.fixture
def server(prefix):
    """A process of that environment, as a Jupyter server would be."""
    process = subprocess.Popen(
        [prefix / "bin" / "python", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    yield process
    process.communicate()


def variables(server, tmp_path, **more):
    return {"JPY_PARENT_PID": str(server.pid), "JUPYTER_DATA_DIR": str(tmp_path / "own"), **more}


def test_what_it_lacks_is_seen_until_it_is_there(server, prefix, tmp_path):
    told = variables(server, tmp_path)
    assert front_end_without("anywidget-of-nobody", told) == prefix
    (prefix / "share/jupyter/labextensions/anywidget-of-nobody").mkdir(parents=True)
    assert front_end_without("anywidget-of-nobody", told) is None


@pytest.mark.parametrize("variable", ["JUPYTER_DATA_DIR", "JUPYTER_PATH"])
def test_it_may_have_it_from_elsewhere(server, tmp_path, variable):
    (tmp_path / "more/labextensions/anywidget-of-nobody").mkdir(parents=True)
    told = variables(server, tmp_path, **{variable: str(tmp_path / "more")})
    assert front_end_without("anywidget-of-nobody", told) is None


def test_where_nobody_can_tell_nothing_is_said(server, prefix, tmp_path):
    for pid in ("", "0", "999999999", "1/../2"):
        assert front_end_without("anywidget-of-nobody", {"JPY_PARENT_PID": pid}) is None
    assert front_end_without("anywidget-of-nobody", {}) is None
    # What started the kernel is no JupyterLab.
    (prefix / "share/jupyter/lab").rmdir()
    assert front_end_without("anywidget-of-nobody", variables(server, tmp_path)) is None


def test_the_endpoint_shows_the_way_and_a_table(kernel, server, prefix, tmp_path):
    told = variables(server, tmp_path)
    kernel.run(f"import os; os.environ.update({told!r})")
    kinds, *lines = kernel.run(SHOW).splitlines()
    assert kinds == "['text/html', 'text/plain']"
    assert lines[-1].startswith(f"live view: {prefix}/bin/python -m pip install anywidget")
    # Once it is there, the view.
    (prefix / "share/jupyter/labextensions/anywidget").mkdir(parents=True)
    assert "application/vnd.jupyter.widget-view+json" in kernel.run(SHOW).splitlines()[0]
