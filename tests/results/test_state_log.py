from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from made import NOW, RUN_ID, accepted, rejected_rows, rows_of

from target_amplemarket.errors import StorageError
from target_amplemarket.results.books import Books
from target_amplemarket.results.state_log import STATES, StateLog
from target_amplemarket.storage.arrow import arrow_table
from target_amplemarket.storage.durable import Folder

GOLDEN = """\
emitted_at: timestamp[us, tz=UTC] not null
record_no: int64 not null
value: string not null
counts: map<string, int64> not null
  child 0, entries: struct<key: string not null, value: int64> not null
      child 0, key: string not null
      child 1, value: int64"""


def read(folder: Folder) -> pa.Table:
    return arrow_table(folder.read(f"state/{RUN_ID}.arrow") or b"", STATES)


def test_the_state_log_has_the_columns_and_types_of_the_design() -> None:
    assert STATES.to_string() == GOLDEN


def test_it_holds_every_state_that_left_with_what_was_recorded_by_then(tmp_path: Path) -> None:
    folder, books = Folder(tmp_path / "results-folder"), Books()
    log = StateLog(folder, RUN_ID)
    values = [b'{"bookmarks": {"contacts": 1}}', b"null", '{"é":"\\u00e9", "a":1.0}'.encode()]
    tables = [rows_of(accepted([1, 2])), rejected_rows([3]), rows_of(accepted([4]))]
    for number, (value, rows) in enumerate(zip(values, tables, strict=True), 1):
        books.enter(rows)
        log.append(value, 10 * number, books, NOW + timedelta(seconds=number))
        assert read(folder).num_rows == log.emitted_count == number
    assert read(folder).to_pylist() == [
        {
            "emitted_at": NOW + timedelta(seconds=1),
            "record_no": 10,
            "value": '{"bookmarks": {"contacts": 1}}',
            "counts": [("accepted", 2)],
        },
        {
            "emitted_at": NOW + timedelta(seconds=2),
            "record_no": 20,
            "value": "null",
            "counts": [("accepted", 2), ("rejected", 1)],
        },
        {
            "emitted_at": NOW + timedelta(seconds=3),
            "record_no": 30,
            "value": '{"é":"\\u00e9", "a":1.0}',
            "counts": [("accepted", 3), ("rejected", 1)],
        },
    ]


@pytest.mark.step("D8")
def test_a_state_that_cannot_be_logged_did_not_leave(tmp_path: Path) -> None:
    class FullDisk(Folder):
        def write(self, name: str, content: bytes | memoryview) -> None:
            raise StorageError("No space left on device")

    log = StateLog(FullDisk(tmp_path / "results-folder"), RUN_ID)
    with pytest.raises(StorageError):
        log.append(b"{}", 1, Books(), NOW)
    assert log.emitted_count == 0
