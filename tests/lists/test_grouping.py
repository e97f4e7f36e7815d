from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from target_amplemarket.config import LIST_TYPES
from target_amplemarket.leads.tables import LEADS
from target_amplemarket.lists.grouping import ListRules, OpenLists
from target_amplemarket.lists.lead_list import GroupKey, LeadList, make_marker
from tests.leads.building import UNHURRIED, leads_table

DANA, LEE, KIM = "dana@northwind.example", "lee@northwind.example", "kim@northwind.example"
KNOWN = {DANA, LEE}


def open_lists(
    *, size: int = 3, wait_limit_s: float = 300, template: str = "{stream} {date}", numbers: Iterator[int] | None = None
) -> OpenLists:
    numbers = numbers or itertools.count(1)
    return OpenLists(
        ListRules(batch_size_rows=size, wait_limit_s=wait_limit_s, name_template=template, owner=DANA),
        make_marker=make_marker,
        number=lambda: next(numbers),
        today=datetime(2026, 1, 5, 23, 59, tzinfo=UTC),
    )


def table(first: int, *rows: tuple[str | None, str]) -> Any:
    return leads_table(
        [{"record_no": first + at, "owner": owner, "list_type": kind} for at, (owner, kind) in enumerate(rows)]
    )


def emails(first: int, count: int) -> Any:
    return table(first, *[(None, "email")] * count)


def numbers_of(lead_list: LeadList) -> list[int]:
    made: list[int] = lead_list.leads.column("record_no").to_pylist()
    return made


@pytest.mark.step("D1")
def test_a_list_is_closed_at_exactly_the_size_that_the_settings_allow() -> None:
    lists = open_lists(size=3)
    assert list(lists.add("s", emails(1, 2), KNOWN, 0.0)) == []
    (closed,) = lists.add("s", emails(3, 3), KNOWN, 0.0)
    assert numbers_of(closed) == [1, 2, 3]
    assert lists.lead_count == 2
    assert [numbers_of(one) for one in lists.add("s", emails(6, 5), KNOWN, 0.0)] == [[4, 5, 6], [7, 8, 9]]
    assert [numbers_of(one) for one in lists.close_all()] == [[10]]
    assert lists.lead_count == 0
    assert list(lists.close_all()) == []


def test_a_block_that_fills_its_list_leaves_nothing_open() -> None:
    lists = open_lists(size=3)
    assert len(list(lists.add("s", emails(1, 6), KNOWN, 0.0))) == 2
    assert lists.first_record_numbers() == {}
    assert list(lists.close_all()) == []


def test_leads_of_one_list_agree_in_stream_owner_and_type() -> None:
    lists = open_lists()
    rows = [(DANA, "email"), (LEE, "email"), (DANA, "linkedin"), (DANA, "email")]
    assert list(lists.add("a", table(1, *rows), KNOWN, 0.0)) == []
    assert list(lists.add("b", table(5, (DANA, "email")), KNOWN, 0.0)) == []
    assert {one.key: numbers_of(one) for one in lists.close_all()} == {
        GroupKey("a", DANA, "email"): [1, 4],
        GroupKey("a", LEE, "email"): [2],
        GroupKey("a", DANA, "linkedin"): [3],
        GroupKey("b", DANA, "email"): [5],
    }


def test_leads_of_an_unknown_owner_or_of_none_go_to_the_default_owner() -> None:
    lists = open_lists()
    assert list(lists.add("s", table(1, (KIM, "email"), (None, "email")), KNOWN, 0.0)) == []
    (closed,) = lists.add("s", table(3, (DANA, "email")), KNOWN, 0.0)
    assert closed.key == GroupKey("s", DANA, "email")
    assert numbers_of(closed) == [1, 2, 3]


@pytest.mark.step("D1")
def test_a_list_is_closed_at_its_age_counted_from_its_first_lead() -> None:
    lists = open_lists(wait_limit_s=300)
    assert list(lists.add("a", emails(1, 1), KNOWN, 1_000.0)) == []
    assert list(lists.add("b", emails(2, 1), KNOWN, 1_200.0)) == []
    assert list(lists.add("a", emails(3, 1), KNOWN, 1_299.0)) == []
    assert list(lists.close_aged(1_299.9)) == []
    assert [numbers_of(one) for one in lists.close_aged(1_300.0)] == [[1, 3]]
    assert [numbers_of(one) for one in lists.close_aged(1_500.0)] == [[2]]


