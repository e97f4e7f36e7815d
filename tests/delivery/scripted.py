"""A service that answers from a script, a clock on which nobody waits, and folders that say what was written."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path

import msgspec
import pyarrow as pa

from target_amplemarket.clock import Clock
from target_amplemarket.delivery.deliver import Sender
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.tables import LEADS
from target_amplemarket.lists.lead_list import GroupKey, LeadList
from target_amplemarket.services.protocol import (
    Accepted,
    Account,
    CannotAsk,
    Exclusions,
    LeadRefusal,
    ListRequest,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
)
from target_amplemarket.storage.durable import Folder

CANARY = "canary"
"""In every value of every lead; it may stand in files of the results folder and in requests, nowhere else."""

RUN_ID = "20260105T091500000000Z-1f2e3d"
LATE = Refused(RefusalKind.REQUEST, 422, "unrecognised")


def make_leads(lead_count: int, first_record_no: int = 1) -> pa.Table:
    """Leads of made-up people, numbered from `first_record_no`; each value holds the canary."""
    numbers = range(first_record_no, first_record_no + lead_count)
    prints = pa.array([number.to_bytes(16, "big") for number in numbers], pa.binary(16))
    texts = {
        "record_key": '{{"id":"canary-{}"}}',
        "owner": "canary-owner-{}@seller.example",
        "linkedin_url": "https://www.linkedin.com/in/canary-{}",
        "email": "canary-{}@buyer.example",
        "title": "canary engineer {}",
        "company_name": "canary works {}",
        "company_domain": "canary-{}.example",
        "extra": '{{"phone":"canary-{}"}}',
        "record": '{{"id":"canary-{}","note":"canary"}}',
    }
    columns = {name: pa.array([text.format(n) for n in numbers], pa.string()) for name, text in texts.items()}
    columns |= {"record_no": pa.array(numbers, pa.int64()), "list_type": pa.array(["linkedin"] * lead_count)}
    columns |= {field.name: prints for field in LEADS if field.name.endswith("_fingerprint")}
    columns["title_company_fingerprint"] = pa.nulls(lead_count, pa.binary(16))
    return pa.table([columns.get(f.name, pa.nulls(lead_count, f.type)) for f in LEADS], schema=LEADS)


def make_list(lead_count: int, *, number: int = 1, marker: str = "AAAAAAAAAAAA", first_record_no: int = 1) -> LeadList:
    return LeadList(
        number=number,
        part=1,
        marker=marker,
        base_name="contacts 2026-01-05",
        key=GroupKey("contacts", "canary-owner@seller.example", "linkedin"),
        leads=make_leads(lead_count, first_record_no),
    )


def record_numbers(leads: pa.Table) -> list[int]:
    numbers: list[int] = leads.column("record_no").to_pylist()
    return numbers


class VirtualClock:
    """Sleeping takes no time and moves the clock; `sleeps` keeps how long was asked for."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[float], None] = lambda _: None
        self._lock = threading.Lock()

    def monotonic_s(self) -> float:
        return self.now_s

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 9, 15, tzinfo=UTC)

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        with self._lock:
            self.sleeps.append(duration_s)
            if wake is None or not wake.is_set():
                self.now_s += duration_s
        self.on_sleep(duration_s)


class MemoryFolder(Folder):
    """A results folder in a dict. The write numbered `fails_at` (from 1) fails, and so do those after it."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.path = Path("/results-in-memory")
        self.files: dict[str, bytes] = {}
        self.write_count = 0
        self.fails_at = fails_at

    def write(self, name: str, content: bytes | memoryview) -> None:
        self.write_count += 1
        if self.fails_at is not None and self.write_count >= self.fails_at:
            raise StorageError(f"{self.path / name} cannot be written: No space left on device")
        self.files[name] = bytes(content)

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def names(self, pattern: str) -> list[str]:
        return sorted(name for name in list(self.files) if fnmatchcase(name, pattern))

    def remove(self, name: str) -> None:
        self.files.pop(name, None)


class WatchedFolder(Folder):
    """A real results folder that knows which writes have returned, and so are durable."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.durable: dict[str, str] = {}

    def write(self, name: str, content: bytes | memoryview) -> None:
        super().write(name, content)
        self.durable[name] = hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Call:
    """A request as the server saw it."""

    number: int
    name: str
    marker: str
    leads: tuple[int, ...]  # record numbers, in request order


