"""Runs, kills, stops, lost answers and failing listings in any order: nobody is sent twice, nobody is lost."""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from target_amplemarket.config import Settings, read_settings
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import ApiUnreachable, ListsHeld, RefusedByApi, Stopped
from target_amplemarket.results.reader import read_results
from target_amplemarket.results.recovery import Verdict
from target_amplemarket.results.summary import RunSummary
from target_amplemarket.runner import Input, execute, resolve_list, settle_outbox
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    Account,
    CannotAsk,
    Confirmation,
    Exclusions,
    Found,
    LeadRefusal,
    ListRequest,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)
from target_amplemarket.singer.lines import read_lines
from target_amplemarket.singer.messages import read_messages
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.storage.durable import Folder
from tests.harness import VirtualClock, as_bytes, record, schema, state

SETTLE_S = 180
LAG_S = 60.0
LATE_S = (60.0, 200.0)  # with the lag not later than the second look
OWNER = "dana@northwind.example"
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # the folders below it have random names
ANSWERS = ("ok", "lost_committed", "lost", "late", "very_late", "limited", "refuse_one", "refuse_all", "no_credits")
IN_PARTS = (["refuse_one", "lost"], ["refuse_one", "lost_committed"], ["refuse_all", "lost", "late"])
PLANS = st.lists(st.sampled_from(("ok", "ok", *ANSWERS)), min_size=1, max_size=4) | st.sampled_from(IN_PARTS)
COLUMNS = ["run_id", "record_no", "record_key", "status", "reason"]
LISTINGS = st.sampled_from(("up", "stale", "down"))


class Killed(BaseException):
    """The process dies here."""


