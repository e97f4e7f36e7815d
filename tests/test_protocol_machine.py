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
from target_amplemarket.delivery.outbox import Outbox, OutboxEntry
from target_amplemarket.errors import ApiUnreachable, ListsHeld, RefusedByApi, Stopped
from target_amplemarket.results.reader import read_results
from target_amplemarket.results.recovery import Verdict
from target_amplemarket.results.summary import RunSummary
from target_amplemarket.runner import Input, execute, resolve_list, settle_outbox
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    Account,
    CannotAsk,
    Confirmation,
    EntryPage,
    Exclusions,
    Found,
    LeadRefusal,
    ListRequest,
    ListState,
    NotSent,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)
from target_amplemarket.singer.lines import read_lines
from target_amplemarket.singer.messages import Expected, read_messages
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.storage.durable import Folder
from tests.harness import VirtualClock, as_bytes, record, schema, state

SETTLE_S = 180
LAG_S = 60.0
LATE_S = (60.0, 200.0)  # with the lag not later than the second look
OWNER = "dana@northwind.example"
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # the folders below it have random names
PEOPLE_PER_CALL = 2
"""Where calls add to lists; fewer than most lists hold."""
ANSWERS = ("ok", "lost_committed", "lost", "late", "very_late", "limited", "refuse_one", "refuse_all", "no_credits")
ADDING_ANSWERS = ("lost_part", "late_part", "lost_empty", "short")
"""What only a call that adds to a list can come to; a call that makes one takes them for `lost`."""
IN_PARTS = (["refuse_one", "lost"], ["refuse_one", "lost_committed"], ["refuse_all", "lost", "late"])
ADDED_IN_PARTS = (["lost_part", "ok"], ["lost_part", "lost_part", "late_part"], ["lost_empty", "short", "ok"])
EITHER = ("ok", "ok", *ANSWERS, *ADDING_ANSWERS)
PLANS = st.lists(st.sampled_from(EITHER), min_size=1, max_size=4) | st.sampled_from((*IN_PARTS, *ADDED_IN_PARTS))
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
    """What a call committed: a list, or people of one; in the account from some moment on."""

    name: str
    people: tuple[int, ...]
    at_s: float


