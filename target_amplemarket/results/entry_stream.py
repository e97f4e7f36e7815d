"""The entries that were collected as a Singer stream, so that any warehouse target can load them.

`collected_at` rises from list to list and never comes twice, so the bookmark of a stream that is emitted list by list
is the last list's: the next call emits what was collected after it. A list that is collected again comes again, under
the same keys.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from target_amplemarket.errors import SettingsError
from target_amplemarket.results.enriched import ENRICHED, ENRICHED_DESCRIPTIONS, read_enriched, read_facts

STREAM: Final = "lead_list_entries"
KEY_PROPERTIES: Final = ("list_id", "entry_id")
REPLICATION_KEY: Final = "collected_at"
_ROWS_AT_ONCE: Final = 1_000
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class _Bookmark(msgspec.Struct):
    replication_key_value: str | None = None


class _State(msgspec.Struct):
    bookmarks: dict[str, _Bookmark] = {}


def read_bookmark(state: bytes) -> datetime:
    """Up to which moment lists were emitted, as an earlier STATE says; the beginning of time where it says nothing.

    Raises:
        SettingsError: It is no STATE of this stream.
    """
    try:
        bookmark = msgspec.json.decode(state, type=_State).bookmarks.get(STREAM)
        if bookmark is None or bookmark.replication_key_value is None:
            return datetime.min.replace(tzinfo=UTC)
        moment = datetime.fromisoformat(bookmark.replication_key_value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (msgspec.MsgspecError, ValueError):
        raise SettingsError(f"the state is not one that `collect --to-singer` wrote for `{STREAM}`") from None


class EntryStream:
    """Writes lists as Singer messages.

    Args:
        write: Takes whole lines, in order.
        bookmark: Lists that were collected up to then were emitted before.
    """

    def __init__(self, write: Callable[[bytes], None], bookmark: datetime) -> None:
        self._write = write
        self._bookmark = bookmark
        self.record_count = 0

    def begin(self) -> None:
        """Write the SCHEMA, which comes also where there is nothing to load."""
        self._write(_line(schema_message()))

    def emit(self, file: Path) -> None:
        """Write a list that was not emitted before: its records, then the STATE that covers them.

        Raises:
            StorageError: The file cannot be read.
        """
        if read_facts(file).collected_at <= self._bookmark:
            return
        rows, facts = read_enriched(file)
        for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
            self._write(b"".join(_line(_record_message(row)) for row in batch.to_pylist()))
        self.record_count += rows.num_rows
        self._bookmark = facts.collected_at
        value = {"replication_key": REPLICATION_KEY, "replication_key_value": f"{facts.collected_at:{_TIME}}"}
        self._write(_line({"type": "STATE", "value": {"bookmarks": {STREAM: value}}}))


def schema_message() -> dict[str, Any]:
    """The SCHEMA of the stream, made from the Arrow schema of the files."""
    return {
        "type": "SCHEMA",
        "stream": STREAM,
        "schema": {"type": "object", "properties": {field.name: _property(field) for field in ENRICHED}},
        "key_properties": list(KEY_PROPERTIES),
        "bookmark_properties": [REPLICATION_KEY],
    }


def _property(field: pa.Field) -> dict[str, Any]:
    declared: dict[str, Any] = {"type": "integer" if pa.types.is_integer(field.type) else "string"}
    if field.nullable:
        declared["type"] = [declared["type"], "null"]
    if pa.types.is_timestamp(field.type):
        declared["format"] = "date-time"
    return declared | {"description": ENRICHED_DESCRIPTIONS[field.name]}


def _record_message(row: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RECORD", "stream": STREAM, "record": row | {REPLICATION_KEY: f"{row[REPLICATION_KEY]:{_TIME}}"}}


def _line(message: dict[str, Any]) -> bytes:
    return msgspec.json.encode(message) + b"\n"
