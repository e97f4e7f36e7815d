"""Lance: what is sent, in which order, and what each answer means."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_amplemarket.errors import ApiUnreachable, RefusedByApi, SettingsError
from target_amplemarket.leads.intake import Route
from target_amplemarket.services.calls import ACCOUNT_PAUSES_S, LISTING_PAUSES_S
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.services.lance import Lance
from target_amplemarket.services.lance_answers import Sent, outcome_of_failure
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    Account,
    CannotAsk,
    EntryPage,
    Found,
    LeadRefusal,
    ListRequest,
    ListState,
    NotSent,
    RefusalKind,
    Refused,
    Service,
    Unknown,
)
from target_amplemarket.services.replies import Answer
from tests.services.opened import KEY, Handler, RecordedClock, settings_of, surroundings

LISTS = "/api/v1/entities/leadlists"
PERSON = "/api/v1/entities/prospects/person"
BALANCE = "/api/v1/operations/credits/balance"
LIST_ID = "7d0c5c8e-1111-4a22-9b33-0123456789ab"
ADD_PEOPLE, ADD_COMPANIES = f"{LISTS}/{LIST_ID}/add-prospects", f"{LISTS}/{LIST_ID}/add-companies"
MARKER = "K7Q2M9XA4T1B"
NAME = f"crm 2026-06-03 part 1 [{MARKER}]"
TEXT_FIELDS = (
    "linkedin_url", "email", "title", "company_name", "company_domain", "first_name", "last_name", "person_id",
    "company_id", "city", "country", "seniority",
)  # fmt: skip
LIST_FIELDS = ("phones", "departments")
MEMBER_OF = {
    "person_id": "id", "first_name": "firstName", "last_name": "lastName", "title": "jobTitle", "city": "city",
    "country": "country", "linkedin_url": "linkedinUrl", "company_id": "companyId", "seniority": "seniority",
    "phones": "phones", "departments": "departments",
}  # fmt: skip
Make = Callable[..., Lance]


class Script:
    """Answers by method and path, one after another, the last one for ever; keeps what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, Any]] = []

    def on(self, call: str, *answers: Any) -> Script:
        self.answers[call] = list(answers)
        return self

    def __call__(self, request: httpx.Request) -> httpx.Response:
        call = f"{request.method} {request.url.path}"
        self.asked.append((call, json.loads(request.content) if request.content else None))
        left = self.answers[call]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, content=answer.content, headers=dict(answer.headers))
        status, document = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=document)

    @property
    def calls(self) -> list[str]:
        return [call for call, _ in self.asked]


@pytest.fixture
def clock() -> RecordedClock:
    return RecordedClock()


@pytest.fixture
def service(clock: RecordedClock) -> Iterator[Make]:
    made: list[Lance] = []

    def make(answer: Handler, stop: threading.Event | None = None, **changed: Any) -> Lance:
        others = {} if stop is None else {"stop": stop}
        made.append(Lance.open(settings_of("lance", **changed), surroundings(answer, clock, **others)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def list_object(**members: Any) -> dict[str, Any]:
    return {"id": LIST_ID, "name": NAME, "type": "person", "personIds": [], "companyIds": [], **members}


def request(list_type: str = "people", name: str = NAME) -> ListRequest:
    return ListRequest(name, "", list_type, True, True, False, False, False)


def lead_table(rows: list[dict[str, Any]]) -> pa.Table:
    texts = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in TEXT_FIELDS}
    lists = {name: pa.array([row.get(name) for row in rows], pa.list_(pa.string())) for name in LIST_FIELDS}
    return pa.table(texts | lists)


def person(number: int, **fields: Any) -> dict[str, Any]:
    return {"first_name": f"Sam{number}", "last_name": "Okafor", **fields}


def url(number: int) -> str:
    return f"https://www.linkedin.com/in/sam-okafor-{number}"


def uuid(number: int) -> str:
    return f"2b6f0cc9-2222-4c33-8d44-{number:012d}"


def body_of(one: Lance, *rows: dict[str, Any], list_type: str = "people", name: str = NAME) -> bytes:
    return one.encode(request(list_type, name), lead_table(list(rows)))


def error(code: Any = "BAD_REQUEST", details: Any = None, beside: Any = None) -> dict[str, Any]:
    inner = {"code": code, "message": "canary text"} | ({} if details is None else {"details": details})
    return {"error": inner} | ({} if beside is None else {"details": beside})


def test_it_is_a_service_that_adds_to_lists(service: Make) -> None:
    one: Service = service(Script())
    assert (one.name, one.max_leads_per_list, one.max_leads_per_call) == ("lance", 10_000, 1_000)
    assert (one.adds_to_lists, one.has_owners, one.has_exclusions) == (True, False, False)
    assert one.base_url == "https://api.example"
    assert service(Script(), lance_people_per_call=50).max_leads_per_call == 50
    assert (one.owners(), len(one.exclusions().emails), len(one.exclusions().domains)) == (frozenset(), 0, 0)
    assert not one.requests


# --- What it takes ----------------------------------------------------------------------------------------------------

ICP_REFUSED = Refused(RefusalKind.ADDRESS, 400, "BAD_REQUEST", "/icpId", setting="lance_icp_id")
NAMES = (("first_name",), ("last_name",))
IDS = Route("person_ids", (("person_id",),), is_one_call=True)


@pytest.mark.parametrize(
    ("changed", "routes"),
    [
        ({}, (Route("people", NAMES), IDS)),
        ({"lance_people_without_id": "refuse"}, (Route("people", (*NAMES, ("person_id",))), IDS)),
        ({"lance_find_people": "linkedin_url"}, (Route("people", NAMES), IDS, Route("people", (("linkedin_url",),)))),
        (
            {"lance_find_people": "linkedin_url", "lance_people_without_id": "refuse"},
            (Route("people", (*NAMES, ("person_id", "linkedin_url"))), IDS, Route("people", (("linkedin_url",),))),
        ),
    ],
)
def test_people_come_by_name_or_by_id(changed: Any, routes: tuple[Route, ...]) -> None:
    intake = Lance.intake(settings_of("lance", **changed))
    assert (intake.routes, intake.id_field, intake.takes_further_fields) == (routes, "person_id", False)
    assert set(intake.fields) == {*TEXT_FIELDS, *LIST_FIELDS}


def test_companies_come_by_id() -> None:
    intake = Lance.intake(settings_of("lance", lance_list_type="company"))
    assert (intake.routes, intake.id_field) == ((Route("company_ids", (("company_id",),)),), "company_id")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"enrich": True}, "`enrich` is on"),
        ({"validate_email": True}, "`validate_email` is on"),
        ({"reveal_phone_numbers": True}, "`reveal_phone_numbers` is on"),
        ({"list_type": "email"}, "`list_type` is for Amplemarket"),
        ({"extra_fields": ["canary"]}, "`extra_fields` is set"),
    ],
)
def test_what_lance_does_not_have_is_refused_before_a_call(changed: Any, words: str) -> None:
    for attempt in (Lance.intake, lambda given: Lance.open(given, surroundings())):
        with pytest.raises(SettingsError, match=re.escape(words)) as raised:
            attempt(settings_of("lance", **changed))
        assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("start", "end", "dates"),
    [
        ("today", "+90d", ("2026-06-03T00:00:00.000Z", "2026-09-01T23:59:59.000Z")),
        ("+7d", "+1d", ("2026-06-10T00:00:00.000Z", "2026-06-11T23:59:59.000Z")),
        ("today", "today", ("2026-06-03T00:00:00.000Z", "2026-06-03T23:59:59.000Z")),
        ("2026-01-31", "2026-02-28", ("2026-01-31T00:00:00.000Z", "2026-02-28T23:59:59.000Z")),
        ("2026-01-31T09:30+02:00", "+0d", ("2026-01-31T07:30:00.000Z", "2026-01-31T23:59:59.000Z")),
        ("2026-01-31T09:30:00.5", "2026-01-31T09:31Z", ("2026-01-31T09:30:00.500Z", "2026-01-31T09:31:00.000Z")),
    ],
)
def test_dates_are_days_in_utc(start: str, end: str, dates: tuple[str, str], service: Make) -> None:
    one = service(Script(), lance_start_date=start, lance_end_date=end)
    body = json.loads(body_of(one, person(1)))
    assert (body["startDate"], body["endDate"]) == dates


