"""Delivery where several calls fill one list: who is in it is what the list says, not what the calls did."""

from __future__ import annotations

import pyarrow as pa
import pytest

from target_amplemarket.delivery.deliver import AlreadyThere, Delivery, NotAdded, deliver
from target_amplemarket.errors import ListsHeld
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    CannotAsk,
    Confirmation,
    LeadRefusal,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)
from tests.delivery.adding import Added, AddingService, AddingWorld, lost_after, make_adding_world, nothing
from tests.delivery.scripted import MemoryFolder, make_list, record_numbers


@pytest.fixture
def world() -> AddingWorld:
    return make_adding_world(MemoryFolder())


def ends(delivery: Delivery) -> dict[int, type[object]]:
    """Record number → how it ended."""
    return {number: type(p.outcome) for p in delivery.parts for number in record_numbers(p.lead_list.leads)}


def held_in(world: AddingWorld) -> list[int]:
    return sorted(person["record_no"] for people in world.service.lists.values() for person in people)


def intents(world: AddingWorld) -> list[str]:
    return world.folder.names("outbox/*.arrow")


def test_a_list_is_filled_by_as_many_calls_as_it_takes_under_one_name_and_one_intent(world: AddingWorld) -> None:
    delivery = deliver(make_list(8), world.sender)
    assert [len(call.people) for call in world.service.calls] == [3, 3, 2]
    assert len(world.service.lists) == 1
    assert ends(delivery) == dict.fromkeys(range(1, 9), Accepted)
    assert delivery.is_settled
    assert delivery.outbox_files == intents(world)
    assert len(intents(world)) == 1
    assert [part.attempt for part in delivery.parts] == [1, 2, 3]


def test_the_intent_holds_the_leads_of_all_calls_before_the_first_leaves(world: AddingWorld) -> None:
    seen: list[list[int]] = []

    def look(service: AddingService, call: Added) -> Outcome | None:
        [entry] = world.sender.outbox.entries()
        seen.append(record_numbers(entry.leads))
        return None

    world.service.strikes = [look, look, look]
    deliver(make_list(8), world.sender)
    assert seen == [list(range(1, 9))] * 3


@pytest.mark.step("D5")
@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
@pytest.mark.parametrize("struck", [0, 1, 2])
def test_after_a_lost_answer_just_those_who_are_not_in_the_list_go_again(
    world: AddingWorld, struck: int, arrived: int
) -> None:
    world.service.strikes = [*([nothing] * struck), lost_after(arrived)]
    delivery = deliver(make_list(9), world.sender)
    assert ends(delivery) == dict.fromkeys(range(1, 10), Accepted)
    assert held_in(world) == list(range(1, 10))
    again = world.service.calls[struck + 1] if arrived < 3 else None
    if again is not None:
        assert [person["record_no"] for person in again.people] == list(range(3 * struck + arrived + 1, 3 * struck + 4))
        assert delivery.resent == [delivery.lead_list.marker]
    assert world.clock.sleeps[0] == 180.0
    assert delivery.outbox_files == intents(world)


@pytest.mark.step("D5")
def test_who_is_in_the_list_by_the_second_question_is_not_sent_again(world: AddingWorld) -> None:
    world.service.strikes = [lost_after(0)]

    def arrive_late(duration_s: float) -> None:
        if duration_s == 90.0:
            world.service.add(world.service.calls[0])

    world.clock.on_sleep = arrive_late
    delivery = deliver(make_list(3), world.sender)
    assert len(world.service.calls) == 1
    assert ends(delivery) == dict.fromkeys(range(1, 4), Accepted)
    assert delivery.resent == []


@pytest.mark.step("D5")
def test_a_list_that_cannot_be_read_back_is_held_with_those_of_the_lost_call(world: AddingWorld) -> None:
    world.service.strikes = [nothing, lost_after(1)]

    def hide(_: float) -> None:
        world.service.is_listed = False

    world.clock.on_sleep = hide
    delivery = deliver(make_list(9), world.sender)
    assert ends(delivery) == {**dict.fromkeys((1, 2, 3), Accepted), **dict.fromkeys((4, 5, 6), Unknown)}
    assert isinstance(delivery.stop, ListsHeld)
    assert delivery.outbox_files == []
    assert len(intents(world)) == 1
    assert len(world.service.calls) == 2


@pytest.mark.step("D5")
def test_after_three_lost_answers_those_who_are_not_there_are_held(world: AddingWorld) -> None:
    world.service.strikes = [nothing, lost_after(1), lost_after(0), lost_after(0)]
    delivery = deliver(make_list(7), world.sender)
    assert ends(delivery) == {**dict.fromkeys((1, 2, 3, 4), Accepted), **dict.fromkeys((5, 6), Unknown)}
    assert held_in(world) == [1, 2, 3, 4]
    assert isinstance(delivery.stop, ListsHeld)
    assert delivery.outbox_files == []