def test_what_remains_of_a_block_after_a_full_list_is_as_young_as_the_block() -> None:
    lists = open_lists(size=3)
    assert list(lists.add("s", emails(1, 2), KNOWN, 0.0)) == []
    assert len(list(lists.add("s", emails(3, 2), KNOWN, 200.0))) == 1
    assert list(lists.close_aged(300.0)) == []
    assert [numbers_of(one) for one in lists.close_aged(500.0)] == [[4]]


def test_the_smallest_record_number_of_each_open_list_is_known() -> None:
    lists = open_lists()
    assert list(lists.add("s", table(4, (LEE, "email"), (DANA, "email"), (DANA, "email")), KNOWN, 0.0)) == []
    assert lists.first_record_numbers() == {GroupKey("s", LEE, "email"): 4, GroupKey("s", DANA, "email"): 5}


def test_parts_count_the_lists_of_one_name_and_numbers_all_of_them() -> None:
    lists = open_lists(size=1, numbers=itertools.count(5))
    closed = [*lists.add("a", table(1, (DANA, "email"), (LEE, "email")), KNOWN, 0.0)]
    closed += [*lists.add("b", emails(3, 1), KNOWN, 0.0), *lists.add("a", emails(4, 1), KNOWN, 0.0)]
    assert [(one.number, one.name[: -len(" [ABCDEFGHIJKL]")]) for one in closed] == [
        (5, "a 2026-01-05 part 1"),
        (6, "a 2026-01-05 part 2"),
        (7, "b 2026-01-05 part 1"),
        (8, "a 2026-01-05 part 3"),
    ]


def test_a_name_may_hold_owner_and_list_type_and_braces_of_a_stream_stay_what_they_are() -> None:
    lists = open_lists(size=1, template="{list_type}/{owner}/{stream}")
    (closed,) = lists.add("{date} {0} {x", table(1, (LEE, "linkedin")), KNOWN, 0.0)
    assert closed.name == f"linkedin/lee@northwind.example/{{date}} {{0}} {{x part 1 [{closed.marker}]"


def test_a_list_has_the_schema_of_leads_whatever_blocks_they_came_in() -> None:
    lists = open_lists(size=5)
    assert list(lists.add("s", LEADS.empty_table(), KNOWN, 0.0)) == []
    assert list(lists.add("s", emails(1, 3), KNOWN, 0.0)) == []
    (closed,) = lists.add("s", emails(4, 2), KNOWN, 0.0)
    assert closed.leads.schema == LEADS
    assert closed.leads.column("record_no").to_pylist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_list_never_shares_memory_with_the_block_that_its_leads_came_in(size: int) -> None:
    lists = open_lists(size=size)
    block = emails(1, 20_000)
    closed = list(lists.add("s", block.slice(0, size), KNOWN, 0.0))
    assert closed[0].leads.get_total_buffer_size() < 2 * block.get_total_buffer_size() * size / 20_000 + 4_096


def pointing(block: pa.Table, records: pa.Array) -> pa.Table:
    """A block of leads with records that it points to."""
    places = pa.DictionaryArray.from_arrays(np.arange(len(records), dtype=np.int32), records)
    return block.drop_columns(["record"]).append_column("record", places).select(LEADS.names)


@pytest.mark.parametrize(("chosen", "most_bytes"), [(19_000, 8_000_000), (30, 500_000)])
@pytest.mark.parametrize("is_struct", [False, True])
def test_few_records_do_not_keep_those_of_their_block_alive(chosen: int, most_bytes: int, is_struct: bool) -> None:
    lists, before = open_lists(size=20_000), pa.total_allocated_bytes()
    texts = [f"{n:0>200}" for n in range(20_000)]
    records: pa.Array = pa.array(texts)
    if is_struct:
        records = pa.StructArray.from_arrays([records], ["text"])
    block = pointing(emails(1, 20_000), records)
    leads = block.filter(pc.less_equal(block.column("record_no"), chosen))
    assert list(lists.add("s", leads, KNOWN, 0.0)) == []
    del records, block, leads
    assert pa.total_allocated_bytes() - before < most_bytes
    (closed,) = lists.close_all()
    kept = closed.leads.column("record").to_pylist()
    assert [record["text"] for record in kept] == texts[:chosen] if is_struct else kept == texts[:chosen]
    assert is_struct or closed.leads.schema == LEADS


def test_records_whose_columns_differ_meet_in_one_list_as_text() -> None:
    lists = open_lists(size=4)
    blocks = [
        pa.StructArray.from_arrays([pa.array([1])], ["a"]),
        pa.StructArray.from_arrays([pa.array(["x"])], ["a"]),
        pa.array(['{"a":null}']),
    ]
    for number, records in enumerate(blocks, start=1):
        assert list(lists.add("s", pointing(emails(number, 1), records), KNOWN, 0.0)) == []
    (closed,) = lists.add("s", pointing(emails(4, 1), blocks[0]), KNOWN, 0.0)
    assert closed.leads.schema == LEADS
    assert closed.leads.column("record").to_pylist() == ['{"a":1}', '{"a":"x"}', '{"a":null}', '{"a":1}']


