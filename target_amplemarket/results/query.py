"""Counts and rows of results, for people and for other programs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from target_amplemarket.results.books import Books
from target_amplemarket.results.chosen import Chosen
from target_amplemarket.results.reader import chosen_tables
from target_amplemarket.results.schema import RESULTS

COUNTS: Final = pa.schema(
    [
        pa.field("stream", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("count", pa.int64(), nullable=False),
    ]
)

ROW_COLUMNS: Final = tuple(name for name in RESULTS.names if name != "record")
"""Everything but the kept record, which is there only for those who ask for values."""

SHOWN_COLUMNS: Final = ("record_no", "stream", "record_key", "status", "reason", "detail", "list_name")
"""What a terminal has room for."""


def count_rows(path: Path, *, run: str, chosen: Chosen) -> pa.Table:
    """Rows by stream, status and reason (schema `COUNTS`), most first; only one file is in memory.

    Raises:
        StorageError: A file cannot be read, or there is no such run.
    """
    books = Books()
    for table in chosen_tables(path, run=run, chosen=chosen, columns=["stream", "status", "reason"]):
        books.enter(table)
    rows = [(*words, count) for words, count in books.rows.most_common()]
    return pa.Table.from_pylist([dict(zip(COUNTS.names, row, strict=True)) for row in rows], schema=COUNTS)


def first_rows(path: Path, *, run: str, chosen: Chosen, most: int) -> tuple[pa.Table, int]:
    """The first rows, as far as a terminal takes them, and how many more there are."""
    shown: list[pa.Table] = []
    count = left = 0
    for table in chosen_tables(path, run=run, chosen=chosen, columns=SHOWN_COLUMNS):
        taken = table.slice(0, most - count)
        shown.append(taken)
        count += taken.num_rows
        left += table.num_rows - taken.num_rows
    schema = pa.schema([RESULTS.field(name) for name in SHOWN_COLUMNS])
    return pa.concat_tables([schema.empty_table(), *shown]), left


def row_schema(*, show_values: bool) -> pa.Schema:
    """The columns of rows that are written."""
    names = RESULTS.names if show_values else ROW_COLUMNS
    return pa.schema([RESULTS.field(name) for name in names])


def row_tables(path: Path, *, run: str, chosen: Chosen, show_values: bool) -> Iterator[pa.Table]:
    """The rows, a file at a time; the first is read at once, so that what cannot be read fails before a file is made.

    Raises:
        StorageError: A file cannot be read, or there is no such run.
    """
    names = row_schema(show_values=show_values).names
    tables = chosen_tables(path, run=run, chosen=chosen, columns=names)
    return itertools.chain(list(itertools.islice(tables, 1)), tables)
