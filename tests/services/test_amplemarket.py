from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_amplemarket.errors import ApiUnreachable, RefusedByApi, SettingsError
from target_amplemarket.leads.intake import Route
from target_amplemarket.services import documents
from target_amplemarket.services.amplemarket import LEAD_FIELDS, MAX_PAGES, Amplemarket
from target_amplemarket.services.answers import outcome_of
from target_amplemarket.services.calls import ACCOUNT_PAUSES_S, LISTING_PAUSES_S
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
    Account,
    CannotAsk,
    Found,
    LeadRefusal,
    ListRequest,
    NotSent,
    RefusalKind,
    Refused,
    Service,
    Unknown,
)
from target_amplemarket.services.replies import Answer
from tests.services.opened import KEY, Handler, RecordedClock, settings_of, surroundings

LIST_ID = "0199c3d4-0001-7abc-8def-1234567890ab"
URL = f"https://app.amplemarket.com/dashboard/lead_lists/{LIST_ID}"
MARKER = "K7Q2M9XA4T1B"


@pytest.fixture
def clock() -> RecordedClock:
    return RecordedClock()


@pytest.fixture
def service(clock: RecordedClock) -> Iterator[Callable[..., Amplemarket]]:
    made: list[Amplemarket] = []

    def make(answer: Handler, **others: Any) -> Amplemarket:
        made.append(Amplemarket.open(settings_of("amplemarket"), surroundings(answer, clock, **others)))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[..., Amplemarket]


def always(*args: Any, **kwargs: Any) -> Handler:
    return lambda request: httpx.Response(*args, **kwargs)


def in_turn(*responses: httpx.Response | Exception) -> Handler:
    """Answers with one after another; the last one for ever."""
    left = list(responses)

    def answer(request: httpx.Request) -> httpx.Response:
        response = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(response, Exception):
            raise response
        return response

    return answer


def test_it_is_a_service(service: Make) -> None:
    one: Service = service(always(200))
    assert (one.name, one.max_leads_per_list, one.max_leads_per_call) == ("amplemarket", 10_000, 10_000)
    assert (one.adds_to_lists, one.has_owners, one.has_exclusions) == (False, True, True)
    assert one.base_url == "https://api.example"


def test_without_an_address_it_is_the_vendor_s_own() -> None:
    with contextlib.closing(Amplemarket.open(settings_of("amplemarket", base_url=None), surroundings())) as one:
        assert one.base_url == "https://api.amplemarket.com"


@pytest.mark.parametrize(
    ("changed", "routes"),
    [
        ({"list_type": "linkedin"}, (Route("linkedin", (("linkedin_url",),)),)),
        ({"list_type": "email"}, (Route("email", (("email",),)),)),
        (
            {"list_type": "titles_and_company", "company_needs": "domain"},
            (Route("titles_and_company", (("title",), ("company_domain",))),),
        ),
    ],
)
def test_a_list_type_of_the_settings_is_the_only_way_in(changed: Any, routes: tuple[Route, ...]) -> None:
    intake = Amplemarket.intake(settings_of("amplemarket", **changed))
    assert (intake.fields, intake.routes, intake.id_field) == (LEAD_FIELDS, routes, None)


def test_every_list_type_is_tried_in_order_by_default() -> None:
    intake = Amplemarket.intake(settings_of("amplemarket"))
    assert [route.list_type for route in intake.routes] == ["linkedin", "email", "titles_and_company"]
    assert intake.routes[2].needs == (("title",), ("company_name", "company_domain"))


# --- encode -----------------------------------------------------------------------------------------------------------

REQUEST = ListRequest(
    name=f"crm 2026-06-10 part 1 [{MARKER}]",
    owner="dana@acme-robotics.example",
    list_type="linkedin",
    shared=True,
    visible=False,
    enrich=False,
    validate_email=True,
    reveal_phone_numbers=False,
)


