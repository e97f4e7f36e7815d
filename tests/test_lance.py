"""The whole way into Lance: what its lists need, what its answers do, and the same promises as everywhere."""

from __future__ import annotations

import json
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from target_amplemarket.config import read_settings
from target_amplemarket.errors import GuardStop, RefusedByApi, SettingsError
from target_amplemarket.results.forget import Person, forget_in
from target_amplemarket.results.reader import read_results
from target_amplemarket.results.recovery import Verdict
from target_amplemarket.runner import resolve_list
from target_amplemarket.sandbox import RunningSandbox, running_sandbox
from tests.harness import Ran, record, run_singer, schema, state

NAMES = ("firstname", "lastname", "email", "jobtitle", "linkedin_url", "lance_id", "company_id")
IDS = [str(uuid.UUID(int=n + 1)) for n in range(20)]

Run = Callable[..., Ran]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path) -> dict[str, Any]:
    return {
        "service": "lance", "api_key": "session", "base_url": sandbox.url, "results_path": str(tmp_path / "results"),
        "requests_per_minute": 100_000, "settle_seconds": 0, "lance_people_per_call": 4,
    }  # fmt: skip


@pytest.fixture
def run(settings: dict[str, Any]) -> Run:
    return lambda messages, **changed: run_singer(messages, settings | changed)


def person(number: int, **members: Any) -> dict[str, Any]:
    named = {"id": number, "firstname": f"Ann{number}", "lastname": "Lund", "email": f"ann{number}@acme.example"}
    return record("contacts", **(named | members))


def people(count: int) -> list[dict[str, Any]]:
    return [schema("contacts", *NAMES), *(person(number) for number in range(1, count + 1))]


def arrived(sandbox: RunningSandbox) -> Counter[str]:
    return Counter(lead["emails"][0] for entry in sandbox.log() for lead in entry.leads)


def creates(sandbox: RunningSandbox) -> int:
    return sum(seen.method == "POST" and seen.path.endswith("/leadlists") for seen in sandbox.requests())


def test_people_go_into_one_list_in_several_calls_and_every_record_has_a_row(sandbox: RunningSandbox, run: Run) -> None:
    ran = run([*people(10), person(11, lastname=None), person(3, id=12), state({"at": 12})])
    assert ran.error is None
    assert ran.statuses == ["accepted"] * 10 + ["rejected", "duplicate"]
    assert ran.states == ['{"at": 12}']
    [entry] = sandbox.log()
    assert [len(call.leads) for call in entry.calls] == [0, 4, 4, 2]
    assert set(ran.column("list_id")[:10]) == {entry.id}
    assert [one["lead_count"] for one in ran.summary.lists] == [10]
    again = run(people(10))
    assert set(again.column("reason")) == {"already_sent"}
    assert len(sandbox.log()) == 1


def test_people_known_by_id_alone_go_into_the_create_call(sandbox: RunningSandbox, run: Run) -> None:
    messages = [schema("ids", "lance_id"), *(record("ids", id=n, lance_id=IDS[n]) for n in range(6))]
    ran = run([*messages, record("ids", id=7, lance_id="not an id"), record("ids", id=8, lance_id=IDS[0])])
    assert ran.statuses == ["accepted"] * 6 + ["rejected", "duplicate"]
    assert ran.column("reason")[6:] == ["person_id_invalid", "duplicate_in_run"]
    assert ran.column("list_type")[:6] == ["person_ids"] * 6
    assert sorted(sorted(one["id"] for one in entry.persons) for entry in sandbox.log()) == [IDS[:4], IDS[4:6]]
    assert creates(sandbox) == 2


ADD = "POST /api/v1/entities/leadlists/{id}/add-prospects"
CREATE = "POST /api/v1/entities/leadlists"


def test_people_with_the_id_of_their_company_are_known_by_what_is_theirs(sandbox: RunningSandbox, run: Run) -> None:
    sandbox.set(faults=[{"kind": "reset_after_commit", "endpoint": ADD, "times": 1}])
    ran = run([*people(0), *(person(n, company_id=IDS[9]) for n in range(1, 4))],
              field_mapping={"contacts": {"company_id": "company_id"}})  # fmt: skip
    assert (ran.error, ran.column("reason")) == (None, [None] * 3)
    assert arrived(sandbox) == Counter(f"ann{n}@acme.example" for n in range(1, 4))


