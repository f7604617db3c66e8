"""One recorded call: what it brought, what it was answered, where its time went. Decoded when looked at."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

from pycrust._extension import decode_kept
from pycrust.errors import Code
from pycrust.text.statistics import duration
from pycrust.text.values import brief, plain
from pycrust.traffic.recorded_error import RecordedError
from pycrust.traffic.redaction import REDACTED, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pycrust._extension import Record, Shown
    from pycrust.traffic.file import StoredCall
    from pycrust.trials.replay import Replay

    #: What a recorded call is read from: the native record, or a line of a file.
    Source = Record | StoredCall

#: Bits of a request's flags; native/protocol/SPEC.md names them.
_STREAM, _ONE_WAY, _IDEMPOTENT, _UPLOAD, _LATEST = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6
_CODES = tuple(Code)
_SHOW_ALL = Redaction()
#: MessagePack's mark of an array whose length follows in four bytes.
_ARRAY_32 = b"\xdd"


@dataclass(frozen=True)
class Truncated:
    """Stands for what was not kept of a payload.

    Attributes:
        kept: Bytes, or items of a stream, that were kept.
        total: How many there were.
        unit: What they are.
    """

    kept: int
    total: int
    unit: str = "bytes"

    def __repr__(self) -> str:
        """One line."""
        return f"<{self.kept:,} of {self.total:,} {self.unit} were kept>"


class RecordedCall:
    """One call that ended, as it was recorded.

    Attributes:
        endpoint: The endpoint's name.
    """

    # A filter looks at thousands of these for a few that match: nothing is read before it is asked for.

    def __init__(
        self, source: Source, redaction: Redaction | None = None, endpoint: str = "", *, hooked: bool = False
    ) -> None:
        """Made by `endpoint.traffic()`."""
        self.endpoint = endpoint
        #: Whether a hook had its say when it was saved, so that what it hid is gone and not marked.
        self.hooked = hooked
        self._source = source
        self._redaction = redaction or _SHOW_ALL

    @property
    def seq(self) -> int:
        """Its number among the recorded calls, from 1."""
        return self._source.seq

    @property
    def id(self) -> int:
        """The caller's number for it, unique on its connection only."""
        return self._source.id

    @property
    def method(self) -> str:
        """What was called."""
        return self._source.method

    @property
    def version(self) -> int:
        """The version that answered; 0 where none did."""
        return self._source.version

    @property
    def code(self) -> Code:
        """The status of the answer."""
        return _CODES[self._source.status]

    @property
    def client(self) -> str:
        """What the caller calls itself."""
        return self._source.client

    @property
    def client_pid(self) -> int:
        """The caller's process."""
        return self._source.client_pid

    @property
    def connection(self) -> int:
        """The number of the caller's connection."""
        return self._source.connection

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream."""
        return self._source.streamed

    @property
    def items(self) -> int:
        """Items of a streamed answer."""
        return self._source.items

    # Time -------------------------------------------------------------------------------------------------

    @property
    def ended_unix_ns(self) -> int:
        """When it ended, in nanoseconds since 1970."""
        return self._source.ended_unix_ns

    @property
    def started(self) -> datetime:
        """When it was sent."""
        return datetime.fromtimestamp((self.ended_unix_ns - self.duration_ns) / 1e9, UTC).astimezone()

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from its being sent to its answer, in the worker's eyes."""
        return self._source.duration_ns

    @property
    def duration(self) -> float:
        """Seconds from its being sent to its answer, in the worker's eyes."""
        return self.duration_ns / 1e9

    @property
    def round_trip_ns(self) -> int | None:
        """Nanoseconds that the client measured; `None` until it has told, which it does with a later call."""
        return self._source.round_trip_ns

    @property
    def round_trip(self) -> float | None:
        """Seconds that the client measured; `None` until it has told, which it does with a later call."""
        measured = self.round_trip_ns
        return None if measured is None else measured / 1e9

    @property
    def took_ns(self) -> int:
        """The round trip, or where that is not known, the duration."""
        measured = self.round_trip_ns
        return self.duration_ns if measured is None else measured

    @property
    def stages_ns(self) -> Mapping[str, int]:
        """Nanoseconds of each stage: transit, queue, interpreter, decode, handler, encode; and back, once known."""
        return self._source.stages

    @property
    def stages(self) -> dict[str, float]:
        """Seconds of each stage: transit, queue, interpreter, decode, handler, encode; and back, once known."""
        return {name: ns / 1e9 for name, ns in self.stages_ns.items()}

    @property
    def deadline(self) -> float | None:
        """Seconds that it was given; `None` is without end."""
        return self._source.deadline_ns / 1e9 or None

    # What it was ------------------------------------------------------------------------------------------

    @property
    def ran(self) -> bool:
        """Whether a handler was started for it: not if it was refused or had expired."""
        return self._source.ran

    @property
    def kinds(self) -> frozenset[str]:
        """What `is:` in a filter finds it by."""
        flags, source = self._source.flags, self._source
        kinds = {
            "stream": bool(flags & (_STREAM | _UPLOAD)),
            "upload": bool(flags & _UPLOAD),
            "one-way": bool(flags & _ONE_WAY),
            "latest": bool(flags & _LATEST),
            "idempotent": bool(flags & _IDEMPOTENT),
            "truncated": self.truncated,
            "late": source.seen not in {None, source.status},
        }
        return frozenset(name for name, there in kinds.items() if there)

    @property
    def truncated(self) -> bool:
        """Whether a payload was not kept whole."""
        source = self._source
        return (
            len(source.request) < source.request_len
            or len(source.response) < source.response_len
            or source.items_kept < source.items
            or source.uploaded_kept < source.uploaded
        )

    @property
    def uploaded(self) -> int:
        """Arguments that the handler took, where the caller streamed them; else 0."""
        return self._source.uploaded

    @property
    def arguments_lost(self) -> bool:
        """Whether the arguments were not kept whole."""
        source = self._source
        return len(source.request) < source.request_len or source.uploaded_kept < source.uploaded

    @property
    def redaction(self) -> Redaction:
        """What of it is not shown."""
        return self._redaction

    @property
    def arguments_dropped(self) -> bool:
        """Whether fields of the arguments are gone: dropped before they were stored, or hidden as it was saved."""
        return self._source.request_dropped

    @property
    def answer_dropped(self) -> bool:
        """The same of the answer."""
        return self._source.response_dropped

    @property
    def answer_lost(self) -> bool:
        """Whether the answer was not kept whole."""
        source = self._source
        return len(source.response) < source.response_len or source.items_kept < source.items

    @property
    def metadata_dropped(self) -> list[str]:
        """Names of the caller's metadata of which the values are gone."""
        raw = self._source.request_metadata
        metadata: Any = _decoded(raw) if raw else {}
        if not isinstance(metadata, dict):
            return []
        return [str(name) for name, value in cast("dict[Any, Any]", metadata).items() if value == REDACTED]

    @cached_property
    def shown(self) -> Shown | None:
        """What is shown of its bytes; `None` where all of them are."""
        return self._source.shown(self._redaction.scrub) if self._redaction.fields else None

    def shown_text(self, text: str) -> str:
        """What is shown of a text that may repeat what is hidden of the call."""
        return text if self.shown is None else self.shown.text(text)

    @property
    def source(self) -> Source:
        """What it is read from: bytes and numbers, not redacted."""
        return self._source

    @property
    def payload(self) -> bytes:
        """The arguments as MessagePack, as far as they were kept; redacted fields are in them."""
        return self._source.request

    @property
    def arrays(self) -> bool:
        """Whether arrays among the arguments were kept: `endpoint.recording(max_arrays=...)`."""
        return bool(self._source.request_arrays)

    @property
    def unredacted_arguments(self) -> Any:
        """The arguments as they came, with what is not shown of them, to make the call again."""
        source = self._source
        return decode_kept(source.request, source.request_arrays) if source.request else None

    @property
    def response(self) -> bytes:
        """The answer as MessagePack, as far as it was kept; redacted fields are in it."""
        return self._source.response

    @cached_property
    def arguments(self) -> Any:
        """The arguments: by name where the method's parameters are known, else as they came.

        Of arguments that the caller streamed, the list of those that the handler took.
        """
        return self._redaction.asked(self.method, "arguments", self._shown_arguments())

    @property
    def stored_arguments(self) -> Any:
        """The same, with what is not shown of them; dropped fields are `[redacted]`."""
        return self._arguments_of(self._source.request)

    def _shown_arguments(self) -> Any:
        if self.shown is None:
            return self._arguments_of(self._source.request)
        return self._redaction.records(self._arguments_of(self.shown.request))

    def _arguments_of(self, payload: bytes) -> Any:
        source = self._source
        if len(source.request) < source.request_len:
            return Truncated(len(source.request), source.request_len)
        if source.request and not payload:
            return REDACTED  # no MessagePack, so that nothing in it has a name
        value = _decoded(payload, source.request_arrays)
        names = source.parameters
        if not isinstance(value, list):
            return value
        values = cast("list[Any]", value)
        if source.flags & _UPLOAD:
            kept, taken = source.uploaded_kept, source.uploaded
            return [*values, Truncated(kept, taken, "items")] if kept < taken else values
        return dict(zip(names, values, strict=False)) if values and len(values) <= len(names) else values

    @cached_property
    def result(self) -> Any:
        """The result; of a stream, the list of its items. `None` of a call that failed."""
        return self._redaction.asked(self.method, "result", self._result_of(self._shown_response))

    @property
    def _shown_response(self) -> bytes:
        return self._source.response if self.shown is None else self.shown.response

    @property
    def unredacted_result(self) -> Any:
        """The result with what is not shown of it."""
        return self._result_of(self._source.response)

    def _result_of(self, response: bytes) -> Any:
        source = self._source
        if self.code != Code.OK or ("one-way" in self.kinds and not source.response):
            return None
        if self.streamed:
            count = source.items_kept
            items: Any = _decoded(_ARRAY_32 + count.to_bytes(4, "big") + response)
            if count < source.items and isinstance(items, list):
                return [*cast("list[Any]", items), Truncated(count, source.items, "items")]
            return cast("object", items)
        if len(source.response) < source.response_len:
            return Truncated(len(source.response), source.response_len)
        return _decoded(response)

    @cached_property
    def error(self) -> RecordedError | None:
        """Why it failed; `None` if it did not."""
        if self.code == Code.OK:
            return None
        told = _decoded(self._shown_response)
        if isinstance(told, dict):
            told = self._redaction.asked(self.method, "error", told)
        return self._error_of(told)

    @property
    def unredacted_error(self) -> RecordedError | None:
        """The same, with what is not shown of it."""
        return None if self.code == Code.OK else self._error_of(_decoded(self._source.response))

    def _error_of(self, told: Any) -> RecordedError:
        if not isinstance(told, dict):
            # A hook gives what it likes; what was cut can't be read.
            return RecordedError(self.code, "(its error was not kept)" if self.answer_lost else str(told))
        error = RecordedError.of(self.code, cast("dict[str, Any]", told))
        return error if error.traceback else replace(error, traceback=self._kept_traceback())

    def changed_by_hook(self, part: Literal["arguments", "answer"]) -> bool:
        """Whether the redaction's hook shows something else than what it is given.

        Args:
            part: What it is asked about.
        """
        if self._redaction.hook is None:
            return False
        if part == "arguments":
            before, after = self._shown_arguments(), self.arguments
        elif self.code == Code.OK:
            before, after = self._result_of(self._shown_response), self.result
        else:
            before = _decoded(self._shown_response)
            after = self._redaction.asked(self.method, "error", _decoded(self._shown_response))
        return repr(before) != repr(after)

    def _kept_traceback(self) -> str:
        """What the caller did not get, since the endpoint keeps tracebacks to itself."""
        return "".join(text for channel, text in self.pieces if channel == "traceback")

    @cached_property
    def metadata(self) -> dict[str, dict[str, str | bytes]]:
        """What travelled beside it: `request` and `response`."""
        source = self._source if self.shown is None else self.shown
        return {
            name: self._redaction.asked(self.method, "metadata", _decoded(payload) if payload else {})
            for name, payload in (("request", source.request_metadata), ("response", source.response_metadata))
        }

    @cached_property
    def pieces(self) -> list[tuple[str, str]]:
        """Its handler's output in order: pairs of channel (`stdout`, `display`, …) and text."""
        return [(channel, self.shown_text(text)) for channel, text in self._source.output]

    @property
    def output(self) -> str:
        """What its handler printed, logged or warned of."""
        text = "".join(text for channel, text in self.pieces if channel in {"stdout", "stderr"})
        lost = self._source.output_lost
        return f"{text}\n({lost:,} more bytes were not kept)" if lost else text

    @property
    def displayed(self) -> list[dict[str, Any]]:
        """What its handler displayed: data by MIME type."""
        return [_displayed(text) for channel, text in self.pieces if channel == "display"]

    @property
    def text(self) -> str:
        """Everything of it that a filter's `"text"` looks through."""
        error = self.error
        said = f"{error}\n{error.type}\n{error.details!r}\n{error.traceback}" if error else repr(self.result)
        return f"{self.method}\n{self.arguments!r}\n{said}\n{self.metadata!r}\n{self.output}"

    # Making it again --------------------------------------------------------------------------------------

    def replay(self, candidate: Callable[..., Any] | None = None) -> Replay:
        """Makes the call again in this process, with the same arguments and outside of statistics.

        Args:
            candidate: A function to run beside the live version, bound and validated as a handler would be.

        Returns:
            What was recorded, what the live version gives now, and what the candidate does; its text shows them
            side by side with their differences. The true answers are compared: of a redacted field it says only
            that it differs. Where fields are not there any more, it says that they can't be compared.

        Raises:
            LookupError: The endpoint is not in this process, or the arguments were not kept whole; where fields of
                them were dropped, they were not.
            UnknownMethod: The method is not live, and there is no candidate.
        """
        from pycrust.trials.replay import replay  # noqa: PLC0415 - recorded calls are read more often than made again

        return replay(self, candidate)

    def debug(self) -> Any:
        """Makes the call again under pdb, on this thread, which must be the main one; stops at the first line.

        Raises:
            RuntimeError: This is not the main thread.
            LookupError: As in `replay`.
        """
        from pycrust.trials.replay import debug  # noqa: PLC0415 - as above

        return debug(self)

    def as_test(self) -> str:
        """The source of a pytest function that makes this call and expects its answer.

        It runs as it is in a process that registers the handlers; replace its first line with an import of the
        module that does.

        Raises:
            ValueError: The arguments or the answer were not kept whole.
        """
        from pycrust.traffic.test_case import source_of  # noqa: PLC0415 - as above

        return source_of(self)

    # Showing ----------------------------------------------------------------------------------------------

    def as_row(self) -> dict[str, Any]:
        """The little that a list of calls shows, of plain JSON types: no payload is decoded for it."""
        return {
            "seq": self.seq,
            "method": self.method,
            "version": self.version,
            "status": self.code.name,
            "client": self.client,
            "client_pid": self.client_pid,
            "ended_ms": self.ended_unix_ns // 1_000_000,
            "duration_ns": self.duration_ns,
            "round_trip_ns": self.round_trip_ns,
            "kinds": sorted(self.kinds),
            "items": self.items,
            "request_bytes": self._source.request_len,
            "response_bytes": self._source.response_len,
            "printed": any(channel != "traceback" for channel, _ in self._source.output),
        }

    def as_dict(self) -> dict[str, Any]:
        """All of it, redacted, of plain JSON types: arrays by shape and dtype, long text and lists cut."""
        error = self.error
        return {
            **self.as_row(),
            "ran": self.ran,
            "deadline_s": self.deadline,
            "stages_ns": dict(self.stages_ns),
            "arguments": plain(self.arguments),
            "result": plain(self.result),
            "error": None
            if error is None
            else {
                "code": error.code.name,
                "message": error.message,
                "type": error.type,
                "details": plain(error.details),
                "traceback": error.traceback,
            },
            "metadata": plain(self.metadata),
            "output": self.output,
            "displayed": self.displayed,
        }

    def cells(self) -> tuple[str, ...]:
        """Its row in a table: number, time, method, version, status, how long, client, arguments, answer."""
        answer = str(self.error) if self.error else brief(self.result)
        return (
            str(self.seq),
            self.started.strftime("%H:%M:%S.%f")[:-3],
            self.method,
            f"v{self.version}" if self.version else "-",
            self.code.name,
            duration(self.took_ns),
            self.client,
            brief(self.arguments),
            answer,
        )

    def __repr__(self) -> str:
        """One line."""
        answer = f" → {self.error}" if self.error else f" → {brief(self.result)}"
        version = f" v{self.version}" if self.version else ""
        return (
            f"<call {self.seq} {self.method}({brief(self.arguments)}){version}{answer} · {duration(self.took_ns)}>"
        )

    def _repr_html_(self) -> str:
        rows = {
            "call": f"{self.seq} of {self.client} (pid {self.client_pid}), {self.started:%Y-%m-%d %H:%M:%S.%f}",
            "method": f"{self.method} v{self.version}",
            "status": self.code.name,
            "took": f"{duration(self.took_ns)}: "
            + ", ".join(f"{name} {duration(ns)}" for name, ns in self.stages_ns.items()),
            "arguments": brief(self.arguments, 2_000),
        }
        error = self.error
        if error is None:
            rows["result"] = brief(self.result, 2_000)
        else:
            rows["error"] = f"{error.type} {error.message}\n{error.traceback}"
        if self.output:
            rows["output"] = self.output
        body = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{name}</th>"
            f"<td style='text-align:left'><pre style='margin:0'>{html.escape(text)}</pre></td></tr>"
            for name, text in rows.items()
        )
        return f"<table>{body}</table>"


def _displayed(text: str) -> dict[str, Any]:
    """Data by MIME type, of its JSON; what is none, redacted or in a file that was changed, as it stands."""
    import json  # noqa: PLC0415 - few calls display anything

    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {"text/plain": text}


def _decoded(payload: bytes, arrays: Sequence[bytes] = ()) -> Any:
    """The value, or why there is none: what a caller sent need not be MessagePack."""
    if not payload:
        return None
    try:
        return decode_kept(payload, arrays)
    except (ValueError, TypeError) as error:
        return f"<{len(payload)} bytes that can't be decoded: {error}>"
