"""Errors: one class per status code, and what an exception looks like to a caller.

The numbers and meanings are gRPC's canonical codes
(<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>). Each class also derives from the built-in
that a Python user would catch.
"""

# ruff: noqa: N818 - the classes have the names of gRPC's codes
from __future__ import annotations

import enum
import os
import sys
import traceback as tracebacks
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_core import ValidationError

from pycrust.text.clipping import clipped, without_middle
from pycrust.values.invalid import Mistakes, lightened, text_of
from pycrust.values.misfits import advice_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AlreadyServed",
    "Cancelled",
    "Code",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "RpcError",
    "SchemaMismatch",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "UnknownMethod",
]

_PACKAGE = str(Path(__file__).parent)
#: Where Pydantic's exceptions are defined, and where people know them from.
_PRIVATE, _PUBLIC = "pydantic_core._pydantic_core.", "pydantic_core."
#: Characters of a traceback that travel: its beginning, which names the first cause, and its end, which names
#: the error.
_MAX_TRACEBACK = 32_768
_MAX_FIRST_CAUSE = 8_192
#: Bytes of an exception's message that travel.
_MAX_MESSAGE = 8_192


class Code(enum.IntEnum):
    """A status code: 0 is success, 1 to 16 are gRPC's error codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class _ClassOfCode(type):
    """Gives an error the class of its code, as `OSError` does by its number."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return RpcError.of(*args, **kwargs) if cls is RpcError else super().__call__(*args, **kwargs)


class RpcError(Exception, metaclass=_ClassOfCode):
    """An error with a status code. Raised in a handler, it reaches the caller with that code.

    Made with a code, it is of the class that belongs to the code; classes that derive from this one stay what
    they are.

    Args:
        code: A `Code` or its number, 1 to 16.
        message: What happened, for a person.
        details: Anything that can be serialised, for the program that catches it.

    Attributes:
        code: The status code.
        message: What happened.
        details: More about it, or `None`.
        type: Of a call that failed at the other end: the qualified name of what was raised there; else empty.
        may_have_run: Of such a call: whether the handler may have started.
        version: Of such a call: the version of the handler that answered, from 1; 0 where none did.
        timing: Of such a call: the seconds that it took, by stage, as those of `pycrust.client.Reply`.

    Raises:
        ValueError: `code` is 0 or not a code.

    Examples:
        >>> RpcError(Code.NOT_FOUND, "no arm 3", details={"arms": [1, 2]})
        NotFound('no arm 3')
        >>> RpcError.of(5, "no arm 3")
        NotFound('no arm 3')
    """

    def __init__(self, code: int, message: str = "", details: Any = None) -> None:
        """Keeps what the caller will see."""
        self.code = _error_code(code)
        self.message = message
        self.details = details
        self.type = ""
        self.may_have_run = False
        self.version = 0
        self.timing: dict[str, float] = {}
        super().__init__(message)

    @staticmethod
    def of(code: int, message: str = "", details: Any = None) -> RpcError:
        """The error of the class that belongs to `code`.

        Raises:
            ValueError: `code` is 0 or not a code.
        """
        return BY_CODE[_error_code(code)](message, details)

    def __str__(self) -> str:
        """The message; of another program's exception after its type."""
        return f"{self.type}: {self.message}" if self.type and self.code is Code.UNKNOWN else str(self.message)

    def __repr__(self) -> str:
        """One line."""
        return f"{type(self).__name__}({self.code.name}, {str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes (multiprocessing, concurrent.futures), whatever their class takes."""
        return _made_again, (type(self), self.args), self.__dict__.copy()


def _error_code(code: int) -> Code:
    if Code(code) is Code.OK:
        raise ValueError("code 0 is success and can't be raised")
    return Code(code)


def _made_again(cls: type[RpcError], args: tuple[Any, ...]) -> RpcError:
    """An error without its attributes, which follow."""
    error = cls.__new__(cls, *args)
    error.args = args  # which the built-in ones of the system's errors leave out
    return error


class _CodedError(RpcError):
    """What the classes of one code have in common: it is not an argument."""

    CODE: ClassVar[Code]

    def __init__(self, message: str = "", details: Any = None) -> None:
        super().__init__(self.CODE, message, details)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class Cancelled(_CodedError, CancelledError):
    """The caller cancelled the call or went away."""

    CODE = Code.CANCELLED


class Unknown(_CodedError, RuntimeError):
    """The handler raised an exception of its own."""

    CODE = Code.UNKNOWN


