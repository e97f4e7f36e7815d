"""What becomes of a list whose answer was lost, and of the lists beside it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest
from scripted import (
    Call,
    MemoryFolder,
    ScriptedService,
    World,
    accept,
    in_turn,
    make_list,
    make_world,
    not_sent,
    record_numbers,
    refuse_leads,
)

from target_amplemarket.delivery.deliver import Delivery, Sender, deliver
from target_amplemarket.delivery.in_flight import MAX_SETTLING, InFlight
from target_amplemarket.errors import ApiUnreachable, ListsHeld
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    CannotAsk,
    Confirmation,
    Found,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)

PATIENCE_S = 10.0  # only ever waited for when a test fails
LOST = Unknown("connection_lost", 502)
FOUND = Found(("list-7",), ("https://app.seller.example/lists/7",))
TWICE = Found(("list-7", "list-8"), (None, None))
FAILS = CannotAsk("refused", 403)
FILE = "outbox/000001-AAAAAAAAAAAA.arrow"


class AskedService(ScriptedService):
    """Answers questions too; `asked` keeps the markers."""

    def __init__(self, world: World, confirm: Callable[[str], Confirmation]) -> None:
        super().__init__(world.folder, world.service.answer)
        self._confirm = confirm
        self.asked: list[str] = []

    def confirm(self, marker: str) -> Confirmation:  # type: ignore[override]  # the script's own says less
        self.asked.append(marker)
        return self._confirm(marker)


def asked_world(
    answer: Callable[[Call], Outcome], confirm: Callable[[str], Confirmation], on_unknown: str = "hold"
) -> tuple[World, AskedService, Sender]:
    world = make_world(MemoryFolder(), answer)
    service = AskedService(world, confirm)
    return world, service, dataclasses.replace(world.sender, service=service, on_unknown=on_unknown)


def after(*confirmations: Confirmation) -> Callable[[str], Confirmation]:
    """One after the other, the last one for ever."""
    rest = list(confirmations)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


def ends(delivery: Delivery) -> list[tuple[list[int], type]]:
    return [(record_numbers(part.lead_list.leads), type(part.outcome)) for part in delivery.parts]


def left_after_recording(world: World, delivery: Delivery) -> list[str]:
    """The intents that stay once the parts are recorded."""
    return [name for name in world.folder.names("outbox/*") if name not in delivery.outbox_files]


# --- One list ---------------------------------------------------------------------------------------------------------


@pytest.mark.step("D5")
@pytest.mark.parametrize("on_unknown", ["hold", "resend", "assume_sent"])
@pytest.mark.parametrize("looks", [[FOUND], [Absent(), FOUND]])
def test_a_list_that_is_found_is_accepted_with_its_id_and_not_sent_again(
    on_unknown: str, looks: list[Confirmation]
) -> None:
    world, service, sender = asked_world(in_turn([LOST]), after(*looks), on_unknown)
    delivery = deliver(make_list(3), sender)
    assert [part.outcome for part in delivery.parts] == [Accepted("list-7", "https://app.seller.example/lists/7", None)]
    assert (delivery.stop, delivery.alarms, delivery.resent) == (None, [], [])
    assert delivery.is_settled
    assert not delivery.parts[0].is_assumed_sent
    assert left_after_recording(world, delivery) == []
    assert len(service.calls) == 1
    assert service.asked == ["AAAAAAAAAAAA"] * len(looks)
    assert world.clock.sleeps == [180.0, 90.0][: len(looks)]


@pytest.mark.step("D5")
def test_a_list_that_is_there_several_times_is_accepted_with_an_alarm_that_names_them() -> None:
    _, _, sender = asked_world(in_turn([LOST]), after(TWICE))
    delivery = deliver(make_list(3), sender)
    assert ends(delivery) == [([1, 2, 3], Accepted)]
    assert delivery.stop is None
    assert len(delivery.alarms) == 1
    assert all(word in delivery.alarms[0] for word in ("[AAAAAAAAAAAA]", "2 times", "list-7", "list-8"))


@pytest.mark.step("D5")
@pytest.mark.parametrize("on_unknown", ["hold", "resend", "assume_sent"])
def test_a_list_that_is_absent_twice_is_sent_again_as_it_was_and_its_marker_is_noted(on_unknown: str) -> None:
    world, service, sender = asked_world(in_turn([LOST]), after(Absent()), on_unknown)
    delivery = deliver(make_list(3), sender)
    assert ends(delivery) == [([1, 2, 3], Accepted)]
    assert delivery.parts[0].attempt == 2
    assert delivery.resent == ["AAAAAAAAAAAA"]
    first, second = service.calls
    assert (first.marker, first.leads) == (second.marker, second.leads)
    assert service.asked == ["AAAAAAAAAAAA"] * 2
    assert left_after_recording(world, delivery) == []


@pytest.mark.step("D5")
def test_after_three_unanswered_calls_a_list_is_held() -> None:
    world, service, sender = asked_world(lambda _: LOST, after(Absent()))
    delivery = deliver(make_list(3), sender)
    assert len(service.calls) == 3
    assert ends(delivery) == [([1, 2, 3], Unknown)]
    assert delivery.parts[0].is_held
    assert not delivery.is_settled
    assert isinstance(delivery.stop, ListsHeld)
    assert left_after_recording(world, delivery) == [FILE]
    assert delivery.resent == ["AAAAAAAAAAAA"] * 2


@pytest.mark.step("D5")
@pytest.mark.parametrize("looks", [[FAILS], [Absent(), FAILS]])
def test_a_list_that_cannot_be_asked_about_is_held_and_its_intent_stays(looks: list[Confirmation]) -> None:
    world, service, sender = asked_world(lambda _: LOST, after(*looks))
    delivery = deliver(make_list(3), sender)
    assert ends(delivery) == [([1, 2, 3], Unknown)]
    assert delivery.parts[0].is_held
    assert isinstance(delivery.stop, ListsHeld)
    assert "[AAAAAAAAAAAA]" in str(delivery.stop)
    assert len(service.calls) == 1
    assert left_after_recording(world, delivery) == [FILE]


@pytest.mark.step("D5")
def test_with_resend_a_list_that_cannot_be_asked_about_is_sent_again() -> None:
    world, service, sender = asked_world(in_turn([LOST]), after(FAILS), "resend")
    delivery = deliver(make_list(3), sender)
    assert ends(delivery) == [([1, 2, 3], Accepted)]
    assert delivery.resent == ["AAAAAAAAAAAA"]
    assert len(service.calls) == 2
    assert left_after_recording(world, delivery) == []


def test_with_resend_too_three_unanswered_calls_are_the_end() -> None:
    world, service, sender = asked_world(lambda _: LOST, after(FAILS), "resend")
    delivery = deliver(make_list(3), sender)
    assert len(service.calls) == 3
    assert isinstance(delivery.stop, ListsHeld)
    assert left_after_recording(world, delivery) == [FILE]


@pytest.mark.step("D5")
def test_with_assume_sent_a_list_that_cannot_be_asked_about_counts_as_sent() -> None:
    world, service, sender = asked_world(lambda _: LOST, after(FAILS), "assume_sent")
    delivery = deliver(make_list(3), sender)
    assert ends(delivery) == [([1, 2, 3], Unknown)]
    assert delivery.parts[0].is_assumed_sent
    assert delivery.is_settled
    assert delivery.stop is None
    assert len(service.calls) == 1
    assert left_after_recording(world, delivery) == []


@pytest.mark.parametrize("on_unknown", ["hold", "resend", "assume_sent"])
@pytest.mark.parametrize("stopped_sleep", [1, 2])
def test_a_stop_while_a_list_settles_holds_it_whatever_the_settings_say(on_unknown: str, stopped_sleep: int) -> None:
    """A stop is no answer, and the next run can ask."""
    world, service, sender = asked_world(lambda _: LOST, after(Absent()), on_unknown)

    def stop(_: float) -> None:
        if len(world.clock.sleeps) == stopped_sleep:
            world.stop.set()

    world.clock.on_sleep = stop
    delivery = deliver(make_list(3), sender)
    assert len(service.calls) == 1
    assert len(service.asked) == stopped_sleep - 1
    assert [part.is_held for part in delivery.parts] == [True]
    assert left_after_recording(world, delivery) == [FILE]


@pytest.mark.parametrize(("on_unknown", "look"), [("resend", FAILS), ("hold", Absent())])
def test_an_intent_stays_when_the_call_after_a_lost_answer_never_leaves(on_unknown: str, look: Confirmation) -> None:
    """The first call may still have made a list; the next run asks for it."""
    world, _, sender = asked_world(in_turn([LOST, *[not_sent()] * 20]), after(look), on_unknown)
    delivery = deliver(make_list(3), sender)
    assert isinstance(delivery.stop, ApiUnreachable)
    assert ends(delivery) == []
    assert left_after_recording(world, delivery) == [FILE]


def test_a_call_that_never_left_leaves_no_intent() -> None:
    world, _, sender = asked_world(lambda _: not_sent(), after(FAILS))
    delivery = deliver(make_list(3), sender)
    assert left_after_recording(world, delivery) == []


@pytest.mark.parametrize(("look", "rest_end"), [(FOUND, Accepted), (FAILS, Unknown)])
def test_leads_that_the_api_named_stay_refused_whatever_becomes_of_the_rest(look: Confirmation, rest_end: type) -> None:
    world, service, sender = asked_world(in_turn([refuse_leads(1), LOST]), after(look))
    delivery = deliver(make_list(3), sender)
    assert ends(delivery) == [([2], Refused), ([1, 3], rest_end)]
    assert service.asked == ["AAAAAAAAAAAA"]
    assert left_after_recording(world, delivery) == ([FILE] if rest_end is Unknown else [])


def test_a_half_that_is_held_leaves_the_other_half_unsent_and_keeps_its_own_intent() -> None:
    world, service, sender = asked_world(in_turn([Refused(RefusalKind.TOO_LARGE, 413), LOST]), after(FAILS))
    delivery = deliver(make_list(4), sender)
    assert ends(delivery) == [([1, 2], Unknown)]
    assert len(service.calls) == 2
    assert left_after_recording(world, delivery) == [f"outbox/000001-{service.calls[1].marker}.arrow"]


def test_both_halves_are_asked_for_by_their_own_markers() -> None:
    world, service, sender = asked_world(in_turn([Refused(RefusalKind.REQUEST, 400), LOST, LOST]), after(FOUND))
    delivery = deliver(make_list(4), sender)
    assert ends(delivery) == [([1, 2], Accepted), ([3, 4], Accepted)]
    assert service.asked == [call.marker for call in service.calls[1:]]
    assert left_after_recording(world, delivery) == []


def test_the_place_is_given_up_around_the_question_and_nothing_else() -> None:
    steps: list[str] = []

    def answer(call: Call) -> Outcome:
        steps.append("send")
        return LOST if len(steps) == 1 else accept(call)

    def confirm(_: str) -> Confirmation:
        steps.append("ask")
        return Absent()

    @contextmanager
    def settling() -> Iterator[None]:
        steps.append("[")
        yield
        steps.append("]")

    _, _, sender = asked_world(answer, confirm)
    deliver(make_list(1), sender, settling)
    assert "".join(f"{step} " for step in steps) == "send [ ask ask ] send "


# --- Several lists ----------------------------------------------------------------------------------------------------


class Gate:
    """Whoever comes waits until let through."""

    def __init__(self) -> None:
        self.inside = 0
        self._open = False
        self._changed = threading.Condition()

    def wait(self) -> None:
        with self._changed:
            self.inside += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._open, timeout=PATIENCE_S)

    def open(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def wait_until_inside(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.inside >= count, timeout=PATIENCE_S), self.inside


class Sending:
    """How many sends are under way at once."""

    def __init__(self, answer: Callable[[Call], Outcome]) -> None:
        self.most = 0
        self._count = 0
        self._lock = threading.Lock()
        self._answer = answer

    def __call__(self, call: Call) -> Outcome:
        with self._lock:
            self._count += 1
            self.most = max(self.most, self._count)
        threading.Event().wait(0.002)  # long enough for the others to come in, were they let
        with self._lock:
            self._count -= 1
        return self._answer(call)


def lists(first: int, last: int) -> list[LeadList]:
    return [make_list(1, number=n, marker=f"LIST{n:08d}", first_record_no=n) for n in range(first, last + 1)]


def numbers(deliveries: Iterator[Delivery]) -> list[int]:
    return [delivery.lead_list.number for delivery in deliveries]


def submit_all(in_flight: InFlight, lead_lists: Iterable[LeadList], done: list[int]) -> None:
    for lead_list in lead_lists:
        done += numbers(in_flight.submit(lead_list))


def lose(count: int) -> Callable[[Call], Outcome]:
    """The first call of each of the first lists is lost."""
    return lambda call: LOST if int(call.marker[4:]) <= count and call.number <= count else accept(call)


def in_thread(step: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    return thread


@pytest.mark.step("D5")
@pytest.mark.parametrize("most", [1, 2, 4])
def test_others_are_sent_while_lists_settle(most: int) -> None:
    gate = Gate()

    def confirm(_: str) -> Confirmation:
        gate.wait()
        return FOUND

    _, _, sender = asked_world(lose(most), confirm)
    in_flight = InFlight(sender, most)
    done: list[int] = []
    for lead_list in lists(1, most):
        done += numbers(in_flight.submit(lead_list))
    gate.wait_until_inside(most)
    others = in_thread(lambda: submit_all(in_flight, lists(most + 1, 5 * most), done))
    others.join(PATIENCE_S)
    assert not others.is_alive(), "the lists that settle keep their places"
    gate.open()
    done += numbers(in_flight.drain())
    in_flight.close()
    assert sorted(done) == list(range(1, 5 * most + 1))


@pytest.mark.parametrize("most", [1, 3])
def test_never_more_are_sent_at_once_than_places_also_when_settled_lists_come_back(most: int) -> None:
    sending = Sending(lambda call: LOST if call.number % 2 else accept(call))
    _, _, sender = asked_world(sending, after(Absent()))
    in_flight = InFlight(sender, most)
    done: list[int] = []
    for lead_list in lists(1, 30):
        done += numbers(in_flight.submit(lead_list))
    done += numbers(in_flight.drain())
    in_flight.close()
    assert sorted(done) == list(range(1, 31))
    assert sending.most == most


def test_places_are_all_there_again_after_lists_have_settled() -> None:
    """A place that is not taken back, or given back twice, changes how many may be sent at once."""
    gate, sends = Gate(), Gate()

    def answer(call: Call) -> Outcome:
        if call.number <= 6:
            return LOST
        sends.wait()
        return accept(call)

    _, _, sender = asked_world(answer, after(FOUND))
    in_flight = InFlight(sender, 2)
    for lead_list in lists(1, 6):
        list(in_flight.submit(lead_list))
    list(in_flight.drain())
    submitted: list[int] = []

    def submit_more() -> None:
        for lead_list in lists(7, 9):
            list(in_flight.submit(lead_list))
            submitted.append(lead_list.number)

    more = in_thread(submit_more)
    sends.wait_until_inside(2)
    more.join(0.1)
    assert submitted == [7, 8]
    assert sends.inside == 2
    sends.open()
    gate.open()
    more.join(PATIENCE_S)
    assert submitted == [7, 8, 9]
    list(in_flight.drain())
    in_flight.close()


def test_a_settled_list_that_is_sent_again_waits_for_a_place() -> None:
    asks, sends = Gate(), Gate()

    def answer(call: Call) -> Outcome:
        if call.number == 1:
            return LOST
        sends.wait()
        return accept(call)

    def confirm(_: str) -> Confirmation:
        asks.wait()
        return Absent()

    _, _, sender = asked_world(answer, confirm)
    in_flight = InFlight(sender, 1)
    first, second = lists(1, 2)
    list(in_flight.submit(first))
    asks.wait_until_inside(1)
    list(in_flight.submit(second))
    sends.wait_until_inside(1)
    asks.open()
    threading.Event().wait(0.1)  # long enough for the first to come in, were it let
    assert sends.inside == 1
    sends.open()
    assert sorted(numbers(in_flight.drain())) == [1, 2]
    in_flight.close()


@pytest.mark.step("D5")
def test_so_many_lists_settle_and_then_submit_waits() -> None:
    gate = Gate()

    def confirm(_: str) -> Confirmation:
        gate.wait()
        return FOUND

    most, all_places = 2, 2 + MAX_SETTLING
    _, _, sender = asked_world(lambda _: LOST, confirm)
    in_flight = InFlight(sender, most)
    done: list[int] = []
    filling = in_thread(lambda: submit_all(in_flight, lists(1, all_places), done))
    filling.join(PATIENCE_S)
    assert not filling.is_alive()
    gate.wait_until_inside(all_places)
    one_more = in_thread(lambda: done.extend(numbers(in_flight.submit(lists(99, 99)[0]))))
    one_more.join(0.1)
    assert one_more.is_alive(), "nothing bounds how many lists wait"
    gate.open()
    one_more.join(PATIENCE_S)
    assert not one_more.is_alive()
    done += numbers(in_flight.drain())
    in_flight.close()
    assert sorted(done) == [*range(1, all_places + 1), 99]


def test_a_submit_that_waits_goes_on_as_soon_as_a_list_begins_to_settle() -> None:
    calls, gate = Gate(), Gate()

    def answer(call: Call) -> Outcome:
        if call.number == 1:
            calls.wait()
            return LOST
        return accept(call)

    def confirm(_: str) -> Confirmation:
        gate.wait()
        return FOUND

    _, _, sender = asked_world(answer, confirm)
    in_flight = InFlight(sender, 1)
    first, second = lists(1, 2)
    list(in_flight.submit(first))
    calls.wait_until_inside(1)
    waiting = in_thread(lambda: list(in_flight.submit(second)))
    waiting.join(0.1)
    assert waiting.is_alive()
    calls.open()
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
    gate.open()
    assert sorted(numbers(in_flight.drain())) in ([1], [1, 2])
    in_flight.close()


def test_a_fault_of_the_program_while_a_list_settles_surfaces_and_gives_its_place_back() -> None:
    def confirm(marker: str) -> Confirmation:
        if marker.endswith("1"):
            raise ZeroDivisionError
        return FOUND

    world, _, sender = asked_world(lambda call: LOST if call.number < 3 else accept(call), confirm)
    in_flight = InFlight(sender, 1)
    done: list[int] = []
    first, *others = lists(1, 4)
    list(in_flight.submit(first))
    with pytest.raises(ZeroDivisionError):
        list(in_flight.drain())
    for lead_list in others:
        done += numbers(in_flight.submit(lead_list))
    done += numbers(in_flight.drain())
    after_it = in_thread(lambda: done.extend(numbers(in_flight.submit(lists(9, 9)[0]))))
    after_it.join(PATIENCE_S)
    assert not after_it.is_alive()
    done += numbers(in_flight.drain())
    in_flight.close()
    assert 1 not in done
    assert 9 in done
    assert "outbox/000001-LIST00000001.arrow" in world.folder.names("outbox/*")


def test_a_stop_ends_all_waiting_and_every_list_that_settled_is_held() -> None:
    gate = Gate()
    world, service, sender = asked_world(lambda _: LOST, after(Absent()))
    world.clock.on_sleep = lambda _: gate.wait()
    in_flight = InFlight(sender, 2)
    for lead_list in lists(1, 6):
        list(in_flight.submit(lead_list))
    gate.wait_until_inside(6)
    world.stop.set()
    gate.open()
    deliveries = list(in_flight.drain())
    in_flight.close()
    assert [d.parts[0].is_held for d in deliveries] == [True] * 6
    assert service.asked == []
    assert len(service.calls) == 6