def lead_table(rows: list[dict[str, Any]]) -> pa.Table:
    names = (*LEAD_FIELDS, "extra")
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def test_the_body_has_the_documented_shape(service: Make) -> None:
    leads = lead_table(
        [
            {
                "linkedin_url": "https://www.linkedin.com/in/sam",
                "title": 'Plant "M\u00e4nager"',
                "extra": '{"crm_id": "A-1"}',
            },
            {"email": "sam@northwind.example", "company_name": "Northwind", "company_domain": "northwind.example"},
            {},
        ]
    )
    assert service(always(200)).encode(REQUEST, leads).decode() == (
        '{"name":"crm 2026-06-10 part 1 [K7Q2M9XA4T1B]","shared":true,"visible":false,'
        '"owner":"dana@acme-robotics.example","type":"linkedin",'
        '"options":{"reveal_phone_numbers":false,"validate_email":true,"enrich":false},'
        '"leads":[{"linkedin_url":"https://www.linkedin.com/in/sam","title":"Plant \\"M\u00e4nager\\"","crm_id":"A-1"},'
        '{"email":"sam@northwind.example","company_name":"Northwind","company_domain":"northwind.example"},{}]}'
    )


def test_extra_members_never_stand_for_a_declared_field(service: Make) -> None:
    extra = json.dumps(dict.fromkeys(LEAD_FIELDS, "forged") | {"crm_id": "A-1"})
    body = service(always(200)).encode(REQUEST, lead_table([{"email": "sam@northwind.example", "extra": extra}]))
    assert json.loads(body)["leads"] == [{"email": "sam@northwind.example", "crm_id": "A-1"}]


text = st.one_of(st.none(), st.text(max_size=20))
names = st.one_of(st.text(max_size=8), st.sampled_from(LEAD_FIELDS))
extras = st.one_of(st.none(), st.dictionaries(names, st.text(max_size=20), max_size=4))
rows = st.lists(st.fixed_dictionaries({**dict.fromkeys(LEAD_FIELDS, text), "extra": extras}), max_size=8)


@settings(deadline=None)
@given(rows, st.booleans())
def test_decoding_the_body_gives_exactly_the_leads(rows: list[dict[str, Any]], is_chunked: bool) -> None:
    leads = lead_table([{**row, "extra": None if row["extra"] is None else json.dumps(row["extra"])} for row in rows])
    if is_chunked:
        leads = pa.concat_tables([leads.slice(0, 3), leads.slice(3)])
    one = Amplemarket.open(settings_of("amplemarket"), surroundings(always(200)))
    body = one.encode(REQUEST, leads)
    one.close()
    expected = [
        {name: row[name] for name in LEAD_FIELDS if row[name] is not None}
        | {name: value for name, value in (row["extra"] or {}).items() if name not in LEAD_FIELDS}
        for row in rows
    ]
    assert json.loads(body)["leads"] == expected


@pytest.mark.parametrize("extra", ["", "[]", "null", '"canary"', '{"canary": }', '{"canary": 1} x', "{" * 100_000])
def test_extra_that_is_no_object_is_a_fault_that_names_no_value(extra: str, service: Make) -> None:
    with pytest.raises(ValueError, match="not a JSON object") as raised:
        service(always(200)).encode(REQUEST, lead_table([{"extra": extra}]))
    assert "canary" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_ten_thousand_leads_are_encoded_in_a_moment(service: Make) -> None:
    row = {**dict.fromkeys(LEAD_FIELDS, "some twenty characters"), "extra": '{"crm_id": "A-1007", "region": "north"}'}
    one, leads = service(always(200)), lead_table([row] * 10_000)
    took_s = []
    for _ in range(5):
        started_s = time.perf_counter()
        one.encode(REQUEST, leads)
        took_s.append(time.perf_counter() - started_s)
    assert min(took_s) < 0.1


# --- send: what an answer means ---------------------------------------------------------------------------------------

BODY = json.dumps({"leads": [{"email": "a"}] * 20}).encode()


def created(**members: Any) -> bytes:
    return json.dumps({"id": LIST_ID, "object": "lead_list", "url": URL, "leads": [], **members}).encode()


def errors(*entries: Any) -> bytes:
    return json.dumps({"object": "error", "_errors": list(entries)}).encode()


def error(pointer: Any = None, code: Any = "unsupported_value") -> dict[str, Any]:
    source = {} if pointer is None else {"source": {"pointer": pointer}}
    return {"code": code, "title": "canary title", "detail": "canary detail", **source}


@pytest.mark.step("D4")
@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize("body", [created(), json.dumps({"lead_list": json.loads(created())}).encode()])
def test_2xx_with_an_id_is_accepted(status: int, body: bytes) -> None:
    assert outcome_of(Answer(status, body), BODY) == Accepted(LIST_ID, URL, status)


