"""Who of a list's leads is in it: where calls add to lists, a list that is there says nothing of its leads.

The list is read back, and its entries are told apart as people are everywhere: by the service's own id, by LinkedIn
profile, by e-mail unless both carry an id or a profile and these differ. What is left on both sides is paired by name
where that leaves no choice, since a service may show another e-mail than it was given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.linkedin import canonical_profile_urls
from target_amplemarket.services.protocol import CannotAsk, Confirmation, Found, Service
from target_amplemarket.storage.arrow import column_array

_NAME: Final = ("first_name", "last_name", "title")


def look(marker: str, leads: pa.Table, service: Service) -> Confirmation:
    """Ask for a list, and where one that is there may lack leads, for which of these it holds.

    Args:
        marker: Of the list.
        leads: Schema `leads.tables.LEADS`, all of them sent in calls of this list.
        service: Where to ask.
    """
    found = service.confirm(marker)
    if not isinstance(found, Found) or not service.adds_to_lists:
        return found
    entries = entries_of(found.list_ids, service)
    if isinstance(entries, CannotAsk):
        return entries
    placed = place(leads, entries)
    return replace(found, places=placed.places, twins=placed.twins, repeated_count=placed.repeated_count)


def entries_of(list_ids: Iterable[str], service: Service) -> pa.Table | CannotAsk:
    """All entries (schema `services.entries.ENTRIES`) of some lists, one list after the other."""
    tables = []
    for list_id in list_ids:
        for page in service.entries(list_id):
            if isinstance(page, CannotAsk):
                return page
            tables.append(page.entries)
    return pa.concat_tables(tables) if tables else CannotAsk("unreadable_answer")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where leads are among the entries of a list: see `Found`."""

    places: tuple[int | None, ...]
    twins: tuple[int | None, ...]
    repeated_count: int


def place(leads: pa.Table, entries: pa.Table) -> Placed:
    """Find the entry of each lead.

    Args:
        leads: Schema `leads.tables.LEADS`.
        entries: Schema `services.entries.ENTRIES`.
    """
    wanted, present = _of_leads(leads), _of_entries(entries)
    by_id, by_profile = _positions(one.id for one in present), _positions(one.profile for one in present)
    by_email = _positions(one.email for one in present)
    places: list[int | None] = []
    repeated_count = 0
    for lead in wanted:
        of_email = [entry for entry in by_email.get(lead.email, ()) if not lead.differs_from(present[entry])]
        found = by_id.get(lead.id) or by_profile.get(lead.profile) or of_email
        places.append(found[0] if found else None)
        repeated_count += len(found) > 1
    for length in (len(_NAME), len(_NAME) - 1):
        _pair_by_name(wanted, present, places, length)
    twins = [by_email.get(lead.email, (None,))[0] for lead in wanted]
    is_missing = [entry is None for entry in places]
    alike = tuple(twin if missing else None for twin, missing in zip(twins, is_missing, strict=True))
    return Placed(tuple(places), alike, repeated_count)


def repeated_entries(entries: pa.Table) -> int:
    """How many entries (schema `services.entries.ENTRIES`) are of somebody who has one before."""
    traits = _of_entries(entries)
    by_profile, by_email = _positions(one.profile for one in traits), _positions(one.email for one in traits)
    by_id = _positions(one.id for one in traits)
    repeats = {entry for group in (*by_id.values(), *by_profile.values()) for entry in group[1:]}
    for group in by_email.values():
        # The service may have given each an id of its own: only profiles tell two people of one mailbox apart.
        profiles = {traits[entry].profile for entry in group}
        repeats.update(group[1:] if None in profiles else ())
    return len(repeats)


@dataclass(frozen=True, slots=True)
class Sighted:
    """Leads of a call, by row, as the list that was read back shows them.

    Attributes:
        accepted: They have an entry of their own.
        already_there: Their entry is that of another lead.
        winner_record_nos: Of these other leads.
        missing: They have no entry.
        list_id: Of the list.
        url: Where people can look at it.
    """

    accepted: tuple[int, ...]
    already_there: tuple[int, ...]
    winner_record_nos: tuple[int, ...]
    missing: tuple[int, ...]
    list_id: str
    url: str | None


