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

from pycrust._extension import VERSION
from pycrust.arrays.annotations import DType, Shape
from pycrust.arrays.incoming import to_torch
from pycrust.calls.current import current_call, current_calls
from pycrust.endpoint.endpoint import RpcEndpoint
from pycrust.endpoint.method import Method
from pycrust.endpoint.rpc_methods import rpc_method
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
    SchemaMismatch,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
    UnknownMethod,
)
from pycrust.handlers.batching import Batch
from pycrust.handlers.validation import validate_arguments, validate_result
from pycrust.jupyter import hooks as _hooks
from pycrust.models.history import ModelVersion
from pycrust.models.reload import ModelRefusedError, Reload
from pycrust.models.slot import ModelSlot
from pycrust.models.weights import load_weights
from pycrust.process.realtime import RealTime
from pycrust.text.statistics import Stats
from pycrust.traffic.filters import FilterError
from pycrust.traffic.recorded import RecordedCall
from pycrust.traffic.traffic import Traffic
from pycrust.trials.shadow import Shadow
from pycrust.trials.trial import Trial
from pycrust.values.timestamp import Timestamp
from pycrust.versions.events import Event, EventLog
from pycrust.versions.history import History
from pycrust.versions.version import Version

if TYPE_CHECKING:
    from pycrust.client import RpcClient

#: The release; Cargo's workspace has the number.
__version__ = VERSION

_hooks.install()

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
    "RealTime",
    "RecordedCall",
    "Reload",
    "ResourceExhausted",
    "RpcClient",
    "RpcEndpoint",
    "RpcError",
    "SchemaMismatch",
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
