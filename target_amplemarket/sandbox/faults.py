"""Faults on purpose: what can go wrong, for which calls, and how often."""

from __future__ import annotations

import dataclasses
import difflib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_amplemarket.sandbox.api import Endpoint

EVERY, WRITES, CREATES, ADDS = "every call", "writing calls", "calls that create a list", "calls that add to a list"
LISTINGS, READINGS = "calls for the listing", "calls that read a list back"
_ROLES = {
    EVERY: ("create", "add", "write", "listing", "reading", "read"),
    WRITES: ("create", "add", "write"),
    CREATES: ("create",),
    ADDS: ("add",),
    LISTINGS: ("listing",),
    READINGS: ("reading",),
}


@dataclass(frozen=True)
class FaultKind:
    """What a kind of fault does, which calls it strikes when none are named, and the parameters it knows.

    `is_bound` says that it cannot strike any others.
    """

    says: str
    strikes: str
    parameters: Mapping[str, float | str] = dataclasses.field(default_factory=dict)
    is_bound: bool = False


KINDS: dict[str, FaultKind] = {
    # Nothing is committed.
    "rate_limited": FaultKind("429 before the call is looked at", EVERY, {"retry_after": "seconds", "seconds": 1}),
    "server_error": FaultKind("an error status before anything is committed", EVERY, {"status": 500}),
    "redirect": FaultKind("a redirect to the same path on another host", EVERY, {"status": 307}),
    "hang": FaultKind("no answer, nothing committed", EVERY, {"seconds": 3600}),
    "reset_before_reading": FaultKind("connection reset before the body is read", EVERY),
    "reset_mid_body": FaultKind("connection reset after a part of the body", WRITES, {"bytes": 1024}),
    # Committed in part, or not at once.
    "commit_in_part": FaultKind(
        "only the first leads of an addition are committed, then it fails",
        ADDS, {"percent": 50, "then": "error", "status": 500}, is_bound=True,
    ),
    "late_commit": FaultKind(
        "no answer, or an error; the commit comes some seconds later",
        WRITES, {"seconds": 5, "then": "reset", "status": 504},
    ),
    # Committed, but the caller cannot tell.
    "server_error_after_commit": FaultKind("committed, then an error status", WRITES, {"status": 500}),
    "hang_after_commit": FaultKind("committed, then no answer", WRITES, {"seconds": 3600}),
    "reset_after_commit": FaultKind("committed, then the connection is reset", WRITES),
    "close_after_commit": FaultKind("committed, then the connection is closed without an answer", WRITES),
    "truncated_answer": FaultKind("the answer breaks off after some bytes of its body", EVERY, {"bytes": 40}),
    "drip": FaultKind("the answer's body comes a few bytes at a time", EVERY, {"bytes": 16, "seconds": 0.2}),
    "not_json": FaultKind("the right status over a page of HTML", EVERY),
    "without_id": FaultKind("the answer lacks its id", CREATES),
    # The listing, or a list that is read back, errs.
    "stale_listing": FaultKind("lists younger than this stay out of the listing", LISTINGS, {"seconds": 60}, True),
    "listing_error": FaultKind("the listing answers with an error status", LISTINGS, {"status": 503}, True),
    "listing_missing_page": FaultKind(
        "the next link jumps over a page; a listing without pages lacks its second half", LISTINGS, {}, True
    ),
    "listing_same_page": FaultKind("every page is the first one and names a next", LISTINGS, {}, True),
    "listing_renamed": FaultKind("rows carry other names than the lists were given", LISTINGS, {}, True),
    "stale_reading": FaultKind("people added less than this ago stay out of a list", READINGS, {"seconds": 60}, True),
}  # fmt: skip
THEN = ("reset", "hang", "close", "error")
PARAMETERS = ("status", "seconds", "bytes", "percent", "then", "retry_after")
RETRY_AFTER = ("seconds", "date", "none")


