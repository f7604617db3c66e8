"""Addresses that are listened at."""

from __future__ import annotations

from typing import overload

_MAX_PORT = 65_535


@overload
def listening_address(given: int | str) -> str: ...
@overload
def listening_address(given: None) -> None: ...
def listening_address(given: int | str | None) -> str | None:
    """Where to listen, as `host:port`: a port alone is one of this machine's own 127.0.0.1.

    Args:
        given: A port, 0 being any free one, `host:port`, or `None` for nowhere. An IPv6 address stands in brackets.

    Raises:
        TypeError: It is neither.
        ValueError: It is no port, or lacks its host or its port.

    Examples:
        >>> listening_address(9464), listening_address("0.0.0.0:9464"), listening_address("[::1]:0")
        ('127.0.0.1:9464', '0.0.0.0:9464', '[::1]:0')
    """
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise TypeError(f"an address to listen at is a port or 'host:port', not {type(given).__name__}")
    host, colon, port = ("127.0.0.1", ":", str(given)) if isinstance(given, int) else given.rpartition(":")
    if not (host and colon) or (":" in host and not (host[0] == "[" and host[-1] == "]")):
        raise ValueError(f"{given!r} is no address to listen at: give a port or 'host:port'")
    if not (port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise ValueError(f"{given!r} is no address to listen at: a port is between 0 and {_MAX_PORT}")
    return f"{host}:{port}"
