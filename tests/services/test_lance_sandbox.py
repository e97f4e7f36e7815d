"""Lance against the sandbox, which was written from the API's description by somebody else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from target_amplemarket.sandbox import RunningSandbox, running_sandbox
from target_amplemarket.services.lance import Lance
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    Account,
    EntryPage,
    Found,
    NotSent,
    RefusalKind,
    Refused,
    Unknown,
)
from tests.services.opened import opened, surroundings
from tests.services.test_lance import MARKER, body_of, person, url, uuid

Make = Callable[..., Lance]
ADD = "endpoint=POST /api/v1/entities/leadlists/{id}/add-prospects"
CREATE = "endpoint=POST /api/v1/entities/leadlists"


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def service(sandbox: RunningSandbox) -> Iterator[Make]:
    made: list[Lance] = []

    def make(**changed: Any) -> Lance:
        one = opened("lance", surroundings(), base_url=sandbox.url, **changed)
        assert isinstance(one, Lance)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def entries_of(one: Lance, list_id: str) -> list[dict[str, Any]]:
    [page] = one.entries(list_id)
    assert isinstance(page, EntryPage)
    rows: list[dict[str, Any]] = page.entries.to_pylist()
    return rows


def test_the_account_is_the_organisation(sandbox: RunningSandbox, service: Make) -> None:
    assert service().account() == Account("org_2acme", None)


def test_people_arrive_call_after_call_and_are_read_back(sandbox: RunningSandbox, service: Make) -> None:
    one = service()
    rows = [
        person(n, linkedin_url=url(n), email=f"sam{n}@north.example", phones=["+44"], seniority="director")
        for n in range(5)
    ]
    first = one.send(body_of(one, *rows[:3]))
    assert isinstance(first, Accepted)
    assert first.added_count == 3
    assert one.send(body_of(one, *rows[3:])) == Accepted(first.list_id, None, 200, 2)
    assert one.confirm(MARKER) == Found((first.list_id,), (None,))
    read = entries_of(one, first.list_id)
    assert [(row["linkedin_url"], row["email"], row["first_name"]) for row in read] == [
        (row["linkedin_url"], row["email"], row["first_name"]) for row in rows
    ]
    [arrived] = sandbox.log()
    assert [commit.kind for commit in arrived.calls] == ["create", "add", "add"]


def test_who_is_in_a_list_is_not_added_again(sandbox: RunningSandbox, service: Make) -> None:
    one = service()
    body = body_of(one, person(1, person_id=uuid(1)), person(2, person_id=uuid(2)))
    assert [getattr(one.send(body), "added_count", None) for _ in range(2)] == [2, 0]


def test_ids_arrive_with_the_create_call_and_further_ones_by_name(sandbox: RunningSandbox, service: Make) -> None:
    sandbox.set(lance_known_percent=100)
    one = service(lance_find_people="linkedin_url")
    one.send(body_of(one, {"linkedin_url": url(1)}, {"linkedin_url": url(2)}, name="others [AAAAAAAAAAAA]"))
    ids = [row["entry_id"] for row in entries_of(one, sandbox_list_id(one, "AAAAAAAAAAAA"))]
    made = one.send(body_of(one, {"person_id": ids[0]}, list_type="person_ids"))
    assert isinstance(made, Accepted)
    assert made.added_count == 1
    added = one.send(body_of(one, {"person_id": ids[1]}, list_type="person_ids"))
    assert added == Accepted(made.list_id, None, 200, 1)
    assert [row["person_id"] for row in entries_of(one, made.list_id)] == ids
    refused = one.send(body_of(one, {"person_id": uuid(404)}, list_type="person_ids"))
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.code) == (RefusalKind.LEADS, "person_not_found")


def sandbox_list_id(one: Lance, marker: str) -> str:
    found = one.confirm(marker)
    assert isinstance(found, Found)
    return found.list_ids[0]


@pytest.mark.parametrize(("policy", "count"), [("accept", 2), ("skip", 0)])
def test_ids_that_nobody_has_are_counted_as_the_answer_has_them(
    policy: str, count: int, sandbox: RunningSandbox, service: Make
) -> None:
    sandbox.set(lance_unknown_ids=policy)
    one = service()
    made = one.send(body_of(one, {"person_id": uuid(1)}, {"person_id": uuid(2)}, list_type="person_ids"))
    assert isinstance(made, Accepted)
    assert made.added_count == count


def test_companies_arrive_and_are_read_back(sandbox: RunningSandbox, service: Make) -> None:
    one = service(lance_list_type="company")
    found = httpx.post(
        f"{sandbox.url}/api/v1/entities/prospects/company", json={"size": 2}, headers={"Authorization": "Bearer any"}
    )
    first, second = [company["id"] for company in found.json()["content"]]
    made = one.send(body_of(one, {"company_id": first}, list_type="company_ids"))
    assert isinstance(made, Accepted)
    assert made.added_count == 1
    more = body_of(one, {"company_id": first}, {"company_id": second}, list_type="company_ids")
    assert one.send(more) == Accepted(made.list_id, None, 200, None)
    assert [row["entry_id"] for row in entries_of(one, made.list_id)] == [first, second]


@pytest.mark.parametrize("place", ["inside", "beside"])
@pytest.mark.parametrize(("form", "path"), [("object", "array"), ("list", "array"), ("list", "dotted")])
@pytest.mark.parametrize("code", ["BAD_REQUEST", "VALIDATION_ERROR"])
def test_leads_that_lance_names_are_refused_in_whatever_form(
    place: str, form: str, path: str, code: str, sandbox: RunningSandbox, service: Make
) -> None:
    sandbox.set(
        lance_details=form,
        lance_details_path=path,
        lance_details_place=place,
        lance_validation_code=code,
        lance_without_id="refuse",
    )
    one = service()
    rows = [person(1, person_id=uuid(1)), person(2), person(3, person_id="no-uuid")]
    outcome = one.send(body_of(one, *rows))
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.code) == (RefusalKind.LEADS, code)
    named = [(lead.position, lead.pointer, lead.field) for lead in outcome.leads]
    assert named == [(1, "/prospects/1/id", "person_id"), (2, "/prospects/2/id", "person_id")]
    assert isinstance(one.send(body_of(one, rows[0])), Accepted)
    assert len(sandbox.log()) == 1


@pytest.mark.parametrize(("status", "kind"), [("400", RefusalKind.REQUEST), ("413", RefusalKind.TOO_LARGE)])
def test_a_call_that_is_too_large_is_split(
    status: str, kind: RefusalKind, sandbox: RunningSandbox, service: Make
) -> None:
    sandbox.set(lance_prospects_per_call=2, lance_over_limit_status=status)
    one = service()
    outcome = one.send(body_of(one, *(person(n) for n in range(3))))
    assert isinstance(outcome, Refused)
    assert outcome.kind is kind
    assert isinstance(one.send(body_of(one, person(1), person(2))), Accepted)


def test_settings_that_lance_refuses_stop_before_a_lead_is_blamed(sandbox: RunningSandbox, service: Make) -> None:
    one = service(lance_icp_id="no-uuid")
    for body in (body_of(one, person(1)), body_of(one, {"person_id": uuid(1)}, list_type="person_ids")):
        refused = Refused(RefusalKind.ADDRESS, 400, "BAD_REQUEST", "/icpId", setting="lance_icp_id")
        assert one.send(body) == refused
    assert sandbox.log() == []


@pytest.mark.parametrize("status", ["200", "201"])
def test_either_status_makes_a_list(status: str, sandbox: RunningSandbox, service: Make) -> None:
    sandbox.set(lance_create_status=status, lance_add_status="202")
    one = service()
    assert isinstance(one.send(body_of(one, person(1))), Accepted)


@pytest.mark.parametrize("form", ["canonical", "as_asked"])
def test_people_are_found_by_profile(form: str, sandbox: RunningSandbox, service: Make) -> None:
    sandbox.set(lance_known_percent=100, lance_found_url=form)
    one = service(lance_find_people="linkedin_url")
    made = one.send(body_of(one, *({"linkedin_url": url(n)} for n in range(130))))
    assert isinstance(made, Accepted)
    assert made.added_count == 130
    assert one.requests["POST /api/v1/entities/prospects/person"] == 2
    assert {row["linkedin_url"] for row in entries_of(one, made.list_id)} == {url(n) for n in range(130)}


def test_people_who_are_not_found_are_refused(sandbox: RunningSandbox, service: Make) -> None:
    sandbox.set(lance_known_percent=0)
    one = service(lance_find_people="linkedin_url")
    outcome = one.send(body_of(one, {"linkedin_url": url(1)}, person(2, linkedin_url=url(2))))
    assert isinstance(outcome, Refused)
    assert [(lead.position, lead.code) for lead in outcome.leads] == [(0, "person_not_found")]
    assert sandbox.log() == []


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        ("ignore", NotSent("search_too_long")),
        ("refuse", Refused(RefusalKind.ADDRESS, 400, "search_refused")),
    ],
)
def test_a_filter_that_lance_does_not_know_rejects_nobody(
    policy: str, outcome: Any, sandbox: RunningSandbox, service: Make
) -> None:
    sandbox.set(lance_filter_names="prefixed", lance_unknown_filters=policy)
    one = service(lance_find_people="linkedin_url")
    assert one.send(body_of(one, {"linkedin_url": url(1)})) == outcome
    assert sandbox.log() == []


@pytest.mark.step("D5", "R3")
def test_a_list_whose_making_was_not_answered_is_found_and_filled(sandbox: RunningSandbox, service: Make) -> None:
    sandbox.set(faults=[f"server_error_after_commit:status=502,times=1,{CREATE}"])
    one = service()
    assert one.send(body_of(one, person(1))) == Unknown("server_fault", 502)
    list_id = sandbox_list_id(one, MARKER)
    assert entries_of(one, list_id) == []
    assert one.send(body_of(one, person(1))) == Accepted(list_id, None, 200, 1)
    assert len(sandbox.log()) == 1


@pytest.mark.step("D5", "R3")
def test_of_people_added_in_part_the_list_says_who(sandbox: RunningSandbox, service: Make) -> None:
    sandbox.set(faults=[f"commit_in_part:percent=50,status=502,times=1,{ADD}"])
    one = service()
    rows = [person(n, linkedin_url=url(n)) for n in range(4)]
    assert one.send(body_of(one, *rows)) == Unknown("server_fault", 502)
    list_id = sandbox_list_id(one, MARKER)
    assert [row["linkedin_url"] for row in entries_of(one, list_id)] == [url(0), url(1)]
    assert one.send(body_of(one, *rows[2:])) == Accepted(list_id, None, 200, 2)


def test_a_list_that_was_not_made_is_absent(sandbox: RunningSandbox, service: Make) -> None:
    sandbox.set(faults=[f"server_error:status=500,times=1,{CREATE}"])
    one = service()
    assert one.send(body_of(one, person(1))) == Unknown("server_fault", 500)
    assert one.confirm(MARKER) == Absent()


def test_a_session_that_ends_in_the_middle_is_renewed(sandbox: RunningSandbox, service: Make, tmp_path: Path) -> None:
    """Every token is good for two calls: the list and its first people; a command asks for the next."""
    sandbox.set(lance_token_requests=2)
    ask = tmp_path / "ask.py"
    ask.write_text(
        "import json, urllib.request as r\n"
        f"asked = r.Request({sandbox.url!r} + '/_sandbox/tokens/lance', method='POST')\n"
        "print(json.load(r.urlopen(asked))['token'])\n"
    )
    one = service(api_key_command=f"{sys.executable} {ask}")
    outcomes = [one.send(body_of(one, person(number))) for number in range(4)]
    assert [getattr(outcome, "added_count", outcome) for outcome in outcomes] == [1, 1, 1, 1]
    [arrived] = sandbox.log()
    assert len(arrived.additions) == 4
