"""Sorted segments of keys with their values: in memory, or in a file without a name."""

from __future__ import annotations

import contextlib
import mmap
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from target_amplemarket.errors import StorageError
from target_amplemarket.leads.keys import MISSING, Halves, Keys, Places, Values


class ScratchFile(Protocol):
    """A file of this process alone: unbuffered, gone when it is closed or the process dies."""

    def fileno(self) -> int: ...
    def write(self, content: memoryview, /) -> int | None: ...
    def close(self) -> None: ...


Scratch = Callable[[], ScratchFile]
Tags = npt.NDArray[np.uint8]

_ENTRY: Final = np.dtype([("high", np.uint64), ("low", np.uint64), ("value", np.int64)])
_BLOCK: Final = 16
"""Entries read from a file at once; of so many one high half is kept in memory, and of each one byte."""

_BLOCKS_AT_ONCE: Final = 1024
_PIECE: Final = 1 << 16
"""Entries that a merge holds in memory at once, more or less."""


class Entries(NamedTuple):
    """Keys and the value of each."""

    high: Halves
    low: Halves
    value: Values

    @property
    def keys(self) -> Keys:
        return Keys(self.high, self.low)

    def ordered(self) -> Entries:
        """By the high half; the order of keys that share it is of no importance."""
        return self.take(np.argsort(self.high))

    def take(self, chosen: Places | slice) -> Entries:
        return Entries(self.high[chosen], self.low[chosen], self.value[chosen])

    @staticmethod
    def joined(parts: Sequence[Entries]) -> Entries:
        high, low, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Entries(high, low, value)


class Segment(Protocol):
    """Entries in the order of their high halves; never changed."""

    def __len__(self) -> int: ...

    def find(self, keys: Keys) -> Values:
        """The value of each key, `MISSING` where it is not here; compares all 128 bits."""

    def position(self, high: int) -> int:
        """How many entries have a smaller high half."""

    def entries(self, start: int, stop: int) -> Entries:
        """Those from `start` up to `stop`."""


class InMemory:
    """A segment as arrays."""

    def __init__(self, ordered: Entries) -> None:
        self._entries = ordered

    def __len__(self) -> int:
        return len(self._entries.high)

    def find(self, keys: Keys) -> Values:
        high, low, value = self._entries
        values = np.full(keys.size, MISSING)
        at = np.searchsorted(high, keys.high)
        open_keys = np.flatnonzero(high.take(at, mode="clip") == keys.high)
        while len(open_keys):  # a second round only where two keys share a half
            is_it = low[at[open_keys]] == keys.low[open_keys]
            values[open_keys[is_it]] = value[at[open_keys[is_it]]]
            open_keys = open_keys[~is_it]
            at[open_keys] += 1
            open_keys = open_keys[at[open_keys] < len(high)]
            open_keys = open_keys[high[at[open_keys]] == keys.high[open_keys]]
        return values

    def position(self, high: int) -> int:
        return int(np.searchsorted(self._entries.high, np.uint64(high)))

    def entries(self, start: int, stop: int) -> Entries:
        return self._entries.take(slice(start, stop))


