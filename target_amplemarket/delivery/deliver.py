"""One lead list from outbox to outcome: send, evict, split, or stop."""

from __future__ import annotations

import itertools
import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.clock import Clock
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.delivery.read_back import Sighted, look, look_into, sighted
from target_amplemarket.delivery.reconcile import reconcile
from target_amplemarket.errors import ApiUnreachable, ListsHeld, RefusedByApi, StorageError, TargetError
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    CannotAsk,
    Confirmation,
    Found,
    ListRequest,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Service,
    Unknown,
)

LOGGER: Final = logging.getLogger("target-amplemarket")

MAX_TRIES_NOT_SENT: Final = 10
"""How often a call that certainly did not arrive is made again."""

MAX_EXTRA_CALLS: Final = 102
"""How many extra calls refusals that name no lead may cost per list, two for each split.

Enough for four bad leads in 10,000 wherever they stand: 1 + 2 + 12 x 4 splits.
"""

MAX_UNANSWERED: Final = 3
"""How often a call is made whose answer is lost each time and that certainly had no effect."""

_FIRST_BACKOFF_S: Final = 1.0
_LONGEST_BACKOFF_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A dry run would have sent the list now."""

    http_status: None = None


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The API took each of these leads for somebody who was in the list before."""

    winner_record_nos: tuple[int, ...]
    http_status: int | None


@dataclass(frozen=True, slots=True)
class NotAdded:
    """The API counted fewer leads than were sent, and the list, read back, does not hold these."""

    http_status: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """Leads of a list that came to the same end.

    Attributes:
        lead_list: Name and marker of the request, and just these leads, in request order.
        outcome: `Accepted`, `Unknown`, or `Refused` with one `LeadRefusal` per lead where the API named them;
            `AlreadyThere` and `NotAdded` only where calls add to lists; `Planned` in a dry run.
        attempt: Which call of this list brought the outcome, from 1.
        is_assumed_sent: The outcome is unknown, and the settings say to count it as sent.
        is_unseen: The API said that it took the leads, and the list, read back, does not show them.
        positions: Of the leads in the request, where others of it came to another end.
    """

    lead_list: LeadList
    outcome: Accepted | Refused | Unknown | AlreadyThere | NotAdded | Planned
    attempt: int
    is_assumed_sent: bool = False
    is_unseen: bool = False
    positions: tuple[int, ...] | None = None

    @property
    def is_held(self) -> bool:
        """Nobody can tell whether these leads arrived."""
        return isinstance(self.outcome, Unknown) and not self.is_assumed_sent


