"""What `collect` read back of a list: one file a list, one row an entry, each beside the record it came from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from target_amplemarket.errors import StorageError
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.storage.arrow import arrow_file, arrow_table
from target_amplemarket.storage.durable import Folder

ENRICHED_FOLDER: Final = "enriched"
"""Inside the results folder; it has a lock of its own, which `collect` holds."""

GONE: Final = "gone"
"""Status of a list that the API does not have any more."""

_FACTS: Final = b"list"
_WORD: Final = pa.dictionary(pa.int32(), pa.string())

ENRICHED: Final = pa.schema(
    [
        pa.field("run_id", _WORD, nullable=False),
        pa.field("stream", _WORD, nullable=False),
        pa.field("record_no", pa.int64()),
        pa.field("record_key", pa.string()),
        pa.field("matched_by", _WORD, nullable=False),
        pa.field("list_id", _WORD, nullable=False),
        pa.field("list_name", _WORD, nullable=False),
        pa.field("list_status", _WORD, nullable=False),
        pa.field("owner", _WORD),
        pa.field("entry_no", pa.int32(), nullable=False),
        *ENTRIES,
        pa.field("collected_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""Schema of every file under `enriched/`; what each column means is in docs/reference/results.md."""

ENRICHED_DESCRIPTIONS: Final = {
    "run_id": "The run that sent the list.",
    "stream": "Stream of the records in the list.",
    "record_no": "The record that the entry came from; null where that cannot be told.",
    "record_key": "Its key, a JSON object of the key properties; null without them, or where it cannot be told.",
    "matched_by": (
        "How the record was found: `service_id`, `linkedin`, `email`, `name_company`, `title_company` or `record_key` "
        "(in `data`); `nobody` or `several` where it was not."
    ),
    "list_id": "The API's id of the list.",
    "list_name": "Name of the list, with its marker.",
    "list_status": "How the list ended: `completed` or `canceled`.",
    "owner": "E-mail of the user who owns the list, as the API says.",
    "entry_no": "Place among the entries as they were read, from 0; the order is the API's and promises nothing.",
    "entry_id": "The API's id of the entry.",
    "person_id": "The API's id of the person; null where enrichment found nobody, or was not asked for.",
    "email": "E-mail: the one that was sent, or that enrichment found.",
    "email_validation_result": "`deliverable`, `risky`, `undeliverable` or `unknown`; null where it was not validated.",
    "linkedin_url": "LinkedIn profile.",
    "linkedin": "The same, as the API has it twice; how the two differ is not documented.",
    "first_name": "First name.",
    "last_name": "Last name.",
    "title": "Job title.",
    "company_name": "Company.",
    "company_domain": "Its domain.",
    "industry": "Its industry.",
    "phone_numbers": "JSON array of objects with `number`, `type` and `source`; null where none were asked for.",
    "data": "JSON object of everything else on the entry; further fields of the lead are here.",
    "collected_at": "When the list was written, UTC; rises from list to list, never twice the same.",
}


class ListFacts(msgspec.Struct, frozen=True):
    """What a file of entries says of its list, also where it holds no entry."""

    list_id: str
    list_name: str
    list_status: str
    run_id: str
    stream: str
    owner: str | None
    sent: int
    missing: int  # leads that were sent and that no entry is of
    forgotten: int  # entries left out because their people were forgotten
    collected_at: datetime


def write_enriched(folder: Folder, rows: pa.Table, facts: ListFacts) -> None:
    """Write a list durably and whole; what was there of it before is replaced.

    Args:
        folder: The folder `enriched` itself.
        rows: Schema `ENRICHED`.
        facts: Of the list.

    Raises:
        StorageError: The list counts as not collected, or as it was collected before.
    """
    marked = rows.replace_schema_metadata({_FACTS: msgspec.json.encode(facts)})
    folder.write(f"{facts.list_id}.arrow", arrow_file(marked))


def enriched_files(path: Path | str) -> list[Path]:
    """Files of the lists that were collected, in the order of their ids.

    Raises:
        StorageError: The folder cannot be listed.
    """
    folder = Path(path) / ENRICHED_FOLDER
    try:
        return sorted(file for file in folder.iterdir() if file.suffix == ".arrow")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{folder} cannot be listed: {error.strerror}; repair it, then run again") from None


def read_enriched(file: Path, columns: list[str] | None = None) -> tuple[pa.Table, ListFacts]:
    """The entries of one list and what is known of it.

    Raises:
        StorageError: The file cannot be read, or is not whole.
    """
    with _damage(file):
        rows = arrow_table(file.read_bytes(), ENRICHED, columns=columns)
        return rows.replace_schema_metadata(None), _facts(rows.schema)


def read_facts(file: Path) -> ListFacts:
    """What a file says of its list, without reading the entries.

    Raises:
        StorageError: The file cannot be read, or is cut.
    """
    with _damage(file), pa.memory_map(str(file)) as source:
        return _facts(pa.ipc.open_file(source).schema)


def _facts(schema: pa.Schema) -> ListFacts:
    return msgspec.json.decode((schema.metadata or {})[_FACTS], type=ListFacts)


@contextlib.contextmanager
def _damage(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, pa.ArrowException, msgspec.MsgspecError):
        raise StorageError(
            f"{file} cannot be read: it is damaged or not a file of entries; remove it and `collect` reads it anew"
        ) from None
