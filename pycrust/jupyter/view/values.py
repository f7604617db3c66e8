"""Values of a recorded call as the inspector shows them: lines of text, and small pictures of images."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, cast

from pycrust.arrays.absent import Absent
from pycrust.text.values import elements_text

_MOST_LINES = 400
_MOST_ELEMENTS = 60
_MOST_TEXT = 4_000
_MOST_DEPTH = 8
_MOST_RECORD = 200
_THUMBNAIL = 96
"""Pixels of the longer side of a thumbnail."""

_MOST_PICTURES = 4
_CHANNELS = (1, 3, 4)


@dataclass
class Lines:
    """A value as lines, each `[depth, key, text]` or `[depth, key, text, picture]`.

    Attributes:
        rows: The lines.
        pictures: Of each thumbnail, `{"width", "height", "channels"}`.
        pixels: The bytes of each.
    """

    rows: list[list[Any]] = field(default_factory=list[list[Any]])
    pictures: list[dict[str, int]] = field(default_factory=list[dict[str, int]])
    pixels: list[bytes] = field(default_factory=list[bytes])

    def add(self, value: Any, key: str = "", depth: int = 0) -> None:
        """Adds a value under a key."""
        if len(self.rows) >= _MOST_LINES:
            return
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if isinstance(shape, tuple) and dtype is not None:
            self._add_array(value, cast("tuple[Any, ...]", shape), dtype, key, depth)
        elif isinstance(value, dict) and value:
            entries = cast("dict[Any, Any]", value)
            self._add_all([(str(name), one) for name, one in entries.items()], key, depth, "{")
        elif isinstance(value, list | tuple) and value:
            items = list(cast("list[Any]", value))
            if all(isinstance(item, int | float | bool | None) for item in items):
                self._line(depth, key, _numbers(items))
            else:
                self._add_all([(f"[{at}]", item) for at, item in enumerate(items)], key, depth, "[")
        else:
            self._line(depth, key, _text(value))

    def _add_all(self, entries: list[tuple[str, Any]], key: str, depth: int, kind: str) -> None:
        """Adds entries below a line of their own, or beside each other at the top."""
        inner = depth
        if key:
            what = "field" if kind == "{" else "item"
            self._line(depth, key, f"{len(entries)} {what}{'' if len(entries) == 1 else 's'}")
            inner += 1
        if inner > _MOST_DEPTH:
            self._line(inner, "", "…")
            return
        for name, one in entries[:_MOST_ELEMENTS]:
            self.add(one, name, inner)
        if len(entries) > _MOST_ELEMENTS:
            self._line(inner, "", f"… and {len(entries) - _MOST_ELEMENTS:,} more")

    def _line(self, depth: int, key: str, text: str) -> None:
        if len(self.rows) < _MOST_LINES:
            self.rows.append([depth, key[:200], text])

    def _add_array(self, value: Any, shape: tuple[Any, ...], dtype: Any, key: str, depth: int) -> None:
        sizes = " × ".join(map(str, shape)) or "scalar"  # noqa: RUF001 - a multiplication sign is meant
        text = f"{elements_text(dtype)} array, {sizes}"
        if isinstance(value, Absent):
            self._line(depth, key, f"{text} · its elements were not recorded")
            return
        array = _as_numpy(value)
        if array is not None and array.size:
            text = f"{text} · {_range(array)}"
        self._line(depth, key, text)
        picture = _thumbnail(array) if array is not None and len(self.pictures) < _MOST_PICTURES else None
        if picture is not None and self.rows[-1][-1] == text:
            description, pixels = picture
            self.rows[-1].append(len(self.pictures))
            self.pictures.append(description)
            self.pixels.append(pixels)


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        whole = bytes(value)  # pyright: ignore[reportUnknownArgumentType]
        return f"{len(whole):,} bytes{': ' if whole else ''}{whole[:16].hex(' ')}{' …' if len(whole) > 16 else ''}"  # noqa: PLR2004
    if isinstance(value, str):
        shown = repr(value)
        return shown if len(shown) <= _MOST_TEXT else f"{shown[:_MOST_TEXT]}… ({len(value):,} characters)"
    return repr(value)[:_MOST_TEXT]


def _numbers(items: list[Any]) -> str:
    shown = ", ".join(f"{item:g}" if isinstance(item, float) else repr(item) for item in items[:_MOST_ELEMENTS])
    return f"[{shown}]" if len(items) <= _MOST_ELEMENTS else f"[{shown}, … {len(items):,} in all]"


def _as_numpy(value: Any) -> Any:
    """The array as NumPy's, where NumPy is there already and can look at it without moving it off a device."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return None
    try:
        return numpy.asarray(value)
    except Exception:  # noqa: BLE001 - on a device, of a type that NumPy has not, …: it is shown without its values
        return None


def _range(array: Any) -> str:
    """From the smallest to the largest value, or the few values that there are; of records, the first."""
    try:
        if array.dtype.names is not None:
            return f"the first is {array.flat[0]}"[:_MOST_RECORD]
        if array.size <= 8:  # noqa: PLR2004 - as many as fit in a line
            return f"[{', '.join(f'{one:.4g}' for one in array.ravel().tolist())}]"
        return f"{array.min():.4g} to {array.max():.4g}"
    except (TypeError, ValueError, OverflowError):
        return "values without an order"


def _thumbnail(array: Any) -> tuple[dict[str, int], bytes] | None:
    """A small picture of an array that is an image: height by width, or with 1, 3 or 4 channels too."""
    numpy: Any = sys.modules["numpy"]
    if array.dtype.kind not in "uifb" or array.size == 0:
        return None
    image = array
    while image.ndim > 3 and image.shape[0] == 1:  # noqa: PLR2004 - a batch of one
        image = image[0]
    if image.ndim == 3 and image.shape[2] not in _CHANNELS and image.shape[0] in _CHANNELS:  # noqa: PLR2004
        image = numpy.moveaxis(image, 0, 2)
    if image.ndim == 2:  # noqa: PLR2004
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in _CHANNELS or min(image.shape[:2]) < 8:  # noqa: PLR2004
        return None
    step = -(-max(image.shape[:2]) // _THUMBNAIL)
    small = image[::step, ::step].astype("float64")
    if array.dtype != "uint8":
        finite = small[numpy.isfinite(small)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
        if array.dtype.kind == "f" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        small = (numpy.nan_to_num(small, nan=low, posinf=high, neginf=low) - low) * (255 / ((high - low) or 1))
    height, width, channels = small.shape
    return {"width": width, "height": height, "channels": channels}, small.clip(0, 255).astype("uint8").tobytes()
