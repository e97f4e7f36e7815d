"""One lead list from outbox to outcome: send, evict, split, or stop."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.clock import Clock
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.delivery.reconcile import reconcile
from target_amplemarket.errors import AmplemarketError, ApiUnreachable, ListsHeld, RefusedByApi, StorageError
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    CannotAsk,
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
"""How often a list is sent that is certainly not there each time its answer was lost."""

_FIRST_BACKOFF_S: Final = 1.0
_LONGEST_BACKOFF_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A dry run would have sent the list now."""

    http_status: None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Leads of a list that came to the same end.

    Attributes:
        lead_list: Name and marker of the request, and just these leads, in request order.
        outcome: `Accepted`, `Unknown`, or `Refused` with one `LeadRefusal` per lead where the API named them; `Planned`
            in a dry run.
        attempt: Which call of this list brought the outcome, from 1.
        is_assumed_sent: The outcome is unknown, and the settings say to count it as sent.
    """

    lead_list: LeadList
    outcome: Accepted | Refused | Unknown | Planned
    attempt: int
    is_assumed_sent: bool = False

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
    stop: AmplemarketError | None = None
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
    course = _Course(sender, settling, Delivery(lead_list), deque([lead_list]))
    while course.pending and course.delivery.stop is None and not sender.stop.is_set():
        course.step(course.pending.popleft())
    return course.delivery


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

    def step(self, current: LeadList) -> None:
        """Send a list, or what is left of it, and take what comes of it."""
        try:
            outcome, tries, file_name = _send_patiently(current, self.sender, self.delivery)
        except StorageError as error:
            self.delivery.stop = error
            return
        self.calls += tries
        match outcome:
            case Accepted():
                self.delivery.parts.append(Part(current, outcome, self.calls))
            case Refused():
                self._take_refusal(current, outcome)
            case Unknown():
                self._take_unknown(current, outcome, file_name)
            case NotSent() if not self.sender.stop.is_set():
                self.delivery.stop = ApiUnreachable(_unreachable_text(outcome))
            case NotSent():
                pass
            case _:
                assert_never(outcome)

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
                self.delivery.stop = RefusedByApi(_stop_text(refused))

    def _take_unknown(self, current: LeadList, outcome: Unknown, file_name: str) -> None:
        self.unanswered += 1
        with self.settling():
            is_absent = _ask(current, outcome, self.calls, file_name, self.sender, self.delivery)
        if is_absent and self.unanswered < MAX_UNANSWERED:
            self.delivery.resent.append(current.marker)
            self.pending.appendleft(current)
        elif is_absent:
            _hold(current, outcome, self.calls, file_name, self.delivery)


def _send_patiently(lead_list: LeadList, sender: Sender, delivery: Delivery) -> tuple[Outcome, int, str]:
    """Outbox first, then the call; again only while it is certain that nothing arrived."""
    body = sender.service.encode(sender.request_for(lead_list), lead_list.leads)
    file_name = sender.outbox.write(lead_list, body)
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
    is_open = isinstance(outcome, Unknown) or (isinstance(outcome, NotSent) and lead_list.marker in delivery.resent)
    delivery.outbox_files = others if is_open else [*others, file_name]
    return _usable(outcome, lead_list.leads.num_rows), tries, file_name


def _ask(current: LeadList, outcome: Unknown, calls: int, file_name: str, sender: Sender, delivery: Delivery) -> bool:
    """Settle, then ask; returns whether the list is certainly not there and may be sent again."""
    LOGGER.info(
        "list [%s] has no answer (%s): asking in %s s whether it arrived",
        current.marker,
        outcome.reason,
        sender.settle_s,
    )
    markers = [current.marker]
    answers = reconcile(markers, sender.service, sender.clock, sender.stop, settle_s=sender.settle_s)
    match answers[current.marker]:
        case Found(list_ids=list_ids, urls=urls):
            delivery.parts.append(Part(current, Accepted(list_ids[0], urls[0], None), calls))
            delivery.outbox_files.append(file_name)
            if len(list_ids) > 1:
                delivery.alarms.append(alarm_text(current.marker, list_ids))
            return False
        case Absent():
            return True
        case CannotAsk() if sender.on_unknown == "resend" and not sender.stop.is_set():
            return True
        case CannotAsk() if sender.on_unknown == "assume_sent" and not sender.stop.is_set():
            delivery.parts.append(Part(current, outcome, calls, is_assumed_sent=True))
            delivery.outbox_files.append(file_name)
            return False
        case CannotAsk():
            _hold(current, outcome, calls, file_name, delivery)
            return False
        case never:
            assert_never(never)


def _hold(current: LeadList, outcome: Unknown, calls: int, file_name: str, delivery: Delivery) -> None:
    """Neither resent nor forgotten: the outbox file stays. Where asking fails, sending more is not wise either."""
    delivery.outbox_files = [name for name in delivery.outbox_files if name != file_name]
    delivery.parts.append(Part(current, outcome, calls))
    delivery.stop = ListsHeld(_held_text(current))


def alarm_text(marker: str, list_ids: Collection[str]) -> str:
    """For people: a list was created more than once."""
    return f"list [{marker}] is in the account {len(list_ids)} times ({', '.join(list_ids)}): remove all but one there"


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
    return [current.with_leads(leads, sender.make_marker()) for leads in slices]


def _refusal_text(refused: Refused, what: str) -> str:
    code = f", code `{refused.code}`" if refused.code else ""
    return f"the API refuses {what} (status {refused.http_status}{code})"


def _stop_text(refused: Refused) -> str:
    rest = "; what was not sent stays unsent and STATE stays before it"
    match refused.kind:
        case RefusalKind.CREDITS:
            return _refusal_text(refused, "lists for want of credits") + ": top up the account, then run again" + rest
        case RefusalKind.OWNER:
            return _refusal_text(refused, "the lists' owner") + ": set `owner` to a user of the account" + rest
        case RefusalKind.ADDRESS:
            return _refusal_text(refused, "calls to this address") + ": check `base_url`" + rest
        case RefusalKind.LEADS | RefusalKind.REQUEST | RefusalKind.TOO_LARGE:
            return _refusal_text(refused, "lists, whichever leads they hold") + rest
        case RefusalKind.CREDENTIALS:
            return _refusal_text(refused, "the key") + ": check `api_key` and its rights" + rest
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
