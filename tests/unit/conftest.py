"""Endpoints of a test's own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from pycrust import RpcEndpoint
from pycrust.service import lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = itertools.count()


@pytest.fixture
def make_endpoint() -> Iterator[Callable[..., RpcEndpoint]]:
    """Makes endpoints with names of their own; they are stopped and forgotten after the test."""
    names = []

    def make(**options: object) -> RpcEndpoint:
        names.append(f"unit-{next(_numbers)}")
        return RpcEndpoint(names[-1], **options)

    yield make
    for name in names:
        service = lifecycle.services.pop(name, None)
        if service:
            service.stop(2.0)


@pytest.fixture
def endpoint(make_endpoint: Callable[..., RpcEndpoint]) -> RpcEndpoint:
    return make_endpoint()
