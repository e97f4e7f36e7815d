from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.leads.duplicates import in_record_order, screen, screen_together
from target_amplemarket.leads.people import IDENTITY_COLUMNS, Known, People
from target_amplemarket.leads.tables import LEADS, REJECTIONS
from tests.leads.building import UNHURRIED, leads_table


def lead(linkedin: str, **members: Any) -> dict[str, Any]:
    return {"linkedin_fingerprint": linkedin, "list_type": "linkedin", "record": f"kept {linkedin}"} | members


def known(sent: str = "sent", held: str = "held") -> People:
    people = People()
    people.remember(leads_table([lead(held)]), Known.HELD)
    people.remember(leads_table([lead(sent)]), Known.SENT)
    return people


def test_new_leads_pass_unchanged_and_in_order() -> None:
    leads = leads_table([lead("a"), lead("b"), lead("a"), lead("c")])
    screened = screen(leads, People())
    assert screened.new.schema == LEADS
    assert screened.new.equals(leads.take([0, 1, 3]))


def test_a_duplicate_in_the_run_names_the_record_that_won() -> None:
    screened = screen(leads_table([lead("a", record_no=41), lead("a", record_no=42, record_key='{"id":1}')]), People())
    assert screened.duplicates.to_pylist() == [
        {
            "record_no": 42,
            "record_key": '{"id":1}',
            "list_type": "linkedin",
            "record": "kept a",
            "status": "duplicate",
            "reason": "duplicate_in_run",
            "field": None,
            "detail": "the same person came earlier in this run",
            "winner_record_no": 41,
        }
    ]


def test_a_person_sent_by_an_earlier_run_is_a_duplicate_without_a_winner() -> None:
    (row,) = screen(leads_table([lead("sent")]), known()).duplicates.to_pylist()
    assert (row["status"], row["reason"], row["winner_record_no"]) == ("duplicate", "already_sent", None)
    assert row["detail"] == "the same person was sent before"


def test_a_person_of_a_held_list_is_held_and_keeps_the_fingerprints() -> None:
    leads = leads_table([lead("held", email_fingerprint="x")])
    screened = screen(leads, known())
    assert screened.new.num_rows == screened.duplicates.num_rows == 0
    (row,) = screened.held.to_pylist()
    assert (row["status"], row["reason"], row["winner_record_no"]) == ("held", "outcome_unknown", None)
    for name in (*IDENTITY_COLUMNS, "version_fingerprint"):
        assert screened.held.column(name).equals(leads.column(name))


def test_no_leads_are_screened_into_three_empty_tables() -> None:
    screened = screen(LEADS.empty_table(), People())
    assert (screened.new.num_rows, screened.duplicates.num_rows, screened.held.num_rows) == (0, 0, 0)


def rejection_columns(table: pa.Table) -> dict[str, pa.DataType]:
    return {name: table.schema.field(name).type for name in REJECTIONS.names}


@given(st.lists(st.sampled_from(["a", "b", "c", "sent", "held"]), max_size=10))
@UNHURRIED
def test_every_lead_is_in_exactly_one_table_with_its_number(names: list[str]) -> None:
    screened = screen(leads_table([lead(name) for name in names]), known())
    numbers = [t.column("record_no").to_pylist() for t in (screened.new, screened.duplicates, screened.held)]
    assert sorted(itertools.chain(*numbers)) == list(range(1, len(names) + 1))
    assert all(rows == sorted(rows) for rows in numbers)
    expected = {name: REJECTIONS.field(name).type for name in REJECTIONS.names}
    assert rejection_columns(screened.duplicates) == expected
    assert rejection_columns(screened.held) == expected
    assert numbers[2] == [position for position, name in enumerate(names, start=1) if name == "held"]


SOME = st.one_of(st.none(), st.sampled_from("abc"))


@UNHURRIED
@given(st.lists(st.tuples(st.integers(0, 2), SOME, SOME), max_size=14))
def test_several_blocks_are_screened_as_one_in_the_order_of_their_records(
    rows: list[tuple[int, str | None, str | None]],
) -> None:
    """Whoever came first wins, whichever stream it came by."""
    leads = leads_table([{"linkedin_fingerprint": linkedin, "email_fingerprint": email} for _, linkedin, email in rows])
    mine = pa.array([part for part, _, _ in rows], pa.int64())
    parts = [leads.filter(pc.equal(mine, part)) for part in range(3)] if rows else [leads] * 3
    together, one = screen_together(parts, known()), screen(leads, known())
    for name in ("new", "duplicates", "held"):
        tables = [getattr(screened, name) for screened in together]
        assert in_record_order(tables).to_pylist() == getattr(one, name).to_pylist()
        assert sum(table.num_rows for table in tables) == getattr(one, name).num_rows
