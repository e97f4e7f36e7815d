"""`GET /lead-lists/{id}`: life cycle, entries, paging, enrichment."""

from __future__ import annotations

from typing import Any

import pytest

from .client import LINKEDIN, PAID, Client, people

ENRICHED = ("person_id", "first_name", "last_name", "industry", "email_validation_result")


def walk(client: Client, path: str, rows: str) -> list[list[Any]]:
    """Follow `next` to the end, then `prev` back to the start, and return the pages of the way there."""
    there, back = [], []
    following: str | None = path
    document: dict[str, Any] = {}
    while following:
        document = client.get(following).json
        there.append(document[rows])
        following = document["_links"].get("next", {}).get("href")
    while preceding := document["_links"].get("prev", {}).get("href"):
        document = client.get(preceding).json
        back.append(document[rows])
    assert [*back[::-1], there[-1]] == there
    return there


def finished(switches: dict[str, Any], leads: list[Any], **members: Any) -> list[dict[str, Any]]:
    client = Client(switches)
    list_id = client.create(leads, **members).json["id"]
    client.clock.now_s += 60
    return client.get(f"/lead-lists/{list_id}").json["leads"]


def test_list_goes_from_queued_over_processing_to_completed() -> None:
    client = Client({"queued_seconds": 5, "processing_seconds": 10})
    path = client.create().json["_links"]["self"]["href"]
    seen = []
    for moment in (0, 4.9, 5, 14.9, 15, 900):
        client.clock.now_s = 1_780_000_000 + moment
        shown = client.get(path).json
        seen.append((shown["status"], shown["updated_at"][-3:-1]))
    assert seen == [
        ("queued", "40"), ("queued", "40"), ("processing", "45"), ("processing", "45"), ("completed", "55"),
        ("completed", "55"),
    ]  # fmt: skip


def test_canceled_percent() -> None:
    def ends(percent: int) -> set[str]:
        client = Client({"canceled_percent": percent})
        for _ in range(40):
            client.create()
        client.clock.now_s += 60
        return {row["status"] for row in client.get("/lead-lists?page[size]=100").json["lead_lists"]}

    assert (ends(0), ends(50), ends(100)) == ({"completed"}, {"completed", "canceled"}, {"canceled"})


@pytest.mark.parametrize("order", ["sent", "mixed"])
def test_entry_order_mixes_the_leads_over_all_pages_and_keeps_each_once(order: str) -> None:
    client = Client({"entry_order": order, "entry_page_size": 2})
    path = client.create(people(5)).json["_links"]["self"]["href"]
    shown = [entry["linkedin_url"] for page in walk(client, path, "leads") for entry in page]
    sent = [lead["linkedin_url"] for lead in people(5)]
    assert shown == (sent if order == "sent" else sent[::-1])


def test_unknown_list_is_a_404() -> None:
    assert Client().get("/lead-lists/0199c3d4-0001-7abc-8def-1234567890ab").errors[0]["code"] == "not_found"


@pytest.mark.parametrize(
    ("form", "expected"), [("seconds", "7"), ("date", "Thu, 28 May 2026 20:26:47 GMT"), ("none", None)]
)
def test_poll_retry_after(form: str, expected: str | None) -> None:
    client = Client({"poll_retry_after": form, "poll_retry_after_seconds": 7})
    path = client.create().json["_links"]["self"]["href"]
    assert client.get(path).headers.get("retry-after") == expected
    client.clock.now_s += 60
    assert "retry-after" not in client.get(path).headers


def test_poll_retry_after_completed() -> None:
    client = Client({"poll_retry_after_completed": True})
    path = client.create().json["_links"]["self"]["href"]
    client.clock.now_s += 60
    assert client.get(path).headers["retry-after"] == "1"


def test_entries_come_in_pages_of_100_with_links_both_ways() -> None:
    client = Client()
    list_id = client.create(people(250)).json["id"]
    path = f"/lead-lists/{list_id}"
    pages = walk(client, path, "leads")
    assert [len(page) for page in pages] == [100, 100, 50]
    assert [entry["data"]["crm_id"] for page in pages for entry in page] == [f"A-{number}" for number in range(250)]
    ids = [entry["id"] for page in pages for entry in page]
    assert ids == sorted(set(ids))
    assert client.get(path).json["_links"] == {
        "self": {"href": f"{path}?page[size]=100"},
        "next": {"href": f"{path}?page[size]=100&page[after]={ids[99]}"},
    }


def test_entry_page_size() -> None:
    client = Client({"entry_page_size": 3})
    path = client.create(people(7)).json["_links"]["self"]["href"]
    assert [len(page) for page in walk(client, path, "leads")] == [3, 3, 1]
    assert [len(page) for page in walk(client, f"{path}?page[size]=4", "leads")] == [4, 3]


def test_pages_run_across_additions() -> None:
    client = Client()
    list_id = client.create(people(70)).json["id"]
    client.add(list_id, people(70, start=70))
    pages = walk(client, f"/lead-lists/{list_id}?page[size]=50", "leads")
    assert [entry["data"]["crm_id"] for page in pages for entry in page] == [f"A-{number}" for number in range(140)]


