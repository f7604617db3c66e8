"""An endpoint's options."""

from __future__ import annotations

from dataclasses import asdict, dataclass

_SECOND_IN_MICROS = 1e6

#: Threads of one endpoint: with more, they would get little else done than to take turns at the interpreter.
MAX_THREADS = 1024


@dataclass(frozen=True)
class Settings:
    """An endpoint's options, with their defaults."""

    #: Whether the text of a handler's traceback reaches the caller.
    traceback: bool = True
    #: Threads that run handlers, at most.
    max_threads: int = 32
    #: Calls received and not yet answered, at most; past it a caller gets RESOURCE_EXHAUSTED.
    max_in_flight: int = 65_536
    #: The same for one client.
    max_in_flight_per_client: int = 16_384
    #: Microseconds that a thread polls before it sleeps; 0 never polls, `None` lets the worker decide.
    spin_us: float | None = None
    #: Seconds of the interpreter's thread switch interval while serving; `None` leaves it, and how the
    #: kernel schedules the main thread, alone.
    switch_interval: float | None = 50e-6
    #: Replaced handlers of each method that are kept for rollback.
    keep_versions: int = 1
    #: The share of a core that may be spent for each client on being awake before its calls, where they have a
    #: rhythm; five times as much for all clients. 0 is nothing.
    anticipation: float = 0.02

    def check(self) -> None:
        """Refuses values that no worker could run with.

        Raises:
            TypeError: A number is none, or not a whole one.
            ValueError: A number is out of bounds.
        """
        for name in ("max_threads", "max_in_flight", "max_in_flight_per_client", "keep_versions"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} is an int, not {type(value).__name__}")
        for name in ("max_threads", "max_in_flight", "max_in_flight_per_client"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.max_threads > MAX_THREADS:
            raise ValueError(f"max_threads is at most {MAX_THREADS}, not {self.max_threads}")
        if self.keep_versions < 0:
            raise ValueError(f"keep_versions is at least 0, not {self.keep_versions}")
        if self.spin_us is not None and not 0 <= self.spin_us <= _SECOND_IN_MICROS:
            raise ValueError(f"spin_us is between 0 and 1,000,000, not {self.spin_us}")
        if not 0 <= self.anticipation <= 1:
            raise ValueError(f"anticipation is a share of a core, between 0 and 1, not {self.anticipation}")
        if self.switch_interval is not None and not 0 < self.switch_interval <= 1:
            raise ValueError(f"switch_interval is above 0 s and at most 1 s, not {self.switch_interval}")

    def check_conflict(self, name: str, asked: Settings) -> None:
        """Refuses options that ask an existing endpoint to be another; a default asks for nothing.

        Raises:
            ValueError: It names each option that conflicts.

        Examples:
            >>> Settings(max_threads=4).check_conflict("arm", Settings())
            >>> Settings(max_threads=4).check_conflict("arm", Settings(max_threads=8))
            Traceback (most recent call last):
            ValueError: 'arm' exists in this process with other options: max_threads=8 (it has 4); leave them out \
to use it as it is, or restart to change them
        """
        default, has, wants = asdict(Settings()), asdict(self), asdict(asked)
        conflicts = [
            f"{option}={wants[option]!r} (it has {has[option]!r})"
            for option in wants
            if wants[option] not in (default[option], has[option])
        ]
        if conflicts:
            raise ValueError(
                f"{name!r} exists in this process with other options: {', '.join(conflicts)}; "
                "leave them out to use it as it is, or restart to change them"
            )
