"""The site: built without a warning, complete, found in, and nothing in it comes from elsewhere."""

from __future__ import annotations

import html.parser
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import TimeoutError as NotInTimeError

import pycrust
from tests.conftest import ROOT
from tests.jupyter.browser.lab import PATIENCE_MS

# The first of them builds the site, with the crates' documentation.
pytestmark = pytest.mark.timeout(900)

#: Attributes by which a browser fetches something, of itself.
FETCHED = {
    ("script", "src"), ("link", "href"), ("img", "src"), ("source", "srcset"), ("iframe", "src"), ("video", "src"),
    ("audio", "src"), ("object", "data"), ("embed", "src"),
}  # fmt: skip
#: Links that name a page and fetch nothing.
NAMING = {"canonical", "next", "prev", "alternate", "author", "license"}
#: What a new user asks, and the page that answers.
QUESTIONS = {
    "how do I set a timeout": "how-to/errors.html",
    "return a numpy array": "how-to/arrays.html",
    "what happens when the worker restarts": "how-to/restarts.html",
    "roll back a handler": "concepts/versions.html",
    "my notebook's print output": "how-to/traffic.html",
    "test without python": "how-to/testing.html",
    "run in docker": "how-to/finding-workers.html",
    "retry": "how-to/errors.html",
    "which exception for not found": "how-to/errors.html",
    "stream results": "how-to/streams.html",
}


def pages_module():
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "site" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pages"] = module
    spec.loader.exec_module(module)
    return module


class Fetched(html.parser.HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag == "link" and set((named.get("rel") or "").split()) <= NAMING:
            return
        self.found += [value for name, value in attrs if (tag, name) in FETCHED and value]


def foreign(text: str) -> list[str]:
    """What is fetched from another host."""
    return [address for address in Fetched(text).found if re.match(r"(?:[a-z]+:)?//", address)]


def own_pages(site: Path) -> Iterator[Path]:
    """The pages that are not rustdoc's."""
    return (path for path in site.rglob("*.html") if path.relative_to(site).parts[0] != "rust")


def test_nothing_is_fetched_from_elsewhere(site):
    pages = list(own_pages(site))
    assert len(pages) > 60
    assert {path.name: found for path in pages if (found := foreign(path.read_text(encoding="utf-8")))} == {}
    for style in site.glob("assets/**/*.css"):
        assert (
            re.findall(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)|@import[^;]*//", style.read_text(encoding="utf-8"))
            == []
        )


def test_what_is_fetched_from_elsewhere_is_seen():
    page = '<script src="https://a/x.js"></script><link rel="stylesheet" href="//b/x.css"><img src="own.png">'
    assert foreign(page + '<link rel="canonical" href="https://c/">') == ["https://a/x.js", "//b/x.css"]


def test_a_browser_asks_no_other_host(address, browser):
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in ("index.html", "how-to/errors.html", "reference/endpoints.html"):
        page.goto(f"{address}/{name}", wait_until="networkidle")
    page.close()
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


def test_everything_exported_is_in_the_reference(site):
    text = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    for name in set(pycrust.__all__) - {"__version__"}:
        assert re.search(rf'<h2 id="pycrust\.(?:[\w.]+\.)?{name}"', text), name


def test_options_of_a_signature_are_shown_by_name_and_said_what_they_do(site):
    page = re.sub(r"<[^>]+>", "", (site / "reference" / "endpoints.html").read_text(encoding="utf-8"))
    for shown in (
        r"max_in_flight: int = ",
        r"concurrency: int \| None",
        r"Calls received and not yet answered, at most",
    ):
        assert re.search(shown, page), shown


def test_the_crates_documentation_is_there(site):
    rust = (site / "reference" / "rust.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(\.\./rust/[^"]+)"', rust)
    assert len(links) >= 2
    assert all((site / "reference" / link).resolve().is_file() for link in links)
    assert (site / "rust" / "pycrust_client" / "struct.RpcClient.html").is_file()


def test_every_command_is_in_the_reference(site):
    page = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    commands = {path.stem for path in (ROOT / "pycrust/cli/commands").glob("[a-z]*.py")}
    assert set(re.findall(r"<h2 id=\"pycrust-([\w-]+)\"", page)) == commands


def test_every_command_is_on_the_page_of_them():
    page = (ROOT / "docs/how-to/command-line.md").read_text(encoding="utf-8")
    commands = {path.stem for path in (ROOT / "pycrust/cli/commands").glob("[a-z]*.py")}
    assert set(re.findall(r"^pycrust (\w+)", page, re.MULTILINE)) == commands


def test_the_index_for_machines_has_each_page_with_a_sentence(site):
    listed = re.findall(r"^- \[[^]]+\]\(([^)]+)\): (\S.*\.)$", (site / "llms.txt").read_text(), re.MULTILINE)
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    named = re.findall(r"[\w/-]+\.md", yaml.safe_dump(nav))
    assert [page for page, _ in listed] == [name.removesuffix(".md") + ".html" for name in named]
    assert all((site / page).is_file() for page, _ in listed)


def test_a_link_that_leads_nowhere_is_seen(tmp_path):
    pages = pages_module()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one.md").write_text("# One\n\nA [link](two.md) and `[none](here.md)`.\n")
    made = pages.Pages({"extra": {"repository": "https://example.org"}, "nav": []}, tmp_path)
    with pytest.raises(pages.LinkError, match=r"docs/one\.md: two\.md"):
        made.text("one.md")
    (tmp_path / "docs" / "two.md").write_text("# Two\n")
    (tmp_path / "LICENSE").write_text("")
    made = pages.Pages({"extra": {"repository": "https://example.org"}, "nav": []}, tmp_path)
    assert "[link](two.md)" in made.text("one.md")
    (tmp_path / "docs" / "two.md").write_text("<!-- not run: why -->\n[licence](../LICENSE)\n")
    assert made.text("two.md") == "[licence](https://example.org/blob/main/LICENSE)\n"


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_search_answers_a_new_user(question, address, browser):
    page = browser.new_page()
    page.goto(f"{address}/index.html")
    box = page.locator("input.md-search__input")
    box.click()
    box.fill(question[:-1])
    box.press(question[-1])  # it looks at keys
    wanted = f"{address}/{QUESTIONS[question]}"
    first_three = (
        "wanted => [...document.querySelectorAll('.md-search-result__item')].slice(0, 3)"
        ".some(item => item.querySelector('a').href.split(/[?#]/)[0] === wanted)"
    )
    try:
        page.wait_for_function(first_three, arg=wanted, timeout=PATIENCE_MS)
    except NotInTimeError:
        pytest.fail(f"not among the first three: {page.locator('.md-search-result__item').all_inner_texts()[:5]}")
    finally:
        page.close()
