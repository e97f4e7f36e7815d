from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.delivery.read_back import look, place, repeated_entries, sighted
from target_amplemarket.leads.tables import LEADS
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.services.protocol import CannotAsk, EntryPage, Found, ListState

SAM = {"linkedin_url": "https://www.linkedin.com/in/sam-okafor", "email": "sam@buyer.example"}
KIM = {"linkedin_url": "https://www.linkedin.com/in/kim-lund", "email": "kim@buyer.example"}
NAMED = {"first_name": "Sam", "last_name": "Okafor", "title": "Buyer"}


def leads_of(*people: dict[str, Any]) -> pa.Table:
    columns = [[one.get(field.name) for one in people] for field in LEADS]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, LEADS, strict=True)]
    return pa.table(arrays, names=LEADS.names)


def entries_of(*people: dict[str, Any]) -> pa.Table:
    rows = [{"entry_id": f"own-{at}", "person_id": f"own-{at}"} | one for at, one in enumerate(people)]
    return pa.Table.from_pylist([{name: row.get(name) for name in ENTRIES.names} for row in rows], schema=ENTRIES)


@pytest.mark.parametrize(
    ("lead", "entry"),
    [
        ({"person_id": "lead_7"}, {"person_id": "lead_7"}),
        ({"person_id": "LEAD_7"}, {"person_id": "lead_7"}),
        ({"company_id": "5e1d"}, {"entry_id": "5e1d", "person_id": None}),
        (SAM, {"linkedin_url": "http://linkedin.com/in/Sam-Okafor/"}),
        ({"email": "sam@buyer.example"}, {"email": "Sam@Buyer.example"}),
        (SAM, {"email": "sam@buyer.example"}),
        (SAM | NAMED, {"email": "other@buyer.example"} | NAMED),
        (NAMED, {"first_name": "SAM", "last_name": "okafor", "title": "Head of buying"}),
        ({"first_name": "Zoé", "last_name": "Okafor"}, {"first_name": " Zoe\u0301", "last_name": "Okafor "}),
        ({"email": "sam@buyer.example", "company_id": "5e1d"} | NAMED, {"email": "sam@buyer.example"}),
        ({"company_id": "5e1d"} | NAMED, NAMED),
        (
            {"email": "sam@buyer.example"},
            {"email": "s.okafor@buyer.example", "data": '{"emails":["s.okafor@buyer.example",7,"Sam@buyer.example"]}'},
        ),
    ],
)
def test_somebody_is_found_by_what_both_sides_have(lead: dict[str, Any], entry: dict[str, Any]) -> None:
    assert place(leads_of(lead), entries_of(KIM, entry)).places == (1,)


@pytest.mark.parametrize(
    ("lead", "entry"),
    [
        (SAM, KIM),
        (SAM, KIM | {"email": "sam@buyer.example"}),  # a shared mailbox
        ({"person_id": "lead_7"} | SAM, {"person_id": "lead_8", "email": "sam@buyer.example"}),
        (NAMED, {"first_name": "Sam", "last_name": "Oka"}),
        ({"first_name": "Sam"}, {"first_name": "Sam"}),
        ({"title": "Buyer"}, {"title": "Buyer"}),
        (SAM | NAMED, KIM | NAMED),
    ],
)
def test_somebody_else_is_not_taken_for_them(lead: dict[str, Any], entry: dict[str, Any]) -> None:
    assert place(leads_of(lead), entries_of(entry)).places == (None,)


def test_of_two_with_one_name_neither_is_paired_by_it() -> None:
    named = {"first_name": "Sam", "last_name": "Okafor"}
    assert place(leads_of(named, named), entries_of(named)).places == (None, None)
    assert place(leads_of(named), entries_of(named, named)).places == (None,)
    titled = [named | {"title": title} for title in ("Buyer", "Seller")]
    assert place(leads_of(*titled), entries_of(*titled[::-1])).places == (1, 0)


def test_who_is_there_twice_is_counted() -> None:
    placed = place(leads_of(SAM, KIM), entries_of(KIM, SAM, {"email": "kim@buyer.example"}, KIM))
    assert (placed.places, placed.repeated_count) == ((1, 0), 1)
    assert repeated_entries(entries_of(KIM, SAM, KIM, KIM)) == 2
    assert repeated_entries(entries_of({"email": "info@buyer.example"}, {"email": "info@buyer.example"})) == 1
    shared = [one | {"email": "info@buyer.example"} for one in (SAM, KIM)]
    assert repeated_entries(entries_of(*shared)) == 0


def test_somebody_who_was_forgotten_since_is_whoever_is_left() -> None:
    assert place(leads_of(SAM, {}, KIM), entries_of(KIM, SAM, {"email": "ann@buyer.example"})).places == (1, 2, 0)
    assert place(leads_of(SAM, {}), entries_of(SAM)).places == (0, None)
    service: Any = Shown({"person_id": "2b6f"}, {"person_id": "5e1d"})
    assert look("A" * 12, leads_of({}, {"person_id": "5e1d"}), service).places == (0, 1)  # type: ignore[union-attr]


