"""The front end as it is sent to the browser."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

_HERE = files("pycrust.jupyter.view")


@cache
def front_end() -> bytes:
    """The bundled front end, styles included."""
    return (_HERE / "dist" / "live.js").read_bytes()


@cache
def identity() -> str:
    """Names this very bundle, so that a page which has it already does not ask again."""
    return hashlib.sha256(front_end()).hexdigest()[:16]


@cache
def loader() -> str:
    """The script that the widget's state carries: it asks for the front end.

    A widget's state is saved into the notebook file; the bundle would make that twenty times what a view may
    save, so the state has these lines only and the bundle goes as a message.
    """
    text = (_HERE / "loader.js").read_text(encoding="utf-8").replace("@BUNDLE@", identity())
    lines = (line.strip() for line in text.splitlines())
    # Comments stand on lines of their own there, those that tell types with a star before each.
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*", "*")))