def test_ids_of_people_who_are_not_shown_are_in_the_list_all_the_same(sandbox: RunningSandbox, run: Run) -> None:
    sandbox.set(faults=[{"kind": "reset_after_commit", "endpoint": CREATE, "times": 1}])
    ran = run([schema("ids", "lance_id"), *(record("ids", id=n, lance_id=IDS[n]) for n in range(3))])
    assert (ran.error, ran.statuses, ran.column("reason")) == (None, ["accepted"] * 3, [None] * 3)


def test_versions_of_one_person_are_no_alarm(sandbox: RunningSandbox, run: Run) -> None:
    messages = [*people(1), person(2, email="ann1@acme.example", jobtitle="Director")]
    ran = run(messages, load_method="append-only")
    assert (ran.error, ran.statuses) == (None, ["accepted"] * 2)
    assert arrived(sandbox) == {"ann1@acme.example": 2}


def test_a_folder_of_another_service_is_refused_also_where_everybody_was_sent(
    sandbox: RunningSandbox, run: Run, settings: dict[str, Any]
) -> None:
    ran = run_singer(people(3), settings | {"service": "amplemarket", "owner": "dana@northwind.example"})
    assert ran.statuses == ["accepted"] * 3
    before = len(sandbox.requests())
    with pytest.raises(SettingsError, match="belongs to `service: amplemarket`"):
        run([*people(3), state({"at": 3})])
    assert len(sandbox.requests()) == before


def test_a_held_list_that_counts_as_sent_says_nothing_of_calls_that_were_never_made(
    sandbox: RunningSandbox, run: Run, settings: dict[str, Any]
) -> None:
    lost = {"kind": "reset_after_commit", "endpoint": ADD, "skip": 1, "times": 1}
    sandbox.set(faults=[lost, {"kind": "listing_error", "status": 403}])
    messages = [*people(12), state({"at": 12})]
    ran = run(messages)
    assert Counter(ran.statuses) == {"accepted": 4, "held": 4}
    [name] = (ran.results_path / "outbox").glob("*.arrow")
    resolve_list(read_settings(settings), name.stem.partition("-")[2], Verdict.SENT)
    sandbox.set(faults=[])
    again = run(messages)
    assert Counter(again.statuses) == {"duplicate": 8, "accepted": 4}
    assert arrived(sandbox) == Counter(f"ann{n}@acme.example" for n in range(1, 13))
    assert again.states == ['{"at": 12}']


def test_somebody_who_is_forgotten_while_the_list_is_held_is_no_late_arrival(sandbox: RunningSandbox, run: Run) -> None:
    lost = {"kind": "reset_after_commit", "endpoint": ADD, "times": 1}
    sandbox.set(faults=[lost, {"kind": "listing_error", "status": 403}])
    messages = [*people(4), state({"at": 4})]
    held = run(messages)
    assert held.statuses == ["held"] * 4
    forget_in(held.results_path, Person(emails=("ann2@acme.example",)))
    sandbox.set(faults=[])
    again = run(messages)
    assert (again.error, again.states) == (None, ['{"at": 4}'])
    assert again.column("reason") == ["already_sent", "forgotten", "already_sent", "already_sent"]
    settled = read_results(held.results_path, run=held.summary.run_id)
    assert set(settled.column("status").to_pylist()) == {"accepted"}


def test_whoever_was_in_a_list_when_it_was_asked_for_is_no_late_arrival(sandbox: RunningSandbox, run: Run) -> None:
    """Two of four arrived, and a colleague has put somebody else in by hand; the other two go into another list."""
    lost = {"kind": "commit_in_part", "endpoint": ADD, "times": 1, "percent": 50}
    sandbox.set(faults=[lost, {"kind": "listing_error", "status": 403}])
    messages = [*people(4), state({"at": 4})]
    assert run(messages).statuses == ["held"] * 4
    sandbox.set(faults=[])
    [entry] = sandbox.log()
    stranger = {"prospects": [{"firstName": "Kim", "lastName": "Lund", "emails": ["kim@acme.example"]}]}
    url = f"{sandbox.url}/api/v1/entities/leadlists/{entry.id}/add-prospects"
    assert httpx.post(url, json=stranger, headers={"Authorization": "Bearer any"}).json() == {"addedCount": 1}
    again = run(messages)
    assert (again.error, again.states) == (None, ['{"at": 4}'])
    assert arrived(sandbox) == Counter([*(f"ann{n}@acme.example" for n in range(1, 5)), "kim@acme.example"])
    assert run(messages).error is None


