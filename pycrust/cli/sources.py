"""Where a command's schemas come from, and where it writes what it makes of them."""

from __future__ import annotations

from pathlib import Path

from pycrust.cli.command import CommandError, Status
from pycrust.errors import RpcError, Unavailable
from pycrust.schemas.lock import Lock, LockError, write_if_other


def is_file(source: str) -> bool:
    """Whether a source is a lock file, and not an endpoint's name."""
    return "/" in source or source.endswith(".json") or Path(source).is_file()


def lock_of(source: str) -> Lock:
    """The lock of a running endpoint or in a file.

    Raises:
        CommandError: There is none.
    """
    if is_file(source):
        return read_lock(Path(source))
    try:
        return Lock.of_running(source)
    except LockError as error:
        raise CommandError(str(error)) from error
    except ValueError as error:
        raise CommandError(str(error), Status.WRONG_USAGE) from error
    except Unavailable as error:
        raise CommandError(str(error), Status.NO_ENDPOINT) from error
    except RpcError as error:
        raise CommandError(f"{source} doesn't say what its methods are: {error}") from error


def read_lock(path: Path) -> Lock:
    """The lock in a file.

    Raises:
        CommandError: The file can't be read, or is none.
    """
    try:
        return Lock.read(path)
    except LockError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror or error}") from error


def write(path: Path, text: str) -> bool:
    """Writes a file unless it has this text already; whether it was written.

    Raises:
        CommandError: It can't be written.
    """
    try:
        return write_if_other(path, text)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror or error}") from error


def text_in(path: Path) -> str | None:
    """What is in a file; `None` if there is none.

    Raises:
        CommandError: It can't be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} can't be read: {error}") from error
