"""A Bloom filter: says of a key that it is certainly new, or that it may be known."""

from __future__ import annotations

from typing import Final

import numpy as np

from target_amplemarket.leads.keys import Flags, Halves, Keys, Places

_KEYS_PER_PAIR: Final = 8
"""At full load: 16 bits a key; of new keys some in a thousand are then taken for ones that may be known."""

_32: Final = np.uint64(32)
_LOWEST: Final = np.uint64(0xFFF)


class Filter:
    """The high half of a key chooses a pair of words, the low half sets four bits in each of them.

    Args:
        capacity: For how many keys it is made; more make it say `maybe` more often, and never wrong.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._words = np.zeros((capacity // _KEYS_PER_PAIR + 1, 2), np.uint64)

    def add(self, keys: Keys) -> None:
        place = self._place(keys)
        for words, bits in zip(self._words.T, _bits(keys), strict=True):
            np.bitwise_or.at(words, place, bits)

    def maybe(self, keys: Keys) -> Places:
        """Positions of the keys that may be known, in order; all others are certainly new."""
        place = self._place(keys)
        first, second = _bits(keys)
        found: Places = np.flatnonzero((self._words[:, 0][place] & first) == first)
        is_maybe: Flags = (self._words[:, 1][place[found]] & second[found]) == second[found]
        return found[is_maybe]

    def _place(self, keys: Keys) -> Places:
        return ((keys.high >> _32) * np.uint64(len(self._words)) >> _32).astype(np.intp)


def _bits(keys: Keys) -> tuple[Halves, Halves]:
    return _WAYS[keys.low & _LOWEST], _WAYS[keys.low >> np.uint64(12) & _LOWEST]


def _ways() -> Halves:
    mixed = np.arange(1 << 12, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)
    shifts = [mixed >> np.uint64(6 * bit) & np.uint64(63) for bit in range(4)]
    ways: Halves = np.bitwise_or.reduce([np.uint64(1) << shift for shift in shifts])
    return ways


_WAYS: Final = _ways()
"""To set four bits of a word; few enough to stay in the processor's first cache."""
