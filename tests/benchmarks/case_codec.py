"""Decoding, validating and encoding, beside the fastest libraries for each."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec
import ormsgpack
from pydantic import BaseModel

from pycrust import RpcEndpoint
from pycrust._extension import decode, encode
from tests.benchmarks.handler import AddArgs
from tests.benchmarks.measuring import Case, Figures, Goal, Measurement, Results

if TYPE_CHECKING:
    from collections.abc import Callable


class Joint(BaseModel):
    name: str
    position: float
    limits: tuple[float, float]


class Arm(BaseModel):
    name: str
    joints: list[Joint]
    tags: dict[str, str]
    calibrated: datetime


class Wide(BaseModel):
    values: list[float]
    labels: list[str]
    counts: list[int]


ARM = {
    "name": "left",
    "joints": [{"name": f"joint {n}", "position": 0.1 * n, "limits": [-1.5, 1.5]} for n in range(7)],
    "tags": {"maker": "acme", "serial": "A-4711", "place": "cell 3"},
    "calibrated": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
}
WIDE = {
    "values": [0.5 * n for n in range(1000)],
    "labels": [f"label {n}" for n in range(200)],
    "counts": list(range(0, 1_000_000, 2_000)),
}
#: Arguments of each size, and the model that they are validated by.
SAMPLES: dict[str, tuple[dict[str, Any], type[BaseModel]]] = {
    "small": ({"a": 1, "b": 2}, AddArgs),
    "nested": (ARM, Arm),
    "wide": (WIDE, Wide),
}
DECODERS: dict[str, Callable[[bytes], Any]] = {
    "ours": decode,
    "msgspec": msgspec.msgpack.Decoder().decode,
    "ormsgpack": ormsgpack.unpackb,
    "msgpack": msgpack.unpackb,
}
ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "ours": encode,
    "msgspec": msgspec.msgpack.Encoder().encode,
    "ormsgpack": ormsgpack.packb,
    "msgpack": msgpack.packb,
}
LIMIT = 1.3


def timed(call: Callable[[Any], object], argument: Any, seconds: float) -> Figures:
    """Microseconds of one call: the best of many short loops, since a loop can only be disturbed one way."""
    loops, best, until = 1, float("inf"), time.perf_counter() + seconds / 8
    while time.perf_counter() < until:
        begun = time.perf_counter()
        for _ in range(loops):
            call(argument)
        took = time.perf_counter() - begun
        if took < 1e-3:
            loops *= 2
        else:
            best = min(best, took / loops)
    return {"value": best * 1e6}


def ours(model: type[BaseModel]) -> Callable[[Any], object]:
    """Binding and validation as a call does them, with a function that does nothing."""
    endpoint = RpcEndpoint(f"bench-{model.__name__}")
    endpoint.register("take", request_model=model)(_nothing)
    handler = endpoint._service.catalog.registered("take").handler
    assert handler is not None
    return handler.start


def direct(model: type[BaseModel]) -> Callable[[Any], object]:
    """pydantic-core, and the same call by hand."""
    validate = model.__pydantic_validator__.validate_python
    return lambda arguments: _nothing(**validate(arguments).__dict__)


def _nothing(**_fields: object) -> None:
    """A handler that does nothing."""


def measurements() -> list[Measurement]:
    rows = []
    for size, (value, model) in SAMPLES.items():
        payload = msgpack.packb(value)
        assert all(decoder(payload) == value for decoder in DECODERS.values())
        assert all(msgpack.unpackb(encoder(value)) == value for encoder in ENCODERS.values())
        for what, calls, argument in (("decode", DECODERS, payload), ("encode", ENCODERS, value)):
            for name, call in calls.items():
                rows.append(Measurement(f"codec/{what} {size}, {name}", partial(timed, call, argument), unit="µs"))
        for name, call in (("ours", ours(model)), ("pydantic-core", direct(model))):
            rows.append(Measurement(f"codec/validate {size}, {name}", partial(timed, call, value), unit="µs"))
    return rows


def goals(results: Results) -> list[Goal]:
    found = []
    for size in SAMPLES:
        for what, others in (
            ("decode", list(DECODERS)[1:]),
            ("encode", list(ENCODERS)[1:]),
            ("validate", ["pydantic-core"]),
        ):
            mine = f"codec/{what} {size}, ours"
            if not results.has(mine):
                continue
            slower = [results.ratio(mine, f"codec/{what} {size}, {other}", "value") for other in others]
            found.append(Goal(f"{what} {size}: ours / the fastest", max(slower), LIMIT))
    return found


CASE = Case(measurements(), goals)
