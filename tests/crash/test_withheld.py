"""Answers that are withheld, and listings that lie: every fault of the sandbox, then a healthy server until 0."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.errors import ListsHeld
from target_amplemarket.results.history import past_runs
from target_amplemarket.sandbox import RunningSandbox
from tests.crash.proof import IS_ALL, MOST_RERUNS, SEED, World, arrival_faults, faults_in, small_world
from tests.harness import Ran, VirtualClock, run_singer

POST = "POST /lead-lists"
SETTLE_S = 180


class SharedClock(VirtualClock):
    """Virtual time that the sandbox shares."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        super().__init__()
        self._sandbox = sandbox

    def sleep(self, duration_s: float, wake: Any = None) -> None:
        super().sleep(duration_s, wake)
        if duration_s > 0 and not (wake is not None and wake.is_set()):
            self._sandbox.advance(duration_s)


class Account:
    """Runs over one folder and one account, one after another, each from the last STATE on."""

    def __init__(self, sandbox: RunningSandbox, settings: dict[str, Any]) -> None:
        self.sandbox = sandbox
        self.settings = settings | {"settle_seconds": SETTLE_S, "request_timeout_seconds": 1}
        self.path = Path(settings["results_path"])
        self.world: World = small_world()
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

    def posts(self) -> int:
        return sum(seen.method == "POST" for seen in self.sandbox.requests())


@pytest.fixture
def account(sandbox: RunningSandbox, settings: dict[str, Any]) -> Account:
    return Account(sandbox, settings)


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


@pytest.mark.step("D4", "D5")
@pytest.mark.parametrize(
    ("name", "times"),
    [(n, t) for n in WITHHELD for t in (1, 2, None) if IS_ALL or t == 1 or (t is None and n not in SLOW)],
)
def test_a_withheld_answer_loses_and_doubles_nobody(account: Account, name: str, times: int | None) -> None:
    account.sandbox.set(faults=[WITHHELD[name] | {"endpoint": POST, "times": times, "every": 1}])
    account.run(max_in_flight=1)
    assert account.heal() == []


@pytest.mark.step("D4", "D5", "R3")
@pytest.mark.parametrize("number", range(8))
def test_a_mixture_of_faults_loses_and_doubles_nobody(account: Account, number: int) -> None:
    """Calls fail in any way, and so does the listing that is asked about them."""
    chance = random.Random(f"{SEED}:{number}")
    kinds = [fault for fault in WITHHELD.values() if fault["kind"] not in {"hang", "hang_after_commit", "redirect"}]
    chosen = [
        fault | {"endpoint": POST, "probability": 0.3}
        for fault in chance.sample(kinds, 4)
        if fault.get("then") != "hang"
    ]
    lying = {"kind": chance.choice(["listing_error", "listing_same_page"]), "probability": 0.3}
    account.sandbox.set(faults=[*chosen, lying], seed=chance.randrange(10**6))
    account.run()
    account.run()
    assert account.heal() == [], f"seed {SEED}: {chosen}, {lying}"


FAILING: dict[str, dict[str, Any]] = {
    "500": {"kind": "listing_error", "status": 500},
    "503": {"kind": "listing_error"},
    "403": {"kind": "listing_error", "status": 403},
    "404": {"kind": "listing_error", "status": 404},
    "429": {"kind": "rate_limited", "endpoint": "GET /lead-lists"},
    "same page for ever": {"kind": "listing_same_page"},
    "truncated": {"kind": "truncated_answer", "endpoint": "GET /lead-lists"},
    "reset": {"kind": "reset_before_reading", "endpoint": "GET /lead-lists"},
    "not JSON": {"kind": "not_json", "endpoint": "GET /lead-lists"},
    "redirect": {"kind": "redirect", "endpoint": "GET /lead-lists"},
}


