"""Arrays of records: a Rust struct is a row of NumPy's structured type, in the same bytes, both ways."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.recfunctions import repack_fields
from pydantic import TypeAdapter

from pycrust import DType, InvalidArgument, RpcClient, RpcEndpoint, RpcError, Shape, to_torch
from pycrust._extension import Buffer
from pycrust.arrays.absent import Absent
from pycrust.arrays.records import dtype_of, layout_of
from pycrust.jupyter.view.values import Lines
from pycrust.text.values import array_text
from pycrust.traffic.redaction import REDACTED
from pycrust.trials.compare import compare
from tests.interop.test_tensors import is_shared, mapping_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make setup TORCH=torch installs it")

TICK = np.dtype([("at", "i8"), ("price", "f8"), ("size", "u4"), ("side", "u1")], align=True)
FILL = np.dtype([
    ("turnover", "f8"), ("levels", "f4", (3, 2)), ("symbol", "S8"), ("type", "u2"), ("weight", "f2"),
    ("delta", "i1"), ("flag", "u1"), ("rest", "i2", (1,)),
])  # fmt: skip
PACKED = np.dtype([("at", "i8"), ("price", "f8"), ("size", "u4"), ("side", "u1")])
SWAPPED = TICK.newbyteorder(">")

NUMBERS = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16", "S1", "S5"]
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)


def ticks(count: int) -> np.ndarray:
    made = np.zeros(count, TICK)
    for number in range(count):
        made[number] = (number - 5, 100 + number / 4, number, number % 2)
    return made


def whole(found: np.ndarray) -> bytes:
    """All bytes of records, those of their gaps too, which NumPy's own copies leave out."""
    return found.view(f"V{found.itemsize}").tobytes()


