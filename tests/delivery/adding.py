"""A service whose calls add to lists, in memory: what it holds is ground truth, and every call may be struck."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa

from target_amplemarket.delivery.deliver import Sender
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    CannotAsk,
    Confirmation,
    EntryPage,
    Found,
    ListRequest,
    ListState,
    Outcome,
    Unknown,
)
from target_amplemarket.storage.durable import Folder
from tests.delivery.scripted import RUN_ID, VirtualClock, WatchedLimiter, make_request

Strike = Callable[["AddingService", "Added"], Outcome | None]
"""Answers in place of the service; it adds whom it wants to."""


@dataclass(frozen=True)
class Added:
    """One call as the service saw it."""

    name: str
    people: tuple[dict[str, Any], ...]


def nothing(service: AddingService, call: Added) -> None:
    """No strike."""


@dataclass
class AddingService:
    """Implements as much of `Service` as a delivery needs; people are told apart by LinkedIn URL."""

    max_leads_per_call: int = 3
    adds_to_lists: bool = True
    strikes: list[Strike] = field(default_factory=list)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    calls: list[Added] = field(default_factory=list)
    confirmations: list[Confirmation] = field(default_factory=list)
    is_listed: bool = True
    hidden: int = 0  # entries that are not shown, from the front
    hidden_from: int | None = None  # likewise the newest ones
    requests: Counter[str] = field(default_factory=Counter)

    def encode(self, request: ListRequest, leads: pa.Table) -> bytes:
        names = ("record_no", "linkedin_url", "email", "first_name", "last_name", "title", "person_id")
        return msgspec.json.encode({"name": request.name, "people": leads.select(names).to_pylist()})

    def send(self, body: bytes) -> Outcome:
        document = msgspec.json.decode(body)
        call = Added(document["name"], tuple(document["people"]))
        self.calls.append(call)
        strike = self.strikes.pop(0) if self.strikes else nothing
        outcome = strike(self, call)
        return outcome if outcome is not None else self.add(call)

    def add(self, call: Added, *, most: int | None = None) -> Accepted:
        """Add those who are not in the list; the answer counts them."""
        held = self.lists.setdefault(call.name, [])
        before = len(held)
        known = {one["linkedin_url"] for one in held}
        for person in call.people[:most]:
            if person["linkedin_url"] not in known:
                held.append(person)
                known.add(person["linkedin_url"])
        return Accepted(f"id of {call.name}", None, 200, added_count=len(held) - before)

    def confirm(self, marker: str) -> Confirmation:
        if self.confirmations:
            return self.confirmations.pop(0)
        found = [name for name in self.lists if f"[{marker}]" in name]
        return Found(tuple(f"id of {name}" for name in found), (None,) * len(found)) if found else Absent()

    def entries(self, list_id: str) -> Iterator[EntryPage | CannotAsk]:
        if not self.is_listed:
            yield CannotAsk("server_fault", 503)
            return
        yield EntryPage(
            ListState("completed", None),
            entries_of_people(self.lists[list_id.removeprefix("id of ")][self.hidden : self.hidden_from]),
        )


def entries_of_people(people: Sequence[dict[str, Any]]) -> pa.Table:
    """Entries as a service would show them; each has an id of its own unless the person brought one."""
    rows = [
        {**{n: one.get(n) for n in ENTRIES.names}, "entry_id": one.get("person_id") or f"own-{at}"}
        for at, one in enumerate(people)
    ]
    return pa.Table.from_pylist([row | {"person_id": row["entry_id"]} for row in rows], schema=ENTRIES)


def lost_after(count: int | None) -> Strike:
    """So many are added, then the answer is lost."""

    def strike(service: AddingService, call: Added) -> Outcome:
        if count != 0:
            service.add(call, most=count)
        return Unknown("connection_lost")

    return strike


@dataclass
class AddingWorld:
    """Everything around one delivery."""

    service: AddingService
    sender: Sender
    clock: VirtualClock
    folder: Folder
    stop: threading.Event


def make_adding_world(folder: Folder, **given: Any) -> AddingWorld:
    clock, stop, service = VirtualClock(), threading.Event(), AddingService(**given)
    sender = Sender(
        service=service,  # type: ignore[arg-type]  # as much of it as a delivery needs
        outbox=Outbox(folder, RUN_ID),
        limiter=WatchedLimiter(clock),
        clock=clock,
        stop=stop,
        request_for=make_request,
        make_marker=lambda: "NEVERASKEDFO",
        settle_s=180.0,
    )
    return AddingWorld(service, sender, clock, folder, stop)