def test_closing_a_list_copies_none_of_its_records() -> None:
    lists, texts = open_lists(size=20_000), [f"{n:0>200}" for n in range(20_000)]
    records = pa.DictionaryArray.from_arrays(np.arange(20_000, dtype=np.int32), pa.array(texts))
    leads = emails(1, 20_000).drop_columns(["record"]).append_column("record", records).select(LEADS.names)
    assert list(lists.add("s", leads.slice(0, 19_000), KNOWN, 0.0)) == []
    before = pa.total_allocated_bytes()
    (closed,) = lists.close_all()
    assert pa.total_allocated_bytes() - before < 500_000
    assert closed.leads.column("record").to_pylist() == texts[:19_000]


STREAMS = st.sampled_from(["a", "b"])
ROWS = st.lists(st.tuples(st.sampled_from([DANA, LEE, KIM, None]), st.sampled_from(LIST_TYPES)), max_size=9)


class Grouping(RuleBasedStateMachine):
    """Every lead is in exactly one list, in record order, in the list of its stream, owner and type."""

    SIZE = 4

    def __init__(self) -> None:
        super().__init__()
        self.lists = open_lists(size=self.SIZE, wait_limit_s=10)
        self.now_s = 0.0
        self.added: dict[int, GroupKey] = {}
        self.added_at_s: dict[int, float] = {}
        self.closed: list[LeadList] = []

    @rule(stream=STREAMS, rows=ROWS)
    def add(self, stream: str, rows: list[tuple[str | None, str]]) -> None:
        first = len(self.added) + 1
        for record_no, (owner, kind) in enumerate(rows, start=first):
            self.added[record_no] = GroupKey(stream, owner if owner in KNOWN and owner else DANA, kind)
            self.added_at_s[record_no] = self.now_s
        full = list(self.lists.add(stream, table(first, *rows), KNOWN, self.now_s))
        assert all(one.leads.num_rows == self.SIZE for one in full)
        self.closed += full

    @rule(passed_s=st.sampled_from([1.0, 4.0, 10.0]))
    def wait(self, passed_s: float) -> None:
        self.now_s += passed_s
        aged = list(self.lists.close_aged(self.now_s))
        assert all(self.now_s - self.added_at_s[one.first_record_no] >= 10 for one in aged)
        self.closed += aged

    @rule()
    def end(self) -> None:
        self.closed += self.lists.close_all()
        assert self.lists.lead_count == 0

    @invariant()
    def every_lead_is_in_one_list(self) -> None:
        gone = [record_no for one in self.closed for record_no in numbers_of(one)]
        assert len(gone) == len(set(gone))
        still_open = self.added.keys() - set(gone)
        assert self.lists.lead_count == len(still_open)
        smallest: dict[GroupKey, int] = {}
        for record_no in sorted(still_open):
            smallest.setdefault(self.added[record_no], record_no)
        assert self.lists.first_record_numbers() == smallest
        assert all(self.now_s - self.added_at_s[record_no] < 10 for record_no in still_open)

    @invariant()
    def lists_are_sorted_pure_and_short(self) -> None:
        for number, one in enumerate(self.closed, start=1):
            assert 0 < one.leads.num_rows <= self.SIZE
            assert numbers_of(one) == sorted(numbers_of(one))
            assert {self.added[record_no] for record_no in numbers_of(one)} == {one.key}
            assert one.number == number
        assert len({one.marker for one in self.closed}) == len({one.name for one in self.closed}) == len(self.closed)


TestGrouping = Grouping.TestCase
TestGrouping.settings = settings(deadline=None, max_examples=40, stateful_step_count=20)


@pytest.mark.step("D1")
@given(
    st.text(st.characters(exclude_categories=[]), max_size=300),
    st.lists(st.sampled_from(["{stream}", "{date}", "{owner}", "{list_type}", "{{", "}}", " ", "é", "🚀", "\x00"])).map(
        "".join
    ),
)
@UNHURRIED
def test_any_stream_and_any_template_give_names_that_end_in_part_and_marker(stream: str, template: str) -> None:
    lists = open_lists(size=1, template=template)
    for part, one in enumerate(lists.add(stream, emails(1, 2), KNOWN, 0.0), start=1):
        assert re.fullmatch(rf"[ -~]+ part {part} \[{one.marker}\]", one.name)
        assert len(one.name) <= 120
