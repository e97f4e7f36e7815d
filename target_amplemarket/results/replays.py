"""Which records a run sent again from the results: `replays/<run_id>.arrow`, one row a record."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.errors import StorageError
from target_amplemarket.storage.arrow import arrow_file, arrow_table
from target_amplemarket.storage.durable import Folder

REPLAYS: Final = pa.schema(
    [
        pa.field("record_no", pa.int64(), nullable=False),  # in the run that replays
        pa.field("origin_run_id", pa.string(), nullable=False),  # where the record came in first
        pa.field("origin_record_no", pa.int64(), nullable=False),
        pa.field("attempt", pa.int16(), nullable=False),  # 2 when it is sent again for the first time
    ]
)
_UNIT: Final = "\x1f"
_KEYLESS: Final = "\x1e"
"""In no stream's name and no key, as JSON escapes them."""


def write_replays(folder: Folder, run_id: str, links: pa.Table) -> None:
    """Remember what a run replayed (schema `REPLAYS`).

    Raises:
        StorageError: It is not remembered; records without a key then look like new ones.
    """
    folder.write(_name(run_id), arrow_file(links))


def is_replay(path: Path, run_id: str) -> bool:
    """Whether a run sent records again from the results."""
    return (path / _name(run_id)).exists()


def read_replays(path: Path | str, run_id: str) -> pa.Table:
    """What a run replayed, empty for all other runs.

    Raises:
        StorageError: The file is damaged.
    """
    file = Path(path) / _name(run_id)
    try:
        return arrow_table(file.read_bytes(), REPLAYS)
    except FileNotFoundError:
        return REPLAYS.empty_table()
    except (OSError, ValueError):
        raise StorageError(f"{file} cannot be read; restore it from a backup") from None


def with_origins(rows: pa.Table, links: pa.Table) -> pa.Table:
    """Rows of one run with three columns more: where each record came in first, and how often it was tried."""
    positions = pc.index_in(rows.column("record_no"), value_set=links.column("record_no").combine_chunks())
    own = {
        "origin_run_id": rows.column("run_id").cast(pa.string()),
        "origin_record_no": rows.column("record_no"),
        "attempt": pa.chunked_array([pa.repeat(pa.scalar(1, pa.int16()), rows.num_rows)]),
    }
    for name, column in own.items():
        found = links.column(name).combine_chunks().take(positions)
        rows = rows.append_column(f"_{name}", pc.coalesce(found, column))
    return rows


def identities(rows: pa.Table) -> pa.ChunkedArray:
    """By what a record is known again: stream and key; without a key, the run and number under which it came first."""
    keyed = pc.binary_join_element_wise(rows.column("stream").cast(pa.string()), rows.column("record_key"), _UNIT)
    number = rows.column("_origin_record_no").cast(pa.string())
    return pc.coalesce(keyed, pc.binary_join_element_wise(_KEYLESS, rows.column("_origin_run_id"), number, _UNIT))


def _name(run_id: str) -> str:
    return f"replays/{run_id}.arrow"
