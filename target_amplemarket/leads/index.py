"""What is known of each fingerprint of one identity: exact, compact, and mostly answered without a look at the disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

import numpy as np

from target_amplemarket.leads.filter import Filter
from target_amplemarket.leads.keys import MISSING, Keys, Values
from target_amplemarket.leads.segments import Entries, Gathering, InMemory, OnDisk, Scratch, Segment, merged

LOGGER: Final = logging.getLogger("target-amplemarket")

_SMALLEST_FILTER: Final = 1 << 19
_PIECE: Final = 1 << 16


class FingerprintIndex:
    """From keys to values; of several values of one key the first stays.

    A value says where a key is known from, twice, plus one where it stood alone (an e-mail without a profile).

    A filter before everything lets new keys pass at a cost that does not depend on how many are known. What may be
    known is looked up in sorted segments: one for each value that was gathered before the first look, and those of what
    was added since, merged many to one as they grow and then kept in scratch files.

    Args:
        scratch: Makes a scratch file; without it everything stays in memory.
        most_in_memory: Entries that a merged segment of this run may have without going into a scratch file.
        merged_at_once: How many segments of about one size become one; a power of two.
    """

    def __init__(
        self, scratch: Scratch | None = None, *, most_in_memory: int = 1 << 15, merged_at_once: int = 16
    ) -> None:
        self._scratch = scratch
        self._most_in_memory = most_in_memory
        self._merged_at_once = merged_at_once
        self._gathered: list[tuple[int, Gathering]] = []
        self._earlier: list[tuple[int, Segment]] = []
        self._segments: list[Segment] = []
        self._filter = Filter(_SMALLEST_FILTER)
        self._count = 0

    def gather(self, keys: Keys, value: int) -> None:
        """Take keys of one value, before the first `find` or `add`; what came from elsewhere before goes first."""
        if keys.size:
            self._gathering(value).add(keys)

    def find(self, keys: Keys, *, only_alone: bool = False) -> Values:
        """The first value of each key, `MISSING` where it is not known.

        Args:
            keys: What to look up.
            only_alone: Pass over those that did not stand alone.

        Raises:
            StorageError: A scratch file cannot be read.
        """
        self._seal()
        values = np.full(keys.size, MISSING)
        maybe = self._filter.maybe(keys)
        maybe = maybe[np.argsort(keys.high[maybe])]  # one after the other in memory as on the disk
        for segment in self._searched(only_alone=only_alone) if len(maybe) else ():
            found = segment.find(keys.take(maybe))
            is_hit = found & 1 == 1 if only_alone else found != MISSING
            values[maybe[is_hit]] = found[is_hit]
            maybe = maybe[~is_hit]
            if not len(maybe):
                break
        return values

    def add(self, keys: Keys, values: Values) -> None:
        """Take new keys: distinct, and none of them known.

        Raises:
            StorageError: A scratch file cannot be read.
        """
        if not keys.size:
            return
        self._seal()
        self._segments.append(InMemory(Entries(*keys, values).ordered()))
        self._merge()
        self._count += keys.size
        if self._count > self._filter.capacity:
            self._widen(2 * self._count)
        else:
            self._filter.add(keys)

    def _gathering(self, value: int) -> Gathering:
        for known, gathering in reversed(self._gathered):
            if known == value:
                return gathering
            if known >> 1 != value >> 1:
                break
        self._gathered.append((value, Gathering()))
        return self._gathered[-1][1]

    def _seal(self) -> None:
        """Sort what was gathered."""
        if not self._gathered:
            return
        gathered, self._gathered = self._gathered, []
        while gathered:
            value, gathering = gathered.pop(0)
            segment = gathering.segment(value)
            if segment is not None:
                self._earlier.append((value, segment))
                self._count += len(segment)
        if self._count:
            self._widen(self._count + self._count // 4)

    def _searched(self, *, only_alone: bool) -> Iterator[Segment]:
        yield from (segment for value, segment in self._earlier if value & 1 or not only_alone)
        yield from self._segments

    def _merge(self) -> None:
        while (count := self._mergeable()) >= self._merged_at_once:
            parts = self._segments[-count:]
            self._segments[-count:] = [self._merged(parts)]

    def _mergeable(self) -> int:
        """How many of the last segments are no larger, more or less, than the last one."""
        bits = self._merged_at_once.bit_length() - 1
        most = 1 << -(-len(self._segments[-1]).bit_length() // bits) * bits
        sizes = (len(segment) < most for segment in reversed(self._segments))
        return next((place for place, is_small in enumerate(sizes) if not is_small), len(self._segments))

    def _merged(self, parts: list[Segment]) -> Segment:
        if self._scratch is not None and sum(map(len, parts)) > self._most_in_memory:
            try:
                return OnDisk(self._scratch(), merged(parts))
            except OSError as error:
                self._scratch = None
                LOGGER.warning("no scratch file (%s): people of this run are kept in memory", error.strerror)
        return InMemory(Entries.joined(list(merged(parts))))

    def _widen(self, capacity: int) -> None:
        self._filter = Filter(max(capacity, _SMALLEST_FILTER))
        for segment in self._searched(only_alone=False):
            for start in range(0, len(segment), _PIECE):
                self._filter.add(segment.entries(start, min(start + _PIECE, len(segment))).keys)