class InvalidArgument(_CodedError, ValueError):
    """The arguments don't validate; `details` lists what is wrong with which."""

    CODE = Code.INVALID_ARGUMENT


class DeadlineExceeded(_CodedError, TimeoutError):
    """The deadline passed before the call ended."""

    CODE = Code.DEADLINE_EXCEEDED


class NotFound(_CodedError, LookupError):
    """What the call asks for does not exist."""

    CODE = Code.NOT_FOUND


class AlreadyExists(_CodedError, RuntimeError):
    """What the call would create exists already."""

    CODE = Code.ALREADY_EXISTS


class PermissionDenied(_CodedError, PermissionError):
    """The caller may not do this."""

    CODE = Code.PERMISSION_DENIED


class ResourceExhausted(_CodedError, RuntimeError):
    """A queue, a pool or the shared memory is full."""

    CODE = Code.RESOURCE_EXHAUSTED


class FailedPrecondition(_CodedError, RuntimeError):
    """The system is not in a state that the call needs."""

    CODE = Code.FAILED_PRECONDITION


class Aborted(_CodedError, RuntimeError):
    """The call was aborted, typically by a conflict."""

    CODE = Code.ABORTED


class OutOfRange(_CodedError, IndexError):
    """A value lies outside its valid range."""

    CODE = Code.OUT_OF_RANGE


class Unimplemented(_CodedError, NotImplementedError):
    """There is no handler of this name."""

    CODE = Code.UNIMPLEMENTED


class Internal(_CodedError, RuntimeError):
    """An invariant broke, or a result can't be serialised."""

    CODE = Code.INTERNAL


class Unavailable(_CodedError, ConnectionError):
    """No worker, or the worker stopped or died."""

    CODE = Code.UNAVAILABLE


class DataLoss(_CodedError, OSError):
    """Data was lost or corrupted beyond recovery."""

    CODE = Code.DATA_LOSS


class Unauthenticated(_CodedError, PermissionError):
    """The caller's credentials are missing or invalid."""

    CODE = Code.UNAUTHENTICATED


#: The one class of each error code; a test holds it against the Rust list.
BY_CODE: dict[Code, type[_CodedError]] = {
    cls.CODE: cls
    for cls in (
        Cancelled,
        Unknown,
        InvalidArgument,
        DeadlineExceeded,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        ResourceExhausted,
        FailedPrecondition,
        Aborted,
        OutOfRange,
        Unimplemented,
        Internal,
        Unavailable,
        DataLoss,
        Unauthenticated,
    )
}


class UnknownMethod(Unimplemented, KeyError):
    """An endpoint has no method of this name; also what `endpoint[name]` raises."""


class SchemaMismatch(FailedPrecondition):
    """The caller was built against an earlier schema of the method, with which the live one doesn't go on.

    `details` has the `method`, the hashes of the two schemas as `pinned` and `live`, the live `version`, and as
    `changes` what the caller has to change for, a line each; none where the worker doesn't know its schema.
    """


class AlreadyServed(AlreadyExists):
    """Another live process serves an endpoint of this name."""

    @classmethod
    def by(cls, endpoint: str, pid: int, notebook: str = "") -> AlreadyServed:
        """The error that names who serves `endpoint`.

        Examples:
            >>> print(AlreadyServed.by("arm", 4711, "arm.ipynb"))
            'arm' is served by arm.ipynb (pid 4711): stop it there, serve(takeover=True), or choose another name
        """
        who = f"{notebook} (pid {pid})" if notebook else f"pid {pid}"
        message = f"{endpoint!r} is served by {who}: stop it there, serve(takeover=True), or choose another name"
        if _is_spawned_by(pid):
            message = (
                f"{endpoint!r} is served by pid {pid}, which has started this process: multiprocessing runs the "
                "main script again in each process that it spawns. Put what serves under "
                '`if __name__ == "__main__":`'
            )
        return cls(message, {"endpoint": endpoint, "pid": pid, "notebook": notebook})


def _is_spawned_by(pid: int) -> bool:
    """Whether this is a process that `multiprocessing` starts from that one, and still runs its main script."""
    process: Any = sys.modules.get("multiprocessing.process")
    return process is not None and getattr(process.current_process(), "_inheriting", False) and os.getppid() == pid