def test_each_call_of_a_list_has_three_tries_of_its_own(world: AddingWorld) -> None:
    world.service.strikes = [lost_after(0), lost_after(0), nothing, lost_after(0), lost_after(0)]
    delivery = deliver(make_list(6), world.sender)
    assert ends(delivery) == dict.fromkeys(range(1, 7), Accepted)
    assert held_in(world) == list(range(1, 7))


def test_calls_that_the_list_answers_for_do_not_count_against_the_next(world: AddingWorld) -> None:
    """Three answers are lost and found again; a fourth call has three tries all the same."""
    world.service.strikes = [*[lost_after(3)] * 3, lost_after(0), lost_after(0)]
    delivery = deliver(make_list(12), world.sender)
    assert ends(delivery) == dict.fromkeys(range(1, 13), Accepted)
    assert held_in(world) == list(range(1, 13))


def test_a_short_answer_ends_the_tries_of_a_call_too(world: AddingWorld) -> None:
    def late(service: AddingService, call: Added) -> Outcome | None:
        service.add(call, most=1)  # the call before, which was absent twice
        return None

    world.service.strikes = [lost_after(0), lost_after(0), late, lost_after(0)]
    delivery = deliver(make_list(6), world.sender)
    assert ends(delivery) == dict.fromkeys(range(1, 7), Accepted)
    assert delivery.stop is None


def test_after_a_lost_call_a_short_count_is_not_settled_by_a_list_that_lags(world: AddingWorld) -> None:
    """Two of the first call came late; the list shows these two, and not yet the one whom the second call added."""

    def late(service: AddingService, call: Added) -> Outcome | None:
        service.add(call, most=2)
        service.add(call)
        service.hidden_from = 2
        return Accepted(f"id of {call.name}", None, 200, added_count=1)

    def show(duration_s: float) -> None:
        world.service.hidden_from = None

    world.service.strikes = [lost_after(0), late]
    world.clock.on_sleep = show
    delivery = deliver(make_list(3), world.sender)
    assert ends(delivery) == dict.fromkeys((1, 2, 3), Accepted)
    assert held_in(world) == [1, 2, 3]


def test_a_count_that_falls_short_is_settled_by_the_list(world: AddingWorld) -> None:
    """One lead is one whom the API takes for another, one is passed over."""
    leads = make_list(3).leads
    profiles = leads.column("linkedin_url").to_pylist()
    emails = leads.column("email").to_pylist()
    profiles[1], emails[1] = profiles[0], "other@buyer.example"
    leads = leads.set_column(leads.schema.get_field_index("linkedin_url"), "linkedin_url", pa.array(profiles))
    leads = leads.set_column(leads.schema.get_field_index("email"), "email", pa.array(emails))
    world.service.strikes = [lambda service, call: service.add(call, most=2)]
    one = make_list(3)
    delivery = deliver(one.with_leads(leads, one.marker), world.sender)
    assert ends(delivery) == {1: Accepted, 2: AlreadyThere, 3: NotAdded}
    [twin] = [part.outcome for part in delivery.parts if isinstance(part.outcome, AlreadyThere)]
    assert twin == AlreadyThere((1,), 200)
    assert delivery.stop is None
    assert world.clock.sleeps == []


def test_somebody_of_an_earlier_call_wins_over_one_of_a_later_call(world: AddingWorld) -> None:
    leads = make_list(4).leads
    profiles = leads.column("linkedin_url").to_pylist()
    profiles[3] = profiles[1]
    leads = leads.set_column(leads.schema.get_field_index("linkedin_url"), "linkedin_url", pa.array(profiles))
    one = make_list(4)
    delivery = deliver(one.with_leads(leads, one.marker), world.sender)
    assert ends(delivery) == {**dict.fromkeys((1, 2, 3), Accepted), 4: AlreadyThere}
    assert delivery.parts[-1].outcome == AlreadyThere((2,), 200)


def test_a_short_count_that_the_list_does_not_bear_out_is_asked_late_and_then_held(world: AddingWorld) -> None:
    def short(service: AddingService, call: Added) -> Outcome:
        service.lists[call.name] = []
        return Accepted("id of " + call.name, None, 200, added_count=2)

    world.service.strikes = [short]
    delivery = deliver(make_list(3), world.sender)
    assert ends(delivery) == dict.fromkeys((1, 2, 3), Unknown)
    assert isinstance(delivery.stop, ListsHeld)
    assert world.clock.sleeps == [180.0, 90.0]
    assert delivery.outbox_files == []


def test_the_whole_list_is_read_back_once_and_who_is_not_shown_is_said_so(world: AddingWorld) -> None:
    world.service.hidden = 2
    delivery = deliver(make_list(7), world.sender)
    assert ends(delivery) == dict.fromkeys(range(1, 8), Accepted)
    assert sorted(n for part in delivery.parts if part.is_unseen for n in record_numbers(part.lead_list.leads)) == [
        1,
        2,
    ]
    assert delivery.stop is None


def test_a_list_that_holds_somebody_twice_is_an_alarm(world: AddingWorld) -> None:
    def twice(service: AddingService, call: Added) -> Outcome:
        service.lists[call.name] = [*call.people, call.people[1]]
        return Accepted("id of " + call.name, None, 200)

    world.service.strikes = [twice]
    delivery = deliver(make_list(3), world.sender)
    assert delivery.alarms == [
        f"list [{delivery.lead_list.marker}] holds 1 of its leads more than once: remove all but one there"
    ]


