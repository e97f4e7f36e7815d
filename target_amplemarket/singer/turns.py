"""RECORDs whose streams take turns, gathered: one block for each stream in place of many, every record with its number.

What a block costs is mostly the same for ten records as for ten thousand. Records keep their numbers, so that whoever
needs the order in which they came (duplicates, ceilings, STATE) has it.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from target_amplemarket.errors import InputError
from target_amplemarket.singer.line_records import LineRecords, OpenBlock
from target_amplemarket.singer.lines import Line
from target_amplemarket.singer.messages import RecordRun, Turns
from target_amplemarket.singer.records import JsonRecords
from target_amplemarket.singer.streams import (
    Numbers,
    RecordBlock,
    Streams,
    before_schema,
    whole_until,
    without_key,
)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What some messages hold, by stream.

    Attributes:
        blocks: One for each stream.
        states: Number of the last record before it, and value, of each STATE.
        record_count: Records in all blocks; their numbers have no gaps.
        error: What ends the input right behind them.
    """

    blocks: Sequence[RecordBlock]
    states: Sequence[tuple[int, bytes]]
    record_count: int
    error: InputError | None = None


def gathered(turns: Turns, streams: Streams, first_record_no: int) -> Gathered:
    """Number and check the records as `Streams.blocks` does, each stream's in one block; for runs without stream maps.

    Args:
        turns: Messages in their order; no record of them is known to be broken.
        streams: Those that have had a SCHEMA.
        first_record_no: Number of the first record.
    """
    gathers: dict[str, _Gather] = {}
    states: list[tuple[int, bytes]] = []
    number = first_record_no
    for message in turns.messages:
        if isinstance(message, RecordRun):
            gathers.setdefault(message.stream, _Gather()).add(message, number)
            number += len(message.records)
        else:
            states.append((number - 1, message.value))
    return _whole([gather.block(name, streams) for name, gather in gathers.items()], states, first_record_no, number)


def opened(block: OpenBlock, streams: Streams, first_record_no: int) -> Gathered:
    """The same of a block whose records were gathered as they were read.

    Args:
        block: All its streams have had a SCHEMA.
        streams: Those that have had one.
        first_record_no: Number of the first record.
    """
    found = [
        _checked(name, streams, records, block.places[name] + first_record_no, functools.partial(block.line_of, name))
        for name, records in block.records.items()
    ]
    states = [(first_record_no - 1 + before, value) for before, value in block.states]
    return _whole(found, states, first_record_no, first_record_no + block.record_count)


@dataclass(frozen=True, slots=True)
class _Fault:
    record_no: int
    error: InputError


_Found = tuple[RecordBlock | None, _Fault | None]
"""What came of the records of one stream."""


def _checked(
    name: str,
    streams: Streams,
    records: JsonRecords | LineRecords,
    numbers: Numbers,
    line_of: Callable[[int], Line],
) -> _Found:
    stream = streams.known(name)
    if stream is None:
        return None, _Fault(int(numbers[0]), before_schema(name, line_of(0)))
    faults = streams.faults(name, records)
    whole, fault = whole_until(records, {}, stream.key_properties), None
    if whole < len(records):
        fault = _Fault(int(numbers[whole]), without_key(stream, line_of(whole)))
    return RecordBlock(stream, int(numbers[0]), records, faults, numbers), fault


def _whole(found: Sequence[_Found], states: Sequence[tuple[int, bytes]], first_record_no: int, beyond: int) -> Gathered:
    """What comes before the first fault, else before a number."""
    error = None
    for _, fault in found:
        if fault is not None and fault.record_no < beyond:
            beyond, error = fault.record_no, fault.error
    blocks = [_until(block, beyond) for block, _ in found if block is not None and block.first_record_no < beyond]
    return Gathered(blocks, [state for state in states if state[0] < beyond], beyond - first_record_no, error)


@dataclass(slots=True)
class _Gather:
    """Runs of one stream."""

    runs: list[RecordRun] = field(default_factory=list)
    raws: list[msgspec.Raw] = field(default_factory=list)
    first_numbers: list[int] = field(default_factory=list)  # of each run
    first_indexes: list[int] = field(default_factory=list)  # of each run

    def add(self, run: RecordRun, first_record_no: int) -> None:
        self.runs.append(run)
        self.first_numbers.append(first_record_no)
        self.first_indexes.append(len(self.raws))
        self.raws += run.records

    def block(self, name: str, streams: Streams) -> _Found:
        return _checked(name, streams, streams.read(name, self.raws), self._numbers(), self._line)

    def _numbers(self) -> Numbers:
        lengths = [len(run.records) for run in self.runs]
        shifts = np.array(self.first_numbers, np.int64) - np.array(self.first_indexes, np.int64)
        return np.arange(len(self.raws), dtype=np.int64) + np.repeat(shifts, lengths)

    def _line(self, index: int) -> Line:
        place = bisect_right(self.first_indexes, index) - 1
        line: Line = self.runs[place].lines[index - self.first_indexes[place]]
        return line


def _until(block: RecordBlock, beyond: int) -> RecordBlock:
    """The records of a block before a number."""
    count = int(np.searchsorted(block.record_nos, beyond))
    if count == len(block.records) or not isinstance(block.records, JsonRecords | LineRecords):
        return block
    faults = {index: fault for index, fault in block.faults.items() if index < count}
    return replace(
        block, records=JsonRecords(block.records.raws[:count]), faults=faults, numbers=block.record_nos[:count]
    )
