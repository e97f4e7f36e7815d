"""Reading result rows back, column-wise."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from target_amplemarket.errors import StorageError
from target_amplemarket.results.chosen import Chosen, words
from target_amplemarket.results.schema import RESULTS
from target_amplemarket.storage.arrow import arrow_table

LAST: Final = "last"
ALL: Final = "all"

_NUMBERS: Final = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?\.arrow")


def run_ids(path: Path | str) -> list[str]:
    """Runs that have left result rows in a results folder, oldest first.

    Raises:
        StorageError: The folder cannot be listed.
    """
    results = Path(path) / "results"
    if not os.path.lexists(results):
        return []
    return [entry.name for entry in _listed(results) if not entry.is_file(follow_symlinks=False)]


def read_results(
    path: Path | str,
    *,
    run: str = ALL,
    columns: Sequence[str] | None = None,
    status: str | Sequence[str] | None = None,
    reason: str | Sequence[str] | None = None,
    stream: str | Sequence[str] | None = None,
    lead_list: str | Sequence[str] | None = None,
    key: str | Sequence[str] | None = None,
) -> pa.Table:
    """Read the result rows of one run or of all runs.

    Args:
        path: The results folder (`results_path`).
        run: A run id, `last`, or `all`.
        columns: Names to read; all by default.
        status: Only rows with this status, or one of these.
        reason: The same of the reason.
        stream: The same of the stream.
        lead_list: Only rows of this list, by its id, name or marker, or of one of these.
        key: Only rows with this record key (JSON object, or the value of one key property), or one of these.

    Returns:
        An Arrow table with the schema of docs/reference/results.md, ordered by run and file; `.to_pandas()` gives a
        data frame.

    Raises:
        SettingsError: There is no such status.
        StorageError: A file cannot be read, or there is no such run.
    """
    chosen = Chosen(words(status), words(reason), words(stream), words(lead_list), words(key))
    schema = pa.schema([RESULTS.field(name) for name in columns]) if columns is not None else RESULTS
    tables = chosen_tables(path, run=run, chosen=chosen, columns=columns)
    return pa.concat_tables([schema.empty_table(), *tables]).unify_dictionaries()


def chosen_tables(
    path: Path | str, *, run: str, chosen: Chosen, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The result rows that are asked for, a file at a time: only one is in memory.

    Raises:
        StorageError: A file cannot be read, or there is no such run.
    """
    names = list(RESULTS.names if columns is None else columns)
    read = list(dict.fromkeys([*names, *chosen.columns]))
    for run_id in runs_named(path, run):
        for table in run_tables(path, run_id, read):
            yield chosen.of(table).select(names)


def runs_named(path: Path | str, run: str) -> list[str]:
    """Ids of the runs that a word means, oldest first: `last`, `all`, or an id.

    Raises:
        StorageError: There is no such folder or run.
    """
    if not Path(path).is_dir():
        raise StorageError(f"there is no results folder {path}")
    found = run_ids(path)
    if run not in {LAST, ALL, *found}:
        raise StorageError(f"there is no run {run} in {path}")
    return found if run == ALL else found[-1:] if run == LAST else [run]


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A result file by the numbers whose rows it holds: one, or all from `first` to `last` where it was compacted.

    Attributes:
        path: Where it is.
        first: Number of the first list, or file of rows that go with no list, whose rows are here.
        last: Of the last; the file stands for all files whose numbers lie between.
        byte_count: Its size.
    """

    path: Path
    first: int
    last: int
    byte_count: int

    def replaces(self, other: ResultFile) -> bool:
        """Whether the rows of the other are here, too."""
        return self.path != other.path and self.first <= other.first and other.last <= self.last


def compacted_name(first: int, last: int) -> str:
    """Name of a file that stands for those numbered from `first` to `last`."""
    return f"{first:06d}-{last:06d}.arrow"


def run_files(path: Path | str, run_id: str) -> tuple[list[ResultFile], list[ResultFile]]:
    """The result files of a run that count, in the order of their numbers, and those that others replace.

    Raises:
        StorageError: The folder cannot be listed, or holds a file that no run writes.
    """
    counting: list[ResultFile] = []
    replaced: list[ResultFile] = []
    found = [_result_file(entry) for entry in _listed(Path(path) / "results" / run_id) if entry.name.endswith(".arrow")]
    for file in sorted(found, key=lambda file: (file.first, -file.last)):  # what replaces others stands before them
        (replaced if counting and counting[-1].replaces(file) else counting).append(file)
    return counting, replaced


def read_file(file: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one result file.

    Raises:
        StorageError: It cannot be read, or is not whole.
        FileNotFoundError: It is not there any more; another file stands for it by now.
    """
    try:
        return arrow_table(file.read_bytes(), RESULTS, columns=columns)
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        raise StorageError(
            f"{file} cannot be read: it is damaged or not a result file; restore it from a backup"
        ) from None


def run_tables(path: Path | str, run_id: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The result rows of one run, a file at a time, each row once also while a run that holds the lock compacts them.

    Raises:
        StorageError: A file cannot be read.
    """
    done: list[tuple[ResultFile, int]] = []
    files = run_files(path, run_id)[0]
    while True:
        try:
            for file in files:
                if done and file.last <= done[-1][0].last:
                    continue
                # A file that was compacted meanwhile begins with the rows that were read from those it replaces.
                seen = sum(row_count for other, row_count in done if file.first <= other.first)
                table = read_file(file.path, columns)
                done.append((file, table.num_rows - seen))
                yield table.slice(seen)
            return
        except FileNotFoundError as error:
            files, before = run_files(path, run_id)[0], files
            if files == before:
                raise StorageError(f"{error.filename} cannot be read: {error.strerror}") from None


def _result_file(entry: os.DirEntry[str]) -> ResultFile:
    numbers = _NUMBERS.fullmatch(entry.name)
    if numbers is None:
        raise StorageError(f"{entry.path} is no result file; move it out of the results folder")
    first, last = numbers["first"], numbers["last"] or numbers["first"]
    try:
        return ResultFile(Path(entry.path), int(first), int(last), entry.stat().st_size)
    except FileNotFoundError:
        return ResultFile(Path(entry.path), int(first), int(last), 0)
    except OSError as error:
        raise StorageError(f"{entry.path} cannot be read: {error.strerror}") from None


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """Entries by name; `Path.glob` would take a folder that cannot be read for an empty one."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise StorageError(f"{folder} cannot be listed: {error.strerror}; repair the folder, then run again") from None