class OnDisk:
    """A segment in a scratch file, which is read for next to no key that is not in it.

    In memory are the high halves at which its blocks begin, and one byte of each low half.

    Args:
        file: An empty file, closed when the segment is no longer in use.
        pieces: The entries in order.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, file: ScratchFile, pieces: Iterator[Entries]) -> None:
        weakref.finalize(self, file.close)
        self._file = file
        self._count = 0
        fences, tags = zip(*(self._append(piece) for piece in pieces), strict=True)
        self._fences = np.concatenate(fences)
        self._tags = np.concatenate([*tags, np.zeros(-self._count % _BLOCK, np.uint8)]).reshape(-1, _BLOCK)

    def __len__(self) -> int:
        return self._count

    def find(self, keys: Keys) -> Values:
        values = np.full(keys.size, MISSING)
        block = np.searchsorted(self._fences, keys.high, "right") - 1
        tags = _tags(keys.low)[:, None]
        open_keys = np.flatnonzero(block >= 0)
        while len(open_keys):  # a second round only where entries before the block may share its first high half
            maybe = open_keys[(self._tags[block[open_keys]] == tags[open_keys]).any(axis=1)]
            for start in range(0, len(maybe), _BLOCKS_AT_ONCE):
                some = maybe[start : start + _BLOCKS_AT_ONCE]
                values[some] = self._find_in(block[some], keys.take(some))
            is_first = self._fences[block[open_keys]] == keys.high[open_keys]
            if not is_first.any():
                break
            open_keys = open_keys[is_first & (values[open_keys] == MISSING) & (block[open_keys] > 0)]
            block[open_keys] -= 1
        return values

    def position(self, high: int) -> int:
        block = max(int(np.searchsorted(self._fences, np.uint64(high), "left")) - 1, 0)
        start, stop = block * _BLOCK, min(block * _BLOCK + _BLOCK, self._count)
        return start + int(np.searchsorted(self.entries(start, stop).high, np.uint64(high)))

    def entries(self, start: int, stop: int) -> Entries:
        content = np.empty(stop - start, _ENTRY)
        self._read(_bytes(content), start)
        return Entries(content["high"], content["low"], content["value"])

    def _append(self, piece: Entries) -> tuple[Halves, Tags]:
        content = np.empty(len(piece.high), _ENTRY)
        content["high"], content["low"], content["value"] = piece
        rest = _bytes(content)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        fences = piece.high[-self._count % _BLOCK :: _BLOCK]
        self._count += len(content)
        return fences.copy(), _tags(piece.low)

    def _find_in(self, blocks: Places, keys: Keys) -> Values:
        """Look each key up in one block."""
        content = np.empty((len(blocks), _BLOCK), _ENTRY)
        rows = _bytes(content)
        size = _BLOCK * _ENTRY.itemsize
        for row, start in enumerate((blocks * _BLOCK).tolist()):
            length = min(_BLOCK, self._count - start) * _ENTRY.itemsize
            self._read(rows[row * size : row * size + length], start)
        present = blocks[:, None] * _BLOCK + np.arange(_BLOCK) < self._count
        is_it = present & (content["high"] == keys.high[:, None]) & (content["low"] == keys.low[:, None])
        return np.where(is_it.any(axis=1), content["value"][np.arange(len(blocks)), is_it.argmax(axis=1)], MISSING)

    def _read(self, into: memoryview, start: int) -> None:
        try:
            length = os.preadv(self._file.fileno(), [into], start * _ENTRY.itemsize)
        except OSError as error:
            raise StorageError(f"a scratch file cannot be read: {error.strerror}; repair the disk") from None
        if length != len(into):
            raise StorageError("a scratch file was cut; repair the disk, then run again")


def _tags(low: Halves) -> Tags:
    """The highest byte, of which the filter makes no use."""
    return (low >> np.uint64(56)).astype(np.uint8)


def _bytes(content: npt.NDArray[np.void]) -> memoryview:
    return content.reshape(-1).view(np.uint8).data


class Gathering:
    """Keys that all have one value, gathered piece by piece, then sorted with little more memory than they take."""

    def __init__(self, chunk_keys: int = 1 << 20) -> None:
        self._chunk_keys = chunk_keys
        self._chunks: list[_Chunk] = []

    def add(self, keys: Keys) -> None:
        while keys.size:
            if not self._chunks or self._chunks[-1].count == self._chunk_keys:
                self._chunks.append(_Chunk(self._chunk_keys))
            room = self._chunk_keys - self._chunks[-1].count
            self._chunks[-1].fill(Keys(keys.high[:room], keys.low[:room]))
            keys = Keys(keys.high[room:], keys.low[room:])
            if self._chunks[-1].count == self._chunk_keys:
                self._chunks[-1].sort()

    def segment(self, value: int) -> InMemory | None:
        """All keys with this value; nothing is left here. None where there are none."""
        chunks, self._chunks = self._chunks, []
        if not chunks:
            return None
        chunks[-1].sort()
        keys = chunks[0].keys if len(chunks) == 1 else _merged_chunks(chunks)
        return InMemory(Entries(keys.high, keys.low, np.broadcast_to(np.int64(value), keys.size)))


class _Chunk:
    """Room for keys whose pages are given back one by one."""

    def __init__(self, capacity: int) -> None:
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._pages = [mmap.mmap(-1, capacity * 8, flags=private) for _ in range(2)]
        self._room = Keys(*(np.frombuffer(pages, np.uint64) for pages in self._pages))
        self.count = 0

    @property
    def keys(self) -> Keys:
        return Keys(self._room.high[: self.count], self._room.low[: self.count])

    def fill(self, keys: Keys) -> None:
        stop = self.count + keys.size
        self._room.high[self.count : stop], self._room.low[self.count : stop] = keys
        self.count = stop

    def sort(self) -> None:
        order = np.argsort(self.keys.high)
        for half in self.keys:
            half[:] = half[order]

    def release(self, stop: int) -> None:
        """Give back the memory of the keys before `stop`."""
        length = stop * 8 // mmap.PAGESIZE * mmap.PAGESIZE
        for pages in self._pages if length else ():
            with contextlib.suppress(OSError):  # memory that stays is no fault
                pages.madvise(mmap.MADV_DONTNEED, 0, length)


def _merged_chunks(chunks: Sequence[_Chunk]) -> Keys:
    count = sum(chunk.count for chunk in chunks)
    merged, done = Keys(np.empty(count, np.uint64), np.empty(count, np.uint64)), 0
    starts = [0] * len(chunks)
    for bound in _bounds(count):
        stops = [chunk.count if bound is None else int(np.searchsorted(chunk.keys.high, bound)) for chunk in chunks]
        parts = [chunk.keys.take(slice(*ends)) for chunk, *ends in zip(chunks, starts, stops, strict=True)]
        high, low = (np.concatenate(halves) for halves in zip(*parts, strict=True))
        order = np.argsort(high)
        merged.high[done : done + len(order)], merged.low[done : done + len(order)] = high[order], low[order]
        starts, done = stops, done + len(order)
        for chunk, stop in zip(chunks, stops, strict=True):
            chunk.release(stop)
    return merged


def merged(segments: Sequence[Segment]) -> Iterator[Entries]:
    """All entries of some segments in order, piece by piece."""
    starts = [0] * len(segments)
    for bound in _bounds(sum(map(len, segments))):
        stops = [len(segment) if bound is None else segment.position(int(bound)) for segment in segments]
        ends = zip(segments, starts, stops, strict=True)
        yield Entries.joined([segment.entries(start, stop) for segment, start, stop in ends]).ordered()
        starts = stops


def _bounds(count: int) -> list[np.uint64 | None]:
    """High halves that part so many entries into pieces, and None for the end; keys are as good as random."""
    parts = count // _PIECE + 1
    return [*(np.uint64((1 << 64) * part // parts) for part in range(1, parts)), None]
