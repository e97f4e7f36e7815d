from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from target_amplemarket.singer.watermark import PendingState, Watermark

pytestmark = pytest.mark.step("D8")


def test_a_state_before_any_record_leaves_at_once() -> None:
    watermark = Watermark()
    watermark.take_state(b"{}")
    assert watermark.release_state() == PendingState(0, b"{}")
    assert watermark.release_state() is None


def test_records_are_numbered_from_one_without_gaps() -> None:
    watermark = Watermark()
    assert [watermark.read(3), watermark.read(1), watermark.read(2)] == [1, 4, 5]
    assert watermark.last_read == 6


def test_a_state_waits_for_every_record_before_it() -> None:
    watermark = Watermark()
    watermark.hold("list", watermark.read(2))
    watermark.take_state(b"1")
    assert watermark.release_state() is None
    assert watermark.waits
    watermark.release("list")
    assert watermark.release_state() == PendingState(2, b"1")
    assert not watermark.waits


def test_records_after_a_state_do_not_hold_it() -> None:
    watermark = Watermark()
    watermark.read(2)
    watermark.take_state(b"1")
    watermark.hold("list", watermark.read(1))
    assert watermark.release_state() == PendingState(2, b"1")


def test_only_the_newest_of_the_states_that_may_leave_does() -> None:
    watermark = Watermark()
    for value in (b"1", b"2", b"3"):
        watermark.read(1)
        watermark.take_state(value)
    watermark.hold("late", 3)
    assert watermark.release_state() == PendingState(2, b"2")
    watermark.release("late")
    assert watermark.release_state() == PendingState(3, b"3")


def test_a_later_record_of_the_same_holder_does_not_let_the_first_go() -> None:
    watermark = Watermark()
    watermark.hold("rows", watermark.read(1))
    watermark.take_state(b"1")
    watermark.hold("rows", watermark.read(1))
    assert watermark.release_state() is None
    assert watermark.settled_until == 0


def test_one_that_is_never_released_holds_all_later_states_for_ever() -> None:
    watermark = Watermark()
    watermark.hold("held", watermark.read(1))
    for _ in range(5):
        watermark.read(10)
        watermark.take_state(b"x")
        assert watermark.release_state() is None


def test_states_that_repeat_without_a_record_between_take_the_place_of_one() -> None:
    watermark = Watermark()
    watermark.hold("held", watermark.read(1))
    for number in range(1_000):
        watermark.take_state(b"%d" % number)
    assert len(watermark._waiting) == 1
    watermark.release("held")
    assert watermark.release_state() == PendingState(1, b"999")


class AgainstANaiveModel(RuleBasedStateMachine):
    """The model keeps the set of open records and every state, and looks at all of them each time."""

    def __init__(self) -> None:
        super().__init__()
        self.watermark = Watermark()
        self.holders: dict[int, set[int]] = {}
        self.states: list[tuple[int, bytes]] = []
        self.gone = 0
        self.record_count = 0

    @rule(count=st.integers(1, 5), holder=st.none() | st.integers(0, 3))
    def read(self, count: int, holder: int | None) -> None:
        first = self.watermark.read(count)
        assert first == self.record_count + 1
        self.record_count += count
        if holder is not None:
            self.watermark.hold(holder, first)
            self.holders.setdefault(holder, set()).update(range(first, first + count))

    @rule(holder=st.integers(0, 3))
    def settle(self, holder: int) -> None:
        self.watermark.release(holder)
        self.holders.pop(holder, None)

    @rule()
    def state(self) -> None:
        self.states.append((self.record_count, b"%d" % len(self.states)))
        self.watermark.take_state(self.states[-1][1])

    @precondition(lambda self: self.states)
    @rule()
    def release(self) -> None:
        still_open = set().union(*self.holders.values())
        may_leave = [
            index
            for index, (number, _) in enumerate(self.states)
            if index >= self.gone and not any(record <= number for record in still_open)
        ]
        left = self.watermark.release_state()
        if not may_leave:
            assert left is None
        else:
            assert left == PendingState(*self.states[may_leave[-1]])
            self.gone = may_leave[-1] + 1

    @invariant()
    def nothing_is_called_settled_that_is_open(self) -> None:
        still_open = set().union(*self.holders.values())
        assert self.watermark.settled_until == min(still_open, default=self.record_count + 1) - 1
        assert self.watermark.waits == (self.gone < len(self.states))


TestAgainstANaiveModel = AgainstANaiveModel.TestCase


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=20))
def test_the_states_that_leave_never_go_back(steps: list[tuple[int, bool]]) -> None:
    watermark, left = Watermark(), []
    for index, (count, is_held) in enumerate(steps):
        watermark.hold(index, watermark.read(count))
        watermark.take_state(b"s")
        if not is_held:
            for before in range(index + 1):
                watermark.release(before)
        if state := watermark.release_state():
            left.append(state.record_no)
    assert left == sorted(set(left))
