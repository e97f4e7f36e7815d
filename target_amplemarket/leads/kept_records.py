"""What leads keep of their records: JSON text, or the columns that it can be made of.

Few result rows keep a record, so the text of rows that came as columns is made only when one of them does. In schema
`LEADS` such records are a struct; in `MAPPED` text and struct are pointed to, each record once and in their order.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.singer.arrow_json import json_texts


def record_texts(records: pa.Array, kept: pa.BooleanArray | None = None) -> pa.StringArray:
    """Records in any of these forms as JSON text; null where there is none, or where it is not to be kept."""
    is_kept = records.is_valid() if kept is None else pc.and_(records.is_valid(), kept)
    own = _own(records.filter(is_kept))
    texts = json_texts(own) if pa.types.is_struct(own.type) else own
    if len(texts) == len(records):
        return texts
    return pc.replace_with_mask(pa.nulls(len(records), pa.string()), is_kept, texts)


def with_own_records(leads: pa.Table) -> pa.Table:
    """Leads (schema `MAPPED` or `LEADS`) whose records point nowhere (schema `LEADS`)."""
    return _with_records(leads, _own)


def with_record_texts(leads: pa.Table) -> pa.Table:
    """The same with JSON text."""
    return _with_records(leads, record_texts)


def _with_records(leads: pa.Table, form: Callable[[pa.Array], pa.Array]) -> pa.Table:
    place = leads.schema.get_field_index("record")
    field, chunks = leads.schema.field(place), leads.column(place).chunks
    formed = pa.chunked_array([form(chunk) for chunk in chunks or [pa.nulls(0, field.type)]])
    return leads.set_column(place, field.with_type(formed.type), formed)


def _own(records: pa.Array) -> pa.Array:
    if not pa.types.is_dictionary(records.type):
        return records
    if pa.types.is_string(records.type.value_type):
        return records.cast(pa.string())
    columns = records.dictionary
    return columns if len(records) == len(columns) else columns.take(records.indices)
