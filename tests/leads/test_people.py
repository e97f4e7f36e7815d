from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.leads.index import FingerprintIndex
from target_amplemarket.leads.people import Known, People
from tests.leads.building import UNHURRIED, leads_table, scratch
from tests.leads.plain_people import PlainPeople


@dataclass(frozen=True)
class Lead:
    """The fingerprints of one lead, as short names."""

    linkedin: str | None = None
    email: str | None = None
    job: str | None = None
    version: str = "v"


def table(leads: list[Lead]) -> pa.Table:
    return leads_table(
        [
            {
                "linkedin_fingerprint": lead.linkedin,
                "email_fingerprint": lead.email,
                "title_company_fingerprint": lead.job,
                "version_fingerprint": lead.version,
            }
            for lead in leads
        ]
    )


def screened(*leads: Lead, people: People | None = None) -> list[int | None]:
    return (people or People()).screen(table(list(leads))).to_pylist()  # type: ignore[no-any-return]


NEW = None


@pytest.mark.parametrize(
    ("leads", "verdicts"),
    [
        ([Lead("a", "x"), Lead("a", "y")], [NEW, 1]),
        ([Lead("a"), Lead("b")], [NEW, NEW]),
        ([Lead(email="x"), Lead(email="x")], [NEW, 1]),
        ([Lead("a", "x"), Lead("b", "x")], [NEW, NEW]),
        ([Lead("a", "x"), Lead(email="x")], [NEW, 1]),
        ([Lead(email="x"), Lead("a", "x")], [NEW, 1]),
        ([Lead(job="j"), Lead(job="j")], [NEW, 1]),
        ([Lead(job="j"), Lead("a", job="j")], [NEW, NEW]),
        ([Lead(email="x", job="j"), Lead(job="j")], [NEW, NEW]),
        ([Lead(), Lead()], [NEW, NEW]),
    ],
    ids=[
        "one profile, two e-mails",
        "two profiles",
        "one e-mail",
        "a shared mailbox",
        "a profile and an e-mail, then the e-mail",
        "an e-mail, then a profile with it",
        "one title and company",
        "title and company do not count beside a profile",
        "title and company do not count beside an e-mail",
        "nothing in common is nothing",
    ],
)
def test_who_is_the_same_person(leads: list[Lead], verdicts: list[int | None]) -> None:
    assert screened(*leads) == verdicts


def test_the_first_wins_and_every_later_one_names_it() -> None:
    assert screened(*[Lead("a")] * 4) == [NEW, 1, 1, 1]


def test_what_a_duplicate_carries_beside_is_remembered_for_the_winner() -> None:
    assert screened(Lead("a", "x"), Lead("a", "y"), Lead(email="y")) == [NEW, 1, 1]
    assert screened(Lead(email="x"), Lead("a", "x"), Lead("a", "y"), Lead(email="y")) == [NEW, 1, 1, 1]


def test_a_duplicate_without_a_profile_does_not_make_a_shared_mailbox_one_person() -> None:
    assert screened(Lead("a", "x"), Lead(email="x"), Lead("b", "x")) == [NEW, 1, NEW]


def test_a_profile_goes_before_an_email_where_they_name_two_people() -> None:
    assert screened(Lead(email="x"), Lead("a", "y"), Lead("a", "x")) == [NEW, NEW, 2]


def test_people_are_known_from_one_block_to_the_next() -> None:
    people = People()
    assert screened(Lead("a", "x"), people=people) == [NEW]
    assert screened(Lead(email="x"), people=people) == [1]


def test_people_of_earlier_runs_are_sent_or_held_and_held_goes_first() -> None:
    people = People()
    people.remember(table([Lead("h", "hx"), Lead("both")]), Known.HELD)
    people.remember(table([Lead("s", "sx"), Lead("both"), Lead(job="j")]), Known.SENT)
    leads = [Lead("h", "new"), Lead(email="sx"), Lead("both"), Lead(job="j"), Lead("n"), Lead(email="new")]
    assert screened(*leads, people=people) == [Known.HELD, Known.SENT, Known.HELD, Known.SENT, NEW, Known.HELD]


def test_append_only_compares_versions_and_nothing_else() -> None:
    people = People(by_version=True)
    people.remember(table([Lead("a", version="old")]), Known.SENT)
    people.remember(table([Lead("h", version="held")]), Known.HELD)
    people.remember(table([Lead("h", version="held")]), Known.SENT)
    leads = [Lead("a", version="v1"), Lead("a", version="v2"), Lead("b", version="v1"), Lead("c", version="old")]
    assert screened(*leads, Lead("d", version="held"), people=people) == [NEW, NEW, 1, Known.SENT, Known.HELD]