class SharedClock(VirtualClock):
    """Time that several threads move."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        with self._lock:
            super().sleep(duration_s, wake)


@dataclass(frozen=True)
class Committed:
    """A list in the account, from some moment on."""

    name: str
    people: tuple[int, ...]
    at_s: float


@dataclass
class Server:
    """Implements `Service`: a commit log, and answers that follow a plan whatever the order in which lists come."""

    clock: SharedClock
    folder: Path
    name: str = "scripted"
    max_leads_per_list: int = 10_000
    requests: Counter[str] = field(default_factory=Counter)
    log: list[Committed] = field(default_factory=list)
    listing: str = "up"
    plan: list[str] = field(default_factory=lambda: ["ok"])
    sends: Counter[int] = field(default_factory=Counter)
    kill_at: int | None = None
    kill_commits: bool = False
    is_dead: bool = False
    snapshot: Path | None = None
    lock: Any = field(default_factory=threading.Lock)

    def account(self) -> Account:
        return Account("account", None)

    def owners(self) -> frozenset[str]:
        return frozenset({OWNER})

    def exclusions(self) -> Exclusions:
        nobody = pa.array([], pa.string())
        return Exclusions(nobody, nobody)

    def close(self) -> None:
        pass

    def encode(self, request: ListRequest, leads: pa.Table) -> bytes:
        people = [person_of(mail) for mail in leads.column("email").to_pylist()]
        return msgspec.json.encode({"name": request.name, "people": people})

    def send(self, body: bytes) -> Outcome:
        with self.lock:
            return self._send(**msgspec.json.decode(body))

    def confirm(self, marker: str) -> Confirmation:
        with self.lock:
            if self.listing == "down":
                return CannotAsk("server_fault", 503)
            seen_at_s = self.clock.monotonic_s() - (LAG_S if self.listing == "stale" else 0.0)
            found = [n for n, c in enumerate(self.log) if f"[{marker}]" in c.name and c.at_s <= seen_at_s]
        return Found(tuple(f"list-{n}" for n in found), (None,) * len(found)) if found else Absent()

    def _send(self, name: str, people: list[int]) -> Outcome:
        if self.kill_at is not None and (self.is_dead or sum(self.sends.values()) >= self.kill_at):
            self._die(name, people)
        answer = self.plan[(people[0] + self.sends[people[0]]) % len(self.plan)]
        self.sends[people[0]] += 1
        match answer:
            case "ok":
                return Accepted(self._commit(name, people), None, 202)
            case "lost_committed":
                self._commit(name, people)
            case "late" | "very_late":
                self._commit(name, people, LATE_S[answer == "very_late"])
            case "limited" if self.sends[people[0]] < 8:
                return NotSent("rate_limited", 1.0, 429)
            case "refuse_one":
                refusal = LeadRefusal(0, "invalid_email", "/leads/0/email", "email")
                return Refused(RefusalKind.LEADS, 422, "invalid_email", "/leads/0/email", (refusal,))
            case "refuse_all":
                return Refused(RefusalKind.REQUEST, 400)
            case "no_credits":
                return Refused(RefusalKind.CREDITS, 402)
            case _:
                pass
        return Unknown("connection_lost")

    def _commit(self, name: str, people: list[int], late_s: float = 0.0) -> str:
        self.log.append(Committed(name, tuple(people), self.clock.monotonic_s() + late_s))
        return f"list-{len(self.log) - 1}"

    def _die(self, name: str, people: list[int]) -> None:
        if not self.is_dead:
            self.is_dead = True
            if self.kill_commits:
                self._commit(name, people, LATE_S[0])
            self.snapshot = copy_of(self.folder)
        raise Killed


def person_of(mail: str) -> int:
    return int(mail.removeprefix("person").partition("@")[0])


def copy_of(folder: Path) -> Path:
    """What a kill leaves: intents are copied before rows, as they are written before and removed after these."""
    copy = Path(tempfile.mkdtemp(dir=IN_MEMORY))
    for part in ("key", "outbox", "results", "state", "runs"):
        for file in [folder / part] if part == "key" else sorted((folder / part).rglob("*")):
            try:
                content = file.read_bytes()
            except (FileNotFoundError, IsADirectoryError):
                continue
            target = copy / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return copy


class Protocol(RuleBasedStateMachine):
    """A tap with a bookmark, a target with a results folder, a server that may do anything within its bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=IN_MEMORY))
        self.clock = SharedClock()
        self.folder = self.home / "results"
        self.server = Server(self.clock, self.folder)
        self.person_count = 0
        self.bookmark = 0
        self.seen_files: list[tuple[str, int]] = []
        self.seen_rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}

    def teardown(self) -> None:
        try:
            self.heal()
        finally:
            shutil.rmtree(self.home)

    @initialize(size=st.integers(1, 4), most=st.integers(1, 3))
    def choose(self, size: int, most: int) -> None:
        self.settings: Settings = read_settings(
            {
                "api_key": "key",
                "owner": OWNER,
                "results_path": str(self.folder),
                "settle_seconds": SETTLE_S,
                "batch_size_rows": size,
                "max_in_flight": most,
                "requests_per_minute": 100_000,
            }
        )

    # --- What may happen ----------------------------------------------------------------------------------------------

    @rule(new=st.integers(0, 6), plan=PLANS, listing=LISTINGS, from_start=st.booleans())
    def run_to_the_end(self, new: int, plan: list[str], listing: str, from_start: bool) -> None:
        self._run(new, plan, listing, from_start=from_start)

    @rule(new=st.integers(2, 6), plan=PLANS, listing=LISTINGS, after=st.integers(0, 8))
    def run_and_stop(self, new: int, plan: list[str], listing: str, after: int) -> None:
        self._run(new, plan, listing, stop_after=after)

    @rule(
        new=st.integers(1, 6), plan=PLANS, listing=LISTINGS, at=st.integers(0, 4), commits=st.booleans(),
        from_start=st.booleans(),
    )  # fmt: skip
    def run_and_kill(self, new: int, plan: list[str], listing: str, at: int, commits: bool, from_start: bool) -> None:
        self.server.kill_at, self.server.kill_commits = at, commits
        try:
            self._run(new, plan, listing, from_start=from_start)
        finally:
            for thread in threading.enumerate():
                if thread.name.startswith("delivery"):
                    thread.join()  # a process that is killed takes its threads along
            self.server.kill_at, self.server.is_dead = None, False
        if self.server.snapshot is not None:
            shutil.rmtree(self.folder)
            shutil.move(self.server.snapshot, self.folder)
            self.server.snapshot = None

    @rule(chosen=st.integers(0, 9))
    def resolve(self, chosen: int) -> None:
        """Somebody looks into the account for one of the lists, when whatever comes late has come."""
        in_order = sorted(self._open_lists().items(), key=lambda entry: sorted(entry[1]))
        if not in_order:
            return
        marker, _ = in_order[chosen % len(in_order)]
        self.clock.sleep(LATE_S[1])
        is_there = any(f"[{marker}]" in committed.name for committed in self.server.log)
        resolve_list(self.settings, marker, Verdict.SENT if is_there else Verdict.ABSENT, clock=self.clock)
        assert marker not in self._open_lists()

    @rule(listing=LISTINGS)
    def reconcile(self, listing: str) -> None:
        self.server.listing = listing
        recovered = settle_outbox(self.settings, clock=self.clock, service=self.server)
        assert listing == "down" or not any(each.verdict is Verdict.HELD for each in recovered)

    def heal(self) -> None:
        """One run over everything with a server that does what it should."""
        if not hasattr(self, "settings"):
            return
        self._run(1, ["ok"], "up", from_start=True)
        assert self.bookmark == self.person_count
        assert self._sent() == Counter(range(1, self.person_count + 1)), "everybody exactly once"
        assert not self._open_lists()
        self.books_are_closed()
        self.the_ledger_agrees_with_the_log()

    # --- What holds after each step -----------------------------------------------------------------------------------

    @invariant()
    def nobody_is_sent_twice(self) -> None:
        assert [person for person, times in self._sent().items() if times > 1] == []

    @invariant()
    def books_are_closed(self) -> None:
        """A record has at most one row in each run that read it."""
        rows = self._rows()
        seen = Counter(zip(rows["run_id"], rows["record_no"], strict=True))
        assert [key for key, times in seen.items() if times > 1] == []

    @invariant()
    def the_ledger_agrees_with_the_log(self) -> None:
        """Who is accepted was sent, and who was sent is accepted or an open question."""
        accepted, in_question = self._people("accepted"), set().union(*self._open_lists().values())
        assert accepted <= set(self._sent())
        assert set(self._sent()) <= accepted | in_question

    @invariant()
    def state_is_not_ahead(self) -> None:
        """Whoever the bookmark has passed is sent and known to be, or refused."""
        ended = self._people("accepted") | self._people("rejected", "refused_by_api")
        assert set(range(1, self.bookmark + 1)) <= ended

    # --- Doing and looking --------------------------------------------------------------------------------------------

    def _run(
        self, new: int, plan: list[str], listing: str, *, from_start: bool = False, stop_after: int | None = None
    ) -> None:
        self.clock.sleep(1.0)  # run ids sort by time
        self.person_count += new
        self.server.plan, self.server.listing = plan, listing
        self.server.sends.clear()
        first = 1 if from_start else self.bookmark + 1
        messages = [schema("contacts", "email")]
        for person in range(first, self.person_count + 1):
            messages.append(record("contacts", id=person, email=f"person{person}@acme.example"))
            if person % 2 == 0 or person == self.person_count:
                messages.append(state({"at": person}))
        summaries: list[RunSummary] = []

        def read(stop: StopRequest) -> Iterator[Any]:
            lines = read_lines(io.BytesIO(as_bytes(messages)), stop, idle_s=0.01)
            for number, message in enumerate(read_messages(lines, Counter())):
                if number == stop_after:
                    stop.request(15)
                    return
                yield message

        def emit(value: bytes) -> None:
            if not self.server.is_dead:
                self.bookmark = msgspec.json.decode(value)["at"]

        error: BaseException | None = None
        try:
            execute(self.settings, Input(read, emit), report=summaries.append, clock=self.clock, service=self.server)
        except (ApiUnreachable, ListsHeld, RefusedByApi, Stopped, Killed) as stopped:
            error = stopped
        if not self.server.is_dead:
            self._check_run(summaries[0], error)

    def _check_run(self, summary: RunSummary, error: BaseException | None) -> None:
        assert "times" not in str(error), "no alarm: nobody is there twice"
        rows = self._rows()
        numbers = [n for run_id, n in zip(rows["run_id"], rows["record_no"], strict=True) if run_id == summary.run_id]
        assert len(numbers) == summary.rows
        if error is None:
            assert sorted(numbers) == list(range(1, summary.records + 1)), "rows and records meet"
            assert "held" not in summary.statuses

    def _rows(self) -> dict[str, list[Any]]:
        files = [(str(f), f.stat().st_mtime_ns) for f in sorted((self.folder / "results").rglob("*.arrow"))]
        if files != self.seen_files:
            self.seen_rows = read_results(self.folder, columns=COLUMNS).to_pydict()
            self.seen_files = files
        return self.seen_rows

    def _people(self, status: str, reason: str | None = None) -> set[int]:
        rows = self._rows()
        keys = zip(rows["record_key"], rows["status"], rows["reason"], strict=True)
        return {msgspec.json.decode(key)["id"] for key, s, r in keys if s == status and reason in {None, r}}

    def _sent(self) -> Counter[int]:
        return Counter(person for committed in self.server.log for person in committed.people)

    def _open_lists(self) -> dict[str, set[int]]:
        if not self.folder.is_dir():
            return {}
        entries = Outbox(Folder(self.folder), "").entries()
        return {e.intent.marker: {person_of(mail) for mail in e.leads["email"].to_pylist()} for e in entries}


TestProtocol = pytest.mark.filterwarnings("error")(Protocol.TestCase)
TestProtocol = pytest.mark.step("D5", "D7", "D8", "R3", "R4")(TestProtocol)
TestProtocol.settings = hypothesis_settings(max_examples=60, stateful_step_count=12, deadline=None)