@dataclass(frozen=True)
class Fault:
    """One fault: what happens (`kind`), to which calls (`endpoint`), and when.

    Attributes:
        kind: One of `KINDS`.
        endpoint: `METHOD /path/{id}`, `METHOD *` or `*`; empty for the calls the kind is made for.
        times: How often it strikes before it is used up; None for always.
        every: Strike only every Nth matching call.
        skip: Let this many matching calls pass first.
        probability: Chance of striking a matching call, 0 to 1, drawn from the sandbox's seed.
        status: HTTP status of the answer, for kinds that answer with an error.
        seconds: Duration, for kinds that wait.
        bytes: Number of bytes, for kinds that cut.
        percent: Share of the leads that is committed, for `commit_in_part`.
        then: How a call that is committed late or in part ends: `reset`, `hang`, `close`, or `error` with `status`.
        retry_after: Form of the header of `rate_limited`: `seconds`, `date` or `none`.

    Raises:
        ValueError: The kind is unknown, or a parameter is not one the kind knows or is out of bounds.
    """

    kind: str
    endpoint: str = ""
    times: int | None = None
    every: int = 1
    skip: int = 0
    probability: float = 1.0
    status: int | None = None
    seconds: float | None = None
    bytes: int | None = None
    percent: float | None = None
    then: str | None = None
    retry_after: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"fault kind {self.kind!r} is unknown{did_you_mean(self.kind, KINDS)}")
        for name in PARAMETERS:
            if getattr(self, name) is not None and name not in KINDS[self.kind].parameters:
                raise ValueError(f"fault {self.kind!r} has no parameter {name!r}")
        self._check_bounds()

    def check(self, endpoints: Sequence[Endpoint]) -> None:
        """See that the fault can strike one of these at all.

        Raises:
            ValueError: It cannot.
        """
        if any(self.matches(endpoint) for endpoint in endpoints):
            return
        bound = KINDS[self.kind].strikes if KINDS[self.kind].is_bound else EVERY
        known = ", ".join(str(endpoint) for endpoint in endpoints if endpoint.role in _ROLES[bound])
        if bound != EVERY and any(self._names(endpoint) for endpoint in endpoints):
            raise ValueError(f"fault {self.kind!r} strikes no other endpoint than {known}")
        raise ValueError(f"fault {self.kind!r}: no endpoint matches {self.endpoint!r}; there are {known}")

    def _check_bounds(self) -> None:
        claims = {
            "times must be at least 1": self.times is None or self.times >= 1,
            "every must be at least 1": self.every >= 1,
            "skip must not be negative": self.skip >= 0,
            "probability must be between 0 and 1": 0 <= self.probability <= 1,
            "status must be between 300 and 599": self.status is None or 300 <= self.status <= 599,
            "seconds must not be negative": self.seconds is None or self.seconds >= 0,
            "bytes must not be negative": self.bytes is None or self.bytes >= 0,
            "percent must be between 0 and 100": self.percent is None or 0 <= self.percent <= 100,
            f"then must be one of {', '.join(THEN)}": self.then in (None, *THEN),
            f"retry_after must be one of {', '.join(RETRY_AFTER)}": self.retry_after in (None, *RETRY_AFTER),
        }
        for claim, holds in claims.items():
            if not holds:
                raise ValueError(f"fault {self.kind!r}: {claim}")

    def number(self, name: str) -> float:
        """The parameter as given, else the kind's default."""
        given = getattr(self, name)
        return float(KINDS[self.kind].parameters[name] if given is None else given)

    def word(self, name: str) -> str:
        """The parameter as given, else the kind's default."""
        return str(getattr(self, name) or KINDS[self.kind].parameters[name])

    def matches(self, endpoint: Endpoint) -> bool:
        """Whether a call of this endpoint can be struck."""
        kind = KINDS[self.kind]
        is_fit = endpoint.role in _ROLES[kind.strikes]
        return (is_fit or not kind.is_bound) and self._names(endpoint) if self.endpoint else is_fit

    def _names(self, endpoint: Endpoint) -> bool:
        method, _, path = self.endpoint.rpartition(" ")
        return method in ("", "*", endpoint.method) and path in ("*", endpoint.path)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `kind` or `kind:name=value,name=value`, as a command line gives it.

        Raises:
            ValueError: A name is unknown or a value cannot be read.
        """
        kind, _, rest = text.partition(":")
        members: dict[str, Any] = {"kind": kind.strip()}
        for part in filter(None, (part.strip() for part in rest.split(","))):
            name, equals, value = part.partition("=")
            if not equals:
                raise ValueError(f"fault {kind!r}: {part!r} is not name=value")
            members[name.strip()] = value.strip()
        return cls.from_members(members)

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> Fault:
        """Build from a mapping whose values may still be text.

        Raises:
            ValueError: A name is unknown, or a value cannot be read.
        """
        converted: dict[str, Any] = {}
        for name, value in members.items():
            if name not in _READERS:
                raise ValueError(f"fault has no member {name!r}{did_you_mean(name, _READERS)}")
            try:
                converted[name] = None if value is None else _READERS[name](value)
            except (TypeError, ValueError):
                raise ValueError(f"fault member {name!r} cannot be {value!r}") from None
        if "kind" not in converted:
            raise ValueError("fault has no kind")
        return cls(**converted)


_READERS: dict[str, Any] = {
    "kind": str, "endpoint": str, "times": int, "every": int, "skip": int, "probability": float,
    "status": int, "seconds": float, "bytes": int, "percent": float, "then": str, "retry_after": str,
}  # fmt: skip


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when a known name is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class FaultPlan:
    """Counts matching calls and says which fault, if any, strikes a call. At most one does: the first that is due.

    Raises:
        ValueError: A fault can strike none of the endpoints.
    """

    def __init__(self, faults: tuple[Fault, ...], seed: int, endpoints: Sequence[Endpoint]) -> None:
        for fault in faults:
            fault.check(endpoints)
        self._faults = faults
        self._seen = [0] * len(faults)
        self._struck = [0] * len(faults)
        self._chances = [random.Random(f"{seed}:{index}") for index in range(len(faults))]

    @property
    def struck(self) -> list[tuple[Fault, int]]:
        """Every fault, and how often it has struck."""
        return list(zip(self._faults, self._struck, strict=True))

    def strike(self, endpoint: Endpoint) -> Fault | None:
        """The fault that strikes this call; counts the call."""
        for index, fault in enumerate(self._faults):
            if fault.matches(endpoint) and self._is_due(index, fault):
                self._struck[index] += 1
                return fault
        return None

    def _is_due(self, index: int, fault: Fault) -> bool:
        self._seen[index] += 1
        if self._seen[index] <= fault.skip or (fault.times is not None and self._struck[index] >= fault.times):
            return False
        if (self._seen[index] - fault.skip) % fault.every:
            return False
        return fault.probability >= 1 or self._chances[index].random() < fault.probability
