from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from singer_sdk.singerlib.json import serialize_json

from target_amplemarket.singer.arrow_json import json_objects, json_texts, json_values, record_struct
from target_amplemarket.storage.arrow import arrow_file

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
PARIS = dt.timezone(dt.timedelta(hours=1))
KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.string_view(): TEXT,
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(),
    pa.decimal128(38, 3): st.decimals(-(10**20), 10**20, places=3, allow_nan=False),
    pa.date32(): st.dates(dt.date(1, 1, 1)),
    pa.timestamp("us", tz="UTC"): st.datetimes(timezones=st.just(dt.UTC)),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", tz="+01:00"): st.datetimes(timezones=st.just(PARIS)).filter(lambda at: 1 < at.year < 9999),
    pa.time64("us"): st.times(),
    pa.duration("us"): st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999)),
}
MAP_OF_NULLS = pa.map_(pa.string(), pa.list_(pa.null()))
"""Arrow cannot cast slices of it."""

LEAVES = [*KINDS, pa.null()]
TYPES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        inner.map(pa.list_)
        | inner.map(pa.large_list)
        | st.lists(inner, max_size=3).map(lambda some: pa.struct([(f'm"{n}', t) for n, t in enumerate(some)]))
        | inner.map(lambda t: pa.map_(pa.string(), t))
    ),
    max_leaves=4,
)


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a type, nulls among them."""
    if pa.types.is_null(kind):
        return st.none()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return st.none() | st.lists(values_of(kind.value_type), max_size=3)
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: values_of(field.type) for field in kind})
    if pa.types.is_map(kind):
        return st.none() | st.dictionaries(TEXT, values_of(kind.item_type), max_size=3)
    return st.none() | KINDS[kind]


def arrow_value(kind: pa.DataType, value: Any) -> Any:
    """As Arrow takes it: maps as pairs."""
    if value is None:
        return None
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [arrow_value(kind.value_type, each) for each in value]
    if pa.types.is_struct(kind):
        return {field.name: arrow_value(field.type, value[field.name]) for field in kind}
    if pa.types.is_map(kind):
        return [(name, arrow_value(kind.item_type, each)) for name, each in value.items()]
    return value


NOT_PLAIN = (pa.string_view(), pa.timestamp("us", tz="+01:00"))
COLUMNS = TYPES.flatmap(lambda kind: st.tuples(st.just(kind), st.lists(values_of(kind), max_size=4)))


@given(COLUMNS, st.integers(0, 3))
@example((pa.string(), ['"', "\\", "\n", "\x00", "\x1f", "\x7f", "\u2028", "\U0001f600"]), 1)
@example((pa.float64(), [1.0, -0.0, 1e16, 1e-7, 5e-324, math.nan, math.inf, -math.inf]), 0)
def test_columns_say_what_the_json_of_singer_sdk_says(column: tuple[pa.DataType, list[Any]], first: int) -> None:
    kind, values = column
    array = pa.array([arrow_value(kind, value) for value in values], kind).slice(first)
    expected = [msgspec.json.decode(serialize_json(value)) for value in values[first:]]
    assert json_values(array) == expected
    assert [type(value) for value in json_values(array)] == [type(value) for value in expected]
    assert json_objects(["c"], [array], len(array)).to_pylist() == [
        f'{{"c":{text.as_py()}}}' for text in json_texts(array)
    ]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([0.1], pa.float32()).cast(pa.float32()), [0.10000000149011612]),
        (pa.array([Decimal("1.10"), Decimal("5.00")], pa.decimal128(9, 2)), [1.1, 5.0]),
        (pa.array([Decimal(5)], pa.decimal256(70, 0)), [5]),
        (pa.array([dt.date(2026, 1, 2)], pa.date64()), ["2026-01-02"]),
        (pa.array([1_767_604_500_000_000_001, 0], pa.timestamp("ns")), ["2026-01-05T09:15:00", "1970-01-01T00:00:00"]),
        (pa.array([0], pa.timestamp("s", "Europe/Paris")), ["1970-01-01T01:00:00+01:00"]),
        (pa.array([0], pa.timestamp("s", "Mars/Olympus")), ["1970-01-01T00:00:00+00:00"]),
        (pa.array([10**15], pa.timestamp("s")), [None]),
        (pa.array([1], pa.time64("ns")), ["00:00:00"]),
        (pa.array([10**9], pa.duration("ns")), ["0:00:01"]),
        (pa.array([b'a"', b"\xff", None]), ['a"', "/w==", None]),
        (pa.array([b"ab"], pa.binary_view()), ["ab"]),
        (pa.array([b"ab"], pa.binary(2)), ["ab"]),
        (pa.array(["a", "b", None, "a"]).dictionary_encode().slice(1), ["b", None, "a"]),
        (pa.array(["a", "b"]).dictionary_encode().slice(0, 1), ["a"]),
        (pa.array([1, None, 1]).dictionary_encode(), [1, None, 1]),
        (pc.run_end_encode(pa.array([7, 7, None])), [7, 7, None]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [[1, 2], None]),
        (pa.array([[1], None], pa.list_view(pa.int8())), [[1], None]),
        (pa.array([[(1, "x")]], pa.map_(pa.int8(), pa.string())), [{"1": "x"}]),
        (pa.array([{}, None], pa.struct([])), [{}, None]),
        (
            pa.array([[("a", [None])], [("b", [None] * 3), ("c", [None])], None], MAP_OF_NULLS).slice(1),
            [{"b": [None] * 3, "c": [None]}, None],
        ),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16))), [str(uuid.UUID(int=0))]),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}"])), ["{}"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_types_that_json_does_not_have(array: pa.Array, expected: list[Any]) -> None:
    assert json_values(array) == expected


@given(st.lists(COLUMNS, min_size=1, max_size=3), st.data())
def test_any_rows_of_a_struct_of_columns_say_later_what_the_columns_say_now(
    drawn: list[tuple[pa.DataType, list[Any]]], data: st.DataObject
) -> None:
    count = min(len(values) for _, values in drawn)
    columns = [pa.array([arrow_value(kind, value) for value in values[:count]], kind) for kind, values in drawn]
    names = [f'c"{place % 2}' for place in range(len(columns))]
    struct = record_struct(names, columns)
    if struct is None:
        assert any(str(kind) in str(column.type) for kind in NOT_PLAIN for column in columns)
        return
    chosen = data.draw(st.lists(st.integers(0, count - 1), unique=True) if count else st.just([]))
    places = pa.array(sorted(chosen), pa.int64())
    written = arrow_file(pa.table({"record": struct.take(places)}))
    read = pa.ipc.open_file(written).read_all().column("record").combine_chunks()
    assert json_texts(read).equals(json_objects(names, columns, count).take(places))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0], pa.timestamp("s", "Europe/Paris")),
        pa.array([1, None]).dictionary_encode(),
        pc.run_end_encode(pa.array([7])),
        pa.array([["a"]], pa.list_(pa.string_view())),
        pa.array([{"a": "b"}], pa.struct([("a", pa.string_view())])),
        pa.array([[1]], pa.list_view(pa.int8())),
        pa.array([b"a"], pa.binary_view()),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16))),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_that_files_or_selection_may_change_make_no_struct(column: pa.Array) -> None:
    assert record_struct(["a", "b"], [pa.nulls(len(column)), column]) is None


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.large_string()), pa.json_()]
)
def test_text_in_any_form_is_plain_text_in_a_struct(kind: pa.DataType) -> None:
    column = pa.array(["{}", None]).cast(kind)
    struct = record_struct(["t"], [column])
    assert struct is not None
    assert struct.type == pa.struct([("t", pa.string())])
    assert json_texts(struct).equals(json_objects(["t"], [column], 2))


def test_no_columns_make_no_struct() -> None:
    assert record_struct([], []) is None


def test_entries_that_stand_in_a_null_map_are_not_taken_for_those_of_the_next() -> None:
    entries = pa.StructArray.from_arrays(
        [pa.array(["a", "b", "c"]), pa.array([1, 2, 3])],
        fields=[pa.field("key", pa.string(), nullable=False), pa.field("value", pa.int64())],
    )
    ends, second_is_null = pa.array([0, 1, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(bytes([0b101]))
    maps = pa.MapArray.from_buffers(pa.map_(pa.string(), pa.int64()), 3, [second_is_null, ends], children=[entries])
    assert json_values(maps) == [{"a": 1}, None, {"c": 3}]
    assert json_values(maps.slice(1)) == [None, {"c": 3}]


def test_of_members_of_the_same_name_the_last_counts() -> None:
    rows = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    assert json_objects(["s", "s"], [pa.array([0]), rows], 1).to_pylist() == ['{"s":{"a":2}}']
    assert json_objects([], [], 2).to_pylist() == ["{}", "{}"]


def test_what_is_escaped_is_what_stands_in_the_slice() -> None:
    whole = pa.array(["x" * 1000] * 20_000 + ['"'])
    assert json_texts(whole.slice(5, 1)).to_pylist() == [json.dumps("x" * 1000)]
    assert json_texts(whole.slice(20_000, 1)).to_pylist() == ['"\\""']
