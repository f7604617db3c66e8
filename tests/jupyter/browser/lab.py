"""A real JupyterLab and Notebook 7 in a real browser."""

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

    from playwright.sync_api import Browser, Locator, Page

#: Where pictures of the view go, for whoever wants to look.
PICTURES = ROOT / "test-results"
#: Found by the Makefile, or here where pytest is started by itself.
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
#: The other ipykernel, and its kernel's name.
OTHER_IPYKERNEL = ROOT / ".venv" / "ipykernel-7.3"
OTHER_KERNEL = "ipykernel-7.3"
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


def write_notebook(path: Path, cells: list[str], kernel_name: str) -> None:
    """A notebook of code cells."""
    made = [
        {
            "cell_type": "code", "id": f"cell-{at}", "metadata": {},
            "execution_count": None, "outputs": [], "source": source,
        }
        for at, source in enumerate(cells)
    ]  # fmt: skip
    kernel = {"name": kernel_name, "display_name": kernel_name, "language": "python"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made}
    path.write_text(json.dumps(content), encoding="utf-8")


@contextlib.contextmanager
def server(directory: Path, python: str | Path = sys.executable) -> Iterator[Server]:
    """Runs a server of both front ends that knows nothing of this user's.

    Args:
        directory: Where its files are.
        python: The interpreter that it runs in; kernels run in this process's.
    """
    served = directory / "served"
    served.mkdir()
    settings = directory / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet), encoding="utf-8")
    add_kernel(directory / "data")
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
        python, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={served}", f"--IdentityProvider.token={token}", "--LabApp.news_url=",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with (directory / "lab.log").open("w") as log:
        process = subprocess.Popen(arguments, env=environment, cwd=served, stdout=log, stderr=log)
        try:
            wait_until(lambda: process.poll() is not None or answers(f"{address}/api"), "JupyterLab to start")
            assert process.poll() is None, (directory / "lab.log").read_text()
            yield Server(address, token, served)
        finally:
            process.terminate()
            process.wait(timeout=60)


def add_kernel(data: Path) -> None:
    """Makes the kernel of another ipykernel known, which `make setup` puts beside the environment's own."""
    directory = data / "kernels" / OTHER_KERNEL
    directory.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": OTHER_KERNEL,
        "language": "python",
        "env": {"PYTHONPATH": str(OTHER_IPYKERNEL)},
    }
    (directory / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


class Server:
    """A server that runs, and where its notebooks lie."""

    def __init__(self, address: str, token: str, served: Path) -> None:
        self.address, self.token, self.served = address, token, served

    def end_kernels(self) -> None:
        """Ends every kernel in good order, so that it frees its shared memory."""
        for kernel in json.loads(self._ask("GET", "kernels")):
            with contextlib.suppress(urllib.error.HTTPError):  # one that died by itself
                self._ask("DELETE", f"kernels/{kernel['id']}")

    def _ask(self, method: str, path: str) -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        asked = urllib.request.Request(f"{self.address}/api/{path}", headers=headers, method=method)  # noqa: S310 - our own server's
        with urllib.request.urlopen(asked, timeout=PATIENCE_MS / 1000) as answer:  # noqa: S310
            return answer.read()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server's
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name = page, name
        self.view = page.get_by_test_id("pycrust-dashboard")

    def cell(self, at: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(at)

    def ready(self) -> None:
        """Waits for the kernel: a cell that is run before is dropped."""
        self.page.wait_for_function(
            "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )

    def execute(self, code: str) -> None:
        """Runs code in the kernel without a cell."""
        self.page.evaluate(
            """code => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
              .requestExecute({code, silent: true, store_history: false}).done.then(() => null)""",
            code,
        )

    def at_home(self) -> None:
        """Lets a new kernel find this test's runtime directory."""
        self.execute(f"import os; os.environ['PYCRUST_RUNTIME_DIR'] = {os.environ['PYCRUST_RUNTIME_DIR']!r}")

    def words(self) -> str:
        """What the view says about the endpoint."""
        return self.view.locator(".pycrust-words").inner_text()

    def facts(self) -> str:
        return self.view.locator(".pycrust-facts").inner_text()

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

    def updates(self) -> int:
        """The number of the last update that the view has drawn."""
        return int(self.view.get_attribute("data-update") or 0)

    def count(self, testid: str) -> int:
        return self.page.get_by_test_id(testid).count()

    def text(self, testid: str) -> str:
        return self.page.get_by_test_id(testid).inner_text()

    def save(self) -> None:
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")

    def reload(self) -> None:
        """Loads the page again, as a user does who has closed and opened it."""
        self.page.reload()
        self.loaded()

    def loaded(self) -> None:
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.evaluate("() => window.jupyterapp.restored.then(() => null)")
        self.ready()
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft?.()")

    def condition(self) -> str:
        return self.view.get_attribute("data-condition") or ""

    def theme(self, name: str) -> None:
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {name}"
        )

    def picture(self, name: str) -> None:
        PICTURES.mkdir(exist_ok=True)
        self.view.screenshot(path=PICTURES / f"{name}.png")


class Lab:
    """A server and a browser, which tests share."""

    def __init__(self, running: Server, browser: Browser) -> None:
        self.server, self.browser = running, browser
        self._opened = 0

    @contextlib.contextmanager
    def opened(
        self, cells: list[str], *, kernel: str = "python3", app: str = "lab",
        size: tuple[int, int] = (1400, 1100), scale: float = 1,
    ) -> Iterator[Notebook]:  # fmt: skip
        """A notebook of `cells` open in the browser, its kernel ready; both gone after.

        Args:
            cells: The cells' sources.
            kernel: The kernel's name.
            app: `lab` or, for Notebook 7, `notebook`.
            size: The page's width and height, in CSS pixels.
            scale: Pixels of a picture for each of those.
        """
        self._opened += 1
        name = f"live-{self._opened}.ipynb"
        write_notebook(self.server.served / name, cells, kernel)
        # A workspace of its own: a shared one would open the notebooks of other tests again.
        path = f"lab/workspaces/{self._opened}/tree/{name}" if app == "lab" else f"notebooks/{name}"
        width, height = size
        page = self.browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
        page.set_default_timeout(PATIENCE_MS)
        failures: list[str] = []
        page.on("pageerror", lambda failure: failures.append(f"{failure.name}: {failure.message}\n{failure.stack}"))
        try:
            page.goto(f"{self.server.address}/{path}?token={self.server.token}")
            notebook = Notebook(page, name)
            notebook.loaded()
            notebook.at_home()
            yield notebook
            if (
                app == "notebook"
            ):  # Notebook 7 itself fails to load a setting; the view's own code comes from a blob
                failures = [failure for failure in failures if "blob:" in failure]
            assert not failures, "\n".join(failures)
        except BaseException:
            PICTURES.mkdir(exist_ok=True)
            page.screenshot(path=PICTURES / f"failed-{self._opened}.png")
            raise
        finally:
            page.context.close()
            self.server.end_kernels()


@contextlib.contextmanager
def running_lab(directory: Path) -> Iterator[Lab]:
    """A server and a browser."""
    with server(directory) as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield Lab(running, browser)
        finally:
            browser.close()