def test_rows_of_earlier_runs_without_fingerprints_make_nobody_known() -> None:
    rows = table([Lead("a")]).select(["linkedin_fingerprint", "email_fingerprint", "title_company_fingerprint"])
    rows = rows.append_column("version_fingerprint", pa.nulls(1, pa.binary(16)))
    for by_version in (True, False):
        people = People(by_version=by_version)
        people.remember(rows, Known.SENT)
        assert screened(Lead("b", "x"), people=people) == [NEW]
        if by_version:
            assert people.screen(rows.append_column("record_no", pa.array([9]))).to_pylist() == [NEW]
    assert screened(Lead("a"), people=people) == [Known.SENT]


@pytest.mark.parametrize(
    ("leads", "verdicts"),
    [
        ([Lead(job="i"), Lead(job="i")], [NEW, 1]),
        ([Lead("a", "x", "i"), Lead("b", "y", "i")], [NEW, 1]),
        ([Lead("a", job="i"), Lead("a", job="j")], [NEW, 1]),
        ([Lead(email="x", job="i"), Lead(email="x", job="j")], [NEW, NEW]),
        ([Lead(email="x", job="i"), Lead("a", "x")], [NEW, NEW]),
        ([Lead(email="x", job="i"), Lead(email="x")], [NEW, 1]),
        ([Lead(email="x"), Lead(email="x", job="i")], [NEW, 1]),
        ([Lead("a"), Lead(job="i"), Lead("a", job="i")], [NEW, NEW, 2]),
        ([Lead(email="x", job="i"), Lead("a", job="i"), Lead("a", "y"), Lead(email="y")], [NEW, 1, 1, 1]),
        ([Lead(email="x"), Lead(email="x", job="i"), Lead("a", job="i")], [NEW, 1, 1]),
        ([Lead(email="x", job="i"), Lead(email="x"), Lead(email="x", job="j")], [NEW, 1, NEW]),
    ],
    ids=[
        "one id",
        "one id, whatever else differs",
        "one profile, two ids",
        "a mailbox of two ids",
        "a mailbox of an id and a profile",
        "an id and an e-mail, then the e-mail",
        "an e-mail, then an id with it",
        "an id goes before a profile where they name two people",
        "what a duplicate by its id carries beside is remembered",
        "an id that comes with a known e-mail is remembered",
        "a duplicate without an id does not make a shared mailbox one person",
    ],
)
def test_who_is_the_same_person_where_the_service_has_ids(leads: list[Lead], verdicts: list[int | None]) -> None:
    assert screened(*leads, people=People(has_ids=True)) == verdicts


def test_people_whom_an_earlier_run_sent_are_known_by_their_ids() -> None:
    people = People(has_ids=True)
    people.remember(table([Lead("a", "x", "i")]), Known.SENT)
    assert screened(Lead("b", "y", "i"), Lead(email="y"), people=people) == [Known.SENT, Known.SENT]


@dataclass(frozen=True)
class Rules:
    """The rule as it is written, between two records."""

    has_ids: bool = False

    def is_same(self, one: Lead, other: Lead) -> bool:
        if one.linkedin and one.linkedin == other.linkedin:
            return True
        if self.has_ids and one.job and one.job == other.job:
            return True
        if one.email and one.email == other.email and not (self.is_strong(one) and self.is_strong(other)):
            return True
        alone = not (one.linkedin or one.email or other.linkedin or other.email)
        return bool(alone and one.job and one.job == other.job)

    def is_strong(self, lead: Lead) -> bool:
        return bool(lead.linkedin or (self.has_ids and lead.job))

    def naive(self, known: list[tuple[Lead, int]], leads: list[Lead]) -> list[int | None]:
        """Compares each lead with every one before it; an id goes before a profile, and that before the rest."""
        known, verdicts = list(known), []
        for record_no, lead in enumerate(leads, start=1):
            by_id = [where for other, where in known if self.has_ids and lead.job and lead.job == other.job]
            by_profile = [where for other, where in known if lead.linkedin and lead.linkedin == other.linkedin]
            matches = by_id or by_profile or [where for other, where in known if self.is_same(lead, other)]
            where = matches[0] if matches else None
            if where is None or self.is_strong(lead):
                known.append((lead, record_no if where is None else where))
            verdicts.append(where)
        return verdicts


