"""The steps at which tests end a process are in no wheel, and in nobody's build who does not ask for them."""

import tomllib

import pytest

from tests.conftest import ROOT

CRATES = ("native", "native/transport", "client-rs")


@pytest.mark.parametrize("crate", CRATES)
def test_fault_points_have_to_be_asked_for(crate):
    features = tomllib.loads((ROOT / crate / "Cargo.toml").read_text())["features"]
    assert "fault-points" in features
    others = [enabled for name, enabled in features.items() if name != "fault-points"]
    assert not [one for enabled in others for one in enabled if "fault-points" in one]


def test_wheels_are_built_without_features():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["maturin"]["features"] == []