@pytest.mark.parametrize(
    ("start", "end", "setting"),
    [
        ("2026-02-30", "+90d", "lance_start_date"),
        ("today", "2026-13-01", "lance_end_date"),
        ("today", "2026-06-02", "lance_end_date"),
        ("9999-12-31", "+9999d", "lance_end_date"),
        ("2026-06-03T10:00:00Z", "2026-06-03T09:00:00Z", "lance_end_date"),
    ],
)
def test_dates_that_cannot_be_are_refused_at_start(start: str, end: str, setting: str) -> None:
    with pytest.raises(SettingsError, match=setting):
        Lance.open(settings_of("lance", lance_start_date=start, lance_end_date=end), surroundings())


# --- What is sent -----------------------------------------------------------------------------------------------------


def test_the_body_holds_the_list_and_its_people(service: Make) -> None:
    full = {
        "person_id": uuid(1), "first_name": "Sam", "last_name": "Okafor", "title": "Plant \u201cManager\u201d",
        "city": "Leeds", "country": "United Kingdom", "linkedin_url": url(1), "email": "sam@northwind.example",
        "phones": ["+44 113 496 0000"], "company_id": uuid(7), "seniority": "director", "departments": ["operations"],
        "company_name": "Northwind", "company_domain": "northwind.example",
    }  # fmt: skip
    body = service(Script()).encode(request(), lead_table([full, person(2, phones=[], email=None)]))
    assert json.loads(body) == {
        "name": NAME,
        "type": "person",
        "icpId": None,
        "startDate": "2026-06-03T00:00:00.000Z",
        "endDate": "2026-09-01T23:59:59.000Z",
        "prospects": [
            {
                "id": uuid(1), "firstName": "Sam", "lastName": "Okafor", "jobTitle": "Plant \u201cManager\u201d",
                "city": "Leeds", "country": "United Kingdom", "linkedinUrl": url(1),
                "emails": ["sam@northwind.example"], "phones": ["+44 113 496 0000"], "companyId": uuid(7),
                "seniority": "director", "departments": ["operations"],
            },
            {"firstName": "Sam2", "lastName": "Okafor"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("list_type", "kind", "array", "field"),
    [("person_ids", "person", "personIds", "person_id"), ("company_ids", "company", "companyIds", "company_id")],
)
def test_lists_of_ids_hold_ids(list_type: str, kind: str, array: str, field: str, service: Make) -> None:
    one = service(Script(), lance_icp_id="5e1d7a40")
    body = json.loads(body_of(one, {field: uuid(1)}, {field: uuid(2)}, list_type=list_type))
    assert (body["type"], body["icpId"], body[array]) == (kind, "5e1d7a40", [uuid(1), uuid(2)])
    assert not {"prospects", "personIds", "companyIds"} - {array} & set(body)


texts = st.one_of(st.none(), st.text(max_size=20))
lists = st.one_of(st.none(), st.lists(st.text(max_size=8), min_size=1, max_size=3))
people = st.lists(
    st.fixed_dictionaries({**dict.fromkeys(TEXT_FIELDS, texts), **dict.fromkeys(LIST_FIELDS, lists)}), max_size=6
)


@settings(deadline=None)
@given(people, st.booleans())
def test_decoding_the_body_gives_exactly_the_leads(rows: list[dict[str, Any]], is_chunked: bool) -> None:
    leads = lead_table(rows)
    if is_chunked:
        leads = pa.concat_tables([leads.slice(0, 2), leads.slice(2)])
    with contextlib.closing(Lance.open(settings_of("lance"), surroundings(Script()))) as one:
        sent = json.loads(one.encode(request(), leads))["prospects"]
    expected = [
        {member: row[field] for field, member in MEMBER_OF.items() if row[field] is not None}
        | ({} if row["email"] is None else {"emails": [row["email"]]})
        for row in rows
    ]
    assert sent == expected


@pytest.mark.step("D3")
def test_a_list_is_made_once_and_people_are_added_call_after_call(service: Make) -> None:
    script = Script().on(f"POST {LISTS}", (201, list_object())).on(f"POST {ADD_PEOPLE}", {"addedCount": 1})
    one = service(script)
    first, second = body_of(one, person(1)), body_of(one, person(2))
    assert one.send(first) == one.send(second) == Accepted(LIST_ID, None, 200, 1)
    dates = {"startDate": "2026-06-03T00:00:00.000Z", "endDate": "2026-09-01T23:59:59.000Z"}
    create = {"name": NAME, "type": "person", "icpId": None, **dates, "personIds": [], "companyIds": []}
    assert script.asked == [
        (f"POST {LISTS}", create),
        (f"POST {ADD_PEOPLE}", {"prospects": [{"firstName": "Sam1", "lastName": "Okafor"}]}),
        (f"POST {ADD_PEOPLE}", {"prospects": [{"firstName": "Sam2", "lastName": "Okafor"}]}),
    ]
    assert dict(one.requests) == {f"POST {LISTS}": 1, f"POST {LISTS}/{{id}}/add-prospects": 2}


def test_lists_of_other_names_are_lists_of_their_own(service: Make) -> None:
    script = Script().on(f"POST {LISTS}", list_object()).on(f"POST {ADD_PEOPLE}", {"addedCount": 1})
    one = service(script)
    for name in (NAME, "crm part 2 [AAAAAAAAAAAA]"):
        one.send(body_of(one, person(1), name=name))
    assert script.calls.count(f"POST {LISTS}") == 2


def test_ids_of_people_go_with_the_create_call(service: Make) -> None:
    script = Script().on(f"POST {LISTS}", list_object(personIds=[uuid(2).upper(), uuid(1)]))
    one = service(script)
    ids = [{"person_id": uuid(number)} for number in (1, 2, 3)]
    assert one.send(body_of(one, *ids, list_type="person_ids")) == Accepted(LIST_ID, None, 200, 2)
    [(_, create)] = script.asked
    assert create["personIds"] == [uuid(1), uuid(2), uuid(3)]


@pytest.mark.parametrize(
    ("members", "count"),
    [
        ({"personIds": ["lead_a", "lead_b"]}, 2),
        ({"personIds": ["lead_a", "lead_b", "lead_c"]}, 2),
        ({"personIds": []}, 0),
        ({"personIds": None}, None),
        ({"personIds": [7, None, uuid(1)]}, 1),
    ],
)
def test_ids_of_another_kind_are_counted(members: Any, count: int | None, service: Make) -> None:
    one = service(Script().on(f"POST {LISTS}", list_object(**members)))
    body = body_of(one, {"person_id": uuid(1)}, {"person_id": uuid(2)}, list_type="person_ids")
    assert one.send(body) == Accepted(LIST_ID, None, 200, count)


def test_further_ids_are_added_under_the_names_that_lance_knows(service: Make) -> None:
    script = Script().on(f"POST {LISTS}", list_object(personIds=[uuid(1)])).on(f"POST {ADD_PEOPLE}", {"addedCount": 1})
    script.on(f"GET {PERSON}/{uuid(2)}", {"id": uuid(2), "firstName": "Ada", "lastName": "Byron", "city": "London"})
    one = service(script)
    one.send(body_of(one, {"person_id": uuid(1)}, list_type="person_ids"))
    assert one.send(body_of(one, {"person_id": uuid(2)}, list_type="person_ids")) == Accepted(LIST_ID, None, 200, 1)
    added = {"prospects": [{"id": uuid(2), "firstName": "Ada", "lastName": "Byron"}]}
    assert script.asked[1:] == [(f"GET {PERSON}/{uuid(2)}", None), (f"POST {ADD_PEOPLE}", added)]
    assert f"GET {PERSON}/{{id}}" in one.requests


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (
            [(404, error("NOT_FOUND"))],
            Refused(
                RefusalKind.LEADS, 404, "person_not_found", "/personIds/0",
                (LeadRefusal(0, "person_not_found", "/personIds/0", "person_id"),),
            ),
        ),
        (
            [{"id": uuid(2), "firstName": "Ada", "lastName": " "}],
            Refused(
                RefusalKind.LEADS, 200, "person_without_name", "/personIds/0",
                (LeadRefusal(0, "person_without_name", "/personIds/0", "person_id"),),
            ),
        ),
        ([(401, error("UNAUTHORIZED"))], Refused(RefusalKind.CREDENTIALS, 401, "search_refused")),
        ([(500, error())], NotSent("search_failed")),
    ],
)  # fmt: skip
def test_further_ids_that_cannot_be_named_are_not_sent(answers: list[Any], outcome: Any, service: Make) -> None:
    script = Script().on(f"POST {LISTS}", list_object(personIds=[uuid(1)])).on(f"GET {PERSON}/{uuid(2)}", *answers)
    one = service(script)
    one.send(body_of(one, {"person_id": uuid(1)}, list_type="person_ids"))
    assert one.send(body_of(one, {"person_id": uuid(2)}, list_type="person_ids")) == outcome


