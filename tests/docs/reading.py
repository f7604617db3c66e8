"""Does what a page says, block after block, as a reader would."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.conftest import PATIENCE, ROOT, Program
from tests.docs import rust
from tests.docs.expecting import come_in_order, is_as_said, shown
from tests.kernels import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.docs.blocks import Block

BIN = Path(sys.executable).parent


class PageError(AssertionError):
    """A block does not do what its page says."""


class Reader:
    """Who follows one page, in a folder of their own.

    Args:
        folder: Where files are written and commands run.
        start: Starts programs that go on.
    """

    def __init__(self, folder: Path, start: Callable[..., Program]) -> None:
        self._folder = folder
        self._start = start
        self._kernel: Kernel | None = None
        self._background: list[Program] = []
        self._printed = ""

    def read(self, blocks: Iterable[Block]) -> None:
        """Goes through the blocks.

        Raises:
            PageError: What happens is not what is said.
        """
        try:
            for block in blocks:
                if "not run" not in block.marks:
                    self._follow(block)
        finally:
            if self._kernel is not None:
                self._kernel.stop()
            for program in self._background:
                if program.process.poll() is None:
                    program.send(signal.SIGINT)
                    program.process.communicate(timeout=PATIENCE)

    def _follow(self, block: Block) -> None:
        if (name := block.marks.get("file")) is not None:
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif (file := block.marks.get("part of")) is not None:
            lines = [line.strip() for line in block.text.splitlines() if line.strip()]
            there = "\n".join(line.strip() for line in (ROOT / file).read_text().splitlines())
            self._check(block, come_in_order(there, lines), f"these lines are not in {file}")
        else:
            getattr(self, f"_{block.kind}")(block)
            expected = shown(block.text, block.kind)
            self._check(block, come_in_order(self._printed, expected), f"it prints\n{self._printed}")

    def _check(self, block: Block, holds: bool, otherwise: str) -> None:
        if not holds:
            raise PageError(f"{block.place}: {otherwise}")

    def _python(self, block: Block) -> None:
        if self._kernel is None:
            self._kernel = Kernel(_environment(), cwd=str(self._folder))
        self._printed, error = self._kernel.attempt(block.text)
        if (name := block.marks.get("raises")) is not None:
            self._check(block, name in error, f"it raises no {name}\n{error}")
        else:
            self._check(block, not error, f"it fails\n{error}")

    def _rust(self, block: Block) -> None:
        self._printed = ""
        if rust.is_run(block):
            self._run(block, [str(rust.PROGRAM), block.name])

    def _sh(self, block: Block) -> None:
        if "background" in block.marks:
            command = ["sh", "-c", f"exec {block.text}"]
            program = self._start(*command, cwd=self._folder, env=_environment())
            self._background.append(program)
            # It goes on once so many lines are printed.
            self._printed = "\n".join(program.line() for _ in range(int(block.marks["background"])))
        else:
            self._run(block, ["sh", "-e", "-c", block.text])

    def _console(self, block: Block) -> None:
        for command, said in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            self._run(block, ["sh", "-c", f"{command} 2>&1"], well=False)
            self._check(block, is_as_said(self._printed, said), f"$ {command}\n{self._printed}")

    def _run(self, block: Block, command: list[str], *, well: bool = True) -> None:
        done = subprocess.run(
            command, cwd=self._folder, env=_environment(), capture_output=True, text=True, check=False,
            timeout=PATIENCE * 2, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self._printed = done.stdout
        self._check(
            block, not well or done.returncode == 0,
            f"{command} ends with {done.returncode}\n{done.stdout}\n{done.stderr}",
        )  # fmt: skip

    def _text(self, block: Block) -> None:
        self._check(block, is_as_said(self._printed, block.text), f"what is printed is\n{self._printed}")

    def _json(self, block: Block) -> None:
        json.loads(block.text)

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def _yaml(self, block: Block) -> None:
        self._check(block, yaml.safe_load(block.text) is not None, "it is empty")

    def _ini(self, block: Block) -> None:
        self._check(block, re.search(r"^\[\w+\]$", block.text, re.MULTILINE) is not None, "it has no section")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
