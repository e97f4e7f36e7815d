"""Writes a made-up CRM export: three streams of people, with dirt that is known and counted.

Nobody in it exists; see `names` for what keeps it so. The same seed gives the same bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final

from target_amplemarket.demo import rows
from target_amplemarket.demo.dirt import REPEATS, Dirt
from target_amplemarket.demo.entries import Entries, Entry


@dataclass(frozen=True, slots=True)
class SourceStream:
    """One stream of the export, kept in `<name>.jsonl`.

    `share` is its part of all records, in 27ths. `owner_expression` finds the owner's e-mail in a record, in the
    language of the SDK's stream maps.
    """

    name: str
    key_properties: tuple[str, ...]
    share: int
    owner_expression: str
    row: Callable[[Random, int, Entry], rows.Row]

    @property
    def file_name(self) -> str:
        return f"{self.name}.jsonl"


STREAMS: Final = (
    SourceStream("salesforce_contact", ("Id",), 12, "record.get('Owner_Email__c')", rows.salesforce_contact),
    SourceStream(
        "hubspot_contacts", ("id",), 8, "record['properties'].get('hubspot_owner_email')", rows.hubspot_contact
    ),
    SourceStream("warehouse_people", ("person_id",), 7, "record.get('account_owner_email')", rows.warehouse_person),
)
"""The streams in the order they are drawn in: people of an earlier one come again in a later one."""


@dataclass(frozen=True, slots=True)
class StreamExport:
    """What was written for one stream; `dirt_counts` has rows per kind, and a row may count for several."""

    name: str
    path: Path
    record_count: int
    dirt_counts: Mapping[Dirt, int]


@dataclass(frozen=True, slots=True)
class Export:
    """What was written, in the order of `STREAMS`."""

    folder: Path
    seed: int
    streams: tuple[StreamExport, ...]

    @property
    def record_count(self) -> int:
        return sum(stream.record_count for stream in self.streams)

    @property
    def repeat_count(self) -> int:
        """Rows about a person of an earlier row."""
        return sum(self.dirt_count(kind) for kind in REPEATS)

    @property
    def lead_count(self) -> int:
        """People who can become a lead, each counted once: all rows but repeats and those with nothing usable."""
        return self.record_count - self.repeat_count - self.dirt_count(Dirt.NOTHING_USABLE)

    def dirt_count(self, kind: Dirt) -> int:
        """Rows of all streams together that carry this kind of dirt."""
        return sum(stream.dirt_counts[kind] for stream in self.streams)


def write_export(folder: Path, *, seed: int = 20261122, record_count: int = 27_000) -> Export:
    """Write the export into a folder, over one that is there already.

    Args:
        folder: Created when missing. One file of JSON lines per stream of `STREAMS`, UTF-8.
        seed: The same seed and count give the same bytes.
        record_count: Rows of all streams together, split among them by `SourceStream.share`.

    Returns:
        What was written, and how many rows of each stream carry which dirt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(seed)
    entries = Entries(random)
    written = tuple(
        _write_stream(folder, stream, random, entries.of_stream(stream_record_count))
        for stream, stream_record_count in _shares(record_count)
    )
    return Export(folder=folder, seed=seed, streams=written)


def _shares(record_count: int) -> list[tuple[SourceStream, int]]:
    counts = [record_count * stream.share // sum(each.share for each in STREAMS) for stream in STREAMS[1:]]
    return list(zip(STREAMS, [record_count - sum(counts), *counts], strict=True))


def _write_stream(folder: Path, stream: SourceStream, random: Random, entries: Iterable[Entry]) -> StreamExport:
    path = folder / stream.file_name
    dirt_counts: Counter[Dirt] = Counter()
    row_no = 0
    with path.open("w", encoding="utf-8", newline="\n") as lines:
        for row_no, entry in enumerate(entries, start=1):
            dirt_counts.update(entry.dirt)
            lines.write(json.dumps(stream.row(random, row_no, entry), ensure_ascii=False) + "\n")
    counts = MappingProxyType({kind: dirt_counts[kind] for kind in Dirt})
    return StreamExport(name=stream.name, path=path, record_count=row_no, dirt_counts=counts)
