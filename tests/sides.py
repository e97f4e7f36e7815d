"""The two services, as the proof of delivery sees them: what differs between them stands here and nowhere else."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from target_amplemarket.sandbox import RunningSandbox

USERS: Final = ("dana@northwind.example",)
LONG_NOTE: Final = "x" * 60
"""Longer than the sandbox is told to take: the API refuses the lead and names it."""

LISTS: Final = "/api/v1/entities/leadlists"


class Arrival(NamedTuple):
    """A lead that a commit put into a list. It has a position where one call makes a list; its e-mail may be empty."""

    list_id: str
    position: int | None
    email: str


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A service and its API.

    Attributes:
        name: Of the service.
        settings: Beside key, address and folder.
        members: Of its records, beside the key.
        person: The record of a person by number; `person<number>@acme.example` is in it.
        refused: Members of a record whose lead the API refuses and names.
        arrivals: Every lead that a commit added, from the commit log.
        held: How often the lists, as they are now, hold each e-mail.
        writes: Endpoints whose answers are withheld, in the order in which a list needs them.
        any_write: All of these, as a fault names them.
        listing: Endpoint that is asked which lists there are.
        questions: That, and whichever else is asked whether leads arrived.
        switches: Of the sandbox.
        leads_of_first_write: How many leads of a list of three the first call of each endpoint brings.
    """

    name: str
    settings: Mapping[str, Any]
    members: tuple[str, ...]
    person: Callable[[int], dict[str, Any]]
    refused: Mapping[str, Any]
    arrivals: Callable[[RunningSandbox], list[Arrival]]
    held: Callable[[RunningSandbox], Counter[str]]
    writes: tuple[str, ...]
    any_write: str
    listing: str
    questions: tuple[str, ...]
    leads_of_first_write: tuple[int, ...]
    switches: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def adapted(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings of this service in the place of those of the other one."""
        return {name: value for name, value in settings.items() if name != "owner"} | dict(self.settings)

    def is_refused(self, members: Mapping[str, Any]) -> bool:
        """Whether the API refuses the lead of such a record."""
        return self.refused.items() <= members.items()


# --- Amplemarket: a call makes a list ---------------------------------------------------------------------------------


def _by_mail(number: int) -> dict[str, Any]:
    return {"email": f"person{number}@acme.example", "title": "Buyer"}


def _created(sandbox: RunningSandbox) -> list[Arrival]:
    """Every lead of every list that was committed."""
    return [
        Arrival(one.id, position, lead.get("email", ""))
        for one in sandbox.log()
        for position, lead in enumerate(one.created.leads.all())
    ]


AMPLEMARKET: Final = Side(
    name="amplemarket",
    settings={"owner": USERS[0], "extra_fields": ["note"]},
    members=("email", "title", "note"),
    person=_by_mail,
    refused={"note": LONG_NOTE},
    arrivals=_created,
    held=lambda sandbox: Counter(arrival.email for arrival in _created(sandbox)),
    writes=("POST /lead-lists",),
    any_write="POST /lead-lists",
    listing="GET /lead-lists",
    questions=("GET /lead-lists",),
    leads_of_first_write=(3,),
    switches={"extra_text_limit": 40},
)


# --- Lance: a call makes a list, further calls add to it --------------------------------------------------------------


def _by_name(number: int) -> dict[str, Any]:
    """Some have a LinkedIn profile, some an id of Lance, some neither; a list is read back by what they have."""
    known_by: tuple[dict[str, str], ...] = (
        {"linkedin_url": f"https://www.linkedin.com/in/buyer-number-{number}"},
        {"contact_ref": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"person{number}"))},
        {},
    )
    name = {"first_name": f"Sam{number}", "last_name": "Okafor"}
    return {**_by_mail(number), **name, **known_by[number % len(known_by)]}


def _added(sandbox: RunningSandbox) -> list[Arrival]:
    """Every person whom a commit really put into a list.

    Somebody whom a repeated call brought again and whom the API found in the list already is no second arrival: its
    commit log says so of each person. Two commits that both put somebody in, or two lists, are two.
    """
    return [
        Arrival(one.id, None, _email_of(lead))
        for one in sandbox.log()
        for call in one.calls
        if call.kind in {"create", "add"}
        for lead, is_new in zip(call.leads.all(), call.is_new, strict=True)
        if is_new
    ]


def _shown(sandbox: RunningSandbox) -> Counter[str]:
    return Counter(_email_of(person) for one in sandbox.log() for person in one.persons)


def _email_of(person: Mapping[str, Any]) -> str:
    return "".join((person.get("emails") or ())[:1])


LANCE: Final = Side(
    name="lance",
    settings={
        "service": "lance",
        "lance_people_per_call": 2,
        "field_mapping": {"*": {"person_id": "contact_ref"}},
    },
    members=("email", "title", "first_name", "last_name", "linkedin_url", "contact_ref"),
    person=_by_name,
    refused={"contact_ref": "no-uuid"},
    arrivals=_added,
    held=_shown,
    writes=(f"POST {LISTS}", f"POST {LISTS}/{{id}}/add-prospects"),
    any_write="POST *",
    listing=f"GET {LISTS}",
    questions=(f"GET {LISTS}", f"GET {LISTS}/{{id}}"),
    leads_of_first_write=(0, 2),
)

SIDES: Final = (AMPLEMARKET, LANCE)


def shared(count: int, turn: int, *, is_all: bool) -> list[tuple[Side, int]]:
    """Numbers from 0, each for one of the sides, another one in each turn; all of them for both if `is_all`."""
    pairs = [(place, number) for place in range(len(SIDES)) for number in range(count)]
    return [(SIDES[place], number) for place, number in pairs if is_all or (number + turn) % len(SIDES) == place]
