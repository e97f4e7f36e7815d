"""Dropping what is personal of old result rows; fingerprints stay, so nobody becomes a stranger."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.clock import Clock, SystemClock
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import SettingsError, StorageError
from target_amplemarket.results.reader import read_file
from target_amplemarket.results.schema import RESULTS
from target_amplemarket.storage.arrow import NO_TEXT, arrow_file
from target_amplemarket.storage.durable import Folder, System
from target_amplemarket.storage.lock import locked

PERSONAL: Final = ("record", "record_key")
"""What names somebody without the folder's key; the rest of a row counts, links, or is a keyed fingerprint."""

_AGE: Final = re.compile(r"(\d{1,5})d")


class Purged(msgspec.Struct, frozen=True):
    """What was changed.

    Attributes:
        rows: Rows that lost record and key.
        files: Files in which they are.
        removed_files: Reports of runs that old, removed as a whole.
        lists_kept: Lists without an outcome that old: their leads stay until `reconcile` or `resolve` settles them.
    """

    rows: int
    files: int
    removed_files: int
    lists_kept: int


def cutoff_of(text: str, now: datetime) -> datetime:
    """The moment before which rows are old.

    Args:
        text: Days, as `90d`, or a date, as `2026-01-31` (its begin, UTC).
        now: UTC.

    Raises:
        SettingsError: It is neither, or lies in the future.
    """
    if age := _AGE.fullmatch(text):
        return now - timedelta(days=int(age[1]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError("--older-than takes days, as 90d, or a date, as 2026-01-31") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise SettingsError("--older-than is in the future: nothing was changed")
    return moment


def purge_in(path: Path, cutoff: datetime, *, clock: Clock | None = None, system: System | None = None) -> Purged:
    """Drop record and key of all rows that were recorded before a moment, in a folder that no run holds.

    Args:
        path: The results folder.
        cutoff: From `cutoff_of`.
        clock: The machine's own by default.
        system: The operating system's own file calls by default.

    Raises:
        FolderLocked: A run holds the folder.
        StorageError: A file cannot be read or written; what is changed is whole, and the command may be run again.
    """
    if not path.is_dir():
        raise StorageError(f"there is no results folder {path}")
    folder = Folder(path) if system is None else Folder(path, system)
    with locked(folder, clock or SystemClock()):
        folder.remove_temporary_files()
        files = rows = 0
        for name in _names_before(folder, "results/*/*.arrow", cutoff):
            if count := _purge_file(folder, name, cutoff):
                files, rows = files + 1, rows + count
        reports = _names_before(folder, "reports/*", cutoff)
        folder.remove(*reports)
        before = _run_id_of(cutoff)
        kept = sum(entry.intent.run_id < before for entry in Outbox(folder, run_id="").entries())
        return Purged(rows, files, len(reports), kept)


def _names_before(folder: Folder, pattern: str, cutoff: datetime) -> list[str]:
    """Files of runs that began before; their ids begin with the time."""
    return [name for name in folder.names(pattern) if name.split("/")[1] < _run_id_of(cutoff)]


def _run_id_of(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S%f}Z"


def _purge_file(folder: Folder, name: str, cutoff: datetime) -> int:
    columns = read_file(folder.path / name, ["recorded_at", *PERSONAL])
    has_any = pc.or_(*(pc.is_valid(columns.column(column)) for column in PERSONAL))
    is_old = pc.less(columns.column("recorded_at"), pa.scalar(cutoff, pa.timestamp("us", tz="UTC")))
    chosen = pc.and_(has_any, is_old)
    count = int(pc.sum(chosen).as_py() or 0)
    if count:
        rows = read_file(folder.path / name)
        for column in PERSONAL:
            kept = pc.if_else(chosen, NO_TEXT, rows.column(column))
            rows = rows.set_column(RESULTS.get_field_index(column), RESULTS.field(column), kept)
        folder.write(name, arrow_file(rows))
    return count
