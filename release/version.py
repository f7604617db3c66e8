"""A release's number: `python -m release.version 0.3.0` writes it wherever it stands.

It stands once, in the workspace's manifest; the crates of the workspace ask for each other at exactly that number,
and the lock file repeats it. All else else takes it from there. The changelog's top section becomes that release's.
"""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Of semantic versioning, without build metadata, which neither registry takes.
VERSION = re.compile(r"\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?")
HEADING = "## Unreleased\n"


def of_manifest(text: str) -> str:
    """The number in a workspace's manifest.

    Raises:
        LookupError: There is none.
    """
    found = re.search(r'^\[workspace\.package\]\n(?:(?!\[).*\n)*?version = "([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise LookupError("the workspace has no version")
    return found[1]


def in_manifest(text: str, new: str) -> str:
    """A workspace's manifest with another number."""
    old = of_manifest(text)
    text = re.sub(rf'^version = "{re.escape(old)}"', f'version = "{new}"', text, count=1, flags=re.MULTILINE)
    # How the workspace's crates ask for each other.
    return re.sub(rf'(\bpath = "[^"]+", version = "=){re.escape(old)}"', rf'\g<1>{new}"', text)


def in_changelog(text: str, new: str, day: str) -> str:
    """A changelog whose unreleased part is a release's.

    Raises:
        LookupError: It has no part for what is not released.
    """
    if HEADING not in text:
        raise LookupError("the changelog has no section Unreleased")
    return text.replace(HEADING, f"{HEADING}\n## {new} - {day}\n", 1)


def main() -> None:
    """Writes the number that the command line names."""
    if len(sys.argv) != 2 or not VERSION.fullmatch(sys.argv[1]):  # noqa: PLR2004 - the program and its argument
        sys.exit("usage: make version VERSION=1.2.3")
    new = sys.argv[1]
    manifest, changelog = ROOT / "Cargo.toml", ROOT / "CHANGELOG.md"
    manifest.write_text(in_manifest(manifest.read_text(), new))
    today = dt.datetime.now(dt.UTC).date().isoformat()
    changelog.write_text(in_changelog(changelog.read_text(), new, today))
    # Only the workspace's own crates: what they depend on stays at the versions that were tested.
    subprocess.run(["cargo", "update", "--workspace", "--offline"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
