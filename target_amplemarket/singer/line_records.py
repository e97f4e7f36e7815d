"""Blocks of lines of which each is decoded once: what stands around a record and its members together.

This takes streams of which it is known what will be asked for, in blocks without anything odd. All else goes the other
way, envelope by envelope, and both come to the same.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from target_amplemarket.singer.envelopes import KIND_AND_STREAM, NOTHING, Envelope, open_envelope
from target_amplemarket.singer.json_faults import MAX_DEPTH, object_line_ends
from target_amplemarket.singer.lines import Line, Lines
from target_amplemarket.singer.records import (
    AT_ONCE,
    Columns,
    JsonRecords,
    Path,
    RowCodec,
    end_to_end,
    pointing_to_spans,
    row_codec,
)

Places = npt.NDArray[np.int64]

_RECORD: Final = attrgetter("record")


class LineRecords:
    """Records in the lines in which they came, with the members read that were expected to be asked for.

    Args:
        content: The lines.
        starts: Of the lines that are these records.
        ends: Of these lines, without their newlines.
        columns: What was read.
        are_messages: The lines are RECORD messages; else they are the records themselves.
    """

    __slots__ = ("_are_messages", "_columns", "_content", "_ends", "_starts")

    def __init__(
        self,
        content: bytes,
        starts: Places,
        ends: Places,
        columns: Mapping[Path, Sequence[object]],
        *,
        are_messages: bool = True,
    ) -> None:
        self._content, self._starts, self._ends, self._columns = content, starts, ends, columns
        self._are_messages = are_messages

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def raws(self) -> list[msgspec.Raw]:
        """The records alone."""
        return [self._raw(index) for index in range(len(self))]

    def columns(self, paths: Sequence[Path]) -> Columns:
        if self._columns.keys() >= set(paths):
            return Columns([self._columns[path] for path in paths])
        return JsonRecords(self.raws).columns(paths)

    def json(self, index: int) -> bytes:
        return bytes(self._raw(index))

    def kept(self) -> pa.DictionaryArray:
        kind = pa.binary() if self._are_messages else pa.string()
        return pointing_to_spans(self._content, self._starts, self._ends, kind)

    def _raw(self, index: int) -> msgspec.Raw:
        line = self._content[self._starts[index] : self._ends[index]]
        return open_envelope(line).record if self._are_messages else msgspec.Raw(line)


@dataclass(frozen=True, slots=True)
class OpenBlock:
    """The RECORDs and STATEs of a block, gathered by stream.

    Attributes:
        records: Of each stream.
        places: Of each stream's records among all of the block.
        states: How many records come before it, and value, of each STATE.
        lines: The block.
    """

    records: Mapping[str, LineRecords]
    places: Mapping[str, Places]
    states: Sequence[tuple[int, bytes]]
    lines: Lines

    @property
    def record_count(self) -> int:
        """Of all streams."""
        return sum(map(len, self.records.values()))

    def line_of(self, stream: str, index: int) -> Line:
        """The line in which a record of a stream came."""
        place = int(self.places[stream][index])
        states_before = sum(before <= place for before, _ in self.states)
        return list(self.lines)[place + states_before]


def open_block(lines: Lines, expected: Mapping[str, Sequence[Path]]) -> OpenBlock | None:
    """Read a block of RECORDs and STATEs.

    Args:
        lines: Some.
        expected: By stream, the members that will be asked for: at least one of each stream.

    Returns:
        None where some line is of another kind or of another stream, or needs a closer look: it is blank or broken, or
        perhaps nested too deep.
    """
    ends = object_line_ends(lines, MAX_DEPTH) if expected else None
    if ends is None:
        return None
    starts, opening = _starts(ends), _Opening(expected)
    with contextlib.suppress(*_ODD):
        for first, rows in _decoded(lines, starts, ends, opening.decode):
            opening.take(rows, first)
        return opening.block(lines, starts, ends)
    return None


def open_records(lines: Lines, stream: str, paths: Sequence[Path]) -> OpenBlock | None:
    """The same of lines that are the records of one stream, without messages around them."""
    ends = object_line_ends(lines, MAX_DEPTH - 1) if paths and lines.content else None
    if ends is None:
        return None
    codec = row_codec(tuple(dict.fromkeys(path[0] for path in paths)))
    starts, part = _starts(ends), _Part(paths, codec)
    with contextlib.suppress(*_ODD):
        for first, rows in _decoded(lines, starts, ends, codec.decoder.decode_lines):
            part.add(rows, np.arange(first, first + len(rows)))
        records = LineRecords(lines.content, starts, ends, part.columns(), are_messages=False)
        return OpenBlock({stream: records}, {stream: part.line_nos}, [], lines)
    return None


_ODD: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, KeyError, AttributeError)
"""What is raised where a line needs a closer look."""


def _starts(ends: Places) -> Places:
    return np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])


def _decoded(
    lines: Lines, starts: Places, ends: Places, decode_lines: Callable[[memoryview], list[Any]]
) -> Iterator[tuple[int, list[Any]]]:
    """Some lines at a time, with the place of the first of them."""
    view = memoryview(lines.content)
    for first in range(0, len(ends), AT_ONCE):
        last = min(first + AT_ONCE, len(ends)) - 1
        rows = decode_lines(view[starts[first] : ends[last]])
        if len(rows) != last - first + 1:
            raise KeyError
        yield first, rows


class _Part:
    """What was read of one stream.

    Args:
        paths: Members to read.
        codec: How.
    """

    def __init__(self, paths: Sequence[Path], codec: RowCodec) -> None:
        self._paths, self._codec = paths, codec
        self._line_nos: list[Places] = []
        self._waiting: list[Any] = []
        self._pieces: list[list[Sequence[object]]] = []

    def add(self, records: Sequence[Any], line_nos: Places) -> None:
        self._line_nos.append(line_nos)
        self._waiting += records
        if len(self._waiting) >= AT_ONCE:
            self._read()

    @property
    def has_any(self) -> bool:
        return bool(self._line_nos)

    @property
    def line_nos(self) -> Places:
        """Places of its lines among all lines."""
        return np.concatenate(self._line_nos)

    def columns(self) -> dict[Path, Sequence[object]]:
        """Values by path."""
        self._read()
        return {path: end_to_end([piece[n] for piece in self._pieces]) for n, path in enumerate(self._paths)}

    def _read(self) -> None:
        if self._waiting:
            self._pieces.append(self._codec.columns(self._waiting, self._paths))
            self._waiting = []


class _Opening:
    """Takes decoded lines, some at a time, in their order."""

    def __init__(self, expected: Mapping[str, Sequence[Path]]) -> None:
        names = tuple(dict.fromkeys(path[0] for paths in expected.values() for path in paths))
        codec = row_codec(names)
        self.decode = _line_decoder(names)
        self._parts = {stream: _Part(paths, codec) for stream, paths in expected.items()}
        self._states: list[tuple[int, bytes]] = []

    def take(self, rows: Sequence[Any], first: int) -> None:
        """Take the lines from the place `first` on.

        Raises:
            KeyError: One of them needs a closer look.
        """
        [(kind, stream), *others] = set(map(KIND_AND_STREAM, rows))
        if kind == "RECORD" and not others:
            self._parts[stream].add(list(map(_RECORD, rows)), np.arange(first, first + len(rows)))
            return
        places: dict[str, list[int]] = {}
        for index, row in enumerate(rows):
            if row.type == "RECORD":
                places.setdefault(row.stream, []).append(index)
            elif row.type == "STATE" and row.value is not NOTHING:
                self._states.append((first + index, bytes(row.value)))
            else:
                raise KeyError
        for name, indexes in places.items():
            self._parts[name].add([rows[index].record for index in indexes], np.array(indexes, np.int64) + first)

    def block(self, lines: Lines, starts: Places, ends: Places) -> OpenBlock:
        """All that was taken.

        Raises:
            AttributeError: A RECORD has no record.
        """
        states_at = np.array([place for place, _ in self._states], np.int64)
        records, places = {}, {}
        for stream, part in self._parts.items():
            if part.has_any:
                at = part.line_nos
                records[stream] = LineRecords(lines.content, starts[at], ends[at], part.columns())
                places[stream] = at - np.searchsorted(states_at, at)
        states = [(place - before, value) for before, (place, value) in enumerate(self._states)]
        return OpenBlock(records, places, states, lines)


@functools.lru_cache(maxsize=64)
def _line_decoder(names: tuple[str, ...]) -> Any:
    row = row_codec(names).row
    line = msgspec.defstruct("Line", [("record", row | None, None)], bases=(Envelope,), gc=False)
    return msgspec.json.Decoder(line).decode_lines
