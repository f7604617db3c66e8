"""Handlers of every kind and type, for the typed Python client that `pycrust stub` makes."""

import datetime as dt
import decimal
import enum
import ipaddress
import pathlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import numpy as np
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from pycrust import DType, RpcEndpoint, Shape, Timestamp


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Pose(BaseModel):
    r"""A pose.

    With "quotes" and a \ backslash, \"\"\" and more "quotes"
    """

    x: float
    y: float = Field(description="Metres.")
    label: str | None = None
    color: Color = Color.RED
    uuid: UUID | None = None
    inside: int = Field(1, alias="in")
    copies: int = Field(1, alias="copy")
    tags: list[str] = Field(default_factory=lambda: ["usual"])


class Node(BaseModel):
    value: int
    children: list["Node"] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool = True


class Span(TypedDict):
    begin: dt.datetime
    end: dt.timedelta


@dataclass
class Size:
    width: int
    height: int = 2


class Point(NamedTuple):
    x: int
    y: str = "a"


ORIGIN = Point(1)


class Everything(BaseModel):
    id: UUID
    at: dt.datetime
    fine: Timestamp
    date: dt.date
    time: dt.time
    set: set[int]
    raw: bytes
    amount: decimal.Decimal
    path: pathlib.Path
    ip: ipaddress.IPv4Address
    pair: tuple[int, str]
    many: tuple[int, ...]
    keyed: dict[int, UUID]
    level: Level
    colors: dict[Color, int]
    mode: Literal["a", "b", 3] | None
    maybe: dt.timedelta | None
    any: Any


endpoint = RpcEndpoint("robot-arm")


@endpoint.register
def add(a: int, b: int = 1, *, scale: float = 1.0) -> float:
    """Adds two numbers."""
    return (a + b) * scale


@endpoint.register
def move(pose: Pose, to: Pose | None = None) -> Pose:
    return to or pose


@endpoint.register(request_model=Pose)
def by_model(**pose: Any) -> list[str]:
    return sorted(pose)


@endpoint.register
def positional(a: int, b: str = "x", /) -> str:
    return f"{a}{b}"


@endpoint.register
def rest(*values: int) -> int:
    return sum(values)


@endpoint.register
def more(first: int, **others: float) -> dict[str, float]:
    return {"first": first, **others}


@endpoint.register
def anything(*args, **kwargs):
    return [list(args), kwargs]


@endpoint.register
def count(to: int) -> Iterator[dt.date]:
    for day in range(to):
        yield dt.date(2026, 1, 1 + day)


@endpoint.register
def total(items: Iterator[decimal.Decimal]) -> decimal.Decimal:
    return sum(items, decimal.Decimal())


@endpoint.register
async def echo(items: AsyncIterator[Pose]) -> AsyncIterator[Pose]:
    async for one in items:
        yield one


@endpoint.register
def tree(node: Node) -> Node:
    return Node(value=0, children=[node])


@endpoint.register
def pet(animal: Annotated[Cat | Dog, Field(discriminator="kind")]) -> list[Cat | Dog]:
    return [animal]


@endpoint.register
def span(span: Span, size: Size, at: Point = ORIGIN) -> tuple[Span, Size, Point]:
    return span, size, at


@endpoint.register
def everything(value: Everything) -> Everything:
    return value


@endpoint.register
def ids(n: int) -> dict[UUID, tuple[dt.datetime, dt.timedelta | None]]:
    return {UUID(int=at): (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.timedelta(seconds=at)) for at in range(n)}


@endpoint.register
def image(image: Annotated[np.ndarray, DType("uint8"), Shape(None, None)]) -> np.ndarray:
    return image.astype("float32")


@endpoint.register("list")
def listing() -> list[Level]:
    return [Level.LOW, Level.HIGH]


@endpoint.register("arm.home")
def home() -> None:
    """Goes \"\"\"home\"\"\"."""


@endpoint.register("close")
def shut(timeout: float, class_: str = "a") -> set[str]:
    return {class_, str(timeout)}


endpoint.serve()
