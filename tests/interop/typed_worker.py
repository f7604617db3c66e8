"""A worker with every kind of type that Pydantic's documentation has, for the client that is generated from it."""

import datetime as dt
import decimal
import enum
import ipaddress
import pathlib
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, RootModel
from typing_extensions import TypedDict

from pycrust import DType, RpcEndpoint, Shape, Timestamp

endpoint = RpcEndpoint("typed")
T = TypeVar("T")


class Side(enum.Enum):
    """Which way an order goes."""

    BUY = "buy"
    SELL_SHORT = "sell short"


class Level(enum.IntEnum):
    LOW = -1
    HIGH = 2_000_000


class Circle(BaseModel):
    """Round.

    >>> Circle(radius=1)
    """

    kind: Literal["circle"] = "circle"
    radius: float = Field(gt=0, description="In metres.")


class Square(BaseModel):
    kind: Literal["square"]
    side: float = 1.5


class Nothing(BaseModel):
    kind: Literal["nothing"]


Figure = Annotated[Circle | Square | Nothing, Field(discriminator="kind")]


class Late(BaseModel):
    """Told apart by what is not its first field."""

    name: str
    type: Literal["late"]


class Later(BaseModel):
    name: str
    more: int
    type: Literal["later"]


class Limit(BaseModel):
    Limit: float


class StopFields(BaseModel):
    trigger: float
    after: dt.timedelta


class Stop(BaseModel):
    Stop: StopFields


class Marked(BaseModel):
    t: Literal["Marked"]
    c: float


class Unmarked(BaseModel):
    t: Literal["Unmarked"]


class Node(BaseModel):
    value: int
    children: list["Node"] = []
    parent: "Node | None" = None


class Leaf(BaseModel):
    leaf: "Tree | None" = None
    size: int


class Tree(BaseModel):
    left: Leaf | None = None
    right: Leaf | None = None


@dataclass
class Point:
    x: float
    y: float = 0.0


class Options(TypedDict):
    a: int
    b: NotRequired[str]


class Pair(NamedTuple):
    number: int
    text: str


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: str | None = None


class Ids(RootModel[list[int]]):
    """Numbers."""


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: int


class Renamed(BaseModel):
    type: str
    camel_case: int = Field(alias="camelCase")
    dashed: bool = Field(default=False, alias="is-dashed")


class Defaults(BaseModel):
    """Everything has a default."""

    count: int = 3
    ratio: float = 0.25
    large: int = 1_000_000
    name: str = 'none "quoted" of {it}'
    side: Side = Side.BUY
    level: Level = Level.HIGH
    flags: list[bool] = [True, False]
    names: list[str] = ["a", "b"]
    tags: set[str] = Field(default_factory=set)
    at: dt.date = dt.date(2026, 3, 1)
    mode: Literal["fast", "slow"] = "slow"
    near: float | None = 1.5
    table: dict[str, int] = {}


class Everything(BaseModel):
    """One field of each kind."""

    flag: bool
    number: int
    count: int = Field(ge=0)
    small: Annotated[int, Field(ge=0, le=10)]
    real: float
    text: str = Field(min_length=0, max_length=1000)
    raw: bytes
    at: dt.datetime
    aware: AwareDatetime
    naive: NaiveDatetime
    exact: Timestamp
    day: dt.date
    clock: dt.time
    wait: dt.timedelta
    id: uuid.UUID
    price: decimal.Decimal
    v4: ipaddress.IPv4Address
    v6: ipaddress.IPv6Address
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    path: pathlib.Path
    anything: Any
    numbers: list[int]
    unique: set[int]
    words: frozenset[str]
    pair: tuple[int, str]
    many: tuple[float, ...]
    by_name: dict[str, float]
    by_number: dict[int, str]
    by_id: dict[uuid.UUID, Point]
    by_side: dict[Side, int]
    side: Side
    level: Level
    choice: Literal["1m", "5m", "type"]
    mixed: Literal["auto", 1, 2]
    maybe: int | None
    nested: list[list[Point | None]]
    figure: Figure
    figures: list[Figure]
    circle: Circle
    late: Annotated[Late | Later, Field(discriminator="type")]
    external: Literal["Market"] | Limit | Stop
    adjacent: Annotated[Marked | Unmarked, Field(discriminator="t")]
    untagged: int | str | Point
    any_number: int | float
    node: Node
    tree: Tree
    point: Point
    options: Options
    named: Pair
    page: Page[Point]
    ids: Ids
    open: Open
    renamed: Renamed
    defaults: Defaults


@endpoint.register
def everything(value: Everything) -> Everything:
    """Gives back what it takes."""
    return value


@endpoint.register
def all_of(values: list[Everything]) -> list[Everything]:
    return values


@endpoint.register(request_model=Circle)
def area(kind, radius) -> float:
    """The area of a circle, in square metres."""
    return 3.0 * radius * radius


@endpoint.register
def place(symbol: str, side: Side, price: decimal.Decimal, size: int = 1, *, note: str | None = None) -> str:
    """Places an order.

    Args:
        symbol: What is traded.
    """
    return f"{side.value} {size} {symbol} at {price}{'' if note is None else f' ({note})'}"


@endpoint.register
def by_position(a: int, b: str = "b", /) -> str:
    return f"{a}{b}"


@endpoint.register
def total(*numbers: int) -> int:
    return sum(numbers)


@endpoint.register
def keywords(first: int, **others: float) -> dict[str, float]:
    return {"first": first, **others}


@endpoint.register
def untyped(value, scale=2):
    return [value, scale]


@endpoint.register
def nothing() -> None:
    """Does nothing."""


@endpoint.register
def maybe(value: int | None) -> int | None:
    return value


@endpoint.register
def tree(depth: int) -> Node:
    return Node(value=depth, children=[tree(depth - 1)] if depth else [])


@endpoint.register
def figure(kind: Literal["circle", "square"]) -> Figure:
    return Circle(radius=2) if kind == "circle" else Square(kind="square")


@endpoint.register
def points(count: int, step: float = 1.0) -> Iterator[Point]:
    """Points on a line."""
    for number in range(count):
        yield Point(number * step)


@endpoint.register
async def names(count: int) -> AsyncIterator[str]:
    for number in range(count):
        yield f"n{number}"


@endpoint.register
def farthest(items: Iterator[Point]) -> Point:
    return max(items, key=lambda point: point.x)


@endpoint.register
def doubled(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        yield 2 * item


@endpoint.register
def brighter(
    image: Annotated[np.ndarray, Shape(..., 3), DType("uint8")], by: int = 1
) -> Annotated[np.ndarray, DType("uint8")]:
    return image + np.uint8(by)


#: One trade, as a record.
TRADE = np.dtype([("at", "i8"), ("price", "f8"), ("size", "u4"), ("side", "u1")], align=True)


@endpoint.register
def fills(trades: Annotated[np.ndarray, DType(TRADE), Shape(None)]) -> Annotated[np.ndarray, DType(TRADE)]:
    """Half of each trade."""
    filled = trades.copy()
    filled["size"] //= 2
    return filled


@endpoint.register
def sizes(array: np.ndarray) -> list[int]:
    return list(array.shape)


@endpoint.register("type")
def reserved(self_: int, match: int) -> int:
    """Its name and parameters are Rust's words."""
    return self_ + match


endpoint.serve()
