"""The walk for newcomers, and every other document, lead to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: A file, and the function or class in it that is meant, if one is.
PLACE = re.compile(r"`((?:client-rs|native|pycrust|tests)/[\w/.-]+\.\w+)`(?: `(\w+)`)?")


def missing(text: str, root: Path) -> list[str]:
    """The places of a text that are not there."""
    wrong = []
    for file, name in PLACE.findall(text):
        if not (root / file).is_file():
            wrong.append(file)
        elif name and not re.search(rf"\b(?:fn|def|class|struct|function) {name}\b", (root / file).read_text()):
            wrong.append(f"{file}: {name}")
    return wrong


@pytest.mark.parametrize(("document", "places"), [("docs/walk.md", 40), ("CONTRIBUTING.md", 10)])
def test_there_are_places(document, places):
    assert len(PLACE.findall((ROOT / document).read_text())) >= places


def test_every_place_that_a_document_names_is_there():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "native" / "protocol" / "SPEC.md"]
    # What was is told by its old name.
    documents.remove(ROOT / "CHANGELOG.md")
    assert {path.name: wrong for path in documents if (wrong := missing(path.read_text(), ROOT))} == {}


def test_a_place_that_is_not_there_is_seen():
    said = "`pycrust/errors.py` `describe`, `pycrust/errors.py` `nothing_of_this_name`, `pycrust/gone.py`"
    assert missing(said, ROOT) == ["pycrust/errors.py: nothing_of_this_name", "pycrust/gone.py"]
