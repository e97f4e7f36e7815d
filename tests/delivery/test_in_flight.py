from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait

import pytest
from scripted import Call, MemoryFolder, World, accept, make_list, make_world, refuse_while_holding

from target_amplemarket.delivery.deliver import Delivery
from target_amplemarket.delivery.in_flight import InFlight
from target_amplemarket.errors import StorageError
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.services.protocol import Outcome

PATIENCE_S = 10.0  # only ever waited for when a test fails


class Gate:
    """Calls wait here until they are let through; `most` is how many were inside at once."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self._let = threading.Semaphore(0)
        self._changed = threading.Condition()

    def __call__(self, call: Call) -> Outcome:
        with self._changed:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self._changed.notify_all()
        assert self._let.acquire(timeout=PATIENCE_S)
        with self._changed:
            self.inside -= 1
        return accept(call)

    def let(self, count: int = 1) -> None:
        self._let.release(count)

    def wait_until_inside(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.inside == count, timeout=PATIENCE_S)


def lists(count: int) -> list[LeadList]:
    return [make_list(1, number=n, marker=f"LIST{n:08d}", first_record_no=n) for n in range(1, count + 1)]


def opened(answer: Callable[[Call], Outcome], most: int) -> tuple[World, InFlight]:
    world = make_world(MemoryFolder(), answer)
    return world, InFlight(world.sender, most)


def numbers(deliveries: Iterator[Delivery] | list[Delivery]) -> list[int]:
    return [delivery.lead_list.number for delivery in deliveries]


def until_finished(in_flight: InFlight) -> list[int]:
    """What `finished` hands out first, however long the threads take to get there."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        if found := numbers(in_flight.finished()):
            return found
    raise AssertionError("nothing finished")


@pytest.mark.parametrize("most", [1, 2, 5])
def test_never_more_than_most_lists_are_under_way_and_all_places_are_used(most: int) -> None:
    gate = Gate()
    _, in_flight = opened(gate, most)
    handed_out: list[int] = []

    def submit_all() -> None:
        for lead_list in lists(4 * most):
            handed_out.extend(numbers(in_flight.submit(lead_list)))
        handed_out.extend(numbers(in_flight.drain()))

    caller = threading.Thread(target=submit_all)
    caller.start()
    gate.wait_until_inside(most)
    gate.let(4 * most)
    caller.join(PATIENCE_S)
    in_flight.close()
    assert gate.most == most
    assert sorted(handed_out) == list(range(1, 4 * most + 1))


def test_submit_blocks_while_all_places_are_taken_and_then_yields_what_finished() -> None:
    gate = Gate()
    _, in_flight = opened(gate, 2)
    first, second, third = lists(3)
    assert numbers(in_flight.submit(first)) == []
    assert numbers(in_flight.submit(second)) == []
    gate.wait_until_inside(2)
    yielded: list[int] = []
    returned = threading.Event()

    def submit_third() -> None:
        yielded.extend(numbers(in_flight.submit(third)))
        returned.set()

    caller = threading.Thread(target=submit_third)
    caller.start()
    assert not returned.wait(0.1)
    gate.let(1)
    assert returned.wait(PATIENCE_S)
    assert len(yielded) == 1
    assert set(yielded) <= {1, 2}
    gate.let(2)
    caller.join(PATIENCE_S)
    assert sorted(yielded + numbers(in_flight.drain())) == [1, 2, 3]
    in_flight.close()


def test_a_list_is_not_sent_when_what_submit_yields_before_it_is_not_taken() -> None:
    """Whoever learns from it that the run must stop leaves the iterator, and the new list stays unsent."""
    world, in_flight = opened(accept, 1)
    first, second = lists(2)
    list(in_flight.submit(first))
    assert next(in_flight.submit(second)).lead_list.number == 1
    assert numbers(in_flight.drain()) == []
    in_flight.close()
    assert len(world.service.calls) == 1


def test_finished_does_not_wait_and_drain_does() -> None:
    gate = Gate()
    _, in_flight = opened(gate, 3)
    for lead_list in lists(3):
        list(in_flight.submit(lead_list))
    gate.wait_until_inside(3)
    assert numbers(in_flight.finished()) == []
    gate.let(1)
    early = until_finished(in_flight)
    assert len(early) == 1
    drained: list[int] = []
    caller = threading.Thread(target=lambda: drained.extend(numbers(in_flight.drain())))
    caller.start()
    caller.join(0.1)
    assert caller.is_alive()
    gate.let(2)
    caller.join(PATIENCE_S)
    in_flight.close()
    assert sorted(early + drained) == [1, 2, 3]
    assert numbers(in_flight.drain()) == numbers(in_flight.finished()) == []


def test_everything_is_handed_out_exactly_once_by_whichever_way() -> None:
    world, in_flight = opened(refuse_while_holding(range(1, 200, 7)), 4)
    handed_out: list[int] = []
    for lead_list in lists(200):
        handed_out.extend(numbers(in_flight.submit(lead_list)))
        if lead_list.number % 3 == 0:
            handed_out.extend(numbers(in_flight.finished()))
    handed_out.extend(numbers(in_flight.drain()))
    in_flight.close()
    assert sorted(handed_out) == list(range(1, 201))
    assert len(world.service.calls) == 200


def test_what_finished_beside_a_delivery_that_was_given_up_on_is_handed_out_later() -> None:
    _, in_flight = opened(accept, 4)
    for lead_list in lists(4):
        list(in_flight.submit(lead_list))
    wait(in_flight._under_way)  # all of them are done now, and none was taken
    first = next(in_flight.finished())
    assert sorted([first.lead_list.number, *numbers(in_flight.drain())]) == [1, 2, 3, 4]


def test_a_fault_in_a_delivery_surfaces_in_the_callers_thread_and_loses_no_other_delivery() -> None:
    def answer(call: Call) -> Outcome:
        if call.leads == (2,):
            raise ValueError("a fault of the program")
        return accept(call)

    world, in_flight = opened(answer, 4)
    for lead_list in lists(4):
        list(in_flight.submit(lead_list))
    wait(in_flight._under_way)
    handed_out: list[int] = []
    with pytest.raises(ValueError, match="a fault of the program"):
        handed_out.extend(delivery.lead_list.number for delivery in in_flight.drain())
    handed_out.extend(numbers(in_flight.drain()))
    assert sorted(handed_out) == [1, 3, 4]
    assert "outbox/000002-LIST00000002.arrow" in world.folder.names("outbox/*")


def test_a_storage_fault_comes_as_the_stop_of_its_delivery() -> None:
    world = make_world(MemoryFolder(fails_at=1))
    in_flight = InFlight(world.sender, 2)
    for lead_list in lists(2):
        list(in_flight.submit(lead_list))
    stops = [delivery.stop for delivery in in_flight.drain()]
    in_flight.close()
    assert [type(stop) for stop in stops] == [StorageError, StorageError]


def test_after_a_stop_wish_what_is_submitted_comes_back_unsent() -> None:
    world, in_flight = opened(accept, 2)
    world.stop.set()
    for lead_list in lists(2):
        list(in_flight.submit(lead_list))
    assert [delivery.settled_lead_count for delivery in in_flight.drain()] == [0, 0]
    in_flight.close()
    assert world.service.calls == []
