r"""Recorded calls in a file: lines of JSON, which any tool can read and nothing has to be trusted for.

The first line says what follows: `{"format": "pycrust traffic", "version": 1, "endpoint": "arm", "filter": "",
"hooked": false}`. Each further line is one call, with the fields of `StoredCall`; payloads are MessagePack, as they
travelled, in base64. What is redacted when a call is read is redacted in the file, for good.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from pycrust._extension import encode
from pycrust.arrays.absent import any_absent, without_elements
from pycrust.traffic.recorded import RecordedCall, Truncated
from pycrust.traffic.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pycrust._extension import Scrub, Shown

FORMAT: Literal["pycrust traffic"] = "pycrust traffic"
VERSION: Literal[1] = 1

Model = TypeVar("Model", bound=BaseModel)

#: Bytes of one line, at most: two payloads of the largest size that a frame has, in base64, and the rest.
_MAX_LINE = 256 << 20


def _unpacked(value: Any) -> Any:
    """Bytes of base64; anything else in it is an error, not left out."""
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def _packed(value: bytes) -> str:
    return base64.b64encode(value).decode()


_Payload = Annotated[bytes, BeforeValidator(_unpacked), PlainSerializer(_packed)]
_Count = Annotated[int, Field(ge=0, lt=1 << 64)]
_Status = Annotated[int, Field(ge=0, le=16)]
_Name = Annotated[str, Field(max_length=1024)]


class TrafficFileError(ValueError):
    """A file that is no saved traffic, or is damaged; the message names the line."""


class _Header(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    format: Literal["pycrust traffic"]
    version: int
    endpoint: _Name
    filter: Annotated[str, Field(max_length=1000)] = ""
    #: Whether a hook had its say about what is here.
    hooked: bool = False


class StoredCall(BaseModel):
    """One line of a file: what a recorded call is read from."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    seq: _Count
    id: _Count
    method: _Name
    version: _Count
    status: _Status
    seen: _Status | None
    flags: Annotated[int, Field(ge=0, le=255)]
    client: _Name
    client_pid: _Count
    connection: _Count
    #: Up to the year 9999, which Python's dates end with.
    ended_unix_ns: Annotated[int, Field(ge=0, lt=253_402_300_799_000_000_000)]
    duration_ns: Annotated[int, Field(ge=0, lt=1 << 62)]
    deadline_ns: _Count
    round_trip_ns: _Count | None
    stages: dict[_Name, _Count]
    ran: bool
    streamed: bool
    items: _Count
    items_kept: Annotated[int, Field(ge=0, lt=1 << 32)]
    #: Files of versions that did not record streamed arguments have neither.
    uploaded: _Count = 0
    uploaded_kept: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    parameters: list[_Name]
    request: _Payload
    request_arrays: list[_Payload] = Field(default_factory=list[bytes])
    request_len: _Count
    request_metadata: _Payload
    response: _Payload
    response_len: _Count
    response_metadata: _Payload
    output: list[tuple[Literal["stdout", "stderr", "display", "traceback"], str]]
    output_lost: _Count
    #: Whether fields are missing; files of versions that did not say so have neither.
    request_dropped: bool = False
    response_dropped: bool = False

    def shown(self, _scrub: Scrub, /) -> Shown:
        """What is hidden was hidden when the file was written.

        Raises:
            TypeError: Always.
        """
        raise TypeError("calls of a file can't be redacted again: nothing says how their fields are named")


def save(path: str | os.PathLike[str], endpoint: str, text: str, calls: Iterable[RecordedCall]) -> int:
    """Writes calls; gives how many. The file appears whole or not at all, and only this user can read it."""
    calls = list(calls)
    hooked = any(call.hooked or call.redaction.hook is not None for call in calls)
    with Writer(path, endpoint, text, hooked=hooked) as file:
        for call in calls:
            file.add(call)
    return len(calls)