@pytest.mark.step("D4")
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b"<html>", b"\xff\xfe", b"[" * 200_000, b'{"id": "x"', created(id=None),
        created(id=7), created(id=""), created(id="a/b"), created(id="a b"), created(id="x" * 65), created(id="a\n"),
        created(id="../users"), created(id="\u0661"), b'{"lead_list": 7}', b'{"lead_list": {"id": "?"}}',
        b'{"id": NaN}', b'{"id": "\\ud800"}',
    ],
)  # fmt: skip
def test_2xx_without_an_id_is_unknown(body: bytes) -> None:
    assert outcome_of(Answer(202, body), BODY) == Unknown("unreadable_answer", 202)


@pytest.mark.step("D4")
@pytest.mark.parametrize("fault", ["timed_out", "connection_lost", "unreadable_answer"])
def test_2xx_whose_body_is_lost_is_unknown(fault: str) -> None:
    assert outcome_of(Answer(202, None, fault), BODY) == Unknown(fault, 202)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://development.example/x", "http://development.example/x"),
        ("https://e.example/" + "a" * 2_030, "https://e.example/" + "a" * 2_030),
        ("https://e.example/" + "a" * 2_031, None),
        ("javascript:alert(1)", None),
        ("https://e.example/\n", None),
        ("https://e.example/\u202e", None),
        ("//e.example", None),
        ("", None),
        (7, None),
        (None, None),
        (["https://e.example"], None),
    ],
)
def test_the_url_is_kept_only_as_printable_text(url: Any, kept: str | None) -> None:
    assert outcome_of(Answer(202, created(url=url)), BODY) == Accepted(LIST_ID, kept, 202)


@pytest.mark.step("D4")
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((status, Refused(RefusalKind.ADDRESS, status)) for status in (300, 301, 302, 303, 304, 307, 308)),
        *((status, Refused(RefusalKind.ADDRESS, status)) for status in (404, 405, 406, 410, 415, 421, 426, 431)),
        *((status, Refused(RefusalKind.REQUEST, status)) for status in (400, 422, 451)),
        *((status, Refused(RefusalKind.CREDENTIALS, status)) for status in (401, 403)),
        (402, Refused(RefusalKind.CREDITS, 402)),
        (408, Unknown("timed_out", 408)),
        *((status, Refused(RefusalKind.TOO_LARGE, status)) for status in (409, 413)),
        (429, NotSent("rate_limited", None, 429)),
        *((status, Unknown("server_fault", status)) for status in (500, 501, 502, 503, 504, 507, 599, 600, 999)),
    ],
)
@pytest.mark.parametrize("answer_body", [b"", b"<html>", None])
def test_the_status_alone_decides_where_there_is_no_readable_body(
    status: int, outcome: Any, answer_body: bytes | None
) -> None:
    answer = Answer(status, answer_body, None if answer_body is not None else "connection_lost")
    assert outcome_of(answer, BODY) == outcome


def test_a_429_carries_the_wait_that_it_asks_for() -> None:
    assert outcome_of(Answer(429, b"", None, 17.0), BODY) == NotSent("rate_limited", 17.0, 429)


def test_a_readable_402_keeps_its_code() -> None:
    body = errors(error(code="insufficient_credits"))
    assert outcome_of(Answer(402, body), BODY) == Refused(RefusalKind.CREDITS, 402, "insufficient_credits")


@pytest.mark.step("D4")
@pytest.mark.parametrize("status", [400, 422])
def test_leads_that_are_named_are_refused_each_once_in_the_order_of_the_request(status: int) -> None:
    body = errors(
        error("/leads/7/linkedin_url"),
        error("/leads/0/email", "missing_field"),
        error("/leads/7/email", "second"),
        error("/leads/19"),
        error("/leads/3/crm_id"),
        error("/type"),
        error("/leads"),
    )
    leads = (
        LeadRefusal(0, "missing_field", "/leads/0/email", "email"),
        LeadRefusal(3, "unsupported_value", "/leads/3/crm_id", None),
        LeadRefusal(7, "unsupported_value", "/leads/7/linkedin_url", "linkedin_url"),
        LeadRefusal(19, "unsupported_value", "/leads/19", None),
    )
    assert outcome_of(Answer(status, body), BODY) == Refused(
        RefusalKind.LEADS, status, "missing_field", "/leads/0/email", leads
    )


