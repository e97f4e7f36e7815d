"""What earlier runs left in the outbox: every file is a question, answered before anything new is read.

Steps R1 to R4 of docs/explanation/delivery.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.clock import Clock
from target_amplemarket.delivery.deliver import Delivery, Part, alarm_text
from target_amplemarket.delivery.outbox import Outbox, OutboxEntry
from target_amplemarket.delivery.reconcile import reconcile
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.tables import Reason, Status
from target_amplemarket.lists.lead_list import GroupKey, LeadList
from target_amplemarket.results.rows import RowMaker
from target_amplemarket.results.schema import RESULTS, in_record_order
from target_amplemarket.services.protocol import Absent, Accepted, CannotAsk, Confirmation, Found, Service, Unknown
from target_amplemarket.storage.arrow import arrow_file, arrow_table
from target_amplemarket.storage.durable import Folder

LOGGER: Final = logging.getLogger("target-amplemarket")


class Verdict(StrEnum):
    """What became of a list that was left in the outbox."""

    SENT = "sent"
    ABSENT = "absent"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Recovered:
    """One list and its verdict; `alarm` is for people, where the list is in the account more than once."""

    entry: OutboxEntry
    verdict: Verdict
    list_id: str | None = None
    alarm: str | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """The effects that recovery needs."""

    folder: Folder
    outbox: Outbox
    results_record: str
    clock: Clock

    def recover(self, service: Service, stop: threading.Event, *, settle_s: float, on_unknown: str) -> list[Recovered]:
        """Settle every list in the outbox as far as the API can be asked.

        Args:
            service: Where to ask.
            stop: Once set, what is not known by then stays held.
            settle_s: Wait before asking; counted from now, since nobody knows when the last byte left.
            on_unknown: What to do with what cannot be asked: `hold`, `resend` or `assume_sent`.

        Raises:
            StorageError: The outbox or the results cannot be read or written.
        """
        entries = [entry for entry in self.outbox.entries() if not self._forget_recorded(entry)]
        if not entries:
            return []
        LOGGER.info("lists of earlier runs without a recorded answer: %s; asking in %s s", len(entries), settle_s)
        markers = [entry.intent.marker for entry in entries]
        answers = reconcile(markers, service, self.clock, stop, settle_s=settle_s)
        if stop.is_set():
            on_unknown = "hold"  # a stop is no answer: the next run asks
        return [self._settle(entry, answers[entry.intent.marker], on_unknown) for entry in entries]

    def resolve(self, entry: OutboxEntry, verdict: Verdict) -> Recovered:
        """Settle a list as a person says who has looked for it in the account: `sent` or `absent`.

        Raises:
            StorageError: The results cannot be written; the list stays held.
        """
        if verdict is Verdict.ABSENT:
            return self._free(entry)
        return self._count_as_sent(entry, Unknown("resolved"))

    def _forget_recorded(self, entry: OutboxEntry) -> bool:
        """A crash between recording a list and removing its intent: every lead has a row that says its end."""
        rows = self._rows(entry)
        is_open = pc.or_(_equals(rows, "status", Status.HELD), _equals(rows, "reason", Reason.NOT_SENT))
        if pc.any(pc.invert(_is_among(entry.leads, rows.filter(pc.invert(is_open))))).as_py():
            return False
        self.outbox.remove(entry.file_name)
        return True

    def _settle(self, entry: OutboxEntry, answer: Confirmation, on_unknown: str) -> Recovered:
        match answer:
            case Found(list_ids=list_ids, urls=urls):
                self._record(entry, Part(_lead_list(entry), Accepted(list_ids[0], urls[0], None), 1))
                alarm = alarm_text(entry.intent.marker, list_ids) if len(list_ids) > 1 else None
                return Recovered(entry, Verdict.SENT, list_ids[0], alarm)
            case Absent():
                return self._free(entry)
            case CannotAsk() if on_unknown == "resend":
                return self._free(entry)
            case CannotAsk(reason=reason) if on_unknown == "assume_sent":
                return self._count_as_sent(entry, Unknown(reason))
            case _:
                return Recovered(entry, Verdict.HELD)

    def _count_as_sent(self, entry: OutboxEntry, outcome: Unknown) -> Recovered:
        self._record(entry, Part(_lead_list(entry), outcome, 1, is_assumed_sent=True))
        return Recovered(entry, Verdict.SENT)

    def _record(self, entry: OutboxEntry, part: Part) -> None:
        """The list's rows become those of its outcome, in one rename, one row a record; then the intent goes."""
        delivery, before = Delivery(part.lead_list, [part]), self._rows(entry)
        rows = RowMaker(entry.intent.run_id, self.results_record).of_delivery(delivery, self.clock.now())
        is_other = pc.invert(_is_among(before, entry.leads))
        kept = before.filter(pc.or_(is_other, _equals(before, "status", Status.ACCEPTED)))
        self._write(entry, [kept, rows.filter(pc.invert(_is_among(rows, kept)))])
        self.outbox.remove(entry.file_name)

    def _free(self, entry: OutboxEntry) -> Recovered:
        """The list never arrived: its people are nobody's, and whoever reads their records again may send them."""
        rows = self._rows(entry)
        is_held = pc.and_(_equals(rows, "status", Status.HELD), _equals(rows, "list_name", entry.intent.name))
        held = rows.filter(is_held)
        if held.num_rows:
            self._write(entry, [rows.filter(pc.invert(is_held)), _not_sent(held, self.clock.now())])
        self.outbox.remove(entry.file_name)
        return Recovered(entry, Verdict.ABSENT)

    def _rows(self, entry: OutboxEntry) -> pa.Table:
        content = self.folder.read(_results_name(entry))
        if content is None:
            return RESULTS.empty_table()
        try:
            return arrow_table(content, RESULTS)
        except ValueError:
            raise StorageError(f"{self.folder.path / _results_name(entry)} is damaged; restore the file") from None

    def _write(self, entry: OutboxEntry, tables: Sequence[pa.Table]) -> None:
        rows = in_record_order(tables)
        self.folder.write(_results_name(entry), arrow_file(rows))


