from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from scripted import (
    CANARY,
    Call,
    MemoryFolder,
    WatchedFolder,
    accept,
    in_turn,
    make_list,
    make_world,
    not_sent,
    rate_limited,
    record_numbers,
    refuse_leads,
    refuse_while_holding,
)

from target_amplemarket.delivery.deliver import MAX_EXTRA_CALLS, MAX_TRIES_NOT_SENT, Delivery, Part, deliver
from target_amplemarket.errors import ApiUnreachable, ListsHeld, RefusedByApi, StorageError
from target_amplemarket.services.protocol import (
    Accepted,
    LeadRefusal,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)


def accepted_parts(delivery: Delivery) -> list[Part]:
    return [part for part in delivery.parts if isinstance(part.outcome, Accepted)]


def refused_numbers(delivery: Delivery) -> list[int]:
    return [
        number
        for part in delivery.parts
        if isinstance(part.outcome, Refused)
        for number in record_numbers(part.lead_list.leads)
    ]


def part_numbers(delivery: Delivery) -> list[int]:
    return [number for part in delivery.parts for number in record_numbers(part.lead_list.leads)]


# --- The outbox comes first -------------------------------------------------------------------------------------------


@pytest.mark.step("D2")
def test_a_durable_outbox_file_holds_exactly_the_leads_of_the_request_before_it_is_sent(tmp_path: Path) -> None:
    """The scripted service looks at every send: whole list, rest after an eviction, both halves of a split."""
    folder = WatchedFolder(tmp_path / "results")
    world = make_world(folder, in_turn([refuse_leads(1), Refused(RefusalKind.TOO_LARGE, 413), accept, accept]))
    delivery = deliver(make_list(9), world.sender)
    assert [len(call.leads) for call in world.service.calls] == [9, 8, 4, 4]
    assert sorted(delivery.outbox_files) == sorted(folder.durable)


def test_the_whole_list_goes_in_record_order_and_comes_back_accepted() -> None:
    world = make_world(MemoryFolder())
    given_list = make_list(5)
    delivery = deliver(given_list, world.sender)
    assert delivery.stop is None
    assert world.service.calls[0].leads == (1, 2, 3, 4, 5)
    assert delivery.parts == [
        Part(given_list, Accepted("list-1", "https://app.seller.example/lists/1", 202), attempt=1)
    ]
    assert delivery.settled_lead_count == 5


@pytest.mark.step("D2")
def test_nothing_is_sent_when_the_outbox_cannot_be_written() -> None:
    world = make_world(MemoryFolder(fails_at=1))
    delivery = deliver(make_list(3), world.sender)
    assert isinstance(delivery.stop, StorageError)
    assert world.service.calls == []
    assert delivery.parts == []
    assert delivery.outbox_files == []


def test_what_was_accepted_before_a_storage_fault_is_not_forgotten_with_it() -> None:
    folder = MemoryFolder(fails_at=3)
    world = make_world(folder, in_turn([Refused(RefusalKind.TOO_LARGE, 413)]))
    delivery = deliver(make_list(4), world.sender)
    assert isinstance(delivery.stop, StorageError)
    assert [record_numbers(part.lead_list.leads) for part in accepted_parts(delivery)] == [[1, 2]]
    assert sorted(delivery.outbox_files) == folder.names("outbox/*")


# --- Leads that the API names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", [(0,), (4,), (9,), (0, 9), (2, 3, 7), tuple(range(9)), tuple(range(1, 10))])
def test_exactly_the_named_leads_are_taken_out_and_the_rest_goes_again_as_the_same_list(
    positions: tuple[int, ...],
) -> None:
    world = make_world(MemoryFolder(), in_turn([refuse_leads(*positions)]))
    given_list = make_list(10, first_record_no=101)
    delivery = deliver(given_list, world.sender)
    first, second = world.service.calls
    assert (second.name, second.marker) == (first.name, first.marker)
    assert second.leads == tuple(101 + p for p in range(10) if p not in positions)
    refused, accepted = delivery.parts
    assert record_numbers(refused.lead_list.leads) == [101 + p for p in positions]
    assert isinstance(refused.outcome, Refused)
    assert [lead.position for lead in refused.outcome.leads] == list(positions)
    assert record_numbers(accepted.lead_list.leads) == list(second.leads)
    assert accepted.lead_list.name == given_list.name
    assert (refused.attempt, accepted.attempt) == (1, 2)
    assert delivery.outbox_files == ["outbox/000001-AAAAAAAAAAAA.arrow"]