def test_companies_go_with_the_create_call_and_then_into_the_list(service: Make) -> None:
    whole = list_object(type="company", companyIds=[uuid(1), uuid(2)], companies=[])
    script = Script().on(f"POST {LISTS}", list_object(companyIds=[uuid(1)]))
    script.on(f"POST {ADD_COMPANIES}", whole, whole, whole, [])
    one = service(script, lance_list_type="company")
    outcomes = [
        one.send(body_of(one, *({"company_id": uuid(number)} for number in numbers), list_type="company_ids"))
        for numbers in ([1], [2], [2, 3], [4], [5])
    ]
    assert outcomes == [
        Accepted(LIST_ID, None, 200, 1),
        Accepted(LIST_ID, None, 200, None),
        Accepted(LIST_ID, None, 200, 1),
        Accepted(LIST_ID, None, 200, 0),
        Unknown("unreadable_answer", 200),
    ]
    assert [body for call, body in script.asked if call == f"POST {ADD_COMPANIES}"][1] == {
        "companyIds": [uuid(2), uuid(3)]
    }
    assert script.asked[0][1]["type"] == "company"


# --- What comes of it -------------------------------------------------------------------------------------------------


@pytest.mark.step("D4")
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((200, {"name": NAME}), Unknown("unreadable_answer", 200)),
        ((201, {"id": "../x"}), Unknown("unreadable_answer", 201)),
        (httpx.Response(200, content=b"<html>canary"), Unknown("unreadable_answer", 200)),
        ((500, error("INTERNAL_ERROR")), Unknown("server_fault", 500)),
        ((408, {}), Unknown("timed_out", 408)),
        (httpx.ReadTimeout("canary"), Unknown("timed_out")),
        (httpx.ConnectError("canary"), NotSent("connect_failed")),
        (httpx.Response(429, headers={"Retry-After": "17"}), NotSent("rate_limited", 17.0, 429)),
        ((401, error("UNAUTHORIZED")), Refused(RefusalKind.CREDENTIALS, 401, "UNAUTHORIZED")),
        ((403, error("FORBIDDEN")), Refused(RefusalKind.CREDENTIALS, 403, "FORBIDDEN")),
        ((402, error("NO_CREDITS")), Refused(RefusalKind.CREDITS, 402, "NO_CREDITS")),
        ((400, error("UNAUTHORIZED")), Refused(RefusalKind.CREDENTIALS, 400, "UNAUTHORIZED")),
        ((400, error("BAD_REQUEST", {"icpId": ["x"]})), ICP_REFUSED),
        ((400, error("BAD_REQUEST")), Refused(RefusalKind.ADDRESS, 400, "BAD_REQUEST")),
        ((409, error("CONFLICT")), Refused(RefusalKind.ADDRESS, 409, "CONFLICT")),
        ((404, {}), Refused(RefusalKind.ADDRESS, 404)),
        (httpx.Response(302, headers={"Location": "https://evil.example"}), Refused(RefusalKind.ADDRESS, 302)),
    ],
)
def test_a_list_that_is_not_made_gets_nobody(answer: Any, outcome: Any, service: Make) -> None:
    script = Script().on(f"POST {LISTS}", answer)
    one = service(script)
    assert one.send(body_of(one, person(1))) == outcome
    assert script.calls == [f"POST {LISTS}"]


