"""`GET /lead-lists`: order, filters, pages, rows."""

from __future__ import annotations

from .client import OWNER, Client
from .test_reading import walk

LEE = "lee@northwind.example"


def with_lists(count: int, **switches: object) -> Client:
    client = Client(switches)
    for number in range(count):
        client.create(name=f"L{number}", owner=LEE if number % 2 else OWNER)
        client.clock.now_s += 1
    return client


def names(client: Client, query: str = "") -> list[str]:
    return [row["name"] for page in walk(client, f"/lead-lists{query}", "lead_lists") for row in page]


def test_list_order() -> None:
    assert names(with_lists(3)) == ["L2", "L1", "L0"]
    assert names(with_lists(3, list_order="oldest")) == ["L0", "L1", "L2"]


def test_lists_of_one_millisecond_keep_their_order() -> None:
    client = Client({"list_order": "oldest"})
    for number in range(50):
        client.create(name=f"L{number}")
    client.clock.now_s -= 5
    client.create(name="L50")
    assert names(client) == [f"L{number}" for number in range(51)]


def test_list_page_size() -> None:
    client = with_lists(45)
    assert [len(page) for page in walk(client, "/lead-lists", "lead_lists")] == [20, 20, 5]
    expected = [f"L{number}" for number in range(44, -1, -1)]
    assert names(client, "?page[size]=7") == expected
    smaller = with_lists(5, list_page_size=2)
    assert [len(page) for page in walk(smaller, "/lead-lists", "lead_lists")] == [2, 2, 1]


def test_links_carry_filters_and_raw_brackets() -> None:
    links = with_lists(6).get(f"/lead-lists?page[size]=2&owner_email={OWNER}").json["_links"]
    assert links["next"]["href"].startswith(f"/lead-lists?owner_email={OWNER}&page[size]=2&page[after]=")
    assert "prev" not in links


def test_empty_listing_has_a_self_link_only() -> None:
    assert Client().get("/lead-lists").json == {
        "lead_lists": [],
        "_links": {"self": {"href": "/lead-lists?page[size]=20"}},
    }


def test_filters() -> None:
    client = with_lists(6)
    lee = next(user["id"] for user in client.get("/users").json["users"] if user["email"] == LEE)
    assert names(client, f"?owner_email={LEE}") == ["L5", "L3", "L1"]
    assert names(client, f"?owner_id={lee}&page[size]=2") == ["L5", "L3", "L1"]
    assert names(client, "?owner_id=nobody") == []
    client.clock.now_s -= 1
    assert names(client, "?status=queued") == ["L5"]
    assert names(client, "?status=processing") == ["L4", "L3"]
    assert names(client, f"?status=completed&owner_email={OWNER}") == ["L2", "L0"]


def test_unknown_parameters() -> None:
    assert with_lists(1).get("/lead-lists?colour=red").status == 200
    client = with_lists(1, unknown_parameters="reject")
    reply = client.get("/lead-lists?colour=red&status=queued")
    assert (reply.status, reply.errors[0]["source"]) == (400, {"parameter": "colour"})
    assert client.get("/lead-lists?status=queued&page[size]=5").status == 200
    assert client.get("/account-info?page[size]=5").status == 400


def test_list_rows() -> None:
    short = with_lists(1).get("/lead-lists").json["lead_lists"][0]
    assert list(short) == [
        "id", "name", "status", "url", "shared", "visible", "owner", "type", "created_at", "updated_at",
    ]  # fmt: skip
    full = with_lists(1, list_rows="full").get("/lead-lists").json["lead_lists"][0]
    assert set(full) - set(short) == {"object", "options", "leads", "_links"}
