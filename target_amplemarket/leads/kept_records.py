"""What leads keep of their records: JSON text, or that of which it can be made.

Few result rows keep a record, so text is made only when one of them does: of the RECORD message in which a record came
(binary), or of the columns (struct). In schema `LEADS` records are in one of these three forms; in `MAPPED` they point
to it, each record once and in their order.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.singer.arrow_json import json_texts
from target_amplemarket.singer.envelopes import open_envelope


def record_texts(records: pa.Array, kept: pa.BooleanArray | None = None) -> pa.StringArray:
    """Records in any of these forms as JSON text; null where there is none, or where it is not to be kept."""
    is_kept = records.is_valid() if kept is None else pc.and_(records.is_valid(), kept)
    own = _own(records.filter(is_kept))
    texts = _texts(own)
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


def _texts(records: pa.Array) -> pa.StringArray:
    """JSON text of records in any form, none of them null."""
    if pa.types.is_struct(records.type):
        return json_texts(records)
    if pa.types.is_binary(records.type):
        return pa.array([bytes(open_envelope(message).record) for message in records.to_pylist()], pa.string())
    return records


def _own(records: pa.Array) -> pa.Array:
    if not pa.types.is_dictionary(records.type):
        return records
    if not pa.types.is_struct(records.type.value_type):
        return records.cast(records.type.value_type)
    columns = records.dictionary
    return columns if len(records) == len(columns) else columns.take(records.indices)
