"""The streams of a run: their schemas, stream maps and checks; numbering of records as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa
from singer_sdk.exceptions import MappingError

from target_amplemarket.errors import MalformedLine, MissingKey, RecordBeforeSchema, SettingsError, TargetError
from target_amplemarket.singer.json_faults import RecordFault, decoded
from target_amplemarket.singer.line_records import LineRecords
from target_amplemarket.singer.lines import Line
from target_amplemarket.singer.messages import RecordRun, Schema, printable
from target_amplemarket.singer.records import ABSENT, DictRecords, JsonRecords, Path, Records
from target_amplemarket.singer.validation import Validator, compile_validator

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Stream:
    """What is known of a stream, after stream maps."""

    name: str
    schema: Mapping[str, Any]
    key_properties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Some records of one stream, in their order.

    Attributes:
        stream: Of all of them.
        first_record_no: Number of the first.
        records: What they hold.
        faults: By index, of those that cannot become leads.
        numbers: Of each record, where others stand between them; else the rest follow on from the first.
    """

    stream: Stream
    first_record_no: int
    records: Records
    faults: Mapping[int, RecordFault] = field(default_factory=dict)
    numbers: Numbers | None = None

    @property
    def record_nos(self) -> Numbers:
        """The number of each record, ascending."""
        if self.numbers is not None:
            return self.numbers
        return np.arange(self.first_record_no, self.first_record_no + len(self.records))


class StreamMap(Protocol):
    """The part of singer-sdk's stream maps that is used here."""

    stream_alias: str
    transformed_schema: dict[str, Any]
    transformed_key_properties: Sequence[str] | None

    def transform(self, record: dict[str, Any]) -> dict[str, Any] | None: ...


