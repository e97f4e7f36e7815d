"""Lance's search: a global database that is made up, and the same for the same seed."""

from __future__ import annotations

from typing import Any

import pytest

from target_amplemarket.sandbox.ids import is_uuid

from .client import LINKEDIN
from .lance import ENTITIES, NOBODY, LanceClient, error_of, places

PEOPLE, COMPANIES = f"{ENTITIES}/prospects/person", f"{ENTITIES}/prospects/company"
PERSON_MEMBERS = {
    "id", "createdAt", "updatedAt", "firstName", "lastName", "jobTitle", "city", "postalCode", "country", "linkedinUrl",
    "phones", "emails", "companyId", "birthDate", "departments", "subDepartments", "functions", "seniority",
    "languages", "industry", "educations", "workExperiences", "skills", "baseProviderId", "bullhornId", "crmId",
    "leadOwnerId", "consentStatus", "consentSource", "consentUpdatedAt", "deletedAt", "company", "clientContact",
}  # fmt: skip
COMPANY_MEMBERS = {
    "id", "name", "legalName", "description", "summary", "headcount", "industry", "phones", "linkedinUrl", "websiteUrl",
    "domain", "city", "postalCode", "country", "logoUrl", "foundedYear", "revenue", "location", "baseProviderId",
    "bullhornId", "crmId", "createdAt", "updatedAt",
}  # fmt: skip


def urls(count: int) -> list[str]:
    return [f"{LINKEDIN}person-{chr(97 + number % 26)}{number}" for number in range(count)]


def test_somebody_is_found_by_the_linkedin_address() -> None:
    client = LanceClient({"lance_known_percent": 100})
    (person,) = client.search(f"{LINKEDIN}sam-okafor").json["content"]
    assert set(person) == PERSON_MEMBERS
    assert set(person["company"]) == COMPANY_MEMBERS
    assert (person["firstName"], person["lastName"], person["consentStatus"]) == ("Sam", "Okafor", "UNKNOWN")
    assert person["linkedinUrl"] == f"{LINKEDIN}sam-okafor"
    assert is_uuid(person["id"])
    assert person["company"]["id"] == person["companyId"]
    assert client.get(f"{PEOPLE}/{person['id']}").json == person
    assert client.get(f"{COMPANIES}/{person['companyId']}").json == person["company"]


def test_an_address_is_one_person_however_it_is_written() -> None:
    client = LanceClient({"lance_known_percent": 100})
    forms = (
        "https://www.linkedin.com/in/Sam-Okafor/",
        "linkedin.com/in/sam-okafor",
        "http://uk.linkedin.com/in/sam-okafor?x=1",
    )
    assert len({client.search(form).json["content"][0]["id"] for form in forms}) == 1
    page = client.search(*forms).json
    assert page["totalElements"] == 1


@pytest.mark.parametrize(("percent", "low", "high"), [(0, 0, 0), (50, 60, 140), (100, 200, 200)])
def test_lance_known_percent(percent: float, low: int, high: int) -> None:
    client = LanceClient({"lance_known_percent": percent})
    found = [client.search(url).json["totalElements"] for url in urls(200)]
    assert low <= sum(found) <= high
    assert found == [
        LanceClient({"lance_known_percent": percent}).search(url).json["totalElements"] for url in urls(200)
    ]


def test_several_addresses_share_one_filter_and_hits_come_in_pages() -> None:
    client = LanceClient({"lance_known_percent": 100})
    page = client.search(*urls(25)).json
    told = {name: value for name, value in page.items() if name != "content"}
    assert told == {
        "totalElements": 25, "totalPages": 3, "number": 0, "size": 10, "first": True, "last": False,
        "numberOfElements": 10, "empty": False,
    }  # fmt: skip
    last = client.search(*urls(25), page=2).json
    assert (last["numberOfElements"], last["first"], last["last"]) == (5, False, True)
    assert client.search(*urls(25), page=3).json["empty"] is True
    everybody = client.search(*urls(25), size=100).json["content"]
    assert [person["linkedinUrl"] for person in everybody] == urls(25)


@pytest.mark.parametrize(
    "include", [{"mode": mode, "content": [f"{LINKEDIN}sam-okafor"]} for mode in ("SMART", "WORD", "STRICT")]
)
@pytest.mark.parametrize("word", ["any", "all"])
def test_a_filter_may_be_a_list_or_a_mode_with_content(include: Any, word: str) -> None:
    client = LanceClient({"lance_known_percent": 100})
    body = {"contact": {"socialMediaLink": {word: {"include": include}}}}
    assert client.call("POST", PEOPLE, body).json["totalElements"] == 1


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"page": -1}, "page"),
        ({"page": "0"}, "page"),
        ({"size": 101}, "size"),
        ({"size": -1}, "size"),
        ({"size": True}, "size"),
        ({"contact": []}, "contact"),
        ({"contact": {"socialMediaLink": [f"{LINKEDIN}x"]}}, "contact.socialMediaLink"),
        ({"contact": {"socialMediaLink": {"any": {"include": [5]}}}}, "contact.socialMediaLink"),
        ({"account": {"industry": {"any": {}}}}, "account.industry"),
    ],
)
def test_a_search_that_cannot_be_read(body: dict[str, Any], place: str) -> None:
    assert places(LanceClient().call("POST", PEOPLE, body)) == {place}


