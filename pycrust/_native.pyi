"""What the native extension offers to the package; a test checks it against the binary."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

class Handler:
    """One immutable handler: binding, validation, function, validation and serialisation of the result."""

    def __new__(
        cls,
        function: Callable[..., object],
        *,
        mode: Literal["none", "raw", "fields", "model", "args"],
        validate: Callable[[Any], Any] | None = None,
        fields: Sequence[str] = (),
        validate_result: Callable[[Any], Any] | None = None,
        serialize_result: Callable[[Any], Any] | None = None,
        context: Callable[[], Any] | None = None,
    ) -> Handler: ...
    def invoke(self, arguments: object) -> Any:
        """One call in this process: bind, validate, run, validate and serialise the result."""

class Worker:
    """Serves one endpoint: claims its name, holds its handlers, runs its dispatch threads."""

    def __new__(
        cls,
        name: str,
        *,
        notebook: str = "",
        max_threads: int = 32,
        max_in_flight: int = 65536,
        max_in_flight_per_client: int = 16384,
        spin_us: float | None = None,
        traceback: bool = True,
    ) -> Worker: ...
    @property
    def serving(self) -> bool:
        """Whether callers can reach the worker."""
    def publish(self, changes: Sequence[tuple[str, Handler | None, dict[str, Any]]]) -> list[int]:
        """Registers or, with `None`, removes methods in one atomic step; gives their version numbers."""
    def expect(self, methods: Sequence[str]) -> None:
        """Answers UNAVAILABLE, not UNIMPLEMENTED, for these methods until they are registered."""
    def start(self) -> dict[str, Any]:
        """Claims the name and serves from threads of its own; gives `pid`, `generation` and `dir`."""
    def stop(self, grace: float) -> bool:
        """Stops serving; waits up to `grace` seconds for running calls. Whether every thread ended."""
    def stats(self) -> dict[str, Any]:
        """The answer to `pycrust.stats`."""

def encode(value: object) -> bytes:
    """MessagePack of `value`."""

def decode(payload: bytes) -> Any:
    """The Python object that the MessagePack in `payload` stands for."""

def live_endpoints() -> list[dict[str, Any]]:
    """Every endpoint that a live process of this user serves."""

def after_fork_in_child() -> None:
    """Closes this library's file descriptors in a forked child; its ports are the parent's."""
