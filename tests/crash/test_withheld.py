"""Answers that are withheld, and listings that lie: every fault of the sandbox, then a healthy server until 0."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.errors import ListsHeld
from target_amplemarket.results.history import past_runs
from target_amplemarket.sandbox import RunningSandbox
from tests.crash.proof import IS_ALL, MOST_RERUNS, SEED, World, arrival_faults, faults_in, small_world
from tests.harness import Ran, VirtualClock, run_singer
from tests.sides import AMPLEMARKET, LANCE, SIDES, Side, shared

SETTLE_S = 180


class SharedClock(VirtualClock):
    """Virtual time that the sandbox shares."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        super().__init__()
        self.before_sleep: Callable[[], None] = lambda: None
        self._sandbox = sandbox

    def sleep(self, duration_s: float, wake: Any = None) -> None:
        self.before_sleep()
        super().sleep(duration_s, wake)
        if duration_s > 0 and not (wake is not None and wake.is_set()):
            self._sandbox.advance(duration_s)


class Account:
    """Runs over one folder and one account, one after another, each from the last STATE on."""

    def __init__(self, sandbox: RunningSandbox, settings: dict[str, Any], side: Side) -> None:
        self.sandbox = sandbox
        self.side = side
        self.settings = settings | {"settle_seconds": SETTLE_S, "request_timeout_seconds": 1}
        self.path = Path(settings["results_path"])
        self.world: World = small_world(side)
        self.clock = SharedClock(sandbox)
        self.states: list[int] = []

    def run(self, **changed: Any) -> Ran:
        after = max(self.states, default=0)
        ran = run_singer(self.world.lines(after).encode(), self.settings | changed, clock=self.clock)
        self.states += [int(state.split(":")[1].strip(" }")) for state in ran.states]
        return ran

    def heal(self) -> list[str]:
        self.sandbox.set(faults=[])
        errors = []
        for _ in range(MOST_RERUNS):
            ran = self.run()
            errors.append(ran.error)
            if ran.error is None:
                break
        faults = [] if errors[-1] is None else [f"not healed: {errors}"]
        return faults + faults_in(self.world, self.path, self.sandbox, self.states)

    def choose(self, *, first: int) -> None:
        """Only records from that place on: from 6 the first list holds nobody whom the API refuses."""
        self.world = World(self.world.records[first - 1 :], state_every=2, side=self.side)

    def arrived(self) -> set[str]:
        return {arrival.email for arrival in self.side.arrivals(self.sandbox)}

    def held_in(self, ran: Ran) -> set[str]:
        """E-mails of people of held lists."""
        rows = zip(ran.column("record_key"), ran.statuses, strict=True)
        places = [json.loads(key)["id"] for key, status in rows if status == "held"]
        return {str(self.world.email_of(place)) for place in places}


@pytest.fixture
def account(sandbox: RunningSandbox, settings: dict[str, Any], side: Side) -> Account:
    return Account(sandbox, settings, side)


WITHHELD: dict[str, dict[str, Any]] = {
    "500": {"kind": "server_error"},
    "502": {"kind": "server_error", "status": 502},
    "503": {"kind": "server_error", "status": 503},
    "504": {"kind": "server_error", "status": 504},
    "408": {"kind": "server_error", "status": 408},
    "500 after commit": {"kind": "server_error_after_commit"},
    "502 after commit": {"kind": "server_error_after_commit", "status": 502},
    "503 after commit": {"kind": "server_error_after_commit", "status": 503},
    "504 after commit": {"kind": "server_error_after_commit", "status": 504},
    "408 after commit": {"kind": "server_error_after_commit", "status": 408},
    "hang": {"kind": "hang"},
    "hang after commit": {"kind": "hang_after_commit"},
    "reset before reading": {"kind": "reset_before_reading"},
    "reset mid body": {"kind": "reset_mid_body", "bytes": 100},
    "reset after commit": {"kind": "reset_after_commit"},
    "close after commit": {"kind": "close_after_commit"},
    "truncated answer": {"kind": "truncated_answer"},
    "truncated at once": {"kind": "truncated_answer", "bytes": 0},
    "drip": {"kind": "drip", "seconds": 0.01},
    "drip too slow": {"kind": "drip", "bytes": 1, "seconds": 0.2},
    "not JSON": {"kind": "not_json"},
    "without id": {"kind": "without_id"},
    "late commit, reset": {"kind": "late_commit", "seconds": SETTLE_S - 1},
    "late commit, hang": {"kind": "late_commit", "seconds": SETTLE_S - 1, "then": "hang"},
    "late commit, close": {"kind": "late_commit", "seconds": SETTLE_S * 1.4, "then": "close"},
    "rate limited": {"kind": "rate_limited"},
    "rate limited, no word how long": {"kind": "rate_limited", "retry_after": "none"},
    "redirect": {"kind": "redirect"},
}


SLOW = {"hang", "hang after commit", "late commit, hang", "drip too slow"}
"""Each costs a second of real time for every call."""


