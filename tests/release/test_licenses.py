"""Wheels carry the licences of what they are made of."""

from pathlib import Path

import pytest

from release import licenses
from tests.conftest import ROOT


def test_the_text_is_that_of_what_is_linked_now():
    kept = (ROOT / "licenses" / "third-party.txt").read_text()
    assert kept == licenses.third_party(), "`make licenses` writes it anew"


@pytest.mark.parametrize(
    ("terms", "ours"),
    [
        ("Apache-2.0", True),
        ("MIT OR Apache-2.0", True),
        ("MIT/Apache-2.0", True),
        ("Zlib OR Apache-2.0 OR MIT", True),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", False),
        ("MIT", False),
    ],
)
def test_which_licences_leave_the_choice(terms, ours):
    assert licenses.may_be_ours(terms) == ours


def test_a_crate_without_a_text_is_told_of(tmp_path: Path):
    (tmp_path / "LICENSE-APACHE").write_text("another one's")
    with pytest.raises(LookupError, match="no text"):
        licenses.texts(tmp_path)
