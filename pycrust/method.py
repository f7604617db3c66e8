"""`endpoint["name"]`: one method of an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pycrust.endpoint import RpcEndpoint
    from pycrust.versions import Version


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

    def __init__(self, endpoint: RpcEndpoint, name: str) -> None:
        """Made by `endpoint[name]`."""
        self._endpoint = endpoint
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the handler, validated as a caller's call is, outside of statistics.

        Args:
            *args: Arguments by position.
            **kwargs: Arguments by name.

        Returns:
            What a caller would get.

        Raises:
            TypeError: An argument is given twice.
        """
        if not kwargs:
            return self._endpoint._dispatch(self.name, list(args))  # noqa: SLF001 - public by contract
        names = self._endpoint._registered(self.name).parameters  # noqa: SLF001 - one package
        if len(args) > len(names):
            raise TypeError(f"{self.name} takes {len(names)} arguments by position when others are named")
        by_name = dict(zip(names, args, strict=False))
        if twice := by_name.keys() & kwargs.keys():
            raise TypeError(f"{self.name} got {min(twice)!r} by position and by name")
        return self._endpoint._dispatch(self.name, {**by_name, **kwargs})  # noqa: SLF001 - public by contract

    @property
    def version(self) -> int:
        """The live version's number; 0 while the first one is only staged by the running cell."""
        return self._endpoint._live_version(self.name)  # noqa: SLF001 - one package

    @property
    def history(self) -> list[Version]:
        """Every version that was published, the oldest first."""
        return self._endpoint._history_of(self.name)  # noqa: SLF001 - one package

    @property
    def __doc__(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The handler's own description, for help in notebooks."""
        return self._endpoint._registered(self.name).doc  # noqa: SLF001 - one package

    def __repr__(self) -> str:
        """One line."""
        registered = self._endpoint._registered(self.name)  # noqa: SLF001 - one package
        arguments = ", ".join(registered.parameters)
        return f"<{self._endpoint.name}.{self.name}({arguments}) v{self.version}>"
