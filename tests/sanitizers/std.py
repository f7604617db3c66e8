"""Builds what tells ThreadSanitizer of the standard library's locks: `python tests/sanitizers/std.py FOLDER`.

Leaves `std.o` in the folder, and `link.args` with what the linker has to be told (`std.c` says why).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

#: Functions as `std.c` calls them, and the ends of the symbols that they are in the library.
FUNCTIONS = {
    "MUTEX_LOCK": r"3sys4sync5mutex5futexNtB\w*_5Mutex14lock_contended",
    "RWLOCK_READ": r"3sys4sync6rwlock5futexNtB\w*_6RwLock14read_contended",
    "RWLOCK_WRITE": r"3sys4sync6rwlock5futexNtB\w*_6RwLock15write_contended",
    "CONDVAR_WAIT": r"3sys4sync7condvar5futexNtB\w*_7Condvar4wait",
    "CONDVAR_WAIT_TIMEOUT": r"3sys4sync7condvar5futexNtB\w*_7Condvar12wait_timeout",
    "ONCE_CALL": r"3sys4sync4once5futexNtB\w*_4Once4call",
    "SCOPE_END": r"6thread6scopedNtB\w*_9ScopeData29decrement_num_running_threads",
    "THREAD_PARK": r"6thread6threadNtB\w*_6Thread4park",
    "THREAD_PARK_TIMEOUT": r"6thread6threadNtB\w*_6Thread12park_timeout",
}


def symbols() -> dict[str, str]:
    """The library's symbols by the names in `std.c`."""
    asked = subprocess.run(["rustc", "--print", "target-libdir"], capture_output=True, text=True, check=True)
    (library,) = Path(asked.stdout.strip()).glob("libstd-*.rlib")
    # Between the zeros of its table of symbols: the system's `nm` may be too old for Rust's LLVM.
    names = library.read_bytes()
    found = {}
    for name, end in FUNCTIONS.items():
        matching = set(re.findall(rf"\0(_RNvM\w*{end})\0".encode(), names))
        if len(matching) != 1:
            sys.exit(f"std.c doesn't know this release of Rust: {library.name} has {len(matching)} functions {end}")
        found[name] = matching.pop().decode()
    return found


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    found = symbols()
    made = folder / "std.o"
    source = Path(__file__).with_name("std.c")
    defines = [f"-D{name}={symbol}" for name, symbol in found.items()]
    subprocess.run(["cc", "-O2", "-g", "-fexceptions", "-c", *defines, "-o", made, source], check=True)
    wrapped = [*found.values(), "__tsan_atomic64_fetch_sub"]
    options = [str(made), *(f"-Wl,--wrap={symbol}" for symbol in wrapped)]
    (folder / "link.args").write_text("".join(f"{option}\n" for option in options))


if __name__ == "__main__":
    main()
