"""Runs notebooks from top to bottom and saves them with what they printed, so that a reader of the repository sees it.

`make notebooks` runs all of them; the names of some as arguments run these. What only a front end can draw is left out: a
view's text and its HTML stay.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
#: Needs the page's own half, which no file keeps.
WIDGET = "application/vnd.jupyter.widget-view+json"


def save(path: Path) -> None:
    """Runs one of them in a kernel of its own."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, record_timing=False, store_widget_state=False, resources={"metadata": {"path": str(HERE)}}
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, path)


def main() -> None:
    """Saves those that are named, or all."""
    named = [Path(name) for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb"))
    for path in named:
        print(f"running {path.name}", flush=True)
        save(path)


if __name__ == "__main__":
    main()
