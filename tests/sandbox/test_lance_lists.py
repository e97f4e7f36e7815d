"""Lance's lists: creating, telling, reading, changing and deleting them."""

from __future__ import annotations

from typing import Any

import pytest

from target_amplemarket.sandbox.ids import is_uuid

from .lance import ENTITIES, LISTS, NOBODY, LanceClient, error_of, list_body, places, prospects

MEMBERS = {
    "id", "icpId", "name", "type", "startDate", "endDate", "personIds", "companyIds", "userIds", "createdAt",
    "updatedAt",
}  # fmt: skip


def test_a_list_is_answered_whole() -> None:
    reply = LanceClient().call("POST", LISTS, list_body())
    document = reply.json
    assert reply.status == 200
    assert is_uuid(document.pop("id"))
    assert document == {
        "icpId": None,
        "name": "Webinar attendees, week 14",
        "type": "person",
        "startDate": "2026-04-06T00:00:00.000Z",
        "endDate": "2026-06-30T23:59:59.000Z",
        "personIds": [],
        "companyIds": [],
        "userIds": ["user_2dana"],
        "createdAt": "2026-05-28T20:26:40.000Z",
        "updatedAt": "2026-05-28T20:26:40.000Z",
    }


@pytest.mark.parametrize("status", ["200", "201"])
def test_lance_create_status(status: str) -> None:
    assert LanceClient({"lance_create_status": status}).call("POST", LISTS, list_body()).status == int(status)


@pytest.mark.parametrize("name", ["name", "icpId", "startDate", "endDate", "personIds"])
def test_what_a_create_call_must_carry(name: str) -> None:
    client = LanceClient()
    assert places(client.call("POST", LISTS, list_body(**{name: ...}))) == {name}
    assert client.commits() == []


@pytest.mark.parametrize(
    ("member", "place"),
    [
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"type": "people"}, "type"),
        ({"icpId": "icp_1"}, "icpId"),
        ({"startDate": "next week"}, "startDate"),
        ({"endDate": 5}, "endDate"),
        ({"personIds": "x"}, "personIds"),
        ({"personIds": None}, "personIds"),
        ({"personIds": ["a", 5]}, "personIds.1"),
        ({"companyIds": ["x"]}, "companyIds.0"),
    ],
)
def test_members_of_a_create_call_are_checked(member: dict[str, Any], place: str) -> None:
    assert places(LanceClient().call("POST", LISTS, list_body(**member))) == {place}


@pytest.mark.parametrize(
    "member",
    [{"type": "company"}, {"type": "person"}, {"icpId": NOBODY}, {"companyIds": []}, {"startDate": "2026-04-06"}],
)
def test_what_a_create_call_may_carry(member: dict[str, Any]) -> None:
    document = LanceClient().call("POST", LISTS, list_body(**member)).json
    assert {name: document[name] for name in member if name != "startDate"}.items() <= member.items()
    assert document["startDate"] == "2026-04-06T00:00:00.000Z"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5"])
def test_a_body_must_be_an_object(body: bytes) -> None:
    assert error_of(LanceClient().call("POST", LISTS, body)) == (400, "BAD_REQUEST")


def test_lance_dates_reversed() -> None:
    body = list_body(endDate="2026-01-01T00:00:00Z")
    assert LanceClient().call("POST", LISTS, body).status == 200
    assert places(LanceClient({"lance_dates_reversed": "refuse"}).call("POST", LISTS, body)) == {"endDate"}


def test_lance_same_name() -> None:
    for choice, statuses in (("accept", [200, 200]), ("refuse", [200, 400])):
        client = LanceClient({"lance_same_name": choice})
        assert [client.call("POST", LISTS, list_body()).status for _ in range(2)] == statuses