@pytest.mark.step("D5", "R4")
@pytest.mark.parametrize("is_committed", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("name", FAILING)
def test_a_listing_that_fails_holds_the_list(account: Account, name: str, is_committed: bool) -> None:
    """Neither sent again nor forgotten, in this run and in the next, until the listing can be asked."""
    unanswered = {"kind": "server_error_after_commit" if is_committed else "server_error", "endpoint": POST, "times": 1}
    account.world = World(account.world.records[5:], state_every=2)  # the first list holds nobody whom the API refuses
    account.sandbox.set(
        faults=[unanswered, FAILING[name]], list_page_size=1, page_size_limit=1, page_size_over_limit="clamp"
    )
    first = account.run(max_in_flight=1)
    posts = account.posts()
    assert isinstance(first.error, ListsHeld)
    assert "held" in first.statuses
    assert account.states == [], "a STATE behind a held list"
    second = account.run(max_in_flight=1)
    assert isinstance(second.error, ListsHeld)
    people = {
        lead["email"] for entry in account.sandbox.log()[: int(is_committed)] for lead in entry.created.leads.all()
    }
    assert not [fault for fault in arrival_faults(account.world, account.sandbox) if fault.startswith("D")]
    assert account.posts() >= posts
    assert len(people) == (3 if is_committed else 0)
    assert account.heal() == []


@pytest.mark.step("R5")
def test_the_summary_of_a_run_that_failed_says_so_and_names_what_was_sent_again(account: Account) -> None:
    """Later runs look for lists that were sent again by what the summary says."""
    account.world = World(account.world.records[5:], state_every=2)
    account.sandbox.set(faults=[{"kind": "server_error", "endpoint": POST}])
    ran = account.run(max_in_flight=1)
    assert isinstance(ran.error, ListsHeld)
    [run] = past_runs(account.path)
    assert run.exit_code == 7
    assert run.resent == ran.summary.resent != []


@pytest.mark.step("D5")
@pytest.mark.parametrize("seconds", [1, SETTLE_S // 2, SETTLE_S - 1])
@pytest.mark.parametrize("kind", ["server_error_after_commit", "reset_after_commit", "server_error"])
def test_a_listing_that_lags_for_less_than_the_settling_time_doubles_nobody(
    account: Account, kind: str, seconds: int
) -> None:
    account.sandbox.set(
        faults=[{"kind": kind, "endpoint": POST, "every": 2}, {"kind": "stale_listing", "seconds": seconds}]
    )
    account.run()
    assert account.heal() == []


LIMITS: dict[str, list[dict[str, Any]]] = {
    "commit after the settling time": [
        {"kind": "late_commit", "endpoint": POST, "seconds": SETTLE_S * 1.5 + 5, "times": 1}
    ],
    "listing that lags for longer than it": [
        {"kind": "server_error_after_commit", "endpoint": POST, "times": 1},
        {"kind": "stale_listing", "seconds": SETTLE_S * 1.5 + 20},
    ],
    "listing with other names": [
        {"kind": "server_error_after_commit", "endpoint": POST, "times": 1},
        {"kind": "listing_renamed"},
    ],
    "listing without a page": [
        {"kind": "server_error_after_commit", "endpoint": POST, "skip": 1, "times": 1},
        {"kind": "listing_missing_page"},
    ],
}
"""What no client can tell from a list that is not there."""


@pytest.mark.step("R5")
@pytest.mark.parametrize("name", LIMITS)
def test_what_cannot_be_told_from_absence_is_doubled_and_said_so(account: Account, name: str) -> None:
    """The limit of what can be promised: a list there twice is an alarm of this run or the next."""
    account.world = World(account.world.records[5:], state_every=2)
    paging = {"list_page_size": 1, "page_size_limit": 1, "page_size_over_limit": "clamp", "list_order": "oldest"}
    account.sandbox.set(faults=LIMITS[name], **paging)
    first = account.run(max_in_flight=1)
    account.sandbox.advance(SETTLE_S * 2)
    account.sandbox.set(faults=[])
    second = account.run()
    counts = [fault[0] for fault in arrival_faults(account.world, account.sandbox)]
    assert counts == ["D"]
    alarms = [str(ran.error) for ran in (first, second) if isinstance(ran.error, ListsHeld)]
    assert any("in the account 2 times" in alarm for alarm in alarms), alarms
