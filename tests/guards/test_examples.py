"""Whoever looks an item of the Rust client up finds it used."""

import shutil

from tests.conftest import ROOT
from tests.guards import examples


def test_every_public_item_has_an_example():
    seen, missing = examples.without(ROOT)
    assert {"RpcClient", "Error", "service", "Record", "attached", "testing::Worker", "blocking::Request"} <= {
        *seen
    }
    assert len(seen) > 50, seen
    assert missing == []


def test_one_without_is_seen(tmp_path):
    for folder in examples.SOURCES:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    path = tmp_path / "client-rs" / "src" / "options.rs"
    planted = "/// What nobody shows.\n#[derive(Debug)]\npub struct Shy;\n"
    path.write_text(path.read_text() + planted)
    library = tmp_path / "client-rs" / "src" / "lib.rs"
    library.write_text(library.read_text() + "pub use options::Shy;\n/// A function.\npub fn plain() {}\n")
    assert examples.without(tmp_path)[1] == ["Shy", "plain"]
