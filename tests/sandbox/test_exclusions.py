"""The exclusion lists."""

from __future__ import annotations

from typing import Any

import pytest

from .client import Client, Reply
from .test_reading import walk

KINDS = [("domain", "rival.example", "Other.example"), ("email", "sam@rival.example", "Kim@other.example")]


def change(client: Client, method: str, kind: str, *values: Any) -> Reply:
    rows = [{kind: value} for value in values]
    return client.call(method, f"/excluded-{kind}s", {f"excluded_{kind}s": rows})


@pytest.mark.parametrize(("kind", "one", "other"), KINDS)
def test_values_come_and_go_with_a_status_each(kind: str, one: str, other: str) -> None:
    client = Client()
    member, path = f"excluded_{kind}s", f"/excluded-{kind}s"
    reply = change(client, "POST", kind, one, other, one.upper())
    assert (reply.status, [row["status"] for row in reply.json[member]]) == (
        200, ["success", "success", "already_excluded"],
    )  # fmt: skip
    shown = client.get(path).json
    assert shown == {
        member: [
            {
                kind: value.lower(), "source": "amplemarket", "date_added": "2026-05-28T20:26:40.000Z",
                "excluded_reason": "api",
            }
            for value in (one, other)
        ],
        "_links": {"self": {"href": f"{path}?size=2000"}},
    }  # fmt: skip
    gone = change(client, "DELETE", kind, one, one)
    assert [row["status"] for row in gone.json[member]] == ["success", "not_found"]
    assert [row[kind] for row in client.get(path).json[member]] == [other.lower()]


def test_exclusion_page_size() -> None:
    for switches, sizes in (({}, [2000, 1]), ({"exclusion_page_size": 1500}, [1500, 501])):
        client = Client(switches)
        change(client, "POST", "domain", *(f"d{number}.example" for number in range(2001)))
        assert [len(page) for page in walk(client, "/excluded-domains", "excluded_domains")] == sizes
    assert len(client.get("/excluded-domains?size=7").json["excluded_domains"]) == 7
    assert client.get("/excluded-domains?size=1501").status == 400


def test_exclusions_per_call() -> None:
    client = Client({"exclusions_per_call": 2})
    assert change(client, "POST", "domain", "a.example", "b.example").status == 200
    assert change(client, "POST", "domain", "c.example", "d.example", "e.example").pointer == "/excluded_domains"


def test_exclusion_status_member() -> None:
    client = Client({"exclusion_status_member": "result"})
    assert change(client, "POST", "email", "a@b.example").json["excluded_emails"][0] == {
        "email": "a@b.example",
        "result": "success",
    }


def test_exclusion_reasons() -> None:
    client = Client({"exclusion_reasons": True})
    change(client, "POST", "domain", "a.example")
    assert client.get("/excluded-domains").json["excluded_domains"][0]["excluded_reasons"] == ["api"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/excluded_domains"),
        ({"excluded_domains": 1}, "/excluded_domains"),
        ({"excluded_domains": [1]}, "/excluded_domains/0"),
        ({"excluded_domains": [{"domain": "a.example"}, {"domain": 1}]}, "/excluded_domains/1/domain"),
        ({"excluded_domains": [{"domain": "a@b.example"}]}, "/excluded_domains/0/domain"),
        ({"excluded_domains": [{}]}, "/excluded_domains/0/domain"),
        ({"excluded_domains": [], "more": 1}, "/more"),
        (b"{", None),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_bad_bodies_are_refused_at_their_place(method: str, body: Any, pointer: str | None) -> None:
    client = Client()
    reply = client.call(method, "/excluded-domains", body)
    assert (reply.status, reply.pointer) == (400, pointer)
    assert client.get("/excluded-domains").json["excluded_domains"] == []


@pytest.mark.parametrize("domain", ["a b", "a\u00a0b", "x@y", " ", ""])
def test_what_is_no_domain_is_refused(domain: str) -> None:
    reply = Client().call("POST", "/excluded-domains", {"excluded_domains": [{"domain": domain}]})
    assert (reply.status, reply.pointer) == (400, "/excluded_domains/0/domain")
