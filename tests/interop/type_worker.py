"""Handlers for every type that crosses: one declares it, one a model that holds it, `echo` nothing."""

import datetime as dt
import decimal
import ipaddress
import pathlib
import uuid
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime

from pycrust import RpcEndpoint, Timestamp

T = TypeVar("T")


class Holder(BaseModel, Generic[T]):
    id: int
    value: T
    more: list[T]


class Pose(BaseModel):
    x: float
    y: float
    label: str | None = None


class Limit(BaseModel):
    Limit: float


class Range(BaseModel):
    Range: tuple[float, float]


class StopFields(BaseModel):
    trigger: float
    after: dt.timedelta


class Stop(BaseModel):
    Stop: StopFields


class MarketKind(BaseModel):
    kind: Literal["Market"]


class StopKind(BaseModel):
    kind: Literal["Stop"]
    trigger: float
    id: uuid.UUID


class MarketTag(BaseModel):
    t: Literal["Market"]


class LimitTag(BaseModel):
    t: Literal["Limit"]
    c: float


class StopAt(BaseModel):
    trigger: float
    at: dt.datetime


class StopTag(BaseModel):
    t: Literal["Stop"]
    c: StopAt


#: The handlers' names, and the type that each declares.
TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "bytes": bytes,
    "optional": int | None,
    "none": None,
    "ints": list[int],
    "pair": tuple[int, str],
    "set": set[int],
    "by_name": dict[str, float],
    "by_number": dict[int, str],
    "by_id": dict[uuid.UUID, int],
    "pose": Pose,
    "external": Literal["Market"] | Limit | Range | Stop,
    "internal": Annotated[MarketKind | StopKind, Field(discriminator="kind")],
    "adjacent": Annotated[MarketTag | LimitTag | StopTag, Field(discriminator="t")],
    "untagged": int | str | Pose,
    "uuid": uuid.UUID,
    "ip": ipaddress.IPv4Address | ipaddress.IPv6Address,
    "decimal": decimal.Decimal,
    "path": pathlib.Path,
    "anything": Any,
    "timedelta": dt.timedelta,
    "datetime": AwareDatetime,
    "timestamp": Timestamp,
    "naive": NaiveDatetime,
    "date": dt.date,
    "time": dt.time,
}

MIXTURE = {
    "at": dt.datetime(2026, 3, 1, 12, 30, 15, 123_456, dt.UTC),
    "raw": b"\x00\xff",
    "in": [[{"d": dt.timedelta(seconds=1.5)}]],
}


class Mixture(BaseModel):
    at: dt.datetime
    raw: bytes
    nested: list[list[dict[str, dt.timedelta]]] = Field(alias="in")


endpoint = RpcEndpoint("types")


def register(name: str, declared: Any) -> None:
    """Registers the two handlers that declare a type."""

    def give_back(value):
        return value

    give_back.__annotations__ = {"value": declared, "return": declared}
    held = Holder[declared]

    def give_back_held(held):
        return held

    give_back_held.__annotations__ = {"held": held, "return": held}
    endpoint.register(name)(give_back)
    endpoint.register(f"{name}_held")(give_back_held)


for name, declared in TYPES.items():
    register(name, declared)


@endpoint.register
def echo(value):
    return value


@endpoint.register
def mixture() -> Any:
    return MIXTURE


@endpoint.register
def is_mixture(value: Mixture) -> bool:
    return value.model_dump(by_alias=True) == MIXTURE


@endpoint.register
def power(exponent: int) -> int:
    return 2**exponent


endpoint.serve()