@pytest.mark.parametrize(
    "pointer",
    [
        "/leads/20", "/leads/20/email", "/leads/999999/email", "/leads/9999999999999999999999/email", "/leads/-1/email",
        "/leads/01/email", "/leads/+1/email", "/leads/1e1/email", "/leads/ 1/email", "/leads/\u0661/email",
        "/leads/x/email", "/leads//email", "leads/1/email", "#/leads/1/email", "/Leads/1/email", "/leads/1email",
        "leads[0].linkedin_url", "/leads", "/", "", 7, ["/leads/1"], {"a": 1},
    ],
)  # fmt: skip
def test_a_pointer_at_nothing_names_no_lead(pointer: Any) -> None:
    outcome = outcome_of(Answer(400, errors(error(pointer))), BODY)
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.leads) == (RefusalKind.REQUEST, ())


@pytest.mark.parametrize("member", ["sam@x.example", "a b", "\n", "\u00fc", "x" * 200, "a/" * 80])
def test_a_pointer_that_may_hold_a_value_is_cut_to_the_lead(member: str) -> None:
    outcome = outcome_of(Answer(400, errors(error(f"/leads/4/{member}"))), BODY)
    assert isinstance(outcome, Refused)
    assert outcome.leads == (LeadRefusal(4, "unsupported_value", "/leads/4", None),)


@pytest.mark.step("D4")
def test_an_owner_whom_the_account_does_not_know_is_the_owner_s_refusal() -> None:
    body = errors(error("/leads/1/email"), error("/owner"))
    assert outcome_of(Answer(400, body), BODY) == Refused(RefusalKind.OWNER, 400, "unsupported_value", "/owner")


@pytest.mark.parametrize("pointer", ["/type", "/leads", "/shared", "/options/enrich", "/owner/email"])
def test_any_other_pointer_is_about_the_request(pointer: str) -> None:
    assert outcome_of(Answer(400, errors(error(pointer))), BODY) == Refused(
        RefusalKind.REQUEST, 400, "unsupported_value", pointer
    )


@pytest.mark.parametrize(
    "pointer", ["/a b", "/sam@x.example", "type", "/" + "a" * 65, "/a" * 65, "/", "/a\n", "/\u00fc", "", None, 7]
)
def test_a_pointer_of_another_form_is_dropped(pointer: Any) -> None:
    assert outcome_of(Answer(400, errors(error(pointer))), BODY) == Refused(
        RefusalKind.REQUEST, 400, "unsupported_value", None
    )


@pytest.mark.parametrize("code", ["", "Unsupported", "a b", "a" * 65, "sam@x.example", "a\n", 7, None, ["a"], "\u00fc"])
def test_a_code_of_another_form_is_unrecognised(code: Any) -> None:
    outcome = outcome_of(Answer(400, errors(error("/leads/1/email", code))), BODY)
    assert outcome == Refused(
        RefusalKind.LEADS,
        400,
        "unrecognised",
        "/leads/1/email",
        (LeadRefusal(1, "unrecognised", "/leads/1/email", "email"),),
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"_errors": 7}', b'{"_errors": []}', b'{"_errors": [7, null, "x", []]}', b"[]", b'{"errors": []}',
        b'{"_errors": ' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_errors_of_another_shape_are_a_refusal_without_code(body: bytes) -> None:
    assert outcome_of(Answer(400, body), BODY) == Refused(RefusalKind.REQUEST, 400)


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.sampled_from(["/leads/3/x y", "/owner"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["_errors", "code", "source", "pointer", "id", "lead_list", "url"]), inner),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.integers(200, 599), json_values)
def test_no_answer_raises_and_nothing_free_is_kept(status: int, value: Any) -> None:
    outcome = outcome_of(Answer(status, json.dumps(value).encode()), BODY)
    if isinstance(outcome, Refused):
        assert outcome.code is None or documents._CODE.fullmatch(outcome.code)
        for pointer in (outcome.pointer, *(lead.pointer for lead in outcome.leads)):
            assert pointer is None or (len(pointer) <= 128 and documents._POINTER.fullmatch(pointer))
        assert all(0 <= lead.position < 20 for lead in outcome.leads)