def received(  # noqa: PLR0913, PLR0917 - the native side calls it by position
    code: int,
    message: str,
    details: Any,
    exception: str | None,
    traceback: str | None,
    may_have_run: bool,  # noqa: FBT001 - as above
) -> RpcError:
    """The exception of a call that failed at the other end.

    Args:
        code: The status code.
        message: What happened.
        details: What more the worker said.
        exception: The qualified name of what the handler raised, if it raised.
        traceback: The handler's traceback, which becomes a note.
        may_have_run: Whether the handler may have started; becomes an attribute.

    Examples:
        >>> error = received(2, "deep", None, "ValueError", "Traceback …", may_have_run=True)
        >>> error, error.message, error.type
        (Unknown('ValueError: deep'), 'deep', 'ValueError')
        >>> error.may_have_run, error.__notes__
        (True, ['Traceback …'])
    """
    mismatch = code == Code.FAILED_PRECONDITION and exception == qualified_name(SchemaMismatch)
    error = SchemaMismatch(message, details) if mismatch else RpcError.of(code, message, details)
    error.type = exception or ""
    error.may_have_run = may_have_run
    if traceback:
        error.add_note(traceback)
    return error


def qualified_name(cls: type) -> str:
    """How a class is named to a caller: with its module, except a built-in one.

    Examples:
        >>> qualified_name(ValueError), qualified_name(RpcError), qualified_name(ValidationError)
        ('ValueError', 'pycrust.errors.RpcError', 'pydantic_core.ValidationError')
    """
    if cls.__module__ in {"builtins", "__main__"}:
        return cls.__qualname__
    return f"{_public_module(cls)}.{cls.__qualname__}"


def _public_module(cls: type) -> str:
    """The module that people import a class from, where it is not the private one that defines it."""
    parts = cls.__module__.split(".")
    private = next((at for at, part in enumerate(parts) if at and part.startswith("_")), None)
    public = ".".join(parts[:private])
    found = getattr(sys.modules.get(public), cls.__name__, None)
    return public if found is cls else cls.__module__


class Interrupted(KeyboardInterrupt):
    """Raised in a handler by `endpoint.interrupt(call)`; its caller gets CANCELLED.

    Like an interrupted cell's exception, it passes an `except Exception`.
    """

    def __init__(self, message: str = "the call was interrupted by endpoint.interrupt()") -> None:
        """Made without arguments where it is raised in another thread."""
        super().__init__(message)


def describe(exc: BaseException, traceback: bool = True) -> tuple[int, dict[str, Any]]:  # noqa: FBT001, FBT002 - the native side calls it by position
    """What a caller is told of an exception that a handler raised.

    Args:
        exc: What was raised. `KeyboardInterrupt` and `SystemExit` are answers like any other.
        traceback: Whether its text may travel.

    Returns:
        The status code, and the error payload as a dict: `message`, `type`, and where they exist `details`
        and `traceback`, which begins at the handler's own frame. An `RpcError` says all that it means to, so it
        has a traceback only where that tells more: a cause, or notes.

    Examples:
        >>> describe(RpcError(Code.NOT_FOUND, "no arm 3"), traceback=False)
        (5, {'message': 'no arm 3', 'type': 'pycrust.errors.NotFound'})
    """
    if isinstance(exc, RpcError):
        code, payload = _of_rpc_error(exc)
        if traceback and _tells_more(exc):
            payload["traceback"] = traceback_text(exc)
        return code, payload
    message = message_of(exc)
    if isinstance(exc, ValueError) and "read-only" in message:
        # What NumPy says to who writes into an argument.
        message += " (arguments are read-only views of shared memory: write into array.copy())"
    payload = _payload(exc, message)
    if traceback:
        payload["traceback"] = traceback_text(exc)
    return int(Code.CANCELLED if isinstance(exc, Interrupted) else Code.UNKNOWN), payload


def describe_arguments(exc: BaseException) -> tuple[int, dict[str, Any]]:
    """What a caller is told when binding or validating the arguments raised `exc`.

    Returns:
        INVALID_ARGUMENT with the list of `loc`, `msg` and `type` that Pydantic gives, of very many the first ones;
        the own code of an `RpcError` that a validator raised; UNKNOWN for any other exception of a validator.
    """
    if isinstance(exc, ValidationError):
        found = Mistakes.of(exc)
        message = _advised(f"invalid arguments: {found}", exc)
        return int(Code.INVALID_ARGUMENT), _payload(exc, message, found.listed)
    if isinstance(exc, RpcError):
        return _of_rpc_error(exc)
    if isinstance(exc, (TypeError, ValueError)):
        message = message_of(exc)
        errors: list[dict[str, Any]] = [{"loc": [], "msg": message, "type": "arguments"}]
        return int(Code.INVALID_ARGUMENT), _payload(exc, _advised(f"invalid arguments: {message}", exc), errors)
    return describe(exc, traceback=False)


