"""What a handler takes from a Rust type it gives back to the same type: the documentation's table, row by row."""

import re

from tests.conftest import ROOT

WORKER = (ROOT / "tests" / "interop" / "type_worker.py").read_text(encoding="utf-8")
#: The page with the table.
TABLE = (ROOT / "docs" / "how-to" / "types.md").read_text(encoding="utf-8")
#: Rows of the table that another test has: arrays (`test_tensors`, `test_records`).
ELSEWHERE = {"`Tensor<T>`, `TensorView`, `attached`", "`Tensor<T>` of a `Record`"}


def rows(text: str) -> set[str]:
    """What the first column of the table of types has."""
    table = re.search(r"\| in Rust \|.*\n\|[-|]+\n((?:\|.*\n)+)", text)
    assert table is not None, "there is no table of types"
    links = re.compile(r"\[(`\w+`)\]")
    return {links.sub(r"\1", line.split(" | ")[0].removeprefix("| ")) for line in table[1].splitlines()}


def test_every_type_of_the_table_comes_back(worker, rust):
    worker(WORKER)
    tested = set(rust("type_cases", "--endpoint", "types").finish().splitlines())
    assert rows(TABLE) - ELSEWHERE == tested


def test_the_crates_documentation_has_the_same_table():
    crate = (ROOT / "client-rs" / "src" / "lib.rs").read_text(encoding="utf-8")
    documentation = "\n".join(
        line.removeprefix("//!").strip() for line in crate.splitlines() if line.startswith("//!")
    )
    assert rows(documentation + "\n") == rows(TABLE)