def test_a_list_whose_leads_are_all_named_is_over_without_a_further_call() -> None:
    world = make_world(MemoryFolder(), in_turn([refuse_leads(0, 1, 2)]))
    delivery = deliver(make_list(3), world.sender)
    assert len(world.service.calls) == 1
    assert part_numbers(delivery) == [1, 2, 3]
    assert delivery.stop is None


def test_positions_of_a_second_refusal_count_in_the_second_request() -> None:
    world = make_world(MemoryFolder(), in_turn([refuse_leads(0, 2), refuse_leads(0, 2)]))
    delivery = deliver(make_list(6), world.sender)
    assert [call.leads for call in world.service.calls] == [(1, 2, 3, 4, 5, 6), (2, 4, 5, 6), (4, 6)]
    assert refused_numbers(delivery) == [1, 3, 2, 5]
    assert [part.attempt for part in delivery.parts] == [1, 2, 3]


def test_a_lead_that_is_named_twice_is_taken_out_once_with_what_was_said_of_it_first() -> None:
    said = (
        LeadRefusal(2, "later_lead", "/leads/2", None),
        LeadRefusal(1, "first_word", "/leads/1/email", "email"),
        LeadRefusal(1, "second_word", "/leads/1/title", "title"),
    )
    world = make_world(MemoryFolder(), in_turn([Refused(RefusalKind.LEADS, 422, "x", None, said)]))
    delivery = deliver(make_list(3), world.sender)
    assert isinstance(delivery.parts[0].outcome, Refused)
    assert [lead.code for lead in delivery.parts[0].outcome.leads] == ["first_word", "later_lead"]
    assert world.service.calls[1].leads == (1,)


@pytest.mark.parametrize("positions", [(), (3,), (-1, 12_345)])
def test_a_refusal_that_names_no_lead_of_the_request_is_looked_for_by_halves(positions: tuple[int, ...]) -> None:
    def answer(call: Call) -> Outcome:
        return refuse_leads(*positions) if 3 in call.leads else accept(call)

    world = make_world(MemoryFolder(), answer)
    delivery = deliver(make_list(3), world.sender)
    assert refused_numbers(delivery) == [3]
    (refused,) = (part.outcome for part in delivery.parts if isinstance(part.outcome, Refused))
    assert refused.leads == ()


# --- Bisecting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [(1,), (10_000,), (3_333,), (2_500, 7_500), (1, 5_001, 10_000), (1_250, 3_750, 6_250, 8_750), (1, 2, 3, 4)],
    ids=len,
)
def test_up_to_four_bad_leads_of_ten_thousand_are_found_within_the_stated_number_of_extra_calls(
    bad: tuple[int, ...],
) -> None:
    world = make_world(MemoryFolder(), refuse_while_holding(bad))
    delivery = deliver(make_list(10_000), world.sender)
    assert delivery.stop is None
    assert refused_numbers(delivery) == sorted(bad)
    assert len(world.service.calls) - 1 <= MAX_EXTRA_CALLS
    assert part_numbers(delivery) == list(range(1, 10_001))