@pytest.mark.step("D3")
def test_a_list_is_posted_once_whatever_comes_of_it(service: Make) -> None:
    for response in (httpx.Response(500), httpx.Response(429), httpx.Response(301), httpx.ReadError("x")):
        requests: list[httpx.Request] = []

        def answer(request: httpx.Request, response: Any = response, requests: Any = requests) -> httpx.Response:
            requests.append(request)
            return in_turn(response)(request)

        service(answer).send(BODY)
        assert [(request.method, request.url.path) for request in requests] == [("POST", "/lead-lists")]
        assert requests[0].content == BODY


def test_what_the_network_did_is_passed_on(service: Make) -> None:
    assert service(in_turn(httpx.ConnectError("x"))).send(BODY) == NotSent("connect_failed")
    assert service(in_turn(httpx.ReadTimeout("x"))).send(BODY) == Unknown("timed_out")


def test_every_call_asks_for_its_place_in_the_budget(service: Make) -> None:
    order: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        order.append(request.method)
        return httpx.Response(500) if len(order) <= 4 else httpx.Response(200, json={"id": "x"})

    one = service(answer, pace=lambda: order.append("pace"))
    one.send(BODY)
    one.account()
    assert order == ["pace", "POST", "pace", "GET", "pace", "GET"]


def test_calls_are_counted_by_method_and_path(service: Make) -> None:
    one = service(in_turn(httpx.Response(500), httpx.Response(200, json={"lead_lists": []})))
    one.send(BODY)
    one.confirm(MARKER)
    one.confirm(MARKER)
    assert dict(one.requests) == {"POST /lead-lists": 1, "GET /lead-lists": 2}


def test_once_stopped_no_call_begins(service: Make) -> None:
    stop = threading.Event()
    one = service(in_turn(AssertionError("a call was made")), stop=stop, pace=stop.set)
    assert one.send(BODY) == NotSent("stopped")
    assert one.confirm(MARKER) == CannotAsk("stopped")
    with pytest.raises(ApiUnreachable, match="stopped"):
        one.account()
    assert not one.requests


# --- confirm ----------------------------------------------------------------------------------------------------------


def row(number: int, name: Any = "Webinar", **members: Any) -> dict[str, Any]:
    return {"id": f"list-{number}", "name": name, "url": f"https://app.example/{number}", **members}


