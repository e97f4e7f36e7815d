"""Records that were rejected, or held and never arrived, as Singer messages: from the results, without their source.

They are what the tap sent after stream maps, so stream maps are not applied again. Key properties are those of the
stream; its SCHEMA is what all the records together have.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.tables import Reason, Status
from target_amplemarket.results.chosen import Chosen
from target_amplemarket.results.open_rows import open_rows
from target_amplemarket.results.reader import ALL, LAST, runs_named
from target_amplemarket.results.replays import REPLAYS, write_replays
from target_amplemarket.singer.arrow_run import NO_LINE
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.messages import Message, RecordRun, Schema
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.storage.durable import Folder

PERMANENT: Final = frozenset(
    {
        Reason.REFUSED_BY_API.value,
        RecordFault.SCHEMA_VIOLATION.value,
        RecordFault.STREAM_MAP_FAILED.value,
        RecordFault.INVALID_NUMBER.value,
        RecordFault.INVALID_UNICODE.value,
        RecordFault.NESTED_TOO_DEEP.value,
        RecordFault.NOT_AN_OBJECT.value,
    }
)
"""Reasons that no change of the mapping takes away."""

_NEVER_LEADS: Final = frozenset({RecordFault.NESTED_TOO_DEEP.value, RecordFault.NOT_AN_OBJECT.value})
_COLUMNS: Final = ("stream", "status", "reason", "record_key", "list_name", "record")
_ROWS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records to send again.

    Attributes:
        run: A run id, `last`, or `all`; a newer row of any run settles a record.
        status: `rejected`, or `held`: those of lists that have turned out not to have arrived, and people who wait for
            such a list.
        reasons: Only these; naming a permanent reason asks for it.
        streams: Only these.
        include_permanent: Send what no change of the mapping can repair, too.
    """

    run: str = ALL
    status: str = Status.REJECTED.value
    reasons: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    include_permanent: bool = False

    @property
    def chosen(self) -> Chosen:
        """Rows to look at."""
        statuses = (Status.REJECTED.value,) if self.status == Status.REJECTED else (Status.REJECTED.value, self.status)
        return Chosen(statuses, self.reasons, self.streams)


@dataclass(slots=True)
class Left:
    """What is not sent again, and why."""

    permanent: Counter[str] = field(default_factory=Counter)  # by reason
    not_kept: int = 0
    held: int = 0

    def lines(self) -> Iterator[str]:
        """In words."""
        for reason, count in self.permanent.most_common():
            yield f"{count:,} not replayed: {reason} is permanent (`--include-permanent`, or `--reason {reason}`)"
        if self.not_kept:
            yield f"{self.not_kept:,} not replayed: their records were not kept (`results_record`); run the tap again"
        if self.held:
            yield f"{self.held:,} not replayed: their list is still held (`reconcile` asks, `resolve` settles by hand)"