@dataclass(slots=True)
class Delivery:
    """What came of one closed list.

    Attributes:
        lead_list: As it was closed.
        parts: Every lead is in exactly one part, or unsent.
        stop: Why the run has to stop, if it has to; leads in no part were not sent.
        outbox_files: Intents that may be forgotten once the parts are recorded: all but those of held parts.
        alarms: For people: lists that are in the account more than once.
        resent: Markers of lists that were sent again after an answer was lost.
    """

    lead_list: LeadList
    parts: list[Part] = field(default_factory=list)
    stop: TargetError | None = None
    outbox_files: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    resent: list[str] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Every lead has come to an end that is known."""
        return self.settled_lead_count == self.lead_list.leads.num_rows and not any(p.is_held for p in self.parts)

    @property
    def settled_lead_count(self) -> int:
        """Leads whose end is known or held."""
        return sum(part.lead_list.leads.num_rows for part in self.parts)


@dataclass(frozen=True, slots=True)
class Sender:
    """The effects that a delivery needs, and what all its requests have in common."""

    service: Service
    outbox: Outbox
    limiter: Limiter
    clock: Clock
    stop: threading.Event
    request_for: Callable[[LeadList], ListRequest]
    make_marker: Callable[[], str]
    settle_s: float = 180.0
    on_unknown: str = "hold"


Settling = Callable[[], AbstractContextManager[object]]
"""Entered while a list waits for its question to be asked, so that others may take its place."""


def deliver(lead_list: LeadList, sender: Sender, settling: Settling = nullcontext) -> Delivery:
    """Send one list until each of its leads has come to an end, or the run has to stop.

    Steps of docs/explanation/delivery.md: D2 to D5.

    Never raises for what the API or the storage does: a storage fault is the delivery's `stop`, so that what was
    accepted before it is recorded all the same.
    """
    course = _Course(sender, settling, Delivery(lead_list), deque(_calls_of(lead_list, sender.service)))
    while course.pending and course.delivery.stop is None and not sender.stop.is_set():
        course.step(course.pending.popleft())
    if sender.service.adds_to_lists and not sender.stop.is_set():
        course.read_back()
    return course.delivery


def _calls_of(lead_list: LeadList, service: Service) -> list[LeadList]:
    """The leads of each call, all of them for the list of the same marker."""
    leads, most = lead_list.leads, service.max_leads_per_call
    if leads.num_rows <= most:
        return [lead_list]
    starts = range(0, leads.num_rows, most)
    return [lead_list.with_leads(leads.slice(start, most), lead_list.marker) for start in starts]


@dataclass(slots=True)
class _Course:
    """How far the delivery of one list has come."""

    sender: Sender
    settling: Settling
    delivery: Delivery
    pending: deque[LeadList]
    calls: int = 0
    unanswered: int = 0
    extra_calls_left: int = MAX_EXTRA_CALLS
    files: dict[str, str] = field(default_factory=dict)  # of the outbox, by marker
    is_alarmed: bool = False

    def step(self, current: LeadList) -> None:
        """Send a list, or what is left of it, and take what comes of it."""
        try:
            outcome, tries = self._send_patiently(current)
        except StorageError as error:
            self.delivery.stop = error
            return
        self.calls += tries
        match outcome:
            case Accepted(added_count=count) if count is not None and count < current.leads.num_rows:
                self._take_short(current, outcome, count)
            case Accepted():
                self.unanswered = 0
                self.delivery.parts.append(Part(current, outcome, self.calls))
            case Refused():
                self._take_refusal(current, outcome)
            case Unknown():
                self._take_unknown(current, outcome)
            case NotSent() if not self.sender.stop.is_set():
                self.delivery.stop = ApiUnreachable(_unreachable_text(outcome))
            case NotSent():
                pass
            case _:
                assert_never(outcome)

    def read_back(self) -> None:
        """Look at the whole list once: what the API said it took should be there, and be there once."""
        accepted, marker = self._accepted(), self.delivery.lead_list.marker
        if not accepted:
            return
        found = self._look_at(marker, pa.concat_tables(accepted))
        if not isinstance(found, Found) or found.places is None:
            LOGGER.warning("list [%s] could not be read back; what the API answered is recorded", marker)
            return
        self._alarm(marker, found)
        parts, places = self.delivery.parts, iter(found.places)
        self.delivery.parts = []
        for part in parts:
            count = part.lead_list.leads.num_rows if isinstance(part.outcome, Accepted) else 0
            is_seen = [entry is not None for entry in itertools.islice(places, count)]
            self.delivery.parts += _parted_by_sight(part, is_seen)

    def _send_patiently(self, current: LeadList) -> tuple[Outcome, int]:
        """Outbox first, then the call; again only while it is certain that nothing arrived."""
        sender, delivery = self.sender, self.delivery
        body = sender.service.encode(sender.request_for(current), current.leads)
        file_name = self._write_intent(current, body)
        outcome: Outcome = NotSent("stopped")
        tries = 0
        while tries < MAX_TRIES_NOT_SENT and not sender.stop.is_set():
            tries += 1
            outcome = sender.service.send(body)
            if not isinstance(outcome, NotSent):
                break
            _wait(outcome, tries, sender)
        # The rest of a list has the file name that the whole had, so an answer to the whole says nothing of the rest.
        others = [name for name in delivery.outbox_files if name != file_name]
        # Once an answer was lost, only an answer ends the question: a later call that never left does not.
        is_open = isinstance(outcome, Unknown) or (isinstance(outcome, NotSent) and current.marker in delivery.resent)
        delivery.outbox_files = others if is_open else [*others, file_name]
        return _usable(outcome, current.leads.num_rows), tries

    def _write_intent(self, current: LeadList, body: bytes) -> str:
        """One file for each marker; where calls add to the list it holds the leads of all of them, from the first."""
        if not self.sender.service.adds_to_lists:
            self.files[current.marker] = self.sender.outbox.write(current, body)
        elif current.marker not in self.files:
            self.files[current.marker] = self.sender.outbox.write(self.delivery.lead_list, body)
        return self.files[current.marker]

    def _take_short(self, current: LeadList, accepted: Accepted, count: int) -> None:
        """The API counted fewer than were sent: the list says who is in it, if it can say of as many."""
        status = accepted.http_status
        found = self._sighted(current, self._look(current), is_answered=True)
        is_resent = current.marker in self.delivery.resent  # so an earlier call may account for some of those in it
        if found is None or len(found.accepted) < count or (found.missing and is_resent):
            with self.settling():
                found = self._sighted(current, self._ask_late(current), is_answered=True)
        if found is None or len(found.accepted) < count:
            self._hold(current, Unknown("short_count", status))
            return
        self.unanswered = 0
        missing = self._take_sighted(current, found, status)
        if missing is not None:
            self.delivery.parts.append(Part(missing, NotAdded(status), self.calls))

    def _take_refusal(self, current: LeadList, refused: Refused) -> None:
        match refused.kind:
            case RefusalKind.LEADS:
                self.pending.extendleft(_evict(current, refused, self.calls, self.delivery))
            case RefusalKind.REQUEST | RefusalKind.TOO_LARGE if current.leads.num_rows == 1:
                self.delivery.parts.append(Part(current, refused, self.calls))
            case RefusalKind.REQUEST | RefusalKind.TOO_LARGE if self.extra_calls_left >= 2:  # halves
                self.extra_calls_left -= 2
                self.pending.extendleft(reversed(_halves(current, self.sender)))
            case _:
                is_list_gone = refused.http_status == 404 and bool(self._accepted())
                self.delivery.stop = RefusedByApi(_stop_text(refused, is_list_gone=is_list_gone))

    def _take_unknown(self, current: LeadList, outcome: Unknown) -> None:
        self.unanswered += 1
        with self.settling():
            absent = self._ask(current, outcome)
        if absent is None:
            self.unanswered = 0
        elif self.unanswered < MAX_UNANSWERED:
            self.delivery.resent.append(current.marker)
            self.pending.appendleft(absent)
        else:
            self._hold(absent, outcome)

    def _ask(self, current: LeadList, outcome: Unknown) -> LeadList | None:
        """Settle, then ask; returns the leads that are certainly not there and may be sent again."""
        sender, delivery = self.sender, self.delivery
        LOGGER.info(
            "list [%s] has no answer (%s): asking in %s s whether it arrived",
            current.marker,
            outcome.reason,
            sender.settle_s,
        )
        match self._ask_late(current):
            case Found() as found:
                return self._take_found(current, found)
            case Absent():
                return current
            case CannotAsk() if sender.on_unknown == "resend" and not sender.stop.is_set():
                return current
            case CannotAsk() if sender.on_unknown == "assume_sent" and not sender.stop.is_set():
                delivery.parts.append(Part(current, outcome, self.calls, is_assumed_sent=True))
                delivery.outbox_files.append(self.files[current.marker])
                return None
            case CannotAsk():
                self._hold(current, outcome)
                return None
            case never:
                assert_never(never)

    def _ask_late(self, current: LeadList) -> Confirmation:
        sender = self.sender
        answers = reconcile(
            [current.marker], lambda _: self._look(current), sender.clock, sender.stop, settle_s=sender.settle_s
        )
        return answers[current.marker]

    def _look(self, current: LeadList) -> Confirmation:
        """Ask for the list, and for the current leads behind those that are in it by now."""
        return look(current.marker, pa.concat_tables([*self._accepted(), current.leads]), self.sender.service)

    def _look_at(self, marker: str, leads: pa.Table) -> Confirmation:
        """The same of leads that were all answered; the listing of all lists is spared where there can be no second."""
        ids = {part.outcome.list_id for part in self.delivery.parts if isinstance(part.outcome, Accepted)}
        if marker in self.delivery.resent or len(ids) != 1:
            return look(marker, leads, self.sender.service)
        return look_into(Found(tuple(ids), (None,)), leads, self.sender.service)

    def _accepted(self) -> list[pa.Table]:
        return [part.lead_list.leads for part in self.delivery.parts if isinstance(part.outcome, Accepted)]

    def _take_found(self, current: LeadList, found: Found) -> LeadList | None:
        """The list is there, with all of its leads or with some; returns those that are not in it."""
        self._alarm(current.marker, found)
        seen = self._sighted(current, found, is_answered=False)
        if seen is None:
            accepted = Accepted(found.list_ids[0], found.urls[0], None)
            self.delivery.parts.append(Part(current, accepted, self.calls))
        absent = None if seen is None else self._take_sighted(current, seen, None)
        if absent is None:
            self.delivery.outbox_files.append(self.files[current.marker])
        return absent

    def _sighted(self, current: LeadList, answer: Confirmation, *, is_answered: bool) -> Sighted | None:
        """The current leads by what the list shows of them; None where it was not read back."""
        if not isinstance(answer, Found) or answer.places is None:
            return None
        numbers = [number for leads in self._accepted() for number in leads.column("record_no").to_pylist()]
        record_nos = current.leads.column("record_no").to_pylist()
        return sighted(answer, numbers, record_nos, is_answered=is_answered)

    def _take_sighted(self, current: LeadList, seen: Sighted, http_status: int | None) -> LeadList | None:
        """Take those who are in the list; returns those who are not."""
        accepted = Accepted(seen.list_id, seen.url, http_status)
        already_there = AlreadyThere(seen.winner_record_nos, http_status)
        for rows, outcome in ((seen.accepted, accepted), (seen.already_there, already_there)):
            if rows:
                self.delivery.parts.append(Part(_chosen(current, rows), outcome, self.calls, positions=rows))
        return _chosen(current, seen.missing) if seen.missing else None

    def _hold(self, current: LeadList, outcome: Unknown) -> None:
        """Neither resent nor forgotten: the outbox file stays. Where asking fails, sending more is not wise either."""
        file_name, delivery = self.files[current.marker], self.delivery
        delivery.outbox_files = [name for name in delivery.outbox_files if name != file_name]
        delivery.parts.append(Part(current, outcome, self.calls))
        delivery.stop = ListsHeld(_held_text(current))

    def _alarm(self, marker: str, found: Found) -> None:
        if found.places is None and len(found.list_ids) > 1:
            self.delivery.alarms.append(alarm_text(marker, found.list_ids))
        if found.repeated_count and not self.is_alarmed:
            self.is_alarmed = True
            self.delivery.alarms.append(repeated_text(marker, found.repeated_count))


def _chosen(current: LeadList, rows: Sequence[int]) -> LeadList:
    return current.with_leads(current.leads.take(pa.array(rows, pa.int64())), current.marker)


def _parted_by_sight(part: Part, is_seen: Sequence[bool]) -> list[Part]:
    """The part as it is, or in two: who is shown, and who is not."""
    if all(is_seen):
        return [part]
    rows = range(len(is_seen))
    chosen = [[row for row in rows if is_seen[row] is shown] for shown in (True, False)]
    positions = part.positions or tuple(rows)
    return [
        replace(
            part,
            lead_list=_chosen(part.lead_list, some),
            is_unseen=is_unseen,
            positions=tuple(positions[row] for row in some),
        )
        for some, is_unseen in zip(chosen, (False, True), strict=True)
        if some
    ]


def alarm_text(marker: str, list_ids: Collection[str]) -> str:
    """For people: a list was created more than once."""
    return f"list [{marker}] is in the account {len(list_ids)} times ({', '.join(list_ids)}): remove all but one there"


def repeated_text(marker: str, count: int) -> str:
    """For people: somebody is in a list more than once."""
    return f"list [{marker}] holds {count:,} of its leads more than once: remove all but one there"


def _wait(outcome: NotSent, tries: int, sender: Sender) -> None:
    if outcome.http_status is not None:  # an answer: the API asks everybody to slow down
        sender.limiter.slow_down(outcome.retry_after_s)
    if tries < MAX_TRIES_NOT_SENT:
        longest = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (tries - 1))
        pause_s = random.uniform(longest / 2, longest)  # noqa: S311  # spreads load, hides nothing
        sender.clock.sleep(pause_s, sender.stop)


def _usable(outcome: Outcome, lead_count: int) -> Outcome:
    """A refusal names each lead of the request once, in request order; one that names none is about the request."""
    if not isinstance(outcome, Refused) or outcome.kind is not RefusalKind.LEADS:
        return outcome
    named = {refusal.position: refusal for refusal in reversed(outcome.leads) if 0 <= refusal.position < lead_count}
    leads = tuple(named[position] for position in sorted(named))
    return replace(outcome, kind=RefusalKind.LEADS if leads else RefusalKind.REQUEST, leads=leads)


def _evict(current: LeadList, refused: Refused, calls: int, delivery: Delivery) -> list[LeadList]:
    """Take the leads that the API named out; what is left goes again as the same list."""
    named = pa.array([refusal.position for refusal in refused.leads], pa.int64())
    evicted = current.with_leads(current.leads.take(named), current.marker)
    delivery.parts.append(Part(evicted, refused, calls))
    stays = pc.invert(pc.is_in(pa.array(range(current.leads.num_rows), pa.int64()), value_set=named))
    rest = current.leads.filter(stays)
    return [current.with_leads(rest, current.marker)] if rest.num_rows else []


def _halves(current: LeadList, sender: Sender) -> list[LeadList]:
    half = current.leads.num_rows // 2
    slices = (current.leads.slice(0, half), current.leads.slice(half))
    is_same = sender.service.adds_to_lists
    return [current.with_leads(leads, current.marker if is_same else sender.make_marker()) for leads in slices]


def _refusal_text(refused: Refused, what: str) -> str:
    code = f", code `{refused.code}`" if refused.code else ""
    return f"the API refuses {what} (status {refused.http_status}{code})"


def _stop_text(refused: Refused, *, is_list_gone: bool) -> str:
    rest = "; what was not sent stays unsent and STATE stays before it"
    match refused.kind:
        case RefusalKind.CREDITS:
            return _refusal_text(refused, "lists for want of credits") + ": top up the account, then run again" + rest
        case RefusalKind.OWNER:
            return _refusal_text(refused, "the lists' owner") + ": set `owner` to a user of the account" + rest
        case RefusalKind.ADDRESS if refused.setting:
            return _refusal_text(refused, "the list, whatever its leads") + f": check `{refused.setting}`" + rest
        case RefusalKind.ADDRESS if is_list_gone:
            return _refusal_text(refused, "more leads for a list that it took some for") + ": was it removed?" + rest
        case RefusalKind.ADDRESS:
            return _refusal_text(refused, "calls to this address") + ": check `base_url`" + rest
        case RefusalKind.LEADS | RefusalKind.REQUEST | RefusalKind.TOO_LARGE:
            return _refusal_text(refused, "lists, whichever leads they hold") + rest
        case RefusalKind.CREDENTIALS:
            return _refusal_text(refused, "the key") + ": check `api_key`, or what gives it, and its rights" + rest
        case _:
            assert_never(refused.kind)


def _held_text(lead_list: LeadList) -> str:
    return (
        f"nobody can tell whether list [{lead_list.marker}] arrived (leads: {lead_list.leads.num_rows:,}): it is held, "
        "neither sent again nor forgotten; the next run asks for it, or look for the marker in the account's lists and "
        "use `resolve`"
    )


def _unreachable_text(outcome: NotSent) -> str:
    return (
        f"the API could not be reached in {MAX_TRIES_NOT_SENT} tries ({outcome.reason.replace('_', ' ')}); what "
        "was not sent stays unsent and STATE stays before it; run again later"
    )
