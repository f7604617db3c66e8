"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import pycrust

MODULES = sorted(module.name for module in pkgutil.walk_packages(pycrust.__path__, "pycrust."))


def test_there_are_modules():
    assert "pycrust.endpoint.endpoint" in MODULES


@pytest.mark.parametrize("name", [name for name in MODULES if name not in {"pycrust.__main__", "pycrust._native"}])
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_package():
    results = doctest.testmod(pycrust)
    assert (results.failed, results.attempted > 0) == (0, True)
