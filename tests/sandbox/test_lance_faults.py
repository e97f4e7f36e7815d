"""Faults on purpose in Lance's calls, seen in-process and from a real socket."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox, running_sandbox, switches_from

from .client import people
from .lance import BALANCE, ENTITIES, LISTS, LanceClient, error_of, list_body, prospects
from .test_transport import HEADERS, connected, post

ADD = f"POST {LISTS}/{{id}}/add-prospects"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def sandbox(server: RunningSandbox) -> RunningSandbox:
    server.reset(switches_from({"lance_known_percent": 100}))
    return server


def ask(sandbox: RunningSandbox, method: str, path: str, body: Any = None, timeout_s: float = 5.0) -> tuple[int, Any]:
    with connected(sandbox, timeout_s) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), HEADERS)
        with connection.getresponse() as response:
            return response.status, json.loads(response.read() or b"null")


def made(sandbox: RunningSandbox, name: str = "Webinar") -> str:
    return str(ask(sandbox, "POST", LISTS, list_body(name=name))[1]["id"])


def put(sandbox: RunningSandbox, list_id: str, sent: list[Any], timeout_s: float = 5.0) -> tuple[int, Any]:
    return ask(sandbox, "POST", f"{LISTS}/{list_id}/add-prospects", {"prospects": sent}, timeout_s)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 403, 404])
def test_errors_before_the_commit(status: int) -> None:
    client = LanceClient()
    list_id = client.made()
    client.world.set({"faults": f"server_error:status={status},times=1,endpoint={ADD}"})
    codes = {403: "FORBIDDEN", 404: "NOT_FOUND"}
    assert error_of(client.put(list_id, prospects(1))) == (status, codes.get(status, "INTERNAL_ERROR"))
    assert len(client.commits()) == 1
    assert client.put(list_id, prospects(1)).json == {"addedCount": 1}


@pytest.mark.parametrize("status", [500, 502])
def test_errors_after_the_commit(status: int) -> None:
    client = LanceClient()
    list_id = client.made()
    client.world.set({"faults": f"server_error_after_commit:status={status},times=1"})
    assert error_of(client.put(list_id, prospects(2))) == (status, "INTERNAL_ERROR")
    assert client.commits()[1].leads.all() == prospects(2)


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_rate_limited(form: str) -> None:
    client = LanceClient({"faults": f"rate_limited:retry_after={form},seconds=9"})
    reply = client.call("POST", LISTS, list_body())
    assert error_of(reply) == (429, "RATE_LIMITED")
    assert (reply.headers.get("retry-after") is None) == (form == "none")
    assert client.commits() == []


def test_faults_strike_by_endpoint_and_by_what_a_call_does() -> None:
    def struck(fault: str) -> set[str]:
        client = LanceClient()
        list_id = client.made()
        client.world.set({"faults": fault})
        replies = {
            "create": client.call("POST", LISTS, list_body()), "list": client.get(LISTS),
            "read": client.get(f"{LISTS}/{list_id}"), "add": client.put(list_id, []),
            "update": client.call("PATCH", f"{LISTS}/{list_id}", {}), "search": client.search("x"),
            "balance": client.get(BALANCE), "delete": client.call("DELETE", f"{LISTS}/{list_id}"),
        }  # fmt: skip
        return {name for name, reply in replies.items() if reply.status >= 500}

    assert struck(f"server_error:endpoint=GET {LISTS}/{{id}}") == {"read"}
    assert struck(f"server_error:endpoint=* {LISTS}/{{id}}") == {"read", "update", "delete"}
    assert struck("server_error:endpoint=DELETE *") == {"delete"}
    assert struck("server_error_after_commit") == {"create", "add", "update", "delete"}
    assert struck("listing_error") == {"list"}
    assert struck("commit_in_part") == {"add"}
    assert struck(f"server_error:endpoint=POST {ENTITIES}/prospects/person") == {"search"}


def test_stale_listing() -> None:
    client = LanceClient({"faults": "stale_listing:seconds=3"})
    client.made(name="Old")
    client.clock.now_s += 3
    young = client.made(name="Young")
    assert [row["name"] for row in client.get(LISTS).json] == ["Old"]
    assert client.read(young)["name"] == "Young"


def test_a_listing_that_lacks_rows_or_renames_them() -> None:
    client = LanceClient()
    for number in range(4):
        client.made(name=f"L{number}")
    client.world.set({"faults": "listing_missing_page:times=1; listing_renamed:times=1"})
    told = [[row["name"] for row in client.get(LISTS).json] for _ in range(3)]
    assert told[0] == ["L3", "L2"]
    assert told[1] == [f"Renamed list {number}" for number in (1, 2, 3, 4)]
    assert told[2] == ["L3", "L2", "L1", "L0"]


def test_stale_reading() -> None:
    client = LanceClient({"lance_known_percent": 100})
    list_id = client.made()
    client.put(list_id, [client.found(0)])
    client.clock.now_s += 10
    client.put(list_id, [client.found(1)])
    client.world.set({"faults": "stale_reading:seconds=5"})
    document = client.read(list_id)
    assert (len(document["personIds"]), len(document["persons"])) == (1, 1)
    assert len(client.get(f"{ENTITIES}/leads/list/{list_id}").json) == 1
    client.clock.now_s += 5
    assert len(client.read(list_id)["persons"]) == 2


def test_without_id_and_not_json() -> None:
    client = LanceClient({"faults": "without_id:times=1; not_json:times=1"})
    reply = client.call("POST", LISTS, list_body())
    assert (reply.status, "id" in reply.json) == (200, False)
    assert client.call("POST", LISTS, list_body()).body.startswith(b"<!doctype html>")
    assert len(client.commits()) == 2


@pytest.mark.parametrize(("percent", "count"), [(0, 0), (50, 2), (75, 3), (100, 4)])
def test_a_part_of_the_people_is_committed_and_then_it_fails(percent: int, count: int) -> None:
    client = LanceClient()
    list_id = client.made()
    client.world.set({"faults": f"commit_in_part:percent={percent},status=502,times=1"})
    assert error_of(client.put(list_id, prospects(4))) == (502, "INTERNAL_ERROR")
    assert client.commits()[1].leads.all() == prospects(4)[:count]
    assert len(client.read(list_id)["persons"]) == count
    companies = client.made(type="company")
    client.world.set({"faults": f"commit_in_part:percent={percent},times=1"})
    assert client.put_companies(companies, client.company_ids(4)).status == 500
    assert client.read(companies)["companyIds"] == client.company_ids(4)[:count]


def test_what_is_refused_is_refused_also_under_a_fault_of_the_commit() -> None:
    client = LanceClient()
    list_id = client.made()
    client.world.set({"faults": "commit_in_part"})
    assert error_of(client.put(list_id, [{}])) == (400, "BAD_REQUEST")
    assert len(client.commits()) == 1


def test_a_commit_that_comes_too_late_for_its_list_never_happens() -> None:
    client = LanceClient()
    list_id = client.made()
    client.world.set({"faults": f"late_commit:seconds=9,then=error,status=504,endpoint={ADD}"})
    assert error_of(client.put(list_id, prospects(1))) == (504, "INTERNAL_ERROR")
    client.call("DELETE", f"{LISTS}/{list_id}")
    client.clock.now_s += 9
    assert [commit.kind for commit in client.commits()] == ["create", "delete"]
    assert client.world.journal.requests[1].is_committed is False


def test_late_commits_of_additions_arrive() -> None:
    client = LanceClient()
    list_id = client.made()
    client.world.set({"faults": f"late_commit:seconds=9,then=error,endpoint={ADD}"})
    client.put(list_id, prospects(2))
    assert client.read(list_id)["persons"] == []
    client.clock.now_s += 9
    assert client.commits()[1].leads.all() == prospects(2)


@pytest.mark.parametrize(
    ("fault", "count"),
    [
        ("reset_before_reading:times=1", 0),
        ("reset_mid_body:bytes=10,times=1", 0),
        ("reset_after_commit:times=1", 4),
        ("close_after_commit:times=1", 4),
        ("commit_in_part:then=reset,times=1", 2),
        ("commit_in_part:then=close,percent=25,times=1", 1),
    ],
)
def test_connections_that_end_badly(sandbox: RunningSandbox, fault: str, count: int) -> None:
    list_id = made(sandbox)
    sandbox.set(faults=[fault])
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        put(sandbox, list_id, prospects(4))
    (arrived,) = sandbox.log()
    assert arrived.leads == prospects(4)[:count]
    assert [person["lastName"] for person in arrived.persons] == [f"Okafor {number}" for number in range(count)]


@pytest.mark.parametrize(("fault", "count"), [("hang", 0), ("hang_after_commit", 2), ("late_commit:then=hang", 0)])
def test_calls_that_hang(sandbox: RunningSandbox, fault: str, count: int) -> None:
    list_id = made(sandbox)
    sandbox.set(faults=[fault])
    with pytest.raises(TimeoutError):
        put(sandbox, list_id, prospects(2), timeout_s=0.3)
    assert sandbox.log()[0].lead_count == count


def test_answers_that_come_slowly_or_break_off(sandbox: RunningSandbox) -> None:
    list_id = made(sandbox)
    sandbox.set(faults=["drip:bytes=4,seconds=0.01,times=1", "truncated_answer:bytes=5,times=1"])
    assert put(sandbox, list_id, prospects(1)) == (200, {"addedCount": 1})
    with pytest.raises(http.client.IncompleteRead):
        put(sandbox, list_id, prospects(1, start=1))
    assert len(sandbox.log()[0].persons) == 2


def test_latency_is_for_every_api(sandbox: RunningSandbox) -> None:
    sandbox.set(latency_ms=300)
    with pytest.raises(TimeoutError):
        ask(sandbox, "GET", BALANCE, timeout_s=0.1)


def test_the_log_proves_who_was_added_by_two_calls(sandbox: RunningSandbox) -> None:
    """What a test of delivery asks: for each list name its id, its calls, and whom each committed."""
    list_id = made(sandbox, "Webinar [AAAA]")
    url = prospects(1)[0]["linkedinUrl"]
    contact = {"socialMediaLink": {"any": {"include": [url]}}}
    person = ask(sandbox, "POST", f"{ENTITIES}/prospects/person", {"contact": contact})[1]["content"][0]
    other = prospects(1, start=1)[0]
    put(sandbox, list_id, [person, other])
    put(sandbox, list_id, [person])
    post(sandbox, people(2))
    lance, amplemarket = sandbox.log()
    assert (lance.api, lance.name, lance.id, lance.type) == ("lance", "Webinar [AAAA]", list_id, "person")
    assert [(call.kind, call.leads.all()) for call in lance.calls] == [
        ("create", []), ("add", [person, other]), ("add", [person]),
    ]  # fmt: skip
    assert [call.added_count for call in lance.additions] == [2, 0]
    twice = [one for one, count in Counter(lead.get("id") for lead in lance.leads).items() if one and count > 1]
    assert twice == [person["id"]]
    assert (lance.lead_count, [one["firstName"] for one in lance.persons]) == (3, ["Sam", "Sam"])
    assert (amplemarket.api, amplemarket.leads, amplemarket.persons) == ("amplemarket", people(2), people(2))
    assert lance.committed_s <= amplemarket.committed_s
    ask(sandbox, "DELETE", f"{LISTS}/{list_id}")
    lance = sandbox.log()[0]
    assert (lance.calls[-1].kind, lance.persons, lance.lead_count) == ("delete", [], 3)
    assert sandbox.state()["lists"] == 2


def test_people_of_unknown_ids_and_companies_are_told_by_id() -> None:
    with running_sandbox() as sandbox:
        ask(sandbox, "POST", LISTS, list_body(personIds=["lead_7"]))
        company = ask(sandbox, "POST", f"{ENTITIES}/prospects/company", {"size": 1})[1]["content"][0]
        ask(sandbox, "POST", LISTS, list_body(type="company", companyIds=[company["id"]]))
        one, other = sandbox.log()
        assert [person["id"] for person in one.persons] == ["lead_7"]
        assert other.persons == [company]
        assert other.leads == [{"id": company["id"]}]
