"""The runtime directory, and what the dead have left there and in shared memory."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pycrust._extension import decode, live_endpoints, runtime_dirs
from pycrust.cli.doctor.finding import Finding
from pycrust.cli.doctor.machine import SHM, mounted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

#: File systems that other machines have, too.
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "lustre", "fuse.glusterfs"}
#: Sockets lie in it, whose paths have 108 bytes; as `native/transport/src/claiming/place.rs` has it.
_LONGEST = 85
#: A life: its directory in shared memory.
_LIFE = re.compile(r"pyc\d+_.*_iox2")
#: Bytes of a lock file that are read.
_LOCK_LEN = 4_096
#: Looks at what is left; each removes what it can in a fifth of a second.
_LOOKS = 50


def directories() -> list[Path]:
    """The runtime directories that there are; none if none can be used."""
    with suppress(OSError):
        return [Path(path) for path in runtime_dirs()]
    return []


def runtime() -> Iterator[Finding]:
    """Whether the runtime directory can be used."""
    given = os.environ.get("PYCRUST_RUNTIME_DIR")
    usual = Path(f"/tmp/pycrust-{os.getuid()}")  # noqa: S108 - where it is by default
    path = Path(given).absolute() if given else usual
    wrong = [finding for finding in _directory(path) if given or finding.kind != "runtime-dir-owner"]
    yield from wrong
    try:
        found = runtime_dirs()
    except OSError as error:
        if not wrong:
            yield Finding(
                "runtime-dir", str(path), str(error), "workers and clients find each other there",
                "export PYCRUST_RUNTIME_DIR=<a directory of this user's>, for workers and clients alike",
            )  # fmt: skip
        return
    for one in map(Path, found):
        room = os.statvfs(one)
        if room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0):
            yield Finding(
                "runtime-dir-full", str(one), f"there is no room in {one}", "no worker can say that it serves",
                f"df {one}; df -i {one}",
            )  # fmt: skip
        if (kind := mounted(one)) in _NETWORK:
            yield Finding(
                "runtime-dir-network", str(one), f"{one} is on {kind}, a file system of several machines",
                "locks and sockets there are slow, lost or seen by machines that they mean nothing to",
                "export PYCRUST_RUNTIME_DIR=/tmp/pycrust, for workers and clients alike",
            )  # fmt: skip
        unknown = sorted(entry.name for entry in one.iterdir() if entry.suffix not in {".lock", ".sock"})
        if unknown:
            yield Finding(
                "runtime-dir-others", str(one), f"{one} has files that are not PyCrust's: {', '.join(unknown[:5])}",
                "it is to be PyCrust's alone", f"move them elsewhere: ls -la {one}", serious=False,
            )  # fmt: skip


def _directory(path: Path) -> Iterator[Finding]:
    why = "workers and clients of this user find each other there, and nobody else may"
    if len(os.fsencode(path)) > _LONGEST:
        yield Finding(
            "runtime-dir-long", str(path), f"the path of the runtime directory has {len(os.fsencode(path))} bytes",
            f"sockets lie in it, so that it may have {_LONGEST}",
            "export PYCRUST_RUNTIME_DIR=/tmp/pycrust, for workers and clients alike",
        )  # fmt: skip
        return
    try:
        found = path.lstat()
    except FileNotFoundError:
        return  # it is made when it is needed
    except OSError as error:
        yield Finding("runtime-dir-closed", str(path), f"{path}: {error.strerror}", why, f"ls -ld {path.parent}")
        return
    if not stat.S_ISDIR(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no directory"
        yield Finding("runtime-dir-kind", str(path), f"{path} is {kind}", why, f"rm {path}")
    elif found.st_uid != os.getuid():
        mend = f"sudo chown {os.getuid()} {path}; or export PYCRUST_RUNTIME_DIR=<a directory of this user's>"
        yield Finding("runtime-dir-owner", str(path), f"{path} belongs to uid {found.st_uid}", why, mend)
    elif found.st_mode & 0o077:
        mode = f"{found.st_mode & 0o777:o}"
        yield Finding("runtime-dir-mode", str(path), f"{path} has mode {mode}, not 700", why, f"chmod 700 {path}")


def owners() -> list[dict[str, Any]]:
    """Who serves which name, by the locks that are held; nothing is removed."""
    held: dict[tuple[str, int], dict[str, Any]] = {}
    for path in _locks():
        owner, is_held = _lock(path)
        if is_held and owner:
            held[owner["endpoint"], owner["generation"]] = owner
    return [held[key] for key in sorted(held)]


def leftovers() -> Iterator[Finding]:
    """What the dead have left: nobody holds the kernel's lock on it any more."""
    mend = "pycrust doctor --fix"
    sockets: set[Path] = set()
    for path in _locks():
        owner, is_held = _lock(path)
        if is_held:
            continue
        said = f" by pid {owner['pid']}, which is gone" if owner else ""
        yield Finding(
            "stale-name", str(path), f"the endpoint {path.stem} was served{said}, and its lock was left",
            "nothing is served by it; the next worker or look removes it", mend, removable=True,
        )  # fmt: skip
    for directory in directories():
        sockets |= {path for path in directory.glob("*.sock") if path.is_socket()}
    for path in sorted(sockets):
        if _is_dead(path):
            yield Finding(
                "stale-socket", str(path), f"nobody listens at {path}", "clients that knock there are refused",
                mend, removable=True,
            )  # fmt: skip
    for path in _lives():
        with _opened(path, os.O_DIRECTORY) as life:
            if life is None or not _is_free(life, fcntl.LOCK_EX):
                continue
            size = sum(one.stat().st_blocks * 512 for one in path.glob("**/*") if one.is_file())
            owner = _owner(path / "worker.lock")
        said = f" of {owner['endpoint']}, served by pid {owner['pid']}" if owner else ""
        yield Finding(
            "stale-memory", str(path), f"{size // 1024} KiB of shared memory{said} have no user any more",
            "they take memory until somebody looks", mend, removable=True,
        )  # fmt: skip
    own = f"pyc{os.getuid()}_"
    unknown = [name for name in os.listdir(SHM) if name.startswith(own) and not _LIFE.fullmatch(name)]  # noqa: PTH208 - names, not paths
    if unknown:
        yield Finding(
            "unknown-memory", str(SHM), f"{len(unknown)} files in {SHM} begin as PyCrust's do: {unknown[0]}, …",
            "another version may have made them; nobody can tell whether they are used", f"ls -l {SHM}/{own}*",
            serious=False,
        )  # fmt: skip


