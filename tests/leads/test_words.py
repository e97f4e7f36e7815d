from __future__ import annotations

import pytest

from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.leads.words import missing, taken, used
from tests.leads.building import BY_ID, intake

NAMES = (("first_name",), ("last_name",))
BY_COMPANY = Intake(("company_id",), (Route("company_ids", (("company_id",),)),), "company_id")
LOOKED_UP = Intake(BY_ID.fields, (Route("people", (*NAMES, ("person_id", "linkedin_url"))), *BY_ID.routes[1:]))


@pytest.mark.parametrize(
    ("given", "is_missing", "is_taken"),
    [
        (
            intake(),
            "no LinkedIn URL, no e-mail, no title with a company",
            "a LinkedIn URL, an e-mail, or a title with a company",
        ),
        (intake("email"), "no e-mail", "an e-mail"),
        (intake("titles_and_company", "domain"), "no title with a company", "a title with a company"),
        (BY_ID, "no first name with a last name, no person id", "a first name with a last name or a person id"),
        (BY_COMPANY, "no company id", "a company id"),
        (
            LOOKED_UP,
            "no first name with a last name and a person id or LinkedIn URL, no person id",
            "a first name with a last name and a person id or LinkedIn URL or a person id",
        ),
    ],
)
def test_what_records_lack_and_have_to_bring_is_said_in_words(given: Intake, is_missing: str, is_taken: str) -> None:
    assert (missing(given), taken(given)) == (is_missing, is_taken)


def test_ways_of_one_wording_are_said_once() -> None:
    both = Intake((), (*intake("titles_and_company", "name").routes, *intake("titles_and_company", "domain").routes))
    assert missing(both) == "no title with a company"


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (intake().routes[1], "the e-mail is used"),
        (intake().routes[2], "title and company are used"),
        (BY_ID.routes[0], "first name and last name are used"),
        (LOOKED_UP.routes[0], "first name, last name and person id or LinkedIn URL are used"),
    ],
)
def test_what_a_lead_is_sent_by_is_said_in_words(route: Route, text: str) -> None:
    assert used(route) == text
