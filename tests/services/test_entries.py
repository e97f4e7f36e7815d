"""Reading a list and its entries: `GET /lead-lists/{id}`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from target_amplemarket.services.amplemarket import Amplemarket
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.services.protocol import CannotAsk, EntryPage, ListState
from tests.services.opened import settings_of, surroundings

LIST_ID = "0199c3d4-0001-7abc-8def-1234567890ab"
PATH = f"/lead-lists/{LIST_ID}"
Answers = Callable[..., Amplemarket]


@pytest.fixture
def answering() -> Iterator[Answers]:
    """A service that gets one answer after another, each a document or a response."""
    made: list[Amplemarket] = []

    def make(*answers: Any) -> Amplemarket:
        left = list(answers)

        def answer(request: httpx.Request) -> httpx.Response:
            given = left.pop(0)
            return given if isinstance(given, httpx.Response) else httpx.Response(200, json=given)

        service = Amplemarket.open(settings_of("amplemarket"), surroundings(answer))
        made.append(service)
        return service

    yield make
    for one in made:
        one.close()


def entry(number: int, **members: Any) -> dict[str, Any]:
    return {"id": f"entry-{number}", "object": "lead_list_entry", **members}


def page(*entries: dict[str, Any], following: str | None = None, **members: Any) -> dict[str, Any]:
    links = {"self": {"href": PATH}} | ({"next": {"href": following}} if following else {})
    known = {"id": LIST_ID, "object": "lead_list", "status": "completed", "owner": "dana@northwind.example"}
    return {**known, "leads": list(entries), "_links": links, **members}


def read(service: Amplemarket) -> list[EntryPage | CannotAsk]:
    return list(service.entries(LIST_ID))


def rows(service: Amplemarket) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in read(service):
        assert isinstance(each, EntryPage)
        assert each.entries.schema.equals(ENTRIES)
        found += each.entries.to_pylist()
    return found


def test_the_state_of_a_list_and_when_to_ask_again(answering: Answers) -> None:
    answer = httpx.Response(200, json=page(status="processing"), headers={"Retry-After": "17"})
    assert answering(answer).list_state(LIST_ID) == ListState("processing", "dana@northwind.example", 17.0)


@pytest.mark.parametrize("wrapped", [False, True])
def test_pages_are_followed_and_every_member_becomes_a_column(answering: Answers, wrapped: bool) -> None:
    phone = {"object": "phone_number", "id": "p", "number": "+1 555 0100", "type": "mobile"}
    first = entry(
        1, email="a@x.example", person_id="p-1", linkedin_url="u", linkedin="v", first_name="A", last_name="B",
        title="T", company_name="C", company_domain="d.example", industry="I", data={"k": [1, None]},
        phone_numbers=[phone], email_validation_result={"email": "a@x.example", "result": "risky"},
    )  # fmt: skip
    pages = [page(first, following=f"{PATH}?page[after]=entry-1"), page(entry(2))]
    found = rows(answering(*({"lead_list": each} if wrapped else each for each in pages)))
    assert found[0] == {
        "entry_id": "entry-1", "person_id": "p-1", "email": "a@x.example", "email_validation_result": "risky",
        "linkedin_url": "u", "linkedin": "v", "first_name": "A", "last_name": "B", "title": "T", "company_name": "C",
        "company_domain": "d.example", "industry": "I", "phone_numbers": json.dumps([phone], separators=(",", ":")),
        "data": '{"k":[1,null]}',
    }  # fmt: skip
    assert found[1] == dict.fromkeys(ENTRIES.names) | {"entry_id": "entry-2"}


def test_members_of_other_types_are_kept_as_text(answering: Answers) -> None:
    [row] = rows(answering(page(entry(1, person_id=7, industry=["a"], email_validation_result="deliverable"))))
    assert (row["person_id"], row["industry"], row["email_validation_result"]) == ("7", '["a"]', "deliverable")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (page(entry(1), id="0199c3d4-0002-7abc-8def-1234567890ab"), "unreadable_answer"),
        (page({"email": "a@x.example"}), "unreadable_answer"),
        (page({"id": "a b"}), "unreadable_answer"),
        ({"id": LIST_ID, "status": "completed"}, "unreadable_answer"),
        ([], "unreadable_answer"),
        (page(entry(1), following="/lead-lists/other?page[after]=entry-1"), "link_refused"),
        (page(entry(1), following="https://elsewhere.example/lead-lists"), "link_refused"),
        (page(entry(1), following=f"{PATH}?"), "listing_repeats"),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_no_page(answering: Answers, document: Any, reason: str) -> None:
    last = read(answering(document))[-1]
    assert isinstance(last, CannotAsk)
    assert last.reason == reason


def test_a_page_that_comes_again_ends_the_reading(answering: Answers) -> None:
    again = page(entry(1), following=f"{PATH}?page[after]=entry-2")
    found = read(answering(page(entry(1), following=f"{PATH}?page[after]=entry-1"), again))
    assert found[-1] == CannotAsk("listing_repeats")


def test_a_list_of_another_id_has_no_state(answering: Answers) -> None:
    assert answering(page(id="other")).list_state(LIST_ID) == CannotAsk("unreadable_answer", 200)


def test_a_list_that_is_not_there_is_told_by_its_status(answering: Answers) -> None:
    assert answering(httpx.Response(404)).list_state(LIST_ID) == CannotAsk("refused", 404)


@pytest.mark.parametrize("status", [None, 7, "In Review; drop table", ""])
def test_a_status_that_is_no_word_is_not_repeated(answering: Answers, status: Any) -> None:
    state = answering(page(status=status)).list_state(LIST_ID)
    assert isinstance(state, ListState)
    assert state.status == "unrecognised"


def test_calls_are_counted_by_endpoint_not_by_list(answering: Answers) -> None:
    service = answering(page(), page())
    service.list_state(LIST_ID)
    read(service)
    assert service.requests == {"GET /lead-lists/{id}": 2}