def listing(*pages: list[dict[str, Any]], key: str = "lead_lists", path: str = "/lead-lists") -> Handler:
    """Pages whose links carry raw brackets and the number of the page as their cursor."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == path
        number = int(request.url.params.get("page[after]", "0"))
        links = {"self": {"href": path}}
        if number + 1 < len(pages):
            links["next"] = {"href": f"{path}?page[size]=100&page[after]={number + 1}"}
        return httpx.Response(200, json={key: pages[number], "_links": links})

    return answer


@pytest.mark.step("D5", "R3")
def test_all_lists_that_carry_the_marker_are_found_on_all_pages(service: Make) -> None:
    name = f"crm 2026-06-10 part 1 [{MARKER}]"
    pages = [[row(1), row(2, name)], [], [row(3, f"[{MARKER}] renamed", url="javascript:x"), row(4, None)]]
    assert service(listing(*pages)).confirm(MARKER) == Found(("list-2", "list-3"), ("https://app.example/2", None))


@pytest.mark.step("D5", "R3")
def test_absent_means_that_every_page_was_read(service: Make) -> None:
    asked: list[str] = []
    pages = listing(*[[row(number)] for number in range(30)])

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode().replace("%5B", "[").replace("%5D", "]"))
        return pages(request)

    assert service(answer).confirm(MARKER) == Absent()
    assert asked[:2] == ["page[size]=100", "page[size]=100&page[after]=1"]
    assert len(asked) == 30


def test_an_empty_account_has_no_list(service: Make) -> None:
    assert service(always(200, json={"lead_lists": []})).confirm(MARKER) == Absent()


@pytest.mark.step("D5", "R3")
@pytest.mark.parametrize("name", [MARKER, f"({MARKER})", f"[{MARKER.lower()}]", f"[{MARKER}X]", f"[X{MARKER}]", ""])
def test_only_the_marker_in_brackets_counts(name: str, service: Make) -> None:
    assert service(listing([row(1, name)])).confirm(MARKER) == Absent()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"<html>", b'{"lead_lists": {}}', b'{"lead_lists": null}', b'{"results": []}',
        b'{"lead_lists": [{"id": "a"}]}', b'{"lead_lists": [{"name": "a"}]}',
        b'{"lead_lists": [{"id": 7, "name": "a"}]}',
        b'{"lead_lists": [{"id": "a", "name": 7}]}', b'{"lead_lists": ["a"]}', b'{"lead_lists": []',
        b'{"lead_lists": [], "_links": 7}', b'{"lead_lists": [], "_links": {"next": "x"}}',
        b'{"lead_lists": [], "_links": {"next": {}}}', b'{"lead_lists": ' + b"[" * 200_000,
        json.dumps({"lead_lists": [row(1, f"[{MARKER}]", id="../x")]}).encode(),
    ],
)  # fmt: skip
def test_a_page_of_another_shape_proves_nothing(body: bytes, service: Make, clock: RecordedClock) -> None:
    assert service(always(200, content=body)).confirm(MARKER) == CannotAsk("unreadable_answer", 200)
    assert clock.pauses_s == []


def page_with_next(href: str, *numbers: int) -> httpx.Response:
    return httpx.Response(200, json={"lead_lists": [row(n) for n in numbers], "_links": {"next": {"href": href}}})


@pytest.mark.parametrize("href", ["https://evil.example/lead-lists?page[after]=1", "//evil.example", "/users", ""])
def test_a_link_elsewhere_ends_the_walk_without_an_answer(href: str, service: Make) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return page_with_next(href, 1)

    assert service(answer).confirm(MARKER) == CannotAsk("link_refused")
    assert [url.host for url in asked] == ["api.example"]


def test_a_link_that_comes_back_ends_the_walk(service: Make) -> None:
    numbers = iter(range(1_000_000))
    hrefs = ("/lead-lists?page[after]=a", "/lead-lists?page[after]=b")

    def answer(request: httpx.Request) -> httpx.Response:
        number = next(numbers)
        return page_with_next(hrefs[number % 2], number)

    assert service(answer).confirm(MARKER) == CannotAsk("listing_repeats")
    assert next(numbers) < 5


def test_rows_that_come_back_under_ever_new_links_end_the_walk(service: Make) -> None:
    numbers = iter(range(1_000_000))

    def answer(request: httpx.Request) -> httpx.Response:
        return page_with_next(f"/lead-lists?page[after]={next(numbers)}", 1, 2, 3)

    assert service(answer).confirm(MARKER) == CannotAsk("listing_repeats")
    assert next(numbers) < 5


def test_a_listing_without_end_is_left_after_so_many_pages(service: Make) -> None:
    numbers = iter(range(1_000_000))

    def answer(request: httpx.Request) -> httpx.Response:
        number = next(numbers)
        return page_with_next(f"/lead-lists?page[after]={number}", number)

    assert service(answer).confirm(MARKER) == CannotAsk("listing_too_long")
    assert next(numbers) == MAX_PAGES


def test_a_page_size_that_is_refused_is_left_to_the_server(service: Make) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("page[size]"):
            return httpx.Response(400)
        return httpx.Response(200, json={"lead_lists": [row(1, f"[{MARKER}]")]})

    assert service(answer).confirm(MARKER) == Found(("list-1",), ("https://app.example/1",))


def test_a_failure_after_a_match_is_no_answer(service: Make) -> None:
    pages = listing([row(1, f"[{MARKER}]")], [])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401) if "after" in str(request.url) else pages(request)

    assert service(answer).confirm(MARKER) == CannotAsk("refused", 401)


# --- reads are repeated -----------------------------------------------------------------------------------------------

PASSING = [
    (httpx.Response(500), CannotAsk("server_fault", 500)),
    (httpx.Response(503), CannotAsk("server_fault", 503)),
    (httpx.Response(429), CannotAsk("rate_limited", 429)),
    (httpx.Response(408), CannotAsk("timed_out", 408)),
    (httpx.ConnectError("x"), CannotAsk("connect_failed")),
    (httpx.ReadTimeout("x"), CannotAsk("timed_out")),
    (httpx.RemoteProtocolError("x"), CannotAsk("connection_lost")),
]
LASTING = [
    (httpx.Response(302), CannotAsk("redirected", 302)),
    (httpx.Response(401), CannotAsk("refused", 401)),
    (httpx.Response(403), CannotAsk("refused", 403)),
    (httpx.Response(404), CannotAsk("refused", 404)),
    (httpx.Response(400), CannotAsk("refused", 400)),
]


@pytest.mark.parametrize(("failure", "answer"), PASSING)
def test_what_may_pass_is_asked_again_a_few_times(
    failure: Any, answer: CannotAsk, service: Make, clock: RecordedClock
) -> None:
    assert service(in_turn(failure)).confirm(MARKER) == answer
    assert tuple(clock.pauses_s) == LISTING_PAUSES_S


@pytest.mark.parametrize("failure", [failure for failure, _ in PASSING])
def test_one_good_answer_is_enough(failure: Any, service: Make, clock: RecordedClock) -> None:
    good = httpx.Response(200, json={"lead_lists": []})
    assert service(in_turn(failure, failure, good)).confirm(MARKER) == Absent()
    assert tuple(clock.pauses_s) == LISTING_PAUSES_S[:2]


@pytest.mark.parametrize(("failure", "answer"), LASTING)
def test_what_lasts_is_not_asked_again(failure: Any, answer: CannotAsk, service: Make, clock: RecordedClock) -> None:
    assert service(in_turn(failure)).confirm(MARKER) == answer
    assert clock.pauses_s == []


def test_a_wait_that_is_asked_for_is_kept_and_told(service: Make, clock: RecordedClock) -> None:
    told: list[float | None] = []
    busy = httpx.Response(429, headers={"Retry-After": "42"})
    away = httpx.Response(503, headers={"Retry-After": "7"})
    good = httpx.Response(200, json={"lead_lists": []})
    assert service(in_turn(busy, away, good), slow_down=told.append).confirm(MARKER) == Absent()
    assert clock.pauses_s == [42.0, 7.0]
    assert told == [42.0]


# --- account and owners -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "account"),
    [
        ({"id": "0199b1c2", "name": "Acme Robotics"}, Account("0199b1c2", "Acme Robotics")),
        ({"id": "0199b1c2"}, Account("0199b1c2", None)),
        ({"id": "a b", "name": "line\nbreak"}, Account("", None)),
        ({"id": 7, "name": 7}, Account("", None)),
        ({"id": "a", "name": "x" * 500}, Account("a", "x" * 200)),
        ({}, Account("", None)),
    ],
)
def test_an_account_is_named_as_far_as_the_answer_names_it(document: Any, account: Account, service: Make) -> None:
    assert service(always(200, json=document)).account() == account


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_accepted_stops_with_what_to_do(status: int, service: Make) -> None:
    for ask in ("account", "owners"):
        with pytest.raises(RefusedByApi, match="set api_key"):
            getattr(service(always(status)), ask)()


@pytest.mark.parametrize("status", [301, 404, 405])
def test_another_server_behind_the_address_is_said(status: int, service: Make) -> None:
    with pytest.raises(ApiUnreachable, match="base_url"):
        service(always(status)).account()


@pytest.mark.parametrize("failure", [httpx.Response(500), httpx.ConnectError("canary"), httpx.Response(429)])
def test_an_api_that_does_not_answer_is_unreachable_after_a_few_tries(
    failure: Any, service: Make, clock: RecordedClock
) -> None:
    with pytest.raises(ApiUnreachable) as raised:
        service(in_turn(failure)).account()
    assert tuple(clock.pauses_s) == ACCOUNT_PAUSES_S
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("body", [b"<html>canary", b"[]", b"7", b""])
def test_an_answer_that_is_no_object_is_not_the_api(body: bytes, service: Make) -> None:
    with pytest.raises(ApiUnreachable, match="unreadable_answer"):
        service(always(200, content=body)).account()


def test_another_refusal_is_passed_on(service: Make) -> None:
    with pytest.raises(RefusedByApi, match="HTTP 400"):
        service(always(400)).owners()


def user(number: int, email: Any, **members: Any) -> dict[str, Any]:
    return {"id": f"user-{number}", "email": email, **members}


def test_owners_are_all_users_that_are_not_inactive_in_lower_case(service: Make) -> None:
    pages = [
        [user(1, "Dana@Acme.example", status="active"), user(2, "gone@acme.example", status="inactive")],
        [user(3, "new@acme.example"), user(4, "odd@acme.example", status="invited"), user(5, None), user(6, "")],
    ]
    owners = service(listing(*pages, key="users", path="/users")).owners()
    assert owners == {"dana@acme.example", "new@acme.example", "odd@acme.example"}


def test_users_are_asked_for_without_a_page_size(service: Make) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.query == b""
        return httpx.Response(200, json={"users": []})

    assert service(answer).owners() == frozenset()


def test_owners_of_a_listing_that_cannot_be_read_to_its_end_are_not_known(service: Make) -> None:
    with pytest.raises(ApiUnreachable, match="link_refused"):
        service(always(200, json={"users": [], "_links": {"next": {"href": "https://evil.example/users"}}})).owners()


# --- exclusions -------------------------------------------------------------------------------------------------------


def excluded(kind: str, *values: Any) -> list[dict[str, Any]]:
    return [{kind: value, "source": "salesforce", "excluded_reason": "api", "excluded_reasons": []} for value in values]


def by_path(answers: dict[str, Any]) -> Any:
    return lambda request: answers[request.url.path](request)


def nobody(kind: str) -> Any:
    return always(200, json={f"excluded_{kind}s": []})


def test_exclusions_are_the_rows_of_all_pages_as_the_account_writes_them(service: Make) -> None:
    answers = {
        "/excluded-emails": listing(
            excluded("email", "Ann@b.example"), excluded("email", "c@d.example"), key="excluded_emails",
            path="/excluded-emails",
        ),
        "/excluded-domains": listing(excluded("domain", "B.example"), key="excluded_domains", path="/excluded-domains"),
    }  # fmt: skip
    found = service(by_path(answers)).exclusions()
    assert found.emails.to_pylist() == ["Ann@b.example", "c@d.example"]
    assert found.domains.to_pylist() == ["B.example"]


@pytest.mark.parametrize(("document", "reason"), [
    ({"excluded_domains": [{"domain": None}]}, "unreadable_answer"),
    ({"excluded_domains": [{"value": "a.example"}]}, "unreadable_answer"),
    ({"domains": []}, "unreadable_answer"),
    ({"excluded_domains": [], "_links": {"next": {"href": "https://evil.example/x?page=2"}}}, "link_refused"),
    ({"excluded_domains": [], "_links": {"next": {"href": "/excluded-domains?"}}}, "listing_repeats"),
])  # fmt: skip
def test_exclusions_of_which_one_might_be_missed_are_not_known(document: Any, reason: str, service: Make) -> None:
    answers = {"/excluded-emails": nobody("email"), "/excluded-domains": always(200, json=document)}
    with pytest.raises(ApiUnreachable, match=rf"GET /excluded-domains: {reason}"):
        service(by_path(answers)).exclusions()


def test_a_server_that_shows_one_page_for_ever_is_noticed(service: Make) -> None:
    numbers = iter(range(10_000))

    def answer(request: httpx.Request) -> httpx.Response:
        links = {"next": {"href": f"/excluded-emails?page[after]={next(numbers)}"}}
        return httpx.Response(200, json={"excluded_emails": excluded("email", "a@b.example"), "_links": links})

    with pytest.raises(ApiUnreachable, match="listing_repeats"):
        service(by_path({"/excluded-emails": answer})).exclusions()
    assert next(numbers) < 5


@pytest.mark.parametrize("status", [401, 403, 404, 400])
def test_exclusions_that_are_refused_are_refused(status: int, service: Make) -> None:
    with pytest.raises(RefusedByApi, match=f"HTTP {status}"):
        service(always(status)).exclusions()


# --- the key ----------------------------------------------------------------------------------------------------------


def test_the_key_is_in_no_log_line_representation_or_exception(service: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    one = service(in_turn(httpx.ConnectError(KEY)))
    one.send(BODY)
    one.confirm(MARKER)
    with pytest.raises(ApiUnreachable) as raised:
        one.account()
    assert KEY not in caplog.text + repr(one) + str(one) + repr(vars(one)) + repr(raised.value)
    assert caplog.records


def test_an_address_that_would_show_the_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="https"):
        Amplemarket.open(settings_of("amplemarket", base_url="http://api.amplemarket.com"), surroundings())
