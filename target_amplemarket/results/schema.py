"""The result row: one for every input record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from target_amplemarket.leads.fingerprints import FINGERPRINT
from target_amplemarket.storage.arrow import sorted_by

_WORD: Final = pa.dictionary(pa.int32(), pa.string())

RESULTS: Final = pa.schema(
    [
        pa.field("run_id", _WORD, nullable=False),
        pa.field("stream", _WORD, nullable=False),
        pa.field("record_no", pa.int64(), nullable=False),
        pa.field("record_key", pa.string()),
        pa.field("status", _WORD, nullable=False),
        pa.field("reason", _WORD),
        pa.field("detail", pa.string()),
        pa.field("field", _WORD),
        pa.field("error_code", pa.string()),
        pa.field("error_pointer", pa.string()),
        pa.field("http_status", pa.int16()),
        pa.field("list_type", _WORD),
        pa.field("list_name", _WORD),
        pa.field("list_id", _WORD),
        pa.field("list_position", pa.int32()),
        pa.field("winner_record_no", pa.int64()),
        pa.field("attempt", pa.int16(), nullable=False),
        pa.field("linkedin_fingerprint", FINGERPRINT),
        pa.field("email_fingerprint", FINGERPRINT),
        pa.field("title_company_fingerprint", FINGERPRINT),
        pa.field("version_fingerprint", FINGERPRINT),
        pa.field("record", pa.string()),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""Schema of every file under `results/`; what each column means is in docs/reference/results.md."""

DESCRIPTIONS: Final = {
    "run_id": "The run that wrote the row; sorts by time.",
    "stream": "Stream of the record, after stream maps.",
    "record_no": "Order of arrival in the run, from 1.",
    "record_key": "JSON object of the key properties; null without key properties.",
    "status": "What became of the record: `accepted`, `planned`, `duplicate`, `excluded`, `rejected` or `held`.",
    "reason": "Stable code; on `accepted` rows an identity that was given and could not be used.",
    "detail": "For people; never a value of the record.",
    "field": "Lead field that the reason is about.",
    "error_code": "The API's own code.",
    "error_pointer": "The API's own pointer into the request.",
    "http_status": "Status of the answer that decided.",
    "list_type": "Kind of list: `linkedin`, `email`, `titles_and_company`; or `people`, `person_ids`, `company_ids`.",
    "list_name": "Name of the list, with its marker.",
    "list_id": "The API's id of the list.",
    "list_position": "Index of the lead in the request that took it, from 0; where several fill a list, in its own.",
    "winner_record_no": "For `duplicate_in_run`: the record that came first.",
    "attempt": "Which call of the list decided, from 1; 0 where nothing was sent.",
    "linkedin_fingerprint": "Keyed BLAKE2b-128 of the LinkedIn profile; on `accepted` and `held` rows.",
    "email_fingerprint": "The same of the e-mail.",
    "title_company_fingerprint": "The same of the API's own id, where the lead has one; else, of leads with neither of "
    "the two, of name and company, or of title and company.",
    "version_fingerprint": "The same of the mapped lead with its key, for `append-only`.",
    "record": "The original record as JSON, as `results_record` says.",
    "recorded_at": "When the row was written, UTC.",
}


def in_record_order(tables: Iterable[pa.Table]) -> pa.Table:
    """Result rows from several tables as one, by record number."""
    rows = pa.concat_tables([RESULTS.empty_table(), *tables]).unify_dictionaries()
    return sorted_by(rows, "record_no")


def conform(columns: dict[str, pa.Array], row_count: int) -> pa.Table:
    """A results table from some of its columns; the others are null. Plain text becomes dictionaries.

    Raises:
        ValueError: A column that every row has is missing, or null in some row: a fault of ours.
    """
    arrays = []
    for field in RESULTS:
        column = columns.get(field.name)
        column = pa.nulls(row_count, field.type) if column is None else column
        if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        if column.null_count and not field.nullable:
            raise ValueError(f"a result row without `{field.name}`")
        arrays.append(column.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=RESULTS)
