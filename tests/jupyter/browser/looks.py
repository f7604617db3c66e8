"""Checks of how a view looks, each of which gives what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.jupyter.browser.lab import Notebook

AXE = ROOT / "pycrust" / "jupyter" / "view" / "node_modules" / "axe-core" / "axe.min.js"


def outside(notebook: Notebook) -> list[str]:
    """What reaches out of the view or is cut off by its own box."""
    return notebook.view.evaluate(
        """root => {
          const box = root.getBoundingClientRect();
          return [...root.querySelectorAll("*")].filter((each) => {
            const own = each.getBoundingClientRect();
            if (own.width === 0 || each.closest(".pycrust-hidden")) return false;
            const cut = each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0
              && getComputedStyle(each).display !== "inline";
            return cut || own.right > box.right + 0.5 || own.left < box.left - 0.5;
          }).map((each) => `${each.tagName}.${each.className}`);
        }"""
    )


def contrast_below(notebook: Notebook, least: float) -> list[str]:
    """Texts whose contrast with what is behind them is below `least` (WCAG 2.2)."""
    return notebook.view.evaluate(
        """(root, least) => {
          const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
          const parts = (colour) => [...numbers(colour), 1].slice(0, 4);
          const over = ([r, g, b, a], under) => [r, g, b].map((part, at) => part * a + under[at] * (1 - a));
          const behind = (node) => {
            if (node === null) return [255, 255, 255];
            const own = parts(getComputedStyle(node).backgroundColor);
            return own[3] === 1 ? own.slice(0, 3) : over(own, behind(node.parentElement));
          };
          const light = (rgb) => rgb.map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
          const found = [];
          for (const node of root.querySelectorAll("*")) {
            if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
            const back = behind(node);
            const front = over(parts(getComputedStyle(node).color), back);
            const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
            const ratio = (high + 0.05) / (low + 0.05);
            if (ratio < least) found.push(`${node.className}: ${ratio.toFixed(2)}`);
          }
          return found;
        }""",
        least,
    )


def overlapping(notebook: Notebook) -> list[str]:
    """Texts that cover each other, of those that can be seen."""
    return notebook.view.evaluate(
        """root => {
          const boxes = [];
          for (const node of root.querySelectorAll("*")) {
            if (node.closest(".pycrust-hidden, canvas, option") || !node.checkVisibility({visibilityProperty: true})) continue;
            for (const child of node.childNodes) {
              if (child.nodeType !== 3 || !child.textContent.trim()) continue;
              const range = document.createRange();
              range.selectNodeContents(child);
              let box = range.getBoundingClientRect();
              let {left, right, top, bottom} = box;
              // Only what its scrolling ancestors let through can be seen.
              for (let up = node; up && up !== root.parentElement; up = up.parentElement) {
                if (getComputedStyle(up).overflow === "visible") continue;
                const clip = up.getBoundingClientRect();
                left = Math.max(left, clip.left); right = Math.min(right, clip.right);
                top = Math.max(top, clip.top); bottom = Math.min(bottom, clip.bottom);
              }
              const sticky = node.closest("thead");
              if (right - left > 1 && bottom - top > 1) boxes.push({left, right, top, bottom, sticky, text: child.textContent.trim()});
            }
          }
          const found = [];
          for (let a = 0; a < boxes.length; a++) for (let b = a + 1; b < boxes.length; b++) {
            const [one, two] = [boxes[a], boxes[b]];
            if (!!one.sticky !== !!two.sticky) continue;  // rows scroll below their heads
            const wide = Math.min(one.right, two.right) - Math.max(one.left, two.left);
            const high = Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top);
            if (wide > 1 && high > 3) found.push(`${one.text} / ${two.text}`);
          }
          return found;
        }"""
    )


def shifted(notebook: Notebook, updates: int) -> list[str]:
    """What changed its place or size while so many updates were drawn."""
    return notebook.view.evaluate(
        """(root, updates) => new Promise((done) => {
          const look = () => new Map([...root.querySelectorAll(
            "header, .pycrust-tile, .pycrust-tile-value, .pycrust-chart, .u-wrap, .pycrust-events, th, td, .pycrust-legend, .pycrust-inspector, .pycrust-calls-box, .pycrust-detail"
          )].map((node, at) => [`${at} ${node.className}`, node.getBoundingClientRect()]));
          const first = look();
          const found = new Set();
          let seen = 0;
          const observer = new MutationObserver(() => {
            for (const [name, box] of look()) {
              const before = first.get(name);
              if (!before || ["left", "top", "width", "height"].some((side) => Math.abs(before[side] - box[side]) > 0.5)) found.add(name);
            }
            seen += 1;
            if (seen < updates) return;
            observer.disconnect();
            done([...found]);
          });
          observer.observe(root, {attributes: true, attributeFilter: ["data-update"]});
        })""",
        updates,
    )


def accessibility_faults(notebook: Notebook) -> list[str]:
    """What axe-core finds in the view."""
    assert AXE.exists(), "axe-core is missing: run `make front-end`"
    notebook.page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    return notebook.page.evaluate(
        """async () => {
          const {violations} = await axe.run("[data-testid=pycrust-dashboard]");
          return violations.flatMap(({id, nodes}) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
        }"""
    )


def numerals_that_are_not_tabular(notebook: Notebook) -> list[str]:
    """Texts of numbers whose digits differ in width."""
    return notebook.view.evaluate(
        """root => [...root.querySelectorAll(".pycrust-number, td, .pycrust-fact, .pycrust-call-took, time")]
          .filter((node) => !getComputedStyle(node).fontVariantNumeric.includes("tabular-nums"))
          .map((node) => node.className)"""
    )