@pytest.mark.parametrize(
    ("wanted", "status", "is_made"), [("any", 202, True), ("200", 200, True), ("200", 201, False), ("201", 201, True)]
)
def test_the_status_of_a_create_call_can_be_pinned(wanted: str, status: int, is_made: bool, service: Make) -> None:
    script = Script().on(f"POST {LISTS}", (status, list_object())).on(f"POST {ADD_PEOPLE}", {"addedCount": 1})
    one = service(script, lance_create_status=wanted)
    outcome = one.send(body_of(one, person(1)))
    assert outcome == (Accepted(LIST_ID, None, 200, 1) if is_made else Unknown("unexpected_status", status))


@pytest.mark.step("D4")
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((201, {"addedCount": 2}), Accepted(LIST_ID, None, 201, 2)),
        ({"addedCount": 0}, Accepted(LIST_ID, None, 200, 0)),
        ({"addedCount": 3}, Unknown("unreadable_answer", 200)),
        ({"addedCount": -1}, Unknown("unreadable_answer", 200)),
        ({"addedCount": True}, Unknown("unreadable_answer", 200)),
        ({"addedCount": "2"}, Unknown("unreadable_answer", 200)),
        ({}, Unknown("unreadable_answer", 200)),
        ([], Unknown("unreadable_answer", 200)),
        ((500, {}), Unknown("server_fault", 500)),
        (httpx.RemoteProtocolError("canary"), Unknown("connection_lost")),
        (httpx.ConnectError("canary"), NotSent("connect_failed")),
        ((429, {}), NotSent("rate_limited", None, 429)),
        ((413, {}), Refused(RefusalKind.TOO_LARGE, 413)),
        ((409, error("CONFLICT")), Refused(RefusalKind.TOO_LARGE, 409, "CONFLICT")),
        ((403, error("FORBIDDEN")), Refused(RefusalKind.CREDENTIALS, 403, "FORBIDDEN")),
        ((400, error("VALIDATION_ERROR")), Refused(RefusalKind.REQUEST, 400, "VALIDATION_ERROR")),
        ((422, {"message": "canary"}), Refused(RefusalKind.REQUEST, 422)),
        ((418, error("canary text")), Refused(RefusalKind.ADDRESS, 418, "unrecognised")),
    ],
)
def test_what_comes_of_adding_people(answer: Any, outcome: Any, service: Make) -> None:
    script = Script().on(f"POST {LISTS}", list_object()).on(f"POST {ADD_PEOPLE}", answer)
    one = service(script)
    assert one.send(body_of(one, person(1), person(2))) == outcome
    assert script.calls == [f"POST {LISTS}", f"POST {ADD_PEOPLE}"]


@pytest.mark.step("D3")
@pytest.mark.parametrize("failure", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), (500, {}), (400, error())])
def test_a_list_that_was_made_is_filled_and_not_made_again(failure: Any, service: Make) -> None:
    script = Script().on(f"POST {LISTS}", list_object()).on(f"POST {ADD_PEOPLE}", failure, {"addedCount": 1})
    one = service(script)
    one.send(body_of(one, person(1)))
    assert one.send(body_of(one, person(1))) == Accepted(LIST_ID, None, 200, 1)
    assert script.calls.count(f"POST {LISTS}") == 1


def test_a_list_that_is_gone_stops_and_is_forgotten(service: Make) -> None:
    script = Script().on(f"POST {LISTS}", list_object())
    script.on(f"POST {ADD_PEOPLE}", (404, error("NOT_FOUND")), {"addedCount": 1})
    one = service(script)
    assert one.send(body_of(one, person(1))) == Refused(RefusalKind.ADDRESS, 404, "NOT_FOUND")
    one.send(body_of(one, person(1)))
    assert script.calls.count(f"POST {LISTS}") == 2


def test_once_stopped_no_call_begins(service: Make) -> None:
    stop = threading.Event()
    one = service(Script(), stop, lance_find_people="linkedin_url")
    stop.set()
    assert one.send(body_of(one, person(1))) == NotSent("stopped")
    assert one.send(body_of(one, person(1, linkedin_url=url(1)))) == NotSent("stopped")
    assert one.confirm(MARKER) == CannotAsk("stopped")
    assert not one.requests


