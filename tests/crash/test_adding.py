"""What only lists that several calls fill can come to, and sessions that end: over Lance."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable

import pyarrow.compute as pc
import pytest

from target_amplemarket.errors import ListsHeld, RefusedByApi
from target_amplemarket.results.reader import read_results
from target_amplemarket.sandbox import RunningSandbox
from tests.crash.effects import KILLED, Plan
from tests.crash.proof import IS_ALL, SEED, World
from tests.crash.test_kills import Trial, trial
from tests.crash.test_withheld import Account, account
from tests.sides import LANCE, LISTS, Side

__all__ = ["account", "trial"]

CREATE, ADD = LANCE.writes
PARTS = [(skip, percent, then) for skip in range(8) for percent in (0, 50, 100) for then in ("error", "reset")]
"""Which addition is committed in part, how much of it, and how the call ends."""


@pytest.fixture
def side() -> Side:
    return LANCE


def delete_lists(sandbox: RunningSandbox) -> None:
    """Somebody deletes all lists in the product."""
    for one in sandbox.log():
        headers = {"Authorization": "Bearer sandbox-key"}
        request = urllib.request.Request(f"{sandbox.url}{LISTS}/{one.id}", method="DELETE", headers=headers)
        urllib.request.urlopen(request).close()


# --- Calls that are committed in part, or not answered ----------------------------------------------------------------


@pytest.mark.step("D5")
@pytest.mark.parametrize(("skip", "percent", "then"), PARTS if IS_ALL else PARTS[SEED % 4 :: 4])
def test_of_a_call_that_is_committed_in_part_just_the_others_go_again(
    account: Account, skip: int, percent: int, then: str
) -> None:
    fault = {"kind": "commit_in_part", "percent": percent, "then": then, "skip": skip, "times": 1}
    account.sandbox.set(faults=[fault])
    ran = account.run()
    assert ran.error is None
    assert account.heal() == []
    sent = sum(len(call.leads) for one in account.sandbox.log() for call in one.additions)
    assert sent == len(account.world.expected), "whoever is in the list is not sent again"


@pytest.mark.step("D5")
@pytest.mark.parametrize("key", ["linkedin_url", "email"])
def test_an_api_that_takes_people_for_the_same_doubles_and_loses_nobody_either(account: Account, key: str) -> None:
    lost = [{"kind": kind, "probability": 0.4} for kind in ("commit_in_part", "server_error_after_commit")]
    account.sandbox.set(lance_duplicate_key=key, faults=[fault | {"endpoint": ADD} for fault in lost], seed=SEED)
    account.run()
    assert account.heal() == []


@pytest.mark.step("D5")
@pytest.mark.parametrize("kind", ["server_error_after_commit", "reset_after_commit", "truncated_answer", "without_id"])
def test_a_list_whose_making_was_not_answered_is_filled_and_not_made_again(account: Account, kind: str) -> None:
    account.sandbox.set(faults=[{"kind": kind, "endpoint": CREATE}])
    assert account.run().error is None
    assert account.heal() == []
    names = Counter(one.name for one in account.sandbox.log())
    assert set(names.values()) == {1}


@pytest.mark.step("R4")
def test_a_kill_between_making_a_list_and_filling_it_leaves_an_empty_list(trial: Callable[[], Trial]) -> None:
    tried = trial()
    assert tried.run(Plan(1, "after", only="send")).code == KILLED
    [empty] = tried.sandbox.log()
    assert tried.heal(replays=False) == []
    assert [one.id for one in tried.sandbox.log() if not one.persons] == [empty.id]


def known_ids(sandbox: RunningSandbox, count: int) -> list[str]:
    """Ids of people whom Lance knows, since somebody looked for them."""
    sandbox.set(lance_known_percent=100)
    urls = [f"https://www.linkedin.com/in/known-person-{number}" for number in range(count)]
    question = {"page": 0, "size": 100, "contact": {"socialMediaLink": {"any": {"include": urls}}}}
    headers = {"Authorization": "Bearer sandbox-key", "Content-Type": "application/json"}
    body = json.dumps(question).encode()
    request = urllib.request.Request(f"{sandbox.url}/api/v1/entities/prospects/person", body, headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return [person["id"] for person in json.load(answer)["content"]]


@pytest.mark.step("D5", "R3", "R4")
@pytest.mark.parametrize("endpoint", [CREATE, ADD])
@pytest.mark.parametrize("kind", ["server_error", "server_error_after_commit", "late_commit"])
def test_people_who_are_known_by_id_alone_are_neither_lost_nor_doubled(
    account: Account, endpoint: str, kind: str
) -> None:
    """Their first call makes the list with them in it; those that follow need their names."""
    ids = known_ids(account.sandbox, 8)
    assert len(set(ids)) == 8
    records = tuple(("contacts", {"contact_ref": person_id}) for person_id in ids)
    account.world = World(records, state_every=2, side=LANCE)
    account.sandbox.set(faults=[{"kind": kind, "endpoint": endpoint, "probability": 0.5, "times": 4}], seed=SEED)
    account.run(batch_size_rows=5)
    account.heal()
    added = [
        person_id
        for one in account.sandbox.log()
        for call in one.calls
        for person_id, is_new in zip(call.person_ids, call.is_new, strict=True)
        if is_new
    ]
    assert Counter(added) == Counter(ids)
    rows = read_results(account.path)
    accepted = rows.filter(pc.equal(rows.column("status").cast("string"), "accepted"))
    assert Counter(accepted.column("record_key").to_pylist()) == Counter(f'{{"id":{n}}}' for n in range(1, 9))


# --- Lists that vanish ------------------------------------------------------------------------------------------------


@pytest.mark.step("R4")
def test_a_list_that_was_deleted_after_a_kill_counts_as_absent(trial: Callable[[], Trial]) -> None:
    tried = trial()
    assert tried.run(Plan(3, "after", only="send")).code == KILLED  # made, refused for one, filled by one
    [left] = tried.sandbox.log()
    assert left.persons
    delete_lists(tried.sandbox)
    tried.heal(replays=False)
    assert LANCE.held(tried.sandbox) == Counter(tried.world.expected)


def test_a_list_that_vanishes_between_two_calls_stops_the_run_and_the_rest_goes_into_another(account: Account) -> None:
    """Who was in it has arrived; that somebody removed them is none of the target's business."""
    account.choose(first=6)
    account.sandbox.set(faults=[{"kind": "rate_limited", "endpoint": ADD, "skip": 1, "times": 1}])
    account.clock.before_sleep = once(lambda: delete_lists(account.sandbox))
    ran = account.run(max_in_flight=1)
    assert isinstance(ran.error, RefusedByApi)
    assert ran.statuses.count("accepted") == 2
    assert account.heal() == []
    assert len(LANCE.held(account.sandbox)) == len(account.world.expected) - 2


