from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.config import LIST_TYPES
from target_amplemarket.leads.canonical import CanonicalColumn
from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.leads.router import LeadColumns, route
from tests.leads.building import BY_ID, FIVE, UNHURRIED, intake

GOOD, BAD, NONE = "good", "bad", None


class Row(NamedTuple):
    """`good`, `bad` or nothing for each lead field; title and company are never bad."""

    linkedin: str | None = NONE
    email: str | None = NONE
    title: str | None = NONE
    name: str | None = NONE
    domain: str | None = NONE


def columns(rows: list[Row]) -> LeadColumns:
    def canonical(values: list[str | None], code: str) -> CanonicalColumn:
        return CanonicalColumn(
            pa.array([value if value == GOOD else None for value in values], pa.string()),
            pa.array([code if value == BAD else None for value in values], pa.string()),
        )

    linkedin = canonical([row.linkedin for row in rows], "company_page")
    email = canonical([row.email for row in rows], "no_at_sign")
    texts = {
        field: pa.array([getattr(row, name) for row in rows], pa.string())
        for field, name in (("title", "title"), ("company_name", "name"), ("company_domain", "domain"))
    }
    return LeadColumns(
        {"linkedin_url": linkedin.value, "email": email.value, **texts},
        {"linkedin_url": linkedin.reason, "email": email.reason},
    )


def routed(row: Row, list_type: str = "auto", company_needs: str = "either") -> tuple[str | None, ...]:
    routes = route(columns([row]), intake(list_type, company_needs))
    return tuple(column.to_pylist()[0] for column in (routes.list_type, routes.reason, routes.field, routes.detail))


def bad_linkedin(detail: str) -> tuple[str, str, str]:
    return ("linkedin_url_invalid", "linkedin_url", f"company_page{detail}")


def bad_email(detail: str) -> tuple[str, str, str]:
    return ("email_invalid", "email", f"no_at_sign{detail}")


NOTHING = (None, None, None)
JOB = {"title": GOOD, "name": GOOD}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row(GOOD, GOOD, GOOD, GOOD, GOOD), ("linkedin", *NOTHING)),
        (Row(NONE, GOOD, GOOD, GOOD, GOOD), ("email", *NOTHING)),
        (Row(NONE, NONE, GOOD, GOOD, NONE), ("titles_and_company", *NOTHING)),
        (Row(NONE, NONE, GOOD, NONE, GOOD), ("titles_and_company", *NOTHING)),
        (Row(BAD, GOOD), ("email", *bad_linkedin("; the e-mail is used"))),
        (Row(BAD, BAD, **JOB), ("titles_and_company", *bad_linkedin("; title and company are used"))),
        (Row(NONE, BAD, **JOB), ("titles_and_company", *bad_email("; title and company are used"))),
        (Row(GOOD, BAD), ("linkedin", *bad_email("; the LinkedIn URL is used"))),
        (Row(BAD, BAD), (None, *bad_linkedin(""))),
        (Row(BAD, NONE, title=GOOD), (None, *bad_linkedin(""))),
        (Row(NONE, BAD, name=GOOD), (None, *bad_email(""))),
        (Row(), (None, "no_identity", None, "no LinkedIn URL, no e-mail, no title with a company")),
        (Row(title=GOOD), (None, "no_identity", None, "no LinkedIn URL, no e-mail, no title with a company")),
        (Row(name=GOOD), (None, "no_identity", None, "no LinkedIn URL, no e-mail, no title with a company")),
    ],
)
def test_auto_takes_linkedin_else_email_else_title_and_company_and_says_what_could_not_be_used(
    row: Row, expected: tuple[str | None, ...]
) -> None:
    assert routed(row) == expected


@pytest.mark.parametrize(
    ("list_type", "row", "expected"),
    [
        ("linkedin", Row(GOOD, GOOD), ("linkedin", *NOTHING)),
        ("linkedin", Row(NONE, GOOD, **JOB), (None, "no_identity", None, "no LinkedIn URL")),
        ("linkedin", Row(BAD, GOOD, **JOB), (None, *bad_linkedin(""))),
        ("linkedin", Row(NONE, BAD), (None, "no_identity", None, "no LinkedIn URL")),
        ("email", Row(GOOD, GOOD), ("email", *NOTHING)),
        ("email", Row(GOOD, NONE), (None, "no_identity", None, "no e-mail")),
        ("email", Row(BAD, NONE), (None, "no_identity", None, "no e-mail")),
        ("email", Row(BAD, BAD), (None, *bad_email(""))),
        ("email", Row(BAD, GOOD), ("email", *bad_linkedin("; the e-mail is used"))),
        ("titles_and_company", Row(GOOD, GOOD, **JOB), ("titles_and_company", *NOTHING)),
        ("titles_and_company", Row(GOOD, GOOD), (None, "no_identity", None, "no title with a company")),
        ("titles_and_company", Row(BAD, BAD), (None, "no_identity", None, "no title with a company")),
    ],
)
def test_a_fixed_list_type_takes_only_its_own_and_never_rejects_for_an_identity_that_it_does_not_take(
    list_type: str, row: Row, expected: tuple[str | None, ...]
) -> None:
    assert routed(row, list_type) == expected


