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

from typing import TYPE_CHECKING

from pycrust.arrays import DType, Shape, to_torch
from pycrust.batching import Batch
from pycrust.current import current_call, current_calls
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
from pycrust.events import Event, EventLog
from pycrust.filters import FilterError
from pycrust.history import History
from pycrust.method import Method
from pycrust.modelhistory import ModelVersion
from pycrust.models import ModelSlot
from pycrust.recorded import RecordedCall
from pycrust.reloads import ModelRefusedError, Reload
from pycrust.services import rpc_method
from pycrust.shadow import Shadow
from pycrust.statistics import Stats
from pycrust.timestamp import Timestamp
from pycrust.traffic import Traffic
from pycrust.trials import Trial
from pycrust.validation import validate_arguments, validate_result
from pycrust.versions import Version
from pycrust.weights import load_weights

if TYPE_CHECKING:
    from pycrust.client import RpcClient

__version__ = "0.1.0"

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AlreadyServed",
    "Batch",
    "Cancelled",
    "Code",
    "DType",
    "DataLoss",
    "DeadlineExceeded",
    "Event",
    "EventLog",
    "FailedPrecondition",
    "FilterError",
    "History",
    "Internal",
    "InvalidArgument",
    "Method",
    "ModelRefusedError",
    "ModelSlot",
    "ModelVersion",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "RecordedCall",
    "Reload",
    "ResourceExhausted",
    "RpcClient",
    "RpcEndpoint",
    "RpcError",
    "Shadow",
    "Shape",
    "Stats",
    "Timestamp",
    "Traffic",
    "Trial",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "UnknownMethod",
    "Version",
    "__version__",
    "current_call",
    "current_calls",
    "load_weights",
    "rpc_method",
    "to_torch",
    "validate_arguments",
    "validate_result",
]


def __getattr__(name: str) -> object:
    """`RpcClient`, imported when it is first asked for: it needs asyncio, which handlers do not."""
    if name == "RpcClient":
        from pycrust.client import RpcClient  # noqa: PLC0415

        return RpcClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
