"""Clients made from the running worker: they compile, every kind of type comes back, and changes are told."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pycrust._extension import rust_module
from tests.conftest import ROOT, Program

TYPED = (ROOT / "tests" / "interop" / "typed_worker.py").read_text(encoding="utf-8")
TYPES = (ROOT / "tests" / "interop" / "type_worker.py").read_text(encoding="utf-8")
COMMITTED = ROOT / "tests" / "programs" / "src" / "cases" / "typed"
PYCRUST = Path(sys.executable).with_name("pycrust")

#: Of each handler of the table of types, the Rust type that it takes and gives.
RUST_TYPES = {
    "bool": "bool",
    "int": "i64",
    "float": "f64",
    "str": "impl Into<String>",
    "bytes": "ByteBuf",
    "optional": "Option<i64>",
    "none": "()",
    "ints": "Vec<i64>",
    "pair": "(i64, String)",
    "set": "HashSet<i64>",
    "by_name": "HashMap<String, f64>",
    "by_number": "HashMap<i64, String>",
    "by_id": "HashMap<Uuid, i64>",
    "pose": "Pose",
    "uuid": "Uuid",
    "ip": "IpAddr",
    "decimal": "Decimal",
    "path": "PathBuf",
    "anything": "impl Into<Raw>",
    "timedelta": "Duration",
    "datetime": "Timestamp",
    "timestamp": "Timestamp",
    "naive": "NaiveDateTime",
    "date": "NaiveDate",
    "time": "NaiveTime",
}

#: Its enums, in the four forms of serde's.
ENUMS = {
    "external": """pub enum ExternalValue {
    /// `"Market"`
    Market,
    /// `"Limit"`
    Limit(f64),
    /// `"Range"`
    Range((f64, f64)),
    /// `"Stop"`
    Stop(StopFields),
}""",
    "internal": """#[serde(tag = "kind")]
pub enum InternalValue {
    /// `"Market"`
    Market,
    /// `"Stop"`
    Stop(StopKind),
}""",
    "adjacent": """#[serde(tag = "t", content = "c")]
pub enum AdjacentValue {
    /// `"Market"`
    Market,
    /// `"Limit"`
    Limit(f64),
    /// `"Stop"`
    Stop(StopAt),
}""",
    "untagged": """#[serde(untagged)]
pub enum UntaggedValue {
    /// `i64`
    Integer(i64),
    /// `String`
    Text(String),
    /// `Pose`
    Pose(Pose),
}""",
}


def pycrust(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pycrust", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
    )


def locked(endpoint: str, path: Path) -> Path:
    """The lock file of a running endpoint."""
    done = pycrust("types", endpoint, "--lock", path)
    assert done.returncode == 0, done.stderr
    return path


def test_what_is_committed_is_what_the_worker_says_and_every_kind_of_type_comes_back(worker, rust):
    worker(TYPED)
    checked = pycrust("types", "typed", "--lock", "typed.schema.json", "-o", "typed.rs", "--check", cwd=COMMITTED)
    assert checked.returncode == 0, (
        f"{checked.stdout}{checked.stderr}\nserve tests/interop/typed_worker.py and run, in {COMMITTED}: "
        "pycrust types typed --lock typed.schema.json -o typed.rs"
    )
    for seed in (1, 2):
        said = rust("typed", "--endpoint", "typed", "--values", 150, "--seed", seed).finish()
        assert said == "Map: 150 values came back\nArray: 150 values came back\n"


def test_each_row_of_the_table_of_types_has_its_rust_type(worker, tmp_path):
    worker(TYPES)
    module = rust_module(locked("types", tmp_path / "types.json").read_text(encoding="utf-8"))
    calls = dict(
        re.findall(r"pub async fn (\w+)\(\s*&self,\s*value: (.+?),?\s*\) -> Result<(?:.+), Error> \{", module)
    )
    results = dict(re.findall(r"pub async fn (\w+)\([^{]*?\) -> Result<(.+), Error> \{", module))
    assert {name: calls[name] for name in RUST_TYPES} == RUST_TYPES
    for name, taken in RUST_TYPES.items():
        assert results[name] == taken.removeprefix("impl Into<").removesuffix(">" * taken.startswith("impl")), name
    for name, text in ENUMS.items():
        assert text in module, f"{name} in\n{module}"
        assert calls[name] == results[name] == f"{name.title()}Value"


def test_modules_are_as_rustfmt_has_them(worker, tmp_path):
    for endpoint, source in (("typed", TYPED), ("types", TYPES)):
        worker(source)
        path = tmp_path / f"{endpoint}.rs"
        path.write_text(rust_module(locked(endpoint, tmp_path / endpoint).read_text("utf-8")), encoding="utf-8")
        done = subprocess.run(
            ["rustfmt", "--edition", "2024", "--check", path],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout


# What the compiler says ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiler() -> Callable[..., list[str]]:
    """Compiles a program that uses the client, against what the examples were built with; gives the errors."""
    features = ",".join(f"pycrust-client/{name}" for name in ("fault-points", "testing", "chrono", "time"))
    command = ["cargo", "build", "--release", "--offline", "--quiet", "--message-format=json", "--workspace"]
    command += ["--exclude", "pycrust-native", "--features", features, "--example", "calculator"]
    built = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    libraries = {}
    for line in built.stdout.splitlines():
        made = json.loads(line)
        # What build scripts and macros need was built for them, too, and not optimised.
        if made["reason"] == "compiler-artifact" and made["profile"]["opt_level"] == "3":
            for file in made["filenames"]:
                if file.endswith(".rmeta") or (file.endswith(".so") and "proc-macro" in made["target"]["kind"]):
                    libraries[made["target"]["name"].replace("-", "_")] = file
    dependencies = Path(libraries["pycrust_client"]).parent

    def compile_(directory: Path, source: str, **environment: str) -> list[str]:
        program = directory / "main.rs"
        program.write_text(source, encoding="utf-8")
        externs = [f"--extern={name}={libraries[name]}" for name in ("pycrust_client", "serde", "tokio")]
        done = subprocess.run(
            [
                "rustc", "--edition=2024", "--crate-type=bin", "--emit=metadata", "--error-format=json",
                f"-Ldependency={dependencies}", *externs, "-o", directory / "main", program,
            ],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "CARGO_MANIFEST_DIR": str(directory), "PYCRUST": str(PYCRUST), **environment},
        )  # fmt: skip
        messages = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        errors = [one["message"] for one in messages if one["level"] == "error"]
        return [error for error in errors if not error.startswith("aborting due to")]

    return compile_


PROGRAM = """\
pycrust_client::service!("calculator");