@dataclass
class Server:
    """Implements `Service`: a commit log, and answers that follow a plan whatever the order in which lists come.

    Where `adds_to_lists`, a list is all that was committed under its name, and who is sent again is in it twice.
    """

    clock: SharedClock
    folder: Path
    name: str = "scripted"
    max_leads_per_list: int = 10_000
    max_leads_per_call: int = 10_000
    adds_to_lists: bool = False
    has_owners: bool = True
    has_exclusions: bool = True
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
            names = [c.name if self.adds_to_lists else f"list-{n}" for n, c in self._seen() if f"[{marker}]" in c.name]
        found = tuple(dict.fromkeys(names))
        return Found(found, (None,) * len(found)) if found else Absent()

    def entries(self, list_id: str) -> Iterator[EntryPage | CannotAsk]:
        with self.lock:
            people = [person for _, c in self._seen() if c.name == list_id for person in c.people]
            is_down = self.listing == "down"
        rows = [{"entry_id": f"entry-{n}", "email": mail_of(person)} for n, person in enumerate(people)]
        page = EntryPage(ListState("completed", None), pa.Table.from_pylist(rows, schema=ENTRIES))
        yield CannotAsk("server_fault", 503) if is_down else page

    def _seen(self) -> list[tuple[int, Committed]]:
        """What is shown by now."""
        seen_at_s = self.clock.monotonic_s() - (LAG_S if self.listing == "stale" else 0.0)
        return [(number, committed) for number, committed in enumerate(self.log) if committed.at_s <= seen_at_s]

    def _send(self, name: str, people: list[int]) -> Outcome:
        if self.kill_at is not None and (self.is_dead or sum(self.sends.values()) >= self.kill_at):
            self._die(name, people)
        answer = self.plan[(people[0] + self.sends[people[0]]) % len(self.plan)]
        self.sends[people[0]] += 1
        match answer:
            case "ok":
                return self._accept(name, people)
            case "short" if self.adds_to_lists:
                return self._accept(name, people[: len(people) // 2])
            case "limited" if self.sends[people[0]] < 8:
                return NotSent("rate_limited", 1.0, 429)
            case "refuse_one":
                refusal = LeadRefusal(0, "invalid_email", "/leads/0/email", "email")
                return Refused(RefusalKind.LEADS, 422, "invalid_email", "/leads/0/email", (refusal,))
            case "refuse_all":
                return Refused(RefusalKind.REQUEST, 400)
            case "no_credits":
                return Refused(RefusalKind.CREDITS, 402)
        self._commit_unanswered(answer, name, people)
        return Unknown("connection_lost")

    def _commit_unanswered(self, answer: str, name: str, people: list[int]) -> None:
        half = len(people) // 2
        match answer:
            case "lost_committed":
                self._commit(name, people)
            case "late" | "very_late":
                self._commit(name, people, LATE_S[answer == "very_late"])
            case "lost_part" if self.adds_to_lists:
                self._commit(name, people[:half])
            case "late_part" if self.adds_to_lists:
                self._commit(name, people[:half])
                self._commit(name, people[half:], LATE_S[0])
            case "lost_empty" if self.adds_to_lists:
                self._commit(name, [])
            case _:
                pass

    def _accept(self, name: str, people: list[int]) -> Accepted:
        number = self._commit(name, people)
        return Accepted(name, None, 200, len(people)) if self.adds_to_lists else Accepted(number, None, 202)

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


def mail_of(person: int) -> str:
    return f"person{person}@acme.example"


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

    @initialize(size=st.integers(1, 5), most=st.integers(1, 3), adds_to_lists=st.booleans())
    def choose(self, size: int, most: int, adds_to_lists: bool) -> None:
        if adds_to_lists:
            self.server.adds_to_lists, self.server.max_leads_per_call = True, PEOPLE_PER_CALL
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
        """Somebody looks into the account for one of the lists, when whatever comes late has come.

        Of one that holds some of its people there is nothing to say by hand: `reconcile` asks for them.
        """
        in_order = sorted(self._open_lists().items(), key=lambda entry: sorted(entry[1]))
        if not in_order:
            return
        marker, people = in_order[chosen % len(in_order)]
        self.clock.sleep(LATE_S[1])
        held = {person for each in self.server.log if f"[{marker}]" in each.name for person in each.people}
        is_there = {person in held for person in people - self._ended_with(marker)} or {True}
        if len(is_there) > 1:
            return
        resolve_list(self.settings, marker, Verdict.SENT if is_there == {True} else Verdict.ABSENT, clock=self.clock)
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
        ended = self._people("accepted") | self._people("rejected", "refused_by_api", "not_added")
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
            messages.append(record("contacts", id=person, email=mail_of(person)))
            if person % 2 == 0 or person == self.person_count:
                messages.append(state({"at": person}))
        summaries: list[RunSummary] = []

        def read(stop: StopRequest, expected: Expected) -> Iterator[Any]:
            lines = read_lines(io.BytesIO(as_bytes(messages)), stop, idle_s=0.01)
            for number, message in enumerate(read_messages(lines, Counter(), expected)):
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
        alarms = ("times", "more than once", "not there when asked")
        assert not any(words in str(error) for words in alarms), "no alarm: nobody is there twice"
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

    def _people(self, status: str, *reasons: str) -> set[int]:
        rows = self._rows()
        keys = zip(rows["record_key"], rows["status"], rows["reason"], strict=True)
        return {msgspec.json.decode(key)["id"] for key, s, r in keys if s == status and (not reasons or r in reasons)}

    def _ended_with(self, marker: str) -> set[int]:
        """People of an open list whose end the run that sent it has recorded."""
        [run_id] = [entry.intent.run_id for entry in self._intents() if entry.intent.marker == marker]
        rows = self._rows()
        keys = zip(rows["record_key"], rows["run_id"], rows["status"], strict=True)
        return {msgspec.json.decode(key)["id"] for key, run, status in keys if run == run_id and status != "held"}

    def _sent(self) -> Counter[int]:
        return Counter(person for committed in self.server.log for person in committed.people)

    def _open_lists(self) -> dict[str, set[int]]:
        return {e.intent.marker: {person_of(mail) for mail in e.leads["email"].to_pylist()} for e in self._intents()}

    def _intents(self) -> list[OutboxEntry]:
        return Outbox(Folder(self.folder), "").entries() if self.folder.is_dir() else []


TestProtocol = pytest.mark.filterwarnings("error")(Protocol.TestCase)
TestProtocol = pytest.mark.step("D5", "D7", "D8", "R3", "R4")(TestProtocol)
TestProtocol.settings = hypothesis_settings(max_examples=60, stateful_step_count=12, deadline=None)
