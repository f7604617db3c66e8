"""One JupyterLab and one browser for all tests in here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.jupyter.browser.lab import CHROMIUM, Lab, running_lab

if TYPE_CHECKING:
    from collections.abc import Iterator


# Of this package only: while the browser's connection is open, nothing else on this thread can run an event loop.
@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if CHROMIUM is None:
        needs = "needs Chromium: install it (Debian: apt install chromium), or say CHROMIUM=/path/to/it"
        pytest.fail(needs) if os.environ.get("CI") else pytest.skip(needs)
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running
