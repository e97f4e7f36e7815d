"""Reading result rows back, column-wise."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from target_amplemarket.errors import StorageError
from target_amplemarket.results.schema import RESULTS
from target_amplemarket.storage.arrow import arrow_table

LAST: Final = "last"
ALL: Final = "all"


def run_ids(path: Path | str) -> list[str]:
    """Runs that have left result rows in a results folder, oldest first.

    Raises:
        StorageError: The folder cannot be listed.
    """
    results = Path(path) / "results"
    if not os.path.lexists(results):
        return []
    return [entry.name for entry in _listed(results) if not entry.is_file(follow_symlinks=False)]


def read_results(path: Path | str, *, run: str = ALL, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the result rows of one run or of all runs.

    Args:
        path: The results folder (`results_path`).
        run: A run id, `last`, or `all`.
        columns: Names to read; all by default.

    Returns:
        An Arrow table with the schema of docs/reference/results.md, ordered by run and file; `.to_pandas()` gives a
        data frame.

    Raises:
        StorageError: A file cannot be read, or there is no such run.
    """
    if not Path(path).is_dir():
        raise StorageError(f"there is no results folder {path}")
    found = run_ids(path)
    if run not in {LAST, ALL, *found}:
        raise StorageError(f"there is no run {run} in {path}")
    chosen = found if run == ALL else found[-1:] if run == LAST else [run]
    tables = (table for run_id in chosen for table in run_tables(path, run_id, columns=columns))
    schema = pa.schema([RESULTS.field(name) for name in columns]) if columns is not None else RESULTS
    return pa.concat_tables([schema.empty_table(), *tables]).unify_dictionaries()


def run_tables(path: Path | str, run_id: str, *, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The result rows of one run that is there, file by file.

    Raises:
        StorageError: A file cannot be read.
    """
    for entry in _listed(Path(path) / "results" / run_id):
        if entry.name.endswith(".arrow"):
            yield _read(Path(entry.path), columns)


def _read(file: Path, columns: Sequence[str] | None) -> pa.Table:
    try:
        return arrow_table(file.read_bytes(), RESULTS, columns=columns)
    except (OSError, ValueError):
        raise StorageError(
            f"{file} cannot be read: it is damaged or not a result file; restore it from a backup"
        ) from None


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """Entries by name; `Path.glob` would take a folder that cannot be read for an empty one."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise StorageError(f"{folder} cannot be listed: {error.strerror}; repair the folder, then run again") from None
