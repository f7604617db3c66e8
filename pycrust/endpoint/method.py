"""`endpoint["name"]`: one method of an endpoint."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from pycrust.handlers.registration import Registration, locals_around
from pycrust.trials.compare import ATOL, RTOL, Tolerance
from pycrust.trials.profile import PERIOD, Profile, profile
from pycrust.trials.shadow import Shadow
from pycrust.trials.trial import Trial, candidate_of
from pycrust.versions.history import differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pycrust.service.service import Service
    from pycrust.traffic.recorded import RecordedCall
    from pycrust.versions.history import History


class Method:
    """A method by its name; calling it is calling the handler as a client would, in this process.

    Examples:
        >>> from pycrust import RpcEndpoint
        >>> endpoint = RpcEndpoint("method-doc", fresh=True)
        >>> @endpoint.register
        ... def add(a: int, b: int) -> int:
        ...     return a + b
        >>> endpoint["add"](1, b="2")
        3
        >>> endpoint["add"].version
        1
    """

    def __init__(self, service: Service, name: str) -> None:
        """Made by `endpoint[name]`."""
        self._service = service
        self._catalog = service.catalog
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        """As `endpoint[name]` of the process that unpickles it."""
        return operator.getitem, (next(iter(self._service.handles.values())), self.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the handler, validated as a caller's call is, outside of statistics.

        Args:
            *args: Arguments by position.
            **kwargs: Arguments by name.

        Returns:
            What a caller would get.

        Raises:
            TypeError: An argument is given twice, or too many by position while others are named.
        """
        if not kwargs:
            return self._catalog.call(self.name, list(args))
        names = self._catalog.registered(self.name).parameters
        if len(args) > len(names):
            raise TypeError(f"{self.name} takes {len(names)} arguments by position when others are named")
        by_name = dict(zip(names, args, strict=False))
        if twice := by_name.keys() & kwargs.keys():
            raise TypeError(f"{self.name} got {min(twice)!r} by position and by name")
        return self._catalog.call(self.name, {**by_name, **kwargs})

    @property
    def version(self) -> int:
        """The live version's number; 0 while the first one is only staged by the running cell."""
        return self._catalog.version(self.name)

    @property
    def history(self) -> History:
        """Every version that was published, the oldest first: a list that shows itself as a table."""
        return self._catalog.history(self.name)

    def diff(self, old: int | None = None, new: int | None = None) -> str:
        """What two versions differ in: their source, and their schemas field by field.

        Args:
            old: The number of the one; by default the version before the newest one.
            new: The number of the other; by default the newest one.

        Returns:
            A unified diff, and a line for each field that was added, removed or has changed.

        Raises:
            ValueError: There is no such version.
        """
        archive = self._catalog.archive
        self._catalog.known(self.name)
        newest = archive.newest(self.name).version if new is None else archive.find(self.name, new)
        before = archive.before(self.name) if old is None else archive.find(self.name, old)
        return differences(before, newest)

    def rollback(self, number: int | None = None) -> str:
        """Publishes an earlier version's handler again, under a new number; in a cell, when that succeeds.

        Args:
            number: The version; by default the last one whose handler is kept.

        Returns:
            The line that says so. It names the globals that the handler reads and that differ from when the
            version was live.

        Raises:
            ValueError: The version is live or unknown, or its handler was let go:
                `RpcEndpoint(..., keep_versions=n)` keeps more than the last one.
        """
        return self._catalog.rollback(self.name, number)

    def remove(self) -> None:
        """Removes the method: calls that were received still run, later ones get UNIMPLEMENTED.

        Raises:
            UnknownMethod: It is removed already.
        """
        self._catalog.registered(self.name)
        self._catalog.change([Registration(self.name)])

    def shadow(
        self,
        candidate: Callable[..., Any] | int,
        *,
        rtol: float = RTOL,
        atol: float = ATOL,
        share: float = 0.5,
        **options: Any,
    ) -> Shadow:
        """Runs a candidate on the live calls of this method, without answering anybody.

        It runs on a thread of its own what the recorder has seen answered, and compares.

        Args:
            candidate: A function, or the number of a version whose handler is kept.
            rtol: How far floats may be apart, relative to the live result.
            atol: How far they may be apart absolutely.
            share: The share of one core's time that it may take; what it can't keep up with is skipped.
            **options: As in `register`, where the candidate's are others than the live handler's.

        Returns:
            Counts, differences and latencies side by side; `promote()` makes the candidate live, `discard()` ends
            it. Redacted fields are compared and not shown; calls with dropped fields, which can't be compared, are
            counted apart, and so are answers with arrays, of which only types and shapes are recorded.

        Raises:
            ValueError: The method or the candidate has side effects, its calls are not recorded, or the version's
                handler was let go.
            TypeError: The candidate's kind or signature is unfit.
        """
        if not self._catalog.registered(self.name).record:
            raise ValueError(f"{self.name} is registered with record=False: a shadow runs what was recorded")
        return Shadow(
            self._service,
            candidate_of(self._service, self.name, candidate, options, locals_around(0)),
            Tolerance(rtol, atol),
            share,
        )

    def replay(
        self,
        calls: Iterable[RecordedCall],
        candidate: Callable[..., Any] | int | None = None,
        *,
        rtol: float = RTOL,
        atol: float = ATOL,
        **options: Any,
    ) -> Trial:
        """Runs recorded calls again, and compares with what was answered then.

        Args:
            calls: Recorded calls, such as `endpoint.traffic("status:ok")`; those of other methods are left out.
            candidate: A function, the number of a version whose handler is kept, or `None` for the live handler.
            rtol: How far floats may be apart, relative to the recorded result.
            atol: How far they may be apart absolutely.
            **options: As in `register`, where the candidate's are others than the live handler's.

        Returns:
            Counts, differences and latencies side by side. Redacted fields are compared and not shown; calls that
            can't be compared, for fields that were dropped or hidden in the file they come from, are counted apart.

        Raises:
            ValueError: The method or the candidate has side effects, or the version's handler was let go.
            TypeError: The candidate's kind or signature is unfit.
        """
        trial = Trial(
            self._service,
            candidate_of(self._service, self.name, candidate, options, locals_around(0)),
            Tolerance(rtol, atol),
        )
        for call in calls:
            if call.method == self.name:
                trial.run(call)
        return trial

    def profile(self, seconds: float = 5.0, *, period: float = PERIOD) -> Profile:
        """Looks for some seconds where the calls of this handler spend their time.

        It samples the stacks of the threads that run it, so that calls cost no more than the samples take; when
        nobody profiles, they cost nothing.

        Args:
            seconds: How long to look; this waits for it.
            period: Seconds between two samples.

        Returns:
            Functions and lines with their shares of the samples.

        Raises:
            ValueError: A time is not above 0.
            TypeError: The handler is no Python function.
        """
        return profile(self._catalog.registered(self.name), seconds, period)

    @property
    def doc(self) -> str:
        """The first line of the handler's docstring."""
        return self._catalog.registered(self.name).doc

    def __repr__(self) -> str:
        """One line."""
        registered = self._catalog.visible().get(self.name)
        if registered is None:
            return f"<{self._catalog.name}.{self.name} removed>"
        arguments = ", ".join(registered.parameters)
        return f"<{self._catalog.name}.{self.name}({arguments}) {self._catalog.label(self.name)}>"