class Mapper(Protocol):
    """The part of singer-sdk's `PluginMapper` that is used here."""

    stream_maps: dict[str, list[StreamMap]]

    def register_raw_stream_schema(
        self, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None: ...


class Streams:
    """All streams that have had a SCHEMA.

    Args:
        mapper: Set when stream maps or flattening are configured; records then go through it one by one.
        validate: Check each record against its stream's SCHEMA.
    """

    def __init__(self, mapper: Mapper | None = None, *, validate: bool = False) -> None:
        self._mapper = mapper
        self._validate = validate
        self._streams: dict[str, Stream] = {}
        self._validators: dict[str, Validator] = {}
        self._expected: dict[str, tuple[Path, ...]] = {}

    @property
    def maps_rows(self) -> bool:
        """Whether stream maps or flattening take records one by one, and may make others of them."""
        return self._mapper is not None

    @property
    def reads_rows(self) -> bool:
        """Whether records are read whole, for stream maps, flattening or checks."""
        return self._mapper is not None or self._validate

    def known(self, name: str) -> Stream | None:
        """The stream as its last SCHEMA declared it."""
        return self._streams.get(name)

    def register(self, message: Schema) -> None:
        """Take a SCHEMA; one that has been here before replaces its forerunner.

        Raises:
            MalformedLine: The schema cannot be used.
            SettingsError: `stream_maps` holds something that cannot be applied to it.
        """
        name, schema, keys = message.stream, message.schema, message.key_properties
        stream = Stream(name, schema, keys)
        if self._streams.get(name) != stream:
            self._expected.pop(name, None)
        self._streams[name] = stream
        if self._validate:
            self._validators[name] = compile_validator(schema, message.line)
        if self._mapper is not None:
            _register(self._mapper, message)

    def expect(self, name: str, paths: tuple[Path, ...]) -> None:
        """Say which members of a stream will be asked for, so that they are read together with its keys."""
        self._expected[name] = paths

    def expected(self, name: str) -> tuple[Path, ...] | None:
        """What `expect` said since the last SCHEMA that was news."""
        return self._expected.get(name)

    def read_with_lines(self) -> Mapping[str, tuple[Path, ...]]:
        """What is expected of each stream whose records need not be looked at one by one."""
        return {} if self.reads_rows else {name: paths for name, paths in self._expected.items() if paths}

    def blocks(self, run: RecordRun, first_record_no: int) -> Iterator[RecordBlock]:
        """Number and check the records of a run.

        Yields:
            One block, or with stream maps one for each stream that they make of this one.

        Raises:
            RecordBeforeSchema: Nothing of the run was handed out.
            MissingKey: The records before the one at fault were handed out.
        """
        stream = self._streams.get(run.stream)
        if stream is None:
            raise before_schema(run.stream, run.lines[0])
        records = self.read(run.stream, run.records)
        whole = whole_until(records, run.faults, stream.key_properties)
        raws = run.records[:whole]
        records = records if whole == len(records) else JsonRecords(raws)
        faults = self.faults(run.stream, records) | {index: f for index, f in run.faults.items() if index < whole}
        if whole and self._mapper is None:
            yield RecordBlock(stream, first_record_no, records, faults)
        elif whole and self._mapper is not None:
            rows = _rows(raws, faults)
            for stream_map in self._mapper.stream_maps[run.stream]:
                yield _mapped(stream_map, raws, rows, first_record_no, faults)
                first_record_no += whole
        if whole < len(run.records):
            raise without_key(stream, run.lines[whole])

    def read(self, name: str, raws: Sequence[msgspec.Raw]) -> JsonRecords:
        """Records of a stream, with the members that will be asked for read already."""
        records = JsonRecords(raws)
        records.columns(self._expected.get(name, ()))
        return records

    def faults(self, name: str, records: JsonRecords | LineRecords) -> dict[int, RecordFault]:
        """By index, what a check against the stream's SCHEMA finds, where records are checked."""
        return self._validators[name].faults(records.raws) if self._validate else {}


def _rows(raws: Sequence[msgspec.Raw], faults: dict[int, RecordFault]) -> list[Mapping[str, object]]:
    """The records decoded, an empty one where one has a fault; notes the faults of those that cannot be decoded."""
    rows: list[Mapping[str, object]] = []
    for index, raw in enumerate(raws):
        row = faults.get(index) or decoded(raw)
        if isinstance(row, RecordFault):
            faults[index] = row
        rows.append({} if isinstance(row, RecordFault) else row)
    return rows


def _register(mapper: Mapper, message: Schema) -> None:
    fault: TargetError
    try:
        mapper.register_raw_stream_schema(message.stream, message.schema, list(message.key_properties))
    except (MappingError, NotImplementedError):
        fault = SettingsError(f"`stream_maps` cannot be applied to stream `{printable(message.stream)}`")
    except Exception:  # a schema of a form that the mapper does not foresee makes it raise anything
        fault = _unusable(message.line)
    else:
        return
    raise fault  # here, so that what the mapper says of schema and settings does not travel along


def _unusable(line: Line) -> MalformedLine:
    message = "`stream_maps` or flattening cannot take this SCHEMA"
    return MalformedLine(message, line_no=line.line_no, byte_offset=line.byte_offset)


def before_schema(name: str, line: Line) -> RecordBeforeSchema:
    """What is wrong with records of a stream that has had no SCHEMA."""
    message = f"a RECORD of stream `{printable(name)}` before its SCHEMA"
    return RecordBeforeSchema(message, line_no=line.line_no, byte_offset=line.byte_offset)


def without_key(stream: Stream, line: Line) -> MissingKey:
    """What is wrong with a record that lacks a key property."""
    keys = ", ".join(map(printable, stream.key_properties))
    message = f"a RECORD of stream `{printable(stream.name)}` without its key ({keys})"
    return MissingKey(message, line_no=line.line_no, byte_offset=line.byte_offset)


def whole_until(records: Records, faults: Mapping[int, RecordFault], keys: tuple[str, ...]) -> int:
    """How many records from the start have all their key properties; a broken record is not asked for its key."""
    columns = records.columns([(key,) for key in keys])
    broken = columns.faults.keys() | faults.keys()
    incomplete = (
        index
        for column in columns.values
        if not isinstance(column, pa.Array) and ABSENT in column
        for index, value in enumerate(column)
        if value is ABSENT and index not in broken
    )
    return min(incomplete, default=len(records))


def _mapped(
    stream_map: StreamMap,
    raws: Sequence[msgspec.Raw],
    rows: Sequence[Mapping[str, object]],
    first_record_no: int,
    faults: Mapping[int, RecordFault],
) -> RecordBlock:
    made: list[Mapping[str, object]] = []
    all_faults = dict(faults)
    for index, row in enumerate(rows):
        outcome = row if index in faults else _transformed(stream_map, row)
        if isinstance(outcome, RecordFault):
            all_faults[index] = outcome
        made.append(row if isinstance(outcome, RecordFault) else outcome)
    keys = tuple(stream_map.transformed_key_properties or ())
    stream = Stream(stream_map.stream_alias, stream_map.transformed_schema, keys)
    originals = {index: raws[index] for index in all_faults}
    return RecordBlock(stream, first_record_no, DictRecords(made, originals), all_faults)


def _transformed(stream_map: StreamMap, row: Mapping[str, object]) -> Mapping[str, object] | RecordFault:
    try:
        outcome = stream_map.transform(dict(row))
    except Exception:  # expressions of the user's own may raise anything
        return RecordFault.STREAM_MAP_FAILED
    return RecordFault.FILTERED if outcome is None else outcome
