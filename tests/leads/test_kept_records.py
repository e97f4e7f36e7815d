from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.leads.kept_records import record_texts, with_own_records, with_record_texts
from target_amplemarket.leads.tables import LEADS, MAPPED, with_record_type
from tests.leads.building import UNHURRIED, leads_table

COUNT = 5
TEXTS = [json.dumps({"id": n, "name": f"n{n}"}, separators=(",", ":")) for n in range(COUNT)]
COLUMNS = pa.StructArray.from_arrays(
    [pa.array(range(-1, COUNT)), pa.array([f"n{n}" for n in range(-1, COUNT)])], ["id", "name"]
).slice(1)
MESSAGES = pa.array([f' {{"record": {{}}, "type":"RECORD", "record" : {text} }}'.encode() for text in TEXTS])
FORMS = {"text": pa.array(TEXTS), "columns": COLUMNS, "messages": MESSAGES}


def pointing(form: str) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.arange(COUNT, dtype=np.int32), FORMS[form])


def leads(records: pa.Array) -> pa.Table:
    table = leads_table([{"record_no": n} for n in range(1, COUNT + 1)])
    place = table.schema.get_field_index("record")
    return table.set_column(place, pa.field("record", records.type), records)


@UNHURRIED
@given(st.sampled_from(list(FORMS)), st.booleans(), st.sets(st.integers(0, COUNT - 1)), st.data())
def test_any_records_of_a_block_in_any_form_have_the_text_that_they_came_with(
    form: str, points: bool, chosen: set[int], data: st.DataObject
) -> None:
    records = pointing(form) if points else FORMS[form]
    places = sorted(chosen)
    table = leads(records).take(pa.array(places, pa.int64()))
    kept = data.draw(st.lists(st.booleans(), min_size=len(places), max_size=len(places)))
    expected = [TEXTS[place] for place in places]
    (taken,) = table.column("record").chunks or [records.slice(0, 0)]
    assert record_texts(taken).to_pylist() == expected
    masked = record_texts(taken, pa.array(kept, pa.bool_()))
    assert masked.to_pylist() == [text if is_kept else None for text, is_kept in zip(expected, kept, strict=True)]
    assert with_record_texts(table).schema == LEADS
    assert with_record_texts(table).column("record").to_pylist() == expected
    own = with_own_records(table)
    assert own.schema == with_record_type(LEADS, FORMS[form].type)
    assert with_record_texts(own).column("record").to_pylist() == expected


@pytest.mark.parametrize("kind", [MAPPED.field("record").type, pa.string()])
def test_records_that_were_not_kept_stay_null(kind: pa.DataType) -> None:
    assert record_texts(pa.nulls(2, kind)).to_pylist() == [None, None]
    assert with_own_records(leads(pa.nulls(COUNT, kind))).schema == LEADS


def test_the_columns_of_a_whole_block_are_not_copied() -> None:
    own = with_own_records(leads(pointing("columns"))).column("record").chunk(0)
    assert own.equals(COLUMNS)
    assert own.field("name").buffers()[2].address == COLUMNS.field("name").buffers()[2].address
