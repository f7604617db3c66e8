"""The typed Python client against a real worker: what a type checker believes is what a program gets."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
import importlib.util
import os
import subprocess
import sys
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from pydantic import ValidationError

from pycrust import InvalidArgument, RpcClient, Timestamp, Unavailable
from tests.conftest import IMPORTED, ROOT

WORKER = (ROOT / "tests" / "interop" / "stub_worker.py").read_text(encoding="utf-8")
GOLDEN = ROOT / "tests" / "unit" / "stubs" / "robot_arm.py"


@pytest.fixture
def made(monkeypatch) -> Any:
    """The module that is made of `stub_worker`'s schemas, imported anew."""
    spec = importlib.util.spec_from_file_location("robot_arm", GOLDEN)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "robot_arm", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def arm(worker, made):
    worker(WORKER)
    with made.RobotArm() as client:
        yield client


def test_arguments_that_are_left_out_are_not_sent(arm):
    assert [arm.add(1), arm.add(1, 2), arm.add(1, scale=3), arm.add(1, b=2, scale=0.5)] == [2, 3, 6, 1.5]
    assert (arm.positional(1), arm.positional(1, "y")) == ("1x", "1y")
    assert (arm.rest(), arm.rest(1, 2, 3)) == (0, 6)
    assert arm.more(1, second=2.5) == {"first": 1, "second": 2.5}
    assert arm.anything(1, "a") == [[1, "a"], {}]
    assert arm.anything(a=1) == [[], {"a": 1}]
    with pytest.raises(TypeError, match="not both"):
        arm.anything(1, a=2)


def test_models(arm, made):
    sent = made.Pose(x=1, y=2, in_=5)
    got = arm.move(sent)
    assert type(got) is made.Pose
    # What was not set is the worker's to fill in.
    assert got.tags == ["usual"]
    assert (got.in_, got.copy_, got.color) == (5, 1, made.Color.RED)
    assert arm.move(sent, made.Pose(x=0, y=0, color=made.Color.GREEN, uuid=UUID(int=1))).uuid == UUID(int=1)
    assert arm.by_model(1.0, 2.0, copy=3) == ["color", "copies", "inside", "label", "tags", "uuid", "x", "y"]
    tree = arm.tree(made.Node(value=1, children=[made.Node(value=2)]))
    assert tree.children[0].children[0].value == 2
    (pet,) = arm.pet(made.Dog(kind="dog", good=False))
    assert (type(pet), pet.good) == (made.Dog, False)
    begin = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    span, size, point = arm.span(made.Span(begin=begin, end=dt.timedelta(hours=1)), made.Size(width=3))
    assert (span.begin, span.end, size.height, point) == (begin, dt.timedelta(hours=1), 2, (1, "a"))


def test_every_type_comes_back_as_itself(arm, made):
    value = made.Everything(
        id=UUID(int=7),
        at=dt.datetime(2026, 3, 1, 12, 30, 15, 123_456, dt.UTC),
        fine=Timestamp(1_772_368_215, 123_456_789),
        date=dt.date(2026, 3, 1),
        time=dt.time(12, 30),
        set_={1, 2},
        raw=b"\x00\xff",
        amount=Decimal("1.50"),
        path=Path("/tmp/a"),
        ip=IPv4Address("127.0.0.1"),
        pair=(1, "a"),
        many=[1, 2],
        keyed={3: UUID(int=3)},
        level=made.Level.HIGH,
        colors={made.Color.GREEN: 1},
        mode=3,
        maybe=dt.timedelta(seconds=1.5),
        any={"a": [1, None]},
    )
    assert arm.everything(value) == value
    assert arm.ids(2) == {
        UUID(int=0): (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.timedelta()),
        UUID(int=1): (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.timedelta(seconds=1)),
    }
    assert arm.list() == [made.Level.LOW, made.Level.HIGH]
    assert arm.close_(1.5, class_="b") == {"b", "1.5"}
    assert arm.arm_home() is None


