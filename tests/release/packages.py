"""What the wheels and the source distribution of `target/wheels` hold.

`make check-wheels` and `make check-sdist` run this, after `make wheels` and `make sdist`; no other recipe does.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from io import BytesIO
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from packaging.utils import parse_wheel_filename

from release.version import of_manifest
from tests.conftest import ROOT, wait_until

BUILT = ROOT / "target" / "wheels"
WHEELS = sorted(BUILT.glob("*.whl"))
SOURCES = sorted(BUILT.glob("*.tar.gz"))
VERSION = of_manifest((ROOT / "Cargo.toml").read_text())
#: The newest symbols of glibc that `manylinux_2_28` has.
GLIBC = (2, 28)
#: A build of the profile `release`, or one with its symbols, is larger.
MOST_BYTES = 8 << 20


@pytest.fixture(params=WHEELS, ids=lambda path: path.name)
def wheel(request):
    with zipfile.ZipFile(request.param) as opened:
        yield opened


@pytest.fixture
def extension(wheel):
    [name] = [name for name in wheel.namelist() if name.endswith(".so")]
    assert re.fullmatch(r"pycrust/_native\.cpython-\d+t?-\w+-linux-gnu\.so", name)
    return wheel.read(name)


@pytest.fixture
def metadata(wheel):
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_there_are_wheels_of_this_version_only():
    assert WHEELS, "make wheels builds them"
    for path in WHEELS:
        name, version, _, tags = parse_wheel_filename(path.name)
        assert (name, str(version)) == ("pycrust", VERSION)
        assert all(tag.platform.startswith("manylinux_2_28_") for tag in tags)


def test_the_extension_is_the_profile_dist(extension):
    """By what that profile does: one unit linked with everything, without symbols, small."""
    file = ELFFile(BytesIO(extension))
    names = {section.name for section in file.iter_sections()}
    assert ".dynsym" in names
    assert ".symtab" not in names
    assert not [name for name in names if name.startswith(".debug")]
    assert len(extension) < MOST_BYTES
    exported = [symbol.name for symbol in file.get_section_by_name(".dynsym").iter_symbols()]
    assert "PyInit__native" in exported


def test_no_fault_point_is_in_it(extension):
    assert b"PYCRUST_FAULT" not in extension


def test_nothing_tells_where_it_was_built(wheel):
    for name in wheel.namelist():
        for place in (str(Path.home()), str(ROOT)):
            found = re.findall(re.escape(place.encode()) + rb"[/\x20-\x7e]{0,80}", wheel.read(name))
            assert not found, (name, found[:5])


def test_it_asks_for_no_newer_glibc(extension):
    needed = re.findall(rb"GLIBC_(\d+)\.(\d+)\b", extension)
    assert needed
    assert max((int(major), int(minor)) for major, minor in needed) <= GLIBC


def test_what_is_in_it(wheel):
    names = set(wheel.namelist())
    assert {
        "pycrust/__init__.py", "pycrust/py.typed", "pycrust/_native.pyi", "pycrust_pytest.py",
        "pycrust/jupyter/view/dist/live.js", "pycrust/jupyter/view/loader.js",
    } <= names  # fmt: skip
    allowed = re.compile(
        r"pycrust/[\w/]+\.py|pycrust/(?:py\.typed|_native\.pyi|_native\.[\w-]+\.so)|pycrust_pytest\.py"
        r"|pycrust/jupyter/view/(?:dist/live|loader)\.js|pycrust-[\w.]+\.dist-info/.*"
    )
    assert sorted(name for name in names if not allowed.fullmatch(name)) == []
    licences = {name.split("/licenses/")[1] for name in names if "/licenses/" in name}
    assert {"LICENSE", "licenses/third-party.txt"} <= licences


def test_it_says_what_it_is(metadata):
    assert metadata["Name"] == "pycrust"
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "PyCrust developers" in metadata["Author"]
    assert metadata["Keywords"]
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    urls = dict(entry.split(", ") for entry in metadata.get_all("Project-URL"))
    assert {"Homepage", "Documentation", "Repository", "Changelog", "Issues"} <= set(urls)
    assert all(url.startswith("https://github.com/pycrust/pycrust") for url in urls.values())
    said = set(metadata.get_all("Classifier"))
    assert {"Typing :: Typed", "Framework :: Jupyter", "Operating System :: POSIX :: Linux"} <= said
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)} <= said


def test_a_wheel_comes_of_the_source_distribution(tmp_path):
    """As pip builds it; and it takes the profile `dist`, whatever maturin's own default is."""
    assert SOURCES, "make sdist builds it"
    [source] = [path for path in SOURCES if VERSION in path.name]
    with tarfile.open(source) as opened:
        names = {name.split("/", 1)[1] for name in opened.getnames()}
    assert {"pyproject.toml", "Cargo.toml", "Cargo.lock", "LICENSE", "licenses/third-party.txt"} <= names
    assert "pycrust/jupyter/view/src/live.js" in names
    assert not [name for name in names if "node_modules" in name or name.startswith("target/")]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--verbose", "--wheel-dir", tmp_path, source],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "Finished `dist` profile" in done.stdout + done.stderr
    [made] = tmp_path.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path / "installed", made], check=True
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", "import pycrust; print(pycrust.__file__, pycrust.__version__)"],
        env={"PYTHONPATH": str(tmp_path / "installed")}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == [str(tmp_path / "installed/pycrust/__init__.py"), VERSION]


def test_it_installs_with_nothing_else_there_and_the_first_programs_run(start, rust, tmp_path, runtime_dir):
    """An empty home, no compiler on the path: pip takes the wheel and what it depends on as they are."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    fitting = [path for path in WHEELS if f"-{tag}-" in path.name and path.stem.endswith(platform.machine())]
    if not fitting and WHEELS:
        pytest.skip("these wheels are another platform's")
    [wheel] = fitting
    # How pip gets out of here is the machine's; all else is empty.
    way = {name: value for name, value in os.environ.items() if re.match(r"(?i)pip_|ssl_|\w*_proxy$", name)}
    empty = {**way, "HOME": str(tmp_path), "PATH": "", "PYCRUST_RUNTIME_DIR": str(runtime_dir)}
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    subprocess.run(
        [fresh / "bin/pip", "install", "--only-binary", ":all:", wheel], env=empty, cwd=tmp_path, check=True
    )
    server = start(fresh / "bin/python", ROOT / "tests/interop/contract_calculator.py", env=empty, cwd=tmp_path)
    wait_until(lambda: list(runtime_dir.glob("*.sock")), "the server")
    assert Path(f"/proc/{server.pid}/maps").read_text().count(str(fresh / "lib"))
    rust("contract").finish()
    listed = subprocess.run(
        [fresh / "bin/pycrust", "ls"], env=empty, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert listed.stdout.splitlines()[1].split()[0] == "calculator"
    server.send(signal.SIGINT)
    server.finish()