def sighted(found: Found, record_nos_before: Sequence[int], record_nos: Sequence[int], *, is_answered: bool) -> Sighted:
    """Sort the leads of a call by what was found of them.

    Args:
        found: Read back, with places for the leads before and then for these.
        record_nos_before: Of leads that were in the list before the call.
        record_nos: Of the leads of the call.
        is_answered: The API took the call, so a lead without an entry was not overlooked: one whose e-mail somebody
            else has there was taken for that one.
    """
    places, all_nos = found.places or (), (*record_nos_before, *record_nos)
    twins = found.twins if is_answered and found.twins else (None,) * len(places)
    owners: dict[int, int] = {}
    for record_no, entry in zip(all_nos, places, strict=True):
        if entry is not None:
            owners.setdefault(entry, record_no)
    accepted, already_there, winners, missing = [], [], [], []
    start = len(record_nos_before)
    for row, record_no in enumerate(record_nos):
        entry = places[start + row]
        of_whom = entry if entry is not None else twins[start + row]
        owner = None if of_whom is None else owners.get(of_whom)
        if entry is not None and owner == record_no:
            accepted.append(row)
        elif owner is not None:
            already_there.append(row)
            winners.append(owner)
        else:
            missing.append(row)
    return Sighted(
        tuple(accepted), tuple(already_there), tuple(winners), tuple(missing), found.list_ids[0], found.urls[0]
    )


@dataclass(frozen=True, slots=True)
class _Traits:
    """What somebody is known by."""

    id: str | None
    profile: str | None
    email: str | None
    name: tuple[str, ...]

    def differs_from(self, other: _Traits) -> bool:
        """Whether ids or profiles say that these are two."""
        pairs = ((self.id, other.id), (self.profile, other.profile))
        return any(one is not None and another is not None and one != another for one, another in pairs)


def _of_leads(leads: pa.Table) -> list[_Traits]:
    ids = pc.coalesce(column_array(leads, "person_id"), column_array(leads, "company_id"))
    profiles, emails = column_array(leads, "linkedin_url"), column_array(leads, "email")
    return _traits(ids, profiles, emails, leads)


def _of_entries(entries: pa.Table) -> list[_Traits]:
    ids = pc.coalesce(column_array(entries, "person_id"), column_array(entries, "entry_id"))
    profiles = canonical_profile_urls(column_array(entries, "linkedin_url")).value
    return _traits(ids, profiles, canonical_emails(column_array(entries, "email")).value, entries)


def _traits(ids: pa.Array, profiles: pa.Array, emails: pa.Array, table: pa.Table) -> list[_Traits]:
    parts = (pc.fill_null(pc.utf8_lower(column_array(table, name)), "").to_pylist() for name in _NAME)
    names = zip(*parts, strict=True)
    return list(map(_Traits, pc.utf8_lower(ids).to_pylist(), profiles.to_pylist(), emails.to_pylist(), names))


def _pair_by_name(wanted: Sequence[_Traits], present: Sequence[_Traits], places: list[int | None], length: int) -> None:
    """Give leads without an entry the one entry without a lead that has their name, if nobody else has it."""
    taken = set(places)
    missing = [lead for lead, entry in enumerate(places) if entry is None and all(wanted[lead].name[:2])]
    left = [entry for entry in range(len(present)) if entry not in taken]
    entries = _positions(present[entry].name[:length] for entry in left)
    for name, named in _positions(wanted[lead].name[:length] for lead in missing).items():
        found = entries.get(name, ())
        if len(named) == len(found) == 1 and not wanted[missing[named[0]]].differs_from(present[left[found[0]]]):
            places[missing[named[0]]] = left[found[0]]


def _positions(values: Iterable[Hashable]) -> dict[Hashable, list[int]]:
    positions: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, value in enumerate(values):
        if value is not None:
            positions[value].append(position)
    return dict(positions)