def _advised(message: str, exc: BaseException) -> str:
    advice = advice_of(exc)
    return f"{message} ({advice})" if advice else message


def refused_item(exc: BaseException) -> RpcError:
    """What a handler that takes a stream of arguments sees raised where one of them doesn't validate.

    Unless it catches it, the caller gets INVALID_ARGUMENT with Pydantic's list, as for other arguments.
    """
    code, payload = describe_arguments(exc)
    error = RpcError.of(code, payload["message"], payload.get("details"))
    error.__cause__ = exc
    return error


def describe_result(exc: BaseException) -> tuple[int, dict[str, Any]]:
    """What a caller is told when validating, serialising or encoding a result raised `exc`.

    Returns:
        INTERNAL, with Pydantic's list as `details` where the result doesn't validate, cut as that of arguments; the
        own code of an `RpcError` that a serializer raised.
    """
    if isinstance(exc, ValidationError):
        found = Mistakes.of(exc)
        message = f"the handler's result doesn't fit its declared type: {found}"
        return int(Code.INTERNAL), _payload(exc, message, found.listed)
    if isinstance(exc, RpcError):
        return _of_rpc_error(exc)
    # What encodes says where it is and what; anything else came out of a validator or serializer.
    kind = "" if isinstance(exc, TypeError | ValueError) else f"{qualified_name(type(exc))}: "
    # The path to what can't be sent may be longer than what is told of it.
    said = f"{kind}{message_of(exc, without_middle)}".removesuffix(": ")
    return int(Code.INTERNAL), _payload(exc, f"the handler's result can't be sent: {said}")


def _of_rpc_error(exc: RpcError) -> tuple[int, dict[str, Any]]:
    # Imported here: the native extension imports this module while it answers.
    from pycrust._extension import encode  # noqa: PLC0415

    message, details = _clipped(str(exc.message)), exc.details
    if details is not None:
        try:
            encode(details)
        except (TypeError, ValueError) as unserialisable:
            message, details = f"{message} (its details: {unserialisable})", None
    return int(exc.code), _payload(exc, message, details)


def _tells_more(exc: BaseException) -> bool:
    """Whether an exception has a cause, was raised while another was handled, or has notes."""
    context = exc.__context__ is not None and not exc.__suppress_context__
    return exc.__cause__ is not None or context or bool(getattr(exc, "__notes__", None))


def _payload(exc: BaseException, message: str, details: Any = None) -> dict[str, Any]:
    # An error that a handler got from another endpoint and lets pass is still what was raised there.
    raised = (isinstance(exc, RpcError) and exc.type) or qualified_name(type(exc))
    payload: dict[str, Any] = {"message": message, "type": raised}
    if details is not None:
        payload["details"] = details
    return payload


def message_of(exc: BaseException, cut: Callable[[str, int], str] = clipped) -> str:
    """The text of an exception, cut to what travels, also where making it raises.

    Args:
        exc: The exception.
        cut: How it is cut: gets the text and the bytes that it may have.
    """
    try:
        return cut(text_of(exc), _MAX_MESSAGE)
    except Exception as second:  # noqa: BLE001 - a broken __str__ must not hide the first error
        return f"(its text can't be made: {type(second).__name__})"


def _clipped(text: str) -> str:
    return clipped(text, _MAX_MESSAGE)


def traceback_text(exc: BaseException) -> str:
    """The traceback of what a handler raised, from the handler's own frame on."""
    try:
        exc = lightened(exc)
        lines = tracebacks.format_exception(type(exc), exc, _own_frames(exc.__traceback__))
    except Exception as second:  # noqa: BLE001 - formatting runs the exception's own code
        return f"(its traceback can't be made: {type(second).__name__})"
    text = "".join(lines).encode("utf-8", "backslashreplace").decode()
    text = text.replace(_PRIVATE, _PUBLIC)
    if len(text) <= _MAX_TRACEBACK:
        return text
    end = text[_MAX_FIRST_CAUSE - _MAX_TRACEBACK :]
    return f"{text[:_MAX_FIRST_CAUSE]}\n… {len(text) - _MAX_TRACEBACK:,} characters …\n{end}"


def _own_frames(tb: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that isn't this package's."""
    own = tb
    while own is not None and own.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        own = own.tb_next
    return own or tb