@pytest.mark.parametrize(
    ("company_needs", "taken"),
    [("name", {"name", "both"}), ("domain", {"domain", "both"}), ("either", {"name", "domain", "both"})],
)
def test_company_needs_says_what_a_title_and_company_lead_must_carry(company_needs: str, taken: set[str]) -> None:
    rows = {
        "name": Row(title=GOOD, name=GOOD),
        "domain": Row(title=GOOD, domain=GOOD),
        "both": Row(title=GOOD, name=GOOD, domain=GOOD),
        "neither": Row(title=GOOD),
    }
    for list_type in ("auto", "titles_and_company"):
        assert {name for name, row in rows.items() if routed(row, list_type, company_needs)[0]} == taken


def routed_by_id(**given: str | None) -> tuple[str | None, ...]:
    """One record of a service that takes people by name or id; `bad` is a value that is not acceptable."""
    fields = ("person_id", "linkedin_url", "email", "first_name", "last_name")
    values = {name: pa.array([GOOD if given.get(name) == GOOD else None], pa.string()) for name in fields}
    codes = {name: pa.array([f"no_{name}" if given.get(name) == BAD else None], pa.string()) for name in fields[:3]}
    routes = route(LeadColumns(values, codes), BY_ID)
    return tuple(column.to_pylist()[0] for column in (routes.list_type, routes.reason, routes.field, routes.detail))


NAMED = {"first_name": GOOD, "last_name": GOOD}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (NAMED, ("people", *NOTHING)),
        ({"person_id": GOOD}, ("ids", *NOTHING)),
        (NAMED | {"person_id": GOOD}, ("people", *NOTHING)),
        (
            NAMED | {"person_id": BAD, "email": BAD},
            ("people", "person_id_invalid", "person_id", "no_person_id; first name and last name are used"),
        ),
        (NAMED | {"email": BAD}, ("people", "email_invalid", "email", "no_email; first name and last name are used")),
        ({"person_id": GOOD, "email": BAD}, ("ids", "email_invalid", "email", "no_email; the person id is used")),
        ({"person_id": BAD, "email": GOOD}, (None, "person_id_invalid", "person_id", "no_person_id")),
        (
            {"first_name": GOOD, "email": BAD},
            (None, "no_identity", None, "no first name with a last name, no person id"),
        ),
    ],
)
def test_another_service_routes_by_its_own_needs_and_says_what_it_lacks(
    given: dict[str, str], expected: tuple[str | None, ...]
) -> None:
    assert routed_by_id(**given) == expected


def test_several_routes_lead_into_one_kind_of_list() -> None:
    both = Intake(FIVE, tuple(Route("people", (("email",), (name,))) for name in ("title", "linkedin_url")))
    rows = [Row(email=GOOD, title=GOOD), Row(GOOD, GOOD), Row(GOOD), Row(BAD, GOOD, GOOD)]
    routes = route(columns(rows), both)
    assert routes.list_type.to_pylist() == ["people", "people", None, "people"]
    assert routes.detail.to_pylist()[2:] == [
        "no e-mail with a title, no e-mail with a LinkedIn URL", "company_page; e-mail and title are used",
    ]  # fmt: skip


IDENTITY = st.sampled_from([GOOD, BAD, NONE])
TEXT = st.sampled_from([GOOD, NONE])
ROWS = st.lists(st.builds(Row, IDENTITY, IDENTITY, TEXT, TEXT, TEXT))


@given(ROWS, st.sampled_from(["auto", *LIST_TYPES]), st.sampled_from(["name", "domain", "either"]))
@UNHURRIED
def test_each_row_is_routed_by_itself_into_the_first_list_whose_identity_it_has(
    rows: list[Row], list_type: str, company_needs: str
) -> None:
    routes = route(columns(rows), intake(list_type, company_needs))
    made: list[Any] = [
        routes.list_type.to_pylist(),
        routes.reason.to_pylist(),
        routes.field.to_pylist(),
        routes.detail.to_pylist(),
    ]
    assert all(len(column) == len(rows) for column in made)
    for row, chosen, reason, field, detail in zip(rows, *made, strict=True):
        company = {"name": [row.name], "domain": [row.domain], "either": [row.name, row.domain]}[company_needs]
        fits = [
            name
            for name, has in (
                ("linkedin", row.linkedin == GOOD),
                ("email", row.email == GOOD),
                ("titles_and_company", row.title and any(company)),
            )
            if has and list_type in ("auto", name)
        ]
        assert chosen == (fits[0] if fits else None)
        assert (reason is None) == (detail is None)
        assert reason is not None or chosen is not None
        assert (field is None) == (reason in (None, "no_identity"))
        assert field is None or getattr(row, field.removesuffix("_url")) == BAD
