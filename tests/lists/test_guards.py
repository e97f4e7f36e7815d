"""The breaker and the ceilings by themselves."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.config import LIST_TYPES, read_settings
from target_amplemarket.errors import GuardStop
from target_amplemarket.lists.credits import prices_of
from target_amplemarket.lists.guards import DECIDED_AFTER, Breaker, Ceilings, breaker_of, ceilings_of
from tests.leads.building import UNHURRIED, leads_table

REQUIRED = {"api_key": "k", "owner": "dana@northwind.example"}


def rows(**counts: int) -> pa.Table:
    """Rows by `status__reason` and how many."""
    pairs = [name.split("__") for name, count in counts.items() for _ in range(count)]
    return pa.table({"status": pa.array([p[0] for p in pairs]), "reason": pa.array([p[1] for p in pairs])})


def breaker(read: int, max_percent: int = 100, max_records: int | None = None, **counts: int) -> Breaker:
    made = Breaker(max_percent, max_records)
    made.count_read(read)
    made.count_rows(rows(**counts))
    return made


def ceilings(**settings: Any) -> Ceilings:
    checked = read_settings(REQUIRED | settings)
    return ceilings_of(checked, prices_of(checked))


def leads(*record_numbers: int, list_type: str = "email") -> pa.Table:
    return leads_table([{"record_no": number, "list_type": list_type} for number in record_numbers])


def test_without_a_mark_everything_may_leave_at_once() -> None:
    made = breaker_of(read_settings(REQUIRED))
    made.count_rows(rows(rejected__no_identity=5))
    assert made.is_decided
    assert not made.is_past


@pytest.mark.parametrize("mark", [{"max_percent": 99}, {"max_records": 10}])
def test_with_a_mark_nothing_is_decided_before_a_thousand_records_or_the_end(mark: dict[str, int]) -> None:
    made = breaker(DECIDED_AFTER - 1, **mark)
    assert not made.is_decided
    made.has_ended = True
    assert made.is_decided
    assert breaker(DECIDED_AFTER, **mark).is_decided


@pytest.mark.parametrize(
    ("rejected", "is_past"), [(100, False), (101, True)], ids=["ten percent is not past ten", "one more is"]
)
def test_a_share_is_past_the_mark_only_beyond_it(rejected: int, is_past: bool) -> None:
    assert breaker(1_000, max_percent=10, rejected__no_identity=rejected).is_past is is_past


def test_a_share_says_nothing_of_few_records_until_they_are_all() -> None:
    made = breaker(10, max_percent=10, rejected__no_identity=9)
    assert not made.is_past
    made.has_ended = True
    assert made.is_past


def test_a_number_of_rejections_counts_from_the_first_record() -> None:
    assert breaker(10, max_records=8, rejected__no_identity=9).is_past
    assert not breaker(10, max_records=9, rejected__no_identity=9).is_past


def test_excluded_duplicate_and_held_records_are_not_rejected() -> None:
    counts = {"excluded__suppressed": 900, "duplicate__already_sent": 90, "held__outcome_unknown": 10}
    assert not breaker(1_000, max_percent=0, max_records=0, **counts).is_past


def test_the_text_says_counts_reasons_marks_and_what_to_do() -> None:
    made = breaker(2_000, 10, 500, rejected__no_identity=1_400, rejected__email_invalid=200)
    with pytest.raises(GuardStop) as stop:
        made.check()
    assert stop.value.exit_code == 5
    for part in (
        "1,600 of 2,000", "no_identity 1,400, email_invalid 200", "`max_rejected_percent` 10",
        "`max_rejected_records` 500", "`field_mapping`",
    ):  # fmt: skip
        assert part in str(stop.value)


def test_nothing_is_cut_without_a_ceiling() -> None:
    made = ceilings(enrich=True)
    assert made.take(1, 10, leads(1, 5, 10)) == 11
    made.check()


def test_records_are_cut_right_after_the_ceiling_and_only_if_there_are_more() -> None:
    made = ceilings(max_records_per_run=10)
    assert made.take(1, 10, leads(1, 2)) == 11
    made.check()
    assert made.take(11, 5, leads(12)) == 11
    with pytest.raises(GuardStop, match=r"`max_records_per_run` is reached at record 11:"):
        made.check()


def test_leads_are_cut_at_the_first_new_one_beyond() -> None:
    made = ceilings(max_leads_per_run=3)
    assert made.take(1, 10, leads(1, 4)) == 11
    assert made.take(11, 10, leads(13, 17, 18)) == 17
    with pytest.raises(GuardStop, match=r"`max_leads_per_run` is reached at record 17.*\(3 leads"):
        made.check()


def test_credits_are_counted_at_worst_and_by_list_type() -> None:
    made = ceilings(enrich=True, max_email_credits_per_run=4, credit_prices={"email": {"email_revealed": 0}})
    assert made.take(1, 1, leads(1, list_type="linkedin")) == 2  # 1.5
    assert made.take(2, 2, leads(2, 3)) == 4  # 2.5
    assert made.take(4, 1, leads(4, list_type="titles_and_company")) == 5  # 4.0
    assert made.take(5, 3, leads(6)) == 6
    with pytest.raises(GuardStop, match="`max_email_credits_per_run`"):
        made.check()


def test_a_list_type_without_a_price_of_its_own_counts_by_the_table() -> None:
    made = ceilings(enrich=True, max_email_credits_per_run=4, credit_prices={"email": {"email_revealed": 0}})
    assert made.take(1, 4, leads(1, 2, 3, list_type="people")) == 3  # 1.5 each
    assert made.reached == "max_email_credits_per_run"


def test_the_ceiling_that_comes_first_counts() -> None:
    made = ceilings(reveal_phone_numbers=True, max_phone_credits_per_run=2, max_leads_per_run=3, max_records_per_run=9)
    assert made.take(1, 20, leads(3, 4, 5, 6, 20)) == 5
    assert made.reached == "max_phone_credits_per_run"


def test_credits_that_options_do_not_spend_bind_nothing() -> None:
    made = ceilings(max_email_credits_per_run=0, max_phone_credits_per_run=0)
    assert made.take(1, 3, leads(1, 2, 3)) == 4
    made = ceilings(max_email_credits_per_run=0, validate_email=True)
    assert made.take(1, 3, leads(2, 3)) == 2


def test_a_ceiling_may_be_as_high_as_anybody_likes() -> None:
    made = ceilings(enrich=True, max_email_credits_per_run=10**30, max_leads_per_run=10**30)
    assert made.take(1, 3, leads(1, 2, 3)) == 4


@given(
    blocks=st.lists(st.lists(st.sampled_from([None, *LIST_TYPES]), max_size=6), max_size=8),
    most_leads=st.none() | st.integers(1, 20),
    most_records=st.none() | st.integers(1, 30),
    most_credits=st.none() | st.integers(0, 20),
)
@UNHURRIED
def test_what_is_let_in_is_the_longest_beginning_that_no_ceiling_forbids(
    blocks: list[list[str | None]], most_leads: int | None, most_records: int | None, most_credits: int | None
) -> None:
    chosen = {
        "max_leads_per_run": most_leads, "max_records_per_run": most_records,
        "max_email_credits_per_run": most_credits, "enrich": True, "credit_prices": {"email": {"person_found": 0.1}},
    }  # fmt: skip
    price = {"linkedin": 15, "email": 11, "titles_and_company": 15, None: 0}  # tenths

    def fits(beginning: list[str | None]) -> bool:
        return (
            (most_records is None or len(beginning) <= most_records)
            and (most_leads is None or sum(kind is not None for kind in beginning) <= most_leads)
            and (most_credits is None or sum(price[kind] for kind in beginning) <= 10 * most_credits)
        )

    everything = [kind for block in blocks for kind in block]
    expected = max(count for count in range(len(everything) + 1) if fits(everything[:count]))
    made, first, let_in = ceilings(**chosen), 1, 0
    for block in blocks:
        kinds = [(first + at, kind) for at, kind in enumerate(block) if kind]
        table = leads_table([{"record_no": number, "list_type": kind} for number, kind in kinds])
        beyond = made.take(first, len(block), table)
        let_in += beyond - first
        first += len(block)
        if made.cut_at is not None:
            break
    assert let_in == expected
    assert (made.cut_at is None) is (expected == len(everything))