ADDING: dict[str, dict[str, Any]] = {
    f"in part, {then}": {"kind": "commit_in_part", "percent": 50, "then": then}
    for then in ("reset", "close", "error", "hang")
}
"""Faults that only a call that adds to a list can have: the first of its two people are committed."""


def withheld() -> Iterator[tuple[Side, str, str, int | None]]:
    """Side, endpoint, fault and how often: for Lance `make test` tries each fault once, another way each time."""
    for name in WITHHELD:
        chosen = [times for times in (1, 2, None) if IS_ALL or times == 1 or (times is None and name not in SLOW)]
        yield from ((AMPLEMARKET, AMPLEMARKET.any_write, name, times) for times in chosen)
    for turn, name in enumerate(WITHHELD | ADDING, start=SEED):
        endpoints = LANCE.writes[-1:] if name in ADDING else LANCE.writes
        most = (1,) if (name in SLOW or "hang" in name) and not IS_ALL else (1, 2, None)
        ways = [(LANCE, endpoint, name, times) for endpoint in endpoints for times in most]
        yield from ways if IS_ALL else [ways[turn % len(ways)]]


@pytest.mark.step("D4", "D5")
@pytest.mark.parametrize(("side", "endpoint", "name", "times"), list(withheld()), indirect=["side"], ids=str)
def test_a_withheld_answer_loses_and_doubles_nobody(
    account: Account, endpoint: str, name: str, times: int | None
) -> None:
    fault = (WITHHELD | ADDING)[name]
    account.sandbox.set(faults=[fault | {"endpoint": endpoint, "times": times, "every": 1}])
    account.run(max_in_flight=1)
    assert account.heal() == []


@pytest.mark.step("D4", "D5", "R3")
@pytest.mark.parametrize(("side", "number"), shared(8, SEED, is_all=IS_ALL), indirect=["side"], ids=str)
def test_a_mixture_of_faults_loses_and_doubles_nobody(account: Account, number: int) -> None:
    """Calls fail in any way, and so does whatever is asked about them."""
    chance = random.Random(f"{SEED}:{number}")
    side = account.side
    kinds = [fault for fault in WITHHELD.values() if fault["kind"] not in {"hang", "hang_after_commit", "redirect"}]
    chosen = [
        fault | {"endpoint": side.any_write, "probability": 0.3}
        for fault in chance.sample(kinds, 4)
        if fault.get("then") != "hang"
    ]
    if side is LANCE:
        chosen.insert(0, ADDING["in part, reset"] | {"probability": 0.3})
    lying = {"kind": chance.choice(["listing_error", "listing_same_page"]), "probability": 0.3}
    failing = {"kind": "server_error", "endpoint": side.questions[-1], "probability": 0.2}
    account.sandbox.set(faults=[*chosen, lying, failing], seed=chance.randrange(10**6))
    account.run()
    account.run()
    assert account.heal() == [], f"seed {SEED}: {chosen}, {lying}"


FAILING: dict[str, dict[str, Any]] = {
    "500": {"kind": "server_error", "status": 500},
    "503": {"kind": "server_error", "status": 503},
    "403": {"kind": "server_error", "status": 403},
    "404": {"kind": "server_error", "status": 404},
    "429": {"kind": "rate_limited"},
    "same page for ever": {"kind": "listing_same_page"},
    "truncated": {"kind": "truncated_answer"},
    "reset": {"kind": "reset_before_reading"},
    "not JSON": {"kind": "not_json"},
    "redirect": {"kind": "redirect"},
}


def unasked() -> Iterator[tuple[Side, int, bool, str, str]]:
    """Side, which write is not answered, whether it is committed, which question fails and how."""
    for side in SIDES:
        places = [
            (write, is_committed, question)
            for write in range(len(side.writes))
            for is_committed in (True, False)
            for question in side.questions
            # A list that was not made is not in the listing: nobody has to read it.
            if write > 0 or is_committed or question == side.listing
        ]
        for turn, name in enumerate(FAILING, start=SEED):
            if name != "same page for ever" or side is AMPLEMARKET:  # Lance's listing has no pages
                chosen = places if IS_ALL or side is AMPLEMARKET else [places[turn % len(places)]]
                yield from ((side, *place, name) for place in chosen)