@pytest.mark.parametrize(("choice", "held"), [("accept", [NOBODY, "known"]), ("refuse", None), ("skip", ["known"])])
def test_lance_unknown_ids(choice: str, held: list[str] | None) -> None:
    client = LanceClient({"lance_unknown_ids": choice, "lance_known_percent": 100})
    known = client.found()["id"]
    wanted = held and [known if one == "known" else one for one in held]
    reply = client.call("POST", LISTS, list_body(personIds=[NOBODY, known]))
    assert (reply.json["personIds"] == wanted) if wanted else places(reply) == {"personIds.0"}
    list_id = client.made()
    reply = client.call("PATCH", f"{LISTS}/{list_id}", {"personIds": [NOBODY, known]})
    assert (reply.json["personIds"] == wanted) if wanted else places(reply) == {"personIds.0"}
    company = client.company_ids(1)[0]
    list_id = client.made(type="company")
    reply = client.put_companies(list_id, [NOBODY, company])
    if wanted:
        assert reply.json["companyIds"] == [company if one == known else one for one in wanted]
    else:
        assert places(reply) == {"companyIds.0"}


def test_lance_person_ids() -> None:
    body = list_body(personIds=["lead_7"])
    assert LanceClient().call("POST", LISTS, body).json["personIds"] == ["lead_7"]
    assert places(LanceClient({"lance_person_ids": "uuid"}).call("POST", LISTS, body)) == {"personIds.0"}


def test_lance_ids_limit() -> None:
    client = LanceClient({"lance_ids_limit": 2})
    assert client.call("POST", LISTS, list_body(personIds=["a", "b"])).status == 200
    assert places(client.call("POST", LISTS, list_body(personIds=["a", "b", "c"]))) == {"personIds"}
    assert LanceClient().call("POST", LISTS, list_body(personIds=[str(n) for n in range(5000)])).status == 200


def test_lance_unknown_members() -> None:
    assert LanceClient().call("POST", LISTS, list_body(colour="red")).status == 200
    client = LanceClient({"lance_unknown_members": "refuse"})
    assert places(client.call("POST", LISTS, list_body(colour="red"))) == {"colour"}
    assert places(client.put(client.made(), [prospects(1)[0] | {"crm": "A-1"}])) == {"prospects.0.crm"}


def test_the_listing_is_a_bare_array_of_lists_without_people() -> None:
    client = LanceClient()
    ids = [client.made(name=f"L{number}") for number in range(3)]
    client.put(ids[0], prospects(2))
    rows = client.get(LISTS).json
    assert [row["id"] for row in rows] == ids[::-1]
    assert all(set(row) == MEMBERS for row in rows)
    assert len(rows[-1]["personIds"]) == 2


def test_the_listing_tells_the_users_own_lists_and_an_admin_all() -> None:
    client = LanceClient()
    client.made(name="Dana's")
    client.world.set({"lance_user": "user_lee"})
    client.made(name="Lee's")
    assert [row["name"] for row in client.get(LISTS).json] == ["Lee's"]
    client.world.set({"lance_is_admin": True})
    assert [row["name"] for row in client.get(LISTS).json] == ["Lee's", "Dana's"]


def test_lance_list_order_and_lance_listing_member() -> None:
    client = LanceClient({"lance_list_order": "oldest", "lance_listing_member": "leadLists"})
    ids = [client.made(name=f"L{number}") for number in range(3)]
    assert [row["id"] for row in client.get(LISTS).json["leadLists"]] == ids


def test_lance_listing_limit() -> None:
    client = LanceClient({"lance_listing_limit": 2})
    for number in range(3):
        client.made(name=f"L{number}")
    assert [row["name"] for row in client.get(LISTS).json] == ["L2", "L1"]


def test_a_list_is_read_with_its_people_or_its_companies() -> None:
    client = LanceClient({"lance_known_percent": 100})
    person = client.found()
    people, companies = client.made(), client.made(type="company")
    client.put(people, [person])
    client.put_companies(companies, client.company_ids(2))
    document = client.read(people)
    assert set(document) == MEMBERS | {"persons"}
    (held,) = document["persons"]
    assert (held["id"], held["firstName"], held["company"]["id"]) == (person["id"], "Sam", person["companyId"])
    assert held["clientContact"] is None
    document = client.read(companies)
    assert set(document) == MEMBERS | {"companies"}
    assert [company["id"] for company in document["companies"]] == client.company_ids(2)


