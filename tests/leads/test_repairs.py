from __future__ import annotations

from typing import Any

import pytest

from target_amplemarket.leads.intake import Intake
from target_amplemarket.leads.map_block import Rules
from target_amplemarket.leads.repairs import Remapper, members_of, repair
from tests.leads.building import BY_ID, KEY, intake, json_records


def repaired(taken: Intake, *rows: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    records = json_records(rows)
    remapper = Remapper("contacts", (), members_of(records), (), Rules(taken, False, KEY))
    return repair(records, remapper.automatic(records), remapper)


GERMAN = {"Vorname": "Ada", "Nachname": "Moss", "Firma": "Acme", "Position_am": "Buyer"}


def test_names_are_found_together_for_a_service_that_needs_both() -> None:
    assert repaired(BY_ID, GERMAN, GERMAN) == {"first_name": ("Vorname",), "last_name": ("Nachname",)}


def test_the_half_that_is_mapped_stays_and_the_other_is_found() -> None:
    row = {"first_name": "Ada", "Nachname": "Moss"}
    assert repaired(BY_ID, row) == {"last_name": ("Nachname",)}


def test_title_and_company_are_found_together_as_before() -> None:
    assert repaired(intake(), {"Funktion": "Buyer", "Firma": "Acme"}) == {
        "title": ("Funktion",),
        "company_name": ("Firma",),
    }


@pytest.mark.parametrize(
    "names",
    [
        ("first_seen", "last_seen"),
        ("Owner First Name", "Owner Last Name"),
        ("First Name Status", "Last Name Source"),
        ("Company First Name", "Account Last Name"),
    ],
)
def test_what_is_nobodys_or_somebody_elses_name_is_never_proposed(names: tuple[str, str]) -> None:
    assert repaired(BY_ID, dict.fromkeys(names, "Ada")) == {}


def test_names_make_no_lead_for_a_service_that_takes_none() -> None:
    assert repaired(intake(), GERMAN | {"Firma": None}) == {}
