"""PyCrust: notebook cells as handlers for Rust control processes, over shared memory.

Examples:
    >>> from pycrust import RpcEndpoint
    >>> endpoint = RpcEndpoint("calculator-doc")
    >>> @endpoint.register
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> endpoint._dispatch("add", {"a": 10, "b": 20})
    30
"""

from pycrust.current import current_call
from pycrust.endpoint import RpcEndpoint
from pycrust.errors import (
    Aborted,
    AlreadyExists,
    AlreadyServed,
    Cancelled,
    Code,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    RpcError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
    UnknownMethod,
)
from pycrust.method import Method
from pycrust.services import rpc_method
from pycrust.statistics import Stats
from pycrust.validation import validate_arguments, validate_result
from pycrust.versions import Version

__version__ = "0.1.0"

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
    "Method",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "RpcEndpoint",
    "RpcError",
    "Stats",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "UnknownMethod",
    "Version",
    "__version__",
    "current_call",
    "rpc_method",
    "validate_arguments",
    "validate_result",
]
