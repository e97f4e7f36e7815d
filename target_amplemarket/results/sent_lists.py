"""The lists that the results say are in the account, and the rows of their leads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.errors import StorageError
from target_amplemarket.leads.tables import Status
from target_amplemarket.results.reader import ALL, read_file, run_files, runs_named
from target_amplemarket.storage.arrow import NO_TEXT

_COLUMNS: Final = ["stream", "status", "list_name", "list_id", "recorded_at"]
_LEAD_COLUMNS: Final = [
    "record_no",
    "record_key",
    "status",
    "list_id",
    "linkedin_fingerprint",
    "email_fingerprint",
    "title_company_fingerprint",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SentList:
    """A list that was accepted under an id.

    Attributes:
        recorded_at: When its last row was written.
        files: Where its rows were found.
    """

    list_id: str
    list_name: str
    run_id: str
    stream: str
    lead_count: int
    recorded_at: datetime
    files: tuple[Path, ...]


def sent_lists(path: Path, run: str = ALL) -> list[SentList]:
    """Lists with accepted rows, oldest first, read without the lock: also while a run is under way.

    Args:
        path: The results folder.
        run: A run id, `last`, or `all`.

    Raises:
        StorageError: A file cannot be read, or there is no such run.
    """
    return [lead_list for run_id in runs_named(path, run) for lead_list in _lists_of_run(path, run_id)]


def lead_rows(path: Path, lead_list: SentList) -> pa.Table:
    """Result rows of the leads in a list: number, key and fingerprints.

    Raises:
        StorageError: A file cannot be read.
    """

    def read(file: Path) -> pa.Table:
        rows = read_file(file, _LEAD_COLUMNS)
        return rows.filter(pc.equal(_listed_ids(rows), lead_list.list_id))

    try:
        return pa.concat_tables([read(file) for file in lead_list.files])
    except FileNotFoundError:  # a run compacted them since
        return pa.concat_tables(_of_each_file(path, lead_list.run_id, read))


def _lists_of_run(path: Path, run_id: str) -> list[SentList]:
    lists: dict[str, SentList] = {}
    for found in _of_each_file(path, run_id, lambda file: list(_lists_in(file, run_id))):
        for each in found:
            known = lists.get(each.list_id)
            lists[each.list_id] = each if known is None else _joined(known, each)
    return list(lists.values())


def _joined(one: SentList, other: SentList) -> SentList:
    return replace(
        one,
        lead_count=one.lead_count + other.lead_count,
        recorded_at=max(one.recorded_at, other.recorded_at),
        files=(*one.files, *other.files),
    )


def _of_each_file(path: Path, run_id: str, read: Callable[[Path], _T]) -> list[_T]:
    """What is read of each file of a run; from the start again where the run's files are compacted meanwhile."""
    while True:
        files = run_files(path, run_id)[0]
        try:
            return [read(file.path) for file in files]
        except FileNotFoundError as error:
            if run_files(path, run_id)[0] == files:
                raise StorageError(f"{error.filename} cannot be read: {error.strerror}") from None


def _listed_ids(rows: pa.Table) -> pa.ChunkedArray:
    """Ids of the lists that leads are in; null for everything that is no accepted row."""
    is_accepted = pc.equal(rows.column("status").cast(pa.string()), Status.ACCEPTED.value)
    return pc.if_else(is_accepted, rows.column("list_id").cast(pa.string()), NO_TEXT)


def _lists_in(file: Path, run_id: str) -> Iterator[SentList]:
    rows = read_file(file, _COLUMNS)
    ids = _listed_ids(rows)
    for list_id in ids.unique().drop_null().to_pylist():
        of_list = rows.filter(pc.equal(ids, list_id))
        yield SentList(
            list_id=list_id,
            list_name=of_list.column("list_name")[0].as_py(),
            run_id=run_id,
            stream=of_list.column("stream")[0].as_py(),
            lead_count=of_list.num_rows,
            recorded_at=pc.max(of_list.column("recorded_at")).as_py(),
            files=(file,),
        )
