"""Who of a list's leads is in it: where calls add to lists, a list that is there says nothing of its leads.

The list is read back, and its entries are told apart as people are everywhere: by the service's own id, by LinkedIn
profile, by e-mail unless both carry an id or a profile and these differ. What is left on both sides is paired by name
where that leaves no choice, since a service may show another e-mail than it was given. Where the list names its people
by ids of another kind than they were sent with, or says nothing else of them, who is missing cannot be told.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.linkedin import canonical_profile_urls
from target_amplemarket.services.entries import further_emails
from target_amplemarket.services.protocol import CannotAsk, Confirmation, Found, Service
from target_amplemarket.storage.arrow import NO_TEXT, column_array

_NAME: Final = ("first_name", "last_name", "title")
_OF_PEOPLE: Final = ("person_id", "linkedin_url", "email", "first_name", "last_name")


def look(marker: str, leads: pa.Table, service: Service) -> Confirmation:
    """Ask for a list, and where one that is there may lack leads, for which of these it holds.

    Args:
        marker: Of the list.
        leads: Schema `leads.tables.LEADS`, all of them sent in calls of this list.
        service: Where to ask.
    """
    found = service.confirm(marker)
    return look_into(found, leads, service) if isinstance(found, Found) and service.adds_to_lists else found


def look_into(found: Found, leads: pa.Table, service: Service) -> Confirmation:
    """Which of some leads lists hold that are known to be there; see `look`."""
    pages: list[pa.Table] = []
    for list_id in found.list_ids:
        page = entries_of([list_id], service)
        if isinstance(page, CannotAsk):
            return page
        pages.append(page)
    # The fullest first: a list that was made twice, the second time for nothing, must not name where its leads are.
    order = sorted(range(len(pages)), key=lambda at: -pages[at].num_rows)
    entries = pa.concat_tables([pages[at] for at in order])
    found = replace(
        found,
        list_ids=tuple(found.list_ids[at] for at in order),
        urls=tuple(found.urls[at] for at in order),
    )
    placed = place(leads, entries)
    if placed.is_doubtful:
        return CannotAsk("unknown_ids")
    return replace(
        found,
        places=placed.places,
        twins=placed.twins,
        repeated_count=placed.repeated_count,
        entry_count=entries.num_rows,
    )


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
    """Where leads are among the entries of a list: see `Found`.

    Attributes:
        places: See there.
        twins: See there.
        repeated_count: See there.
        is_doubtful: Leads without an entry may be behind entries without a lead.
    """

    places: tuple[int | None, ...]
    twins: tuple[int | None, ...]
    repeated_count: int
    is_doubtful: bool = False


def place(leads: pa.Table, entries: pa.Table) -> Placed:
    """Find the entry of each lead.

    Args:
        leads: Schema `leads.tables.LEADS`.
        entries: Schema `services.entries.ENTRIES`.
    """
    wanted, present = _of_leads(leads), _of_entries(entries)
    places, repeated_count = _paired(wanted, present)
    for length in (len(_NAME), len(_NAME) - 1):
        _pair_by_name(wanted, present, places, length)
    _pair_forgotten(wanted, present, places)
    by_email = _by_email(present)
    twins = [next((by_email[email][0] for email in lead.emails if email in by_email), None) for lead in wanted]
    is_missing = [entry is None for entry in places]
    alike = tuple(twin if missing else None for twin, missing in zip(twins, is_missing, strict=True))
    return Placed(tuple(places), alike, repeated_count, _is_doubtful(wanted, present, places))


def repeated_entries(entries: pa.Table) -> int:
    """How many entries (schema `services.entries.ENTRIES`) are of somebody who has one before."""
    traits = _of_entries(entries)
    by_profile, by_email = _positions(one.profile for one in traits), _by_email(traits)
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
    emails: tuple[str, ...]
    name: tuple[str, ...]

    @property
    def is_bare(self) -> bool:
        """Whether nothing but an id is known."""
        return not (self.profile or self.emails or any(self.name[:2]))

    @property
    def is_forgotten(self) -> bool:
        """Whether it is the lead of somebody of whom nothing is kept."""
        return self.is_bare and self.id is None and not any(self.name)

    def differs_from(self, other: _Traits) -> bool:
        """Whether ids or profiles say that these are two."""
        pairs = ((self.id, other.id), (self.profile, other.profile))
        return any(one is not None and another is not None and one != another for one, another in pairs)


class _Group:
    """Entries that share something by which leads are known; each lead takes one of its own as far as they go."""

    def __init__(self, entries: Sequence[int]) -> None:
        self._first = entries[0]
        self._free = deque(entries)

    def is_left(self, owners: Mapping[int, _Traits]) -> bool:
        """Whether there is one that no lead has."""
        while self._free and self._free[0] in owners:
            self._free.popleft()
        return bool(self._free)

    def take(self, lead: _Traits, owners: dict[int, _Traits]) -> int:
        """An entry that no lead has, which is the lead's from now on; else one that it shares with another lead."""
        entry = self._free[0] if self.is_left(owners) else self._first
        owners.setdefault(entry, lead)
        return entry


