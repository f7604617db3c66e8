"""The checker itself: each violation that it is for is found."""

import dataclasses

import pytest

from tests.interop.history import Call, check

FIRST = Call(task=0, number=1, sent_ns=10, received_ns=20, version=2, value=1, code=None)


def test_a_good_history_passes():
    check([FIRST, dataclasses.replace(FIRST, number=2, sent_ns=21, received_ns=30)])
    check([FIRST, dataclasses.replace(FIRST, number=2, sent_ns=19, received_ns=30, version=1)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sent_ns": 21, "received_ns": 30, "version": 1, "number": 2}, "was acknowledged before"),
        ({"sent_ns": 21, "received_ns": 30}, "answered twice"),
        ({"sent_ns": 21, "received_ns": 30, "number": 2, "code": "UNKNOWN"}, "1 calls failed"),
    ],
)
def test_a_violation_is_found(changes, message):
    with pytest.raises(AssertionError, match=message):
        check([FIRST, dataclasses.replace(FIRST, **changes)])