#[tokio::main]
async fn main() -> Result<(), pycrust_client::Error> {
    let client = calculator::CalculatorClient::connect().await?;
    let sum: i64 = client.add(10, 20).await?;
    let placed: i64 = client.place(calculator::Order { symbol: "BUND".into(), size: sum }).await?;
    println!("{placed}");
    Ok(())
}
"""

FIRST = """\
from pydantic import BaseModel
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("calculator")

class Order(BaseModel):
    symbol: str
    size: int

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

@endpoint.register
def place(order: Order) -> int:
    return order.size
"""

ORDER = "class Order(BaseModel):\n    symbol: str\n    size: int\n"
PLACE = "@endpoint.register\ndef place(order: Order) -> int:\n    return 1\n"

#: What a cell does next, and what the compiler then says of it.
BREAKING = {
    "an argument renamed": (
        "@endpoint.register\ndef add(a: int, c: int) -> int:\n    return a + c\n",
        "add (version 1 → 2): request.b: removed (was integer, required); request.c: added (integer, required)",
    ),
    "an argument removed": (
        "@endpoint.register\ndef add(a: int) -> int:\n    return a\n",
        "add (version 1 → 2): request.b: removed (was integer, required)",
    ),
    "an argument of another type": (
        "@endpoint.register\ndef add(a: int, b: str) -> int:\n    return a\n",
        "add (version 1 → 2): request.b: integer → string",
    ),
    "a result of another type": (
        "@endpoint.register\ndef add(a: int, b: int) -> str:\n    return ''\n",
        "add (version 1 → 2): response: integer → string",
    ),
    "a field renamed": (
        ORDER.replace("size", "quantity") + PLACE,
        "place (version 1 → 2): request.order.size: removed (was integer, required); "
        "request.order.quantity: added (integer, required)",
    ),
    "a field removed": (
        ORDER.replace("    size: int\n", "") + PLACE,
        "place (version 1 → 2): request.order.size: removed (was integer, required)",
    ),
    "a field of another type": (
        ORDER.replace("size: int", "size: str") + PLACE,
        "place (version 1 → 2): request.order.size: integer → string",
    ),
    "a method removed": ("endpoint['place'].remove()\n", "place (version 1): is not there any more"),
    "a method renamed": (
        "endpoint['place'].remove()\nendpoint.register('order')(place)\n",
        "place (version 1): is not there any more",
    ),
    "a method of another kind": (
        "from collections.abc import Iterator\n"
        "@endpoint.register\ndef add(a: int, b: int) -> Iterator[int]:\n    yield a\n",
        "add (version 1 → 2): kind: call → stream",
    ),
}

COMPATIBLE = {
    "nothing": "",
    "an argument with a default": (
        "@endpoint.register\ndef add(a: int, b: int, c: int = 0) -> int:\n    return a + b + c\n"
    ),
    "another method": "@endpoint.register\ndef more() -> int:\n    return 1\n",
    "a wider argument": "@endpoint.register\ndef add(a: int, b: float) -> int:\n    return a\n",
    "another documentation": (
        '@endpoint.register\ndef add(a: int, b: int) -> int:\n    """Adds."""\n    return a + b\n'
    ),
}


def ended(program: Program) -> None:
    program.send(signal.SIGTERM)
    program.process.wait()


@pytest.fixture
def crate(worker, tmp_path) -> Path:
    """A crate with the lock file of the first worker, which has ended."""
    directory = tmp_path / "crate"
    directory.mkdir()
    serving = worker(f"{FIRST}\nendpoint.serve()")
    locked("calculator", directory / "calculator.schema.json")
    ended(serving)
    return directory


@pytest.mark.parametrize("change", BREAKING)
def test_a_handler_that_has_changed_is_one_error_that_names_it(worker, compiler, crate, change):
    cell, said = BREAKING[change]
    worker(f"{FIRST}\n{cell}\nendpoint.serve()")
    (error,) = compiler(crate, PROGRAM, PYCRUST_LIVE="1")
    lock = crate / "calculator.schema.json"
    assert said in error.splitlines()[1], error
    assert error.splitlines()[0] == f'"calculator" has changed since {lock} was written:'
    assert error.splitlines()[-1] == f"take it over with `pycrust types calculator --lock {lock}`"
    assert compiler(crate, PROGRAM) == [], "without the worker nothing is known of it"
    # The advice works: then it is the program that does not fit, if it does not.
    locked("calculator", lock)
    assert all("has changed since" not in error for error in compiler(crate, PROGRAM, PYCRUST_LIVE="1"))


@pytest.mark.parametrize("change", COMPATIBLE)
def test_a_handler_that_may_grow_is_none(worker, compiler, crate, change):
    worker(f"{FIRST}\n{COMPATIBLE[change]}\nendpoint.serve()")
    assert compiler(crate, PROGRAM, PYCRUST_LIVE="1") == []


def test_the_program_itself_is_checked(compiler, crate):
    (error,) = compiler(crate, PROGRAM.replace("client.add(10, 20)", 'client.add(10, "20")'))
    assert error == "mismatched types"
    (error,) = compiler(crate, PROGRAM.replace("client.add(10, 20)", "client.subtract(10, 20)"))
    assert error.startswith("no method named `subtract` found")


def test_without_worker_and_lock_file_the_error_has_the_command(compiler, tmp_path):
    lock = tmp_path / "calculator.schema.json"
    first, *_ = compiler(tmp_path, PROGRAM)
    assert f"there is no {lock}. Serve it and run `pycrust types calculator --lock {lock}`" in first
    assert "set PYCRUST_LIVE=1" in first
    first, *_ = compiler(tmp_path, PROGRAM, PYCRUST_LIVE="1")
    assert first.startswith(
        'PYCRUST_LIVE is set, and the worker of "calculator" did not answer: pycrust types: no worker'
    )
    first, *_ = compiler(tmp_path, PROGRAM, PYCRUST_LIVE="1", PYCRUST="/nowhere/pycrust")
    assert "/nowhere/pycrust can't be run" in first
    lock.write_text('{"format": 7, "endpoint": "calculator", "methods": {}}', encoding="utf-8")
    first, *_ = compiler(tmp_path, PROGRAM)
    assert f"{lock} has format 7, this version reads 1" in first


def test_without_lock_file_the_running_worker_is_enough(worker, compiler, tmp_path):
    worker(f"{FIRST}\nendpoint.serve()")
    assert compiler(tmp_path, PROGRAM, PYCRUST_LIVE="1") == []


def test_where_the_lock_file_is_and_what_the_module_is_called_can_be_said(compiler, crate):
    shutil.move(crate / "calculator.schema.json", crate / "sums.json")
    program = PROGRAM.replace('"calculator")', '"calculator", lock = "sums.json", module = sums)', 1)
    assert compiler(crate, program.replace("calculator::", "sums::")) == []
    (error, *_) = compiler(crate, program.replace("module =", "name ="))
    assert error == 'the options are lock = "FILE" and module = NAME'
    (error, *_) = compiler(crate, program.replace('service!("calculator"', 'service!("other"'))
    assert error == f'{crate / "sums.json"} is that of "calculator"'


# What a made client does ---------------------------------------------------------------------------------------

CALCULATOR = """\
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("calculator")