# --- Refusals that name leads -----------------------------------------------------------------------------------------

NAMED = [
    "prospects[1].firstName",
    "prospects.1.firstName",
    "/prospects/1/firstName",
    "body.prospects[1].firstName is required",
    "#/prospects/1/firstName",
    ["prospects.1.firstName should not be empty"],
    ["prospects", 1, "firstName"],
    {"path": ["body", "prospects", 1, "firstName"], "message": "canary"},
    [{"path": "prospects[1].firstName", "code": "too_small"}],
    {"prospects[1].firstName": "canary"},
    {"prospects": {"1": {"firstName": ["Required"]}}},
    {"prospects": {"_errors": [], "1": {"_errors": [], "firstName": {"_errors": ["Required"]}}}},
    {"fieldErrors": {"prospects": {"1": {"firstName": "x"}}}},
    [{"source": {"pointer": "/prospects/1/firstName"}}],
]


@pytest.mark.step("D4")
@pytest.mark.parametrize("details", NAMED)
@pytest.mark.parametrize("is_beside", [False, True])
def test_a_lead_that_is_named_is_refused_however_it_is_written(details: Any, is_beside: bool, service: Make) -> None:
    document = error("BAD_REQUEST", beside=details) if is_beside else error("BAD_REQUEST", details)
    script = Script().on(f"POST {LISTS}", list_object()).on(f"POST {ADD_PEOPLE}", (400, document))
    one = service(script)
    lead = LeadRefusal(1, "BAD_REQUEST", "/prospects/1/firstName", "first_name")
    expected = Refused(RefusalKind.LEADS, 400, "BAD_REQUEST", lead.pointer, (lead,))
    assert one.send(body_of(one, person(1), person(2))) == expected


@pytest.mark.parametrize(
    ("details", "leads"),
    [
        (["prospects[2].emails[0]", "prospects[0]"], [(0, "/prospects/0", None), (2, "/prospects/2/emails", "email")]),
        (["prospects[0]", "prospects[0].city"], [(0, "/prospects/0/city", "city")]),
        ("prospects[1].sam@canary.example", [(1, "/prospects/1", None)]),
        ("prospects[1].functions", [(1, "/prospects/1", None)]),
        ("prospects[3].firstName prospects[000002].lastName", [(2, "/prospects/2/lastName", "last_name")]),
        ({"prospects": {"1": "canary", "x": {}, "-1": {}, "99": {}}}, [(1, "/prospects/1", None)]),
        (["prospects", "2"], [(2, "/prospects/2", None)]),
    ],
)
def test_leads_are_named_each_once_in_order_and_in_words_of_ours(details: Any, leads: Any) -> None:
    answer = Answer(400, json.dumps(error("VALIDATION_ERROR", details)).encode())
    outcome = outcome_of_failure(answer, Sent("prospects", [{}, {}, {}]))
    assert isinstance(outcome, Refused)
    assert [(lead.position, lead.pointer, lead.field) for lead in outcome.leads] == leads


@pytest.mark.parametrize(
    "details",
    [
        None, 7, "", "canary", "prospects", "prospects[]", "prospects[-1]", "prospects[3]", "prospects[1e1]",
        "prospects[\u0661]", "prospects[0000000]", "prospects.0000001", "xprospects[1]", "prospects[9999999]",
        ["prospects", True],
        ["prospects", 1.0], ["prospects", -1], ["prospects"], {"prospects": [{"firstName": "Sam"}, {"id": "x"}]},
        {"prospects": 7}, [[[]]],
    ],
)  # fmt: skip
def test_what_names_nobody_is_about_the_request(details: Any) -> None:
    answer = Answer(400, json.dumps(error("BAD_REQUEST", details)).encode())
    outcome = outcome_of_failure(answer, Sent("prospects", [{}, {}, {}]))
    assert outcome == Refused(RefusalKind.REQUEST, 400, "BAD_REQUEST")


@pytest.mark.parametrize(("list_type", "array", "field"), [
    ("person_ids", "personIds", "person_id"), ("company_ids", "companyIds", "company_id"),
])  # fmt: skip
def test_ids_that_are_named_are_refused(list_type: str, array: str, field: str, service: Make) -> None:
    script = Script().on(f"POST {LISTS}", (400, error("BAD_REQUEST", {"path": [array, 1]})))
    one = service(script)
    lead = LeadRefusal(1, "BAD_REQUEST", f"/{array}/1", field)
    body = body_of(one, {field: uuid(1)}, {field: uuid(2)}, list_type=list_type)
    assert one.send(body) == Refused(RefusalKind.LEADS, 400, "BAD_REQUEST", lead.pointer, (lead,))


def test_a_setting_that_is_refused_with_ids_is_not_theirs(service: Make) -> None:
    script = Script().on(f"POST {LISTS}", (400, error("BAD_REQUEST", ["endDate must be later"])))
    one = service(script)
    body = body_of(one, {"person_id": uuid(1)}, list_type="person_ids")
    assert one.send(body) == Refused(RefusalKind.ADDRESS, 400, "BAD_REQUEST", "/endDate", setting="lance_end_date")


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=12),
        st.sampled_from(["prospects[1].firstName", "prospects", "/prospects/2", "firstName", "icpId"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["error", "details", "code", "prospects", "1", "path", "id"]), inner),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(st.integers(300, 599), json_values)
def test_no_answer_raises_and_nothing_free_is_kept(status: int, value: Any) -> None:
    outcome = outcome_of_failure(Answer(status, json.dumps(value).encode()), Sent("prospects", [{}, {}, {}]))
    if isinstance(outcome, Refused):
        assert outcome.code is None or re.fullmatch(r"[A-Za-z0-9_]{1,64}", outcome.code)
        for lead in outcome.leads:
            assert 0 <= lead.position < 3
            assert re.fullmatch(r"/prospects/[0-2](/[A-Za-z]+)?", lead.pointer)


def test_an_answer_of_any_depth_is_read() -> None:
    deep = b'{"details":' + b'{"details":' * 900 + b"1" + b"}" * 901
    assert outcome_of_failure(Answer(400, deep), Sent("prospects", [{}])) == Refused(RefusalKind.REQUEST, 400)


