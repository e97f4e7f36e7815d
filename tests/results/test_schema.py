from __future__ import annotations

import pyarrow as pa
import pytest
from made import NOW, RUN_ID

from target_amplemarket.results.schema import DESCRIPTIONS, RESULTS, conform

# The table of docs/reference/results.md; a name or type that changes here changes for everybody who reads results.
GOLDEN = """\
run_id: dictionary<values=string, indices=int32, ordered=0> not null
stream: dictionary<values=string, indices=int32, ordered=0> not null
record_no: int64 not null
record_key: string
status: dictionary<values=string, indices=int32, ordered=0> not null
reason: dictionary<values=string, indices=int32, ordered=0>
detail: string
field: dictionary<values=string, indices=int32, ordered=0>
error_code: string
error_pointer: string
http_status: int16
list_type: dictionary<values=string, indices=int32, ordered=0>
list_name: dictionary<values=string, indices=int32, ordered=0>
list_id: dictionary<values=string, indices=int32, ordered=0>
list_position: int32
winner_record_no: int64
attempt: int16 not null
linkedin_fingerprint: fixed_size_binary[16]
email_fingerprint: fixed_size_binary[16]
title_company_fingerprint: fixed_size_binary[16]
version_fingerprint: fixed_size_binary[16]
record: string
recorded_at: timestamp[us, tz=UTC] not null"""


def required(count: int) -> dict[str, pa.Array]:
    return {
        "run_id": pa.array([RUN_ID] * count),
        "stream": pa.array(["contacts"] * count),
        "record_no": pa.array(range(count), pa.int64()),
        "status": pa.array(["rejected"] * count),
        "attempt": pa.array([0] * count),
        "recorded_at": pa.array([NOW] * count),
    }


def test_the_result_row_has_the_columns_types_order_and_nullability_of_the_design() -> None:
    assert RESULTS.to_string() == GOLDEN


def test_every_column_is_described_in_its_order() -> None:
    assert list(DESCRIPTIONS) == RESULTS.names


@pytest.mark.parametrize("count", [0, 1, 3])
def test_missing_columns_become_nulls_and_text_becomes_dictionaries(count: int) -> None:
    table = conform(required(count) | {"reason": pa.array(["a", None, "a"][:count], pa.string())}, count)
    assert table.schema.equals(RESULTS)
    table.validate(full=True)
    assert table.column("reason").to_pylist() == ["a", None, "a"][:count]
    assert table.column("list_id").null_count == count


def test_columns_that_no_result_row_has_are_left_out() -> None:
    assert conform(required(2) | {"email": pa.array(["canary@buyer.example"] * 2)}, 2).schema.equals(RESULTS)


@pytest.mark.parametrize("name", [field.name for field in RESULTS if not field.nullable])
def test_a_column_that_every_row_has_cannot_be_left_out_or_null(name: str) -> None:
    columns = required(2)
    with pytest.raises(ValueError, match=f"`{name}`"):
        conform({other: array for other, array in columns.items() if other != name}, 2)
    with pytest.raises(ValueError, match=f"`{name}`"):
        conform(columns | {name: pa.array([None, columns[name][1].as_py()], columns[name].type)}, 2)


def test_a_number_that_does_not_fit_its_column_is_not_cut() -> None:
    with pytest.raises(pa.ArrowInvalid):
        conform(required(1) | {"http_status": pa.array([70_000])}, 1)