def test_four_bad_leads_of_ten_thousand_are_found_wherever_they_stand() -> None:
    """Counted on the tree of halves, for the worst four: one in each quarter, each where the tree is deepest."""

    def splits(first: int, lead_count: int, bad: list[int]) -> int:
        inside = [b for b in bad if first <= b < first + lead_count]
        if not inside or lead_count == 1:
            return 0
        half = lead_count // 2
        return 1 + splits(first, half, inside) + splits(first + half, lead_count - half, inside)

    worst_of_quarter = [
        max(range(start, start + 2_500), key=lambda b: splits(0, 10_000, [b])) for start in range(0, 10_000, 2_500)
    ]
    assert 2 * splits(0, 10_000, worst_of_quarter) == MAX_EXTRA_CALLS


def test_halves_have_markers_of_their_own_and_keep_the_order_of_the_records() -> None:
    world = make_world(MemoryFolder(), refuse_while_holding([6]))
    given_list = make_list(8)
    delivery = deliver(given_list, world.sender)
    sent = [(call.leads, call.marker) for call in world.service.calls]
    assert [leads for leads, _ in sent] == [
        (1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4), (5, 6, 7, 8), (5, 6), (5,), (6,), (7, 8),
    ]  # fmt: skip
    assert len({marker for _, marker in sent}) == len(sent)
    assert all(call.name.startswith("contacts 2026-01-05 part 1 [") for call in world.service.calls)
    assert part_numbers(delivery) == list(range(1, 9))
    assert len(delivery.outbox_files) == len(set(delivery.outbox_files)) == len(sent)


def test_beyond_the_bound_the_run_stops_and_the_rest_is_unsent() -> None:
    world = make_world(MemoryFolder(), refuse_while_holding(range(1, 10_001)))
    delivery = deliver(make_list(10_000), world.sender)
    assert isinstance(delivery.stop, RefusedByApi)
    assert len(world.service.calls) <= 1 + MAX_EXTRA_CALLS
    assert delivery.settled_lead_count < 10_000
    assert accepted_parts(delivery) == []


@pytest.mark.parametrize("status", [409, 413])
def test_a_list_that_is_too_large_is_split_until_it_fits(status: int) -> None:
    def answer(call: Call) -> Outcome:
        return Refused(RefusalKind.TOO_LARGE, status) if len(call.leads) > 3 else accept(call)

    world = make_world(MemoryFolder(), answer)
    delivery = deliver(make_list(10), world.sender)
    assert delivery.stop is None
    assert [record_numbers(part.lead_list.leads) for part in delivery.parts] == [
        [1, 2], [3, 4, 5], [6, 7], [8, 9, 10],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [RefusalKind.REQUEST, RefusalKind.TOO_LARGE, RefusalKind.LEADS])
def test_a_single_lead_that_is_refused_is_rejected_and_the_run_goes_on(kind: RefusalKind) -> None:
    refusal = Refused(kind, 422, "unrecognised", "/leads")
    world = make_world(MemoryFolder(), in_turn([refusal]))
    delivery = deliver(make_list(1), world.sender)
    assert delivery.stop is None
    assert len(world.service.calls) == 1
    assert refused_numbers(delivery) == [1]


# --- Calls that certainly did not arrive ------------------------------------------------------------------------------


def test_a_call_that_did_not_arrive_is_made_again_with_growing_pauses() -> None:
    world = make_world(MemoryFolder(), in_turn([not_sent()] * 8))
    delivery = deliver(make_list(2), world.sender)
    assert len(world.service.calls) == 9
    assert {call.name for call in world.service.calls} == {make_list(2).name}
    assert [part.attempt for part in delivery.parts] == [9]
    for pause_s, longest_s in zip(world.clock.sleeps, [1, 2, 4, 8, 16, 32, 60, 60], strict=True):
        assert longest_s / 2 <= pause_s <= longest_s
    assert world.limiter.told == []


def test_a_call_that_never_arrives_is_given_up_after_the_stated_tries_and_leaves_nothing_in_the_outbox() -> None:
    world = make_world(MemoryFolder(), lambda _: not_sent())
    delivery = deliver(make_list(2), world.sender)
    assert isinstance(delivery.stop, ApiUnreachable)
    assert f"{MAX_TRIES_NOT_SENT} tries" in str(delivery.stop)
    assert len(world.service.calls) == MAX_TRIES_NOT_SENT
    assert delivery.parts == []
    assert delivery.outbox_files == world.folder.names("outbox/*")


