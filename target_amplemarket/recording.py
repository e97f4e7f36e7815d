"""What is durable, in the order that the promise needs: rows first, then the outbox, then whatever STATE may leave."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from target_amplemarket.clock import Clock
from target_amplemarket.delivery.deliver import AlreadyThere, Delivery, NotAdded, Part, Planned
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.leads.tables import Status
from target_amplemarket.lists.credits import Prices
from target_amplemarket.results.books import Books, ListEntry
from target_amplemarket.results.rows import RowMaker
from target_amplemarket.results.state_log import StateLog
from target_amplemarket.results.writer import ROWS_PER_FILE, ResultsWriter
from target_amplemarket.services.protocol import Accepted, Refused
from target_amplemarket.singer.watermark import Watermark

LOGGER: Final = logging.getLogger("target-amplemarket")

_STATE_EVERY_S: Final = 1.0
"""How long a STATE may wait for a newer one, unless a list was just recorded; each that leaves is a durable write."""

_ROWS_WAIT_S: Final = 2.0
"""How long result rows that go with no list may wait for a STATE that they hold back."""


@dataclass(slots=True)
class Recorder:
    """Result rows, books, outbox and STATE of a run.

    Attributes:
        alarms: For people: lists, or leads in them, that are in the account more than once.
        resent: Markers of lists that were sent again after an answer was lost.
        note_resent: Called when there is another one, so that it is known even if the run is killed.
    """

    writer: ResultsWriter
    row_maker: RowMaker
    state_log: StateLog
    outbox: Outbox
    prices: Prices
    emit: Callable[[bytes], None]
    clock: Clock
    books: Books = field(default_factory=Books)
    watermark: Watermark = field(default_factory=Watermark)
    alarms: list[str] = field(default_factory=list)
    resent: list[str] = field(default_factory=list)
    note_resent: Callable[[], None] = lambda: None
    _rows_since_s: float = 0.0
    _state_at_s: float = float("-inf")
    _last_state: bytes | None = None

    def add_rows(self, stream: str, rejections: pa.Table) -> None:
        """Rows (schema `REJECTIONS` and more) of records that go into no list; they wait to be written."""
        rows = self.row_maker.of_rejections(stream, rejections, self.clock.now())
        if not self.writer.waiting_row_count:
            self._rows_since_s = self.clock.monotonic_s()
        self.writer.add(rows)
        self.watermark.hold("rows", int(rows.column("record_no")[0].as_py()))

    def record(self, delivery: Delivery) -> pa.Table:
        """Write what came of a list, then forget its intents; returns the rows (schema `RESULTS`).

        Raises:
            StorageError: The intents are there still.
        """
        rows = self.row_maker.of_delivery(delivery, self.clock.now())
        if rows.num_rows:
            self.writer.write_list(delivery.lead_list.number, rows)
            self.books.enter(rows)
        self._enter_lists(delivery)
        for alarm in delivery.alarms:
            LOGGER.warning("%s", alarm)
        self.alarms.extend(delivery.alarms)
        if delivery.resent:
            self.resent.extend(delivery.resent)
            self.note_resent()
        for file_name in delivery.outbox_files:
            self.outbox.remove(file_name)
        return rows

    def flush_rows(self) -> None:
        """Write the rows that wait."""
        if self.writer.waiting_row_count:
            self.books.enter(self.writer.flush())
        self.watermark.release("rows")

    def flush_rows_if_due(self, now_s: float) -> None:
        """Write them if there are many, or if a STATE has waited for them for long."""
        is_waited_for = self.watermark.waits and now_s - self._rows_since_s >= _ROWS_WAIT_S
        if self.writer.waiting_row_count >= ROWS_PER_FILE or (self.writer.waiting_row_count and is_waited_for):
            self.flush_rows()

    def is_state_due(self, now_s: float) -> bool:
        """Whether the last STATE left long enough ago."""
        return now_s - self._state_at_s >= _STATE_EVERY_S

    def release_state(self) -> None:
        """Let the newest STATE leave before which every record has a durable row, if it says anything new."""
        state = self.watermark.release_state()
        if state is not None and state.value != self._last_state and not _is_empty(state.value):
            self._last_state, self._state_at_s = state.value, self.clock.monotonic_s()
            self.state_log.append(state.value, state.record_no, self.books, self.clock.now())
            self.emit(state.value)

    def _enter_lists(self, delivery: Delivery) -> None:
        for part in delivery.parts:
            if isinstance(part.outcome, (Refused, AlreadyThere, NotAdded)):
                continue
            accepted = part.outcome if isinstance(part.outcome, Accepted) else None
            key, lead_count = part.lead_list.key, part.lead_list.leads.num_rows
            worst = self.prices.worst(key.list_type, lead_count)
            self.books.enter_list(
                ListEntry(
                    name=part.lead_list.name,
                    stream=key.stream,
                    owner=key.owner,
                    list_type=key.list_type,
                    lead_count=lead_count,
                    list_id=accepted.list_id if accepted else None,
                    url=accepted.url if accepted else None,
                    status=_list_status(part).value,
                    email_credits=worst.email,
                    phone_credits=worst.phone,
                )
            )


def _list_status(part: Part) -> Status:
    if isinstance(part.outcome, Planned):
        return Status.PLANNED
    return Status.HELD if part.is_held else Status.ACCEPTED


def _is_empty(value: bytes) -> bool:
    """`{}` and `null` would wipe the bookmarks that the runner keeps."""
    return value.translate(None, b" \t\r\n") in {b"{}", b"null"}
