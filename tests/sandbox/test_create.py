"""`POST /lead-lists`: what is accepted, what is answered, what is refused and how."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .client import LINKEDIN, OWNER, PAID, Client, Reply, create_body, emails, people

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def refused_at(client: Client, reply: Reply, pointer: str | None, code: str = "unsupported_value") -> None:
    assert reply.status == 400
    assert [error["code"] for error in reply.errors] == [code]
    assert reply.pointer == pointer
    assert client.commits() == []


def without(name: str) -> dict[str, Any]:
    return {member: value for member, value in create_body().items() if member != name}


def test_answer_has_the_documented_members_and_no_entries() -> None:
    client = Client()
    reply = client.create(people(3), name="Webinar", visible=True)
    answer = reply.json
    assert reply.status == 202
    assert reply.headers["content-type"] == "application/json"
    assert UUID7.fullmatch(answer["id"])
    assert answer == {
        "id": answer["id"],
        "object": "lead_list",
        "name": "Webinar",
        "status": "queued",
        "url": f"https://app.amplemarket.com/dashboard/lead_lists/{answer['id']}",
        "shared": True,
        "visible": True,
        "owner": OWNER,
        "type": "linkedin",
        "created_at": "2026-05-28T20:26:40Z",
        "updated_at": "2026-05-28T20:26:40Z",
        "options": {"reveal_phone_numbers": False, "validate_email": False, "enrich": False},
        "leads": [],
        "_links": {"self": {"href": f"/lead-lists/{answer['id']}"}},
    }


def test_leads_are_committed_exactly_as_sent() -> None:
    client = Client()
    body = (
        b'{"shared":true,"owner":"%s","type":"email","leads":[ {"email":"a@b.example","n":1.50,"big":' % OWNER.encode()
    )
    body += b'123456789012345678901234567890,"deep":{"x":[null,"\\u00e9"]}} ]}'
    assert client.call("POST", "/lead-lists", body).status == 202
    (commit,) = client.commits()
    assert b"".join(commit.leads.json_parts()) == (
        b'[{"email":"a@b.example","n":1.50,"big":123456789012345678901234567890,"deep":{"x":[null,"\\u00e9"]}}]'
    )


def test_plural_type_is_answered_in_the_singular() -> None:
    lead = {"title": "Buyer", "company_domain": "north.example"}
    assert Client().create([lead], type="titles_and_company").json["type"] == "title_and_company"


def test_repeating_a_call_makes_a_second_list() -> None:
    client = Client()
    assert client.create().json["id"] < client.create().json["id"]
    assert len(client.commits()) == 2


@pytest.mark.parametrize("name", ["", "  ", None])
def test_blank_or_absent_name_becomes_the_default_name(name: str | None) -> None:
    members = {} if name is None else {"name": name}
    assert Client().create(**members).json["name"] == "Lead List created via API"


@pytest.mark.parametrize("name", ["type", "owner", "leads", "shared"])
def test_absent_required_member_is_missing_field_at_its_place(name: str) -> None:
    client = Client()
    reply = client.call("POST", "/lead-lists", without(name))
    refused_at(client, reply, f"/{name}", "missing_field")
    assert reply.errors[0]["detail"] == f"Missing field from request: {name}"
    assert reply.errors[0]["title"] == "Missing Field"


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", 1), ("name", None), ("shared", "true"), ("visible", 0), ("owner", []), ("type", None), ("leads", {})],
)
def test_member_of_a_wrong_type_is_refused_at_its_place(name: str, value: Any) -> None:
    client = Client()
    refused_at(client, client.create(**{name: value}) if name != "type" else client.create(type=value), f"/{name}")


@pytest.mark.parametrize("value", ["person", "title_and_company", "Linkedin", ""])
def test_type_that_is_not_creatable_is_refused(value: str) -> None:
    client = Client()
    reply = client.create(type=value)
    refused_at(client, reply, "/type")
    assert reply.errors[0]["detail"] == f"'{value}' is not a supported type."


def test_owner_that_is_no_user_is_a_400_at_owner() -> None:
    client = Client()
    reply = client.create(owner="nobody@northwind.example")
    refused_at(client, reply, "/owner")
    assert reply.errors[0]["detail"] == "'nobody@northwind.example' is not a valid owner"


def test_inactive_owner_ok() -> None:
    assert Client().create(owner="kim@northwind.example").status == 400
    assert Client({"inactive_owner_ok": True}).create(owner="kim@northwind.example").status == 202


def test_owner_ignores_case() -> None:
    assert Client().create(owner=OWNER.upper()).json["owner"] == OWNER
    assert Client({"owner_ignores_case": False}).create(owner=OWNER.upper()).status == 400


def test_users_switch_decides_who_may_own() -> None:
    client = Client({"users": "solo@one.example"})
    assert client.create(owner="solo@one.example").status == 202
    assert client.create().status == 400


def test_leads_per_call() -> None:
    client = Client()
    assert client.create(people(10_000)).status == 202
    reply = Client().create(people(10_001))
    assert (reply.status, reply.pointer) == (400, "/leads")
    assert reply.errors[0]["detail"] == "Number of leads exceeds 10,000 limit."
    assert Client({"leads_per_call": 2}).create(people(3)).status == 400


def test_empty_leads_ok() -> None:
    assert Client().create([]).status == 202
    client = Client({"empty_leads_ok": False})
    refused_at(client, client.create([]), "/leads")


def test_unknown_members() -> None:
    client = Client()
    refused_at(client, client.create(colour="red"), "/colour")
    refused_at(client, client.create(**{"a/b~c": 1}), "/a~1b~0c")
    refused_at(client, client.create(options={"speed": True}), "/options/speed")
    lenient = Client({"unknown_members": "ignore"})
    assert lenient.create(colour="red", options={"speed": True}).status == 202


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_option_of_a_wrong_type_is_refused_at_its_place(value: Any) -> None:
    client = Client()
    refused_at(client, client.create(options={"enrich": value}), "/options/enrich")


def test_visible_default() -> None:
    assert Client().create().json["visible"] is False
    assert Client({"visible_default": True}).create().json["visible"] is True


def test_absent_options_enrich_and_validate() -> None:
    expected = {"reveal_phone_numbers": False, "validate_email": True, "enrich": True}
    assert Client().create(free=False).json["options"] == expected
    assert Client().create(options={"enrich": False}).json["options"] == expected | {"enrich": False}


@pytest.mark.parametrize("name", ["reveal_phone_numbers", "validate_email", "enrich"])
def test_option_defaults_are_switches(name: str) -> None:
    # reveal_phone_numbers_default, validate_email_default, enrich_default
    for value in (True, False):
        assert Client({f"{name}_default": value}).create(free=False).json["options"][name] is value


def test_name_limit() -> None:
    assert Client().create(name="x" * 5000).status == 202
    client = Client({"name_limit": 5})
    assert client.create(name="x" * 5).status == 202
    assert client.create(name="x" * 6).pointer == "/name"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{} {}", b'{"a":NaN}', b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}', b"[" * 100_000, b"{'a':1}"],
    ids=["empty", "cut", "two", "nan", "bom", "utf8", "deep", "quotes"],
)
def test_malformed_json_is_a_400(body: bytes) -> None:
    client = Client()
    refused_at(client, client.call("POST", "/lead-lists", body), None, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1"])
def test_body_that_is_no_object_is_refused_at_the_root(body: bytes) -> None:
    client = Client()
    refused_at(client, client.call("POST", "/lead-lists", body), "")


def test_errors_told() -> None:
    bad = [{"linkedin_url": "x"}, {}, {"linkedin_url": f"{LINKEDIN}ok"}, 7]
    client = Client({"errors_told": "all"})
    reply = client.create(bad)
    pointers = [error["source"]["pointer"] for error in reply.errors]
    assert pointers == ["/leads/0/linkedin_url", "/leads/1/linkedin_url", "/leads/3"]
    assert len(Client().create(bad).errors) == 1
    assert len(client.create([{}] * 5000).errors) == 100


def test_one_bad_lead_refuses_all_and_creates_nothing() -> None:
    client = Client()
    leads = people(500)
    leads[417] = {"crm_id": "no url"}
    reply = client.create(leads)
    refused_at(client, reply, "/leads/417/linkedin_url")
    assert reply.errors[0]["detail"] == "Missing field from request: leads[417].linkedin_url"
    assert client.get("/lead-lists").json["lead_lists"] == []


def test_unacceptable_linkedin_url_has_its_own_detail() -> None:
    reply = Client().create([{"linkedin_url": "ftp://example.example"}])
    assert reply.errors[0] == {
        "code": "unsupported_value",
        "title": "Unsupported Value",
        "detail": "Unsupported value provided for field: leads[0].linkedin_url",
        "source": {"pointer": "/leads/0/linkedin_url"},
    }


@pytest.mark.parametrize(
    ("url", "rules"),
    [
        ("https://www.linkedin.com/in/sam-okafor-example", {"profile", "lenient", "any"}),
        ("https://linkedin.com/in/sam-okafor-example/", {"profile", "lenient", "any"}),
        ("https://uk.linkedin.com/in/sam?trk=x", {"profile", "lenient", "any"}),
        ("linkedin.com/in/sam", {"lenient", "any"}),
        ("https://www.linkedin.com/sales/lead/abc", {"lenient", "any"}),
        ("https://www.linkedin.com/company/north", {"any"}),
        ("https://linkedin.com.evil.example/in/sam", {"any"}),
        (" ", set()),
    ],
)
def test_linkedin_url_rule(url: str, rules: set[str]) -> None:
    for rule in ("profile", "lenient", "any"):
        reply = Client({"linkedin_url_rule": rule}).create([{"linkedin_url": url}])
        assert (reply.status == 202) == (rule in rules), rule


def test_email_lead_needs_an_email() -> None:
    reply = Client().create([{"company_name": "North"}], type="email")
    assert (reply.status, reply.pointer) == (400, "/leads/0/email")


@pytest.mark.parametrize("email", ["sam", "sam@north", "@north.example", "a b@north.example", ""])
def test_email_rule(email: str) -> None:
    reply = Client().create([{"email": email}], type="email")
    assert (reply.status, reply.pointer) == (400, "/leads/0/email")
    assert Client({"email_rule": "any"}).create([{"email": email}], type="email").status == 202


def test_email_checked_on() -> None:
    lead = {"linkedin_url": f"{LINKEDIN}sam", "email": "not one"}
    assert Client().create([lead]).pointer == "/leads/0/email"
    lenient = Client({"email_checked_on": "email"})
    assert lenient.create([lead]).status == 202
    assert lenient.create([lead], type="email").status == 400


@pytest.mark.parametrize(
    ("lead", "accepted_by"),
    [
        ({"title": "Buyer", "company_name": "North"}, {"either", "name"}),
        ({"title": "Buyer", "company_domain": "north.example"}, {"either", "domain"}),
        ({"title": "Buyer", "company_domain": "north.example", "company_name": "N"}, {"either", "domain", "name"}),
        ({"title": "Buyer"}, set()),
        ({"company_name": "North", "company_domain": "north.example"}, set()),
        ({"title": " ", "company_name": "North", "company_domain": "north.example"}, set()),
    ],
)
def test_company_needs(lead: dict[str, str], accepted_by: set[str]) -> None:
    for needs in ("either", "domain", "name"):
        reply = Client({"company_needs": needs}).create([lead], type="titles_and_company")
        assert (reply.status == 202) == (needs in accepted_by), needs


@pytest.mark.parametrize("name", ["linkedin_url", "email", "title", "company_name", "company_domain"])
def test_lead_member_of_a_wrong_type_is_refused_at_its_place(name: str) -> None:
    client = Client()
    refused_at(client, client.create([{"linkedin_url": f"{LINKEDIN}sam", name: 7}]), f"/leads/0/{name}")


@pytest.mark.parametrize("lead", [None, "x", 1, []])
def test_lead_that_is_no_object_is_refused_at_its_place(lead: Any) -> None:
    client = Client()
    refused_at(client, client.create([*people(1), lead]), "/leads/1")


def test_extra_text_limit() -> None:
    lead = {"linkedin_url": f"{LINKEDIN}sam", "note": "x" * 1025, "title": "y" * 2000}
    assert Client().create([lead]).status == 202
    assert Client({"extra_text_limit": 1024}).create([lead]).pointer == "/leads/0/note"
    assert Client({"extra_text_limit": 1025}).create([lead]).status == 202


def test_extras_flat() -> None:
    lead = {"linkedin_url": f"{LINKEDIN}sam", "context": {"why": "met"}}
    assert Client().create([lead]).status == 202
    assert Client({"extras_flat": True}).create([lead]).pointer == "/leads/0/context"


def test_duplicates() -> None:
    twice = [*people(2), {"linkedin_url": f"{LINKEDIN}PERSON-1/"}]
    kept, dropping, rejecting = Client(), Client({"duplicates": "drop"}), Client({"duplicates": "reject"})
    kept.create(twice)
    assert len(kept.commits()[0].leads) == 3
    list_id = dropping.create(twice).json["id"]
    assert dropping.commits()[0].leads.all() == people(2)
    dropping.add(list_id, people(3))
    assert dropping.commits()[1].leads.all() == people(1, start=2)
    assert rejecting.create(twice).pointer == "/leads/2"
    assert rejecting.create(people(2)).status == 202


@pytest.mark.parametrize(
    ("lead_type", "leads"),
    [
        ("email", [{"email": "a@b.example"}, {"email": "A@b.example"}]),
        ("titles_and_company", [{"title": "T", "company_name": "N"}, {"title": "t", "company_name": "n"}]),
    ],
)
def test_duplicates_go_by_what_the_type_needs(lead_type: str, leads: list[dict[str, str]]) -> None:
    assert Client({"duplicates": "reject"}).create(leads, type=lead_type).pointer == "/leads/1"


def test_exclusions_drop_leads() -> None:
    for drops, expected in ((False, 3), (True, 1)):
        client = Client({"exclusions_drop_leads": drops})
        client.call("POST", "/excluded-domains", {"excluded_domains": [{"domain": "north-0.example"}]})
        client.call("POST", "/excluded-emails", {"excluded_emails": [{"email": "person.1@north-1.example"}]})
        client.create(emails(3), type="email")
        assert len(client.commits()[0].leads) == expected


def test_body_limit_bytes() -> None:
    client = Client({"body_limit_bytes": 1000})
    assert client.create(people(2)).status == 202
    reply = client.create(people(100))
    assert reply.status == 413
    assert reply.errors[0]["code"] == "payload_too_large"
    assert len(client.commits()) == 1


def test_dashboard_url() -> None:
    assert (
        Client({"dashboard_url": "https://x.example"}).create().json["url"].startswith("https://x.example/dashboard/")
    )


def test_media_type() -> None:
    assert (
        Client({"media_type": "application/vnd.amp+json"}).create().headers["content-type"]
        == "application/vnd.amp+json"
    )


def test_list_wrapped() -> None:
    client = Client({"list_wrapped": True})
    list_id = client.create().json["lead_list"]["id"]
    assert client.get(f"/lead-lists/{list_id}").json["lead_list"]["id"] == list_id


def test_paid_options_are_kept() -> None:
    assert Client().create(options=PAID).json["options"] == PAID
