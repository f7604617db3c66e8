"""The command line against a real worker: answers, files, exit statuses."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from pycrust.schemas.lock import Lock
from pycrust.schemas.rust import rust_module
from tests.conftest import ROOT
from tests.interop.command_line import answer, run

WORKER = """
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("calculator")

@endpoint.register
def sub(a: int, b: int) -> int:
    return a - b

@endpoint.register
def add({parameters}) -> int:
    "{doc}"
    return a + b

endpoint.serve()
"""


def calculator(parameters: str = "a: int, b: int", doc: str = "Adds.") -> str:
    return WORKER.format(parameters=parameters, doc=doc)


COMMANDS = sorted(
    path.stem for path in (ROOT / "pycrust/cli/commands").glob("*.py") if not path.stem.startswith("_")
)


class TestUsage:
    @pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
    def test_help(self, arguments):
        shown = answer(*arguments)
        assert "exit status: 0 well, 1 a difference or an error, 2 wrong usage, 3 no such endpoint" in " ".join(
            shown.split()
        )
        assert len(arguments) == 1 or f"pycrust {arguments[0]}" in shown.partition("example:\n")[2]

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "Missing command"),
            (["lsd"], "No such command 'lsd'"),
            (["types"], "NAME|LOCKFILE"),
            (["types", "a", "--lok", "x"], "No such option '--lok'"),
            (["types", "a", "--check"], "give it with --lock or -o"),
            (["stub", "a", "--check"], "give it with -o"),
            (["stub", "a", "-o", "a.pyi"], "give -o a.py"),
            (["types", "a b"], "can't be an endpoint's name"),
        ],
    )
    def test_wrong(self, arguments, said):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr

    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_command_answers_in_json(self, command):
        assert "--json" in answer(command, "--help")

    def test_a_command_imports_only_what_it_uses(self):
        source = (
            "import sys; from pycrust.cli.main import main; main(['ls']); "
            "print([name for name in sys.modules if name.startswith('pycrust.cli.commands.')])"
        )
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        assert done.stdout == "['pycrust.cli.commands.ls']\n"

    def test_the_installed_program(self):
        scripts = (ROOT / "pyproject.toml").read_text()
        assert '[project.scripts]\npycrust = "pycrust.__main__:main"' in scripts


class TestNoEndpoint:
    @pytest.mark.parametrize("command", ["types", "stub"])
    def test_nobody_serves_the_name(self, worker, command, runtime_dir):
        worker(calculator())
        done = run(command, "calculater")
        assert (done.returncode, done.stdout) == (3, "")
        assert f'pycrust {command}: no worker serves "calculater"' in done.stderr
        assert str(runtime_dir) in done.stderr
        assert "calculator" in done.stderr.replace("calculater", "")

    @pytest.mark.parametrize("command", ["types", "stub"])
    def test_without_methods(self, worker, command):
        worker("from pycrust import RpcEndpoint\nRpcEndpoint('empty').serve()\n")
        done = run(command, "empty")
        assert (done.returncode, done.stdout) == (1, "")
        assert "empty has no methods: register one" in done.stderr

    @pytest.mark.parametrize("command", ["types", "stub"])
    def test_files_that_are_none(self, command, tmp_path):
        done = run(command, tmp_path / "none.json")
        assert (done.returncode, "none.json can't be read: No such file" in done.stderr) == (1, True)
        (tmp_path / "main.rs").write_text("fn main() {}")
        done = run(command, tmp_path / "main.rs")
        assert (done.returncode, "main.rs is no lock file: it is no JSON" in done.stderr) == (1, True)


class TestTypes:
    def test_to_standard_output(self, worker):
        worker(calculator())
        assert answer("types", "calculator") == rust_module(Lock.of_running("calculator"))
        told = json.loads(answer("types", "calculator", "--json"))
        assert (told["endpoint"], told["methods"]) == ("calculator", ["add", "sub"])
        assert told["source"] == rust_module(Lock.of_running("calculator"))

    def test_files_are_written_if_they_differ(self, worker, tmp_path):
        worker(calculator())
        lock, module = tmp_path / "calculator.schema.json", tmp_path / "calculator.rs"
        done = run("types", "calculator", "--lock", lock, "-o", module)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"{lock}: written\n{module}: written\n"
        assert lock.read_text() == Lock.of_running("calculator").text()
        assert module.read_text() == rust_module(Lock.read(lock))
        before = [file.stat().st_mtime_ns for file in (lock, module)]
        told = json.loads(answer("types", "calculator", "--lock", lock, "-o", module, "--json"))
        assert (told["written"], told["unchanged"]) == ([], [str(lock), str(module)])
        assert [file.stat().st_mtime_ns for file in (lock, module)] == before
        assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []

    def test_the_lock_alone_prints_no_module(self, worker, tmp_path):
        worker(calculator())
        lock = tmp_path / "calculator.schema.json"
        assert answer("types", "calculator", "--lock", lock) == ""
        assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["calculator.schema.json"]

    def test_of_a_lock_file_without_a_worker(self, worker, tmp_path):
        program = worker(calculator())
        lock = tmp_path / "calculator.schema.json"
        answer("types", "calculator", "--lock", lock)
        expected = answer("types", "calculator")
        program.process.communicate()
        assert answer("types", lock) == expected
        assert answer("types", lock, "-o", tmp_path / "calculator.rs") == ""
        assert (tmp_path / "calculator.rs").read_text() == expected

    def test_where_it_cannot_be_written(self, worker, tmp_path):
        worker(calculator())
        done = run("types", "calculator", "-o", tmp_path / "none" / "calculator.rs")
        assert done.returncode == 1
        assert "none/calculator.rs can't be written: No such file" in done.stderr


class TestCheck:
    def test_up_to_date(self, worker, tmp_path):
        worker(calculator())
        files = ["--lock", tmp_path / "c.json", "-o", tmp_path / "c.rs"]
        answer("types", "calculator", *files)
        done = run("types", "calculator", *files, "--check")
        assert (done.returncode, done.stdout) == (0, "")

    def test_after_a_restart(self, worker, tmp_path):
        lock = tmp_path / "c.json"
        program = worker(calculator() + "endpoint.register('sub')(lambda a, b: 0)\nendpoint['sub'].rollback(1)\n")
        answer("types", "calculator", "--lock", lock)
        assert json.loads(lock.read_text())["methods"]["sub"]["version"] == 3
        program.process.communicate()
        worker(calculator())
        assert answer("types", "calculator", "--lock", lock, "--check") == ""

    def test_what_differs(self, worker, tmp_path):
        lock, module = tmp_path / "c.json", tmp_path / "c.rs"
        program = worker(calculator())
        answer("types", "calculator", "--lock", lock, "-o", module)
        before = lock.read_text(), module.read_text()
        program.process.communicate()
        worker(calculator("a: int, b: str") + "endpoint.unregister('sub')\nendpoint.register('mul')(lambda a: a)\n")
        lines = answer("types", "calculator", "--lock", lock, "--check", status=1).splitlines()
        assert lines[0] == f"{lock} is not up to date"
        assert "  sub: removed (breaking)" in lines
        assert "  mul: added" in lines
        assert any(line.startswith("  add: request.b: ") for line in lines)
        told = json.loads(
            answer("types", "calculator", "--lock", lock, "-o", module, "--check", "--json", status=1)
        )
        assert told["outdated"] == [str(lock), str(module)]
        assert {one["method"] for one in told["differences"]} == {"add", "mul", "sub"}
        assert (lock.read_text(), module.read_text()) == before
        # The lock file's diff shows what has changed and nothing else.
        answer("types", "calculator", "--lock", lock, "-o", module)
        answer("types", "calculator", "--lock", lock, "-o", module, "--check")

    def test_what_is_not_there(self, worker, tmp_path):
        worker(calculator())
        shown = answer("types", "calculator", "--lock", tmp_path / "c.json", "--check", status=1)
        assert shown == f"{tmp_path / 'c.json'} is not up to date\n"
        assert not (tmp_path / "c.json").exists()

    def test_a_module_of_a_lock_file(self, worker, tmp_path):
        worker(calculator())
        lock, module = tmp_path / "c.json", tmp_path / "c.rs"
        answer("types", "calculator", "--lock", lock, "-o", module)
        answer("types", lock, "-o", module, "--check")
        module.write_text("mod other;\n")
        answer("types", lock, "-o", module, "--check", status=1)

    def test_only_what_has_changed_changes_in_the_file(self, worker, tmp_path):
        lock = tmp_path / "c.json"
        program = worker(calculator())
        answer("types", "calculator", "--lock", lock)
        old = json.loads(lock.read_text())["methods"]
        program.process.communicate()
        worker(
            calculator("a: int, b: str") + "endpoint.register('sub')(lambda a: a)\nendpoint['sub'].rollback(1)\n"
        )
        answer("types", "calculator", "--lock", lock)
        new = json.loads(lock.read_text())["methods"]
        assert new["sub"] == old["sub"]
        assert new["add"] != old["add"]


class TestStub:
    def test_to_standard_output_and_into_a_file(self, worker, tmp_path):
        worker(calculator())
        source = answer("stub", "calculator")
        assert "Calculator" in {one.name for one in ast.parse(source).body if isinstance(one, ast.ClassDef)}
        file = tmp_path / "calculator.py"
        answer("stub", "calculator", "-o", file)
        assert file.read_text() == source
        answer("stub", "calculator", "-o", file, "--check")
        file.write_text("")
        assert answer("stub", "calculator", "-o", file, "--check", status=1) == f"{file} is not up to date\n"

    def test_of_a_lock_file(self, worker, tmp_path):
        program = worker(calculator())
        answer("types", "calculator", "--lock", tmp_path / "c.json")
        source = answer("stub", "calculator")
        program.process.communicate()
        assert answer("stub", tmp_path / "c.json") == source


def test_an_answer_that_nobody_reads(worker):
    worker(calculator())
    command = f"{sys.executable} -m pycrust stub calculator | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('"""A typed client')