# --- Looking for people -----------------------------------------------------------------------------------------------


def hit(number: int, **members: Any) -> dict[str, Any]:
    known = {"id": uuid(number), "firstName": "Found", "lastName": f"Person{number}", "linkedinUrl": url(number)}
    return {**known, "companyId": uuid(700 + number), **members}


def found(*hits: Any, last: Any = True, **members: Any) -> dict[str, Any]:
    return {"content": list(hits), "last": last, **members}


def looking(service: Make, *pages: Any, added: int = 1, **changed: Any) -> tuple[Lance, Script]:
    script = Script().on(f"POST {PERSON}", *pages).on(f"POST {LISTS}", list_object())
    script.on(f"POST {ADD_PEOPLE}", {"addedCount": added})
    return service(script, lance_find_people="linkedin_url", **changed), script


def test_people_are_looked_for_before_their_list_is_made(service: Make) -> None:
    one, script = looking(service, found(hit(1, linkedinUrl="http://LinkedIn.com/in/Sam-Okafor-1/?trk=x")))
    assert one.send(body_of(one, {"linkedin_url": url(1), "title": "Manager"})) == Accepted(LIST_ID, None, 200, 1)
    assert script.calls == [f"POST {PERSON}", f"POST {LISTS}", f"POST {ADD_PEOPLE}"]
    filters = {"socialMediaLink": {"any": {"include": [url(1)]}}}
    assert script.asked[0][1] == {"page": 0, "size": 100, "contact": filters}
    [sent] = script.asked[2][1]["prospects"]
    assert sent == {
        "id": uuid(1), "firstName": "Found", "lastName": "Person1", "companyId": uuid(701), "linkedinUrl": url(1),
        "jobTitle": "Manager",
    }  # fmt: skip


def test_what_the_record_says_comes_before_what_is_found(service: Make) -> None:
    one, script = looking(service, found(hit(1)))
    one.send(body_of(one, person(1, linkedin_url=url(1), company_id=uuid(9))))
    [sent] = script.asked[2][1]["prospects"]
    assert (sent["firstName"], sent["lastName"], sent["companyId"], sent["id"]) == ("Sam1", "Okafor", uuid(9), uuid(1))


def test_who_has_an_id_or_no_profile_is_not_looked_for(service: Make) -> None:
    one, script = looking(service, AssertionError, added=2)
    one.send(body_of(one, person(1, person_id=uuid(1), linkedin_url=url(1)), person(2)))
    assert script.calls == [f"POST {LISTS}", f"POST {ADD_PEOPLE}"]


def test_who_is_not_found_is_refused_and_the_rest_is_not_looked_for_again(service: Make) -> None:
    one, script = looking(service, found(hit(1), hit(3, firstName=None)), added=2)
    rows = [{"linkedin_url": url(number)} for number in (1, 2, 3)]
    outcome = one.send(body_of(one, *rows, person(4)))
    leads = (
        LeadRefusal(1, "person_not_found", "/prospects/1/linkedinUrl", "linkedin_url"),
        LeadRefusal(2, "person_without_name", "/prospects/2/linkedinUrl", "linkedin_url"),
    )
    assert outcome == Refused(RefusalKind.LEADS, 200, "person_not_found", "/prospects/1/linkedinUrl", leads)
    assert script.calls == [f"POST {PERSON}"]
    assert one.send(body_of(one, rows[0], person(4))) == Accepted(LIST_ID, None, 200, 2)
    assert script.calls == [f"POST {PERSON}", f"POST {LISTS}", f"POST {ADD_PEOPLE}"]


@pytest.mark.parametrize(("policy", "is_sent"), [("send", True), ("refuse", False)])
def test_who_has_names_and_is_not_found_is_sent_where_the_settings_let_it(
    policy: str, is_sent: bool, service: Make
) -> None:
    one, _ = looking(service, found(), lance_people_without_id=policy)
    outcome = one.send(body_of(one, person(1, linkedin_url=url(1))))
    assert isinstance(outcome, Accepted if is_sent else Refused)


def test_a_hit_of_somebody_else_is_nobody(service: Make) -> None:
    strangers = [hit(9), hit(1, id="../x"), hit(1, linkedinUrl="https://evil.example/in/sam-okafor-1"), hit(1, id=None)]
    one, _ = looking(service, found(*strangers))
    assert isinstance(one.send(body_of(one, {"linkedin_url": url(1)})), Refused)


def test_a_hundred_profiles_are_looked_for_at_once_and_pages_are_followed(service: Make) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == PERSON:
            question = json.loads(request.content)
            asked.append((question["page"], question["contact"]["socialMediaLink"]["any"]["include"]))
            half = len(asked[-1][1]) // 2
            urls = asked[-1][1][half:] if question["page"] else asked[-1][1][:half]
            hits = [hit(int(each.rpartition("-")[2])) for each in urls]
            return httpx.Response(200, json=found(*hits, last=question["page"] == 1))
        return httpx.Response(200, json=list_object() if request.url.path == LISTS else {"addedCount": 150})

    asked: list[tuple[int, list[str]]] = []
    one = service(answer, lance_find_people="linkedin_url")
    assert one.send(body_of(one, *({"linkedin_url": url(n)} for n in range(150)))) == Accepted(LIST_ID, None, 200, 150)
    assert [(page, len(urls)) for page, urls in asked] == [(0, 100), (1, 100), (0, 50), (1, 50)]


@pytest.mark.parametrize(
    ("page", "outcome"),
    [
        ((500, {}), NotSent("search_failed")),
        ((429, {}), NotSent("rate_limited")),
        (httpx.ReadTimeout("canary"), NotSent("search_failed")),
        ([], NotSent("search_failed")),
        ({"hits": []}, NotSent("search_failed")),
        ((401, {}), Refused(RefusalKind.CREDENTIALS, 401, "search_refused")),
        ((402, {}), Refused(RefusalKind.CREDITS, 402, "search_refused")),
        ((400, error("VALIDATION_ERROR")), Refused(RefusalKind.ADDRESS, 400, "search_refused")),
        (found(*[hit(9)] * 100, last=False), NotSent("search_too_long")),
        (found(hit(9), last=None, totalPages=99), NotSent("search_too_long")),
    ],
)
def test_a_search_that_fails_sends_nothing(page: Any, outcome: Any, service: Make) -> None:
    one, script = looking(service, page)
    assert one.send(body_of(one, {"linkedin_url": url(1)})) == outcome
    assert set(script.calls) == {f"POST {PERSON}"}


