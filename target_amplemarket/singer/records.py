"""Records of one stream, read by column: only the members that are asked for are decoded."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Protocol

import msgspec
import pyarrow as pa

from target_amplemarket.singer.json_faults import RecordFault, decoded

Path = tuple[str, ...]
"""Where a value stands in a record: member names from the outside in."""

ABSENT: Final = msgspec.UNSET
"""The value of a member that a record does not have; a null is `None`."""

_MAX_PATH_DEPTH: Final = 4
_NOT_A_FIELD: Final = re.compile(r'["\\\x00-\x1f]')  # msgspec refuses such names of Struct fields


@dataclass(slots=True)
class Columns:
    """Values by column, and the records whose content could not be decoded."""

    values: list[Sequence[object]]
    faults: dict[int, RecordFault] = field(default_factory=dict)


class Records(Protocol):
    """Some records of one stream."""

    def __len__(self) -> int: ...

    def columns(self, paths: Sequence[Path]) -> Columns:
        """One sequence of values a path, each as long as the records; `ABSENT` where a record has no such member."""
        ...

    def json(self, index: int) -> bytes:
        """The record as JSON text, as it came where it came as JSON."""
        ...


@dataclass(frozen=True, slots=True)
class JsonRecords:
    """Records as they stood in their RECORD lines."""

    raws: Sequence[msgspec.Raw]

    def __len__(self) -> int:
        return len(self.raws)

    def columns(self, paths: Sequence[Path]) -> Columns:
        names = tuple(dict.fromkeys(path[0] for path in paths))
        if not names:
            return Columns([])
        decode, absent_row, columns_of = _row_codec(names)
        faults: dict[int, RecordFault] = {}
        try:
            rows = [decode(raw) for raw in self.raws]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            rows = [decoded(raw, decode) for raw in self.raws]
            faults = {index: row for index, row in enumerate(rows) if isinstance(row, RecordFault)}
            rows = [absent_row if index in faults else row for index, row in enumerate(rows)]
        tops = dict(zip(names, columns_of(rows), strict=True))
        return Columns([_walk(tops[path[0]], path[1:]) for path in paths], faults)

    def json(self, index: int) -> bytes:
        return bytes(self.raws[index])


@dataclass(frozen=True, slots=True)
class DictRecords:
    """Records that stream maps or flattening have made.

    Attributes:
        rows: One a record.
        originals: By index, records that nothing was made of, as they came.
    """

    rows: Sequence[Mapping[str, object]]
    originals: Mapping[int, msgspec.Raw] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self, paths: Sequence[Path]) -> Columns:
        return Columns([_walk([row.get(path[0], ABSENT) for row in self.rows], path[1:]) for path in paths])

    def json(self, index: int) -> bytes:
        original = self.originals.get(index)
        return json_text(self.rows[index]) if original is None else bytes(original)


@dataclass(frozen=True, slots=True)
class ArrowRecords:
    """Rows of an Arrow record batch."""

    batch: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def columns(self, paths: Sequence[Path]) -> Columns:
        return Columns([self._column(path) for path in paths])

    def _column(self, path: Path) -> Sequence[object]:
        if path[0] not in self.batch.schema.names:
            return [ABSENT] * len(self)
        return _walk(self.batch.column(path[0]).to_pylist(), path[1:])

    def json(self, index: int) -> bytes:
        return json_text(self.batch.slice(index, 1).to_pylist()[0])


def member_paths(records: Records, *, first: int) -> Iterator[Path]:
    """Paths of all members of the first records, outside in, each once, in order of appearance."""
    seen: dict[Path, None] = {}
    for index in range(min(first, len(records))):
        seen.update(dict.fromkeys(_leaves(decoded(records.json(index)), ())))
    yield from seen


def _leaves(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and len(path) < _MAX_PATH_DEPTH:
        for name, member in value.items():
            yield from _leaves(member, (*path, name))
    elif path:
        yield path


@functools.lru_cache(maxsize=64)
def _row_codec(names: tuple[str, ...]) -> tuple[Any, Any, Any]:
    """How to decode a record, what stands for one that cannot be, and how to turn rows into columns."""
    if any(_NOT_A_FIELD.search(name) for name in names):
        get_member = [_member_getter(name) for name in names]
        return (
            msgspec.json.Decoder(dict[str, Any]).decode,
            {},
            lambda rows: [list(map(get, rows)) for get in get_member],
        )
    fields = [f"member_{number}" for number in range(len(names))]
    row = msgspec.defstruct(
        "Row", [(name, Any, ABSENT) for name in fields], rename=dict(zip(fields, names, strict=True)), gc=False
    )
    get = attrgetter(*fields)

    def columns_of(rows: Sequence[object]) -> list[Sequence[object]]:
        if len(fields) == 1:
            return [list(map(get, rows))]
        return list(zip(*map(get, rows), strict=True)) or [()] * len(fields)

    return msgspec.json.Decoder(row).decode, row(), columns_of


def _member_getter(name: str) -> Callable[[Mapping[str, object]], object]:
    return lambda row: row.get(name, ABSENT)


def _walk(values: Sequence[object], path: Path) -> Sequence[object]:
    for name in path:
        values = [value.get(name, ABSENT) if isinstance(value, dict) else ABSENT for value in values]
    return values


def json_text(value: object) -> bytes:
    """JSON of a value that may hold what strict encoders refuse (stream maps and data frames make such)."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        return json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace")