def test_percent_encoded_brackets_are_understood() -> None:
    client = Client()
    path = client.create(people(3)).json["_links"]["self"]["href"]
    assert len(client.get(f"{path}?page%5Bsize%5D=2").json["leads"]) == 2


@pytest.mark.parametrize(
    "query", ["page[size]=0", "page[size]=-1", "page[size]=x", "page[size]=", "page[after]=x", "page[before]=1"]
)
def test_bad_page_parameters_are_refused_by_name(query: str) -> None:
    client = Client()
    path = client.create().json["_links"]["self"]["href"]
    for listing in (path, "/lead-lists", "/users", "/excluded-domains"):
        reply = client.get(f"{listing}?{query}")
        assert reply.status == 400
        assert reply.errors[0]["source"] == {"parameter": query.partition("=")[0]}


def test_page_size_limit_and_page_size_over_limit() -> None:
    client = Client({"page_size_limit": 5})
    path = client.create(people(9)).json["_links"]["self"]["href"]
    assert len(client.get(f"{path}?page[size]=5").json["leads"]) == 5
    assert client.get(f"{path}?page[size]=6").status == 400
    clamping = Client({"page_size_limit": 5, "page_size_over_limit": "clamp"})
    path = clamping.create(people(9)).json["_links"]["self"]["href"]
    assert len(clamping.get(f"{path}?page[size]=6").json["leads"]) == 5
    assert Client().get("/lead-lists?page[size]=100").status == 200
    assert Client().get("/lead-lists?page[size]=101").status == 400


def test_entries_while_open() -> None:
    for choice, count in (("all", 2), ("none", 0)):
        client = Client({"entries_while_open": choice})
        path = client.create(people(2)).json["_links"]["self"]["href"]
        assert len(client.get(path).json["leads"]) == count
        client.clock.now_s += 60
        assert len(client.get(path).json["leads"]) == 2


def test_entry_is_null_where_nothing_is_known_until_enriched() -> None:
    client = Client({"found_percent": 100})
    lead = {"linkedin_url": f"{LINKEDIN}sam-okafor", "title": "Buyer", "crm_id": "A-1"}
    path = client.create([lead], options=PAID).json["_links"]["self"]["href"]
    (early,) = client.get(path).json["leads"]
    assert early == {
        "id": early["id"], "object": "lead_list_entry", "email": None, "person_id": None,
        "linkedin_url": f"{LINKEDIN}sam-okafor", "linkedin": f"{LINKEDIN}sam-okafor", "first_name": None,
        "last_name": None, "company_name": None, "company_domain": None, "industry": None, "title": "Buyer",
        "email_validation_result": None, "data": {"crm_id": "A-1"},
    }  # fmt: skip
    client.clock.now_s += 60
    (late,) = client.get(path).json["leads"]
    assert (late["first_name"], late["last_name"], late["title"]) == ("Sam", "Okafor", "Buyer")
    assert all(late[name] for name in (*ENRICHED, "email", "company_name", "company_domain"))
    assert late["email_validation_result"]["object"] == "email_validation_result"
    assert late["email_validation_result"]["email"] == late["email"]


def test_nothing_is_enriched_that_was_not_asked_for() -> None:
    for entry in finished({"found_percent": 100, "phone_percent": 100}, people(20)):
        assert all(entry[name] is None for name in ENRICHED)
        assert "phone_numbers" not in entry


def test_enrichment_depends_on_seed_and_lead_alone() -> None:
    one, same, other = (finished({"seed": seed}, people(50), options=PAID) for seed in (1, 1, 2))
    assert one == same
    assert [entry["person_id"] for entry in one] != [entry["person_id"] for entry in other]


def test_found_percent() -> None:
    def found(percent: int) -> int:
        return sum(
            entry["person_id"] is not None for entry in finished({"found_percent": percent}, people(100), options=PAID)
        )

    assert (found(0), found(100)) == (0, 100)
    assert 20 < found(50) < 80


def test_phone_percent() -> None:
    def phones(percent: int) -> list[dict[str, Any]]:
        entries = finished({"found_percent": 100, "phone_percent": percent}, people(50), options=PAID)
        return [number for entry in entries for number in entry["phone_numbers"]]

    assert phones(0) == []
    assert len(phones(100)) == 50
    assert {"object", "id", "number", "type", "source"} == set(phones(100)[0])


def test_deliverable_percent() -> None:
    def results(percent: int) -> set[str]:
        leads = [{"email": f"p{number}@north.example"} for number in range(80)]
        entries = finished({"deliverable_percent": percent}, leads, type="email", options=PAID)
        return {entry["email_validation_result"]["result"] for entry in entries}

    assert results(100) == {"deliverable"}
    assert results(0) == {"risky", "undeliverable", "unknown"}


def test_canceled_list_is_not_enriched() -> None:
    assert all(entry["person_id"] is None for entry in finished({"canceled_percent": 100}, people(20), options=PAID))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("extras", {"crm_id": "A-0"}),
        ("all", {"crm_id": "A-0", "linkedin_url": f"{LINKEDIN}person-0"}),
        ("nothing", {}),
    ],
)
def test_data_holds(choice: str, expected: dict[str, str]) -> None:
    assert finished({"data_holds": choice}, people(1))[0]["data"] == expected
