"""The tables of `make bench-ported`: what is written where, and what is left alone."""

import pytest

from tests.benchmarks.ported import report
from tests.benchmarks.ported.program import Program, Way
from tests.benchmarks.ported.run import Figures

WAYS = [Way("ours", lambda _: [], ours=True), Way("theirs", lambda _: [])]
PROGRAM = Program(name="arm", call="One call is one call", cases={"slow": WAYS})
FOUND = {
    "slow": {
        "ours": Figures([*range(1_000, 101_000, 1_000)], caller=0.001, worker=0.002),
        "theirs": Figures([2_000_000] * 10, caller=0.01),
    }
}
TABLE = """# Programs

| program | case | transport |
|---|---|---|
| [other](../client-rs/examples/other/README.md) | a | b |

After it.
"""


def test_a_row_has_quantiles_and_processor_time_of_a_call():
    assert report.row(FOUND["slow"]["ours"]) == "51 | 91 | 100 | 100 | 10 | 20 | 100"
    assert report.row(FOUND["slow"]["theirs"]) == "2,000 | 2,000 | 2,000 | 2,000 | 1,000 |  | 10"


def test_a_page_says_where_it_was_measured_and_which_rows_are_ours():
    text = report.page(PROGRAM, FOUND, rounds=3, seconds=1.5)
    assert text.startswith("One call is one call. Microseconds; ")
    assert "3 rounds of 1.5 s each" in text
    assert [line.split(" | ")[1] for line in text.splitlines()[4:]] == ["**ours**", "theirs"]


def test_rows_are_put_at_the_table_s_end_and_then_replaced(tmp_path):
    page = tmp_path / "ported.md"
    page.write_text(TABLE)
    report.rows_of(page, "arm", ["| arm | 1 | x |", "| arm | 2 | x |"])
    first = page.read_text()
    assert first == TABLE.replace("| a | b |\n", "| a | b |\n| arm | 1 | x |\n| arm | 2 | x |\n")
    report.rows_of(page, "arm", ["| arm | 3 | x |"])
    assert page.read_text() == TABLE.replace("| a | b |\n", "| a | b |\n| arm | 3 | x |\n")


def test_only_what_stands_between_the_marks_is_replaced(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.between(page, "new")
    assert page.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    page.write_text("no marks\n")
    with pytest.raises(ValueError, match="has no lines"):
        report.between(page, "new")
