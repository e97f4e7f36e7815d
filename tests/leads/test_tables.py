from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from target_amplemarket.config import LEAD_FIELDS
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.tables import FURTHER_FIELDS, LEADS, OLDER_LEADS, widened
from target_amplemarket.storage.arrow import arrow_file, arrow_table
from target_amplemarket.storage.durable import Folder
from tests.results.made import make_list


def test_leads_have_a_nullable_column_for_every_field_that_some_service_takes() -> None:
    assert set(LEAD_FIELDS) < set(LEADS.names)
    assert all(LEADS.field(name).nullable for name in LEAD_FIELDS)


def test_missing_columns_become_null_and_none_is_lost() -> None:
    rows = pa.table({"b": pa.array([1, 2]), "a": pa.array(["x", None])})
    schema = pa.schema([("a", pa.string()), ("c", pa.list_(pa.string())), ("b", pa.int64())])
    assert widened(rows, schema).to_pylist() == [{"a": "x", "c": None, "b": 1}, {"a": None, "c": None, "b": 2}]


def _written(folder: Folder, schema: pa.Schema) -> None:
    """An outbox file whose leads have the columns of a schema."""
    name = Outbox(folder, "run").write(make_list([1, 2]), b"body")
    table = arrow_table(folder.read(name) or b"", LEADS)
    kept = table.select([field.name for field in schema if field.name in LEADS.names])
    folder.write(name, arrow_file(kept.replace_schema_metadata(table.schema.metadata)))


def test_an_outbox_file_from_before_there_were_further_fields_is_read_with_nulls(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    _written(folder, OLDER_LEADS)
    [entry] = Outbox(folder, "run").entries()
    assert entry.leads.equals(make_list([1, 2]).leads)
    assert entry.leads.schema.equals(LEADS, check_metadata=True)
    assert entry.intent.marker == "AAAAAAAAAAAA"
    assert {entry.leads.column(field.name).null_count for field in FURTHER_FIELDS} == {2}


@pytest.mark.parametrize("lost", ["email_fingerprint", "extra", "phones"])
def test_an_outbox_file_that_lacks_any_other_column_is_not_read(tmp_path: Path, lost: str) -> None:
    folder = Folder(tmp_path)
    _written(folder, pa.schema([field for field in LEADS if field.name != lost]))
    with pytest.raises(StorageError, match="cannot be read"):
        Outbox(folder, "run").entries()