class Writer:
    """Writes calls to a file as they come. The file appears whole, once all are written, or not at all.

    Args:
        path: The file, which is replaced.
        endpoint: Whose calls they are.
        text: The filter that they match.
        hooked: Whether a hook has its say about what is shown of them.

    Raises:
        OSError: It can't be written.
    """

    def __init__(self, path: str | os.PathLike[str], endpoint: str, text: str, *, hooked: bool) -> None:
        """Begins the file, beside what it will replace; only this user can read it."""
        self._target = Path(path)
        self._part = self._target.with_name(self._target.name + ".part")
        self._part.unlink(missing_ok=True)
        # Made anew, so that neither an older file's mode nor a link that stands there counts.
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "w", encoding="utf-8")
        os.fchmod(handle, 0o600)  # whatever the umask has taken away
        header = _Header(format=FORMAT, version=VERSION, endpoint=endpoint, filter=text, hooked=hooked)
        self._file.write(header.model_dump_json() + "\n")

    def add(self, call: RecordedCall) -> None:
        """Writes one call, as it is shown."""
        fields = {name: getattr(call.source, name) for name in StoredCall.model_fields} | _shown(call)
        self._file.write(StoredCall(**fields).model_dump_json() + "\n")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        """Puts the file in its place; if something was raised, what is written stays beside it."""
        self._file.close()
        if kind is None:
            self._part.replace(self._target)


def _shown(call: RecordedCall) -> dict[str, Any]:
    """The payloads as far as they are shown, where something is hidden."""
    if call.redaction == Redaction():
        return {}
    arguments: Any = _kept(call.arguments) if call.uploaded else call.arguments
    # Whatever is hidden may be in an array, too.
    arguments = without_elements(arguments) if call.arrays else arguments
    error = call.error
    answer: Any = call.result if error is None else error.told
    shown: dict[str, Any] = {
        "request": arguments,
        "response": answer,
        "request_metadata": call.metadata["request"],
        "response_metadata": call.metadata["response"],
    }
    payloads = {name: b"" if isinstance(value, Truncated) else encode(value) for name, value in shown.items()}
    if call.streamed and error is None:
        payloads["response"] = b"".join(encode(one) for one in _kept(call.result))
    lengths: dict[str, Any] = {
        f"{name}_len": len(payloads[name]) for name in ("request", "response") if payloads[name]
    }
    return {**payloads, **lengths, **_dropped(call, arguments), "request_arrays": [], "output": call.pieces}


def _dropped(call: RecordedCall, arguments: Any) -> dict[str, bool]:
    """Whether fields of the arguments and of the answer are missing in the file."""
    shown = call.shown
    return {
        "request_dropped": call.arguments_dropped
        or (shown is not None and shown.less_request)
        or call.changed_by_hook("arguments")
        # An array that was not recorded becomes a text, with which no call can be made again.
        or any_absent(arguments),
        "response_dropped": call.answer_dropped
        or (shown is not None and shown.less_response)
        or call.changed_by_hook("answer"),
    }


def _kept(items: Any) -> Any:
    """A stream's items without the mark of those that were not kept."""
    if not isinstance(items, list):
        return items
    return [one for one in cast("list[Any]", items) if not isinstance(one, Truncated)]


def load(path: str | os.PathLike[str]) -> tuple[str, str, list[RecordedCall]]:
    """Reads a file: the endpoint's name, the filter, and the calls.

    Raises:
        TrafficFileError: It is no such file, a newer one, or damaged.
        OSError: It can't be read.
    """
    with Path(path).open("rb") as file:
        header = _read(_Header, path, 1, file.readline(_MAX_LINE))
        if header.version != VERSION:
            raise TrafficFileError(
                f"{path}: its version is {header.version}, and this pycrust reads version {VERSION}"
            )
        calls: list[RecordedCall] = []
        number = 1
        while line := file.readline(_MAX_LINE):
            number += 1
            if line.strip():
                stored = _read(StoredCall, path, number, line)
                calls.append(RecordedCall(stored, None, header.endpoint, hooked=header.hooked))
    return header.endpoint, header.filter, calls


def _read(model: type[Model], path: Any, number: int, line: bytes) -> Model:
    if len(line) >= _MAX_LINE:
        raise TrafficFileError(f"{path}, line {number}: it is longer than any call")
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise TrafficFileError(f"{path}, line {number}: {what}") from None
