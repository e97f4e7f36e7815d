"""Tombstones: who was forgotten, by keyed fingerprints alone. They block sending again; a person takes a few rows."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from target_amplemarket.errors import StorageError
from target_amplemarket.leads.fingerprints import FINGERPRINT
from target_amplemarket.storage.arrow import arrow_file, arrow_table
from target_amplemarket.storage.durable import Folder

_NAME: Final = "forgotten.arrow"

TOMBSTONES: Final = pa.schema(
    [
        pa.field("person", pa.string(), nullable=False),  # random; what was forgotten at once has one
        pa.field("identity", pa.string(), nullable=False),  # linkedin, email, title_company, record_key
        pa.field("fingerprint", FINGERPRINT, nullable=False),
        pa.field("forgotten_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


def read_tombstones(folder: Folder) -> pa.Table:
    """All tombstones, schema `TOMBSTONES`.

    Raises:
        StorageError: The file is damaged: who was forgotten cannot be told, and might be sent.
    """
    content = folder.read(_NAME)
    if content is None:
        return TOMBSTONES.empty_table()
    try:
        return arrow_table(content, TOMBSTONES)
    except ValueError:
        raise StorageError(
            f"{folder.path / _NAME} is damaged: who was forgotten cannot be told; restore the file"
        ) from None


def write_tombstones(folder: Folder, tombstones: pa.Table) -> None:
    """Replace all tombstones durably."""
    folder.write(_NAME, arrow_file(tombstones.combine_chunks()))
