"""JupyterLab in an environment of its own, which has no anywidget, beside the kernel's, which has it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.jupyter.browser.lab import Lab, server
from tests.jupyter.browser.service import SERVE

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL = "with-pycrust"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An environment with everything of this one but the extension that draws the view."""
    prefix = tmp_path / "lab"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    [packages] = prefix.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    here, there = Path(sys.prefix, "share", "jupyter"), prefix / "share" / "jupyter"
    (there / "labextensions").mkdir(parents=True)
    (there / "lab").symlink_to(here / "lab")
    for extension in (here / "labextensions").iterdir():
        if extension.name != "anywidget":
            (there / "labextensions" / extension.name).symlink_to(extension)
    return prefix


@pytest.fixture
def elsewhere(lab: Lab, prefix: Path, tmp_path: Path) -> Iterator[Lab]:
    """A server of that environment, whose kernels run in this one, in the browser of the other tests."""
    kernel = tmp_path / "data" / "kernels" / KERNEL
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": KERNEL, "language": "python"}))
    with server(tmp_path, prefix / "bin" / "python") as running:
        yield Lab(running, lab.browser)


def test_the_way_to_the_view_is_shown_and_leads_there(elsewhere: Lab, prefix: Path) -> None:
    with elsewhere.opened([SERVE, "endpoint"], kernel=KERNEL) as notebook:
        notebook.run(0)
        shown = notebook.run(1)
        assert f"{prefix}/bin/python -m pip install anywidget" in shown
        assert not notebook.view.count()
        # As pip does, which puts the extension's files there.
        extension = Path(sys.prefix, "share/jupyter/labextensions/anywidget")
        (prefix / "share/jupyter/labextensions/anywidget").symlink_to(extension)
        notebook.save()
        notebook.reload()
        notebook.run(1)
        notebook.wait(lambda: notebook.condition() == "live", "the view to be live")
