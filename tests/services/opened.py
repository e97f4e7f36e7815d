"""Services as settings open them, with a transport in place of sockets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from typing import Any

import httpx

from target_amplemarket.clock import Clock
from target_amplemarket.config import Settings, read_settings
from target_amplemarket.services import open_service
from target_amplemarket.services.calls import Surroundings
from target_amplemarket.services.protocol import Service

KEY = "amp_canary_0123456789"
Handler = Callable[[httpx.Request], httpx.Response]


class RecordedClock:
    """Keeps how long it was asked to wait, and waits not at all."""

    def __init__(self) -> None:
        self.pauses_s: list[float] = []

    def monotonic_s(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return datetime(2026, 6, 3, 22, 15, tzinfo=UTC)

    def sleep(self, duration_s: float, wake: Event | None = None) -> None:
        self.pauses_s.append(duration_s)


def settings_of(service: str, **changed: Any) -> Settings:
    """Settings with a canary for a key, and what else the service requires."""
    given = {"service": service, "base_url": "https://api.example", "owner": "dana@acme-robotics.example", **changed}
    named = [name for name in ("api_key", "api_key_file", "api_key_command") if given.get(name)]
    return read_settings(given if named else {"api_key": KEY, **given})


def surroundings(answer: Handler | None = None, clock: Clock | None = None, **others: Any) -> Surroundings:
    """No budget; answers from `answer`, or from sockets without one."""
    if answer is not None:
        others["transport"] = lambda: httpx.MockTransport(answer)
    return Surroundings(clock or RecordedClock(), **{"pace": lambda: None, **others})


def opened(service: str, given: Surroundings, **changed: Any) -> Service:
    """The service under settings that differ from the usual ones in `changed`."""
    return open_service(settings_of(service, **changed), given)
