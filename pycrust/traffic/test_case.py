"""A recorded call as the source of a pytest function."""

from __future__ import annotations

import builtins
import datetime as dt
import math
import re
from typing import TYPE_CHECKING, Any, cast

from pycrust._extension import decode, encode
from pycrust.arrays.absent import arguments_again
from pycrust.errors import Code
from pycrust.traffic.recorded import Truncated
from pycrust.traffic.redaction import REDACTED, Redaction

if TYPE_CHECKING:
    from pycrust.traffic.recorded import RecordedCall

#: Begins a value that has no literal, in a test.
_UNPACKED = "unpacked("
#: Characters of a line, beyond which a list or dict is broken up.
_WIDTH = 100


def source_of(call: RecordedCall) -> str:
    """The source.

    Raises:
        ValueError: The arguments or the answer were not kept whole, or have no literal.
    """
    if call.arguments_lost:
        raise ValueError(f"the arguments of call {call.seq} were not kept whole")
    if call.truncated and call.error is None:
        raise ValueError(f"the answer to call {call.seq} was not kept whole")
    redacted = call.redaction != Redaction() or call.arguments_dropped
    if redacted:
        arguments: Any = call.arguments
    else:
        arguments = arguments_again(call.unredacted_arguments)
    name = re.sub(r"\W+", "_", call.method).strip("_") or "call"
    made = f"endpoint._dispatch({call.method!r}, {literal(arguments, 8)})"
    called = f"with {_calling(call, redacted=redacted)}"
    error, imports = call.error, []
    if error is None:
        expected = call.result
        if call.streamed:
            made = f"list({made})"
        body = [f"{called}:", f"    result = {made}", f"assert {_equal(expected)}"]
        if has_nan(expected):
            imports = ["import pytest", ""]
    else:
        imports = ["import pytest", ""]
        body = [
            f"{called}, pytest.raises({_caught(error.type)}) as raised:",
            f"    {'list(' + made + ')' if call.streamed else made}",
            f"assert type(raised.value).__name__ == {error.type.rpartition('.')[2]!r}",
        ]
        if error.code == Code.UNKNOWN and error.message and REDACTED not in error.message:
            body.append(f"assert str(raised.value) == {error.message!r}")
    lines = [
        *imports,
        "from pycrust import RpcEndpoint",
        f"from pycrust.testing import calling{', unpacked' if any(_UNPACKED in line for line in body) else ''}",
        "",
        "",
        f"def test_{name}_call_{call.seq}():",
        f'    """A call of {call.started:%Y-%m-%d %H:%M:%S}, which version {call.version} answered."""',
        f"    endpoint = RpcEndpoint({call.endpoint!r})  # or import the module that registers its handlers",
        *(["    # Redacted fields are to be filled in."] if redacted else []),
        *(f"    {line}" for line in body),
        "",
    ]
    return "\n".join(lines)


def _calling(call: RecordedCall, *, redacted: bool) -> str:
    """Who had called, for `current_call()` in the handler."""
    raw = call.source.request_metadata
    metadata: Any = call.metadata["request"] if redacted else decode(raw) if raw else {}
    more = f", metadata={literal(metadata, 8)}" if metadata else ""
    return f"calling(client={call.client!r}{more})"


def _caught(exception: str) -> str:
    """The class by which `pytest.raises` catches an exception."""
    cls = getattr(builtins, exception, None)
    is_exception = not isinstance(cls, type) or issubclass(cls, Exception)
    return "Exception" if is_exception and not exception.endswith(".CancelledError") else "BaseException"


def _equal(expected: Any) -> str:
    """Nan is not equal to itself."""
    if has_nan(expected):
        return f"result == pytest.approx({literal(expected, 4)}, nan_ok=True)"
    if expected is None or isinstance(expected, bool):
        return f"result is {expected}"
    return f"result == {literal(expected, 4)}"


def has_nan(value: Any) -> bool:
    """Whether nan is anywhere in a value."""
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, list):
        return any(has_nan(one) for one in cast("list[Any]", value))
    if isinstance(value, dict):
        return any(has_nan(one) for one in cast("dict[Any, Any]", value).values())
    return False


def literal(value: Any, indent: int = 0) -> str:
    """Source that evaluates to the value.

    Raises:
        ValueError: There is none that is worth reading.

    Examples:
        >>> literal({"a": [1, 2.5, float("inf")], "b": b"x"})
        "{'a': [1, 2.5, float('inf')], 'b': b'x'}"
    """
    if isinstance(value, Truncated):
        raise ValueError(f"not all of it was kept: {value}")  # noqa: TRY004 - the kind of value is no mistake of the caller's
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if isinstance(value, list):
        return _broken("[", [literal(one, indent + 4) for one in cast("list[Any]", value)], "]", indent)
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return _broken("{", [f"{literal(key)}: {literal(one, indent + 4)}" for key, one in pairs], "}", indent)
    if isinstance(value, dt.datetime):
        return f"__import__('datetime').datetime.fromisoformat({value.isoformat()!r})"
    # Whatever else came by MessagePack goes back by it.
    try:
        return f"{_UNPACKED}{encode(value)!r})"
    except (TypeError, ValueError) as error:
        raise ValueError(f"a {type(value).__name__} can't be written into a test: {error}") from error


def _broken(opening: str, parts: list[str], closing: str, indent: int) -> str:
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) + indent <= _WIDTH and "\n" not in line:
        return line
    space = "\n" + " " * (indent + 4)
    return f"{opening}{space}{(',' + space).join(parts)},\n{' ' * indent}{closing}"
