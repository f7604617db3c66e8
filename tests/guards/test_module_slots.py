"""What the built extension says of itself to the interpreter."""

import ctypes
import re

from pycrust import _native
from tests.conftest import ROOT

#: `Py_mod_exec` and, since 3.13, `Py_mod_gil` of CPython's `moduleobject.h`; without the latter the lock is used.
EXEC, GIL = 2, 4
GIL_USED = 0


class _Slot(ctypes.Structure):
    _fields_ = (("slot", ctypes.c_int), ("value", ctypes.c_void_p))


class _Definition(ctypes.Structure):
    """CPython's `PyModuleDef`."""

    _fields_ = (
        ("base", ctypes.c_byte * (object.__basicsize__ + 3 * ctypes.sizeof(ctypes.c_void_p))),
        ("name", ctypes.c_char_p),
        ("doc", ctypes.c_char_p),
        ("size", ctypes.c_ssize_t),
        ("methods", ctypes.c_void_p),
        ("slots", ctypes.POINTER(_Slot)),
    )


def slots() -> dict[int, int]:
    """The slots of the built module, as the interpreter reads them when it loads it."""
    init = ctypes.PyDLL(_native.__file__).PyInit__native
    init.restype = ctypes.POINTER(_Definition)
    definition = init().contents
    assert definition.name == b"_native"
    found = {}
    for number in range(16):
        entry = definition.slots[number]
        if entry.slot == 0:
            break
        found[entry.slot] = entry.value or 0
    return found


def test_the_module_needs_the_interpreter_s_lock():
    found = slots()
    assert EXEC in found, "a module without an initialiser means that this test reads something else"
    assert found.get(GIL, GIL_USED) == GIL_USED


def test_the_module_says_so_in_its_source():
    """On an interpreter older than the slot, only the source can say otherwise."""
    source = (ROOT / "native" / "src" / "lib.rs").read_text()
    modules = re.findall(r"^#\[pymodule.*\]$", source, re.MULTILINE)
    assert modules == ["#[pymodule(gil_used = true)]"]
