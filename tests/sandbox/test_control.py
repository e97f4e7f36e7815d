"""The control endpoints, and who may use them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .client import OWNER, Client, emails, people

CONTROL = [
    ("GET", "/_sandbox/log"), ("GET", "/_sandbox/log.jsonl"), ("GET", "/_sandbox/requests"),
    ("GET", "/_sandbox/switches"), ("PATCH", "/_sandbox/switches"), ("POST", "/_sandbox/reset"),
    ("POST", "/_sandbox/advance"), ("POST", "/_sandbox/tokens/lance"), ("GET", "/_sandbox/state"),
    ("GET", "/_sandbox/openapi.yaml"), ("GET", "/"),
    ("GET", "/_sandbox/lists/x"),
]  # fmt: skip


def log(client: Client, query: str = "") -> Any:
    return client.call("GET", f"/_sandbox/log{query}", key=None).json


def test_log_holds_every_commit_whole() -> None:
    client = Client()
    list_id = client.create(people(2), name="Webinar", visible=True).json["id"]
    client.clock.now_s += 5
    client.add(list_id, people(1, start=2))
    create, add = log(client)["commits"]
    assert create == {
        "number": 1, "api": "amplemarket", "kind": "create", "list_id": list_id, "name": "Webinar", "owner": OWNER,
        "type": "linkedin", "shared": True, "visible": True,
        "options": {"reveal_phone_numbers": False, "validate_email": False, "enrich": False},
        "at_s": 1_780_000_000.0, "request_number": 1, "email_credits": 0.0, "phone_credits": 0.0, "lead_count": 2,
        "leads": people(2),
    }  # fmt: skip
    assert (add["kind"], add["list_id"], add["at_s"], add["leads"]) == (
        "add", list_id, 1_780_000_005.0, people(1, start=2),
    )  # fmt: skip


def test_log_is_paged() -> None:
    client = Client()
    for _ in range(5):
        client.create(emails(1), type="email")
    first = log(client, "?limit=2")
    assert [one["number"] for one in first["commits"]] == [1, 2]
    assert [one["number"] for one in log(client, f"?since={first['next_since']}")["commits"]] == [3, 4, 5]
    assert log(client, "?since=5") == {"commits": [], "next_since": 5}
    assert "leads" not in log(client, "?leads=false")["commits"][0]
    assert client.call("GET", "/_sandbox/log?since=x").status == 400


def test_log_as_lines() -> None:
    client = Client()
    for count in (1, 600, 0):
        client.create(people(count))
    lines = client.call("GET", "/_sandbox/log.jsonl", key=None).body.splitlines()
    assert [json.loads(line) for line in lines] == log(client)["commits"]
    later = client.call("GET", "/_sandbox/log.jsonl?since=2", key=None).body.splitlines()
    assert [json.loads(line)["number"] for line in later] == [3]
    assert client.call("GET", "/_sandbox/log.jsonl?since=x").status == 400


def test_requests_name_what_was_asked_and_never_the_key() -> None:
    client = Client()
    client.call("POST", "/lead-lists", b"{", key="amp_very_secret")
    reply = client.create(people(1))
    client.get("/users?page[size]=3")
    answer = client.call("GET", "/_sandbox/requests", key="amp_very_secret")
    bad, good, users = answer.json["requests"]
    assert (bad["status"], bad["is_committed"], bad["list_id"], bad["body_bytes"]) == (400, False, None, 1)
    assert (good["status"], good["is_committed"], good["list_id"]) == (202, True, reply.json["id"])
    assert good["body_bytes"] > 100
    assert (users["number"], users["method"], users["path"]) == (3, "GET", "/users?page[size]=3")
    assert b"secret" not in answer.body
    assert b"amp_" not in answer.body


def test_requests_kept() -> None:
    client = Client({"requests_kept": 3})
    for _ in range(5):
        client.get("/users")
    assert [one["number"] for one in client.get("/_sandbox/requests").json["requests"]] == [3, 4, 5]
    client.call("PATCH", "/_sandbox/switches", {"requests_kept": 1})
    assert [one["number"] for one in client.get("/_sandbox/requests").json["requests"]] == [5]
    assert client.get("/_sandbox/state").json["requests"] == 5


def test_switches_are_shown_and_changed() -> None:
    client = Client({"name_limit": 40})
    shown = client.get("/_sandbox/switches").json
    assert (shown["name_limit"], shown["requests_per_minute"], shown["faults"]) == (40, 500, [])
    changed = client.call(
        "PATCH", "/_sandbox/switches", {"faults": ["server_error:status=503,times=1"], "name_limit": None}
    )
    assert (changed.json["name_limit"], changed.json["faults"][0]["status"]) == (None, 503)
    assert [client.create().status for _ in range(2)] == [503, 202]
    again = client.call("PATCH", "/_sandbox/switches", client.get("/_sandbox/switches").json)
    assert again.json == changed.json


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name_limti": 4}, "did you mean 'name_limit'"),
        ({"name_limit": -4}, "at least 1"),
        (b"[]", "object"),
        (b"{", ""),
    ],
)
def test_bad_switches_are_refused_and_change_nothing(body: Any, message: str) -> None:
    client = Client()
    before = client.get("/_sandbox/switches").json
    reply = client.call("PATCH", "/_sandbox/switches", body)
    assert reply.status == 400
    assert message in reply.json["error"]
    assert client.get("/_sandbox/switches").json == before


def test_balances_and_users_can_be_set_while_running() -> None:
    client = Client()
    client.call("PATCH", "/_sandbox/switches", {"email_credits": 7, "users": ["new@one.example"]})
    state = client.get("/_sandbox/state").json
    assert (state["email_credits"], state["phone_credits"]) == (7, 100_000)
    assert client.get("/users").json["users"][0]["email"] == "new@one.example"
    client.call("PATCH", "/_sandbox/switches", {"phone_credits": 3})
    state = client.get("/_sandbox/state").json
    assert (state["email_credits"], state["phone_credits"]) == (7, 3)


def test_reset_forgets_what_happened_and_keeps_the_switches() -> None:
    client = Client({"faults": "server_error:times=1", "requests_per_minute": 2, "email_credits": 50})
    path = "/_sandbox/reset"
    assert [client.create(free=False).status for _ in range(3)] == [500, 202, 429]
    client.amplemarket.exclude("domain", "x.example", 0)
    client.world.commit_later(1e12, lambda _: None)
    state = client.call("POST", path, key=None).json
    assert {name: state[name] for name in ("lists", "commits", "requests", "pending_commits", "excluded_domains")} == {
        "lists": 0, "commits": 0, "requests": 0, "pending_commits": 0, "excluded_domains": 0,
    }  # fmt: skip
    assert state["email_credits"] == 50
    assert [client.create(free=False).status for _ in range(3)] == [500, 202, 429]


def test_advance_puts_the_time_forward() -> None:
    client = Client()
    path = client.create().json["_links"]["self"]["href"]
    state = client.call("POST", "/_sandbox/advance", {"seconds": 60}).json
    assert state["now_s"] == 1_780_000_060
    assert client.get(path).json["status"] == "completed"
    for bad in ({}, {"seconds": "x"}, b"1"):
        assert client.call("POST", "/_sandbox/advance", bad).status == 400


def test_state_counts() -> None:
    client = Client()
    client.add(client.create(people(2)).json["id"], people(3))
    state = client.get("/_sandbox/state").json
    assert (state["lists"], state["commits"], state["leads"], state["requests"]) == (1, 2, 5, 2)


def test_contract_is_served() -> None:
    assert client_body("/_sandbox/openapi.yaml").startswith(b"openapi: 3")


def client_body(path: str) -> bytes:
    return Client().get(path).body


@pytest.mark.parametrize(("method", "path"), CONTROL)
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"host": "127.0.0.1.rebound.example:80"},
        {"host": ""},
        {"host": "10.0.0.7:8000"},
        {"host": "[::"},
        {"host": "localhost", "origin": "https://rebound.example"},
        {"host": "localhost", "origin": "null"},
    ],
)
def test_foreign_hosts_and_pages_are_kept_out(method: str, path: str, headers: dict[str, str]) -> None:
    client = Client()
    client.create(name="Hidden")
    reply = client.call(method, path, {"email_credits": 1, "seconds": 9}, **headers)
    assert reply.status == 403
    assert b"Hidden" not in reply.body
    state = client.get("/_sandbox/state").json
    assert (state["lists"], state["email_credits"], state["now_s"]) == (1, 1_000_000, 1_780_000_000)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "127.1.2.3", "[::1]:80", "LOCALHOST"])
def test_loopback_names_are_let_in(host: str) -> None:
    assert Client().call("GET", "/_sandbox/state", key=None, host=host, origin=f"http://{host}").status == 200