class Replay:
    """The records that are to be sent again.

    Args:
        path: The results folder.
        selection: Which.

    Raises:
        StorageError: There is no such folder or run.
    """

    def __init__(self, path: Path, selection: Selection) -> None:
        self._path = path
        self._selection = selection
        # The run that replays must not be taken for the last one.
        self._run = (runs_named(path, LAST) or [LAST])[0] if selection.run == LAST else selection.run
        runs_named(path, self._run)
        self._links: list[pa.Table] = []
        self.left = Left()

    def messages(self, stop: StopRequest | None = None) -> Iterator[Message]:
        """SCHEMA and RECORD messages; only the records of one file are in memory.

        Raises:
            StorageError: A file cannot be read.
        """
        schemas = self._schemas()
        current: dict[str, tuple[str, ...]] = {}
        for rows in self._rows():
            for piece in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
                for stream, keys, run in _runs(piece):
                    if stop is not None and stop.signal_number is not None:
                        return
                    if current.get(stream) != keys:
                        current[stream] = keys
                        yield Schema(stream, schemas[stream], keys, NO_LINE)
                    yield run
                self._links.append(_links(pa.table(piece)))

    def record_count(self) -> int:
        """How many records `messages` would give now; what is left out is in `left`."""
        self.left = Left()
        return sum(rows.num_rows for rows in self._rows(self.left))

    def remember(self, run_id: str, record_count: int) -> None:
        """Link the rows of the run that replayed to those of the runs before.

        Args:
            run_id: Of the run.
            record_count: How many records it has read.

        Raises:
            StorageError: It is not remembered.
        """
        links = pa.concat_tables([REPLAYS.empty_table(), *self._numbered()]).slice(0, record_count)
        if links.num_rows:
            write_replays(Folder(self._path), run_id, links.combine_chunks())

    def _numbered(self) -> Iterator[pa.Table]:
        first = 1
        for links in self._links:
            numbers = pa.array(range(first, first + links.num_rows), pa.int64())
            yield links.add_column(0, REPLAYS.field("record_no"), numbers).cast(REPLAYS)
            first += links.num_rows

    def _rows(self, left: Left | None = None) -> Iterator[pa.Table]:
        left = left or Left()
        chosen = self._selection.chosen
        for rows in open_rows(self._path, run=self._run, chosen=chosen, columns=_COLUMNS):
            taken = self._taken(rows, left)
            if taken.num_rows:
                yield taken

    def _taken(self, rows: pa.Table, left: Left) -> pa.Table:
        """The rows that can be sent again."""
        is_held = _equals(rows, "status", Status.HELD)
        if self._selection.status == Status.HELD:
            waits = pc.and_(is_held, pc.is_null(rows.column("list_name")))
            left.held += _count(pc.and_(is_held, pc.invert(waits)))
            rows = rows.filter(pc.or_(waits, _equals(rows, "reason", Reason.NOT_SENT)))
        elif not (self._selection.include_permanent or self._selection.reasons):
            reasons = rows.column("reason").cast(pa.string())
            is_permanent = pc.is_in(reasons, value_set=pa.array(sorted(PERMANENT)))
            left.permanent.update(reasons.filter(is_permanent).to_pylist())
            rows = rows.filter(pc.invert(is_permanent))
        left.not_kept += rows.column("record").null_count
        return rows.filter(pc.is_valid(rows.column("record")))

    def _schemas(self) -> dict[str, dict[str, Any]]:
        schemas: dict[str, dict[str, Any]] = {}
        for rows in self._rows():
            streams = rows.column("stream").cast(pa.string()).to_pylist()
            for stream, text in zip(streams, rows.column("record").to_pylist(), strict=True):
                schema = schemas.setdefault(stream, {"type": "object", "properties": {}})
                if (value := _object(text)) is not None:
                    _declare(schema, value)
        return schemas


def singer_lines(messages: Iterator[Message]) -> Iterator[bytes]:
    """Messages as lines for any target; a record that is no object is left out, as Singer has none."""
    for message in messages:
        match message:
            case Schema(stream=stream, schema=schema, key_properties=keys):
                line = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": list(keys)}
                yield msgspec.json.encode(line) + b"\n"
            case RecordRun(stream=stream, records=records, faults=faults):
                for index, record in enumerate(records):
                    if index not in faults:
                        yield msgspec.json.encode({"type": "RECORD", "stream": stream, "record": record}) + b"\n"
            case _:  # `Replay.messages` makes no others
                pass


def _runs(piece: pa.RecordBatch) -> Iterator[tuple[str, tuple[str, ...], RecordRun]]:
    """Consecutive records of one stream and the same key properties."""
    rows = ({**row, "keys": _keys(row["record_key"])} for row in piece.to_pylist())
    for (stream, keys), group in itertools.groupby(rows, key=itemgetter("stream", "keys")):
        listed = list(group)
        yield (
            stream,
            keys,
            RecordRun(
                stream,
                [msgspec.Raw(row["record"].encode()) for row in listed],
                [NO_LINE] * len(listed),
                {
                    index: RecordFault(row["reason"])
                    for index, row in enumerate(listed)
                    if row["reason"] in _NEVER_LEADS
                },
            ),
        )


def _keys(record_key: str | None) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(record_key)) if record_key else ()


def _links(rows: pa.Table) -> pa.Table:
    return pa.table(
        {
            "origin_run_id": rows.column("_origin_run_id"),
            "origin_record_no": rows.column("_origin_record_no"),
            "attempt": pc.add(rows.column("_attempt"), pa.scalar(1, pa.int16())),
        }
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", type(None): "null"}


def _declare(schema: dict[str, Any], value: dict[str, Any]) -> None:
    """Make an object's schema allow this value."""
    for name, member in value.items():
        declared = schema.setdefault("properties", {}).setdefault(name, {"type": ["null"]})
        kind = "object" if isinstance(member, dict) else _TYPES[type(member)]
        if kind not in declared["type"]:
            declared["type"].insert(0, kind)
        if isinstance(member, dict):
            _declare(declared, member)


def _equals(rows: pa.Table, name: str, word: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(rows.column(name).cast(pa.string()), str(word)), False)  # the fill value


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)