LEAD = st.builds(
    Lead, st.sampled_from([None, "a", "b", "c"]), st.sampled_from([None, "x", "y"]), st.sampled_from([None, "j", "k"])
)


@given(
    st.lists(LEAD, max_size=3),
    st.lists(LEAD, max_size=3),
    st.lists(LEAD, max_size=12),
    st.integers(0, 12),
    st.booleans(),
)
@UNHURRIED
def test_screening_gives_what_comparing_every_pair_gives(
    held: list[Lead], sent: list[Lead], leads: list[Lead], cut: int, has_ids: bool
) -> None:
    people = People(has_ids=has_ids)
    people.remember(table(held), Known.HELD)
    people.remember(table(sent), Known.SENT)
    all_leads = table(leads)
    verdicts = [w for half in (all_leads.slice(0, cut), all_leads.slice(cut)) for w in people.screen(half).to_pylist()]
    known = [(lead, int(Known.HELD)) for lead in held] + [(lead, int(Known.SENT)) for lead in sent]
    assert verdicts == Rules(has_ids).naive(known, leads)


@given(st.lists(LEAD, max_size=12), st.booleans())
@UNHURRIED
def test_a_duplicates_winner_is_a_new_lead_before_it_and_no_two_new_leads_are_the_same_person(
    leads: list[Lead], has_ids: bool
) -> None:
    verdicts = screened(*leads, people=People(has_ids=has_ids))
    new = [record_no for record_no, where in enumerate(verdicts, start=1) if where is None]
    for record_no, where in enumerate(verdicts, start=1):
        assert where is None or (where in new and where < record_no)
    for position, one in enumerate(new):
        assert not any(Rules(has_ids).is_same(leads[one - 1], leads[other - 1]) for other in new[position + 1 :])


# --- Columns against dictionaries ------------------------------------------------------------------------------------

LOW, HIGH = b"lower..." * 2, b"another." * 2
KEYS = [LOW[:8] + HIGH[8:], HIGH[:8] + LOW[8:], LOW, HIGH, bytes(16), bytes([255]) * 16]
"""Keys that share one of their halves with another."""

KEY = st.sampled_from([None, *KEYS])
ROW = st.tuples(KEY, KEY, KEY, KEY)
BLOCK = st.lists(ROW, max_size=8)


def prints_table(rows: list[tuple[bytes | None, ...]], first_record_no: int) -> pa.Table:
    names = ("linkedin_fingerprint", "email_fingerprint", "title_company_fingerprint", "version_fingerprint")
    columns = [pa.array([row[place] for row in rows], pa.binary(16)) for place in range(4)]
    numbers = pa.array(range(first_record_no, first_record_no + len(rows)), pa.int64())
    return pa.table([*columns, numbers], names=[*names, "record_no"])


MODES: list[dict[str, Any]] = [{}, {"by_version": True}, {"has_ids": True}]


@given(
    st.lists(st.tuples(st.sampled_from(Known), BLOCK), max_size=4),
    st.lists(BLOCK, max_size=8),
    st.sampled_from(MODES),
)
@UNHURRIED
def test_columns_give_the_verdicts_that_dictionaries_give(
    remembered: list[tuple[Known, list[tuple[bytes | None, ...]]]],
    blocks: list[list[tuple[bytes | None, ...]]],
    mode: dict[str, Any],
) -> None:
    """With everything of this run in scratch files, which are merged two to one."""
    on_disk = functools.partial(FingerprintIndex, scratch, most_in_memory=0, merged_at_once=2)
    all_people = [People(**mode), People(**mode, make_index=on_disk)]
    plain = PlainPeople(**mode)
    for where, rows in remembered:
        for people in (*all_people, plain):
            people.remember(prints_table(rows, 1), where)
    record_no = 1
    for rows in blocks:
        leads = prints_table(rows, record_no)
        expected = plain.screen(leads)
        assert [people.screen(leads).to_pylist() for people in all_people] == [expected, expected]
        record_no += len(rows)


def test_a_table_in_pieces_is_screened_like_one_in_one_piece() -> None:
    rows = [(KEYS[place % 5], None, None, None) for place in range(9)]
    pieces = pa.concat_tables([prints_table(rows[:4], 1), prints_table(rows[4:], 5)])
    assert pieces.column("record_no").num_chunks == 2
    assert People().screen(pieces).to_pylist() == PlainPeople().screen(pieces)
    assert People().screen(pieces.slice(3, 4)).to_pylist() == PlainPeople().screen(pieces.slice(3, 4))
