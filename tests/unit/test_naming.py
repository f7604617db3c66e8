"""The rules for names, the same as in `native/protocol/src/name.rs`."""

from __future__ import annotations

import pytest

from pycrust.text.names import check_endpoint, check_method


@pytest.mark.parametrize("name", ["a", "A1", "0", "arm.left", "a_b-c", "x" * 128])
def test_endpoints(name):
    assert check_endpoint(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("x" * 129, "129"),
        ("a b", "' '"),
        ("é", "'é'"),
        ("a/b", "'/'"),
        (".a", "begin"),
        ("-a", "begin"),
    ],
)
def test_refused_endpoints(name, reason):
    with pytest.raises(ValueError, match=reason):
        check_endpoint(name)


@pytest.mark.parametrize("name", ["a", "é.ü", "with space", "x" * 256, "pycrust"])
def test_methods(name):
    assert check_method(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "empty"), ("é" * 129, "258 bytes"), ("a\nb", "control"), ("\x7f", "control"), ("\x85", "control"),
     ("\ud800", "surrogate"), ("pycrust.health", "worker itself")],
)  # fmt: skip
def test_refused_methods(name, reason):
    with pytest.raises(ValueError, match=reason):
        check_method(name)


@pytest.mark.parametrize("check", [check_endpoint, check_method])
def test_names_are_strings(check):
    with pytest.raises(TypeError, match="is a str, not bytes"):
        check(b"x")
