"""The ledger of who was sent: no second store, but the fingerprint columns of all accepted rows and the outbox."""

from __future__ import annotations

import functools
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.delivery.outbox import OutboxEntry
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.index import FingerprintIndex
from target_amplemarket.leads.people import Known, People, compared_columns
from target_amplemarket.leads.segments import ScratchFile
from target_amplemarket.leads.tables import Status
from target_amplemarket.results.reader import read_file, run_files, run_ids
from target_amplemarket.storage.durable import TEMPORARY_SUFFIX, Folder

_KEY_NAME: Final = "key"
_KEY_BYTES: Final = 32
_READERS: Final = 4
"""Threads; hashing and unpacking a file leave the others free to work."""

_FILES_AT_ONCE: Final = 16


def folder_key(folder: Folder) -> bytes:
    """The 32 random bytes that key every fingerprint in this folder; made when the folder is new.

    Raises:
        StorageError: The key is damaged, or cannot be written.
    """
    key = folder.read(_KEY_NAME)
    if key is None:
        if run_ids(folder.path) or folder.names("outbox/*") or folder.names("forgotten.arrow"):
            raise StorageError(f"{folder.path / _KEY_NAME} is missing: who was sent cannot be told; restore the file")
        key = secrets.token_bytes(_KEY_BYTES)
        folder.write(_KEY_NAME, key)
    if len(key) != _KEY_BYTES:
        raise StorageError(f"{folder.path / _KEY_NAME} is damaged; restore the file")
    return key


def compared_key(path: Path) -> bytes:
    """The key of a results folder, for comparing others with who was sent; any key where there is no such folder.

    Raises:
        StorageError: The key is missing or damaged.
    """
    return folder_key(Folder(path)) if path.is_dir() else secrets.token_bytes(_KEY_BYTES)


def known_people(
    folder: Folder, unsettled: Iterable[OutboxEntry], *, by_version: bool, has_ids: bool = False
) -> People:
    """Everybody whom earlier runs sent, or whose list is held; sent counts where a person is both.

    People whom the run adds are kept in scratch files of the folder: keyed fingerprints, readable by the owner only, in
    files without a name, which are gone when the process ends, however it ends.

    Args:
        folder: The results folder.
        unsettled: Lists whose outcome is not recorded.
        by_version: Compare versions of records (`append-only`) instead of persons.
        has_ids: The service knows people by ids of its own, which records can carry.

    Raises:
        StorageError: A result file cannot be read.
    """
    make_index = functools.partial(FingerprintIndex, lambda: _scratch(folder))
    people = People(by_version=by_version, has_ids=has_ids, make_index=make_index)
    for rows in _accepted(folder.path, ["status", *compared_columns(by_version=by_version)]):
        people.remember(rows, Known.SENT)
    for entry in unsettled:
        people.remember(entry.leads, Known.HELD)
    return people


def _accepted(path: Path, columns: list[str]) -> Iterator[pa.Table]:
    """Rows of all leads that were sent, some files at once, while the next ones are being read."""

    def read(file: Path) -> pa.Table:
        try:
            return read_file(file, columns)
        except FileNotFoundError:
            raise StorageError(f"{file} was removed while it was to be read; restore the results folder") from None

    files = [file.path for run_id in run_ids(path) for file in run_files(path, run_id)[0]]
    with ThreadPoolExecutor(_READERS) as readers:
        ahead: Iterator[pa.Table] = iter(())
        for start in range(0, len(files) + _FILES_AT_ONCE, _FILES_AT_ONCE):
            tables, ahead = list(ahead), readers.map(read, files[start : start + _FILES_AT_ONCE])
            if tables:
                rows = pa.concat_tables(tables)
                yield rows.filter(pc.equal(rows.column("status"), Status.ACCEPTED.value))


def _scratch(folder: Folder) -> ScratchFile:
    """A file without a name, or with one that the next run clears away where the system knows no such files."""
    return tempfile.TemporaryFile(dir=folder.path, suffix=TEMPORARY_SUFFIX, buffering=0)
