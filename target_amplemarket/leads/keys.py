"""Fingerprints as numbers: 128 bits are two columns of 64, and looking one up is arithmetic on whole columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from target_amplemarket.leads.fingerprints import FINGERPRINT_BYTES

Halves = npt.NDArray[np.uint64]
Values = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

MISSING: Final = int(np.iinfo(np.int64).min)
"""The value of a key that is not known."""


class Keys(NamedTuple):
    """Fingerprints in two halves; two are the same only where both halves are."""

    high: Halves
    low: Halves

    @property
    def size(self) -> int:
        return len(self.high)

    def take(self, chosen: Places | Flags | slice) -> Keys:
        return Keys(self.high[chosen], self.low[chosen])

    def repeated(self) -> Flags:
        """Which keys may occur more than once: all that do, and those that share their high half with another."""
        ordered = np.sort(self.high)
        twice = ordered[1:] == ordered[:-1]
        if not twice.any():
            return np.zeros(self.size, np.bool_)
        return np.isin(self.high, ordered[1:][twice])


def keys_of(column: pa.FixedSizeBinaryArray) -> Keys:
    """The keys of a fingerprint column without copying; what stands under a null means nothing."""
    content = column.buffers()[1]
    if content is None or not len(column):
        return keys_of_bytes([])
    size = FINGERPRINT_BYTES // 8
    both = np.frombuffer(content, np.uint64, len(column) * size, column.offset * FINGERPRINT_BYTES).reshape(-1, size)
    return Keys(both[:, 0], both[:, 1])


def keys_of_bytes(fingerprints: Sequence[bytes]) -> Keys:
    """The keys of fingerprints given one by one."""
    both = np.frombuffer(b"".join(fingerprints), np.uint64).reshape(-1, 2)
    return Keys(both[:, 0], both[:, 1])
