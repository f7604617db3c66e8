"""`endpoint.rust_client()`: the module as text, in a file, and as a notebook shows it."""

from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest

from pycrust.schemas.lock import Lock, LockError
from pycrust.schemas.rust import RustClient, formatted, rust_module
from tests.unit.test_transactions import shell  # noqa: F401 - a fixture


class Shown(HTMLParser):
    """What HTML consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def calculator(endpoint):
    @endpoint.register
    def add(a: int, b: int) -> int:
        """Adds </code></pre><script>alert(1)</script>."""
        return a + b

    return endpoint


def test_its_text_is_the_module(calculator, tmp_path):
    client = calculator.rust_client()
    catalog = calculator._service.catalog
    lock = Lock.of_registrations(calculator.name, catalog.visible(), {"add": 1})
    assert str(client) == rust_module(lock)
    file = tmp_path / "calculator.rs"
    assert client.save(file) == f"{file}: written"
    assert file.read_text() == str(client)
    assert client.save(str(file)) == f"{file}: as it was"


def test_an_endpoint_without_methods(endpoint):
    with pytest.raises(LockError, match=f"{endpoint.name} has no methods"):
        endpoint.rust_client()


def test_the_notebooks_form_is_escaped_and_needs_nothing_from_elsewhere(calculator):
    client = calculator.rust_client()
    client._source = "/// </code></pre><script>alert(1)</script>{x}\n" + str(client)
    shown = Shown(client._repr_html_())
    assert {tag for tag, _ in shown.tags} == {"div", "span", "b", "button", "pre", "code"}
    assert not any({"src", "href"} & attributes.keys() for _, attributes in shown.tags)
    assert "url(" not in client._repr_html_()
    assert str(client) in shown.text
    assert html.escape("<script>") in client._repr_html_()


def test_a_long_module_is_cut_where_it_is_shown():
    client = RustClient.__new__(RustClient)
    client.endpoint, client.methods = "long", 1
    client._source = "".join(f"pub const A{number}: u32 = 1;\n" for number in range(100_000))
    assert len(client._repr_html_()) < 250_000
    assert "more characters" in client._repr_html_()
    assert len(repr(client).splitlines()) == 41
    assert repr(client).endswith("more lines: print(…), .save(path)")


def test_rustfmt_is_used_where_it_is(monkeypatch, tmp_path):
    assert formatted("pub  fn a( ){}") == "pub fn a() {}\n"
    assert formatted("no rust ]") == "no rust ]"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert formatted("pub  fn a( ){}") == "pub  fn a( ){}"


def test_a_cell_sees_what_it_has_registered(shell):  # noqa: F811 - the fixture
    shell.run(shell.define("one", 1))
    assert shell.run(shell.define("two", 2) + "seen = str(endpoint.rust_client())\nassert 'two' in seen\n")
    assert not shell.run(shell.define("three", 3) + "seen = str(endpoint.rust_client())\nraise ValueError\n")
    assert "three" in shell.ip.user_ns["seen"]
    assert "three" not in str(shell.endpoint.rust_client())