@pytest.mark.step("D5", "R4")
def test_a_list_that_vanishes_while_its_answer_is_lost_is_held_and_then_counts_as_absent(account: Account) -> None:
    account.choose(first=6)
    account.sandbox.set(faults=[{"kind": "server_error_after_commit", "endpoint": ADD, "times": 1}])
    account.clock.before_sleep = once(lambda: delete_lists(account.sandbox))
    assert isinstance(account.run(max_in_flight=1).error, ListsHeld)
    account.heal()
    assert LANCE.held(account.sandbox) == Counter(account.world.expected)


def once(action: Callable[[], None]) -> Callable[[], None]:
    """The action at the first call, nothing at later ones."""
    left = [action]

    def act() -> None:
        if left:
            left.pop()()

    return act


# --- Sessions that end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("good_for", [1, 2, 3, 5])
def test_a_session_that_ends_in_the_middle_is_renewed_and_nobody_is_lost_or_doubled(
    account: Account, good_for: int
) -> None:
    sandbox = account.sandbox
    ask = (
        "import json, urllib.request as u; "
        f"print(json.load(u.urlopen(u.Request('{sandbox.url}/_sandbox/tokens/lance', method='POST')))['token'])"
    )
    del account.settings["api_key"]
    account.settings["api_key_command"] = f'{sys.executable} -I -S -c "{ask}"'
    sandbox.set(lance_token_requests=good_for)
    assert account.run().error is None
    refused = sum(seen.status == 401 for seen in sandbox.requests())
    assert refused > 0
    assert sandbox.state()["lance_tokens"] == refused + 1, "renewed once for each call that it ends at"
    assert account.heal() == []


@pytest.mark.parametrize("good_for", range(2, 12) if IS_ALL else [2 + SEED % 5, 7 + SEED % 5])
def test_a_session_that_nothing_renews_stops_the_run_wherever_it_ends(account: Account, good_for: int) -> None:
    sandbox = account.sandbox
    sandbox.set(lance_token_requests=good_for)
    account.settings["api_key"] = sandbox.token("lance")
    assert isinstance(account.run().error, RefusedByApi)
    sandbox.set(lance_token_requests=0)
    assert account.heal() == []
