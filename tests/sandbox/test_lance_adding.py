"""Lance's additions: who is taken, who is the same, and what stands in the commit log."""

from __future__ import annotations

from typing import Any

import pytest

from .client import LINKEDIN
from .lance import ENTITIES, LISTS, NOBODY, LanceClient, error_of, places, prospects

ALL_KNOWN = {"lance_known_percent": 100}


def test_the_answer_counts_those_who_were_new() -> None:
    client = LanceClient(ALL_KNOWN)
    list_id = client.made()
    one, other = client.found(0), client.found(1)
    replies = [client.put(list_id, [one]), client.put(list_id, [one, other]), client.put(list_id, [one])]
    assert [(reply.status, reply.json) for reply in replies] == [
        (200, {"addedCount": 1}), (200, {"addedCount": 1}), (200, {"addedCount": 0}),
    ]  # fmt: skip
    assert client.read(list_id)["personIds"] == [one["id"], other["id"]]


def test_somebody_twice_in_one_call_is_added_once() -> None:
    client = LanceClient(ALL_KNOWN)
    list_id = client.made()
    person = client.found()
    assert client.put(list_id, [person, person | {"id": person["id"].upper()}]).json == {"addedCount": 1}
    (commit,) = client.commits()[1:]
    assert (len(commit.leads), commit.is_new) == (2, (True, False))


@pytest.mark.parametrize("status", ["200", "201", "202"])
def test_lance_add_status(status: str) -> None:
    client = LanceClient({"lance_add_status": status})
    assert client.put(client.made(), prospects(1)).status == int(status)


@pytest.mark.parametrize("name", ["firstName", "lastName"])
@pytest.mark.parametrize("value", [..., None, 5])
def test_both_names_are_needed(name: str, value: Any) -> None:
    client = LanceClient()
    person = {member: one for member, one in (prospects(1)[0] | {name: value}).items() if one is not ...}
    reply = client.put(client.made(), [*prospects(1), person])
    assert places(reply) == {f"prospects.1.{name}"}
    assert reply.json["error"]["code"] == "BAD_REQUEST"
    assert len(client.commits()) == 1


@pytest.mark.parametrize(
    ("member", "place"),
    [
        ({"id": "lead_7"}, "id"),
        ({"jobTitle": 5}, "jobTitle"),
        ({"linkedinUrl": []}, "linkedinUrl"),
        ({"emails": "a@b.example"}, "emails"),
        ({"phones": [5]}, "phones.0"),
        ({"functions": {}}, "functions"),
    ],
)
def test_members_of_a_prospect_are_checked(member: dict[str, Any], place: str) -> None:
    client = LanceClient()
    assert places(client.put(client.made(), [prospects(1)[0] | member])) == {f"prospects.0.{place}"}


@pytest.mark.parametrize("body", [{}, {"prospects": None}, {"prospects": {}}, {"selection": {"mode": "manual"}}])
def test_prospects_are_an_array_and_a_selection_is_not_taken(body: dict[str, Any]) -> None:
    client = LanceClient()
    assert places(client.call("POST", f"{LISTS}/{client.made()}/add-prospects", body)) == {"prospects"}


def test_a_prospect_is_an_object() -> None:
    client = LanceClient()
    assert places(client.put(client.made(), ["x"])) == {"prospects.0"}


def test_lance_nulls_ok() -> None:
    person = prospects(1)[0] | {"id": None, "jobTitle": None, "phones": None}
    client = LanceClient()
    assert client.put(client.made(), [person]).json == {"addedCount": 1}
    client = LanceClient({"lance_nulls_ok": False})
    wrong = {"prospects.0.id", "prospects.0.jobTitle", "prospects.0.phones"}
    assert places(client.put(client.made(), [person])) == wrong


def test_lance_empty_prospects_ok() -> None:
    client = LanceClient()
    assert client.put(client.made(), []).json == {"addedCount": 0}
    client = LanceClient({"lance_empty_prospects_ok": False})
    assert places(client.put(client.made(), [])) == {"prospects"}


def test_what_is_found_can_be_added_as_it_came() -> None:
    client = LanceClient(ALL_KNOWN)
    list_id = client.made()
    person = client.found() | {"jobTitle": "Owner", "emails": ["sam@north.example"]}
    assert client.put(list_id, [person]).json == {"addedCount": 1}
    (held,) = client.read(list_id)["persons"]
    assert (held["jobTitle"], held["emails"], held["city"]) == ("Owner", ["sam@north.example"], person["city"])


