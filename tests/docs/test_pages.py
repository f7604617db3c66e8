"""Every block of code of the README and of the documentation does what its page says."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.docs import rust
from tests.docs.blocks import RUN, Block, blocks, documents, elsewhere, name_of
from tests.docs.reading import PageError, Reader

# The first of them compiles all blocks of Rust.
pytestmark = pytest.mark.timeout(900)

TEXTS = {name_of(path): path.read_text(encoding="utf-8") for path in documents()}
BLOCKS = {name: blocks(text, name) for name, text in TEXTS.items() if elsewhere(text) is None}
PAGES = [name for name, found in BLOCKS.items() if found]
#: Blocks that no test runs, by their pages: each one more is a decision.
NOT_RUN = {
    "README.md": 4,
    "docs/benchmarks.md": 1,
    "docs/how-to/pacing.md": 1,
    "docs/how-to/types.md": 1,
    "docs/tutorial.md": 1,
    "docs/versions.md": 1,
}


@pytest.fixture(scope="session")
def programs() -> None:
    """The blocks of Rust, compiled."""
    done = rust.build((block for found in BLOCKS.values() for block in found), ROOT / "target/docs/blocks.rs")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def reader(tmp_path, start, programs) -> Reader:
    folder = tmp_path / "page"
    folder.mkdir()
    return Reader(folder, start)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page, reader):
    reader.read(BLOCKS[page])


def test_what_is_not_run_is_counted():
    skipped = [block for found in BLOCKS.values() for block in found if "not run" in block.marks]
    assert all(block.marks["not run"] for block in skipped)
    pages = [block.page for block in skipped]
    assert {page: pages.count(page) for page in pages} == NOT_RUN, [block.place for block in skipped]
    run = [block for found in BLOCKS.values() for block in found if block.kind in RUN and not block.hidden]
    assert len(run) > 60


def test_who_has_a_test_of_their_own_is_named_there():
    tests = {name: test for name, text in TEXTS.items() if (test := elsewhere(text)) is not None}
    assert tests
    for name, test in tests.items():
        assert name in (ROOT / test).read_text(), (name, test)


@pytest.mark.parametrize(
    "page",
    [
        "```python\nprint(1 + 1)  # 3\n```\n",
        "```python\nnothing_of_this_name\n```\n",
        "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n",
        "<!-- raises: KeyError -->\n```python\n1 / 0\n```\n",
        "```sh\ntest -e not-there\n```\n",
        "```console\n$ echo one\ntwo\n```\n",
        "<!-- part of: README.md -->\n```rust\nlet not_there = 1;\n```\n",
        "```json\n{1}\n```\n",
    ],
)
def test_a_block_that_does_not_hold_is_seen(page, tmp_path, start):
    with pytest.raises((PageError, ValueError)):
        Reader(tmp_path, start).read(blocks(page, "broken.md"))


@pytest.mark.parametrize(
    "page",
    [
        "```\ntext\n```\n",
        "```pyton\n1\n```\n",
        "<!-- run never -->\n```python\n1\n```\n",
        "- a\n  ```sh\n  x\n  ```\n",
    ],
)
def test_a_block_that_nobody_runs_is_seen(page):
    with pytest.raises(ValueError, match=r"broken\.md"):
        blocks(page, "broken.md")


def test_a_comment_is_of_the_block_right_below_it():
    first, second = blocks("<!-- not run: why -->\n```sh\na\n```\n\nAnd\n\n```sh\nb\n```\n", "page.md")
    assert (first.marks, second.marks) == ({"not run": "why"}, {})


def test_rust_that_does_not_compile_is_seen(tmp_path):
    broken: list[Block] = blocks(
        'Text\n\n```rust\nlet sum: i32 = client.cal("add", &(1, 2)).await?;\n```\n', "b.md"
    )
    done = rust.build(broken, tmp_path / "broken.rs")
    assert done.returncode != 0
    assert "no method named `cal`" in done.stderr
    assert "b.md:3" in done.stderr
