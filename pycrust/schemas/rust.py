"""A Rust module with a typed client of an endpoint, made of its lock file."""

from __future__ import annotations

import html
import shutil
import subprocess
from pathlib import Path

from pycrust import _extension
from pycrust.schemas.lock import Lock, write_if_other

#: Seconds that rustfmt has.
_PATIENCE = 30.0
#: Lines that text/plain shows; the notebook keeps what is shown.
_SHOWN = 40
#: Characters that a cell's output holds; of a longer module the beginning.
_MOST = 200_000


def rust_module(lock: Lock) -> str:
    """The source of the module, formatted where `rustfmt` is installed."""
    return formatted(_extension.rust_module(lock.text()))


def formatted(source: str) -> str:
    """Rust source as `rustfmt` has it; as it is where that is not installed or can't read it."""
    program = shutil.which("rustfmt")
    if program is None:
        return source
    try:
        done = subprocess.run(  # noqa: S603 - what the user's own PATH has
            [program, "--edition", "2024"], input=source, capture_output=True, encoding="utf-8", check=True,
            timeout=_PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return source
    return done.stdout


class RustClient:
    """The source of a Rust module, which a notebook shows with a button that copies it.

    Its text is the module: `str(client)`; `client.save("src/calculator.rs")` writes it.
    """

    def __init__(self, lock: Lock) -> None:
        """Made by `endpoint.rust_client()`."""
        self.endpoint = lock.endpoint
        self.methods = len(lock.methods)
        self._source = rust_module(lock)

    def save(self, path: str | Path) -> str:
        """Writes the module into a file, unless that is in it already.

        Args:
            path: The file, such as `src/calculator.rs` of the Rust project.

        Returns:
            The line that says so.

        Raises:
            OSError: The file can't be written.
        """
        written = write_if_other(Path(path), self._source)
        return f"{path}: {'written' if written else 'as it was'}"

    def __str__(self) -> str:
        """The module."""
        return self._source

    def __repr__(self) -> str:
        """The module's first lines."""
        lines = self._source.splitlines()
        left = len(lines) - _SHOWN
        return (
            self._source
            if left <= 1
            else "\n".join([*lines[:_SHOWN], f"// … {left} more lines: print(…), .save(path)"])
        )

    def _repr_html_(self) -> str:
        """The module in a box that scrolls, and a button that copies it; needs nothing from elsewhere."""
        shown = html.escape(self._source[:_MOST])
        name = html.escape(self.endpoint)
        left = len(self._source) - _MOST
        rest = f"<p>{left:,} more characters: <code>.save(path)</code> writes all of it</p>" if left > 0 else ""
        # Where scripts don't run, in a notebook that isn't trusted, the text can be selected.
        return _BOX.format(name=name, methods=self.methods, source=shown, rest=rest)


# Copying fails silently where a page has no right to the clipboard; then the text is selected for Ctrl-C.
_BOX = """\
<div style="border:1px solid rgba(128,128,128,.4);border-radius:4px;max-width:100%">
<div style="display:flex;justify-content:space-between;align-items:center;gap:1em;padding:.3em .6em;\
border-bottom:1px solid rgba(128,128,128,.4)">
<span>Rust client of <b>{name}</b> · methods: {methods}</span>
<button type="button" style="font:inherit;color:inherit;background:transparent;border:1px solid currentColor;\
border-radius:4px;padding:.1em .8em;cursor:pointer" onclick="\
const button = this, code = this.parentElement.parentElement.querySelector('pre');\
const select = () =&gt; {{ getSelection().selectAllChildren(code); button.textContent = 'Selected: Ctrl-C'; }};\
if (!navigator.clipboard) {{ select(); }} else {{ \
navigator.clipboard.writeText(code.textContent).then(() =&gt; {{ button.textContent = 'Copied'; }}, select); }}\
">Copy</button>
</div>
<pre style="margin:0;padding:.6em;max-height:28em;overflow:auto;white-space:pre;text-align:left;\
color:inherit;background:transparent"><code>{source}</code></pre>{rest}
</div>"""
