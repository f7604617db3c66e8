"""A pytest plugin: endpoints for one test, served and forgotten after it.

It is found by pytest as soon as PyCrust is installed, and stands outside of the package `pycrust`: pytest imports
it in every run of the environment, and importing anything of a package imports the package.

Example:
    ```python
    def test_add(pycrust_endpoint):
        @pycrust_endpoint.register
        def add(a: int, b: int) -> int:
            return a + b

        assert pycrust_endpoint.client.call("add", 1, 2) == 3
    ```
"""

from __future__ import annotations

import itertools
import os
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pycrust.client import RpcClient
    from pycrust.endpoint.endpoint import RpcEndpoint

_numbers = itertools.count(1)


class Served:
    """An endpoint that is served for one test, and a client of it; everything else is the endpoint's.

    Attributes:
        endpoint: The endpoint.
        client: A client that calls it over shared memory.
    """

    def __init__(self, endpoint: RpcEndpoint, client: RpcClient) -> None:
        """Made by the fixtures."""
        self.endpoint = endpoint
        self.client = client

    def __getattr__(self, name: str) -> Any:
        """What the endpoint has."""
        return getattr(self.endpoint, name)

    def __getitem__(self, name: str) -> Any:
        """One of its methods."""
        return self.endpoint[name]


@pytest.fixture
def pycrust_serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Served]]:
    """Serves endpoints: `pycrust_serve()` makes one, `pycrust_serve(endpoint)` takes yours.

    Unless `PYCRUST_RUNTIME_DIR` is set, each test has a runtime directory of its own, so that tests don't meet each
    other's endpoints or a notebook's.
    """
    from pycrust.client import RpcClient  # noqa: PLC0415 - only for tests that serve
    from pycrust.endpoint.endpoint import RpcEndpoint  # noqa: PLC0415 - as above

    own = None if "PYCRUST_RUNTIME_DIR" in os.environ else tempfile.TemporaryDirectory(prefix="pycrust-test-")
    if own is not None:
        monkeypatch.setenv("PYCRUST_RUNTIME_DIR", own.name)
    served: list[Served] = []

    def serve(endpoint: RpcEndpoint | None = None, **options: Any) -> Served:
        endpoint = endpoint or RpcEndpoint(f"test-{os.getpid()}-{next(_numbers)}", **options)
        endpoint.commit()
        endpoint._service.start(())  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - serve() prints its line
        served.append(Served(endpoint, RpcClient(endpoint.name)))
        return served[-1]

    yield serve
    for one in reversed(served):
        one.client.close()
        one.endpoint.stop()
    if own is not None:
        own.cleanup()


@pytest.fixture
def pycrust_endpoint(pycrust_serve: Callable[..., Served]) -> Served:
    """An endpoint of the test's own, served, with a `client`."""
    return pycrust_serve()
