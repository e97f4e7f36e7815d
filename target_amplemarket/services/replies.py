"""What can come of one HTTP call; kept apart from the client, which is slow to import and not every run calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from target_amplemarket.services.protocol import NotSent, Unknown

ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024
LISTING_LIMIT_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A status line arrived; what came after it may be missing."""

    http_status: int
    body: bytes | None = field(default=None, repr=False)  # None: not read whole, `fault` says why
    fault: str | None = None  # stable word: timed_out, connection_lost, unreadable_answer (encoded, too large)
    retry_after_s: float | None = None


Reply = Answer | NotSent | Unknown