def test_companies_go_by_their_id(sandbox: RunningSandbox, run: Run) -> None:
    messages = [schema("firms", "company"), *(record("firms", id=n, company=IDS[n]) for n in range(9))]
    mapping = {"firms": {"company_id": "company"}}
    ran = run(messages, lance_list_type="company", field_mapping=mapping)
    assert ran.statuses == ["accepted"] * 9
    [entry] = sandbox.log()
    assert entry.type == "company"
    assert sorted(one["id"] for one in entry.persons) == IDS[:9]
    assert [len(call.leads) for call in entry.calls] == [4, 4, 1]


def test_the_same_id_is_the_same_person_across_streams_and_runs(sandbox: RunningSandbox, run: Run) -> None:
    first = run([schema("contacts", *NAMES), person(1, lance_id=IDS[1])])
    assert first.statuses == ["accepted"]
    second = run([schema("ids", "lance_id"), record("ids", id=5, lance_id=IDS[1])])
    assert second.column("reason") == ["already_sent"]
    assert len(sandbox.log()) == 1


@pytest.mark.parametrize("policy", ["create", "skip", "refuse"])
def test_what_lance_does_with_people_without_an_id_is_what_the_rows_say(
    sandbox: RunningSandbox, run: Run, policy: str
) -> None:
    sandbox.set(lance_without_id=policy)
    ran = run([*people(3), person(4, lance_id=IDS[4])])
    held = {mail for entry in sandbox.log() for one in entry.persons for mail in one["emails"]}
    accepted = {f"ann{n}@acme.example" for n, status in enumerate(ran.statuses, start=1) if status == "accepted"}
    assert accepted == held
    assert ran.error is None
    expected = {"create": None, "skip": "not_added", "refuse": "refused_by_api"}[policy]
    assert ran.column("reason") == [expected] * 3 + [None]


def test_people_without_an_id_are_not_sent_where_the_settings_say_so(sandbox: RunningSandbox, run: Run) -> None:
    ran = run([*people(3), person(4, lance_id=IDS[4])], lance_people_without_id="refuse")
    assert ran.statuses == ["rejected"] * 3 + ["accepted"]
    assert arrived(sandbox) == Counter(["ann4@acme.example"])


def test_somebody_whom_lance_takes_for_another_is_a_duplicate(sandbox: RunningSandbox, run: Run) -> None:
    """Two profiles with one mailbox are two people here, and one where Lance goes by e-mail."""
    sandbox.set(lance_duplicate_key="email")
    shared = [person(n, email="info@acme.example", linkedin_url=f"linkedin.com/in/ann-{n}") for n in (1, 2)]
    ran = run([schema("contacts", *NAMES), *shared, person(3)])
    assert ran.statuses == ["accepted", "duplicate", "accepted"]
    assert ran.column("reason")[1] == "already_in_list"
    assert ran.column("winner_record_no")[1] == 1
    assert ran.error is None


def test_people_are_found_by_their_profile_where_that_is_switched_on(sandbox: RunningSandbox, run: Run) -> None:
    sandbox.set(lance_known_percent=50)
    rows = [record("contacts", id=n, linkedin_url=f"linkedin.com/in/ann-lund-{n}") for n in range(40)]
    ran = run([schema("contacts", *NAMES), *rows], lance_find_people="linkedin_url")
    counts = Counter(ran.statuses)
    assert counts["accepted"] + counts["rejected"] == 40
    assert min(counts.values()) > 5
    assert {code for code in ran.column("error_code") if code} == {"person_not_found"}
    held = {one["linkedinUrl"] for entry in sandbox.log() for one in entry.persons}
    assert len(held) == counts["accepted"]


