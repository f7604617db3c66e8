"""The typed Python client that is made of a lock file: as it should be, and as type checkers see it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pycrust.schemas.lock import Lock
from pycrust.schemas.stub import python_stub
from tests.conftest import ROOT

STUBS = Path(__file__).parent / "stubs"
GOLDEN = STUBS / "robot_arm.py"
PYRIGHT = Path(sys.executable).parent / "pyright"
RUFF = Path(sys.executable).parent / "ruff"

RIGHT = """
import asyncio
import datetime as dt
from decimal import Decimal
from uuid import UUID

import numpy as np
import numpy.typing as npt
from robot_arm import Cat, Color, Dog, Level, Node, Pose, RobotArm, Size, Span


def blocking() -> list[object]:
    with RobotArm(timeout=5.0, wait=1.0) as arm:
        number: float = arm.add(1, 2, scale=2.0)
        quick: float = arm.with_options(timeout=0.5, idempotent=True).add(1)
        pose: Pose = arm.move(Pose(x=1, y=2, in_=3, color=Color.GREEN))
        label: str | None = pose.label
        days: list[dt.date] = list(arm.count(3))
        amount: Decimal = arm.total([Decimal(1), Decimal("2.5")])
        poses: list[Pose] = list(arm.echo([pose]))
        tree: list[Node] = arm.tree(Node(value=1)).children
        pets: list[Cat | Dog] = arm.pet(Cat(kind="cat", lives=9))
        first: Span = arm.span(Span(begin=dt.datetime.now(dt.UTC), end=dt.timedelta(1)), Size(width=1))[0]
        ids: set[UUID] = set(arm.ids(2))
        image: npt.NDArray[np.float32] = arm.image(np.zeros((2, 2), np.uint8))
        levels: list[Level] = arm.list()
        nothing: None = arm.arm_home()
        names: set[str] = arm.close_(1.0, class_="b")
        more: dict[str, float] = arm.more(1, second=2.0)
        return [
            number, quick, label, days, amount, poses, tree, pets, first, ids, image, levels, nothing, names, more,
            arm.positional(1, "b"), arm.rest(1, 2), arm.anything(1, "2"),
        ]


async def awaited(arm: RobotArm) -> list[object]:
    number: float = await arm.aio.add(1, 2)
    days: list[dt.date] = [day async for day in arm.aio.count(3)]
    amount: Decimal = await arm.with_options(timeout=1.0).aio.total([Decimal(1)])
    async with arm.aio.echo([Pose(x=1, y=2)]) as poses:
        async for pose in poses:
            return [number, days, amount, pose.x]
    return []


asyncio.run(awaited(RobotArm(lazy=True)))
"""

#: Lines that are each wrong in one way, and what a type checker says of it.
WRONG = {
    'arm.add("1")': 'parameter "a" of type "int"',
    "arm.add()": 'missing for parameter "a"',
    "arm.add(1, c=2)": 'No parameter named "c"',
    "text: str = arm.add(1)": '"float" is not assignable to',
    "arm.move(3)": 'parameter "pose" of type "Pose"',
    "Pose(x=1)": 'missing for parameter "y"',
    'Pose(x=1, y=2, color="red")': 'parameter "color" of type "Color"',
    'Cat(kind="dog", lives=1)': 'parameter "kind" of type "Literal[\'cat\']"',
    "arm.subtract(1)": 'attribute "subtract"',
    'arm.total([b"x"])': "Iterable[Decimal]",
    "arm.positional(a=1)": "1 more positional argument",
    'arm.rest("a")': 'parameter "args" of type "int"',
    'arm.more(1, second="a")': 'parameter "second" of type "float"',
    "arm.with_options(timout=1.0)": 'No parameter named "timout"',
    "arm.count(1) + [1]": 'Operator "+"',
    "number: int = arm.aio.add(1)": '"int"',
    "arm.pet(Node(value=1))": 'parameter "animal" of type "Cat | Dog"',
}


def lock() -> Lock:
    return Lock.read(STUBS / "robot-arm.schema.json")


def one_method(
    request: object, response: object = None, *, name: str = "f", kind: str = "call", doc: str = ""
) -> str:
    """The client of a single method."""
    entry = {
        "version": 1, "hash": "0x0", "doc": doc, "kind": kind, "request": request, "response": response or {},
    }  # fmt: skip
    return python_stub(Lock("e", {name: entry}))


def signature(source: str, name: str = "f") -> str:
    """A method's parameters and result, as they stand in the source."""
    client = next(one for one in ast.parse(source).body if isinstance(one, ast.ClassDef) and one.name == "E")
    method = next(one for one in client.body if isinstance(one, ast.FunctionDef) and one.name == name)
    return f"({ast.unparse(method.args)}) -> {ast.unparse(method.returns)}".replace("typed.UNSET", "UNSET")


