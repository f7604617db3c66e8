"""What to do where the native extension is missing: most often this is the source folder, and nothing was built."""

from __future__ import annotations

from pathlib import Path


def explained(error: ImportError) -> ImportError:
    """The error that says what to do."""
    folder = Path(__file__).parent
    if list(folder.glob("_native*.so")):
        return ImportError(
            f"pycrust's native extension in {folder} can't be loaded: {error}", name="pycrust._native"
        )
    if (folder.parent / "native" / "Cargo.toml").exists():
        text = (
            f"{folder.parent} is PyCrust's source, and its native extension is not built there: run `make build` "
            "in it and use its .venv/bin/python, or, for an installed pycrust, start Python in another folder"
        )
        return ImportError(text, name="pycrust._native")
    return ImportError(
        f"pycrust's native extension is missing in {folder}: install pycrust again (pip install --force-reinstall "
        "pycrust); there are wheels for Linux only",
        name="pycrust._native",
    )