def test_a_session_that_ends_in_the_middle_is_renewed_by_the_command(
    sandbox: RunningSandbox, run: Run, settings: dict[str, Any]
) -> None:
    sandbox.set(lance_token_requests=3)
    ask = (
        "import json, urllib.request as u; "
        f"print(json.load(u.urlopen(u.Request('{sandbox.url}/_sandbox/tokens/lance', method='POST')))['token'])"
    )
    del settings["api_key"]
    ran = run(people(14), api_key_command=f'{sys.executable} -c "{ask}"')
    assert ran.error is None
    assert ran.statuses == ["accepted"] * 14
    assert set(arrived(sandbox).values()) == {1}
    assert sum(seen.status == 401 for seen in sandbox.requests()) >= 1


def test_a_session_that_nothing_renews_stops_the_run_and_the_next_goes_on(sandbox: RunningSandbox, run: Run) -> None:
    messages = [*people(9), state({"at": 9})]
    sandbox.set(lance_token_requests=1)
    ran = run(messages)
    assert isinstance(ran.error, RefusedByApi)
    assert "api_key" in str(ran.error)
    assert ran.states == []
    sandbox.set(lance_token_requests=0)
    assert run(messages).states == ['{"at": 9}']
    assert arrived(sandbox) == Counter(f"ann{n}@acme.example" for n in range(1, 10))


def test_a_plan_sends_nothing_and_is_what_the_run_then_does(sandbox: RunningSandbox, run: Run) -> None:
    planned = run(people(9), dry_run=True, batch_size_rows=5)
    assert planned.statuses == ["planned"] * 9
    assert creates(sandbox) == 0
    ran = run(people(9), batch_size_rows=5)
    did, said = ([(one["lead_count"], one["list_type"]) for one in each.summary.lists] for each in (ran, planned))
    assert sorted(did) == sorted(said)


def test_ceilings_and_breakers_guard_it_too(sandbox: RunningSandbox, run: Run) -> None:
    ran = run([*people(9), state({"at": 9})], max_leads_per_run=4)
    assert isinstance(ran.error, GuardStop)
    assert sum(arrived(sandbox).values()) == 4
    assert ran.states == []
    broken = run(
        [schema("contacts", *NAMES), *(person(n, lastname=None) for n in range(20, 30))], max_rejected_percent=5
    )
    assert isinstance(broken.error, GuardStop)
    assert sum(arrived(sandbox).values()) == 4


def test_a_suppression_file_keeps_people_out(sandbox: RunningSandbox, run: Run, tmp_path: Path) -> None:
    (tmp_path / "never.csv").write_text("email\nann2@acme.example\n", encoding="utf-8")
    ran = run(people(3), suppression_file=str(tmp_path / "never.csv"))
    assert ran.statuses == ["accepted", "excluded", "accepted"]
    assert "ann2@acme.example" not in arrived(sandbox)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"enrich": True}, "`enrich`"),
        ({"list_type": "email"}, "`list_type`"),
        ({"extra_fields": ["note"]}, "`extra_fields`"),
        ({"lance_end_date": "2020-01-01"}, "lance_end_date"),
        ({"base_url": None}, "`base_url` is required"),
        ({"api_key": None}, "`api_key`"),
    ],
)
def test_settings_that_lance_cannot_honour_stop_before_anything_is_asked(
    sandbox: RunningSandbox, run: Run, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        run(people(1), **changed)
    assert sandbox.requests() == []


def test_the_list_is_made_as_the_settings_say(sandbox: RunningSandbox, run: Run) -> None:
    run(people(1), lance_start_date="2026-04-06", lance_end_date="+10d", lance_icp_id=IDS[3])
    [seen] = [s for s in sandbox.requests() if s.method == "POST" and s.path.endswith("/leadlists")]
    assert seen.is_committed
    [entry] = sandbox.log()
    assert entry.name.startswith("contacts ")
    assert entry.type == "person"


def test_no_value_of_a_record_gets_into_the_summary(run: Run) -> None:
    ran = run([*people(2), person(3, lastname=None)])
    assert "acme.example" not in json.dumps(ran.summary.streams) + json.dumps(ran.summary.lists)
