"""A real Jupyter kernel for a test."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

#: A hang guard, not a bound on speed.
PATIENCE = 120.0


class CellFailedError(AssertionError):
    """A cell ended in an error that the test did not expect."""


class Kernel:
    """One kernel process, its cells executed one after the other."""

    def __init__(self, env: dict[str, str] | None = None, **options: Any) -> None:
        self._sockets = tempfile.TemporaryDirectory(prefix="pycrust-kernel-")
        sockets = f"{self._sockets.name}/kernel"
        self.manager = KernelManager(kernel_name="python3", transport="ipc", ip=sockets)
        self.manager.start_kernel(env={**os.environ, **(env or {})}, **options)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    @property
    def pid(self) -> int:
        """The kernel's process."""
        pid = self.manager.provisioner.pid
        assert pid is not None
        return pid

    def run(self, code: str) -> str:
        """Executes a cell; gives what it printed and its result as text."""
        text, error = self.attempt(code)
        if error:
            raise CellFailedError(error)
        return text

    def attempt(self, code: str) -> tuple[str, str]:
        """Executes a cell; gives its text and, if it failed, its traceback."""
        texts: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                texts.append(content["text"])
            elif message["msg_type"] == "execute_result":
                texts.append(content["data"]["text/plain"])

        reply = self.client.execute_interactive(code, output_hook=collect, timeout=PATIENCE, store_history=True)
        content = reply["content"]
        error = "" if content["status"] == "ok" else "\n".join(content.get("traceback", ["aborted"]))
        return "".join(texts), error

    def show(self, code: str) -> tuple[str, list[str]]:
        """Executes a cell; gives its text and the images under it."""
        images: list[str] = []
        texts: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                texts.append(content["text"])
            elif "image/png" in content.get("data", {}):
                images.append(content["data"]["image/png"])

        reply = self.client.execute_interactive(code, output_hook=collect, timeout=PATIENCE, store_history=True)
        if reply["content"]["status"] != "ok":
            raise CellFailedError("\n".join(reply["content"].get("traceback", ["aborted"])))
        return "".join(texts), images

    def run_as(self, cell_id: str, code: str) -> str:
        """Executes a cell as JupyterLab does, which says which one it is; gives what it printed."""
        texts: list[str] = []
        error: list[str] = []
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": False,
        }  # fmt: skip
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell_id})
        self.client.shell_channel.send(message)
        while True:
            told = self.client.get_iopub_msg(timeout=PATIENCE)
            if told["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            if told["msg_type"] == "stream":
                texts.append(told["content"]["text"])
            elif told["msg_type"] == "error":
                error = told["content"]["traceback"]
            elif told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
                break
        self.client.get_shell_msg(timeout=PATIENCE)
        if error:
            raise CellFailedError("\n".join(error))
        return "".join(texts)

    def begin(self, code: str) -> None:
        """Sends a cell without waiting for its end."""
        self.client.execute(code)

    def interrupt(self) -> None:
        """Interrupts the running cell, as the notebook's stop button does."""
        self.manager.interrupt_kernel()

    def restart(self) -> None:
        """Restarts the kernel in good order, as the notebook's restart button does."""
        self.manager.restart_kernel(now=False)
        self.client.wait_for_ready(timeout=PATIENCE)

    def kill(self) -> None:
        """Kills the kernel with SIGKILL."""
        self.manager.shutdown_kernel(now=True)

    def stop(self) -> None:
        """Shuts the kernel down in good order."""
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel(now=False)
        self.manager.cleanup_resources()
        self._sockets.cleanup()
