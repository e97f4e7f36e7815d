"""What stops a run before money is spent: too many rejections, and ceilings of records, leads and credits.

A ceiling ends the input early, in record order: what came before it is sent and recorded, from there on nothing is.
The breaker stops sending: too many rejected records mean a wrong mapping, and lists of what is left would be wrong too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.config import Settings
from target_amplemarket.errors import GuardStop
from target_amplemarket.leads.tables import Status
from target_amplemarket.lists.credits import Prices
from target_amplemarket.storage.arrow import column_array

_MOST: Final = 2**62
"""No sum comes near it; a larger ceiling is none."""

DECIDED_AFTER: Final = 1_000
"""So many records say enough of a mapping; until then, or the input's end, a breaker lets nothing leave."""


@dataclass(slots=True)
class Breaker:
    """Counts rejected records; past its mark nothing is sent and no STATE leaves.

    Attributes:
        max_percent: Of the records read; 100 is no mark.
        max_records: None is no mark.
        has_ended: No further record comes, so that a small input is decided too.
    """

    max_percent: int
    max_records: int | None
    has_ended: bool = False
    read_count: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # by reason

    def count_read(self, record_count: int) -> None:
        """Records that will have a row."""
        self.read_count += record_count

    def count_rows(self, rows: pa.Table) -> None:
        """Rows of any table with `status` and `reason`; only rejected ones count."""
        is_rejected = pc.equal(rows.column("status").cast(pa.string()), Status.REJECTED.value)
        for entry in rows.column("reason").filter(is_rejected).cast(pa.string()).value_counts().to_pylist():
            self.rejected[entry["values"]] += entry["counts"]

    @property
    def is_set(self) -> bool:
        """Whether there is a mark at all."""
        return self.max_percent < 100 or self.max_records is not None

    @property
    def is_decided(self) -> bool:
        """Whether enough was seen, so that lists and STATE may leave."""
        return not self.is_set or self.has_ended or self.read_count >= DECIDED_AFTER

    @property
    def is_past(self) -> bool:
        """Whether too many records are rejected."""
        rejected = self.rejected.total()
        is_share_past = self.max_percent < 100 and rejected * 100 > self.max_percent * self.read_count
        return (is_share_past and self.is_decided) or (self.max_records is not None and rejected > self.max_records)

    def check(self) -> None:
        """Say no once too many records are rejected.

        Raises:
            GuardStop: With the counts by reason.
        """
        if self.is_past:
            raise GuardStop(self._text())

    def _text(self) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.rejected.most_common())
        marks = [f"`max_rejected_percent` {self.max_percent}"] if self.max_percent < 100 else []
        marks += [f"`max_rejected_records` {self.max_records:,}"] if self.max_records is not None else []
        return (
            f"{self.rejected.total():,} of {self.read_count:,} records are rejected ({reasons}), past "
            f"{' or '.join(marks)}: nothing more is sent and no further STATE leaves. Correct `field_mapping` or the "
            "source (the result rows name reason and field), or raise the mark, then run again"
        )


@dataclass(slots=True)
class Ceilings:
    """How far a run may go; None is no ceiling.

    Attributes:
        prices: The worst case of each lead, which the credit ceilings are held against.
        cut_at: Number of the first record that a ceiling leaves no room for; it and what follows are left.
        reached: The setting that cut there.
    """

    prices: Prices
    max_records: int | None = None
    max_leads: int | None = None
    max_email_credits: int | None = None
    max_phone_credits: int | None = None
    cut_at: int | None = None
    reached: str = ""
    _lead_count: int = 0
    _email_thousandths: int = 0
    _phone_thousandths: int = 0

    def take(self, first_record_no: int, record_count: int, leads: pa.Table) -> int:
        """Count the records and new leads (schema `LEADS`, record order) of a block, as far as there is room.

        Returns:
            The number of the first record beyond; the one after the block's last if all have room.
        """
        beyond, reached = first_record_no + record_count, ""
        if self.max_records is not None and beyond > self.max_records + 1:
            beyond, reached = self.max_records + 1, "max_records_per_run"
        email, phone = self._costs(leads)
        totals = {
            "max_leads_per_run": (self.max_leads, np.arange(1, leads.num_rows + 1) + self._lead_count),
            "max_email_credits_per_run": (_thousandths(self.max_email_credits), email + self._email_thousandths),
            "max_phone_credits_per_run": (_thousandths(self.max_phone_credits), phone + self._phone_thousandths),
        }
        for name, (most, sums) in totals.items():
            position = leads.num_rows if most is None else int(np.searchsorted(sums, min(most, _MOST), side="right"))
            if position < leads.num_rows and (number := leads.column("record_no")[position].as_py()) < beyond:
                beyond, reached = number, name
        self._count(leads, beyond, email, phone)
        if reached:
            self.cut_at, self.reached = beyond, reached
        return beyond

    def _costs(self, leads: pa.Table) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
        """Running sums of the worst case, in thousandths of e-mail and phone credits."""
        if self.prices.is_free:
            nothing = np.zeros(leads.num_rows, np.int64)
            return nothing, nothing
        types = column_array(leads, "list_type").dictionary_encode()
        places, per_lead = types.indices.to_numpy(), list(map(self.prices.of, types.dictionary.to_pylist()))
        email = np.array([one.email_thousandths for one in per_lead], np.int64)[places]
        phone = np.array([one.phone_thousandths for one in per_lead], np.int64)[places]
        return np.cumsum(email), np.cumsum(phone)

    def _count(
        self,
        leads: pa.Table,
        beyond: int,
        email: np.ndarray[tuple[int], np.dtype[np.int64]],
        phone: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> None:
        count = int(np.searchsorted(leads.column("record_no").to_numpy(), beyond))
        if count:
            self._lead_count += count
            self._email_thousandths += int(email[count - 1])
            self._phone_thousandths += int(phone[count - 1])

    def check(self) -> None:
        """Say at the end that a ceiling was reached.

        Raises:
            GuardStop: With the record from which on nothing was sent.
        """
        if self.cut_at is not None:
            raise GuardStop(
                f"`{self.reached}` is reached at record {self.cut_at:,}: what came before it is recorded "
                f"({self._lead_count:,} leads let into lists); it and what follows stay unsent, and STATE stays before "
                "it. Run again to go on from there, or raise the ceiling"
            )


def breaker_of(settings: Settings) -> Breaker:
    """The breaker that the settings describe."""
    return Breaker(settings.max_rejected_percent, settings.max_rejected_records)


def ceilings_of(settings: Settings, prices: Prices) -> Ceilings:
    """The ceilings that the settings name."""
    return Ceilings(
        prices,
        max_records=settings.max_records_per_run,
        max_leads=settings.max_leads_per_run,
        max_email_credits=settings.max_email_credits_per_run,
        max_phone_credits=settings.max_phone_credits_per_run,
    )


def _thousandths(ceiling: int | None) -> int | None:
    return None if ceiling is None else ceiling * 1_000