def _paired(wanted: Sequence[_Traits], present: Sequence[_Traits]) -> tuple[list[int | None], int]:
    """The entry of each lead by id, profile or e-mail, and how many leads have a further one.

    A lead that carries an id or a profile by which nobody is there is not the one who has its e-mail and carries one.
    """
    by_id, by_profile = _groups(_positions(one.id for one in present)), _groups(_positions(p.profile for p in present))
    by_email = _groups(_by_email(present))
    without_profile = _groups(_by_email(present, only_without_profile=True))
    owners: dict[int, _Traits] = {}
    groups = [by_id.get(lead.id) or by_profile.get(lead.profile) for lead in wanted]
    places = [group.take(lead, owners) if group else None for lead, group in zip(wanted, groups, strict=True)]
    for row, lead in enumerate(wanted):
        if groups[row] is None and lead.id is None:
            mailboxes = by_email if lead.profile is None else without_profile
            groups[row] = group = next((mailboxes[email] for email in lead.emails if email in mailboxes), None)
            entry = group.take(lead, owners) if group else None
            # With one mailbox and two profiles they are two, and the entry is that of the other one.
            places[row] = None if entry is None or owners[entry].differs_from(lead) else entry
    return places, sum(group is not None and group.is_left(owners) for group in groups)


def _is_doubtful(wanted: Sequence[_Traits], present: Sequence[_Traits], places: Sequence[int | None]) -> bool:
    missing = [lead for lead, entry in zip(wanted, places, strict=True) if entry is None]
    taken = set(places)
    left = [entry for position, entry in enumerate(present) if position not in taken]
    if not missing or not left:
        return False
    ids = {lead.id for lead in wanted if lead.id is not None}
    is_other_kind = any(lead.id for lead in missing) and ids.isdisjoint(entry.id for entry in present)
    return is_other_kind or any(entry.is_bare for entry in left if entry.id not in ids)


def _of_leads(leads: pa.Table) -> list[_Traits]:
    """A company's id is that of the lead where the lead is a company; people have one beside their own."""
    persons = pc.coalesce(*(column_array(leads, name) for name in _OF_PEOPLE))
    companies = pc.if_else(pc.is_null(persons), column_array(leads, "company_id"), NO_TEXT)
    ids = pc.coalesce(column_array(leads, "person_id"), companies)
    emails = [() if email is None else (email,) for email in column_array(leads, "email").to_pylist()]
    return _traits(ids, column_array(leads, "linkedin_url"), emails, leads)


def _of_entries(entries: pa.Table) -> list[_Traits]:
    ids = pc.coalesce(column_array(entries, "person_id"), column_array(entries, "entry_id"))
    profiles = canonical_profile_urls(column_array(entries, "linkedin_url")).value
    return _traits(ids, profiles, _emails_of(entries), entries)


def _emails_of(entries: pa.Table) -> list[tuple[str, ...]]:
    """Of each entry the e-mail, and the further ones that it tells."""
    first, further = column_array(entries, "email").to_pylist(), map(further_emails, entries.column("data").to_pylist())
    texts = (dict.fromkeys((one, *others)) for one, others in zip(first, further, strict=True))
    each = [[text for text in found if text is not None] for found in texts]
    flat = pa.array([text for found in each for text in found], pa.string())
    canonical = iter(canonical_emails(flat).value.to_pylist())
    return [tuple(email for _ in found if (email := next(canonical)) is not None) for found in each]


def _traits(ids: pa.Array, profiles: pa.Array, emails: Sequence[tuple[str, ...]], table: pa.Table) -> list[_Traits]:
    parts = (pc.fill_null(_folded(column_array(table, name)), "").to_pylist() for name in _NAME)
    names = zip(*parts, strict=True)
    return list(map(_Traits, pc.utf8_lower(ids).to_pylist(), profiles.to_pylist(), emails, names))


def _folded(text: pa.StringArray) -> pa.StringArray:
    """Compared whatever its case, composition and outer blanks."""
    return pc.utf8_normalize(pc.utf8_lower(pc.utf8_trim_whitespace(text)), form="NFC")


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


def _pair_forgotten(wanted: Sequence[_Traits], present: Sequence[_Traits], places: list[int | None]) -> None:
    """Give leads of people who were forgotten since the call what is left: they are not to be taken for missing."""
    taken = set(places)
    left = iter([entry for entry in range(len(present)) if entry not in taken])
    for row, lead in enumerate(wanted):
        if lead.is_forgotten:
            places[row] = next(left, None)


def _groups(positions: Mapping[Hashable, list[int]]) -> dict[Hashable, _Group]:
    return {value: _Group(entries) for value, entries in positions.items()}


def _by_email(present: Sequence[_Traits], *, only_without_profile: bool = False) -> dict[Hashable, list[int]]:
    positions: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, one in enumerate(present):
        for email in () if only_without_profile and one.profile is not None else one.emails:
            positions[email].append(position)
    return dict(positions)


def _positions(values: Iterable[Hashable]) -> dict[Hashable, list[int]]:
    positions: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, value in enumerate(values):
        if value is not None:
            positions[value].append(position)
    return dict(positions)
