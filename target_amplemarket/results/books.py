"""Closed books: what came in, what each record became, and whether the two meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.errors import BooksOpen

_SEPARATOR: Final = "\x1f"
"""In no status and no reason; a stream may have any name."""


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A list that the account has, or may have; or one that a dry run planned."""

    name: str
    stream: str
    owner: str
    list_type: str
    lead_count: int
    list_id: str | None
    url: str | None
    status: str
    email_credits: float = 0.0  # at worst
    phone_credits: float = 0.0  # at worst


@dataclass(slots=True)
class Books:
    """Counts of one run."""

    records: Counter[str] = field(default_factory=Counter)  # by stream
    rows: Counter[tuple[str, str, str | None]] = field(default_factory=Counter)  # by stream, status, reason
    lists: list[ListEntry] = field(default_factory=list)

    def enter(self, rows: pa.Table) -> None:
        """Count result rows that are durable now."""
        words = (rows.column(name).cast(pa.string()) for name in ("stream", "status", "reason"))
        joined = pc.binary_join_element_wise(*words, _SEPARATOR, null_handling="replace", null_replacement="")
        for entry in joined.value_counts().to_pylist():
            stream, status, reason = entry["values"].rsplit(_SEPARATOR, 2)
            self.rows[stream, status, reason or None] += entry["counts"]

    def enter_list(self, entry: ListEntry) -> None:
        """Count a list; leads that came to the same end in several calls of it are one entry."""
        for position, known in enumerate(self.lists):
            if (known.name, known.list_id, known.status) == (entry.name, entry.list_id, entry.status):
                self.lists[position] = replace(
                    entry,
                    lead_count=known.lead_count + entry.lead_count,
                    email_credits=known.email_credits + entry.email_credits,
                    phone_credits=known.phone_credits + entry.phone_credits,
                )
                return
        self.lists.append(entry)

    @property
    def record_count(self) -> int:
        """Records read."""
        return sum(self.records.values())

    @property
    def row_count(self) -> int:
        """Result rows written."""
        return sum(self.rows.values())

    def by_status(self, *, stream: str | None = None) -> dict[str, int]:
        """Rows by status, most first; of all streams or of one."""
        return _summed((status, count) for (name, status, _), count in self.rows.items() if stream in {None, name})

    def by_reason(self) -> dict[str, dict[str, int]]:
        """Rows by status, then by reason; rows without a reason are left out."""
        return {
            status: _summed((r, count) for (_, s, r), count in self.rows.items() if s == status and r is not None)
            for status in self.by_status()
        }

    def close(self) -> None:
        """Check that every record has exactly one row.

        Raises:
            BooksOpen: They do not meet.
        """
        rows: Counter[str] = Counter()
        for (stream, _, _), count in self.rows.items():
            rows[stream] += count
        if rows != self.records:
            apart = sum(rows[stream] != self.records[stream] for stream in rows.keys() | self.records.keys())
            raise BooksOpen(
                f"{self.record_count:,} records were read and {self.row_count:,} result rows written, and they do not "
                f"meet in {apart:,} of the streams; this is a fault of the program: STATE stays behind, please report "
                "it"
            )


def _summed(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    counter: Counter[str] = Counter()
    for name, count in pairs:
        counter[name] += count
    return dict(counter.most_common())
