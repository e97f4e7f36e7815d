"""Which result rows somebody asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.errors import SettingsError
from target_amplemarket.leads.tables import Status

_LIST_COLUMNS: Final = ("list_id", "list_name")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Result rows by what they say; what is empty chooses nothing away.

    Attributes:
        statuses: Any of these.
        reasons: Any of these.
        streams: Any of these.
        lists: Ids, names or markers of lists.
        keys: Record keys: the JSON object as `record_key` has it, or the value of one key property.
    """

    statuses: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a status that no row has.

        Raises:
            SettingsError: There is no such status.
        """
        if unknown := set(self.statuses) - {status.value for status in Status}:
            known = ", ".join(Status)
            raise SettingsError(f"there is no status {', '.join(sorted(unknown))}; a row is one of {known}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are looked at."""
        asked = {"status": self.statuses, "reason": self.reasons, "stream": self.streams, "record_key": self.keys}
        names = [name for name, words in asked.items() if words]
        return (*names, *(_LIST_COLUMNS if self.lists else ()))

    def of(self, rows: pa.Table) -> pa.Table:
        """Those of some rows, which have the columns that are looked at."""
        for name, words in (("status", self.statuses), ("reason", self.reasons), ("stream", self.streams)):
            if words:
                rows = rows.filter(_is_any(rows.column(name), words))
        if self.lists:
            rows = rows.filter(_is_of_list(rows, self.lists))
        if self.keys:
            rows = rows.filter(_has_key(rows.column("record_key"), self.keys))
        return rows


def words(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """None, one word or several as several."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _is_any(column: pa.ChunkedArray, values: Sequence[str]) -> pa.ChunkedArray:
    return pc.is_in(column.cast(pa.string()), value_set=pa.array(values, pa.string()))


def _is_of_list(rows: pa.Table, lists: Sequence[str]) -> pa.ChunkedArray:
    names = rows.column("list_name").cast(pa.string())
    found = pc.or_(_is_any(rows.column("list_id"), lists), _is_any(names, lists))
    for marker in lists:
        found = pc.or_(found, pc.fill_null(pc.ends_with(names, f"[{marker.strip('[]').upper()}]"), False))
    return found


def _has_key(column: pa.ChunkedArray, keys: Sequence[str]) -> pa.ChunkedArray:
    found = _is_any(column, keys)
    for key in keys:
        inside = msgspec.json.encode(key).decode()[1:-1]
        may = pc.fill_null(pc.match_substring(column, inside), False)
        certain = [text for text in column.filter(may).unique().to_pylist() if key in _values(text)]
        found = pc.or_(found, _is_any(column, certain))
    return found


def _values(record_key: str) -> list[str]:
    values = msgspec.json.decode(record_key).values()
    return [value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values]
