"""The lock file: an endpoint's methods and their schemas, for a repository, where a diff shows what has changed."""

from __future__ import annotations

import contextlib
import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pycrust.text.names import check_endpoint, check_method

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pycrust.handlers.registration import Registration

#: The form of the file.
FORMAT = 1
#: Seconds that a worker has to say what its methods are.
_PATIENCE = 10.0
#: What an entry has beside its schemas, and of which types.
_PARTS: dict[str, type] = {"version": int, "hash": str, "doc": str, "kind": str}


class LockError(ValueError):
    """A lock file that can't be read, or an endpoint of which none can be made."""


@dataclass(frozen=True)
class Lock:
    """An endpoint's methods and their schemas.

    Attributes:
        endpoint: The endpoint's name.
        methods: For each method `version`, `hash`, `doc`, `kind`, `request` and `response`, by name, sorted.

    Examples:
        >>> made = Lock.of_answer("calculator", [{
        ...     "name": "add", "version": 1, "schema_hash": 255, "doc": "Adds.",
        ...     "schema": '{"request": {"type": "object"}, "response": {"type": "integer"}}',
        ... }])
        >>> Lock.parse(made.text()) == made
        True
        >>> made.methods["add"]["hash"], made.methods["add"]["kind"]
        ('0x00000000000000ff', 'call')
    """

    endpoint: str
    methods: dict[str, dict[str, Any]]

    # Making -----------------------------------------------------------------------------------------------

    @classmethod
    def of_answer(cls, endpoint: str, answer: Iterable[Mapping[str, Any]]) -> Lock:
        """The methods that a worker's `pycrust.methods` answers with.

        Raises:
            LockError: There are none.
        """
        methods = {
            str(one["name"]): _entry(
                int(one["version"]), int(one["schema_hash"]), str(one["doc"]), str(one["schema"])
            )
            for one in answer
        }
        return cls(endpoint, _sorted(endpoint, methods))

    @classmethod
    def of_running(cls, endpoint: str) -> Lock:
        """The methods of a running endpoint.

        Raises:
            Unavailable: Nobody serves the name; the message says where was looked and which endpoints live there.
            RpcError: The worker doesn't answer.
            LockError: It has no methods.
            ValueError: No endpoint can have that name.
        """
        from pycrust.client import RpcClient  # noqa: PLC0415 - it imports asyncio, which a notebook's own endpoint doesn't need

        with RpcClient(endpoint, timeout=_PATIENCE, client_name="pycrust") as client:
            return cls.of_answer(endpoint, client.call("pycrust.methods"))

    @classmethod
    def of_registrations(
        cls, endpoint: str, registrations: Mapping[str, Registration], versions: Mapping[str, int]
    ) -> Lock:
        """The methods that an endpoint of this process has.

        Args:
            endpoint: Its name.
            registrations: By the methods' names.
            versions: The numbers of their versions.

        Raises:
            LockError: There are none.
        """
        methods = {
            name: _entry(versions[name], one.schema_hash, one.doc, one.schema)
            for name, one in registrations.items()
        }
        return cls(endpoint, _sorted(endpoint, methods))

    @classmethod
    def read(cls, path: Path) -> Lock:
        """Reads a lock file.

        Raises:
            LockError: It is none; the message says why and what to do.
            OSError: It can't be read.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise LockError(f"{path} is no lock file: it is no text: {error}") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, where: str = "the text") -> Lock:
        """Reads the text of a lock file.

        Args:
            text: What is in it.
            where: What it is called, for errors.

        Raises:
            LockError: It is none; the message says why and what to do.
        """
        again = "`pycrust types NAME --lock FILE` writes one"
        try:
            found: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise LockError(f"{where} is no lock file: it is no JSON ({error}); {again}") from error
        if not isinstance(found, dict) or "format" not in found:
            raise LockError(f'{where} is no lock file: it has no "format"; {again}')
        whole = cast("dict[str, Any]", found)
        if whole["format"] != FORMAT:
            raise LockError(
                f"{where} is a lock file of format {json.dumps(whole['format'])}, and this pycrust reads "
                f"format {FORMAT}: use the pycrust that wrote it, or write it anew"
            )
        endpoint, methods = whole.get("endpoint"), whole.get("methods")
        if not isinstance(endpoint, str) or not isinstance(methods, dict):
            raise LockError(f'{where} is no lock file: it has no "endpoint" or no "methods"; {again}')
        try:
            check_endpoint(endpoint)
            for name in cast("dict[str, Any]", methods):
                check_method(name)
        except ValueError as error:
            raise LockError(f"{where} is damaged: {error}; {again}") from error
        read: dict[str, dict[str, Any]] = {}
        for name, entry in cast("dict[str, Any]", methods).items():
            wrong = _wrong_in(entry)
            if wrong:
                raise LockError(f"{where} is damaged: method {name!r} {wrong}; {again}")
            read[name] = entry
        return cls(endpoint, _sorted(endpoint, read))

    # Writing ----------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The file's text: methods sorted by their names, properties in their order."""
        whole = _finite({"format": FORMAT, "endpoint": self.endpoint, "methods": self.methods})
        text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
        with contextlib.suppress(UnicodeEncodeError):
            text.encode()
            return text
        # Half a surrogate pair in somebody's text.
        return json.dumps(whole, indent=2) + "\n"

    def over(self, before: Lock) -> Lock:
        """The same with the older version's number for each method whose schema is still that one's."""
        kept = {name: _kept(entry, before.methods.get(name)) for name, entry in self.methods.items()}
        return Lock(self.endpoint, kept)


def _kept(entry: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    if before is None or before["hash"] != entry["hash"] or before["kind"] != entry["kind"]:
        return entry
    return {**before, "doc": entry["doc"]}


def _entry(version: int, schema_hash: int, doc: str, schema: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schema) if schema else {}
    return {
        "version": version,
        "hash": f"{schema_hash:#018x}",
        "doc": doc,
        "kind": found.get("kind", "call"),
        "request": found.get("request", {}),
        "response": found.get("response", {}),
    }


def _sorted(endpoint: str, methods: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if not methods:
        raise LockError(
            f"{endpoint} has no methods: register one first, and publish it (in a notebook, run its cell)"
        )
    return {name: methods[name] for name in sorted(methods)}


def _wrong_in(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "is no object"
    parts = cast("dict[str, Any]", entry)
    for name, kind in _PARTS.items():
        if not isinstance(parts.get(name), kind):
            return f'has no "{name}"'
    for name in ("request", "response"):
        if not isinstance(parts.get(name), (dict, bool)):
            return f'has no "{name}"'
    return ""


def _finite(value: Any) -> Any:
    """A value as JSON can have it: no infinity, which a default may be."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in cast("list[Any]", value)]
    return value


def write_if_other(path: Path, text: str) -> bool:
    """Writes a file in one step, unless it has this text already: what is built of it stays as new as it is.

    Args:
        path: The file.
        text: What is to be in it.

    Returns:
        Whether it was written.

    Raises:
        OSError: It can't be.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == text.encode():
            return False
    target = path.resolve()  # a link stays one
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        with contextlib.suppress(FileNotFoundError):
            beside.chmod(target.stat().st_mode & 0o7777)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return True