def test_people_of_one_mailbox_have_entries_of_their_own() -> None:
    """The service shows no profiles, so each entry may be anybody's of the mailbox; but two are two."""
    shared = [one | {"email": "info@buyer.example"} for one in (SAM, KIM)]
    placed = place(leads_of(*shared), entries_of(*[{"email": "info@buyer.example"}] * 2))
    assert (placed.places, placed.repeated_count) == ((0, 1), 0)
    one_there = place(leads_of(*shared), entries_of({"email": "info@buyer.example"}))
    assert (one_there.places, one_there.twins) == ((0, None), (None, 0))
    versions = [{"email": "sam@buyer.example", "title": title} for title in ("Buyer", "Seller")]
    assert place(leads_of(*versions), entries_of(*versions)).repeated_count == 0
    assert place(leads_of(*versions), entries_of(*versions, versions[0])).repeated_count == 2
    assert place(leads_of(*versions), entries_of(versions[0])).places == (0, 0)


@pytest.mark.parametrize("shown", [10_000, 5_000])
def test_a_mailbox_that_ten_thousand_share_takes_no_longer_than_any_other(shown: int) -> None:
    people = [SAM | {"linkedin_url": f"https://www.linkedin.com/in/p-{n}"} for n in range(10_000)]
    leads, entries = leads_of(*people), entries_of(*people[:shown])
    start_s = time.perf_counter()
    assert place(leads, entries).places == (*range(shown), *[None] * (10_000 - shown))
    assert time.perf_counter() - start_s < 5  # a tenth of a second each way; 20 to 40 where everybody meets everybody


class Shown:
    """A service whose one list shows these entries."""

    adds_to_lists = True

    def __init__(self, *people: dict[str, Any]) -> None:
        self.page = EntryPage(ListState("completed", None), entries_of(*people))

    def confirm(self, marker: str) -> Found:
        return Found((f"list of {marker}",), (None,))

    def entries(self, list_id: str) -> list[EntryPage]:
        return [self.page]


@pytest.mark.parametrize(
    ("leads", "entries"),
    [
        ([{"person_id": "2b6f"}, {"person_id": "5e1d"}], [{"person_id": "lead_1"}, {"person_id": "lead_2"}]),
        ([{"person_id": "2b6f"} | NAMED], [{"person_id": "lead_1"} | NAMED]),
        ([SAM | NAMED, KIM], [KIM, {"person_id": "7d0c"}]),
        ([{"company_id": "5e1d"}], [{"entry_id": "c-1", "person_id": None, "company_name": "Northwind"}]),
    ],
)
def test_where_ids_of_another_kind_or_nothing_else_is_shown_nobody_can_say_who_is_missing(
    leads: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> None:
    service: Any = Shown(*entries)
    assert look("A" * 12, leads_of(*leads), service) == CannotAsk("unknown_ids")


@pytest.mark.parametrize(
    ("leads", "entries", "places"),
    [
        (
            [{"person_id": "2b6f"}, {"person_id": "5e1d"}],
            [{"person_id": "5e1d"}, {"person_id": "7d0c"} | NAMED],
            (None, 0),
        ),
        ([{"person_id": "2b6f"}], [], (None,)),
        ([SAM | NAMED, KIM], [KIM, {"person_id": "7d0c", "first_name": "Ann", "last_name": "Lund"}], (None, 0)),
    ],
)
def test_where_the_list_can_be_told_apart_who_is_missing_is_missing(
    leads: list[dict[str, Any]], entries: list[dict[str, Any]], places: tuple[int | None, ...]
) -> None:
    service: Any = Shown(*entries)
    found = look("A" * 12, leads_of(*leads), service)
    assert isinstance(found, Found)
    assert found.places == places


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_every_lead_that_is_there_is_found_wherever_it_stands(order: list[int], gone: set[int]) -> None:
    people = [
        {"linkedin_url": f"https://www.linkedin.com/in/p-{n}"} if n % 3 == 0
        else {"email": f"p-{n}@buyer.example"} if n % 3 == 1
        else {"first_name": f"P{n}", "last_name": "Okafor"}
        for n in range(12)
    ]  # fmt: skip
    shown = [n for n in order if n not in gone]
    placed = place(leads_of(*people), entries_of(*(people[n] for n in shown)))
    found = [None if entry is None else shown[entry] for entry in placed.places]
    assert found == [None if n in gone else n for n in range(12)]
    assert placed.repeated_count == 0


def test_leads_are_sorted_by_what_the_list_shows_with_those_before_them_first() -> None:
    found = Found(("list-1",), (None,), places=(5, 7, 7, None, 2))
    seen = sighted(found, [11], [12, 13, 14, 15], is_answered=False)
    assert (seen.accepted, seen.already_there, seen.missing) == ((0, 3), (1,), (2,))
    assert seen.winner_record_nos == (12,)
    of_earlier = sighted(Found(("list-1",), (None,), places=(5, 5)), [11], [12], is_answered=False)
    assert (of_earlier.accepted, of_earlier.winner_record_nos) == ((), (11,))


def test_who_shares_the_mailbox_of_somebody_in_the_list_was_taken_for_them_if_the_call_was_answered() -> None:
    placed = place(leads_of(SAM, KIM | {"email": "sam@buyer.example"}), entries_of(SAM))
    assert (placed.places, placed.twins) == ((0, None), (None, 0))
    found = Found(("list-1",), (None,), places=placed.places, twins=placed.twins)
    assert sighted(found, [], [1, 2], is_answered=True).winner_record_nos == (1,)
    assert sighted(found, [], [1, 2], is_answered=False).missing == (1,)
