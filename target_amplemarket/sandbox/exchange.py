"""One call of any API: what was asked, what is answered, and what is committed in between."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from target_amplemarket.sandbox.faults import Fault


@dataclass(frozen=True)
class Ask:
    """A request that may be answered: authorized, within the limit, its body read."""

    number: int
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    fault: Fault | None = None


@dataclass(frozen=True)
class Answer:
    """A status, a body as bytes, and further headers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str | None = None  # the switch's, unless another is needed


@dataclass(frozen=True)
class Committed:
    """What a commit leaves: the answer, and the list it touched, if it was one.

    `is_done` is False where there was nothing left to commit to once the time had come.
    """

    answer: Answer
    list_id: str | None = None
    is_done: bool = True


@dataclass(frozen=True)
class Pending:
    """A request that passed every check; `commit`, given the time, makes it so.

    `part`, given a share from 0 to 1, is the same request with only the first leads of it, where it can be parted.
    """

    commit: Callable[[float], Committed]
    part: Callable[[float], Pending] | None = None


def json_answer(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, msgspec.json.encode(document), headers or {})


def retry_after(form: str, wait_s: float, now_s: float) -> dict[str, str]:
    """The Retry-After header as whole seconds, as a date, or not at all."""
    match form:
        case "none":
            return {}
        case "seconds":
            return {"Retry-After": str(math.ceil(wait_s))}
        case _:
            return {"Retry-After": formatdate(math.ceil(now_s + wait_s), usegmt=True)}


def timestamp_ms(moment_s: float) -> str:
    """ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
