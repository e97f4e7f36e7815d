"""Time as an effect that is passed in, so that no test sleeps."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the program asks of time."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment, never going back."""
        ...

    def now(self) -> datetime:
        """Wall clock, UTC, for people and file names; never for measuring."""
        ...

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        """Wait, but return early once `wake` is set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        (wake or threading.Event()).wait(max(0.0, duration_s))