@endpoint.register
def ping() -> str:
    return "pong"

{add}
endpoint.serve()
"""


@pytest.mark.parametrize(
    "add",
    [
        "@endpoint.register\ndef add(a: int, b: int) -> int:\n    return a + b\n",
        "@endpoint.register\ndef add(a: int, b: int, c: int = 0) -> int:\n    return a + b + c\n",
        "@endpoint.register\ndef add(a: float, b: int | None = None, *, c=None) -> int:\n    return int(a) + b\n",
    ],
    ids=["as it was", "one more", "wider"],
)
def test_a_made_client_goes_on_where_a_schema_has_grown_in_another_life(worker, rust, add):
    """This worker has never heard of the schema that the client was made for."""
    worker(CALCULATOR.format(add=add))
    assert rust("calculator").finish() == "10 + 20 = 30\nping: pong\n"


def test_a_made_client_is_told_what_else_has_changed(worker, rust):
    worker(CALCULATOR.format(add="@endpoint.register\ndef add(a: int, c: int) -> int:\n    return a\n"))
    program = rust("calculator")
    _, said = program.process.communicate()
    assert program.process.returncode == 1
    assert "FAILED_PRECONDITION: add: the caller was built against schema 0x" in said
    assert "request.b: removed (was integer, required), request.c: added (integer, required)" in said
    assert "generate the client again: pycrust types calculator -o FILE" in said
