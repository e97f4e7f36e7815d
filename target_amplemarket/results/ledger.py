"""The ledger of who was sent: no second store, but the fingerprint columns of all accepted rows and the outbox."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

import pyarrow.compute as pc

from target_amplemarket.delivery.outbox import OutboxEntry
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.people import IDENTITY_COLUMNS, Known, People
from target_amplemarket.leads.tables import Status
from target_amplemarket.results.reader import run_ids, run_tables
from target_amplemarket.storage.durable import Folder

_KEY_NAME: Final = "key"
_KEY_BYTES: Final = 32


def folder_key(folder: Folder) -> bytes:
    """The 32 random bytes that key every fingerprint in this folder; made when the folder is new.

    Raises:
        StorageError: The key is damaged, or cannot be written.
    """
    key = folder.read(_KEY_NAME)
    if key is None:
        if run_ids(folder.path) or folder.names("outbox/*"):
            raise StorageError(f"{folder.path / _KEY_NAME} is missing: who was sent cannot be told; restore the file")
        key = secrets.token_bytes(_KEY_BYTES)
        folder.write(_KEY_NAME, key)
    if len(key) != _KEY_BYTES:
        raise StorageError(f"{folder.path / _KEY_NAME} is damaged; restore the file")
    return key


def known_people(folder: Folder, unsettled: Iterable[OutboxEntry], *, by_version: bool) -> People:
    """Everybody whom earlier runs sent, or whose list is held; sent counts where a person is both.

    Args:
        folder: The results folder.
        unsettled: Lists whose outcome is not recorded.
        by_version: Compare versions of records (`append-only`) instead of persons.

    Raises:
        StorageError: A result file cannot be read.
    """
    people = People(by_version=by_version)
    names = ["status", *IDENTITY_COLUMNS, "version_fingerprint"]
    for run_id in run_ids(folder.path):
        for rows in run_tables(folder.path, run_id, columns=names):
            people.remember(rows.filter(pc.equal(rows.column("status"), Status.ACCEPTED.value)), Known.SENT)
    for entry in unsettled:
        people.remember(entry.leads, Known.HELD)
    return people
