"""The worker of gRPC's interoperability cases, with this project's means.

The cases, sizes and codes are those of
<https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md>.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

from pydantic import BaseModel

from pycrust import Code, RpcEndpoint, RpcError, current_call

endpoint = RpcEndpoint("grpc-test-service")


class SimpleRequest(BaseModel):
    response_size: int = 0
    payload: bytes = b""
    status: tuple[int, str] | None = None


class StreamingRequest(BaseModel):
    sizes: list[int]
    interval_us: int = 0
    payload: bytes = b""
    status: tuple[int, str] | None = None


def echo_metadata() -> None:
    """Sends back the metadata that the cases ask for."""
    call = current_call()
    names = ("x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin")
    call.set_metadata({name: call.metadata[name] for name in names if name in call.metadata})


def fail_if_asked(status: tuple[int, str] | None) -> None:
    """Raises the status that the request asks for."""
    if status is not None and status[0] != Code.OK:
        raise RpcError(*status)


@endpoint.register
def empty_call() -> None:
    """Nothing in, nothing out."""


@endpoint.register
def unary_call(request: SimpleRequest) -> bytes:
    echo_metadata()
    fail_if_asked(request.status)
    return bytes(request.response_size)


@endpoint.register
def streaming_output_call(request: StreamingRequest) -> Iterator[bytes]:
    for size in request.sizes:
        time.sleep(request.interval_us / 1e6)
        yield bytes(size)


@endpoint.register
def streaming_input_call(payloads: Iterator[bytes]) -> int:
    return sum(map(len, payloads))


@endpoint.register
async def full_duplex_call(requests: AsyncIterator[StreamingRequest]) -> AsyncIterator[bytes]:
    echo_metadata()
    async for request in requests:
        fail_if_asked(request.status)
        for size in request.sizes:
            yield bytes(size)


@endpoint.register
def half_duplex_call(requests: Iterator[StreamingRequest]) -> Iterator[bytes]:
    for request in list(requests):
        for size in request.sizes:
            yield bytes(size)


#: What became of calls that were cancelled.
ended: list[str] = []


@endpoint.register
async def sleeps(seconds: float) -> None:
    import asyncio

    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        ended.append("sleeps cancelled")
        raise


@endpoint.register
def counts(limit: int) -> Iterator[int]:
    try:
        yield from range(limit)
    finally:
        ended.append("counts ended")


@endpoint.register(concurrency=4)
def watches() -> str:
    call = current_call()
    while not call.cancelled:
        time.sleep(0.001)
    ended.append("watches saw it")
    return "cancelled"


@endpoint.register
def what_ended() -> list[str]:
    return ended


if __name__ == "__main__":
    endpoint.listen()
