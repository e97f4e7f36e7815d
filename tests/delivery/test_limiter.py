from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_amplemarket.clock import SystemClock
from target_amplemarket.delivery.limiter import LONGEST_PAUSE_S, WINDOW_S, Limiter


class OneThreadClock:
    """Time that passes only in `sleep`."""

    def __init__(self, now_s: float = 1_000_000.0) -> None:
        self.now_s = now_s

    def monotonic_s(self) -> float:
        return self.now_s

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        assert duration_s > 0
        self.now_s += duration_s


class SharedClock(OneThreadClock):
    """Time that stands still while any of `thread_count` threads runs, and then goes to the earliest end of a sleep."""

    def __init__(self, thread_count: int) -> None:
        super().__init__()
        self._awake = thread_count
        self._ends: list[float] = []
        self._turn = threading.Condition()

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        with self._turn:
            end_s = self.now_s + duration_s
            self._ends.append(end_s)
            self._awake -= 1
            self._advance()
            self._turn.wait_for(lambda: self.now_s >= end_s)

    def leave(self) -> None:
        with self._turn:
            self._awake -= 1
            self._advance()

    def _advance(self) -> None:
        if self._awake == 0 and self._ends:
            self.now_s = min(self._ends)
            self._awake = sum(end_s <= self.now_s for end_s in self._ends)
            self._ends = [end_s for end_s in self._ends if end_s > self.now_s]
            self._turn.notify_all()


def busiest_minute(moments: list[float]) -> int:
    """Most moments in any closed window of 60 s."""
    moments = sorted(moments)
    return max(bisect_right(moments, start + WINDOW_S) - index for index, start in enumerate(moments))


def acquire_times(limiter: Limiter, clock: OneThreadClock, count: int) -> list[float]:
    moments = []
    for _ in range(count):
        limiter.acquire()
        moments.append(clock.now_s)
    return moments


@settings(max_examples=60, deadline=None)
@given(
    requests_per_minute=st.integers(1, 700),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("acquire"), st.integers(1, 60)),
            st.tuples(st.just("idle"), st.floats(0.001, 200.0)),
            st.tuples(st.just("slow_down"), st.one_of(st.none(), st.floats(0.0, 400.0))),
        ),
        max_size=30,
    ),
)
def test_no_minute_has_more_calls_than_the_budget(
    requests_per_minute: int, steps: list[tuple[str, float | None]]
) -> None:
    clock = OneThreadClock()
    limiter = Limiter(requests_per_minute, clock)
    moments = acquire_times(limiter, clock, requests_per_minute + 2)
    for step, value in steps:
        match step:
            case "acquire":
                moments += acquire_times(limiter, clock, int(value or 0))
            case "idle":
                clock.sleep(value or 0.001)
            case _:
                limiter.slow_down(value)
    assert busiest_minute(moments) <= requests_per_minute


@pytest.mark.parametrize("requests_per_minute", [1, 2, 9, 10, 60, 450, 500])
def test_the_budget_is_used_and_not_passed(requests_per_minute: int) -> None:
    clock = OneThreadClock()
    moments = acquire_times(Limiter(requests_per_minute, clock), clock, 3 * requests_per_minute + 1)
    assert 0.95 * requests_per_minute - 1 < busiest_minute(moments) <= requests_per_minute


@pytest.mark.parametrize("slow_downs", [(), (2.0,), (None, 30.0)])
def test_threads_share_one_budget(slow_downs: tuple[float | None, ...]) -> None:
    clock = SharedClock(thread_count=6)
    limiter = Limiter(50, clock)
    moments: list[float] = []

    def work(number: int) -> None:
        try:
            for call in range(40):
                limiter.acquire()
                moments.append(clock.now_s)
                if number == 0 and call in {5, 20}:
                    for retry_after_s in slow_downs:
                        limiter.slow_down(retry_after_s)
        finally:
            clock.leave()

    run_threads([lambda number=number: work(number) for number in range(6)])  # type: ignore[misc]
    assert len(moments) == 240
    assert busiest_minute(moments) <= 50


def run_threads(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(
    ("retry_after_s", "pause_s"), [(7.0, 7.0), (None, WINDOW_S), (9_999.0, LONGEST_PAUSE_S), (-5.0, 0.0)]
)
def test_no_call_begins_before_the_pause_is_over(retry_after_s: float | None, pause_s: float) -> None:
    clock = OneThreadClock()
    limiter = Limiter(450, clock)
    limiter.acquire()
    before_s = clock.now_s
    limiter.slow_down(retry_after_s)
    limiter.acquire()
    assert pause_s <= clock.now_s - before_s <= pause_s + 1


def test_a_shorter_pause_does_not_cut_a_longer_one() -> None:
    clock = OneThreadClock()
    limiter = Limiter(450, clock)
    before_s = clock.now_s
    limiter.slow_down(100.0)
    limiter.slow_down(1.0)
    limiter.acquire()
    assert clock.now_s - before_s >= 100.0


def rate_per_minute(limiter: Limiter, clock: OneThreadClock, count: int = 4) -> float:
    first, *_, last = acquire_times(limiter, clock, count)
    return WINDOW_S * (count - 1) / (last - first)


def test_the_rate_is_halved_after_a_pause_and_recovers() -> None:
    clock = OneThreadClock()
    limiter = Limiter(450, clock)
    limiter.slow_down(5.0)
    assert 200 < rate_per_minute(limiter, clock) < 240
    acquire_times(limiter, clock, 60)
    assert rate_per_minute(limiter, clock) > 430


def test_answers_that_come_together_halve_once() -> None:
    clock = OneThreadClock()
    limiter = Limiter(450, clock)
    for _ in range(4):
        limiter.slow_down(5.0)
    assert 200 < rate_per_minute(limiter, clock) < 240


def test_slowing_down_has_an_end() -> None:
    clock = OneThreadClock()
    limiter = Limiter(450, clock)
    for _ in range(40):
        limiter.slow_down(1.0)
        clock.sleep(2.0)
    assert rate_per_minute(limiter, clock) > 10


def test_stop_ends_a_wait_early_and_raises_nothing() -> None:
    stop = threading.Event()
    limiter = Limiter(1, SystemClock(), stop)
    limiter.acquire()
    waiting = threading.Thread(target=limiter.acquire)
    waiting.start()
    waiting.join(timeout=0.05)
    assert waiting.is_alive()
    stop.set()
    waiting.join(timeout=5)
    assert not waiting.is_alive()


def test_after_stop_nothing_waits() -> None:
    stop = threading.Event()
    stop.set()
    clock = OneThreadClock()
    limiter = Limiter(1, clock, stop)
    before_s = clock.now_s
    limiter.acquire()
    limiter.acquire()
    assert clock.now_s == before_s


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limiter(0, OneThreadClock())
