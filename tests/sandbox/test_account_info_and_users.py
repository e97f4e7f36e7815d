"""The key, `GET /account-info` and `GET /users`."""

from __future__ import annotations

import pytest

from .client import Client
from .test_reading import walk

PATHS = ["/account-info", "/users", "/lead-lists", "/excluded-emails", "/no-such-path"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer", "Basic amp_test", "amp_test"])
def test_request_without_a_bearer_key_is_a_401(path: str, header: str | None) -> None:
    given = {} if header is None else {"authorization": header}
    reply = Client().call("GET", path, key=None, **given)
    assert reply.status == 401
    assert reply.errors[0]["code"] == "unauthorized"
    assert reply.headers["www-authenticate"] == "Bearer"


def test_api_key() -> None:
    assert Client().call("GET", "/users", key="anything").status == 200
    client = Client({"api_key": "amp_right"})
    assert client.call("GET", "/users", key="amp_right").status == 200
    assert client.call("GET", "/users", key="amp_wrong").status == 401
    assert client.call("POST", "/lead-lists", b"{", key="amp_wrong").status == 401


def test_unauthorized_status_body_and_code() -> None:
    reply = Client({"unauthorized_status": "403", "unauthorized_code": "no_key"}).call("GET", "/users", key=None)
    assert (reply.status, reply.errors[0]["code"]) == (403, "no_key")
    assert Client({"unauthorized_body": "empty"}).call("GET", "/users", key=None).body == b""
    text = Client({"unauthorized_body": "text"}).call("GET", "/users", key=None)
    assert text.headers["content-type"].startswith("text/plain")
    assert b"key" in text.body


def test_account_info_names_the_account() -> None:
    assert Client().get("/account-info").json["name"] == "Northwind"
    reply = Client({"account_name": "Northwind Tools"}).get("/account-info")
    assert reply.json["name"] == "Northwind Tools"
    assert set(reply.json) == {"id", "name"}


def test_unknown_path_and_wrong_method_answer_in_the_envelope() -> None:
    assert Client().get("/v1/lead-lists").errors[0]["code"] == "not_found"
    reply = Client().call("PATCH", "/lead-lists")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST")
    assert reply.errors[0]["code"] == "method_not_allowed"


def test_users_have_the_documented_members() -> None:
    reply = Client().get("/users").json
    dana = reply["users"][0]
    assert set(dana) == {"id", "name", "email", "status", "role", "mailboxes"}
    assert (dana["name"], dana["email"], dana["status"], dana["role"]) == (
        "Dana", "dana@northwind.example", "active", "admin",
    )  # fmt: skip
    assert set(dana["mailboxes"][0]) == {"id", "email"}
    assert reply["_links"] == {"self": {"href": "/users?page[size]=20"}}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=inactive", ["Kim"]),
        ("status=active", ["Dana", "Lee", "Priya", "Tomas", "Yemi"]),
        ("role=admin", ["Dana"]),
        ("email=lee@northwind.example", ["Lee"]),
        ("email=LEE@northwind.example", []),
        ("status=active&role=sales_rep", ["Lee", "Priya", "Tomas", "Yemi"]),
        ("status=asleep", []),
    ],
)
def test_users_are_filtered(query: str, names: list[str]) -> None:
    assert [user["name"] for user in Client().get(f"/users?{query}").json["users"]] == names


def test_user_page_size() -> None:
    users = [f"user{number}@acme.example" for number in range(45)]
    client = Client({"users": users})
    assert [len(page) for page in walk(client, "/users", "users")] == [20, 20, 5]
    pages = walk(Client({"users": users, "user_page_size": 30}), "/users?role=sales_rep", "users")
    assert [user["email"] for page in pages for user in page] == users
    assert len(pages) == 2