def test_arrays(arm):
    image = arm.image(np.ones((2, 3), np.uint8))
    assert (image.dtype, image.shape, image.sum()) == (np.float32, (2, 3), 6)
    with pytest.raises(InvalidArgument):
        arm.image(np.ones(3))


def test_streams(arm, made):
    days = [dt.date(2026, 1, 1), dt.date(2026, 1, 2)]
    assert list(arm.count(2)) == days
    with arm.count(20) as stream:
        assert next(stream) == days[0]
    assert arm.total(Decimal(number) / 2 for number in range(4)) == Decimal(3)
    poses = [made.Pose(x=number, y=0) for number in range(3)]
    assert [pose.x for pose in arm.echo(poses)] == [0, 1, 2]


def test_awaited(arm, made):
    async def all_of_them() -> list[Any]:
        aio = arm.with_options(timeout=30.0).aio
        async with aio.echo([made.Pose(x=1, y=2)]) as stream:
            poses = [pose async for pose in stream]
        return [
            await aio.add(1, scale=2),
            [day async for day in aio.count(1)],
            await aio.total([Decimal(1), Decimal(2)]),
            [type(pose) for pose in poses],
            await aio.list(),
        ]

    assert asyncio.run(all_of_them()) == [
        4, [dt.date(2026, 1, 1)], Decimal(3), [made.Pose], [made.Level.LOW, made.Level.HIGH],
    ]  # fmt: skip


def test_options_and_connections(arm, made):
    assert repr(arm) == "<RobotArm of robot-arm>"
    quick = arm.with_options(timeout=5.0, metadata={"who": "test"}).with_options(idempotent=True)
    assert quick.add(1) == 2
    quick.close()  # it is the other one's connection
    assert arm.add(1) == 2
    with RpcClient("robot-arm") as plain:
        with made.RobotArm(plain) as shared:
            assert shared.add(1) == 2
        assert plain.call("add", 1) == 2
    with pytest.raises(Unavailable, match="no worker serves"):
        made.RobotArm("elsewhere")


def test_another_type_than_declared_is_an_error(arm, made):
    made._ADD._returns = dt.date
    with pytest.raises(ValidationError, match="add's result"):
        arm.add(1.0)


def test_the_command_makes_a_module_that_runs(worker, tmp_path):
    worker(WORKER)
    file = tmp_path / "robot.py"
    command = [sys.executable, "-m", "pycrust", "stub", "robot-arm", "-o", file]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    program = "from robot import RobotArm\nwith RobotArm() as arm:\n    print(arm.add(1, 2), arm.list())\n"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{IMPORTED}"},
    )  # fmt: skip
    assert done.stdout.startswith("3.0 [")


def test_every_type_of_the_table(worker, tmp_path, monkeypatch):
    """The types that cross, of which `test_types` has the table: the client of all of them runs, formatted."""
    worker((ROOT / "tests" / "interop" / "type_worker.py").read_text(encoding="utf-8"))
    file = tmp_path / "types_client.py"
    command = [sys.executable, "-m", "pycrust", "stub", "types", "-o", file]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([Path(sys.executable).parent / "ruff", "format", "--isolated", "--check", file], check=True)
    monkeypatch.syspath_prepend(tmp_path)
    module: Any = importlib.import_module("types_client")
    with module.Types() as client:
        assert client.by_id({UUID(int=1): 2}) == {UUID(int=1): 2}
        assert client.external("Market") == "Market"
        assert client.external(module.Limit(Limit=1.5)) == module.Limit(Limit=1.5)
        stop = module.StopKind(kind="Stop", trigger=1.0, id=UUID(int=3))
        assert client.internal(stop) == stop
        assert client.untagged(module.Pose(x=1, y=2)) == module.Pose(x=1, y=2, label=None)
        assert client.ip(IPv4Address("127.0.0.1")) == IPv4Address("127.0.0.1")
        held = module.HolderUUID(id=1, value=UUID(int=1), more=[UUID(int=2)])
        assert client.uuid_held(held) == held
