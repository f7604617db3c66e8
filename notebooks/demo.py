"""The main job, headless: notebook 02 in a kernel of its own, a Rust control loop beside it.

Executes `02_control_loop.ipynb` cell by cell, says what happens, and ends with the tables that the notebook prints:
calls, errors, calls per handler version, round-trip percentiles, seconds balanced before and after the swap. In a terminal,
`pycrust watch` writes a line a second meanwhile.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

NOTEBOOK = Path(__file__).with_name("02_control_loop.ipynb")


def main() -> int:
    """Runs the notebook; 0 if every cell succeeded."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    with tempfile.TemporaryDirectory(prefix="pycrust-demo-") as sockets:
        # Unix sockets in a directory of this user's: nobody else has business here.
        config = Config({"ConnectionFileMixin": {"transport": "ipc", "ip": f"{sockets}/kernel"}})
        return run(notebook, NotebookClient(notebook, config=config, timeout=600, resources=resources))


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Writes what the endpoint's callers measure, a line a second."""
    with subprocess.Popen([sys.executable, "-m", "pycrust", "watch", "cart_pole"]) as watch:
        try:
            yield
        finally:
            watch.terminate()


def run(notebook: nbformat.NotebookNode, client: NotebookClient) -> int:
    """Executes the cells and says what happens; 0 if every cell succeeded."""
    with client.setup_kernel(), contextlib.ExitStack() as meanwhile:
        for index, cell in enumerate(notebook.cells):
            if "endpoint.stop()" in cell.source:
                meanwhile.close()
            if cell.cell_type == "markdown":
                print("\n" + cell.source.split("\n\n")[0].lstrip("# "), flush=True)
                continue
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                print(error, file=sys.stderr)
                return 1
            for output in cell.outputs:
                if output.output_type == "stream":
                    print(output.text, end="", flush=True)
            if "endpoint.serve()" in cell.source and sys.stdout.isatty():
                meanwhile.enter_context(watching())
    return 0


if __name__ == "__main__":
    sys.exit(main())
