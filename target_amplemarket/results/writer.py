"""Result files: numbered in the run, durable before any STATE that covers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from target_amplemarket.results.schema import in_record_order
from target_amplemarket.storage.arrow import arrow_file
from target_amplemarket.storage.durable import Folder

ROWS_PER_FILE: Final = 10_000


class ResultsWriter:
    """Writes `results/<run_id>/<number>.arrow`.

    Rows of a list go into the file of the list's number at once; rows of records that go into no list are collected
    into files of their own.

    Args:
        folder: The results folder.
        run_id: Of this run.
        number: Gives the next file number; shared with the lists.
    """

    def __init__(self, folder: Folder, run_id: str, *, number: Callable[[], int]) -> None:
        self._folder = folder
        self._run_id = run_id
        self._number = number
        self._waiting: list[pa.Table] = []
        self.waiting_row_count = 0
        self._number_taken: int | None = None

    def write_list(self, number: int, rows: pa.Table) -> None:
        """Write the rows of one list durably.

        Raises:
            StorageError: The rows are not recorded.
        """
        self._folder.write(f"results/{self._run_id}/{number:06d}.arrow", arrow_file(rows))

    def add(self, rows: pa.Table) -> None:
        """Collect rows of records that go into no list."""
        self._waiting.append(rows)
        self.waiting_row_count += rows.num_rows

    def flush(self) -> pa.Table:
        """Write what is collected durably, in record order; returns it.

        Raises:
            StorageError: The rows are not recorded.
        """
        rows = in_record_order(self._waiting)
        if rows.num_rows:
            # A write that failed may have left its file all the same: the next try takes the same number.
            self._number_taken = self._number_taken or self._number()
            self.write_list(self._number_taken, rows)
        self._waiting, self.waiting_row_count, self._number_taken = [], 0, None
        return rows
