"""From lines to Singer messages. Runs of RECORD lines of one stream stay together."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from target_amplemarket.errors import MalformedLine
from target_amplemarket.singer.envelopes import KIND_AND_STREAM, NOTHING, Envelope, open_envelope, open_envelopes
from target_amplemarket.singer.json_faults import (
    MAX_DEPTH,
    RecordFault,
    decoded,
    object_line_ends,
    repair,
    too_deep,
)
from target_amplemarket.singer.line_records import OpenBlock, open_block
from target_amplemarket.singer.lines import Line, Lines
from target_amplemarket.singer.records import Path


@dataclass(frozen=True, slots=True)
class Schema:
    """A SCHEMA message."""

    stream: str
    schema: dict[str, Any]
    key_properties: tuple[str, ...]
    line: Line


@dataclass(slots=True)
class RecordRun:
    """Consecutive RECORD messages of one stream, as they came; nothing of a record is decoded yet."""

    stream: str
    records: list[msgspec.Raw] = field(default_factory=list)
    lines: Sequence[Line] = field(default_factory=list)  # one a record
    faults: dict[int, RecordFault] = field(default_factory=dict)  # by index, for records that cannot become leads


@dataclass(frozen=True, slots=True)
class State:
    """A STATE message; `value` is the JSON text of the value exactly as the tap wrote it."""

    value: bytes


@dataclass(frozen=True, slots=True)
class ActivateVersion:
    """An ACTIVATE_VERSION message: there is nothing in a lead list to activate."""

    stream: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A BATCH message: files that hold records of a stream."""

    stream: str
    encoding: Mapping[str, object]
    manifest: tuple[str, ...]
    line: Line


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing arrived for a while."""


@dataclass(frozen=True, slots=True)
class Turns:
    """RECORDs whose streams take turns, or that STATEs part, in their order; worth gathering by stream."""

    messages: tuple[RecordRun | State, ...]


Message = Schema | RecordRun | OpenBlock | Turns | Batch | State | ActivateVersion | Idle

Expected = Callable[[], Mapping[str, Sequence[Path]]]
"""By stream, the members of its records that will be asked for, as far as that is known by now."""

_BRACE: Final = ord("{")


def read_messages(blocks: Iterable[Lines], counts: Counter[str], expected: Expected = dict) -> Iterator[Message]:
    """Decode lines into messages.

    Args:
        blocks: From `read_lines`.
        counts: Filled with the number of messages by type.
        expected: Asked before each block; records of these streams may come as an `OpenBlock`.

    Raises:
        MalformedLine: A line that is not a Singer message, after the messages before it were handed out.
    """
    for block in blocks:
        if not block.content:
            yield Idle()
        elif (opened := open_block(block, expected())) is not None:
            counts.update(RECORD=opened.record_count, STATE=len(opened.states))
            yield opened
        elif (envelopes := _opened_at_once(block)) is not None:
            yield from _at_once(envelopes, block, counts)
        else:
            yield from _line_by_line(block, counts)


def _opened_at_once(block: Lines) -> list[Envelope] | None:
    """One envelope a line; None where some line needs a closer look: blank, broken, or perhaps nested too deep."""
    ends = object_line_ends(block, MAX_DEPTH)
    if ends is None:
        return None
    try:
        envelopes = open_envelopes(block.content)
        is_plain = all(map(_is_plain, envelopes))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return envelopes if is_plain and len(envelopes) == len(ends) else None


def _is_plain(envelope: Envelope) -> bool:
    if envelope.type == "RECORD":
        record = envelope.record
        return record is not NOTHING and memoryview(record)[0] == _BRACE and envelope.stream is not None
    return envelope.value is not NOTHING if envelope.type == "STATE" else bool(envelope.type)


def _at_once(envelopes: list[Envelope], block: Lines, counts: Counter[str]) -> Iterator[Message]:
    split = functools.cache(lambda: list(block))
    first = 0
    stretch: list[RecordRun | State] = []
    for (kind, stream), group in itertools.groupby(envelopes, key=KIND_AND_STREAM):
        some = list(group)
        counts[kind] += len(some)
        if kind == "RECORD":
            raws = [envelope.record for envelope in some]
            stretch.append(RecordRun(stream, raws, _LineSpan(split, first, len(some))))
        elif kind == "STATE":
            stretch += [State(bytes(envelope.value)) for envelope in some]
        else:
            yield from _together(stretch)
            stretch = []
            yield from (_message(envelope, split()[first + place]) for place, envelope in enumerate(some))
        first += len(some)
    yield from _together(stretch)


def _together(stretch: list[RecordRun | State]) -> Iterator[Message]:
    """As they are, unless some stream has several runs among them."""
    streams = [message.stream for message in stretch if isinstance(message, RecordRun)]
    if len(set(streams)) < len(streams):
        yield Turns(tuple(stretch))
    else:
        yield from stretch


@dataclass(frozen=True, slots=True)
class _LineSpan(Sequence[Line]):
    """Some lines of a block, which is taken apart only when one of them is asked for."""

    split: Callable[[], list[Line]]
    first: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        return self.split()[self.first : self.first + self.length][index]


def _line_by_line(block: Lines, counts: Counter[str]) -> Iterator[Message]:
    run: RecordRun | None = None
    lines: list[Line] = []
    try:
        for line in block:
            envelope, fault = _open(line)
            counts[envelope.type] += 1
            if run is not None and (envelope.type != "RECORD" or envelope.stream != run.stream):
                yield run
                run = None
            if envelope.type != "RECORD":
                yield _message(envelope, line)
                continue
            if run is None:
                lines = []
                run = RecordRun(str(envelope.stream), lines=lines)
            if fault is not None:
                run.faults[len(run.records)] = fault
            run.records.append(envelope.record)
            lines.append(line)
    except MalformedLine:
        if run is not None:
            yield run
        raise
    if run is not None:
        yield run


def _open(line: Line) -> tuple[Envelope, RecordFault | None]:
    envelope, fault = _envelope(line.content), None
    if envelope is None:
        envelope, fault = _open_repaired(line)
    if not envelope.type:
        raise _malformed(line, "a message without `type`")
    if envelope.type == "RECORD":
        fault = fault or _record_fault(envelope, line)
    return envelope, fault


def _envelope(content: bytes) -> Envelope | None:
    """None where strict JSON or a member's type says no; what the decoder says of it may hold a value."""
    try:
        return open_envelope(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _record_fault(envelope: Envelope, line: Line) -> RecordFault | None:
    if envelope.stream is None or envelope.record is NOTHING:
        raise _malformed(line, "a RECORD needs `stream` and `record`")
    if memoryview(envelope.record)[0] != _BRACE:
        return RecordFault.NOT_AN_OBJECT
    return RecordFault.NESTED_TOO_DEEP if too_deep(line.content) else None


def _open_repaired(line: Line) -> tuple[Envelope, RecordFault]:
    """A line that strict JSON refuses: taken for what it is if a lenient reader sees a RECORD in it."""
    repaired = repair(line.content)
    envelope = _envelope(repaired[0]) if repaired else None
    if repaired is None or envelope is None:
        raise _malformed(line, "this line is not JSON, or a member of it has the wrong type")
    _, fault = repaired
    if envelope.type not in {"", "RECORD"}:
        raise _malformed(line, f"a message other than a RECORD holds {fault.detail}")
    if envelope.type == "RECORD":
        fault = _record_fault(envelope, line) or fault
    return envelope, fault


def _message(envelope: Envelope, line: Line) -> Message:
    match envelope.type:
        case "STATE":
            if envelope.value is NOTHING:
                raise _malformed(line, "a STATE without `value`")
            return State(bytes(envelope.value))
        case "SCHEMA":
            return _schema(envelope, line)
        case "ACTIVATE_VERSION":
            return ActivateVersion(str(envelope.stream))
        case "BATCH":
            return _batch(envelope, line)
        case _:
            raise _malformed(line, "the `type` of this message is none of Singer's")


def _batch(envelope: Envelope, line: Line) -> Batch:
    if envelope.stream is None or envelope.encoding is None or envelope.manifest is None:
        raise _malformed(line, "a BATCH needs `stream`, `encoding` and `manifest`")
    return Batch(envelope.stream, envelope.encoding, tuple(envelope.manifest), line)


def _schema(envelope: Envelope, line: Line) -> Schema:
    if envelope.stream is None or envelope.schema is NOTHING:
        raise _malformed(line, "a SCHEMA needs `stream` and `schema`")
    if too_deep(line.content):
        raise _malformed(line, "this SCHEMA is nested deeper than 64 levels")
    schema = decoded(envelope.schema)
    if isinstance(schema, RecordFault):
        raise _malformed(line, f"this SCHEMA holds {schema.detail}")
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        raise _malformed(line, "the `schema` of this SCHEMA has no `properties`")
    return Schema(envelope.stream, schema, tuple(envelope.key_properties or ()), line)


def printable(name: str | None, *, most: int = 80) -> str:
    """A name from the input as one short line: control and other unprintable characters escaped."""
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in name or "")
    return text if len(text) <= most else text[:most] + "…"


def _malformed(line: Line, message: str) -> MalformedLine:
    return MalformedLine(message, line_no=line.line_no, byte_offset=line.byte_offset)
