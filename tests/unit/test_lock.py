"""The lock file: stable, readable in a diff, and clear about what is wrong with one."""

from __future__ import annotations

import json
import math

import pytest

from pycrust import Unavailable
from pycrust.schemas.differences import differences
from pycrust.schemas.lock import Lock, LockError, write_if_other


def method(name: str, *, version: int = 1, number: int = 1, doc: str = "", **parts: object) -> dict[str, object]:
    schema = {"request": {"type": "object"}, "response": {}, **parts}
    return {"name": name, "version": version, "schema_hash": number, "doc": doc, "schema": json.dumps(schema)}


def locked(*methods: dict[str, object]) -> Lock:
    return Lock.of_answer("calculator", methods)


WHOLE = """{
  "format": 1,
  "endpoint": "calculator",
  "methods": {
    "add": {
      "version": 2,
      "hash": "0x00000000000000ff",
      "doc": "Adds: zählt zusammen.",
      "kind": "call",
      "request": {
        "type": "object",
        "properties": {
          "b": {
            "type": "integer"
          },
          "a": {
            "type": "integer"
          }
        }
      },
      "response": {
        "type": "integer"
      }
    },
    "count": {
      "version": 1,
      "hash": "0x0000000000000001",
      "doc": "",
      "kind": "stream",
      "request": {
        "type": "object"
      },
      "response": {}
    }
  }
}
"""


def test_the_text():
    request = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "integer"}}}
    made = locked(
        method("count", kind="stream"),
        method(
            "add",
            version=2,
            number=255,
            doc="Adds: zählt zusammen.",
            request=request,
            response={"type": "integer"},
        ),
    )
    assert made.text() == WHOLE
    assert Lock.parse(WHOLE).text() == WHOLE


def test_what_has_the_same_schema_keeps_its_entry():
    old = locked(method("add", version=3, number=1), method("sub", version=3, number=2), method("gone"))
    new = locked(method("add", version=7, number=1), method("sub", version=7, number=3), method("more", version=7))
    over = new.over(old)
    assert {name: entry["version"] for name, entry in over.methods.items()} == {"add": 3, "more": 7, "sub": 7}
    assert new.over(new).text() == new.text()
    again = locked(method("add", version=9, number=1, doc="New words."))
    assert again.over(old).methods["add"] == {**old.methods["add"], "doc": "New words."}


def test_what_json_has_no_form_for():
    made = locked(method("add", doc="\ud800", request={"properties": {"a": {"default": math.inf}}}))
    read = json.loads(made.text(), parse_constant=pytest.fail)
    assert read["methods"]["add"]["request"]["properties"]["a"]["default"] is None
    assert made.text().isascii()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fn main() {}", "x.json is no lock file: it is no JSON .*pycrust types NAME --lock FILE"),
        ("[" * 100_000, "no JSON"),
        ("[]", 'no "format"'),
        ("{}", 'no "format"'),
        ('{"format": 2}', "of format 2, and this pycrust reads format 1"),
        ('{"format": 1}', 'no "endpoint"'),
        ('{"format": 1, "endpoint": "a", "methods": {}}', "a has no methods: register one"),
        ('{"format": 1, "endpoint": "a b", "methods": {"f": {}}}', "x.json is damaged: 'a b' can't be"),
        ('{"format": 1, "endpoint": "a", "methods": {"f": 1}}', "x.json is damaged: method 'f' is no object"),
        ('{"format": 1, "endpoint": "a", "methods": {"f": {"version": "1"}}}', "method 'f' has no \"version\""),
    ],
)
def test_what_is_no_lock_file(tmp_path, text, said):
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(LockError, match=said):
        Lock.read(file)


def test_of_bytes(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xff")
    with pytest.raises(LockError, match="it is no text"):
        Lock.read(tmp_path / "x.json")


def test_of_a_running_endpoint_as_of_one_here(endpoint):
    @endpoint.register
    def add(a: int, b: int = 1) -> int:
        """Adds."""
        return a + b

    with endpoint:
        running = Lock.of_running(endpoint.name)
    catalog = endpoint._service.catalog
    assert running == Lock.of_registrations(endpoint.name, catalog.visible(), {"add": 1})
    assert list(running.methods["add"]) == ["version", "hash", "doc", "kind", "request", "response"]
    with pytest.raises(Unavailable, match="no worker serves"):
        Lock.of_running(endpoint.name)
    with pytest.raises(LockError, match="has no methods"):
        Lock.of_registrations("empty", {}, {})


class TestDifferences:
    def test_of_methods(self):
        old = locked(method("same"), method("gone"), method("kind"))
        new = locked(method("same", version=2), method("added"), method("kind", kind="stream"))
        assert [str(one) for one in differences(old, new)] == [
            "added: added",
            "gone: removed (breaking)",
            "kind: call → stream (breaking)",
        ]

    def test_of_schemas(self):
        one = method("add", request={"properties": {"a": {"type": "integer"}}, "required": ["a"]})
        other = method("add", number=2, request={"properties": {"a": {"type": "string"}}, "required": ["a"]})
        (found,) = differences(locked(one), locked(other))
        assert (found.method, found.path) == ("add", "request.a")
        assert found.as_json()["method"] == "add"

    def test_of_words(self):
        (found,) = differences(locked(method("add", doc="Old.")), locked(method("add", doc="New.")))
        assert (found.path, found.breaking) == ("doc", False)
        (found,) = differences(locked(method("add", number=1)), locked(method("add", number=2)))
        assert found.what == "schema 0x0000000000000001 → 0x0000000000000002"


class TestWriting:
    def test_only_what_differs(self, tmp_path):
        file = tmp_path / "a.rs"
        assert write_if_other(file, "a")
        before = file.stat()
        assert not write_if_other(file, "a")
        assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        file.chmod(0o640)
        assert write_if_other(file, "b")
        assert (file.read_text(), file.stat().st_mode & 0o777) == ("b", 0o640)
        assert sorted(one.name for one in tmp_path.iterdir()) == ["a.rs", "runtime"]

    def test_through_a_link(self, tmp_path):
        (tmp_path / "to.rs").write_text("a")
        (tmp_path / "link.rs").symlink_to("to.rs")
        assert write_if_other(tmp_path / "link.rs", "b")
        assert ((tmp_path / "to.rs").read_text(), (tmp_path / "link.rs").is_symlink()) == ("b", True)

    def test_where_nothing_can_be(self, tmp_path):
        with pytest.raises(OSError, match="No such file"):
            write_if_other(tmp_path / "none" / "a.rs", "a")