def test_anybody_signed_in_may_read_a_list_and_only_its_users_use_it() -> None:
    client = LanceClient()
    list_id = client.made()
    client.world.set({"lance_user": "user_lee"})
    path = f"{LISTS}/{list_id}"
    calls: list[tuple[str, str, Any]] = [
        ("PATCH", path, {}), ("DELETE", path, None), ("POST", f"{path}/add-prospects", {"prospects": []}),
        ("POST", f"{path}/add-companies", {"companyIds": [NOBODY]}), ("GET", f"{ENTITIES}/leads/list/{list_id}", None),
    ]  # fmt: skip
    assert client.get(path).status == 200
    for method, where, body in calls:
        assert error_of(client.call(method, where, body)) == (403, "FORBIDDEN"), (method, where)
    client.world.set({"lance_is_admin": True})
    assert client.call("PATCH", path, {"name": "Taken over"}).json["name"] == "Taken over"
    assert len(client.commits()) == 2


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/add-prospects"), ("POST", "/add-companies")],
)
def test_a_list_that_is_not_there(method: str, suffix: str) -> None:
    for list_id in (NOBODY, "x"):
        assert error_of(LanceClient().call(method, f"{LISTS}/{list_id}{suffix}", {})) == (404, "NOT_FOUND")
    assert error_of(LanceClient().get(f"{ENTITIES}/leads/list/{NOBODY}")) == (404, "NOT_FOUND")


def test_update_replaces_what_it_names_and_nothing_else() -> None:
    client = LanceClient()
    list_id = client.made(personIds=["a", "b"])
    client.clock.now_s += 5
    assert client.call("PATCH", f"{LISTS}/{list_id}", {"name": "New"}).json["personIds"] == ["a", "b"]
    document = client.call("PATCH", f"{LISTS}/{list_id}", {"personIds": ["b", "c"]}).json
    assert (document["name"], document["personIds"], document["persons"]) == ("New", ["b", "c"], [])
    assert (document["createdAt"], document["updatedAt"]) == ("2026-05-28T20:26:40.000Z", "2026-05-28T20:26:45.000Z")
    assert client.call("PATCH", f"{LISTS}/{list_id}", {"personIds": []}).json["personIds"] == []
    assert client.call("PATCH", f"{LISTS}/{list_id}", {}).status == 200
    assert places(client.call("PATCH", f"{LISTS}/{list_id}", {"name": 5})) == {"name"}


@pytest.mark.parametrize(("type_", "wrong"), [("person", "companyIds"), ("company", "personIds")])
def test_update_refuses_the_array_of_the_other_type(type_: str, wrong: str) -> None:
    client = LanceClient()
    assert places(client.call("PATCH", f"{LISTS}/{client.made(type=type_)}", {wrong: []})) == {wrong}


def test_delete_answers_nothing_and_the_people_stay() -> None:
    client = LanceClient()
    list_id = client.made()
    client.put(list_id, prospects(1))
    (person,) = client.read(list_id)["persons"]
    reply = client.call("DELETE", f"{LISTS}/{list_id}")
    assert (reply.status, reply.body) == (204, b"")
    assert client.get(f"{LISTS}/{list_id}").status == 404
    assert client.get(LISTS).json == []
    assert client.get(f"{ENTITIES}/prospects/person/{person['id']}").json["lastName"] == "Okafor 0"
    assert [commit.kind for commit in client.commits()] == ["create", "add", "delete"]


@pytest.mark.parametrize("switches", [{}, {"seed": 2}])
def test_ids_come_from_the_seed(switches: dict[str, Any]) -> None:
    assert LanceClient(switches).made() == LanceClient(switches).made()
    assert LanceClient({"seed": 1}).made() != LanceClient({"seed": 2}).made()


def test_the_other_api_does_not_see_them() -> None:
    client = LanceClient()
    client.made()
    assert client.get("/lead-lists").json["lead_lists"] == []
