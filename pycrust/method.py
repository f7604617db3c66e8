"""`endpoint["name"]`: one method of an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pycrust.catalog import Catalog
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

    def __init__(self, catalog: Catalog, name: str) -> None:
        """Made by `endpoint[name]`."""
        self._catalog = catalog
        self.name = name

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
    def history(self) -> list[Version]:
        """Every version that was published, the oldest first."""
        return self._catalog.history(self.name)

    @property
    def doc(self) -> str:
        """The first line of the handler's docstring."""
        return self._catalog.registered(self.name).doc

    def __repr__(self) -> str:
        """One line."""
        arguments = ", ".join(self._catalog.registered(self.name).parameters)
        return f"<{self._catalog.name}.{self.name}({arguments}) v{self.version}>"