def _results_name(entry: OutboxEntry) -> str:
    return f"results/{entry.intent.run_id}/{entry.intent.number:06d}.arrow"


def _lead_list(entry: OutboxEntry) -> LeadList:
    intent = entry.intent
    base_name = intent.name.removesuffix(f" part {intent.part} [{intent.marker}]")
    key = GroupKey(intent.stream, intent.owner, intent.list_type)
    return LeadList(intent.number, intent.part, intent.marker, base_name, key, entry.leads)


def _equals(rows: pa.Table, name: str, word: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(rows.column(name).cast(pa.string()), str(word)), False)  # the fill value


def _is_among(rows: pa.Table, others: pa.Table) -> pa.ChunkedArray:
    """Which rows are about records that the others are about too."""
    return pc.is_in(rows.column("record_no"), value_set=others.column("record_no").combine_chunks())


def _not_sent(held: pa.Table, now: datetime) -> pa.Table:
    """Held rows of a list that never arrived."""
    count = held.num_rows
    replaced = {
        "status": pa.repeat(pa.scalar(Status.REJECTED.value), count),
        "reason": pa.repeat(pa.scalar(Reason.NOT_SENT.value), count),
        "detail": pa.repeat(pa.scalar("the list never arrived; a later run reads the record again"), count),
        "recorded_at": pa.array([now] * count, pa.timestamp("us", tz="UTC")),
        **{name: pa.nulls(count) for name in held.column_names if name.endswith("_fingerprint")},
    }
    for name, column in replaced.items():
        position = RESULTS.get_field_index(name)
        held = held.set_column(position, RESULTS.field(name), column.cast(RESULTS.field(name).type))
    return held
