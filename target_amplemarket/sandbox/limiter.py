"""The rate limit: so many requests a minute."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_S = 60.0


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass, how many more may, and when the next place is free."""

    is_allowed: bool
    remaining: int
    wait_s: float


class RateLimiter:
    """Counts the requests that passed, for each consumer. Refused ones do not count."""

    def __init__(self) -> None:
        self._passed: dict[str, deque[float]] = {}

    def ask(self, consumer: str, now_s: float, limit: int, *, is_fixed: bool) -> Verdict:
        """Whether this consumer may make a request now; counts it if so.

        Args:
            consumer: Who shares a limit.
            now_s: Seconds since 1970.
            limit: Requests a minute; 0 for any number.
            is_fixed: Whether minutes begin with the clock's, instead of sliding along.
        """
        if limit == 0:
            return Verdict(is_allowed=True, remaining=0, wait_s=0.0)
        passed = self._passed.setdefault(consumer, deque())
        start_s = now_s // WINDOW_S * WINDOW_S if is_fixed else now_s - WINDOW_S
        while passed and (passed[0] < start_s or (not is_fixed and passed[0] == start_s)):
            passed.popleft()
        is_allowed = len(passed) < limit
        if is_allowed:
            passed.append(now_s)
        until_s = (start_s if is_fixed else passed[0]) + WINDOW_S
        return Verdict(is_allowed, max(0, limit - len(passed)), max(0.0, until_s - now_s))
