"""A recorded call is described once: what the extension gives of one is what a file keeps of it."""

from __future__ import annotations

import inspect

from pycrust._extension import Record
from pycrust.traffic.file import StoredCall


def test_a_file_keeps_every_field_of_a_recorded_call() -> None:
    native = {name for name, what in vars(Record).items() if inspect.isgetsetdescriptor(what)}
    assert native == set(StoredCall.model_fields)