def test_what_is_not_sent_is_copied_from_the_global_database() -> None:
    client = LanceClient(ALL_KNOWN)
    list_id, person = client.made(), client.found()
    client.put(list_id, [{"id": person["id"], "firstName": "Samuel", "lastName": "Okafor"}])
    (held,) = client.read(list_id)["persons"]
    assert (held["firstName"], held["city"], held["companyId"]) == ("Samuel", person["city"], person["companyId"])


@pytest.mark.parametrize(("choice", "count"), [("create", 2), ("refuse", None), ("skip", 1)])
@pytest.mark.parametrize(("switch", "given"), [("lance_without_id", {}), ("lance_unknown_person", {"id": NOBODY})])
def test_who_lance_does_not_know(switch: str, given: dict[str, str], choice: str, count: int | None) -> None:
    client = LanceClient({switch: choice} | ALL_KNOWN)
    list_id = client.made()
    known = client.found(7)
    reply = client.put(list_id, [prospects(1)[0] | given, known])
    if count is None:
        assert places(reply) == {"prospects.0.id"}
        assert len(client.commits()) == 1
        return
    assert reply.json == {"addedCount": count}
    assert len(client.commits()[1].leads) == count, "who is skipped was never committed"
    held = client.read(list_id)["personIds"]
    assert (held[-1], len(held)) == (known["id"], count)
    assert not (choice == "create" and given) or held[0] == NOBODY


@pytest.mark.parametrize("key", ["id", "linkedin_url", "email"])
def test_lance_duplicate_key(key: str) -> None:
    client = LanceClient({"lance_duplicate_key": key})
    list_id = client.made()
    person = prospects(1)[0]
    address = {"firstName": "S", "lastName": "O", "linkedinUrl": f"{person['linkedinUrl'].upper()}/?x=1"}
    mail = {"firstName": "S", "lastName": "O", "emails": ["other@x.example", person["emails"][0].upper()]}
    counts = [client.put(list_id, [one]).json["addedCount"] for one in (person, address, mail)]
    assert counts == {"id": [1, 1, 1], "linkedin_url": [1, 0, 1], "email": [1, 1, 0]}[key]


def test_an_id_is_always_the_same_person() -> None:
    for key in ("id", "linkedin_url", "email"):
        client = LanceClient({"lance_duplicate_key": key} | ALL_KNOWN)
        list_id = client.made()
        person = client.found()
        client.put(list_id, [person])
        changed = {"id": person["id"], "firstName": "A", "lastName": "B"}
        assert client.put(list_id, [changed]).json == {"addedCount": 0}


@pytest.mark.parametrize("status", ["400", "413"])
def test_lance_prospects_per_call_and_lance_over_limit_status(status: str) -> None:
    client = LanceClient({"lance_prospects_per_call": 2, "lance_over_limit_status": status})
    list_id = client.made()
    assert client.put(list_id, prospects(2)).json == {"addedCount": 2}
    assert client.put(list_id, prospects(3)).status == int(status)
    assert len(client.commits()) == 2


def test_prospects_and_companies_go_to_lists_of_their_type() -> None:
    client = LanceClient({"lance_validation_code": "VALIDATION_ERROR"})
    assert error_of(client.put(client.made(type="company"), prospects(1))) == (400, "VALIDATION_ERROR")
    assert error_of(client.put_companies(client.made(), [NOBODY])) == (400, "VALIDATION_ERROR")


