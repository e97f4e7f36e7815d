"""`POST /lead-lists/{id}/leads`."""

from __future__ import annotations

import pytest

from .client import Client, emails, people

NO_SUCH = "0199c3d4-0001-7abc-8def-1234567890ab"


def test_leads_are_added_and_logged_as_a_commit_of_their_own() -> None:
    client = Client()
    list_id = client.create(people(2)).json["id"]
    reply = client.add(list_id, people(3, start=2), type="linkedin")
    assert (reply.status, reply.json["id"], reply.json["leads"]) == (202, list_id, [])
    assert [(one.kind, one.list_id, len(one.leads)) for one in client.commits()] == [
        ("create", list_id, 2),
        ("add", list_id, 3),
    ]
    shown = client.get(f"/lead-lists/{list_id}").json["leads"]
    assert [entry["data"]["crm_id"] for entry in shown] == [f"A-{number}" for number in range(5)]


def test_unknown_list_is_a_404_with_the_switched_code() -> None:
    reply = Client({"not_found_code": "gone_fishing"}).add(NO_SUCH, people(1))
    assert (reply.status, reply.errors[0]["code"]) == (404, "gone_fishing")
    assert Client().add("nonsense", people(1)).errors[0]["code"] == "not_found"


def test_body_is_checked_as_strictly_as_a_create_call() -> None:
    client = Client({"leads_per_call": 3})
    list_id = client.create(people(1)).json["id"]
    path = f"/lead-lists/{list_id}/leads"
    assert client.call("POST", path, {}).errors[0]["code"] == "missing_field"
    assert client.call("POST", path, {"leads": 1}).pointer == "/leads"
    assert client.call("POST", path, b"{").errors[0]["code"] == "invalid_json"
    assert client.add(list_id, people(4)).pointer == "/leads"
    assert client.add(list_id, [{}]).pointer == "/leads/0/linkedin_url"
    assert client.add(list_id, people(1), name="x").pointer == "/name"
    assert client.add(list_id, people(1), type="person").pointer == "/type"
    assert client.add(list_id, people(1), type=1).pointer == "/type"
    assert len(client.commits()) == 1


def test_add_other_type() -> None:
    for choice, status in (("reject", 400), ("accept", 202)):
        client = Client({"add_other_type": choice})
        list_id = client.create(people(1)).json["id"]
        reply = client.add(list_id, emails(1), type="email")
        assert reply.status == status
        if status == 400:
            assert reply.pointer == "/type"


def test_leads_per_list_takes_what_fits_and_then_answers_409() -> None:
    client = Client({"leads_per_list": 5})
    list_id = client.create(people(3)).json["id"]
    assert client.add(list_id, people(4, start=3)).status == 202
    assert client.commits()[1].leads.all() == people(2, start=3)
    full = client.add(list_id, people(1))
    assert (full.status, full.errors[0]["code"]) == (409, "lead_list_full")
    assert len(client.commits()) == 2


def test_the_cap_is_60_000_unless_switched() -> None:
    client = Client()
    list_id = client.create(people(10_000)).json["id"]
    for _ in range(4):
        assert client.add(list_id, people(10_000)).status == 202
    assert client.add(list_id, people(9_999)).status == 202
    assert client.add(list_id, people(2)).status == 202
    assert len(client.commits()[-1].leads) == 1
    assert client.add(list_id, people(1)).status == 409


def test_full_code() -> None:
    client = Client({"leads_per_list": 1, "full_code": "too_many"})
    list_id = client.create(people(1)).json["id"]
    assert client.add(list_id, people(1)).errors[0]["code"] == "too_many"


@pytest.mark.parametrize("status", ["200", "202", "204"])
def test_add_status(status: str) -> None:
    client = Client({"add_status": status})
    reply = client.add(client.create().json["id"], people(1))
    assert reply.status == int(status)
    assert (reply.body == b"") == (status == "204")


def test_add_body() -> None:
    answers = {}
    for form in ("lead_list", "counts", "empty"):
        client = Client({"add_body": form, "leads_per_list": 3})
        answers[form] = client.add(client.create().json["id"], people(4)).body
    assert answers["counts"] == b'{"total":4,"total_added_to_lead_list":2}'
    assert answers["empty"] == b""
    assert b'"object":"lead_list"' in answers["lead_list"]


def test_add_while_open() -> None:
    client = Client({"add_while_open": False})
    list_id = client.create().json["id"]
    assert client.add(list_id, people(1)).status == 409
    client.clock.now_s += 60
    assert client.add(list_id, people(1)).status == 202
    assert Client().add(NO_SUCH, people(1)).status == 404


def test_add_reopens() -> None:
    for reopens, status in ((True, "processing"), (False, "completed")):
        client = Client({"add_reopens": reopens})
        list_id = client.create().json["id"]
        client.clock.now_s += 60
        client.add(list_id, people(1))
        shown = client.get(f"/lead-lists/{list_id}").json
        assert shown["status"] == status
        assert shown["updated_at"] == "2026-05-28T20:27:40Z"
        client.clock.now_s += 60
        assert client.get(f"/lead-lists/{list_id}").json["status"] == "completed"