@dataclass
class ScriptedService:
    """Implements `Service`; checks at every send that the outbox holds exactly what is being sent."""

    folder: Folder
    answer: Callable[[Call], Outcome]
    name: str = "scripted"
    max_leads_per_list: int = 10_000
    max_leads_per_call: int = 10_000
    adds_to_lists: bool = False
    has_owners: bool = True
    has_exclusions: bool = True
    calls: list[Call] = field(default_factory=list)
    committed: list[Call] = field(default_factory=list)
    requests: Mapping[str, int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)

    def account(self) -> Account:
        return Account("account", None)

    def owners(self) -> frozenset[str]:
        return frozenset()

    def exclusions(self) -> Exclusions:
        nobody = pa.array([], pa.string())
        return Exclusions(nobody, nobody)

    def confirm(self, marker: str) -> CannotAsk:
        return CannotAsk("scripted")

    def close(self) -> None:
        pass

    def encode(self, request: ListRequest, leads: pa.Table) -> bytes:
        return msgspec.json.encode({"name": request.name, "leads": record_numbers(leads)})

    def send(self, body: bytes) -> Outcome:
        document = msgspec.json.decode(body)
        marker = document["name"][-13:-1]
        with self._lock:
            call = Call(next(self._numbers), document["name"], marker, tuple(document["leads"]))
            self.calls.append(call)
        self._check_outbox(call, body)
        outcome = self.answer(call)
        if isinstance(outcome, Accepted):
            self.commit(call)
        return outcome

    def commit(self, call: Call) -> None:
        """Put the list into the account, whatever the answer says."""
        with self._lock:
            self.committed.append(call)

    def _check_outbox(self, call: Call, body: bytes) -> None:
        names = self.folder.names(f"outbox/*-{call.marker}.arrow")
        assert len(names) == 1, "a request left without an intent in the outbox"
        content = self.folder.read(names[0])
        assert content is not None
        if isinstance(self.folder, WatchedFolder):
            assert self.folder.durable[names[0]] == hashlib.sha256(content).hexdigest()
        written = pa.ipc.open_file(content).read_all()  # read as any other program would
        assert tuple(record_numbers(written)) == call.leads
        intent = msgspec.json.decode(written.schema.metadata[b"target_amplemarket"])
        assert intent["name"] == call.name
        assert intent["body_sha256"] == hashlib.sha256(body).hexdigest()


def accept(call: Call) -> Accepted:
    return Accepted(f"list-{call.number}", f"https://app.seller.example/lists/{call.number}", 202)


def refuse_leads(*positions: int, code: str = "invalid_email") -> Refused:
    leads = tuple(LeadRefusal(p, code, f"/leads/{p}/email", "email") for p in positions)
    return Refused(RefusalKind.LEADS, 422, code, f"/leads/{positions[0]}/email" if positions else None, leads)


def in_turn(outcomes: Iterable[Outcome | Callable[[Call], Outcome]]) -> Callable[[Call], Outcome]:
    """Answer with one after the other, then accept."""
    rest: Iterator[Outcome | Callable[[Call], Outcome]] = iter(outcomes)

    def answer(call: Call) -> Outcome:
        outcome = next(rest, accept)
        return outcome(call) if callable(outcome) else outcome

    return answer


def refuse_while_holding(bad: Iterable[int], refusal: Refused = LATE) -> Callable[[Call], Outcome]:
    """Refuse, without naming a lead, every request that holds one of these record numbers."""
    at_fault = frozenset(bad)
    return lambda call: accept(call) if at_fault.isdisjoint(call.leads) else refusal


class WatchedLimiter(Limiter):
    """Knows what it was told."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(450, clock)
        self.told: list[float | None] = []

    def slow_down(self, retry_after_s: float | None) -> None:
        self.told.append(retry_after_s)
        super().slow_down(retry_after_s)


@dataclass
class World:
    """Everything around one delivery."""

    service: ScriptedService
    sender: Sender
    clock: VirtualClock
    limiter: WatchedLimiter
    folder: Folder
    stop: threading.Event


def make_world(folder: Folder, answer: Callable[[Call], Outcome] = accept) -> World:
    clock, stop = VirtualClock(), threading.Event()
    limiter, service = WatchedLimiter(clock), ScriptedService(folder, answer)
    markers, lock = (f"M{number:011d}" for number in count(1)), threading.Lock()

    def make_marker() -> str:
        with lock:
            return next(markers)

    sender = Sender(
        service=service,
        outbox=Outbox(folder, RUN_ID),
        limiter=limiter,
        clock=clock,
        stop=stop,
        request_for=make_request,
        make_marker=make_marker,
    )
    return World(service, sender, clock, limiter, folder, stop)


def make_request(lead_list: LeadList) -> ListRequest:
    return ListRequest(
        name=lead_list.name,
        owner=lead_list.key.owner,
        list_type=lead_list.key.list_type,
        shared=True,
        visible=True,
        enrich=False,
        validate_email=False,
        reveal_phone_numbers=False,
    )


def not_sent(reason: str = "connect_failed") -> NotSent:
    return NotSent(reason)


def rate_limited(retry_after_s: float | None) -> NotSent:
    return NotSent("rate_limited", retry_after_s, 429)
