from __future__ import annotations

import datetime as dt
import decimal
import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_amplemarket.singer.arrow_json import json_texts
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.records import (
    ABSENT,
    ArrowRecords,
    DictRecords,
    JsonRecords,
    Path,
    json_text,
    member_paths,
)

NAMES = st.sampled_from(
    ["Id", "Email", "e mail", 'qu"ote', "back\\slash", "new\nline", "", "é", "😀", "a.b"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=4)


def raws(*texts: str | bytes) -> JsonRecords:
    return JsonRecords([msgspec.Raw(text if isinstance(text, bytes) else text.encode()) for text in texts])


def listed(column: Sequence[object]) -> list[object]:
    return column.to_pylist() if isinstance(column, pa.Array) else list(column)


def naive(record: Any, path: Path) -> Any:
    for name in path:
        if not isinstance(record, dict) or name not in record:
            return ABSENT
        record = record[name]
    return record


def written(value: Any, ascii_only: bool, spaced: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, separators=None if spaced else (",", ":"))


@given(st.lists(OBJECTS, max_size=5), PATHS, st.booleans(), st.booleans())
@example([{'qu"ote': 1, "Id": 2}], [('qu"ote',), ("Id",)], True, True)
@example([{}, {"Id": {"Id": None}}], [("Id", "Id")], True, True)
def test_columns_of_json_and_of_dicts_are_what_json_loads_sees(
    records: list[dict[str, Any]], paths: list[Path], ascii_only: bool, spaced: bool
) -> None:
    texts = [written(record, ascii_only, spaced) for record in records]
    expected = [[naive(json.loads(text), path) for text in texts] for path in paths]
    from_json = raws(*texts).columns(paths)
    assert [listed(column) for column in from_json.values] == expected
    assert from_json.faults == {}
    from_dicts = DictRecords([json.loads(text) for text in texts]).columns(paths)
    assert [list(column) for column in from_dicts.values] == expected


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), PATHS)
def test_of_a_member_that_stands_twice_the_last_counts(members: list[tuple[str, Any]], paths: list[Path]) -> None:
    text = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in members) + "}"
    columns = raws(text).columns(paths)
    assert [listed(column) for column in columns.values] == [[naive(json.loads(text), path)] for path in paths]


@pytest.mark.parametrize("name", ["Email", 'E"mail'])
@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ('{%s:1e999,"b":1}', RecordFault.INVALID_NUMBER),
        ('{%s:-1e999,"b":1}', RecordFault.INVALID_NUMBER),
        ("{%s:" + "9" * 5_000 + ',"b":1}', RecordFault.INVALID_NUMBER),
        ('{%s:"\\ud800","b":1}', RecordFault.INVALID_UNICODE),
        ('{%s:"\\udc00x","b":1}', RecordFault.INVALID_UNICODE),
        ("{%s:" + "[" * 50_000 + "]" * 50_000 + ',"b":1}', RecordFault.NESTED_TOO_DEEP),
    ],
)
def test_a_value_that_cannot_be_decoded_is_a_fault_of_its_record_alone(name: str, bad: str, fault: RecordFault) -> None:
    member = json.dumps(name)
    records = raws(f"{{{member}:1}}", bad.replace("%s", member), f"{{{member}:3}}")
    columns = records.columns([(name,), ("b",)])
    assert [list(column) for column in columns.values] == [[1, ABSENT, 3], [ABSENT, ABSENT, ABSENT]]
    assert columns.faults == {1: fault}


def test_no_paths_and_no_records_give_empty_columns() -> None:
    assert raws("{}").columns([]).values == []
    assert [list(column) for column in raws().columns([("a",), ("b", "c")]).values] == [[], []]


def test_json_records_are_kept_as_they_came() -> None:
    text = '{"a" : 1.10, "a":  "\\u00e9", "n": 123456789012345678901234567890}'
    assert raws(text).json(0) == text.encode()


def test_a_dict_record_of_which_nothing_was_made_is_kept_as_it_came() -> None:
    records = DictRecords([{"a": 1}, {}], {1: msgspec.Raw(b'{"b": 1.10}')})
    assert [records.json(0), records.json(1)] == [b'{"a":1}', b'{"b": 1.10}']


