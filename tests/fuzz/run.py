"""Runs fuzz targets, one after the other, until one fails: `python -m tests.fuzz.run [TARGET ...] [--seconds 60]`.

`make fuzz` builds what this runs. What is found stays in `target/fuzz`; `--keep` takes the fewest inputs that reach
everything which the found ones reach into the repository, where the tests replay them. What failed once is put into
`regressions` by hand, under a name that says what failed; `--keep` leaves it alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
BUILT = ROOT / "target" / "fuzz"
#: The corpora of the targets in Rust, and of those in Python.
RUST, PYTHON = HERE / "corpora", HERE / "python" / "corpora"
#: Beside them, for some targets: inputs that failed once.
REGRESSIONS = "regressions"
#: Targets with threads of their own: libFuzzer takes what these allocate for leaks, and its check after each such
#: input costs more than the input.
THREADED = ("worker", "connection", "client", "codec")
#: What AddressSanitizer holds back of the memory that they free. Of its usual 256 MiB each page is new to the
#: process, and costs them half of their inputs.
FREED = "quarantine_size_mb=16"
#: Files and bytes of one corpus in the repository, at most.
MAX_FILES, MAX_BYTES = 100, 300 << 10


def targets(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def binary() -> Path:
    """The newest build for this machine, whatever it is called."""
    return max(BUILT.glob("*/fuzz/fuzz"), key=lambda path: path.stat().st_mtime)


def command(name: str, environment: dict[str, str]) -> list[str]:
    """What runs a target, without the options that are libFuzzer's."""
    if (PYTHON / name).is_dir():
        extension = next((BUILT / "python").glob("*/fuzz/lib_native.so"), None)
        if extension is not None:
            environment["PYCRUST_FUZZ_EXTENSION"] = str(extension)
        return [sys.executable, "-m", "tests.fuzz.python.run", name]
    environment["PYCRUST_FUZZ_TARGET"] = name
    return [str(binary())]


def kept(name: str) -> Path:
    """The target's corpus in the repository."""
    return (PYTHON if (PYTHON / name).is_dir() else RUST) / name


def regressions(name: str) -> Path:
    """The target's inputs that failed once; few targets have any."""
    return kept(name).parent.parent / REGRESSIONS / name


def run(name: str, seconds: int) -> bool:
    """Runs one target; whether it held."""
    found, crashes, logs = (BUILT / part for part in ("corpora", "crashes", "logs"))
    for folder in (found / name, crashes / name, logs):
        folder.mkdir(parents=True, exist_ok=True)
    added: dict[str, str] = {}
    start = command(name, added)
    options = [
        f"-max_total_time={seconds}", f"-artifact_prefix={crashes / name}/", "-max_len=4096", "-timeout=60",
        "-rss_limit_mb=4096", "-print_final_stats=1", "-print_funcs=0",
    ]  # fmt: skip
    if name in THREADED:
        options += ["-detect_leaks=0", "-len_control=10"]
        added["ASAN_OPTIONS"] = FREED
    sources = [path for path in (found / name, kept(name), regressions(name)) if path.is_dir()]
    log = logs / f"{name}.log"
    with log.open("wb") as file:
        ended = subprocess.run(
            [*start, *map(str, sources), *options],
            cwd=ROOT, env=os.environ | added, stdout=file, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    text = log.read_text(errors="replace")
    if ended.returncode == 0:
        units = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
        covered = re.findall(r"cov: (\d+) ft: (\d+)", text)
        tried = int(units[1]) if units else 0
        edges, features = covered[-1] if covered else ("?", "?")
        print(f"{name:11} {tried:>11,} inputs, {edges} edges, {features} features", flush=True)
        return True
    written = re.search(r"Test unit written to (\S+)", text)
    print("\n".join(text.splitlines()[-40:]))
    print(f"\n{name} has failed; all of what it said is in {log.relative_to(ROOT)}.")
    if written:
        again = " ".join([*(f"{key}={value}" for key, value in added.items()), *start, written[1]])
        print(f"The input is {written[1]}. To run it again:\n\n    {again}\n")
    return False


def keep(name: str) -> None:
    """Takes the fewest inputs that reach all of what was reached into the repository."""
    added: dict[str, str] = {}
    start = command(name, added)
    into = kept(name)
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder)
        sources = [str(path) for path in (into, BUILT / "corpora" / name) if path.is_dir()]
        options = ["-set_cover_merge=1", "-use_counters=0", "-detect_leaks=0", "-max_len=4096"]
        subprocess.run(
            [*start, *options, str(merged), *sources],
            cwd=ROOT, env=os.environ | added, check=True, capture_output=True,
        )  # fmt: skip
        files = sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name))
        # The small ones reach what is common, the large ones what is rare: some of all sizes.
        step = max(len(files) / MAX_FILES, 1)
        chosen = [files[int(index * step)] for index in range(min(len(files), MAX_FILES))]
        inputs = [path.read_bytes() for path in chosen]
    if not inputs:
        sys.exit(f"{name}: nothing came of merging; its corpus is as it was")
    while sum(map(len, inputs)) > MAX_BYTES:
        inputs.pop()
    shutil.rmtree(into)
    into.mkdir()
    for data in inputs:
        (into / hashlib.sha1(data, usedforsecurity=False).hexdigest()[:16]).write_bytes(data)
    print(f"{name:11} {len(inputs)} inputs, {sum(map(len, inputs)):,} bytes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of them by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="run nothing, keep what was found")
    options = parser.parse_args()
    known = [*targets(RUST), *targets(PYTHON)]
    unknown = set(options.targets) - set(known)
    if unknown:
        sys.exit(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in options.targets or known:
        if options.keep:
            keep(name)
        elif not run(name, options.seconds):
            sys.exit(1)


if __name__ == "__main__":
    main()
