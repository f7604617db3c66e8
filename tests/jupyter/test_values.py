from __future__ import annotations

import numpy as np
import pytest

from pycrust.jupyter.view.replays import difference
from pycrust.jupyter.view.values import Lines


def shown(value: object) -> Lines:
    lines = Lines()
    lines.add(value)
    return lines


def test_nested_values_are_lines_with_their_depth() -> None:
    assert shown({"a": 1, "b": {"c": [1, 2.5], "d": [{"e": None}]}, "f": "x"}).rows == [
        [0, "a", "1"],
        [0, "b", "2 fields"],
        [1, "c", "[1, 2.5]"],
        [1, "d", "1 item"],
        [2, "[0]", "1 field"],
        [3, "e", "None"],
        [0, "f", "'x'"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x00\xff", "2 bytes: 00 ff"),
        (b"", "0 bytes"),
        ([], "[]"),
        ({}, "{}"),
        (list(range(100)), f"[{', '.join(map(str, range(60)))}, … 100 in all]"),
        (np.zeros((2, 3), "float32"), "float32 array, 2 × 3 · [0, 0, 0, 0, 0, 0]"),  # noqa: RUF001
        (np.arange(100), "int64 array, 100 · 0 to 99"),
        (np.array(["a"] * 9), "<U1 array, 9 · values without an order"),
    ],
)
def test_one_line(value: object, text: str) -> None:
    assert shown(value).rows[0][:3] == [0, "", text]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((64, 48), (48, 64, 1)),
        ((64, 48, 3), (48, 64, 3)),
        ((3, 64, 48), (48, 64, 3)),
        ((1, 3, 64, 48), (48, 64, 3)),
        ((960, 480, 4), (48, 96, 4)),
        ((4, 4), None),
        ((100,), None),
        ((20, 20, 7), None),
    ],
)
def test_arrays_that_are_images_have_a_picture(shape: tuple[int, ...], size: tuple[int, ...] | None) -> None:
    lines = shown({"image": np.zeros(shape, "uint8")})
    pictures = [(one["width"], one["height"], one["channels"]) for one in lines.pictures]
    assert pictures == ([] if size is None else [size])
    assert [len(one) for one in lines.pixels] == ([] if size is None else [size[0] * size[1] * size[2]])
    assert lines.rows[0][3:] == ([] if size is None else [0])


def test_pictures_of_floats_are_scaled_and_survive_what_is_no_number() -> None:
    image = np.linspace(0, 1, 100, dtype="float32").reshape(10, 10)
    image[0, 0] = np.nan
    (pixels,) = shown(image).pixels
    assert (pixels[0], pixels[-1]) == (0, 255)
    (pixels,) = shown(np.full((10, 10), 7.0)).pixels
    assert set(pixels) == {0}


def test_long_and_deep_values_are_cut() -> None:
    assert len(shown({str(n): {"x": 1} for n in range(5000)}).rows) <= 400
    deep: object = 1
    for _ in range(50):
        deep = {"x": deep}
    assert len(shown(deep).rows) < 20
    assert len(shown("x" * 100_000).rows[0][2]) < 5000


def test_differences_name_what_was_recorded_before_what_is_now() -> None:
    assert difference({"result": {"a": 1, "b": 2}}, {"result": {"a": 1, "b": 3}}) == [
        [" ", "result: 2 fields"],
        [" ", "  a: 1"],
        ["-", "  b: 2"],
        ["+", "  b: 3"],
    ]
    assert {sign for sign, _ in difference({"result": [1.0] * 9}, {"result": [1.0] * 9})} == {" "}
