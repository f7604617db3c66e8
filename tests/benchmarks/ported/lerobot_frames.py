"""What LeRobot's asynchronous inference sends: objects in pickle, in messages of at most 2 MiB.

As in `src/lerobot/transport/utils.py` and `src/lerobot/async_inference/helpers.py` of
https://github.com/huggingface/lerobot (7427f31).
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

#: Made of `lerobot.proto`, as `python -m grpc_tools.protoc` makes them.
messages, services = grpc.protos_and_services("tests/benchmarks/ported/lerobot.proto")

CHUNK = 2 * 1024 * 1024
LARGEST = 4 * 1024 * 1024


@dataclass
class TimedAction:
    timestamp: float
    timestep: int
    action: torch.Tensor


@dataclass
class TimedObservation:
    timestamp: float
    timestep: int
    observation: dict[str, Any]
    must_go: bool = False


def in_chunks(pickled: bytes) -> Iterator[Any]:
    """The messages of an observation."""
    buffer = io.BytesIO(pickled)
    sent = 0
    while sent < len(pickled):
        state = messages.TRANSFER_MIDDLE
        if sent + CHUNK >= len(pickled):
            state = messages.TRANSFER_END
        elif sent == 0:
            state = messages.TRANSFER_BEGIN
        size = min(CHUNK, len(pickled) - sent)
        yield messages.Observation(transfer_state=state, data=buffer.read(size))
        sent += size


def joined(chunks: Iterator[Any]) -> bytes:
    """What those messages held."""
    buffer = io.BytesIO()
    for chunk in chunks:
        if chunk.transfer_state == messages.TRANSFER_BEGIN:
            buffer.seek(0)
            buffer.truncate(0)
        buffer.write(chunk.data)
        if chunk.transfer_state == messages.TRANSFER_END:
            return buffer.getvalue()
    raise ValueError("the stream has ended early")


def channel_options() -> list[tuple[str, Any]]:
    """The client's, with its retries."""
    retries = {
        "maxAttempts": 5,
        "initialBackoff": "0.0333s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "DEADLINE_EXCEEDED"],
    }
    return [
        ("grpc.max_receive_message_length", LARGEST),
        ("grpc.max_send_message_length", LARGEST),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": retries}]})),
    ]
