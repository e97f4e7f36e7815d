"""One client per outreach API behind one small protocol."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from target_amplemarket.clock import Clock
from target_amplemarket.config import Settings
from target_amplemarket.services.amplemarket import BASE_URL, Amplemarket
from target_amplemarket.services.protocol import Pace, Service

Opener = Callable[[Settings, Clock, Pace, Callable[[float | None], None], threading.Event], Service]


def _open_amplemarket(
    settings: Settings, clock: Clock, pace: Pace, slow_down: Callable[[float | None], None], stop: threading.Event
) -> Service:
    return Amplemarket(
        api_key=settings.api_key,
        clock=clock,
        pace=pace,
        base_url=settings.base_url or BASE_URL,
        request_timeout_s=settings.request_timeout_seconds,
        slow_down=slow_down,
        stop=stop,
        proxy=settings.proxy,
    )


SERVICES: Final[Mapping[str, Opener]] = {"amplemarket": _open_amplemarket}
"""Every API by the name that the setting `service` gives it."""
