"""What earlier runs left in the outbox: every file is a question, answered before anything new is read.

Steps R1 to R4 of docs/explanation/delivery.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.clock import Clock
from target_amplemarket.delivery.deliver import Delivery, Part, alarm_text, repeated_text
from target_amplemarket.delivery.outbox import Outbox, OutboxEntry
from target_amplemarket.delivery.read_back import look
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
    """One list and its verdict.

    Attributes:
        entry: What was decided on.
        verdict: Of the list; of one that holds some of its leads it is `sent`.
        list_id: Where it was found.
        alarm: For people, where the list, or somebody in it, is there more than once.
        present_count: Leads that the list holds; None where it came whole or not at all.
        entry_count: Entries that it was seen to hold, whosever they are.
    """

    entry: OutboxEntry
    verdict: Verdict
    list_id: str | None = None
    alarm: str | None = None
    present_count: int | None = None
    entry_count: int = 0

    @property
    def is_freed(self) -> bool:
        """Whether some of its leads were absent, so that whoever reads their records again may send them."""
        is_partial = self.present_count is not None and self.present_count < self.entry.leads.num_rows
        return self.verdict is Verdict.ABSENT or is_partial


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
        leads = {entry.intent.marker: entry.leads for entry in entries}
        answers = reconcile(
            leads, lambda marker: look(marker, leads[marker], service), self.clock, stop, settle_s=settle_s
        )
        if stop.is_set():
            on_unknown = "hold"  # a stop is no answer: the next run asks
        return [self._settle(entry, answers[entry.intent.marker], on_unknown) for entry in entries]

    def resolve(self, entry: OutboxEntry, verdict: Verdict, service: Service | None = None) -> Recovered:
        """Settle a list as a person says who has looked for it in the account: `sent` or `absent`.

        Where calls add to lists, one that is there may lack leads, which nobody sees by looking for its name: if it can
        be read back, it says itself whom it holds.

        Raises:
            StorageError: The results cannot be written; the list stays held.
        """
        if verdict is Verdict.ABSENT:
            return self._free(entry)
        if service is not None and service.adds_to_lists:
            found = look(entry.intent.marker, entry.leads, service)
            if isinstance(found, Found) and found.places is not None:
                return self._take_found(entry, found)
        return self._count_as_sent(entry, Unknown("resolved"))

    def _forget_recorded(self, entry: OutboxEntry) -> bool:
        """A crash between recording a list and removing its intent: every lead has a row that says its end."""
        if self._open_leads(entry, entry.leads).num_rows:
            return False
        self.outbox.remove(entry.file_name)
        return True

    def _settle(self, entry: OutboxEntry, answer: Confirmation, on_unknown: str) -> Recovered:
        match answer:
            case Found() as found:
                return self._take_found(entry, found)
            case Absent():
                return self._free(entry)
            case CannotAsk() if on_unknown == "resend":
                return self._free(entry)
            case CannotAsk(reason=reason) if on_unknown == "assume_sent":
                return self._count_as_sent(entry, Unknown(reason))
            case _:
                return Recovered(entry, Verdict.HELD)

    def _take_found(self, entry: OutboxEntry, found: Found) -> Recovered:
        """The list is there, with all of its leads or with some."""
        marker, list_id = entry.intent.marker, found.list_ids[0]
        accepted = Accepted(list_id, found.urls[0], None)
        if found.places is None:
            self._record(entry, Part(_lead_list(entry, entry.leads), accepted, 1))
            alarm = alarm_text(marker, found.list_ids) if len(found.list_ids) > 1 else None
            return Recovered(entry, Verdict.SENT, list_id, alarm)
        is_there = [place is not None for place in found.places]
        if not any(is_there):
            return replace(self._free(entry), entry_count=found.entry_count)
        present = self._open_leads(entry, entry.leads.filter(pa.array(is_there)))
        self._record(entry, Part(_lead_list(entry, present), accepted, 1))
        alarm = repeated_text(marker, found.repeated_count) if found.repeated_count else None
        return Recovered(entry, Verdict.SENT, list_id, alarm, sum(is_there), found.entry_count)

    def _count_as_sent(self, entry: OutboxEntry, outcome: Unknown) -> Recovered:
        """Where rows say which leads are held, the others without a row are of calls that were never made."""
        leads, rows = self._open_leads(entry, entry.leads), self._rows(entry)
        held = rows.filter(self._is_held(entry, rows))
        if held.num_rows:
            leads = leads.filter(_is_among(leads, held))
        self._record(entry, Part(_lead_list(entry, leads), outcome, 1, is_assumed_sent=True))
        return Recovered(entry, Verdict.SENT)

    def _record(self, entry: OutboxEntry, part: Part) -> None:
        """The list's rows become those of its outcome, in one rename, one row a record; then the intent goes.

        Held rows of leads that are not in the part say from now on that they never arrived.
        """
        delivery, before = Delivery(part.lead_list, [part]), self._rows(entry)
        rows = RowMaker(entry.intent.run_id, self.results_record).of_delivery(delivery, self.clock.now())
        is_held = self._is_held(entry, before)
        kept = before.filter(pc.or_(pc.invert(_is_among(before, rows)), _equals(before, "status", Status.ACCEPTED)))
        absent = before.filter(pc.and_(is_held, pc.invert(_is_among(before, rows))))
        settled = kept.filter(pc.invert(_is_among(kept, absent)))
        freed = [_not_sent(absent, self.clock.now())] if absent.num_rows else []
        self._write(entry, [settled, *freed, rows.filter(pc.invert(_is_among(rows, settled)))])
        self.outbox.remove(entry.file_name)

    def _free(self, entry: OutboxEntry) -> Recovered:
        """The list never arrived: its people are nobody's, and whoever reads their records again may send them."""
        rows = self._rows(entry)
        is_held = self._is_held(entry, rows)
        held = rows.filter(is_held)
        if held.num_rows:
            self._write(entry, [rows.filter(pc.invert(is_held)), _not_sent(held, self.clock.now())])
        self.outbox.remove(entry.file_name)
        return Recovered(entry, Verdict.ABSENT)

    def _open_leads(self, entry: OutboxEntry, leads: pa.Table) -> pa.Table:
        """Those of the leads that no row says the end of."""
        rows = self._rows(entry)
        is_open = pc.or_(_equals(rows, "status", Status.HELD), _equals(rows, "reason", Reason.NOT_SENT))
        return leads.filter(pc.invert(_is_among(leads, rows.filter(pc.invert(is_open)))))

    def _is_held(self, entry: OutboxEntry, rows: pa.Table) -> pa.ChunkedArray:
        return pc.and_(_equals(rows, "status", Status.HELD), _equals(rows, "list_name", entry.intent.name))

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


def _lead_list(entry: OutboxEntry, leads: pa.Table) -> LeadList:
    intent = entry.intent
    base_name = intent.name.removesuffix(f" part {intent.part} [{intent.marker}]")
    key = GroupKey(intent.stream, intent.owner, intent.list_type)
    return LeadList(intent.number, intent.part, intent.marker, base_name, key, leads)


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
