"""A typed client of the endpoint `robot-arm`.

Made by `pycrust stub`: change the handlers and make it again,
rather than changing it here.
"""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import numpy as np
import numpy.typing as npt
from typing_extensions import TypeAliasType

from pycrust import Timestamp
from pycrust.schemas import typed


class Color(Enum):
    RED = "red"
    GREEN = "green"


class Level(Enum):
    LOW = 1
    HIGH = 2


class Pose(typed.Model):
    """A pose.

    With "quotes" and a \\ backslash, \\"\\"\\" and more "quotes"
    """

    x: float
    y: float
    """Metres."""
    label: str | None = None
    color: Color = Color.RED
    uuid: UUID | None = None
    in_: Annotated[int, typed.Field(alias="in")] = 1
    copy_: Annotated[int, typed.Field(alias="copy")] = 1
    tags: list[str] = typed.UNSET


class Everything(typed.Model):
    id: UUID
    at: dt.datetime
    fine: Timestamp
    date: dt.date
    time: dt.time
    set_: Annotated[set[int], typed.Field(alias="set")]
    raw: bytes
    amount: Decimal
    path: Path
    ip: IPv4Address
    pair: tuple[int, str]
    many: list[int]
    keyed: dict[int, UUID]
    level: Level
    colors: dict[Color, int]
    mode: Literal["a", "b", 3] | None
    maybe: dt.timedelta | None
    any: Any


class Cat(typed.Model):
    kind: Literal["cat"]
    lives: int


class Dog(typed.Model):
    kind: Literal["dog"]
    good: bool = True


class Span(typed.Model):
    begin: dt.datetime
    end: dt.timedelta


class Size(typed.Model):
    width: int
    height: int = 2


Point = TypeAliasType("Point", "tuple[int, str]")


class Node(typed.Model):
    value: int
    children: list[Node] = typed.UNSET


IdsResult = TypeAliasType(
    "IdsResult",
    "dict[UUID, tuple[dt.datetime, dt.timedelta | None]]",
)
_ADD: typed.Method[float] = typed.Method("add", float)
_ANYTHING: typed.Method[Any] = typed.Method("anything", Any)
_ARM_HOME: typed.Method[None] = typed.Method("arm.home", None)
_BY_MODEL: typed.Method[list[str]] = typed.Method("by_model", list[str])
_CLOSE: typed.Method[set[str]] = typed.Method("close", set[str])
_COUNT: typed.Method[dt.date] = typed.Method("count", dt.date)
_ECHO: typed.Method[Pose] = typed.Method("echo", Pose)
_EVERYTHING: typed.Method[Everything] = typed.Method("everything", Everything)
_IDS: typed.Method[IdsResult] = typed.Method("ids", IdsResult)
_IMAGE: typed.Method[npt.NDArray[np.float32]] = typed.Method(
    "image",
    npt.NDArray[np.float32],
)
_LIST: typed.Method[list[Level]] = typed.Method("list", list[Level])
_MORE: typed.Method[dict[str, float]] = typed.Method("more", dict[str, float])
_MOVE: typed.Method[Pose] = typed.Method("move", Pose)
_PET: typed.Method[list[Cat | Dog]] = typed.Method("pet", list[Cat | Dog])
_POSITIONAL: typed.Method[str] = typed.Method("positional", str)
_REST: typed.Method[int] = typed.Method("rest", int)
_SPAN: typed.Method[tuple[Span, Size, Point]] = typed.Method(
    "span",
    tuple[Span, Size, Point],
)
_TOTAL: typed.Method[Decimal] = typed.Method("total", Decimal)
_TREE: typed.Method[Node] = typed.Method("tree", Node)


