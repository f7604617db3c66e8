"""The documentation's blocks of Rust: one crate, each block a module of it, built by one run of cargo."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.docs.blocks import Block

PROGRAM = ROOT / "target" / "release" / "blocks"
#: What surrounds lines that are no program, unless a comment says otherwise.
_AROUND = """\
use std::time::Duration;
use futures::StreamExt;
use pycrust_client::*;

pub async fn example(client: RpcClient) -> anyhow::Result<()> {
@block
    Ok(())
}
"""
_RUN_PROGRAM = "pub fn run() -> std::process::ExitCode { std::process::Termination::report(main()) }"
_RUN_LINES = """\
pub fn run() -> std::process::ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let done = runtime.block_on(async { example(RpcClient::connect("@endpoint").await?).await });
    std::process::Termination::report(done)
}"""


def is_compiled(block: Block) -> bool:
    """Whether a block is one of the crate's modules."""
    return block.kind == "rust" and not {"file", "part of", "not run"} & block.marks.keys()


def is_run(block: Block) -> bool:
    """Whether it does something when it is run."""
    return block.is_program or "endpoint" in block.marks


def source(blocks: Iterable[Block]) -> str:
    """The crate's source."""
    found = [block for block in blocks if is_compiled(block)]
    modules = [_module(block) for block in found]
    arms = "".join(f'        Some("{block.name}") => {block.name}::run(),\n' for block in found if is_run(block))
    main = (
        "fn main() -> std::process::ExitCode {\n    match std::env::args().nth(1).as_deref() {\n"
        f'{arms}        other => panic!("no block is called {{other:?}}"),\n    }}\n}}\n'
    )
    return "\n".join([*modules, main])


def _module(block: Block) -> str:
    around = block.around or ("" if block.is_program else _AROUND)
    body = around.replace("@block", block.text) if "@block" in around else f"{around}\n{block.text}"
    run = _RUN_PROGRAM if block.is_program else _RUN_LINES.replace("@endpoint", block.marks.get("endpoint", ""))
    allowed = '#[allow(warnings, clippy::all, clippy::pedantic, reason = "examples")]'
    return f"{allowed}\nmod {block.name} {{\n{body}{run if is_run(block) else ''}\n}} // {block.place}\n"


def build(blocks: Iterable[Block], path: Path) -> subprocess.CompletedProcess[str]:
    """Builds the crate; what its compiler says names the pages."""
    text = source(blocks)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    done = subprocess.run(
        ["make", "--silent", "docs-blocks", f"BLOCKS={path}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = text.splitlines()

    def place(match: re.Match[str]) -> str:
        ends = (line.partition("// ")[2] for line in lines[int(match[1]) - 1 :] if line.startswith("} // "))
        return f"{next(ends, 'main')} ({path.name}:{match[1]})"

    done.stderr = re.sub(re.escape(str(path)) + r":(\d+)", place, done.stderr)
    return done
