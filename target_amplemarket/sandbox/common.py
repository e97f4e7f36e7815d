"""Switches: how one is declared, and those that mean the same to every API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from target_amplemarket.sandbox.faults import Fault

RetryAfter = Literal["seconds", "date", "none"]


def switch(
    default: Any,
    says: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    check: Callable[[Any], str | None] | None = None,
    is_secret: bool = False,
) -> Any:
    """Declare a switch with its sentence, for the command line and for `switches_from`.

    Args:
        default: What the API's description says; where it is silent, `says` names the choice.
        says: One sentence on what it does.
        at_least: Lower bound of a number.
        at_most: Upper bound of a number.
        check: What is wrong with a value of the right type, if anything.
        is_secret: Whether the page for people hides it.
    """
    metadata = {"help": says, "at_least": at_least, "at_most": at_most, "check": check, "is_secret": is_secret}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class CommonSwitches:
    """How the sandbox answers, whichever API is asked."""

    seed: int = switch(1, "Seed of everything made up: ids, enrichment, chances.")
    body_limit_bytes: int | None = switch(None, "Largest request body; a larger one is answered 413.", at_least=1)

    # Rate limit.
    rate_window: Literal["sliding", "fixed"] = switch("sliding", "How the minute is counted.")
    rate_counts: Literal["key", "account"] = switch("key", "Who shares the limit: one key, or the whole account.")
    rate_limit_retry_after: RetryAfter = switch("seconds", "Form of Retry-After on a 429.")
    rate_limit_headers: bool = switch(False, "Send X-RateLimit-Limit, -Remaining and -Reset.")

    # Delivery.
    media_type: str = switch("application/json", "Content-Type of answers.")
    latency_ms: float = switch(0.0, "Milliseconds that every call waits before it is looked at.", at_least=0)
    latency_jitter_ms: float = switch(0.0, "Up to this many milliseconds more, drawn from the seed.", at_least=0)
    faults: tuple[Fault, ...] = switch((), "Faults on purpose, each as kind[:name=value,...].")
    requests_kept: int = switch(10_000, "How many requests the log remembers.", at_least=1)
