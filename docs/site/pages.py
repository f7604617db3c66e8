"""Writes the pages of the documentation site, which mkdocs.yml names, into `target/docs/pages`.

They are Markdown that lies elsewhere in the repository, with links that lead from page to page, and references made
of the code: any builder that reads mkdocs.yml can go on from there.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import yaml

import pycrust
from pycrust.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
#: Pages that lie outside of `docs`.
OUTSIDE = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "reference/protocol.md": "native/protocol/SPEC.md",
}
#: What is copied as it is.
COPIED = ("*.json", "images/*")
#: The reference of Python: everything that the package exports stands on one page.
REFERENCE = {
    "endpoints": (
        "Endpoints",
        "What a notebook or a service uses to serve handlers.",
        "RpcEndpoint Method rpc_method Batch RealTime Stats current_call current_calls",
    ),
    "client": ("The Python client", "Calls from Python, blocking and async, over the same transport.", "RpcClient"),
    "errors": (
        "Errors",
        "Each code has an exception of its own, which derives from the built-in one that you would catch.",
        (
            "Code RpcError InvalidArgument UnknownMethod Unimplemented Unknown DeadlineExceeded Cancelled NotFound"
            " AlreadyExists AlreadyServed PermissionDenied ResourceExhausted FailedPrecondition SchemaMismatch"
            " Aborted OutOfRange Internal Unavailable DataLoss Unauthenticated"
        ),
    ),
    "values": (
        "Values",
        "Annotations of arrays, moments to the nanosecond, and validation by itself.",
        "DType Shape Timestamp to_torch validate_arguments validate_result",
    ),
    "versions": (
        "Versions and models",
        "What a method's versions and a model's slot tell and do.",
        "Version History Event EventLog ModelSlot ModelVersion Reload ModelRefusedError load_weights",
    ),
    "traffic": (
        "Traffic",
        "Recorded calls, and candidates that are tried on them.",
        "Traffic RecordedCall FilterError Shadow Trial",
    ),
    "testing": ("Testing and telemetry", "For tests of handlers, and for OpenTelemetry.", "testing telemetry"),
}
RUST = """\
# The Rust client

The crates' own documentation is part of this site:

