from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from target_amplemarket.delivery.reconcile import reconcile
from target_amplemarket.services.protocol import Absent, CannotAsk, Confirmation, Found
from tests.harness import VirtualClock

FOUND = Found(("list-1",), (None,))
PARTLY = Found(("list-1",), (None,), places=(0, None))
TWICE = Found(("list-1", "list-2"), (None, None))
FAILS = CannotAsk("server_fault", 503)


class Listing:
    """Answers each marker's questions in turn, the last answer for ever; `asked` keeps who asked when."""

    def __init__(self, clock: VirtualClock, **answers: list[Confirmation]) -> None:
        self.asked: list[tuple[str, float]] = []
        self.on_ask: Callable[[str], None] = lambda _: None
        self._answers = answers
        self._clock = clock

    def confirm(self, marker: str) -> Confirmation:
        self.asked.append((marker, self._clock.monotonic_s()))
        self.on_ask(marker)
        answers = self._answers[marker]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def ask(listing: Listing, clock: VirtualClock, *markers: str, stop: threading.Event | None = None) -> dict[str, object]:
    return dict(reconcile(markers, listing.confirm, clock, stop or threading.Event(), settle_s=180.0))


@pytest.mark.step("D5", "R3")
@pytest.mark.parametrize("answer", [FOUND, TWICE, FAILS])
def test_a_question_is_asked_once_after_the_whole_settle_where_the_answer_decides(answer: Confirmation) -> None:
    clock = VirtualClock()
    listing = Listing(clock, a=[answer])
    assert ask(listing, clock, "a") == {"a": answer}
    assert listing.asked == [("a", 180.0)]


@pytest.mark.step("D5", "R3")
@pytest.mark.parametrize("second", [Absent(), FOUND, FAILS, PARTLY])
@pytest.mark.parametrize("first", [Absent(), PARTLY])
def test_what_is_absent_is_asked_for_once_more_half_a_settle_later(first: Confirmation, second: Confirmation) -> None:
    clock = VirtualClock()
    listing = Listing(clock, a=[first, second])
    assert ask(listing, clock, "a") == {"a": second}
    assert listing.asked == [("a", 180.0), ("a", 270.0)]


@pytest.mark.step("R3")
def test_several_lists_wait_together_and_only_the_absent_ones_are_asked_for_again() -> None:
    clock = VirtualClock()
    listing = Listing(clock, a=[FOUND], b=[Absent(), FOUND], c=[FAILS], d=[Absent()])
    assert ask(listing, clock, "a", "b", "c", "d") == {"a": FOUND, "b": FOUND, "c": FAILS, "d": Absent()}
    assert listing.asked == [(m, 180.0) for m in "abcd"] + [("b", 270.0), ("d", 270.0)]


def test_without_a_question_nobody_waits() -> None:
    clock = VirtualClock()
    assert ask(Listing(clock), clock) == {}
    assert clock.slept_s == []


@pytest.mark.parametrize("stop_in_sleep", [1, 2])
def test_a_stop_while_waiting_leaves_what_is_not_known_unasked(stop_in_sleep: int) -> None:
    """Absent once is not absent: whoever is told so would send again."""
    stop, sleeps = threading.Event(), []

    class StoppedClock(VirtualClock):
        def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
            assert wake is stop, "the wait ends with the stop"
            sleeps.append(duration_s)
            if len(sleeps) == stop_in_sleep:
                stop.set()
            super().sleep(duration_s, wake)

    clock = StoppedClock()
    listing = Listing(clock, a=[Absent()], b=[FOUND])
    known = {"b": FOUND} if stop_in_sleep == 2 else {"b": CannotAsk("stopped")}
    assert ask(listing, clock, "a", "b", stop=stop) == {"a": CannotAsk("stopped"), **known}
    assert len(listing.asked) == 2 * (stop_in_sleep - 1)


def test_a_stop_between_two_questions_leaves_the_second_unasked() -> None:
    stop, clock = threading.Event(), VirtualClock()
    listing = Listing(clock, a=[FOUND], b=[FOUND])
    listing.on_ask = lambda _: stop.set()
    assert ask(listing, clock, "a", "b", stop=stop) == {"a": FOUND, "b": CannotAsk("stopped")}