def test_nobody_waits_after_the_last_try() -> None:
    world = make_world(MemoryFolder(), lambda _: not_sent())
    deliver(make_list(2), world.sender)
    assert len(world.clock.sleeps) == MAX_TRIES_NOT_SENT - 1


@pytest.mark.parametrize("retry_after_s", [None, 0.0, 17.0])
def test_a_429_slows_all_calls_down_by_what_it_asks_for(retry_after_s: float | None) -> None:
    world = make_world(MemoryFolder(), in_turn([rate_limited(retry_after_s), not_sent()]))
    delivery = deliver(make_list(2), world.sender)
    assert world.limiter.told == [retry_after_s]
    assert len(accepted_parts(delivery)) == 1


def test_also_the_last_429_slows_the_other_lists_down() -> None:
    world = make_world(MemoryFolder(), lambda _: rate_limited(3.0))
    delivery = deliver(make_list(2), world.sender)
    assert world.limiter.told == [3.0] * MAX_TRIES_NOT_SENT
    assert isinstance(delivery.stop, ApiUnreachable)


def test_what_was_accepted_before_the_api_was_out_of_reach_stays_accepted() -> None:
    answers: list[Outcome | Callable[[Call], Outcome]] = [Refused(RefusalKind.TOO_LARGE, 413), accept]
    world = make_world(MemoryFolder(), in_turn([*answers, *[not_sent()] * MAX_TRIES_NOT_SENT]))
    delivery = deliver(make_list(4), world.sender)
    assert isinstance(delivery.stop, ApiUnreachable)
    assert "nothing" not in str(delivery.stop)
    assert part_numbers(delivery) == [1, 2]
    assert sorted(delivery.outbox_files) == world.folder.names("outbox/*")


# --- Refusals that stop the run ---------------------------------------------------------------------------------------

STOPS = {
    (RefusalKind.CREDENTIALS, 401): ("the key", "check `api_key`, or what gives it, and its rights"),
    (RefusalKind.CREDENTIALS, 403): ("the key", "check `api_key`, or what gives it, and its rights"),
    (RefusalKind.CREDITS, 402): ("lists for want of credits", "top up the account"),
    (RefusalKind.OWNER, 422): ("the lists' owner", "set `owner` to a user of the account"),
    (RefusalKind.ADDRESS, 404): ("calls to this address", "check `base_url`"),
    (RefusalKind.ADDRESS, 302): ("calls to this address", "check `base_url`"),
}


@pytest.mark.parametrize(("kind", "status"), STOPS)
def test_a_refusal_of_the_account_stops_the_run_names_the_setting_and_sends_nothing_more(
    kind: RefusalKind, status: int
) -> None:
    world = make_world(
        MemoryFolder(), in_turn([Refused(RefusalKind.TOO_LARGE, 413), Refused(kind, status, "some_code")])
    )
    delivery = deliver(make_list(4), world.sender)
    assert isinstance(delivery.stop, RefusedByApi)
    what, to_do = STOPS[kind, status]
    assert f"the API refuses {what} (status {status}, code `some_code`): {to_do}" in str(delivery.stop)
    assert len(world.service.calls) == 2
    assert delivery.parts == []
    assert sorted(delivery.outbox_files) == world.folder.names("outbox/*")


# --- Nobody knows -----------------------------------------------------------------------------------------------------