@st.composite
def dtypes(draw: st.DrawFn) -> np.dtype:
    """Structured types of any fields, in any order, with gaps before, between and behind them."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    formats = [
        np.dtype(
            (
                np.dtype(draw(st.sampled_from(NUMBERS))).newbyteorder(draw(st.sampled_from("<>"))),
                draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)),
            )
        )
        for _ in names
    ]
    offsets, end = [], 0
    for one in formats:
        end += draw(st.integers(0, 3))
        offsets.append(end)
        end += one.itemsize
    order = draw(st.permutations(range(len(names))))
    return np.dtype(
        {
            "names": [names[at] for at in order],
            "formats": [formats[at] for at in order],
            "offsets": [offsets[at] for at in order],
            "itemsize": end + draw(st.integers(0, 3)),
        }
    )


@st.composite
def records(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(dtypes())
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    count = int(np.prod(shape))
    filled = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    made = np.frombuffer(filled, f"V{dtype.itemsize}", count).view(dtype).reshape(shape)
    return {
        "as it is": lambda: made,
        "column major": lambda: np.copy(made.T, order="K"),
        "backwards": lambda: made[::-1] if made.ndim else made,
        "strided": lambda: np.repeat(made, 2, axis=-1)[..., ::2] if made.ndim else made,
        "large": lambda: np.broadcast_to(made, (3000, *made.shape)),
    }[draw(st.sampled_from(["as it is", "column major", "backwards", "strided", "large"]))]()


@pytest.fixture
def echo():
    """An endpoint that echoes, and a client of it."""
    endpoint = RpcEndpoint("records", fresh=True)

    @endpoint.register("echo")
    def echo(value):
        return value

    with endpoint, RpcClient("records") as client:
        yield endpoint, client
    RpcEndpoint("records", fresh=True)


def test_rust_structs_are_rows_and_come_back(rust):
    endpoint = RpcEndpoint("records-rust", fresh=True)
    forms = {
        "packed": lambda sent: sent.astype(PACKED),
        "reversed": lambda sent: repack_fields(sent[list(reversed(TICK.names))], align=True),
        "big": lambda sent: sent.astype(SWAPPED),
        "column major": np.asfortranarray,
    }

    @endpoint.register
    def fill(ticks: Annotated[np.ndarray, DType(TICK), Shape(1000)]) -> Annotated[np.ndarray, DType(FILL)]:
        assert is_shared(ticks)
        fills = endpoint.empty(ticks.shape, FILL)
        fills["turnover"] = ticks["price"] * ticks["size"]
        fills["levels"][..., 0] = ticks["side"][:, None]
        fills["levels"][..., 1] = [1, 2, 3]
        fills["symbol"], fills["type"], fills["weight"] = b"ACME", 7, 0.5
        fills["delta"], fills["flag"], fills["rest"] = -1, 1, -2
        return fills

    @endpoint.register
    def echo(value):
        return value

    @endpoint.register
    def formed(ticks, form: str):
        assert ticks.dtype == TICK
        return forms[form](ticks)

    @endpoint.register
    def wider(ticks):
        wide = np.zeros(ticks.shape, [*((name, TICK[name]) for name in TICK.names), ("venue", "S4")])
        for name in TICK.names:
            wide[name] = ticks[name]
        return wide

    with endpoint:
        said = rust("record_cases", "records-rust").finish()
        in_place = sum(call.method == "fill" for call in endpoint.traffic())
    assert said.split() == ["placed", "echoed", "arranged", "refused"]
    assert in_place


def test_random_records_cross_to_the_bit_both_ways(echo):
    _endpoint, client = echo

    @given(sent=records())
    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    def crosses(sent):
        found = client.call("echo", {"rows": sent})["rows"]
        assert (found.dtype, found.shape) == (sent.dtype, sent.shape)
        assert found.dtype.fields == sent.dtype.fields
        assert whole(found) == whole(sent)

    crosses()


@given(dtype=dtypes())
@settings(max_examples=200, deadline=None)
def test_a_layout_is_its_type(dtype):
    assert dtype_of(layout_of(dtype)) == dtype


def test_records_are_views_of_what_came_and_are_built_where_they_are_sent_from(echo):
    endpoint, client = echo
    seen: list[Any] = []

    @endpoint.register
    def later(rows):
        seen.append((" r--s " in mapping_of(rows), rows.flags.writeable, isinstance(rows.base, Buffer)))
        prices = rows["price"]
        assert np.shares_memory(prices, rows)
        built = endpoint.empty(rows.shape, rows.dtype)
        built[:] = rows
        built["at"] += 1
        return built

    sent = ticks(1000)
    found = client.call("later", sent)
    assert seen == [(True, False, True)]
    assert endpoint.stats()["clients"][0]["sent_in_place"] == 1
    assert (found["at"] == sent["at"] + 1).all()
    with pytest.raises(ValueError, match="read-only"):
        found["at"] = 0


def test_annotations_name_the_first_field_that_differs(echo):
    endpoint, client = echo

    @endpoint.register
    def look(rows: Annotated[np.ndarray, DType(TICK)]) -> str:
        return str(rows.dtype.fields["price"][1])

    @endpoint.register
    def name(rows: Annotated[np.ndarray, DType([("id", "u4"), ("symbol", "S4")])]) -> list[bytes]:
        return rows["symbol"].tolist()

    def typed(**changed):
        fields = {**{one: TICK[one] for one in TICK.names}, **changed}
        return np.zeros(2, np.dtype([item for item in fields.items() if item[1]], align=True))

    expected = "Array should have elements of record(at int64, price float64, size uint32, side uint8)"
    for wrong, said in [
        (typed(price="f4"), f"{expected}: the field 'price' is float32, not float64"),
        (typed(price=("f8", (3,))), f"{expected}: the field 'price' is float64[3], not float64"),
        (typed(size=None), f"{expected}: the field 'size' is missing"),
        (typed(venue="S4"), f"{expected}: the field 'venue' is not expected"),
        (np.zeros(2, PACKED), f"{expected}: a record has 21 bytes, not 24"),
        (
            np.zeros(2, [("side", "u1"), *((one, TICK[one]) for one in TICK.names[:3])]),
            "'at' begins at byte 1, not 0",
        ),
        (np.zeros(2), f"{expected}, not of float64"),
        ([1], "Input should be an array: numpy.ndarray"),
    ]:
        with pytest.raises(InvalidArgument) as caught:
            client.call("look", wrong)
        assert said in str(caught.value)
        assert caught.value.details[0]["loc"] == ["rows"]
    assert client.call("look", ticks(2)) == client.call("look", ticks(2).astype(SWAPPED)) == "8"

    # Bytes of a Rust struct are a string where one is expected.
    symbols = np.array([(1, list(b"AB\0\0")), (2, list(b"XYZW"))], [("id", "u4"), ("symbol", "u1", (4,))])
    assert client.call("name", symbols) == [b"AB", b"XYZW"]
    with pytest.raises(InvalidArgument, match=r"the field 'symbol' is uint8\[5\], not bytes\[4\]"):
        client.call("name", np.zeros(2, [("id", "u4"), ("symbol", "u1", (5,))]))


def test_a_packed_type_is_told_of_the_gaps_of_a_struct():
    endpoint = RpcEndpoint("records-packed", fresh=True)

    @endpoint.register
    def look(rows: Annotated[np.ndarray, DType(PACKED)]) -> int:
        return len(rows)

    with pytest.raises(
        ValueError, match=r"24 bytes, not 21; np.dtype\(..., align=True\) has the gaps of a C struct"
    ):
        endpoint._dispatch("look", [ticks(2)])


def test_an_annotation_takes_names_types_and_lists_and_says_so_in_the_schema():
    fields = [["at", "int64", 0], ["price", "float64", 8], ["size", "uint32", 16], ["side", "uint8", 20]]
    several = [["a", "float32", 0, [2, 3]], ["s", "bytes", 24, [8]]]
    for given_, schema in [
        (DType("float32"), {"dtype": "float32"}),
        (DType(np.dtype("f4")), {"dtype": "float32"}),
        (DType(np.float32), {"dtype": "float32"}),
        (DType(TICK), {"dtype": fields, "itemsize": 24}),
        (DType([("a", ">f4", (2, 3)), ("s", "S8")]), {"dtype": several, "itemsize": 32}),
    ]:
        assert given_.schema() == schema
    rows = TypeAdapter(Annotated[np.ndarray, Shape(None), DType(TICK)])
    assert rows.json_schema() == {
        "type": "array",
        "x-array": "numpy",
        "shape": [None],
        "dtype": fields,
        "itemsize": 24,
    }
    assert repr(DType(TICK)) == "DType('record(at int64, price float64, size uint32, side uint8)')"
    for wrong in ["f8", np.dtype("O"), np.dtype("U4")]:
        with pytest.raises(ValueError, match="no type of elements"):
            DType(wrong)
    with pytest.raises(TypeError, match="the field 'name' of dtype object"):
        DType([("name", "O")])


def test_what_cannot_be_in_a_record_is_named_with_what_to_do(echo):
    _endpoint, client = echo
    overlapping = np.dtype({"names": ["a", "b"], "formats": ["u2", "u2"], "offsets": [0, 1]})
    for dtype, said in [
        (
            [("x", "f4"), ("name", "O")],
            r"the field 'name' of dtype object can't cross: .*column_dtypes={'name': 'S8'}",
        ),
        ([("name", "U8")], "the field 'name' of dtype <U8 can't cross: make it bytes, such as 'S8'"),
        ([("at", "M8[ns]")], r"the field 'at' of dtype datetime64\[ns\] can't cross: make it 'i8'"),
        ([("took", "m8[us]")], r"the field 'took' of dtype timedelta64\[us\] can't cross: make it 'i8'"),
        ([("point", [("x", "f4"), ("y", "f4")])], r"the field 'point' .*\(point_x, point_y, …\)"),
        ([("raw", "V4")], "the field 'raw'"),
        (overlapping, 'the fields "a" and "b" share bytes'),
        ([], "a record of 0 fields"),
        ([(f"f{number}", "u1") for number in range(1025)], "a record of 1025 fields"),
        ([("ü" * 128, "u1")], "a name of 256 bytes"),
        ([("a", "u1", (1,) * 9)], "9 dimensions"),
        ([("a", "u1", (0,))], "no room"),
    ]:
        with pytest.raises(TypeError, match=said):
            client.call("echo", [np.zeros(2, dtype)])
    assert client.call("echo", 1) == 1


def test_rows_of_a_frame_cross_and_its_columns_are_told_apart(echo):
    _endpoint, client = echo
    frame = pd.DataFrame({"at": pd.to_datetime([1, 2]), "price": [1.5, 2.5], "symbol": ["AB", "XYZ"]})
    numbers = frame[["price"]].to_records(index=False)
    found = client.call("echo", numbers)
    assert (type(found), found.dtype, found["price"].tolist()) == (np.ndarray, numbers.dtype, [1.5, 2.5])
    with pytest.raises(TypeError, match="the field 'at'"):
        client.call("echo", frame.to_records(index=False))
    with pytest.raises(TypeError, match=r"column_dtypes={'symbol': 'S8'}"):
        client.call("echo", frame[["price", "symbol"]].to_records(index=False))
    rows = frame.to_records(index=False, column_dtypes={"symbol": "S8", "at": "i8"})
    found = client.call("echo", rows)
    assert found["symbol"].tolist() == [b"AB", b"XYZ"]
    assert pd.DataFrame(found)["price"].tolist() == [1.5, 2.5]


def test_pytorch_has_no_records_and_says_so(echo):
    endpoint, client = echo

    @endpoint.register
    def tensors(rows: torch.Tensor) -> int:
        return rows.numel()

    with pytest.raises(InvalidArgument, match="PyTorch has no tensors of records: take a NumPy array"):
        client.call("tensors", ticks(3))
    with pytest.raises(TypeError, match="PyTorch has no tensors of records"):
        to_torch(client.call("echo", ticks(3)))


def test_a_handler_whose_result_has_other_fields_is_told_so(echo):
    endpoint, client = echo

    @endpoint.register
    def made(count: int) -> Annotated[np.ndarray, DType(TICK)]:
        return np.zeros(count, FILL)

    with pytest.raises(RpcError, match="the field 'at' is missing"):
        client.call("made", 3)


def test_recorded_calls_show_records_by_their_fields_and_keep_them_if_asked(echo):
    endpoint, client = echo

    @endpoint.register
    def remembered(rows):
        return rows

    client.call("remembered", ticks(3))
    [call] = endpoint.traffic("remembered")
    shown = "record(at int64, price float64, size uint32, side uint8)"
    assert call.arguments["rows"] == Absent(shown, (3,))
    assert repr(call.result) == f"<{shown} array of the shape (3,), not recorded>"
    with pytest.raises(LookupError, match="were not recorded"):
        call.replay()
    assert array_text(ticks(3)) == f"<{shown} array, 3>"

    endpoint.recording(max_arrays=1 << 20)
    client.call("remembered", ticks(4))
    call = endpoint.traffic("remembered")[-1]
    assert (call.arguments["rows"] == ticks(4)).all()
    assert call.replay().uncompared
    lines = Lines()
    lines.add(call.arguments["rows"], "rows")
    assert lines.rows == [[0, "rows", f"{shown} array, 4 · the first is (-5, 100.0, 0, 0)"]]

    endpoint.recording(redact=["PRICE", "a*"])
    [*_, call] = endpoint.traffic("remembered")
    assert call.arguments["rows"].dtype.names == ("size", "side")
    assert call.arguments["rows"]["size"].tolist() == [0, 1, 2, 3]
    endpoint.recording(redact=["*"])
    assert endpoint.traffic("remembered")[-1].arguments == {"rows": REDACTED}
    endpoint.recording(redact=["at", "price", "s*"])
    assert endpoint.traffic("remembered")[-1].arguments == {"rows": REDACTED}


def test_records_are_compared_field_by_field():
    one, other = ticks(3), ticks(3)
    one["price"][1] = other["price"][1] = np.nan
    assert compare(one, other) == []
    other["size"][2] += 1
    assert [(differs.path, differs.kind) for differs in compare(one, other)] == [("$.size[2]", "value")]
    assert [differs.kind for differs in compare(one, np.zeros(3, FILL))] == ["type"]