def test_a_refused_lead_is_left_out_and_the_others_go_into_the_same_list(world: AddingWorld) -> None:
    refused = Refused(
        RefusalKind.LEADS, 400, "BAD_REQUEST", leads=(LeadRefusal(1, "BAD_REQUEST", "/prospects/1", None),)
    )
    world.service.strikes = [nothing, lambda service, call: refused]
    delivery = deliver(make_list(6), world.sender)
    assert ends(delivery) == {**dict.fromkeys((1, 2, 3, 4, 6), Accepted), 5: Refused}
    assert len({call.name for call in world.service.calls}) == 1
    assert delivery.is_settled


def test_a_refused_call_is_halved_within_the_same_list(world: AddingWorld) -> None:
    bad = Refused(RefusalKind.REQUEST, 400, "BAD_REQUEST")

    def while_holding_two(service: AddingService, call: Added) -> Outcome | None:
        return bad if any(person["record_no"] == 2 for person in call.people) else None

    world.service.strikes = [while_holding_two] * 10
    delivery = deliver(make_list(4), world.sender)
    assert ends(delivery) == {**dict.fromkeys((1, 3, 4), Accepted), 2: Refused}
    assert len({call.name for call in world.service.calls}) == 1


def test_a_stop_between_two_calls_leaves_the_rest_unsent_and_nothing_unknown(world: AddingWorld) -> None:
    def stop(service: AddingService, call: Added) -> Outcome | None:
        world.stop.set()
        return None

    world.service.strikes = [stop]
    delivery = deliver(make_list(8), world.sender)
    assert ends(delivery) == dict.fromkeys((1, 2, 3), Accepted)
    assert not delivery.is_settled
    assert delivery.outbox_files == intents(world)


def test_a_list_that_is_removed_between_two_calls_stops_the_run_and_says_so(world: AddingWorld) -> None:
    gone = Refused(RefusalKind.ADDRESS, 404, "NOT_FOUND")
    world.service.strikes = [nothing, lambda service, call: gone]
    delivery = deliver(make_list(6), world.sender)
    assert ends(delivery) == dict.fromkeys((1, 2, 3), Accepted)
    assert "was it removed?" in str(delivery.stop)
    assert delivery.outbox_files == intents(world)


def test_what_never_left_after_a_lost_answer_keeps_its_intent(world: AddingWorld) -> None:
    world.service.strikes = [lost_after(0), *[lambda service, call: NotSent("connect_failed")] * 10]
    delivery = deliver(make_list(2), world.sender)
    assert delivery.parts == []
    assert delivery.outbox_files == []
    assert delivery.stop is not None


def test_a_list_that_cannot_be_read_at_the_end_changes_nothing(world: AddingWorld) -> None:
    world.service.confirmations = [CannotAsk("server_fault", 503)]
    delivery = deliver(make_list(3), world.sender)
    assert ends(delivery) == dict.fromkeys((1, 2, 3), Accepted)
    assert (delivery.stop, delivery.alarms) == (None, [])
    world.service.confirmations = [Absent()]
    assert ends(deliver(make_list(3, marker="B" * 12), world.sender)) == dict.fromkeys((1, 2, 3), Accepted)


def test_a_list_whose_id_is_known_is_read_back_without_the_listing_of_all_lists(world: AddingWorld) -> None:
    asked: list[str] = []
    confirm = world.service.confirm

    def counted(marker: str) -> Confirmation:
        asked.append(marker)
        return confirm(marker)

    world.service.confirm = counted  # type: ignore[method-assign]
    deliver(make_list(7), world.sender)
    assert asked == []
    world.service.strikes = [lost_after(1)]
    deliver(make_list(7, marker="B" * 12), world.sender)
    assert asked == ["B" * 12] * 3, "twice for the lost answer, and once for a second list at the end"


def test_leads_keep_their_places_in_the_request_where_others_of_it_came_to_another_end(world: AddingWorld) -> None:
    world.service.max_leads_per_call = 10
    world.service.strikes = [lambda service, call: service.add(Added(call.name, call.people[1:4]))]
    world.service.hidden = 0
    delivery = deliver(make_list(6), world.sender)
    places = {type(part.outcome): part.positions for part in delivery.parts}
    assert places[Accepted] == (1, 2, 3)


def test_of_two_lists_of_one_marker_the_one_that_holds_the_leads_is_named(world: AddingWorld) -> None:
    """A list was made, the answer lost, and made again: the first stays empty."""
    one = make_list(3)
    empty = f"first try [{one.marker}]"
    world.service.lists[empty] = []
    world.service.strikes = [lost_after(3)]
    delivery = deliver(one, world.sender)
    [part] = delivery.parts
    assert isinstance(part.outcome, Accepted)
    assert part.outcome.list_id == f"id of {one.name}"
    assert delivery.alarms == []
