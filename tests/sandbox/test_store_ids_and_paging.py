"""Leads in small pieces, ids that rise, and pages that lose nothing."""

from __future__ import annotations

import tracemalloc
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.sandbox.ids import EntryIds, IdMaker, is_uuid
from target_amplemarket.sandbox.paging import PageQuery, page_of
from target_amplemarket.sandbox.store import LeadStore

from .client import Client, people


def raw(leads: list[dict[str, str]]) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode(lead)) for lead in leads]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1337])
def test_store_gives_back_what_it_was_given(count: int) -> None:
    leads = people(count)
    store = LeadStore(raw(leads))
    assert (len(store), store.all()) == (count, leads)
    assert msgspec.json.decode(b"".join(store.json_parts())) == leads


@given(st.integers(0, 1300), st.integers(0, 1400))
def test_slices_are_those_of_a_list(start: int, stop: int) -> None:
    assert STORE.slice(start, stop) == LEADS[start:stop]


LEADS = people(1200)
STORE = LeadStore(raw(LEADS))


def test_a_hundred_full_lists_need_little_memory() -> None:
    client = Client({"requests_per_minute": 0})
    leads = [
        lead | {"title": f"Manager {number}", "note": "met at the fair " * 10}
        for number, lead in enumerate(people(10_000))
    ]
    client.create(leads)
    tracemalloc.start()
    try:
        for _ in range(2):
            client.create(leads)
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes / 2 < 1_000_000  # a list of 10,000; as objects it would take over 10 MB


@given(st.lists(st.floats(1.7e9, 1.9e9), min_size=2, max_size=50))
def test_ids_rise_whatever_the_clock_does(moments: list[float]) -> None:
    maker = IdMaker(1)
    ids = [maker.make(moment) for moment in moments]
    assert ids == sorted(set(ids))
    assert all(uuid.UUID(one).version == 7 and uuid.UUID(one).variant == uuid.RFC_4122 for one in ids)


def test_five_thousand_ids_of_one_moment_rise() -> None:
    maker = IdMaker(1)
    ids = [maker.make(1.8e9) for _ in range(5000)]
    assert ids == sorted(set(ids))


def test_entry_ids_are_the_same_when_a_list_grows() -> None:
    list_id = IdMaker(1).make(1.8e9)
    short, long = EntryIds(list_id, 10), EntryIds(list_id, 60_000)
    assert list(short) == long[:10]
    assert list(long) == sorted(set(long))
    assert all(is_uuid(one) for one in short)
    with pytest.raises(IndexError):
        short[10]


@given(st.integers(0, 30), st.integers(1, 12), st.booleans())
def test_pages_there_and_back_show_everything_once(count: int, size: int, descending: bool) -> None:
    ids = [f"{number:04d}" for number in range(count)]
    wanted = ids[::-1] if descending else ids
    page = page_of(ids, PageQuery(size, None, None), descending=descending)
    shown = [list(page.positions)]
    assert not page.has_prev
    while page.has_next:
        page = page_of(ids, PageQuery(size, ids[page.positions[-1]], None), descending=descending)
        shown.append(list(page.positions))
    assert [ids[at] for positions in shown for at in positions] == wanted
    back = [shown[-1]]
    while page.has_prev:
        page = page_of(ids, PageQuery(size, None, ids[page.positions[0]]), descending=descending)
        back.append(list(page.positions))
    assert back[::-1] == shown


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 12), st.booleans())
def test_cursors_are_exclusive_from_both_sides(after: int, before: int, size: int, descending: bool) -> None:
    ids = [f"{number:04d}" for number in range(10)]
    page = page_of(ids, PageQuery(size, ids[after], ids[before]), descending=descending)
    between = range(before + 1, after)[::-1] if descending else range(after + 1, before)
    assert list(page.positions) == list(between)[:size]