def remove(found: list[Finding]) -> list[Finding]:
    """Removes leftovers of which no living process has any; gives those that are gone."""
    wanted = {finding.subject: finding for finding in found if finding.removable}
    for _ in range(_LOOKS):
        # Removes, under their locks, names and lives that nobody holds.
        live_endpoints()
        if not any(os.path.lexists(path) for path in wanted):
            break
        for path in [Path(one) for one in wanted if one.endswith(".sock")]:
            if path.is_socket() and _is_dead(path):
                path.unlink(missing_ok=True)
    return [finding for path, finding in wanted.items() if not os.path.lexists(path)]


def _locks() -> Iterator[Path]:
    for directory in directories():
        yield from sorted(directory.glob("*.lock"))


def _lives() -> Iterator[Path]:
    for path in sorted(SHM.iterdir()) if SHM.is_dir() else []:
        if path.name.startswith(f"pyc{os.getuid()}_") and _LIFE.fullmatch(path.name) and not path.is_symlink():
            yield path


@contextmanager
def _opened(path: Path, flags: int = 0) -> Generator[int | None]:
    """A descriptor of it; `None` if it can't be opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_free(descriptor: int, how: int) -> bool:
    """Whether nobody holds the lock against it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def _lock(path: Path) -> tuple[dict[str, Any] | None, bool]:
    """Who a lock file names, and whether somebody holds it. What can't be looked at may be held."""
    with _opened(path) as lock:
        if lock is None:
            return None, True
        return _read_owner(lock), not _is_free(lock, fcntl.LOCK_SH)


def _owner(path: Path) -> dict[str, Any] | None:
    with _opened(path) as lock:
        return None if lock is None else _read_owner(lock)


def _read_owner(lock: int) -> dict[str, Any] | None:
    try:
        owner = decode(os.pread(lock, _LOCK_LEN, 0))
    except (OSError, ValueError):
        return None
    kinds = {"endpoint": str, "pid": int, "generation": int}
    if not isinstance(owner, dict):
        return None
    said = cast("dict[str, Any]", owner)
    return said if all(isinstance(said.get(key), kind) for key, kind in kinds.items()) else None


def _is_dead(path: Path) -> bool:
    """Whether nobody listens at a socket, wherever: only who knocks knows."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as knocking:
        return knocking.connect_ex(str(path)) == errno.ECONNREFUSED
