from __future__ import annotations

import re

import pytest

from pycrust.jupyter.view import static, wire


def stats(**method: object) -> dict:
    trip = {"count": 5, "p50_ns": 5_123, "p90_ns": 6_000, "p99_ns": 51_234, "p999_ns": 60_000, "max_ns": 70_000}
    row = {"name": "add", "version": 3, "calls": 12_345, "errors": 1, "in_flight": 2, "round_trip": trip, **method}
    return {
        "endpoint": "calculator",
        "pid": 4711,
        "uptime_ns": 10**9,
        "at_ns": 10**9,
        "methods": [row],
        "clients": [],
    }


def test_text() -> None:
    text = static.text(stats(), serving=True)
    assert re.sub(r"20[0-9: -]+", "TIME", text) == (
        "calculator · serving · pid 4711 · 1 method · 0 clients · as of TIME\n"
        "method  version   calls  errors  in flight  p50 µs  p99 µs\n"
        "add          v3  12,345       1          2    5.12    51.2"
    )


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [(0, "–"), (51, "0.0510"), (5_123, "5.12"), (999_600, "1,000"), (5_123_456, "5,120")],  # noqa: RUF001
)
def test_three_significant_digits(nanoseconds: int, shown: str) -> None:
    text = static.text(stats(round_trip={"p50_ns": nanoseconds}), serving=True)
    assert text.splitlines()[-1].split()[-2] == shown


def test_html_escapes_names() -> None:
    page = static.html(stats(name="<script>alert(1)</script>"), serving=True)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert '<th scope="row">' in page


def test_control_characters_and_long_names_do_not_break_a_line() -> None:
    text = static.text(stats(name="a\nb\x1b[31m" + "c" * 100), serving=False)
    assert len(text.splitlines()) == 3
    assert "\x1b" not in text
    assert "…" in text
    assert "stopped" in text


def test_most_bounds_the_rows_and_says_so() -> None:
    many = stats()
    many["methods"] = many["methods"] * 10
    assert static.text(many, serving=True, most=8).endswith("\nand 2 more methods")
    assert static.html(many, serving=True, most=8).endswith("<p>and 2 more methods</p>")


@pytest.mark.parametrize("broken", [None, "x", float("nan"), float("inf"), -1, [], True])
def test_what_is_no_number_is_0(broken: object) -> None:
    assert wire.whole(broken) == 0
    assert wire.part({"round_trip": broken}, "round_trip") == {}


def test_statistics_without_methods() -> None:
    assert static.text({}, serving=False).count("\n") == 0