def test_companies_are_added_once_and_the_list_is_answered() -> None:
    client = LanceClient()
    list_id = client.made(type="company")
    one, other = client.company_ids(2)
    assert client.put_companies(list_id, [one, one.upper()]).json["companyIds"] == [one]
    reply = client.put_companies(list_id, [other, one])
    assert reply.status == 200
    assert [company["id"] for company in reply.json["companies"]] == [one, other]
    assert [(commit.kind, commit.is_new) for commit in client.commits()[1:]] == [
        ("add", (True, False)), ("add", (True, False)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ids", "place"), [([], "companyIds"), (..., "companyIds"), ("x", "companyIds"), (["x"], "companyIds.0")]
)
def test_company_ids_are_uuids_and_at_least_one(ids: Any, place: str) -> None:
    client = LanceClient()
    body = {} if ids is ... else {"companyIds": ids}
    assert places(client.call("POST", f"{LISTS}/{client.made(type='company')}/add-companies", body)) == {place}


def test_leads_of_a_list_lack_those_whose_company_has_no_name() -> None:
    client = LanceClient(ALL_KNOWN)
    list_id = client.made()
    person = client.found()
    client.put(list_id, [person, *prospects(1)])
    assert len(client.read(list_id)["persons"]) == 2
    leads = client.get(f"{ENTITIES}/leads/list/{list_id}").json
    assert [lead["id"] for lead in leads] == [person["id"]]
    client.world.set({"lance_nameless_percent": 100})
    nameless = client.found(5)
    assert nameless["company"]["name"] is None
    client.put(list_id, [nameless])
    assert len(client.get(f"{ENTITIES}/leads/list/{list_id}").json) == 1
    companies = client.made(type="company")
    client.put_companies(companies, client.company_ids(1))
    assert [one["id"] for one in client.get(f"{ENTITIES}/leads/list/{companies}").json] == client.company_ids(1)


@pytest.mark.parametrize(
    ("switches", "details"),
    [
        ({}, {"prospects.0.emails.0": "Expected a string", "prospects.0.lastName": "Required"}),
        (
            {"lance_details": "list"},
            [
                {"path": ["prospects", 0, "lastName"], "message": "Required"},
                {"path": ["prospects", 0, "emails", 0], "message": "Expected a string"},
            ],
        ),
        (
            {"lance_details": "list", "lance_details_path": "dotted", "lance_errors_told": "first"},
            [{"path": "prospects.0.lastName", "message": "Required"}],
        ),
        ({"lance_details": "none"}, None),
    ],
)
@pytest.mark.parametrize("place", ["inside", "beside"])
def test_lance_details_and_lance_details_place(switches: dict[str, Any], details: Any, place: str) -> None:
    client = LanceClient({"lance_details_place": place} | switches)
    document = client.put(client.made(), [{"firstName": "A", "emails": [5]}]).json
    inside, beside = document["error"].get("details"), document.get("details")
    assert (inside, beside) == ((details, None) if place == "inside" else (None, details))


@pytest.mark.parametrize("code", ["BAD_REQUEST", "VALIDATION_ERROR"])
def test_lance_validation_code(code: str) -> None:
    client = LanceClient({"lance_validation_code": code})
    assert error_of(client.put(client.made(), [{}])) == (400, code)


def test_at_most_a_hundred_problems_are_told() -> None:
    client = LanceClient()
    assert len(places(client.put(client.made(), [{}] * 200))) == 100


def test_the_log_holds_each_call_with_its_people_as_they_were_sent() -> None:
    client = LanceClient(ALL_KNOWN)
    list_id = client.made(name="Webinar")
    person, other = client.found(0), prospects(1, start=9)[0] | {"crm": "A-9"}
    client.put(list_id, [person, other])
    client.clock.now_s += 5
    client.put(list_id, [person])
    create, first, second = client.get("/_sandbox/log").json["commits"]
    assert create == {
        "number": 1, "api": "lance", "kind": "create", "list_id": list_id, "name": "Webinar", "type": "person",
        "at_s": 1_780_000_000.0, "request_number": 1, "person_ids": [], "is_new": [], "lead_count": 0, "leads": [],
    }  # fmt: skip
    assert (first["leads"], first["is_new"]) == ([person, other], [True, True])
    assert (second["leads"], second["person_ids"], second["is_new"]) == ([person], [person["id"]], [False])
    assert (second["at_s"], second["request_number"]) == (1_780_000_005.0, 4)


def test_ids_that_a_list_is_made_of_stand_in_the_log_too() -> None:
    client = LanceClient()
    list_id = client.made(personIds=["a", "b"])
    client.call("PATCH", f"{LISTS}/{list_id}", {"personIds": ["b", "c"]})
    create, update = client.commits()
    assert (create.leads.all(), update.leads.all()) == ([{"id": "a"}, {"id": "b"}], [{"id": "b"}, {"id": "c"}])
    assert update.is_new == (False, True)


def test_thousands_are_taken_at_once() -> None:
    client = LanceClient()
    list_id = client.made()
    assert client.put(list_id, prospects(5000)).json == {"addedCount": 5000}
    assert client.read(list_id)["persons"][4999]["linkedinUrl"] == f"{LINKEDIN}sam-okafor-4999"
