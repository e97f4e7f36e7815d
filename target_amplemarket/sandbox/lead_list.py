"""A lead list: what it holds, and where its life stands at a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from target_amplemarket.sandbox.ids import EntryIds, draw
from target_amplemarket.sandbox.store import LeadStore
from target_amplemarket.sandbox.validation import Options

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches

OPEN = ("queued", "processing")


@dataclass(frozen=True)
class User:
    """A user of the account."""

    id: str
    email: str
    status: str
    role: str

    @property
    def name(self) -> str:
        """Made of the e-mail's local part."""
        return self.email.partition("@")[0].replace(".", " ").title()


@dataclass(frozen=True)
class Segment:
    """The leads of one commit, and how many of them, from the front, credits were spent on."""

    leads: LeadStore
    paid_count: int


@dataclass
class LeadList:
    """A list as the account keeps it. Times are seconds since 1970."""

    id: str
    name: str
    owner: User
    type: str  # as in requests
    shared: bool
    visible: bool
    options: Options
    created_s: float
    restarted_s: float | None = None
    changed_s: float = 0.0
    segments: list[Segment] = field(default_factory=list)

    @property
    def lead_count(self) -> int:
        """Leads in all segments."""
        return sum(len(segment.leads) for segment in self.segments)

    @property
    def entry_ids(self) -> EntryIds:
        """Ids of the entries, by position."""
        return EntryIds(self.id, self.lead_count)

    def leads_at(self, start: int, stop: int) -> list[tuple[dict[str, Any], bool]]:
        """The leads from `start` up to `stop`, each with whether credits were spent on it."""
        found: list[tuple[dict[str, Any], bool]] = []
        offset = 0
        for segment in self.segments:
            low, high = max(start - offset, 0), min(stop - offset, len(segment.leads))
            if low < high:
                leads = segment.leads.slice(low, high)
                found += [(lead, low + at < segment.paid_count) for at, lead in enumerate(leads)]
            offset += len(segment.leads)
        return found

    def status(self, now_s: float, switches: Switches) -> str:
        """`queued`, `processing`, `completed` or `canceled`."""
        starts_s, ends_s = self._turns(switches)
        if now_s < starts_s:
            return "queued"
        if now_s < ends_s:
            return "processing"
        chance = int.from_bytes(draw(switches.seed, "canceled", self.id)[:2], "big") / 65536 * 100
        return "canceled" if chance < switches.canceled_percent else "completed"

    def updated_s(self, now_s: float, switches: Switches) -> float:
        """When the list last changed."""
        return max(self.created_s, self.changed_s, *(turn for turn in self._turns(switches) if turn <= now_s), 0.0)

    def _turns(self, switches: Switches) -> tuple[float, float]:
        """When processing starts and when it ends."""
        starts_s = self.created_s + switches.queued_seconds if self.restarted_s is None else self.restarted_s
        return starts_s, starts_s + switches.processing_seconds
