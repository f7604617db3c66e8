"""The stub says what the binary has, neither less nor more."""

import ast

from pycrust import _native
from tests.conftest import ROOT


def public(names) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_stub_and_binary_agree():
    stub = ast.parse((ROOT / "pycrust" / "_native.pyi").read_text())
    declared = {
        node.name: {child.name for child in getattr(node, "body", []) if isinstance(child, ast.FunctionDef)}
        for node in stub.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    assert set(declared) == public(dir(_native))
    for name, members in declared.items():
        found = getattr(_native, name)
        if isinstance(found, type):
            assert public(members) == public(vars(found)), name
