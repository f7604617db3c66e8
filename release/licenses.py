"""The licences of what is compiled and bundled into a wheel; `make licenses` writes them to `licenses`.

Crates that may be used under the Apache licence are named; of the others, the text that comes with them is given.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The platforms that there are wheels for.
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
OURS = "Apache-2.0"

HEAD = """\
The extension pycrust/_native*.so is linked with the crates below and with Rust's standard library; the front end
pycrust/jupyter/view/dist has uPlot in it. Each is used under the licence that stands above it.
"""


def crates() -> list[tuple[str, str, str]]:
    """What the extension is linked with from elsewhere: name, version and licence of each crate."""
    platforms = [word for platform in PLATFORMS for word in ("--target", platform)]
    tree = subprocess.run(
        [
            "cargo", "tree", "--locked", "--package", "pycrust-native", "--edges", "normal,no-proc-macro",
            "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}", *platforms,
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = {tuple(line.split("|")) for line in tree.stdout.splitlines() if line}
    # Ours have a path behind their version.
    named = ([*package.split(), terms] for package, terms in found)
    return sorted((name, version.removeprefix("v"), terms) for name, version, *path, terms in named if not path)


def folders() -> dict[tuple[str, str], Path]:
    """Where the sources of crates are, by name and version."""
    told = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    packages = json.loads(told.stdout)["packages"]
    return {(one["name"], one["version"]): Path(one["manifest_path"]).parent for one in packages}


def may_be_ours(terms: str) -> bool:
    """Whether Apache-2.0 alone is one of the choices of a licence expression."""
    if " AND " in terms:
        return False
    return OURS in re.split(r" OR |/", terms)


def texts(folder: Path) -> str:
    """The texts that come with a crate, without those of the Apache licence.

    Raises:
        LookupError: There is none: somebody has to find it.
    """
    files = [path for path in sorted(folder.iterdir()) if re.match(r"(?i)(licen[cs]e|copying|notice)", path.name)]
    found = [path.read_text().strip() for path in files if path.is_file() and "apache" not in path.name.lower()]
    if not found:
        raise LookupError(f"{folder} has no text of its licence")
    return "\n\n".join(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE) for text in found)


def third_party() -> str:
    """The whole text."""
    where = folders()
    ours: list[str] = []
    others: defaultdict[str, list[str]] = defaultdict(list)
    notices: list[str] = []
    for name, version, terms in crates():
        folder = where[name, version]
        if may_be_ours(terms):
            ours.append(f"{name} {version}")
            notices += [f"{name}: {path.read_text().strip()}" for path in sorted(folder.glob("NOTICE*"))]
        else:
            others[texts(folder)].append(f"{name} {version} ({terms})")
    plot = ROOT / "pycrust/jupyter/view/node_modules/uplot"
    version = json.loads((plot / "package.json").read_text())["version"]
    others[(plot / "LICENSE").read_text().strip()].append(f"uPlot {version} (MIT)")
    named = "Rust's standard library, and the crates " + ", ".join(ours)
    parts = [HEAD, f"Apache License, Version 2.0 (its text stands beside this file):\n\n{named}\n", *notices]
    parts += [f"{', '.join(users)}:\n\n{text}\n" for text, users in others.items()]
    return f"\n{'-' * 80}\n\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(third_party())
