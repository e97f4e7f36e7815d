"""Ids in the form of UUID version 7: ordered by time, made from the seed alone."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from hashlib import blake2b
from typing import overload

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_INDEX_BITS = 20  # a list holds far fewer than a million entries


def is_uuid(text: str) -> bool:
    """Whether the text has the form of a UUID."""
    return _UUID.fullmatch(text) is not None


def draw(*parts: object) -> bytes:
    """Thirty-two bytes that depend on the parts alone."""
    return blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=32).digest()


def uuid7(time_ms: int, counter: int, low_bits: int) -> str:
    """A version 7 UUID from a time, a 12-bit counter and 62 further bits."""
    number = (time_ms & (2**48 - 1)) << 80 | 7 << 76 | (counter & 0xFFF) << 64 | 2 << 62 | low_bits & (2**62 - 1)
    return str(uuid.UUID(int=number))


class IdMaker:
    """Makes ids that always rise, also within one millisecond and when the clock goes back."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made = 0
        self._tick = 0  # milliseconds and counter in one number

    def make(self, now_s: float) -> str:
        """The next id."""
        self._made += 1
        self._tick = max(int(now_s * 1000) << 12, self._tick + 1)
        low = int.from_bytes(draw(self._seed, "id", self._made)[:8], "big")
        return uuid7(self._tick >> 12, self._tick & 0xFFF, low)


class EntryIds(Sequence[str]):
    """The ids of a list's entries, rising with their position; made when asked for, never stored."""

    def __init__(self, list_id: str, count: int) -> None:
        self._time_ms = uuid.UUID(list_id).int >> 80
        self._tag = int.from_bytes(draw("entries", list_id)[:8], "big") >> 2 >> _INDEX_BITS << _INDEX_BITS
        self._counter = int.from_bytes(draw("entries", list_id)[8:10], "big") & 0xFFF
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return uuid7(self._time_ms, self._counter, self._tag | index)