@pytest.mark.parametrize(
    "page",
    [found(hit(9), last=None, totalPages=1), found(hit(9), last=None), found(last=False), found(last=None)],
)
def test_a_search_that_ends_is_asked_once(page: Any, service: Make) -> None:
    one, script = looking(service, page)
    assert isinstance(one.send(body_of(one, {"linkedin_url": url(1)})), Refused)
    assert len(script.calls) == 1


def test_who_is_in_a_list_is_not_remembered(service: Make) -> None:
    one, script = looking(service, found(hit(1)))
    for _ in range(2):
        one.send(body_of(one, {"linkedin_url": url(1)}))
    assert script.calls.count(f"POST {PERSON}") == 2


# --- confirm ----------------------------------------------------------------------------------------------------------


@pytest.mark.step("D5", "R3")
def test_lists_with_the_marker_are_found_and_filled_from_then_on(service: Make) -> None:
    rows = [{"id": "other", "name": "Webinar"}, {"id": LIST_ID, "name": NAME, "personIds": [1]}]
    script = Script().on(f"POST {LISTS}", (500, {})).on(f"GET {LISTS}", rows)
    script.on(f"POST {ADD_PEOPLE}", {"addedCount": 1})
    one = service(script)
    assert one.send(body_of(one, person(1))) == Unknown("server_fault", 500)
    assert one.confirm(MARKER) == Found((LIST_ID,), (None,))
    assert one.send(body_of(one, person(1))) == Accepted(LIST_ID, None, 200, 1)
    assert script.calls.count(f"POST {LISTS}") == 1


@pytest.mark.step("D5", "R3")
def test_a_list_that_is_not_there_is_made(service: Make) -> None:
    script = (
        Script().on(f"GET {LISTS}", []).on(f"POST {LISTS}", list_object()).on(f"POST {ADD_PEOPLE}", {"addedCount": 1})
    )
    one = service(script)
    assert one.confirm(MARKER) == Absent()
    assert isinstance(one.send(body_of(one, person(1))), Accepted)


def test_a_list_that_was_made_is_there_before_it_is_listed(service: Make) -> None:
    script = Script().on(f"GET {LISTS}", []).on(f"POST {LISTS}", list_object()).on(f"POST {ADD_PEOPLE}", (500, {}))
    one = service(script)
    one.send(body_of(one, person(1)))
    assert one.confirm(MARKER) == Found((LIST_ID,), (None,))
    assert one.confirm("AAAAAAAAAAAA") == Absent()


def test_of_several_the_one_that_is_filled_comes_first(service: Make) -> None:
    rows = [{"id": "second", "name": NAME}, {"id": LIST_ID, "name": NAME}]
    script = Script().on(f"GET {LISTS}", rows).on(f"POST {LISTS}", list_object()).on(f"POST {ADD_PEOPLE}", (500, {}))
    one = service(script)
    one.send(body_of(one, person(1)))
    assert one.confirm(MARKER) == Found((LIST_ID, "second"), (None, None))


@pytest.mark.parametrize("name", [MARKER, f"({MARKER})", f"[{MARKER.lower()}]", f"[{MARKER}X]", f"[X{MARKER}]", ""])
def test_only_the_marker_in_brackets_counts(name: str, service: Make) -> None:
    assert service(Script().on(f"GET {LISTS}", [{"id": "a", "name": name}])).confirm(MARKER) == Absent()


@pytest.mark.parametrize(
    "listing",
    [
        {"content": []}, {}, 7, None, [7], [{"id": "a"}], [{"name": "a"}], [{"id": "a", "name": None}],
        [{"id": 7, "name": "a"}], [{"id": "../x", "name": NAME}], httpx.Response(200, content=b"<html>"),
    ],
)  # fmt: skip
def test_a_listing_of_another_shape_proves_nothing(listing: Any, service: Make, clock: RecordedClock) -> None:
    assert service(Script().on(f"GET {LISTS}", listing)).confirm(MARKER) == CannotAsk("unreadable_answer", 200)
    assert clock.pauses_s == []


def test_a_listing_that_fails_is_asked_for_again(service: Make, clock: RecordedClock) -> None:
    assert service(Script().on(f"GET {LISTS}", (500, {}))).confirm(MARKER) == CannotAsk("server_fault", 500)
    assert tuple(clock.pauses_s) == LISTING_PAUSES_S


# --- Reading a list ---------------------------------------------------------------------------------------------------


def entry_rows(one: Lance) -> list[dict[str, Any]]:
    [page] = one.entries(LIST_ID)
    assert isinstance(page, EntryPage)
    assert page.state == ListState("completed", None)
    assert page.entries.schema.equals(ENTRIES)
    rows: list[dict[str, Any]] = page.entries.to_pylist()
    return rows


def test_people_of_a_list_are_its_entries(service: Make) -> None:
    full = {
        "id": uuid(1), "firstName": "Sam", "lastName": "Okafor", "jobTitle": "Manager", "linkedinUrl": url(1),
        "emails": ["sam@northwind.example", "b@c.example"], "phones": ["+44"], "industry": "machinery",
        "company": {"name": "Northwind", "domain": "northwind.example"}, "workExperiences": [{}],
    }  # fmt: skip
    whole = list_object(persons=[full, {"id": "lead_2", "company": None, "emails": []}])
    first, second = entry_rows(service(Script().on(f"GET {LISTS}/{LIST_ID}", whole)))
    assert first == dict.fromkeys(ENTRIES.names) | {
        "entry_id": uuid(1), "person_id": uuid(1), "first_name": "Sam", "last_name": "Okafor", "title": "Manager",
        "linkedin_url": url(1), "email": "sam@northwind.example", "phone_numbers": '["+44"]', "industry": "machinery",
        "company_name": "Northwind", "company_domain": "northwind.example",
        "data": '{"emails":["sam@northwind.example","b@c.example"]}',
    }  # fmt: skip
    assert second == dict.fromkeys(ENTRIES.names) | {"entry_id": "lead_2", "person_id": "lead_2"}