def test_a_size_of_nothing_counts_only() -> None:
    page = LanceClient({"lance_known_percent": 100}).search(*urls(3), size=0).json
    assert (page["content"], page["totalElements"], page["size"]) == ([], 3, 0)


def test_a_search_without_an_address_finds_whomever() -> None:
    page = LanceClient().call("POST", PEOPLE, {}).json
    assert page["totalElements"] > 1000
    assert page["numberOfElements"] == 10


def test_lance_unknown_filters() -> None:
    body = {"contact": {"linkedin": {"any": {"include": [f"{LINKEDIN}x"]}}}}
    assert LanceClient().call("POST", PEOPLE, body).json["totalElements"] > 1000, "a filter ignored is no filter"
    assert places(LanceClient({"lance_unknown_filters": "refuse"}).call("POST", PEOPLE, body)) == {"contact.linkedin"}


def test_lance_filter_names() -> None:
    include = {"any": {"include": [f"{LINKEDIN}sam-okafor"]}}
    for names, name in (("plain", "socialMediaLink"), ("prefixed", "contact.socialMediaLink")):
        client = LanceClient({"lance_filter_names": names, "lance_known_percent": 100})
        assert client.call("POST", PEOPLE, {"contact": {name: include}}).json["totalElements"] == 1
        client.world.set({"lance_filter_names": "prefixed" if names == "plain" else "plain"})
        assert client.call("POST", PEOPLE, {"contact": {name: include}}).json["totalElements"] > 1


def test_lance_values_per_filter() -> None:
    client = LanceClient({"lance_values_per_filter": 2})
    assert client.search(*urls(2)).status == 200
    assert places(client.search(*urls(3))) == {"contact.socialMediaLink"}


def test_lance_found_url() -> None:
    asked = "http://LinkedIn.com/in/Sam-Okafor/"
    for choice, told in (("canonical", f"{LINKEDIN}sam-okafor"), ("as_asked", asked)):
        client = LanceClient({"lance_found_url": choice, "lance_known_percent": 100})
        assert client.search(asked).json["content"][0]["linkedinUrl"] == told


def test_lance_nameless_percent() -> None:
    client = LanceClient({"lance_known_percent": 100, "lance_nameless_percent": 40})
    names = [person["company"]["name"] for person in client.search(*urls(100), size=100).json["content"]]
    assert 20 < names.count(None) < 60


def test_a_person_is_known_once_found_and_not_before() -> None:
    person = LanceClient({"lance_known_percent": 100}).found()
    client = LanceClient({"lance_known_percent": 100})
    assert error_of(client.get(f"{PEOPLE}/{person['id']}")) == (404, "NOT_FOUND")
    client.found()
    assert client.get(f"{PEOPLE}/{person['id']}").status == 200
    assert client.get(f"{PEOPLE}/{person['id'].upper()}").status == 200


def test_companies_are_searched_and_read_without_signing_in() -> None:
    client = LanceClient()
    page = client.call("POST", COMPANIES, {"account": {"industry": {"any": {"include": ["machinery"]}}}}).json
    assert page["totalElements"] == 12
    assert {company["industry"] for company in page["content"]} == {"machinery"}
    assert set(page["content"][0]) == COMPANY_MEMBERS
    path = f"{COMPANIES}/{page['content'][0]['id']}"
    assert client.call("GET", path, key=None).json == page["content"][0]
    assert error_of(client.call("GET", f"{COMPANIES}/{NOBODY}", key=None)) == (404, "NOT_FOUND")
    assert client.call("POST", COMPANIES, {}, key=None).status == 401


def test_people_of_a_company() -> None:
    client = LanceClient({"lance_known_percent": 100})
    company = client.company_ids(1)[0]
    path = f"{COMPANIES}/{company}/people/search"
    page = client.get(f"{path}?page=0&size=5").json
    assert page["numberOfElements"] == 5
    assert {person["companyId"] for person in page["content"]} == {company}
    assert [client.get(f"{path}?size={size}").json["size"] for size in (0, 1000, "x")] == [1, 100, 10]
    assert error_of(client.get(f"{COMPANIES}/{NOBODY}/people/search")) == (404, "NOT_FOUND")
    client.world.set({"lance_nameless_percent": 100})
    nameless = client.found()["companyId"]
    assert error_of(client.get(f"{COMPANIES}/{nameless}/people/search")) == (400, "BAD_REQUEST")