@pytest.mark.step("D5", "R4")
@pytest.mark.parametrize(
    ("side", "write", "is_committed", "question", "name"), list(unasked()), indirect=["side"], ids=str
)
def test_a_question_that_fails_holds_the_list(
    account: Account, write: int, is_committed: bool, question: str, name: str
) -> None:
    """Neither sent again nor forgotten, in this run and in the next, until the API can be asked."""
    kind = "server_error_after_commit" if is_committed else "server_error"
    unanswered = {"kind": kind, "endpoint": account.side.writes[write], "times": 1}
    account.choose(first=6)
    paging = {"list_page_size": 1, "page_size_limit": 1, "page_size_over_limit": "clamp"}
    account.sandbox.set(faults=[unanswered, FAILING[name] | {"endpoint": question}], **paging)
    first = account.run(max_in_flight=1)
    held = account.held_in(first)
    assert isinstance(first.error, ListsHeld)
    assert held
    assert account.states == [], "a STATE behind a held list"
    assert len(held & account.arrived()) == (account.side.leads_of_first_write[write] if is_committed else 0)
    second = account.run(max_in_flight=1)
    assert isinstance(second.error, ListsHeld)
    assert held <= account.held_in(second), "people of a held list are held in the next run, too"
    assert not [fault for fault in arrival_faults(account.world, account.sandbox) if fault.startswith("D")]
    assert account.heal() == []


@pytest.mark.step("R5")
def test_the_summary_of_a_run_that_failed_says_so_and_names_what_was_sent_again(account: Account) -> None:
    """Later runs look for lists that were sent again by what the summary says."""
    account.choose(first=6)
    account.sandbox.set(faults=[{"kind": "server_error", "endpoint": account.side.writes[-1]}])
    ran = account.run(max_in_flight=1)
    assert isinstance(ran.error, ListsHeld)
    [run] = past_runs(account.path)
    assert run.exit_code == 7
    assert run.resent == ran.summary.resent != []


@pytest.mark.step("D5")
@pytest.mark.parametrize("seconds", [1, SETTLE_S // 2, SETTLE_S - 1])
@pytest.mark.parametrize("kind", ["server_error_after_commit", "reset_after_commit", "server_error"])
def test_what_lags_for_less_than_the_settling_time_doubles_nobody(account: Account, kind: str, seconds: int) -> None:
    lagging = [{"kind": kind, "seconds": seconds} for kind in ("stale_listing", "stale_reading")]
    account.sandbox.set(faults=[{"kind": kind, "endpoint": account.side.any_write, "every": 2}, *lagging])
    account.run()
    assert account.heal() == []


UNANSWERED = {"kind": "server_error_after_commit", "times": 1}
LIMITS: dict[str, list[dict[str, Any]]] = {
    "commit after the settling time": [{"kind": "late_commit", "seconds": SETTLE_S * 1.5 + 5, "times": 1}],
    "listing that lags for longer than it": [UNANSWERED, {"kind": "stale_listing", "seconds": SETTLE_S * 1.5 + 20}],
    "listing with other names": [UNANSWERED, {"kind": "listing_renamed"}],
    "listing without a page": [UNANSWERED | {"skip": 1}, {"kind": "listing_missing_page"}],
    "people who are shown later": [UNANSWERED, {"kind": "stale_reading", "seconds": SETTLE_S * 1.5 + 20}],
}
"""What no client can tell from absence."""

DOUBLED = {
    AMPLEMARKET: [(0, name) for name in LIMITS if name != "people who are shown later"],
    LANCE: [(1, "commit after the settling time"), (1, "people who are shown later")],
}
HARMLESS = [(0, name) for name in LIMITS] + [
    (1, name) for name in LIMITS if name.startswith("listing")
]  # a list whose making was answered is known by its id, and one that is made twice is filled once


def limited(account: Account, write: int, name: str) -> list[Ran]:
    """A run in which that goes wrong, and one after it."""
    account.choose(first=6)
    paging = {"list_page_size": 1, "page_size_limit": 1, "page_size_over_limit": "clamp", "list_order": "oldest"}
    unanswered, *lying = LIMITS[name]
    account.sandbox.set(faults=[unanswered | {"endpoint": account.side.writes[write]}, *lying], **paging)
    first = account.run(max_in_flight=1)
    account.sandbox.advance(SETTLE_S * 2)
    account.sandbox.set(faults=[])
    return [first, account.run()]


@pytest.mark.step("R5")
@pytest.mark.parametrize(
    ("side", "write", "name"), [(side, *limit) for side in SIDES for limit in DOUBLED[side]], indirect=["side"], ids=str
)
def test_what_cannot_be_told_from_absence_is_doubled_and_said_so(account: Account, write: int, name: str) -> None:
    """The limit of what can be promised: who is there twice is an alarm of this run or the next."""
    runs = limited(account, write, name)
    counts = [fault[0] for fault in arrival_faults(account.world, account.sandbox)]
    assert counts == ["D"]
    alarms = [str(ran.error) for ran in runs if isinstance(ran.error, ListsHeld)]
    assert any("in the account 2 times" in alarm or "more than once" in alarm for alarm in alarms), alarms


@pytest.mark.step("D5")
@pytest.mark.parametrize(("side", "write", "name"), [(LANCE, *limit) for limit in HARMLESS], indirect=["side"], ids=str)
def test_where_a_list_is_made_without_people_a_second_one_stays_empty(account: Account, write: int, name: str) -> None:
    limited(account, write, name)
    assert account.heal() == []
    full = [one for one in account.sandbox.log() if one.persons]
    assert len(full) == len({one.name for one in full})
