"""Every STATE that left, in one Arrow file a run, durable before the line is written."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from target_amplemarket.results.books import Books
from target_amplemarket.storage.arrow import arrow_file
from target_amplemarket.storage.durable import Folder

STATES: Final = pa.schema(
    [
        pa.field("emitted_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("record_no", pa.int64(), nullable=False),  # the last record that the STATE covers
        pa.field("value", pa.string(), nullable=False),  # JSON text, as the tap wrote it
        pa.field("counts", pa.map_(pa.string(), pa.int64()), nullable=False),  # rows recorded by then, by status
    ]
)


class StateLog:
    """Writes `state/<run_id>.arrow`."""

    def __init__(self, folder: Folder, run_id: str) -> None:
        self._folder = folder
        self._name = f"state/{run_id}.arrow"
        self._rows: list[dict[str, Any]] = []

    def append(self, value: bytes, record_no: int, books: Books, now: datetime) -> None:
        """Record a STATE that is about to leave.

        Raises:
            StorageError: It may not leave.
        """
        counts = list(books.by_status().items())
        row = {"emitted_at": now, "record_no": record_no, "value": value.decode(), "counts": counts}
        rows = [*self._rows, row]
        self._folder.write(self._name, arrow_file(pa.Table.from_pylist(rows, schema=STATES)))
        self._rows = rows

    @property
    def emitted_count(self) -> int:
        """STATE lines that have left."""
        return len(self._rows)
