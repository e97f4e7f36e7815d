"""Shared by the tests of this folder: reading bytes as the target reads them."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from target_amplemarket.errors import InputError
from target_amplemarket.singer.line_records import OpenBlock
from target_amplemarket.singer.lines import Line, read_lines
from target_amplemarket.singer.messages import Expected, Message, RecordRun, State, Turns, read_messages
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.singer.streams import RecordBlock, Streams

INPUTS = Path(__file__).parent / "inputs"
T = TypeVar("T")
CANARY = "canary.person@secret.example"


class NeverStop:
    """A wake that never fires, for input that is there at once."""

    signal_number: int | None = None

    def fileno(self) -> int:
        raise NotImplementedError


class Pieces(io.RawIOBase):
    """A byte source that hands out just these pieces, one a read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter([piece for piece in pieces if piece])

    def read(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")


def lines_of(*pieces: bytes) -> list[Line]:
    return [line for block in read_lines(Pieces(pieces), NeverStop(), idle_s=1) for line in block]  # type: ignore[arg-type]


def messages_of(*pieces: bytes, counts: Counter[str] | None = None, expected: Expected = dict) -> Iterator[Message]:
    lines = read_lines(Pieces(pieces), NeverStop(), idle_s=1)  # type: ignore[arg-type]
    return read_messages(lines, Counter() if counts is None else counts, expected)


def singly(messages: Iterable[Message]) -> Iterator[Message]:
    """Messages one by one, also where streams take turns."""
    for message in messages:
        yield from message.messages if isinstance(message, Turns) else (message,)


def taken_apart(block: OpenBlock) -> list[tuple[str, bytes, Line, None] | State]:
    """RECORDs (stream, record, line, no fault) and STATEs in the order of their lines."""
    lines = list(block.lines)
    came: list[Any] = [None] * len(lines)
    states_before = Counter(before for before, _ in block.states)
    shifts = list(itertools.accumulate(states_before[place] for place in range(block.record_count)))
    for stream, some in block.records.items():
        places = block.places[stream].tolist()
        assert block.line_of(stream, len(places) - 1) == lines[places[-1] + shifts[places[-1]]]
        for index, place in enumerate(places):
            assert came[place + shifts[place]] is None
            came[place + shifts[place]] = (stream, some.json(index), lines[place + shifts[place]], None)
    for number, (before, value) in enumerate(block.states):
        assert came[before + number] is None
        came[before + number] = State(value)
    return came


def blocks_of(content: bytes, streams: Streams) -> Iterator[RecordBlock]:
    """What the pipeline gets of an input, numbered as it numbers; streams that take turns are not gathered."""
    last_read = 0
    for message in singly(messages_of(content)):
        if isinstance(message, RecordRun):
            for block in streams.blocks(message, last_read + 1):
                last_read += len(block.records)
                yield block
        elif hasattr(message, "key_properties"):
            streams.register(message)


def until_fault(made: Iterable[T]) -> tuple[list[T], InputError | None]:
    """What came, and what ended it."""
    came: list[T] = []
    try:
        came.extend(made)  # keeps what came before a fault
    except InputError as error:
        return came, error
    return came, None


def with_stop(act: Callable[[StopRequest], None]) -> None:
    stop = StopRequest()
    try:
        act(stop)
    finally:
        stop.close()
