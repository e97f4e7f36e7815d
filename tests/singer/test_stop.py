from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from target_amplemarket.singer.stop import StopRequest


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    made = StopRequest()
    yield made
    made.close()


def is_readable(stop: StopRequest) -> bool:
    return bool(select.select([stop.fileno()], [], [], 0)[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_flag_and_nothing_else(stop: StopRequest, number: signal.Signals) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    with stop.on_signals():
        assert not stop.event.is_set()
        assert not is_readable(stop)
        signal.raise_signal(number)
        assert stop.signal_number == number
        assert stop.event.is_set()
        assert stop.event.wait(60)
        assert is_readable(stop)
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before


def test_the_first_wish_counts_and_the_descriptor_stays_readable(stop: StopRequest) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        stop.request(number)
    assert stop.signal_number == signal.SIGTERM
    assert is_readable(stop)
    assert is_readable(stop)


def test_handlers_come_back_after_a_fault(stop: StopRequest) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), stop.on_signals():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) == before


def test_in_another_thread_signals_are_left_alone(stop: StopRequest) -> None:
    seen = []

    def look() -> None:
        with stop.on_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(5)
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_all_threads_that_wait_are_woken(stop: StopRequest) -> None:
    woken: list[bool] = []
    threads = [threading.Thread(target=lambda: woken.append(stop.event.wait(30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    before_s = time.monotonic()
    stop.request(signal.SIGINT)
    for thread in threads:
        thread.join(30)
    assert woken == [True] * 4
    assert time.monotonic() - before_s < 5


def test_a_wait_without_a_wish_ends_with_its_time(stop: StopRequest) -> None:
    assert not stop.event.wait(0.01)


def in_a_process(code: str) -> int:
    head = "import os, signal\nfrom target_amplemarket.singer.stop import StopRequest\nstop = StopRequest()\n"
    return subprocess.run([sys.executable, "-c", head + code], timeout=30, check=False).returncode


def test_a_second_signal_ends_the_process_at_once() -> None:
    code = "with stop.on_signals():\n    os.kill(os.getpid(), 15)\n    os.kill(os.getpid(), 2)\n    os._exit(0)"
    assert in_a_process(code) == 128 + signal.SIGINT


def test_a_signal_is_taken_while_its_own_thread_holds_the_lock_of_the_event() -> None:
    code = "with stop.on_signals(), stop.event._cond:\n    os.kill(os.getpid(), 15)\n    os._exit(stop.signal_number)"
    assert in_a_process("signal.alarm(10)\n" + code) == signal.SIGTERM  # a process that hangs ends with the alarm


def test_closing_gives_both_descriptors_back() -> None:
    made = StopRequest()
    descriptor = made.fileno()
    made.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
