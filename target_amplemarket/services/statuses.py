"""What the status of an answer to a write says, whichever API it is: HTTP's own words.

That a 429 comes before any effect is *not documented* by either API; it is taken for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from target_amplemarket.services.protocol import NotSent, RefusalKind, Unknown
from target_amplemarket.services.replies import Answer

KIND_OF_STATUS: Final[Mapping[int, RefusalKind]] = {
    401: RefusalKind.CREDENTIALS,
    402: RefusalKind.CREDITS,
    403: RefusalKind.CREDENTIALS,
    409: RefusalKind.TOO_LARGE,
    413: RefusalKind.TOO_LARGE,
}
"""Refusals that no lead can be the reason of; every other status below 500 is about the content or the address."""


def without_verdict(answer: Answer) -> NotSent | Unknown | None:
    """What an answer means that neither accepts nor refuses; None for one that does."""
    status = answer.http_status
    if status == 429:
        return NotSent("rate_limited", answer.retry_after_s, status)
    if status == 408:
        return Unknown("timed_out", status)
    return None if 200 <= status < 500 else Unknown("server_fault", status)
