"""A release's number stands in one place, and everything that has one takes it from there."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

import pycrust
from pycrust._extension import PROTOCOL_VERSION
from release import notes, version
from tests.conftest import ROOT

MANIFEST = ROOT / "Cargo.toml"
NUMBER = version.of_manifest(MANIFEST.read_text())


def test_the_package_and_the_extension_have_the_workspaces_number():
    assert pycrust.__version__ == importlib.metadata.version("pycrust") == NUMBER
    said = subprocess.run(
        [sys.executable, "-m", "pycrust", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert said.split(",")[0] == f"pycrust {NUMBER}"


def test_no_other_file_has_a_number_of_its_own():
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert python["dynamic"] == ["version"]
    assert "version" not in python
    workspace = tomllib.loads(MANIFEST.read_text())["workspace"]
    for member in workspace["members"]:
        package = tomllib.loads((ROOT / member / "Cargo.toml").read_text())["package"]
        assert package.get("version", {"workspace": True}) == {"workspace": True}, member
    for package in ROOT.glob("pycrust/jupyter/view/package.json"):
        assert "version" not in json.loads(package.read_text())


def test_the_crates_ask_for_each_other_at_that_number():
    asked = tomllib.loads(MANIFEST.read_text())["workspace"]["dependencies"]
    ours = {name: what for name, what in asked.items() if isinstance(what, dict) and "path" in what}
    assert "pycrust-protocol" in ours
    assert {what.get("version", f"={NUMBER}") for what in ours.values()} == {f"={NUMBER}"}


def test_the_lock_file_has_it():
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    ours = {one["name"]: one["version"] for one in locked if "source" not in one}
    assert "pycrust-client" in ours
    assert set(ours.values()) <= {NUMBER, "0.0.0"}


@pytest.mark.parametrize("new", ["9.8.7", "10.0.0-rc.1"])
def test_another_number_is_written_everywhere(tmp_path, new):
    """In a copy, which Cargo reads: what asks for an older number would not resolve."""
    ignored = shutil.ignore_patterns("target", "node_modules", "*.so", "__pycache__", ".git", ".venv")
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=ignored)
    subprocess.run([sys.executable, "-m", "release.version", new], cwd=copy, check=True)
    told = subprocess.run(
        ["cargo", "metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"],
        cwd=copy, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert {one["version"] for one in json.loads(told)["packages"]} <= {new, "0.0.0"}
    headings = re.findall(r"^## (.*)$", (copy / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(re.escape(new) + r" - \d{4}-\d\d-\d\d", headings[1])


@pytest.mark.parametrize("wrong", ["1.2", "v1.2.3", "1.2.3+local", ""])
def test_what_is_no_number_changes_nothing(wrong):
    done = subprocess.run(
        [sys.executable, "-m", "release.version", wrong], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "usage" in done.stderr
    assert version.of_manifest(MANIFEST.read_text()) == NUMBER


def test_the_documented_protocol_is_the_one_that_is_spoken():
    table = dict(
        re.findall(r"^\| (\d+\.\d+) \| (\d+) \|$", (ROOT / "docs" / "versions.md").read_text(), re.MULTILINE)
    )
    assert table[".".join(NUMBER.split(".")[:2])] == str(PROTOCOL_VERSION)
    specified = (ROOT / "native" / "protocol" / "SPEC.md").read_text().splitlines()[0]
    assert specified == f"# PyCrust protocol, version {PROTOCOL_VERSION}"


CHANGES = """\
# Changelog

## Unreleased

- new

## 1.1.0 - 2020-02-02

- old
"""


def test_a_release_s_notes_are_its_section():
    changed = version.in_changelog(CHANGES, "1.2.0", "2021-03-03")
    assert notes.section(changed, "1.2.0") == "- new"
    assert notes.section(changed, "1.1.0") == "- old"
    for absent in ("1.2", "1.0.0"):
        with pytest.raises(LookupError, match="says nothing"):
            notes.section(changed, absent)
    # A second release without anything new between them.
    empty = version.in_changelog(changed, "1.3.0", "2021-03-04")
    with pytest.raises(LookupError, match="says nothing"):
        notes.section(empty, "1.3.0")


def test_a_tag_is_the_workspace_s_version():
    for tag in (NUMBER, "v0.0.0", ""):
        done = subprocess.run(
            [sys.executable, "-m", "release.notes", tag], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert NUMBER in done.stderr