def test_a_list_without_an_answer_is_held_its_intent_stays_and_nothing_more_is_sent() -> None:
    world = make_world(MemoryFolder(), in_turn([Refused(RefusalKind.TOO_LARGE, 413), Unknown("timed_out")]))
    delivery = deliver(make_list(4), world.sender)
    assert isinstance(delivery.stop, ListsHeld)
    held_marker = world.service.calls[1].marker
    assert held_marker in str(delivery.stop)
    assert [(record_numbers(p.lead_list.leads), type(p.outcome)) for p in delivery.parts] == [([1, 2], Unknown)]
    assert len(world.service.calls) == 2
    assert delivery.outbox_files == ["outbox/000001-AAAAAAAAAAAA.arrow"]
    assert f"outbox/000001-{held_marker}.arrow" in world.folder.names("outbox/*")


def test_the_rest_of_a_refused_list_is_held_though_the_whole_was_answered() -> None:
    """Both have one marker and so one file: the answer to the whole must not let the rest be forgotten."""
    world = make_world(MemoryFolder(), in_turn([refuse_leads(0), Unknown("connection_lost")]))
    delivery = deliver(make_list(3), world.sender)
    assert [type(part.outcome) for part in delivery.parts] == [Refused, Unknown]
    assert delivery.outbox_files == []


# --- A wish to stop ---------------------------------------------------------------------------------------------------


def test_with_a_stop_wished_for_beforehand_nothing_is_written_or_sent() -> None:
    world = make_world(MemoryFolder())
    world.stop.set()
    delivery = deliver(make_list(3), world.sender)
    assert world.service.calls == []
    assert world.folder.names("outbox/*") == []
    assert (delivery.parts, delivery.stop) == ([], None)


def test_a_stop_wished_for_between_outbox_and_send_still_prevents_the_send() -> None:
    class StoppingFolder(MemoryFolder):
        def write(self, name: str, content: bytes | memoryview) -> None:
            super().write(name, content)
            world.stop.set()

    world = make_world(StoppingFolder())
    delivery = deliver(make_list(3), world.sender)
    assert world.service.calls == []
    assert delivery.outbox_files == world.folder.names("outbox/*")
    assert (delivery.parts, delivery.stop) == ([], None)


@pytest.mark.parametrize(
    "outcome",
    [refuse_leads(0), Refused(RefusalKind.REQUEST, 422), not_sent(), rate_limited(1.0), Accepted("id", None, 202)],
    ids=lambda outcome: type(outcome).__name__,
)
def test_a_stop_wished_for_during_a_call_lets_its_answer_count_and_prevents_the_next(outcome: Outcome) -> None:
    def answer(call: Call) -> Outcome:
        world.stop.set()
        return outcome

    world = make_world(MemoryFolder(), answer)
    delivery = deliver(make_list(4), world.sender)
    assert len(world.service.calls) == 1
    assert delivery.stop is None
    assert len(accepted_parts(delivery)) == isinstance(outcome, Accepted)
    assert delivery.outbox_files == world.folder.names("outbox/*")


def test_a_stop_wished_for_during_a_pause_ends_the_tries() -> None:
    world = make_world(MemoryFolder(), lambda _: not_sent())
    world.clock.on_sleep = lambda _: world.stop.set()
    delivery = deliver(make_list(4), world.sender)
    assert len(world.service.calls) == 1
    assert delivery.stop is None


# --- Whatever happens -------------------------------------------------------------------------------------------------

REFUSED_KINDS = [kind for kind in RefusalKind if kind is not RefusalKind.LEADS]
OUTCOMES = st.one_of(
    st.lists(st.integers(-1, 12), min_size=0, max_size=4).map(lambda p: refuse_leads(*p)),
    st.sampled_from([Refused(RefusalKind.REQUEST, 400), Refused(RefusalKind.TOO_LARGE, 413)]),
    st.sampled_from(REFUSED_KINDS).map(lambda kind: Refused(kind, 400)),
    st.sampled_from([not_sent(), rate_limited(2.0), NotSent("stopped")]),
    st.just(Accepted("list", None, 202)),
    st.just(Unknown("timed_out")),
)


@dataclasses.dataclass(frozen=True)
class Step:
    outcome: Outcome
    commits: bool  # where nobody knows: whether the server took it
    stops: bool


