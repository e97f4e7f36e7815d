"""What is about to be sent, on disk before its first byte leaves: the question a crash leaves behind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa

from target_amplemarket.errors import StorageError
from target_amplemarket.leads.kept_records import with_record_texts
from target_amplemarket.leads.tables import LEADS, OLDER_LEADS, widened, with_record_type
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.storage.arrow import arrow_file, arrow_schema, arrow_table
from target_amplemarket.storage.durable import Folder

_METADATA_KEY: Final = b"target_amplemarket"


class Intent(msgspec.Struct, frozen=True):
    """Everything about a list that its leads do not say."""

    run_id: str
    number: int
    part: int
    marker: str
    name: str
    stream: str
    owner: str
    list_type: str
    body_sha256: str


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A list decided on whose answer is not recorded."""

    file_name: str
    intent: Intent
    leads: pa.Table  # schema LEADS


class Outbox:
    """The folder `outbox/`: one file for each list under way or held."""

    def __init__(self, folder: Folder, run_id: str) -> None:
        self._folder = folder
        self._run_id = run_id

    def write(self, lead_list: LeadList, body: bytes) -> str:
        """Record the intent to send durably; only then may a byte leave. Returns the file's name.

        Raises:
            StorageError: Nothing may be sent.
        """
        intent = Intent(
            run_id=self._run_id,
            number=lead_list.number,
            part=lead_list.part,
            marker=lead_list.marker,
            name=lead_list.name,
            stream=lead_list.key.stream,
            owner=lead_list.key.owner,
            list_type=lead_list.key.list_type,
            body_sha256=hashlib.sha256(body).hexdigest(),
        )
        name = f"outbox/{lead_list.number:06d}-{lead_list.marker}.arrow"
        self._write(name, intent, lead_list.leads)
        return name

    def rewrite(self, entry: OutboxEntry, leads: pa.Table) -> None:
        """Replace the leads of an intent by the same ones with less in them, for somebody who is to be forgotten.

        The hash of the body goes: of a list of one, it would tell whether a guess at its lead is right.

        Raises:
            StorageError: The file is as it was.
        """
        self._write(entry.file_name, msgspec.structs.replace(entry.intent, body_sha256=""), leads)

    def _write(self, name: str, intent: Intent, leads: pa.Table) -> None:
        table = leads.replace_schema_metadata({_METADATA_KEY: msgspec.json.encode(intent)})
        self._folder.write(name, arrow_file(table, compression="lz4"))  # mostly gone in seconds: not its size counts

    def remove(self, file_name: str) -> None:
        """Forget an intent whose outcome is recorded."""
        self._folder.remove(file_name)

    def entries(self) -> list[OutboxEntry]:
        """All intents whose outcome is not recorded, of this run and of earlier ones.

        Raises:
            StorageError: A file cannot be read; it may hold a list that was sent.
        """
        return [self._read(name) for name in self._folder.names("outbox/*.arrow")]

    def _read(self, name: str) -> OutboxEntry:
        content = self._folder.read(name)
        try:
            table = _leads_of(content or b"")
            intent = msgspec.json.decode((table.schema.metadata or {})[_METADATA_KEY], type=Intent)
        except (ValueError, KeyError, msgspec.MsgspecError):
            raise StorageError(
                f"{self._folder.path / name} cannot be read; it may hold a list that was sent: restore the file, or "
                "look for the marker in its name among the account's lists"
            ) from None
        return OutboxEntry(name, intent, table.replace_schema_metadata(None))


def _leads_of(content: bytes) -> pa.Table:
    """The leads in a file, of an older version too, with their metadata.

    Raises:
        ValueError, KeyError: The file is cut, damaged or another one.
    """
    kept = arrow_schema(content).field("record").type
    if not pa.types.is_string(kept):
        return with_record_texts(arrow_table(content, with_record_type(LEADS, kept)))
    try:
        return arrow_table(content, LEADS)
    except ValueError:
        older = arrow_table(content, OLDER_LEADS)
        return widened(older, LEADS).replace_schema_metadata(older.schema.metadata)
