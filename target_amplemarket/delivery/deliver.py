"""One lead list from outbox to outcome: send, evict, split, or stop."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.clock import Clock
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import AmplemarketError, ApiUnreachable, ListsHeld, RefusedByApi, StorageError
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.services.protocol import (
    Accepted,
    ListRequest,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Service,
    Unknown,
)

MAX_TRIES_NOT_SENT: Final = 10
"""How often a call that certainly did not arrive is made again."""

MAX_EXTRA_CALLS: Final = 102
"""How many extra calls refusals that name no lead may cost per list, two for each split.

Enough for four bad leads in 10,000 wherever they stand: 1 + 2 + 12 x 4 splits.
"""

_FIRST_BACKOFF_S: Final = 1.0
_LONGEST_BACKOFF_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """Leads of a list that came to the same end.

    Attributes:
        lead_list: Name and marker of the request, and just these leads, in request order.
        outcome: `Accepted`, `Unknown`, or `Refused` with one `LeadRefusal` per lead where the API named them.
        attempt: Which call of this list brought the outcome, from 1.
    """

    lead_list: LeadList
    outcome: Accepted | Refused | Unknown
    attempt: int


@dataclass(slots=True)
class Delivery:
    """What came of one closed list.

    Attributes:
        lead_list: As it was closed.
        parts: Every lead is in exactly one part, or unsent.
        stop: Why the run has to stop, if it has to; leads in no part were not sent.
        outbox_files: Intents that may be forgotten once the parts are recorded: all but those of held parts.
    """

    lead_list: LeadList
    parts: list[Part] = field(default_factory=list)
    stop: AmplemarketError | None = None
    outbox_files: list[str] = field(default_factory=list)

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


def deliver(lead_list: LeadList, sender: Sender) -> Delivery:
    """Send one list until each of its leads has come to an end, or the run has to stop.

    Never raises for what the API or the storage does: a storage fault is the delivery's `stop`, so that what was
    accepted before it is recorded all the same.
    """
    delivery = Delivery(lead_list)
    pending = deque([lead_list])
    extra_calls_left = MAX_EXTRA_CALLS
    calls = 0
    while pending and delivery.stop is None and not sender.stop.is_set():
        current = pending.popleft()
        try:
            outcome, tries = _send_patiently(current, sender, delivery)
        except StorageError as error:
            delivery.stop = error
            break
        calls += tries
        match outcome:
            case Refused(kind=RefusalKind.LEADS):
                pending.extendleft(_evict(current, outcome, calls, delivery))
            case Refused(kind=RefusalKind.REQUEST | RefusalKind.TOO_LARGE) if current.leads.num_rows > 1:
                extra_calls_left -= 2
                if extra_calls_left < 0:
                    delivery.stop = RefusedByApi(_stop_text(outcome))
                else:
                    pending.extendleft(reversed(_halves(current, sender)))
            case Accepted() | Refused(kind=RefusalKind.REQUEST | RefusalKind.TOO_LARGE):
                delivery.parts.append(Part(current, outcome, calls))
            case Unknown():
                delivery.parts.append(Part(current, outcome, calls))
                delivery.stop = ListsHeld(_held_text(current))
            case Refused():
                delivery.stop = RefusedByApi(_stop_text(outcome))
            case NotSent():
                delivery.stop = None if sender.stop.is_set() else ApiUnreachable(_unreachable_text(outcome))
            case _:
                assert_never(outcome)
    return delivery


def _send_patiently(lead_list: LeadList, sender: Sender, delivery: Delivery) -> tuple[Outcome, int]:
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
    delivery.outbox_files = others if isinstance(outcome, Unknown) else [*others, file_name]
    return _usable(outcome, lead_list.leads.num_rows), tries


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
        "neither sent again nor forgotten; look for the marker in the account's lists"
    )


def _unreachable_text(outcome: NotSent) -> str:
    return (
        f"the API could not be reached in {MAX_TRIES_NOT_SENT} tries ({outcome.reason.replace('_', ' ')}); what "
        "was not sent stays unsent and STATE stays before it; run again later"
    )
