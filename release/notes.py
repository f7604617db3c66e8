"""What a release brings, by its tag: `python -m release.notes v0.3.0` prints the changelog's section of it."""

from __future__ import annotations

import re
import sys

from release.version import ROOT, of_manifest


def section(changelog: str, version: str) -> str:
    """The section of a version, without its heading.

    Raises:
        LookupError: There is none, or nothing is in it.
    """
    found = re.search(rf"^## {re.escape(version)} - .*\n((?:(?!## ).*\n?)*)", changelog, re.MULTILINE)
    if found is None or not found[1].strip():
        raise LookupError(f"the changelog says nothing of {version}")
    return found[1].strip()


def main() -> None:
    """Prints the section; a tag that is not the workspace's version is an error."""
    tag = sys.argv[1] if len(sys.argv) > 1 else ""
    version = of_manifest((ROOT / "Cargo.toml").read_text())
    if tag != f"v{version}":
        sys.exit(f"the tag is {tag!r}, and the workspace's version {version}")
    try:
        print(section((ROOT / "CHANGELOG.md").read_text(), version))
    except LookupError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