class RobotArm(typed.Client):
    """Calls the handlers of `robot-arm`."""

    _ENDPOINT = "robot-arm"

    @property
    def aio(self) -> AsyncRobotArm:
        """The same methods, to be awaited."""
        return AsyncRobotArm(self)

    def add(self, a: int, b: int = typed.UNSET, scale: float = typed.UNSET) -> float:
        """Adds two numbers.

        Args:
            b: `1` by default.
            scale: `1.0` by default.
        """
        return self._call(_ADD, {"a": a, "b": b, "scale": scale})

    def anything(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(_ANYTHING, typed.either(args, kwargs))

    def arm_home(self) -> None:
        """Goes \"\"\"home\"\"\"."""
        return self._call(_ARM_HOME, {})

    def by_model(
        self,
        x: float,
        y: float,
        label: str | None = typed.UNSET,
        color: Color = typed.UNSET,
        uuid: UUID | None = typed.UNSET,
        in_: int = typed.UNSET,
        copy: int = typed.UNSET,
        tags: builtins.list[str] = typed.UNSET,
    ) -> builtins.list[str]:
        """Calls the handler.

        Args:
            y: Metres.
            label: `None` by default.
            color: `'red'` by default.
            uuid: `None` by default.
            in_: `1` by default.
            copy: `1` by default.
        """
        return self._call(
            _BY_MODEL,
            {
                "x": x,
                "y": y,
                "label": label,
                "color": color,
                "uuid": uuid,
                "in": in_,
                "copy": copy,
                "tags": tags,
            },
        )

    def close_(self, timeout: float, class_: str = typed.UNSET) -> set[str]:
        """Calls the handler.

        Args:
            class_: `'a'` by default.
        """
        return self._call(_CLOSE, {"timeout": timeout, "class_": class_})

    def count(self, to: int) -> typed.Stream[dt.date]:
        return self._stream(_COUNT, {"to": to})

    def echo(self, items: Iterable[Pose]) -> typed.Stream[Pose]:
        return self._exchange(_ECHO, items)

    def everything(self, value: Everything) -> Everything:
        return self._call(_EVERYTHING, {"value": value})

    def ids(self, n: int) -> IdsResult:
        return self._call(_IDS, {"n": n})

    def image(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return self._call(_IMAGE, {"image": image})

    def list(self) -> builtins.list[Level]:
        return self._call(_LIST, {})

    def more(self, first: int, **kwargs: float) -> dict[str, float]:
        return self._call(_MORE, {**kwargs, "first": first})

    def move(self, pose: Pose, to: Pose | None = typed.UNSET) -> Pose:
        """Calls the handler.

        Args:
            to: `None` by default.
        """
        return self._call(_MOVE, {"pose": pose, "to": to})

    def pet(self, animal: Cat | Dog) -> builtins.list[Cat | Dog]:
        return self._call(_PET, {"animal": animal})

    def positional(self, a: int, b: str = typed.UNSET, /) -> str:
        """Calls the handler.

        Args:
            b: `'x'` by default.
        """
        return self._call(_POSITIONAL, [a, b])

    def rest(self, *args: int) -> int:
        return self._call(_REST, [*args])

    def span(
        self,
        span: Span,
        size: Size,
        at: Point = typed.UNSET,
    ) -> tuple[Span, Size, Point]:
        """Calls the handler.

        Args:
            at: `[1, 'a']` by default.
        """
        return self._call(_SPAN, {"span": span, "size": size, "at": at})

    def total(self, items: Iterable[Decimal]) -> Decimal:
        return self._upload(_TOTAL, items)

    def tree(self, node: Node) -> Node:
        return self._call(_TREE, {"node": node})


class AsyncRobotArm(typed.AsyncClient):
    """`RobotArm`, awaited."""

    async def add(
        self,
        a: int,
        b: int = typed.UNSET,
        scale: float = typed.UNSET,
    ) -> float:
        """Adds two numbers.

        Args:
            b: `1` by default.
            scale: `1.0` by default.
        """
        return await self._call(_ADD, {"a": a, "b": b, "scale": scale})

    async def anything(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call(_ANYTHING, typed.either(args, kwargs))

    async def arm_home(self) -> None:
        """Goes \"\"\"home\"\"\"."""
        return await self._call(_ARM_HOME, {})

    async def by_model(
        self,
        x: float,
        y: float,
        label: str | None = typed.UNSET,
        color: Color = typed.UNSET,
        uuid: UUID | None = typed.UNSET,
        in_: int = typed.UNSET,
        copy: int = typed.UNSET,
        tags: builtins.list[str] = typed.UNSET,
    ) -> builtins.list[str]:
        """Calls the handler.

        Args:
            y: Metres.
            label: `None` by default.
            color: `'red'` by default.
            uuid: `None` by default.
            in_: `1` by default.
            copy: `1` by default.
        """
        return await self._call(
            _BY_MODEL,
            {
                "x": x,
                "y": y,
                "label": label,
                "color": color,
                "uuid": uuid,
                "in": in_,
                "copy": copy,
                "tags": tags,
            },
        )

    async def close_(self, timeout: float, class_: str = typed.UNSET) -> set[str]:
        """Calls the handler.

        Args:
            class_: `'a'` by default.
        """
        return await self._call(_CLOSE, {"timeout": timeout, "class_": class_})

    def count(self, to: int) -> typed.AsyncStream[dt.date]:
        return self._stream(_COUNT, {"to": to})

    def echo(self, items: Iterable[Pose]) -> typed.AsyncStream[Pose]:
        return self._exchange(_ECHO, items)

    async def everything(self, value: Everything) -> Everything:
        return await self._call(_EVERYTHING, {"value": value})

    async def ids(self, n: int) -> IdsResult:
        return await self._call(_IDS, {"n": n})

    async def image(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return await self._call(_IMAGE, {"image": image})

    async def list(self) -> builtins.list[Level]:
        return await self._call(_LIST, {})

    async def more(self, first: int, **kwargs: float) -> dict[str, float]:
        return await self._call(_MORE, {**kwargs, "first": first})

    async def move(self, pose: Pose, to: Pose | None = typed.UNSET) -> Pose:
        """Calls the handler.

        Args:
            to: `None` by default.
        """
        return await self._call(_MOVE, {"pose": pose, "to": to})

    async def pet(self, animal: Cat | Dog) -> builtins.list[Cat | Dog]:
        return await self._call(_PET, {"animal": animal})

    async def positional(self, a: int, b: str = typed.UNSET, /) -> str:
        """Calls the handler.

        Args:
            b: `'x'` by default.
        """
        return await self._call(_POSITIONAL, [a, b])

    async def rest(self, *args: int) -> int:
        return await self._call(_REST, [*args])

    async def span(
        self,
        span: Span,
        size: Size,
        at: Point = typed.UNSET,
    ) -> tuple[Span, Size, Point]:
        """Calls the handler.

        Args:
            at: `[1, 'a']` by default.
        """
        return await self._call(_SPAN, {"span": span, "size": size, "at": at})

    async def total(self, items: Iterable[Decimal]) -> Decimal:
        return await self._upload(_TOTAL, items)

    async def tree(self, node: Node) -> Node:
        return await self._call(_TREE, {"node": node})
