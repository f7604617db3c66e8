"""A real JupyterLab in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.conftest import ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

#: Where pictures of the view go, for whoever wants to look.
PICTURES = ROOT / "test-results"
CHROMIUM = shutil.which("chromium")
#: A hang guard, not a bound on speed.
PATIENCE_MS = 60_000
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_notebook(path: Path, cells: list[str]) -> None:
    """A notebook of code cells."""
    made = [
        {
            "cell_type": "code", "id": f"cell-{at}", "metadata": {},
            "execution_count": None, "outputs": [], "source": source,
        }
        for at, source in enumerate(cells)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made}
    path.write_text(json.dumps(content), encoding="utf-8")


@contextlib.contextmanager
def jupyter_lab(directory: Path, settings: dict[str, dict]) -> Iterator[str]:
    """Runs a JupyterLab that knows nothing of this user's; gives its URL with its token."""
    served = directory / "served"
    served.mkdir()
    for plugin, values in settings.items():
        path = directory / "config" / "lab" / "user-settings" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    token, port = secrets.token_hex(16), free_port()
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(directory / "jupyter-runtime"),
        "IPYTHONDIR": str(directory / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    arguments = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={served}", f"--IdentityProvider.token={token}", "--LabApp.news_url=",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with (directory / "lab.log").open("w") as log:
        process = subprocess.Popen(arguments, env=environment, cwd=served, stdout=log, stderr=log)
        try:
            wait_until(lambda: process.poll() is not None or answers(f"{address}/api"), "JupyterLab to start")
            assert process.poll() is None, (directory / "lab.log").read_text()
            yield f"{address}/lab/tree/{{}}?token={token}"
        finally:
            process.terminate()
            process.wait(timeout=60)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server's
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.view = page.get_by_test_id("pycrust-dashboard")

    def cell(self, at: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(at)

    def ready(self) -> None:
        """Waits for the kernel: a cell that is run before is dropped."""
        self.page.wait_for_function(
            "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )

    def begin(self, at: int, source: str | None = None) -> None:
        """Runs a cell, with a new source if one is given; doesn't wait for its end."""
        self._select(at, source)
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")

    def run(self, at: int, source: str | None = None) -> str:
        """Runs a cell to its end; gives its output as text."""
        self._select(at, source)
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell').then(() => null)")
        return "\n".join(self.cell(at).locator(".jp-OutputArea-output").all_text_contents())

    def _select(self, at: int, source: str | None) -> None:
        self.cell(at).locator(".cm-content").click()
        if source is not None:
            self.page.keyboard.press("Control+a")
            self.page.keyboard.insert_text(source)

    def busy(self, at: int) -> bool:
        return "*" in (self.cell(at).locator(".jp-InputPrompt").text_content() or "")

    def wait(self, condition: object, what: str) -> None:
        """Waits in the browser's own loop, so that the page goes on meanwhile."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not condition():
            assert time.monotonic() < deadline, f"waited {PATIENCE_MS} ms for {what}"
            self.page.wait_for_timeout(50)

    def row(self, method: str) -> Locator:
        return self.page.get_by_test_id(f"row-{method}")

    def calls(self, method: str) -> int:
        """The method's total, as the view shows it."""
        text = self.row(method).locator(".pycrust-calls").text_content()
        return int((text or "0").replace(",", ""))

    def tile(self, name: str) -> float:
        return float(self.page.get_by_test_id(f"tile-{name}").get_attribute("data-value") or "nan")

    def condition(self) -> str:
        return self.view.get_attribute("data-condition") or ""

    def theme(self, name: str) -> None:
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {name}"
        )

    def picture(self, name: str) -> None:
        PICTURES.mkdir(exist_ok=True)
        self.view.screenshot(path=PICTURES / f"{name}.png")


@contextlib.contextmanager
def opened(directory: Path, cells: list[str]) -> Iterator[Notebook]:
    """A notebook of `cells` open in a browser, its kernel ready; all gone after."""
    quiet = {"@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}
    with jupyter_lab(directory, quiet) as url, sync_playwright() as playwright:
        write_notebook(directory / "served" / "live.ipynb", cells)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1100})
            page.set_default_timeout(PATIENCE_MS)
            failures: list[str] = []
            page.on("pageerror", lambda failure: failures.append(str(failure)))
            page.goto(url.format("live.ipynb"))
            page.wait_for_function("window.jupyterapp !== undefined")
            page.evaluate("() => window.jupyterapp.restored.then(() => null)")
            notebook = Notebook(page)
            notebook.ready()
            page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
            yield notebook
            assert failures == []
        except BaseException:
            PICTURES.mkdir(exist_ok=True)
            for open_page in browser.contexts[0].pages:
                open_page.screenshot(path=PICTURES / "failed.png")
            raise
        finally:
            browser.close()