def properties(**schemas: object) -> dict[str, object]:
    return {"type": "object", "properties": schemas, "required": list(schemas)}


def test_it_is_as_it_was():
    """When this changes on purpose, write what is made now into the file."""
    assert python_stub(lock()) == GOLDEN.read_text(encoding="utf-8")


def test_it_is_formatted():
    subprocess.run([RUFF, "format", "--isolated", "--check", GOLDEN], check=True, capture_output=True)


@pytest.fixture(scope="module")
def checked(tmp_path_factory) -> dict[str, list[dict]]:
    """What pyright says in its strict mode, by file."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "robot_arm.py").write_text(python_stub(lock()))
    (folder / "right.py").write_text(RIGHT)
    wrong = "from robot_arm import Cat, Node, Pose, RobotArm\n\narm = RobotArm(lazy=True)\n"
    (folder / "wrong.py").write_text(wrong + "\n".join(WRONG) + "\n")
    settings = {
        "typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "pythonVersion": "3.11",
        "reportUnusedExpression": "none",
    }  # fmt: skip
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [PYRIGHT, "--outputjson", "--pythonpath", sys.executable],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found: dict[str, list[dict]] = {"robot_arm.py": [], "right.py": [], "wrong.py": []}
    answer = json.loads(done.stdout)
    assert answer["summary"]["filesAnalyzed"] == 3
    for one in answer["generalDiagnostics"]:
        found[Path(one["file"]).name].append(one)
    return found


def test_pyright_finds_nothing_in_it_nor_in_a_program_that_uses_it_rightly(checked):
    assert checked["robot_arm.py"] == []
    assert checked["right.py"] == []


@pytest.mark.parametrize("line", WRONG)
def test_pyright_finds_a_mistake(checked, line):
    place = list(WRONG).index(line) + 3
    said = [one["message"] for one in checked["wrong.py"] if one["range"]["start"]["line"] == place]
    assert any(WRONG[line] in one for one in said), said


class TestParameters:
    @pytest.mark.parametrize(
        ("request_schema", "kind", "expected"),
        [
            ({"type": "object", "properties": {}, "additionalProperties": False}, "call", "(self) -> Any"),
            ({}, "call", "(self, *args: Any, **kwargs: Any) -> Any"),
            (properties(a={"type": "integer"}), "call", "(self, a: int) -> Any"),
            (
                {**properties(a={}), "properties": {"b": {"default": 1}, "a": {}}},
                "call",
                "(self, b: Any=UNSET, *, a: Any) -> Any",
            ),
            ({"type": "array", "items": {"type": "integer"}}, "call", "(self, *args: int) -> Any"),
            (
                {"type": "array", "prefixItems": [{"title": "First One"}, {}], "minItems": 1},
                "call",
                "(self, first_one: Any, arg1: Any=UNSET, /) -> Any",
            ),
            (
                {**properties(args={}), "additionalProperties": {"type": "number"}},
                "call",
                "(self, args: Any, **kwargs: float) -> Any",
            ),
            (
                properties(**{"class": {}, "a-b": {}, "self": {}}),
                "call",
                "(self, class_: Any, a_b: Any, self_: Any) -> Any",
            ),
            ({"type": "array", "items": {"type": "integer"}}, "upload", "(self, items: Iterable[int]) -> Any"),
            ({"type": "array"}, "exchange", "(self, items: Iterable[Any]) -> typed.Stream[Any]"),
            (properties(), "stream", "(self) -> typed.Stream[Any]"),
            (
                {"oneOf": [properties(kind={"const": "a"}), properties(kind={"const": "b"})]},
                "call",
                "(self, value: FA | FB, /) -> Any",
            ),
            (
                {"$ref": "#/$defs/A", "$defs": {"A": properties(x={"type": "string"})}},
                "call",
                "(self, x: str) -> Any",
            ),
        ],
    )
    def test_of(self, request_schema, kind, expected):
        assert signature(one_method(request_schema, kind=kind)) == expected


class TestTypes:
    @pytest.mark.parametrize(
        ("schema", "expected"),
        [
            (True, "Any"),
            ({"type": "null"}, "None"),
            ({"type": ["string", "null"]}, "str | None"),
            ({"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}, "int | str | None"),
            ({"anyOf": [{"type": "integer"}, {}]}, "Any"),
            ({"enum": ["a", 1, None]}, "Literal['a', 1] | None"),
            ({"enum": [1.5], "type": "number"}, "float"),
            ({"const": True}, "Literal[True]"),
            ({"anyOf": [{"const": "a"}, {"const": "b"}, {"type": "integer"}]}, "Literal['a', 'b'] | int"),
            ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "set[str]"),
            ({"type": "array", "items": {"type": "object"}, "uniqueItems": True}, "list[dict[str, Any]]"),
            ({"type": "array", "prefixItems": [{"type": "integer"}], "maxItems": 1, "minItems": 1}, "tuple[int]"),
            ({"type": "array", "prefixItems": [], "maxItems": 0}, "tuple[()]"),
            (
                {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
                "tuple[int, *tuple[str, ...]]",
            ),
            ({"type": "object", "additionalProperties": {"type": "integer"}}, "dict[str, int]"),
            (
                {"type": "object", "additionalProperties": {"type": "integer"}, "x-keys": {"type": "integer"}},
                "dict[int, int]",
            ),
            (
                {"type": "object", "additionalProperties": True, "propertyNames": {"format": "uuid"}},
                "dict[UUID, Any]",
            ),
            ({"type": "object", "patternProperties": {"^a": {"type": "integer"}}}, "dict[str, int]"),
            ({"anyOf": [{"type": "number"}, {"type": "string"}], "format": "decimal"}, "Decimal"),
            ({"type": "string", "format": "date-time", "x-timezone": "aware"}, "dt.datetime"),
            ({"type": "string", "format": "date-time", "x-nanoseconds": True}, "Timestamp"),
            ({"type": "string", "format": "duration"}, "dt.timedelta"),
            ({"type": "string", "format": "binary"}, "bytes"),
            ({"type": "string", "format": "ipvanyaddress"}, "IPv4Address | IPv6Address"),
            ({"type": "string", "format": "uri"}, "str"),
            ({"type": "array", "x-array": "numpy", "dtype": "bool"}, "npt.NDArray[np.bool_]"),
            ({"type": "array", "x-array": "numpy", "dtype": "os.system"}, "npt.NDArray[Any]"),
            ({"type": "array", "x-array": "torch", "dtype": "bfloat16"}, "torch.Tensor"),
            ({"allOf": [{"type": "integer"}], "description": "x"}, "int"),
            ({"$ref": "#/$defs/None"}, "Any"),
            (properties(x={"type": "integer"}), "FResult"),
            ({**properties(x={"type": "integer"}), "title": "Pose"}, "Pose"),
            ({**properties(x={"type": "integer"}), "title": "Hol[der]"}, "HolDer"),
            ({**properties(x={"type": "integer"}), "title": "Any"}, "AnyResult"),
        ],
    )
    def test_of(self, schema, expected):
        source = one_method(properties(), schema)
        assert signature(source) == f"(self) -> {expected}"
        compile(source, "stub", "exec")

    def test_schemars_enums(self):
        source = one_method(
            properties(
                order={
                    "oneOf": [
                        {"type": "string", "enum": ["Market"]},
                        {**properties(Limit={"type": "number"}), "additionalProperties": False},
                    ]
                }
            )
        )
        assert signature(source) == "(self, order: Literal['Market'] | FOrderLimit) -> Any"
        assert "class FOrderLimit(typed.Model):\n    Limit: float\n" in source

    def test_one_name_is_one_type(self):
        pose = {**properties(x={"type": "integer"}), "title": "Pose"}
        other = {**properties(x={"type": "string"}), "title": "Pose"}
        optional = {**pose, "required": [], "properties": {"x": {"type": "integer", "default": 3}}}
        defs = {"$defs": {"Pose": optional}}
        source = one_method({**properties(pose={"$ref": "#/$defs/Pose"}), **defs}, pose)
        assert signature(source) == "(self, pose: Pose) -> Pose"
        assert "class Pose(typed.Model):\n    x: int = 3\n" in source
        assert signature(one_method({**properties(pose={"$ref": "#/$defs/Pose"}), **defs}, other)) == (
            "(self, pose: Pose) -> PoseResult"
        )

    def test_aliases_that_refer_to_themselves(self, tmp_path):
        json_type = {
            "anyOf": [
                {"type": "array", "items": {"$ref": "#/$defs/Json"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/Json"}},
                {"type": ["integer", "null"]},
            ]
        }
        source = one_method(properties(), {"$ref": "#/$defs/Json", "$defs": {"Json": json_type}})
        assert 'Json = TypeAliasType("Json", "list[Json] | dict[str, Json] | int | None")' in source


class TestNames:
    @pytest.mark.parametrize(
        ("name", "own"),
        [
            ("arm.home", "arm_home"),
            ("class", "class_"),
            ("close", "close_"),
            ("aio", "aio_"),
            ("with_options", "with_options_"),
            ("_call", "call"),
            ("__init__", "init__"),
            ("3d", "n3d"),
            ("\N{GREEK SMALL LETTER ALPHA}²", "\N{GREEK SMALL LETTER ALPHA}_"),
            ("typed", "typed_"),
            ("list", "list"),
        ],
    )
    def test_of_methods(self, name, own):
        source = one_method(properties(a={"type": "array"}), {"type": "array"}, name=name)
        any_list = "builtins.list[Any]" if own == "list" else "list[Any]"
        assert signature(source, own) == f"(self, a: {any_list}) -> {any_list}"
        assert f"typed.Method({json.dumps(name, ensure_ascii=False)}, list[Any])" in source

    def test_two_methods_with_one_name(self):
        entry = {"version": 1, "hash": "0x0", "doc": "", "kind": "call", "request": properties(), "response": {}}
        source = python_stub(Lock("e", {"a.b": entry, "a_b": entry}))
        assert re.findall(r"    def (a_b\w*)\(", source) == ["a_b", "a_b_2"]

    def test_nothing_that_a_schema_says_is_run(self):
        evil = '"""\nimport os\nos.system("false")\n"""\\'
        request = {**properties(**{evil: {"description": evil, "default": evil}}), "required": []}
        response = {
            "$ref": "#/$defs/A",
            "$defs": {
                "A": {
                    **properties(**{evil: {"description": evil, "enum": [evil]}}),
                    "title": evil,
                    "description": evil,
                }
            },
        }
        source = one_method(request, response, name="a\"b'c", doc=evil)
        tree = ast.parse(source)
        (alias,) = [one for one in tree.body if isinstance(one, ast.Assign)]
        assert ast.unparse(alias.value).startswith("TypeAliasType(")
        kinds = {type(one) for one in tree.body} - {ast.Assign}
        assert kinds <= {ast.Expr, ast.ImportFrom, ast.Import, ast.ClassDef, ast.AnnAssign}
        imported = {name.name for one in ast.walk(tree) if isinstance(one, ast.Import) for name in one.names}
        assert imported <= {"builtins"}


def test_golden_files_belong_together():
    assert json.loads((STUBS / "robot-arm.schema.json").read_text())["endpoint"] == "robot-arm"
    assert (STUBS / "robot-arm.schema.json").read_text() == lock().text()