@pytest.mark.parametrize("more", [{}, {"persons": []}])
def test_companies_of_a_list_are_its_entries(more: Any, service: Make) -> None:
    whole = list_object(type="company", companies=[{"id": uuid(1), "name": "Northwind", "domain": "n.example"}], **more)
    [row] = entry_rows(service(Script().on(f"GET {LISTS}/{LIST_ID}", whole)))
    named = {"entry_id": uuid(1), "company_name": "Northwind", "company_domain": "n.example"}
    assert row == dict.fromkeys(ENTRIES.names) | named


def test_who_is_in_a_list_and_not_shown_is_an_entry_known_by_id_alone(service: Make) -> None:
    """Sibling pages leave people out whose company has no name; taken for absent, they would be added again."""
    shown = {"id": uuid(1), "firstName": "Sam"}
    whole = list_object(persons=[shown], personIds=[uuid(1).upper(), uuid(2)])
    rows = entry_rows(service(Script().on(f"GET {LISTS}/{LIST_ID}", whole)))
    assert [(row["entry_id"], row["person_id"], row["first_name"]) for row in rows] == [
        (uuid(1), uuid(1), "Sam"), (uuid(2), uuid(2), None)
    ]  # fmt: skip
    other_kind = list_object(persons=[shown], personIds=["lead_7"])
    assert len(entry_rows(service(Script().on(f"GET {LISTS}/{LIST_ID}", other_kind)))) == 1
    companies = list_object(type="company", companies=[], companyIds=[uuid(3)])
    [row] = entry_rows(service(Script().on(f"GET {LISTS}/{LIST_ID}", companies)))
    assert (row["entry_id"], row["person_id"]) == (uuid(3), None)


@pytest.mark.parametrize(
    "whole",
    [
        list_object(companies=[]), list_object(type="company", persons=[]),
        list_object(personIds=[uuid(1), "a b"], persons=[]),
        list_object(), list_object(persons=None), list_object(persons=[{}]), list_object(persons=[{"id": 7}]),
        list_object(persons=[{"id": "a b"}]), list_object(persons={}), list_object(id="other", persons=[]), [], 7,
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_trusted_has_no_entries(whole: Any, service: Make) -> None:
    [page] = service(Script().on(f"GET {LISTS}/{LIST_ID}", whole)).entries(LIST_ID)
    assert page == CannotAsk("unreadable_answer", 200)


def test_a_list_is_completed_as_soon_as_it_is_there(service: Make) -> None:
    one = service(Script().on(f"GET {LISTS}/{LIST_ID}", list_object(persons=[]), (404, error("NOT_FOUND"))))
    assert one.list_state(LIST_ID) == ListState("completed", None)
    assert one.list_state(LIST_ID) == CannotAsk("refused", 404)
    assert one.requests == {f"GET {LISTS}/{{id}}": 2}


def test_a_list_of_ten_thousand_full_people_is_read(service: Make) -> None:
    """4 KB a person: beyond what any other answer may be."""
    big = [{"id": uuid(number), "skills": "x" * 4_000} for number in range(10_000)]
    whole = httpx.Response(200, content=json.dumps(list_object(persons=big)).encode())
    assert len(entry_rows(service(lambda _: whole))) == 10_000


# --- Whose key it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "account"),
    [
        ({"balance": 420, "organizationId": "org_2acme"}, Account("org_2acme", None)),
        ({"balance": 420, "organizationId": "a b"}, Account("", None)),
        ({}, Account("", None)),
    ],
)
def test_the_account_is_the_organisation(document: Any, account: Account, service: Make) -> None:
    assert service(Script().on(f"GET {BALANCE}", document)).account() == account


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_key_that_is_not_accepted_stops_with_what_to_do(status: int, service: Make) -> None:
    with pytest.raises(RefusedByApi, match=r"set api_key to a key of the account; .*api_key_command"):
        service(Script().on(f"GET {BALANCE}", (status, error("VALIDATION_ERROR")))).account()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((404, {}), ApiUnreachable, "base_url"),
        (httpx.Response(302), ApiUnreachable, "base_url"),
        ([], ApiUnreachable, "unreadable_answer"),
        ((418, {}), RefusedByApi, "HTTP 418"),
    ],
)
def test_another_answer_about_the_account_is_said(
    answer: Any, error: type[Exception], words: str, service: Make
) -> None:
    with pytest.raises(error, match=words):
        service(Script().on(f"GET {BALANCE}", answer)).account()


def test_an_api_that_does_not_answer_is_unreachable_after_a_few_tries(service: Make, clock: RecordedClock) -> None:
    with pytest.raises(ApiUnreachable, match="connect_failed"):
        service(Script().on(f"GET {BALANCE}", httpx.ConnectError("canary"))).account()
    assert tuple(clock.pauses_s) == ACCOUNT_PAUSES_S


# --- What stays inside ------------------------------------------------------------------------------------------------


def test_neither_key_nor_text_of_answers_gets_out(service: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {
        "error": {"code": f"{KEY}-canary", "message": "canary", "details": {"prospects[0].canary": f"canary {KEY}"}},
        "canary": ["prospects[0].canary@canary.example"],
    }
    said: list[str] = []
    for status in (400, 401, 402, 403, 404, 409, 413, 422, 429, 500):
        script = Script().on(f"POST {LISTS}", list_object()).on(f"POST {ADD_PEOPLE}", (status, echo))
        script.on(f"GET {LISTS}", (status, echo)).on(f"GET {BALANCE}", (status, echo))
        one = service(script)
        said += [repr(one.send(body_of(one, person(1, email="canary@canary.example"))))]
        said += [repr(one.confirm(MARKER)), repr(one), repr(vars(one))]
        with pytest.raises((RefusedByApi, ApiUnreachable)) as raised:
            one.account()
        said.append(repr(raised.value))
    everything = caplog.text + "".join(said)
    assert KEY not in everything
    assert "canary" not in everything
    assert caplog.records