def test_columns_of_arrow_rows() -> None:
    batch = pa.RecordBatch.from_pylist([{"a": 1, "s": {"x": "u", "y": [1.5]}}, {"a": None, "s": None}])
    records = ArrowRecords(batch)
    paths: list[Path] = [("a",), ("s", "x"), ("s", "y"), ("b",), ("a", "x"), ("s", "z"), ("s", "x", "deeper")]
    number, text, nested, *nowhere = records.columns(paths).values
    assert list(number) == [1, None]
    assert pa.array(["u", None]).equals(text)
    assert list(nested) == [[1.5], None]
    assert [list(column) for column in nowhere] == [[ABSENT] * 2] * 4
    assert json.loads(records.json(0)) == {"a": 1, "s": {"x": "u", "y": [1.5]}}
    assert records.json_texts().to_pylist()[1] == '{"a":null,"s":null}'
    assert json_texts(records.kept().dictionary).equals(records.json_texts())


def test_rows_whose_text_depends_on_where_it_is_made_are_kept_as_text() -> None:
    zoned = pa.array([0, 10**15], pa.timestamp("s", "Europe/Paris"))
    records = ArrowRecords(pa.RecordBatch.from_pydict({"at": zoned}))
    assert records.kept().dictionary.equals(records.json_texts())


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_columns_of_text_stay_arrow_arrays(kind: pa.DataType) -> None:
    for rows in (pa.array([{"x": "u"}, None, {"x": None}]), pa.array([{"x": None}, {"x": "v"}]).slice(1)):
        flat = rows.field("x") if not rows.null_count else pa.array(["u", None, None])
        batch = pa.RecordBatch.from_arrays([flat.cast(kind), rows], ["t", "s"])
        for column in ArrowRecords(batch).columns([("t",), ("s", "x")]).values:
            assert isinstance(column, pa.StringArray)
            assert column.to_pylist() == flat.to_pylist()


def test_of_arrow_columns_of_one_name_the_last_counts() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array(["x"])], ["a", "a"])
    records = ArrowRecords(batch)
    assert records.columns([("a",)]).values[0].to_pylist() == ["x"]  # type: ignore[attr-defined]
    assert records.json(0) == b'{"a":"x"}'


def test_member_paths_come_once_in_order_and_four_deep() -> None:
    records = raws(
        '{"b":1,"a":{"x":{"y":{"z":{"deep":1}}},"e":{}}}', "[1]", '{"c":1e999}', '{"b":2,"d":[{"n":1}]}', '{"z":1}'
    )
    assert list(member_paths(records, first=4)) == [("b",), ("a", "x", "y", "z"), ("d",)]


@given(OBJECTS)
def test_json_text_of_plain_values_says_the_same(record: dict[str, Any]) -> None:
    assert json.loads(json_text(record)) == record


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        "\ud800",
        decimal.Decimal("1.10"),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        object(),
        {1, 2},
    ],
)
def test_json_text_takes_what_strict_encoders_refuse(value: object) -> None:
    try:
        text = json_text({"a": value})
    except ValueError as error:
        pytest.fail(f"refused: {type(error).__name__}")
    assert text.startswith(b"{")
    assert text.decode()


def test_columns_are_the_same_however_many_records_are_decoded_at_once() -> None:
    texts = [
        json.dumps({"text": f"t{n}", "some": "x" if n < 300 else n, **({"rare": "y"} if n == 400 else {})})
        for n in range(700)
    ]
    texts[520] = '{"text": 1e999}'
    columns = raws(*texts).columns([("text",), ("some",), ("rare",)])
    rows = [{} if n == 520 else json.loads(text) for n, text in enumerate(texts)]
    assert [listed(c) for c in columns.values] == [[r.get(m, ABSENT) for r in rows] for m in ("text", "some", "rare")]
    assert columns.faults == {520: RecordFault.INVALID_NUMBER}
    assert raws(*texts).kept().to_pylist() == texts
    assert raws().kept().to_pylist() == []
