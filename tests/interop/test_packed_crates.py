"""The crates as they are published, in a folder of somebody else's: they compile, and call a worker."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib

import pytest

from tests.conftest import ROOT, wait_until

TARGET = ROOT / "target" / "packed"
PARTS = ("protocol", "schema", "transport", "engine", "macros", "build", "client")
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
PYTHON_PROGRAM = ROOT / "tests" / "interop" / "contract_calculator.py"
RUST_PROGRAM = ROOT / "tests" / "interop" / "contract_client.rs"

#: As `cargo add` writes it, and where the crates are until they are on crates.io.
MANIFEST = """\
[package]
name = "somebody"
edition = "2024"

[dependencies]
anyhow = "1"
pycrust-client = "{version}"
serde = {{ version = "1", features = ["derive"] }}
tokio = {{ version = "1", features = ["macros", "rt-multi-thread"] }}

[workspace]
members = ["crates/*"]

# What the client's tests are built with: all that comes from elsewhere is built once.
[profile.release]
debug = 1

[patch.crates-io]
{patches}
"""


def cargo(*arguments: object, folder) -> None:
    command = ["cargo", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def somebodys_folder(tmp_path_factory):
    """A program of somebody's, and below it the crates as they were packed; both are built."""
    chosen = [word for part in PARTS for word in ("-p", f"pycrust-{part}")]
    # Each is compiled as it was packed below, with the others as they were packed.
    cargo("package", "--no-verify", "--allow-dirty", "--offline", "--target-dir", TARGET, *chosen, folder=ROOT)
    folder = tmp_path_factory.mktemp("somebody")
    patches = []
    for part in PARTS:
        with tarfile.open(TARGET / "package" / f"pycrust-{part}-{VERSION}.crate") as crate:
            crate.extractall(folder / "crates", filter="data")
        patches.append(f'pycrust-{part} = {{ path = "crates/pycrust-{part}-{VERSION}" }}')
    (folder / "Cargo.toml").write_text(MANIFEST.format(version=VERSION, patches="\n".join(patches)))
    (folder / "src").mkdir()
    shutil.copy(RUST_PROGRAM, folder / "src" / "main.rs")
    # The versions that are built here anyway.
    shutil.copy(ROOT / "Cargo.lock", folder)
    # Beside the example that is built of the repository, which other tests start.
    client = folder / "crates" / f"pycrust-client-{VERSION}" / "Cargo.toml"
    client.write_text(client.read_text().replace('name = "calculator"', 'name = "packed_calculator"'))
    cargo(
        "build", "--release", "--offline", "--target-dir", ROOT / "target", "--workspace", "--lib",
        "--bin", "somebody", "--example", "packed_calculator", folder=folder,
    )  # fmt: skip
    return folder


@pytest.mark.timeout(1200)
def test_programs_outside_of_the_repository_call_a_worker(somebodys_folder, start, runtime_dir):
    server = start(sys.executable, PYTHON_PROGRAM)
    wait_until(lambda: list(runtime_dir.glob("*.sock")), "the server")
    start(ROOT / "target" / "release" / "somebody").finish()
    said = start(ROOT / "target" / "release" / "examples" / "packed_calculator").finish()
    assert said == "10 + 20 = 30\nping: pong\n"
    server.send(signal.SIGINT)
    server.finish()


def test_what_is_packed_is_all_that_is_compiled(somebodys_folder):
    told = subprocess.run(
        [
            "cargo", "metadata", "--format-version", "1", "--offline",
            "--filter-platform", "x86_64-unknown-linux-gnu",
        ],
        cwd=somebodys_folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    own = [one for one in json.loads(told.stdout)["packages"] if one["source"] is None]
    assert {one["name"] for one in own} >= {"somebody", "pycrust-client", "pycrust-macros", "pycrust-transport"}
    assert all(one["manifest_path"].startswith(str(somebodys_folder)) for one in own)
