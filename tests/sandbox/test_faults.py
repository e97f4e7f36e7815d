"""Which calls a fault strikes, and the faults that can be seen without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from target_amplemarket.sandbox import Fault, switches_from
from target_amplemarket.sandbox.faults import KINDS

from .client import Client, people
from .test_listing import names, with_lists


def struck(fault: str, count: int = 10, **switches: Any) -> list[int]:
    client = Client({"faults": fault} | switches)
    return [number for number in range(1, count + 1) if client.get("/account-info").status != 200]


def test_schedule() -> None:
    assert struck("server_error") == list(range(1, 11))
    assert struck("server_error:times=2") == [1, 2]
    assert struck("server_error:every=3") == [3, 6, 9]
    assert struck("server_error:every=3,times=2") == [3, 6]
    assert struck("server_error:skip=8") == [9, 10]
    assert struck("server_error:skip=1,every=4") == [5, 9]
    assert struck("server_error:probability=0") == []


def test_probability_is_drawn_from_the_seed() -> None:
    first, again = (struck("server_error:probability=0.3", 200, seed=5) for _ in range(2))
    assert first == again
    assert 30 < len(first) < 90
    assert struck("server_error:probability=0.3", 200, seed=6) != first


@pytest.mark.parametrize(
    ("endpoint", "struck_calls"),
    [
        ("*", {"create", "add", "read", "list"}),
        ("POST *", {"create", "add"}),
        ("POST /lead-lists", {"create"}),
        ("* /lead-lists", {"create", "list"}),
        ("/lead-lists", {"create", "list"}),
        ("GET /lead-lists/{id}", {"read"}),
        ("POST /lead-lists/{id}/leads", {"add"}),
    ],
)
def test_endpoint(endpoint: str, struck_calls: set[str]) -> None:
    client = Client()
    list_id = client.create().json["id"]
    client.world.set({"faults": [{"kind": "server_error", "endpoint": endpoint}]})
    statuses = {
        "create": client.create().status,
        "add": client.add(list_id, people(1)).status,
        "read": client.get(f"/lead-lists/{list_id}").status,
        "list": client.get("/lead-lists").status,
    }
    assert {name for name, status in statuses.items() if status == 500} == struck_calls


def test_the_first_fault_that_is_due_strikes_alone() -> None:
    client = Client({"faults": "server_error:status=502,times=1; server_error:status=503,times=1"})
    assert [client.get("/users").status for _ in range(3)] == [502, 503, 200]


def test_refused_calls_use_up_no_fault() -> None:
    client = Client({"faults": "server_error:times=1"})
    assert client.call("GET", "/users", key=None).status == 401
    assert client.get("/users").status == 500


def test_late_commit_happens_when_its_time_has_come() -> None:
    client = Client({"faults": "late_commit:seconds=30"})
    with pytest.raises(ConnectionResetError):  # no socket here that could be reset
        client.create(people(2))
    assert client.commits() == []
    assert client.world.pending_count == 1
    client.clock.now_s += 29.9
    assert client.get("/lead-lists").json["lead_lists"] == []
    client.clock.now_s += 10
    (row,) = client.get("/lead-lists").json["lead_lists"]
    assert row["created_at"] == "2026-05-28T20:27:10Z"
    assert client.commits()[0].leads.all() == people(2)
    seen = client.world.journal.requests[0]
    assert (seen.fault, seen.status, seen.is_committed, seen.list_id) == ("late_commit", None, True, row["id"])


def test_late_commit_of_a_bad_request_never_happens() -> None:
    client = Client({"faults": "late_commit:seconds=1"})
    with pytest.raises(ConnectionResetError):
        client.create([{}])
    client.clock.now_s += 60
    assert client.commits() == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_error_commits_nothing(status: int) -> None:
    client = Client({"faults": f"server_error:status={status},times=1"})
    assert client.create().status == status
    assert client.commits() == []
    assert client.create().status == 202


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_error_after_commit_has_committed(status: int) -> None:
    client = Client({"faults": f"server_error_after_commit:status={status},times=1"})
    reply = client.create(people(2))
    assert reply.status == status
    assert reply.errors[0]["detail"] == "Something went wrong."
    assert client.commits()[0].leads.all() == people(2)


@pytest.mark.parametrize(
    ("form", "expected"), [("seconds", "9"), ("date", "Thu, 28 May 2026 20:26:49 GMT"), ("none", None)]
)
def test_rate_limited(form: str, expected: str | None) -> None:
    client = Client({"faults": f"rate_limited:retry_after={form},seconds=9"})
    reply = client.create()
    assert (reply.status, reply.headers.get("retry-after")) == (429, expected)
    assert client.commits() == []


def test_redirect_points_to_another_host() -> None:
    client = Client({"faults": "redirect:status=308"})
    reply = client.create()
    assert (reply.status, reply.headers["location"]) == (308, "https://elsewhere.example/lead-lists")
    assert client.commits() == []


def test_not_json_has_committed_under_a_right_status() -> None:
    client = Client({"faults": "not_json"})
    reply = client.create()
    assert (reply.status, reply.headers["content-type"]) == (202, "text/html; charset=utf-8")
    assert reply.body.startswith(b"<!doctype html>")
    assert len(client.commits()) == 1


def test_without_id_has_committed() -> None:
    client = Client({"faults": "without_id"})
    reply = client.create(name="N")
    assert (reply.status, reply.json["name"], "id" in reply.json) == (202, "N", False)
    assert len(client.commits()) == 1
    wrapped = Client({"faults": "without_id", "list_wrapped": True}).create()
    assert "id" not in wrapped.json["lead_list"]


def test_stale_listing_hides_young_lists() -> None:
    client = with_lists(3, faults="stale_listing:seconds=3")
    assert names(client) == ["L0"]
    client.clock.now_s += 1
    assert names(client) == ["L1", "L0"]
    newest = client.commits()[2].list_id
    assert client.get(f"/lead-lists/{newest}").status == 200


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_listing_error(status: int) -> None:
    client = with_lists(1, faults=f"listing_error:status={status},times=1")
    assert client.get("/lead-lists").status == status
    assert client.get("/lead-lists").status == 200


def test_listing_missing_page_jumps_over_one() -> None:
    assert names(with_lists(6), "?page[size]=2") == ["L5", "L4", "L3", "L2", "L1", "L0"]
    client = with_lists(6, faults="listing_missing_page:times=1")
    first = client.get("/lead-lists?page[size]=2").json
    assert [row["name"] for row in first["lead_lists"]] == ["L5", "L4"]
    following = client.get(first["_links"]["next"]["href"]).json
    assert [row["name"] for row in following["lead_lists"]] == ["L1", "L0"]
    short = with_lists(3, faults="listing_missing_page:times=1").get("/lead-lists?page[size]=2").json
    assert "next" not in short["_links"]


def test_listing_same_page_never_ends() -> None:
    client = with_lists(4, faults="listing_same_page")
    path = "/lead-lists?page[size]=2"
    for _ in range(5):
        document = client.get(path).json
        assert [row["name"] for row in document["lead_lists"]] == ["L3", "L2"]
        path = document["_links"]["next"]["href"]
    empty = Client({"faults": "listing_same_page"}).get("/lead-lists").json
    assert empty["_links"]["next"]["href"].startswith("/lead-lists?")


def test_listing_renamed() -> None:
    client = with_lists(2, faults="listing_renamed:times=1")
    assert [row["name"] for row in client.get("/lead-lists").json["lead_lists"]] == ["Renamed list 1", "Renamed list 2"]
    assert names(client) == ["L1", "L0"]


def test_request_log_names_the_fault() -> None:
    client = Client({"faults": "server_error_after_commit:times=1"})
    client.create()
    client.get("/users")
    one, other = client.world.journal.requests
    assert (one.fault, one.status, one.is_committed) == ("server_error_after_commit", 500, True)
    assert (other.fault, other.status, other.is_committed) == (None, 200, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server_eror", "did you mean 'server_error'"),
        ("server_error:status=200", "status must be between 300 and 599"),
        ("server_error:status=x", "'status' cannot be 'x'"),
        ("server_error:statsu=500", "did you mean 'status'"),
        ("server_error:seconds=5", "has no parameter 'seconds'"),
        ("server_error:status", "is not name=value"),
        ("server_error:times=0", "times must be at least 1"),
        ("server_error:every=0", "every must be at least 1"),
        ("server_error:skip=-1", "skip must not be negative"),
        ("server_error:probability=2", "probability must be between 0 and 1"),
        ("hang:seconds=-1", "seconds must not be negative"),
        ("drip:bytes=-1", "bytes must not be negative"),
        ("late_commit:then=explode", "then must be one of reset, hang, close"),
        ("rate_limited:retry_after=soon", "retry_after must be one of"),
    ],
)
def test_faults_that_cannot_be_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server_error:endpoint=POST /lead-list", "no endpoint matches 'POST /lead-list'.*POST /lead-lists/{id}/leads"),
        ("server_error:endpoint=FETCH /lead-lists", "no endpoint"),
        ("listing_renamed:endpoint=GET /users", "strikes no other endpoint than GET /lead-lists"),
        ("commit_in_part:endpoint=POST /lead-lists", "strikes no other endpoint than POST /lead-lists/{id}/leads"),
    ],
)
def test_faults_that_could_strike_nothing_are_refused_and_change_nothing(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Client({"faults": text})
    client = Client({"faults": "hang:times=1"})
    before = client.get("/_sandbox/switches").json
    with pytest.raises(ValueError, match=message):
        client.world.set({"faults": text, "seed": 9})
    with pytest.raises(ValueError, match=message):
        client.world.reset(switches_from({"faults": text}))
    reply = client.call("PATCH", "/_sandbox/switches", {"faults": text})
    assert reply.status == 400
    assert client.get("/_sandbox/switches").json == before


def test_a_fault_without_an_endpoint_strikes_the_calls_it_is_made_for() -> None:
    client = Client({"faults": "server_error_after_commit"})
    assert [client.create().status, client.get("/lead-lists").status] == [500, 200]
    assert client.call("DELETE", "/excluded-domains", {"excluded_domains": []}).status == 500


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_commit_in_part_commits_the_first_leads_of_an_addition(percent: int) -> None:
    client = Client()
    list_id = client.create(people(1)).json["id"]
    client.world.set({"faults": f"commit_in_part:percent={percent},status=502,times=1"})
    assert client.add(list_id, people(4, start=1)).status == 502
    assert client.commits()[1].leads.all() == people(4, start=1)[: 4 * percent // 100]
    assert client.add(list_id, people(1)).status == 202


def test_late_commit_may_answer_with_an_error_at_once() -> None:
    client = Client({"faults": "late_commit:seconds=9,then=error,times=1"})
    assert client.create(people(2)).status == 504
    assert client.commits() == []
    client.clock.now_s += 9
    assert len(client.commits()) == 1


def test_fault_from_text_from_members_and_in_code_are_the_same() -> None:
    expected = Fault("server_error_after_commit", status=502, times=1)
    assert Fault.parse("server_error_after_commit:status=502,times=1") == expected
    assert Fault.from_members({"kind": "server_error_after_commit", "status": "502", "times": 1}) == expected
    assert switches_from({"faults": [expected]}).faults == (expected,)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_does_and_can_be_made_of_its_name(kind: str) -> None:
    assert KINDS[kind].says
    assert Fault.parse(kind).kind == kind
