"""One budget of calls for the whole run, shared by everything that talks to the API."""

from __future__ import annotations

import threading

from target_amplemarket.clock import Clock

WINDOW_S = 60.0
BURST_CALLS = 5
LONGEST_PAUSE_S = 300.0
SLOWEST_FACTOR = 32.0
RECOVERY_PER_CALL = 0.98  # about 35 calls from half the rate back to all of it
_SAFETY = 1.01  # what rounding could take from an interval, many times over
_SHORTEST_WAIT_S = 0.001


class Limiter:
    """Token bucket that lets no more than `requests_per_minute` calls begin in any 60 seconds; thread-safe.

    A bucket of b calls that refills one every t seconds lets through at most b + 60/t calls in some minute, so t is
    chosen for that sum, not for 60/t alone: at 450 calls a minute it is 0.136 s, and 441 a minute go through steadily.

    Args:
        requests_per_minute: At least 1.
        clock: All waiting is done by it.
        stop: Once set, every wait ends at once and no further one begins: `acquire` returns without a call being
            granted and raises nothing, so whoever is about to make a call looks at the event after it.

    Raises:
        ValueError: `requests_per_minute` is below 1.
    """

    def __init__(self, requests_per_minute: int, clock: Clock, stop: threading.Event | None = None) -> None:
        if requests_per_minute < 1:
            raise ValueError("requests_per_minute is at least 1")
        self._clock = clock
        self._stop = stop or threading.Event()
        self._burst = max(1, min(BURST_CALLS, requests_per_minute // 10))
        self._interval_s = _SAFETY * WINDOW_S / (requests_per_minute - self._burst + 1)
        self._slowness = 1.0
        self._lock = threading.Lock()
        self._calls = float(self._burst)
        self._filled_at_s = clock.monotonic_s()
        self._not_before_s = self._filled_at_s

    def acquire(self) -> None:
        """Block until one more call fits the budget and take it, or until `stop` is set. Serves as a `Pace`."""
        while not self._stop.is_set():
            wait_s = self._take()
            if wait_s is None:
                return
            self._clock.sleep(wait_s, self._stop)

    def slow_down(self, retry_after_s: float | None) -> None:
        """Let no call begin for `retry_after_s`, then go on at half the rate and recover with every call.

        Several calls in flight are often told at once, so while a pause lasts another one may lengthen it but does not
        halve again.

        Args:
            retry_after_s: What the API asks for, at most 300; None where it does not say: a minute, the API's own unit.
        """
        with self._lock:
            now_s = self._clock.monotonic_s()
            pause_s = WINDOW_S if retry_after_s is None else min(max(retry_after_s, 0.0), LONGEST_PAUSE_S)
            if now_s >= self._not_before_s:
                self._slowness = min(self._slowness * 2, SLOWEST_FACTOR)
            self._not_before_s = max(self._not_before_s, now_s + pause_s)
            self._calls = 0.0
            self._filled_at_s = self._not_before_s

    def _take(self) -> float | None:
        """Take a call and return None, or return the seconds until there may be one."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            interval_s = self._interval_s * self._slowness
            if now_s > self._filled_at_s:
                self._calls = min(self._burst, self._calls + (now_s - self._filled_at_s) / interval_s)
                self._filled_at_s = now_s
            if self._calls < 1.0:
                wait_s = self._filled_at_s - now_s + (1.0 - self._calls) * interval_s
                return max(wait_s, _SHORTEST_WAIT_S)
            self._calls -= 1.0
            self._slowness = max(1.0, self._slowness * RECOVERY_PER_CALL)
            return None
