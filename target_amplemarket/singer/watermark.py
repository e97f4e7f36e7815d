"""Which STATE may leave: only one before which every record is recorded, and of those the newest."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PendingState:
    """A STATE that waits for the records before it."""

    record_no: int  # of the last record read before it; 0 when it came first
    value: bytes  # JSON text, as the tap wrote it


class Watermark:
    """Knows what is still open: whoever keeps records that have no durable row yet holds the first of them.

    A holder is a lead list that is open or under way, or rows that are not written yet. The watermark stands right
    before the smallest record number that anybody holds.
    """

    def __init__(self) -> None:
        self.last_read = 0
        self._held: dict[Hashable, int] = {}
        self._waiting: deque[PendingState] = deque()

    def read(self, record_count: int) -> int:
        """Number further records; returns the number of the first of them."""
        first = self.last_read + 1
        self.last_read += record_count
        return first

    def hold(self, holder: Hashable, first_record_no: int) -> None:
        """`holder` keeps records from this number on; a later number does not replace an earlier one."""
        self._held[holder] = min(first_record_no, self._held.get(holder, first_record_no))

    def release(self, holder: Hashable) -> None:
        """All that `holder` kept has durable rows."""
        self._held.pop(holder, None)

    def take_state(self, value: bytes, record_no: int | None = None) -> None:
        """Remember a STATE; it takes the place of one that belongs to the same record.

        Args:
            value: As the tap wrote it.
            record_no: Of the last record before it, not before that of an earlier STATE; of the last one read if left
                out.
        """
        record_no = self.last_read if record_no is None else record_no
        if self._waiting and self._waiting[-1].record_no == record_no:
            self._waiting.pop()
        self._waiting.append(PendingState(record_no, value))

    @property
    def settled_until(self) -> int:
        """The record number up to which everything is recorded."""
        return min(self._held.values(), default=self.last_read + 1) - 1

    def release_state(self) -> PendingState | None:
        """The newest STATE that may leave now, if there is one; older ones are dropped with it."""
        newest, settled_until = None, self.settled_until
        while self._waiting and self._waiting[0].record_no <= settled_until:
            newest = self._waiting.popleft()
        return newest

    @property
    def waits(self) -> bool:
        """Whether a STATE waits."""
        return bool(self._waiting)
