"""What stands for arrays of recorded calls that were not recorded themselves."""

from __future__ import annotations

from typing import Any, cast

from pycrust.arrays.outgoing import describe
from pycrust.arrays.records import Layout, text_of
from pycrust.text.kinds import kind_of


class Absent:
    """In the place of an array of a recorded call that was not recorded itself.

    Args:
        dtype: The type of its elements; of records, as they are shown.
        shape: Its shape.

    Examples:
        >>> Absent("uint8", (224, 224, 3))
        <uint8 array of the shape (224, 224, 3), not recorded>
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Keeps what is known."""
        self.dtype = dtype
        self.shape = shape

    def __eq__(self, other: object) -> bool:
        """Whether it stands for arrays of the same kind."""
        return isinstance(other, Absent) and (self.dtype, self.shape) == (other.dtype, other.shape)

    def __hash__(self) -> int:
        """By type and shape."""
        return hash((self.dtype, self.shape))

    def __repr__(self) -> str:
        """What it was."""
        return f"<{self.dtype} array of the shape {self.shape}, not recorded>"


def absent(elements: str | Layout, shape: tuple[int, ...]) -> Absent:
    """What stands for an array of these elements."""
    return Absent(elements if isinstance(elements, str) else text_of(elements), shape)


def arguments_again(value: Any) -> Any:
    """The arguments of a recorded call, if the call can be made again.

    Raises:
        LookupError: Arrays among them were not recorded.
    """
    if any_absent(value):
        raise LookupError(
            "the arrays among its arguments were not recorded: the call can't be made again; "
            "endpoint.recording(max_arrays=...) keeps those of later calls"
        )
    return value


def any_absent(value: Any) -> bool:
    """Whether arrays in a value were not recorded."""
    if isinstance(value, Absent):
        return True
    if isinstance(value, dict):
        return any(any_absent(inner) for inner in cast("dict[Any, Any]", value).values())
    return isinstance(value, list) and any(any_absent(inner) for inner in cast("list[Any]", value))


def without_elements(value: Any) -> Any:
    """A value with its arrays as they are recorded: their types and shapes."""
    if isinstance(value, dict):
        return {key: without_elements(inner) for key, inner in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [without_elements(inner) for inner in cast("list[Any]", value)]
    if not hasattr(value, "dtype") and kind_of(value) is not memoryview:
        return value
    described = describe(value)
    return cast("object", value) if described is None else absent(described[1], described[2])