STEPS = st.builds(Step, OUTCOMES, st.booleans(), st.sampled_from([False] * 9 + [True]))


@pytest.mark.step("D2")
@settings(max_examples=400, deadline=None)
@given(
    lead_count=st.integers(1, 12),
    steps=st.lists(STEPS, max_size=24),
    fails_at=st.one_of(st.none(), st.none(), st.integers(1, 8)),
)
def test_whatever_the_api_answers_the_parts_agree_with_the_server_lead_for_lead(
    lead_count: int, steps: list[Step], fails_at: int | None
) -> None:
    folder = MemoryFolder(fails_at=fails_at)
    rest = iter(steps)

    def answer(call: Call) -> Outcome:
        step = next(rest, None)
        if step is None:
            return accept(call)
        if isinstance(step.outcome, Unknown) and step.commits:
            world.service.commit(call)
        if step.stops:
            world.stop.set()
        return step.outcome

    world = make_world(folder, answer)
    delivery = deliver(make_list(lead_count), world.sender)

    everybody = list(range(1, lead_count + 1))
    ended = part_numbers(delivery)
    assert len(ended) == len(set(ended)), "a lead is in two parts"
    assert set(ended) <= set(everybody)
    assert delivery.settled_lead_count == len(ended)
    if delivery.stop is None and not world.stop.is_set():
        assert sorted(ended) == everybody

    accepted = {part.lead_list.marker: tuple(record_numbers(part.lead_list.leads)) for part in accepted_parts(delivery)}
    held = {
        part.lead_list.marker: tuple(record_numbers(part.lead_list.leads))
        for part in delivery.parts
        if isinstance(part.outcome, Unknown)
    }
    assert len(accepted) == len(accepted_parts(delivery)), "two accepted parts share a marker"
    committed = {call.marker: call.leads for call in world.service.committed}
    assert len(committed) == len(world.service.committed), "the server took one marker twice"
    assert accepted == {marker: leads for marker, leads in committed.items() if marker not in held}
    assert all(held[marker] == leads for marker, leads in committed.items() if marker in held)
    on_server = [number for call in world.service.committed for number in call.leads]
    assert len(on_server) == len(set(on_server)), "a lead is on the server twice"

    held_files = {name for name in folder.names("outbox/*") if any(marker in name for marker in held)}
    assert len(held_files) == len(held)
    assert len(delivery.outbox_files) == len(set(delivery.outbox_files))
    assert set(delivery.outbox_files) == set(folder.names("outbox/*")) - held_files
    event(f"ends with {type(delivery.stop).__name__}")


@pytest.mark.parametrize(
    "outcomes",
    [
        *[[Refused(kind, 400, "some_code")] for kind in REFUSED_KINDS],
        [refuse_leads(0), Unknown("timed_out", 504)],
        [not_sent()] * MAX_TRIES_NOT_SENT,
        [Refused(RefusalKind.REQUEST, 400)] * 200,
    ],
)
def test_no_value_of_a_lead_is_in_what_stops_a_run_nor_in_any_log_record(
    outcomes: list[Outcome], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        delivery = deliver(make_list(200), make_world(MemoryFolder(), in_turn(outcomes)).sender)
    assert CANARY not in f"{delivery.stop!s} {delivery.stop!r} {caplog.text}"


def test_deliveries_in_several_threads_share_one_sender() -> None:
    world = make_world(MemoryFolder(), refuse_while_holding([3, 14, 25, 36]))
    deliveries: list[Delivery] = []
    lists = [make_list(10, number=n, marker=f"LIST{n:08d}", first_record_no=10 * n + 1) for n in range(4)]
    threads = [threading.Thread(target=lambda one=one: deliveries.append(deliver(one, world.sender))) for one in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for delivery in deliveries for number in part_numbers(delivery)) == list(range(1, 41))
    assert sorted(number for delivery in deliveries for number in refused_numbers(delivery)) == [3, 14, 25, 36]
