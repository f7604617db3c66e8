"""Checks of how a view looks, each of which gives what is wrong; `looks.js` is what runs in the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.jupyter.browser.lab import Notebook

CHECKS = "\n".join(
    line for line in Path(__file__).with_suffix(".js").read_text(encoding="utf-8").splitlines() if line[:2] != "//"
).removesuffix(";")
AXE = ROOT / "pycrust" / "jupyter" / "view" / "node_modules" / "axe-core" / "axe.min.js"


def _check(notebook: Notebook, name: str, argument: object = None) -> list[str]:
    return notebook.view.evaluate(f"(root, argument) => {CHECKS}.{name}(root, argument)", argument)


def outside(notebook: Notebook) -> list[str]:
    """What reaches out of the view or is cut off by its own box."""
    return _check(notebook, "outside")


def contrast_below(notebook: Notebook, least: float) -> list[str]:
    """Texts whose contrast with what is behind them is below `least` (WCAG 2.2)."""
    return _check(notebook, "contrastBelow", least)


def overlapping(notebook: Notebook) -> list[str]:
    """Texts that cover each other, of those that can be seen."""
    return _check(notebook, "overlapping")


def shifted(notebook: Notebook, updates: int) -> list[str]:
    """What changes its place or size while so many updates are drawn."""
    return _check(notebook, "shifted", updates)


def numerals_that_are_not_tabular(notebook: Notebook) -> list[str]:
    """Numbers whose digits differ in width."""
    return _check(notebook, "untabular")


def accessibility_faults(notebook: Notebook) -> list[str]:
    """What axe-core finds in the view."""
    assert AXE.exists(), "axe-core is missing: run `make front-end`"
    notebook.page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    return _check(notebook, "inaccessible")


def fits(notebook: Notebook, name: str) -> None:
    """Looks at a view in both themes and at three widths; each of the pictures is kept under this name."""
    for theme in ("Light", "Dark"):
        notebook.theme(theme)
        notebook.page.locator(f'[data-testid=pycrust-dashboard][data-theme="{theme.lower()}"]').wait_for()
        for width in (1400, 800, 480):
            notebook.page.set_viewport_size({"width": width, "height": 1700})
            notebook.page.wait_for_timeout(600)  # the chart follows its box in the next frames
            assert outside(notebook) == []
            assert overlapping(notebook) == []
            notebook.picture(f"{name}-{theme.lower()}-{width}")
        assert contrast_below(notebook, 4.5) == []