- <a href="../rust/pycrust_client/index.html">pycrust_client</a>: the clients, and a worker for tests.
- <a href="../rust/pycrust_build/index.html">pycrust_build</a>: typed clients made by a build script.
"""

#: How much pages count in the search that tell of the project and not of its use.
_ASIDE = re.compile(r"decisions/|changelog|contributing|walk|benchmarks|ported|versions|reference/protocol")
_BOOST = "---\nsearch: {boost: 0.2}\n---\n\n"

_FENCE = re.compile(r"^```.*?^```[ \t]*$\n?", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()([^)\s]+)(\))|((?:src|srcset|href)=\")([^\"]+)(\")")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


class LinkError(ValueError):
    """A link leads nowhere."""


class Pages:
    """The pages, and where each of them comes from.

    Args:
        config: What mkdocs.yml says.
        root: The repository.
    """

    def __init__(self, config: dict[str, Any], root: Path = ROOT) -> None:
        """Reads the list of pages."""
        self._root = root
        self._repository: str = config["extra"]["repository"]
        self.nav: list[tuple[str, list[str]]] = [
            (name, _leaves(inner)) for entry in config["nav"] for name, inner in entry.items()
        ]
        self._sources = {page: file for page, file in OUTSIDE.items() if (root / file).exists()}
        docs = root / "docs"
        for path in docs.rglob("*.md"):
            self._sources[path.relative_to(docs).as_posix()] = path.relative_to(root).as_posix()
        for pattern in COPIED:
            for path in docs.glob(pattern):
                self._sources[path.relative_to(docs).as_posix()] = path.relative_to(root).as_posix()
        self._pages = {file: page for page, file in self._sources.items()}
        # A folder of the repository that is a page of the site.
        self._pages["docs/decisions"] = "decisions/index.md"

    def write(self, target: Path) -> None:
        """Writes all of them."""
        shutil.rmtree(target, ignore_errors=True)
        made = {"reference/rust.md": RUST, "reference/command-line.md": command_line(), **reference()}
        made["decisions/index.md"] = self._decisions()
        texts = {page: self.text(page) for page in self._sources if page.endswith(".md")} | made
        for page, text in texts.items():
            _put(target / page, _BOOST + text if _ASIDE.match(page) else text)
        for page, file in self._sources.items():
            if not page.endswith(".md"):
                (target / page).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self._root / file, target / page)
        _put(target / "llms.txt", self._index(texts))

    def text(self, page: str) -> str:
        """A page's Markdown: without comments, its links as they are in the site.

        Raises:
            LinkError: There is nothing where one of them leads.
        """
        file = self._sources[page]
        text = (self._root / file).read_text(encoding="utf-8")
        pieces, end = [], 0
        for fence in _FENCE.finditer(text):
            pieces += [self._prose(text[end : fence.start()], file, page), fence[0]]
            end = fence.end()
        return "".join([*pieces, self._prose(text[end:], file, page)])

    def _prose(self, text: str, file: str, page: str) -> str:
        text = re.sub(r"^<!--.*?-->[ \t]*\n", "", text, flags=re.MULTILINE | re.DOTALL)
        # In tables GitHub takes a bar in code only with a backslash, and the site's Markdown only without.
        text = re.sub(r"^\|.*$", lambda row: re.sub(r"`[^`]*`", _bars, row[0]), text, flags=re.MULTILINE)

        def link(match: re.Match[str]) -> str:
            before, target, after = (
                one or two for one, two in zip(match.groups()[:3], match.groups()[3:], strict=True)
            )
            return f"{before}{self._target(target, file, page)}{after}"

        # Code between backticks is left alone.
        pieces = re.split(r"(`[^`]+`)", text)
        return "".join(piece if at % 2 else _LINK.sub(link, piece) for at, piece in enumerate(pieces))

    def _target(self, target: str, file: str, page: str) -> str:
        if re.match(r"[a-z]+:|#", target):
            return target
        path, hash_, anchor = target.partition("#")
        there = os.path.normpath(Path(file).parent / path)
        if (found := self._pages.get(there)) is not None:
            return os.path.relpath(found, Path(page).parent) + hash_ + anchor
        if not (self._root / there).exists():
            raise LinkError(f"{file}: {target}")
        kind = "tree" if (self._root / there).is_dir() else "blob"
        return f"{self._repository}/{kind}/main/{there}{hash_}{anchor}"

    def _decisions(self) -> str:
        rows = []
        for page in sorted(self._sources):
            if re.match(r"decisions/0", page):
                text = (self._root / self._sources[page]).read_text(encoding="utf-8")
                rows.append(f"- [{_title(text)}]({page.removeprefix('decisions/')})")
        return (
            "# Decisions\n\nWhy things are as they are, each with what was measured.\n\n" + "\n".join(rows) + "\n"
        )

    def _index(self, texts: dict[str, str]) -> str:
        lines = ["# PyCrust", "", f"> {first_sentence(texts['index.md'])}"]
        for name, pages in self.nav:
            lines += ["", f"## {name}", ""]
            lines += [
                f"- [{_title(texts[page])}]({page.removesuffix('.md')}.html): {first_sentence(texts[page])}"
                for page in pages
            ]
        return "\n".join(lines) + "\n"


def _leaves(inner: str | list[dict[str, str]]) -> list[str]:
    return [inner] if isinstance(inner, str) else [page for entry in inner for page in entry.values()]


def _bars(code: re.Match[str]) -> str:
    return code[0].replace(r"\|", "|")


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _title(text: str) -> str:
    found = _TITLE.search(text)
    if found is None:
        raise ValueError("a page without a title")
    return found[1]


def first_sentence(text: str) -> str:
    """The first sentence below a page's title, without marks.

    Raises:
        ValueError: There is none.
    """
    below = _TITLE.split(text, maxsplit=1)[2].strip()
    paragraph = below.partition("\n\n")[0].replace("\n", " ")
    plain = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", paragraph).replace("**", "")
    sentence = re.match(r".*?[^.](?:\.(?= |$)|:$)", plain)
    if sentence is None or not re.match(r"[A-Z`“\"]", plain):
        raise ValueError(f"{_title(text)}: does not begin with a sentence: {plain[:80]!r}")
    return sentence[0].rstrip(":.") + "."


def reference() -> dict[str, str]:
    """The pages of the Python reference.

    Raises:
        ValueError: Something that is exported stands on none of them, or something else on one.
    """
    named = {name for _, _, names in REFERENCE.values() for name in names.split()} - {"testing", "telemetry"}
    if different := named ^ (set(pycrust.__all__) - {"__version__"}):
        raise ValueError(f"in the reference or exported, and not both: {sorted(different)}")
    return {
        f"reference/{page}.md": f"# {title}\n\n{about}\n\n"
        + "\n".join(f"::: pycrust.{name}\n" for name in names.split())
        for page, (title, about, names) in REFERENCE.items()
    }


def command_line() -> str:
    """The page of commands: what `--help` says of each."""
    lines = ["# Command line", "", "What `pycrust --help` and the `--help` of each command say.", ""]
    group = click.Context(COMMANDS, info_name="pycrust", terminal_width=100, max_content_width=100)
    lines += ["## pycrust", "", "```text", COMMANDS.get_help(group).rstrip(), "```", ""]
    for name in COMMANDS.list_commands(group):
        command = COMMANDS.get_command(group, name)
        if command is None:
            raise LookupError(name)
        inner = click.Context(command, parent=group, info_name=name, terminal_width=100, max_content_width=100)
        lines += [f"## pycrust {name}", "", "```text", command.get_help(inner).rstrip(), "```", ""]
    return "\n".join(lines)


def main() -> None:
    """Writes the pages into the directory that mkdocs.yml names."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    Pages(config).write(ROOT / config["docs_dir"])


if __name__ == "__main__":
    sys.exit(main())
