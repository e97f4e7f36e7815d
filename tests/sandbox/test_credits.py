"""Prices, balances and 402."""

from __future__ import annotations

from typing import Any

import pytest

from .client import FREE, PAID, Client, emails, people

ALL_FOUND = {"found_percent": 100, "phone_percent": 100}


def spent(leads: list[Any], options: dict[str, bool], **members: Any) -> tuple[float, float]:
    client = Client(ALL_FOUND | members.pop("switches", {}))
    assert client.create(leads, options=options, **members).status == 202
    (commit,) = client.commits()
    assert client.amplemarket.balance.email == 1_000_000 - commit.email_credits
    assert client.amplemarket.balance.phone == 100_000 - commit.phone_credits
    return commit.email_credits, commit.phone_credits


def test_nothing_is_charged_without_options() -> None:
    assert spent(people(10), FREE) == (0, 0)


def test_documented_prices() -> None:
    assert spent(people(10), FREE | {"enrich": True}) == (15.0, 0)
    assert spent(emails(10), FREE | {"enrich": True}, type="email") == (5.0, 0)
    assert spent(emails(10), FREE | {"validate_email": True}, type="email") == (10.0, 0)
    assert spent(people(10), FREE | {"validate_email": True}) == (0, 0)
    assert spent(people(10), FREE | {"reveal_phone_numbers": True}) == (0, 10.0)
    assert spent(people(10), PAID) == (25.0, 10.0)


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ("price_person_found", (70 + 10 + 10, 10)),
        ("price_email_revealed", (5 + 70 + 10, 10)),
        ("price_email_validated", (5 + 10 + 70, 10)),
        ("price_phone_revealed", (25, 70)),
    ],
)
def test_prices_are_switches(switch: str, expected: tuple[float, float]) -> None:
    assert spent(people(10), PAID, switches={switch: 7}) == expected


def test_only_what_is_found_is_charged() -> None:
    assert spent(people(10), PAID, switches={"found_percent": 0}) == (0, 0)
    email, phone = spent(people(200), PAID, switches={"found_percent": 50, "phone_percent": 50})
    assert 100 < email < 400
    assert 10 < phone < 100


def test_email_credits_short_is_a_402_and_creates_nothing() -> None:
    client = Client({"email_credits": 24})
    reply = client.create(people(10), options=PAID)
    assert reply.status == 402
    assert reply.errors == [
        {
            "code": "insufficient_credits",
            "title": "Insufficient Credits",
            "detail": "You do not have enough credits to perform this operation.",
        }
    ]
    assert client.commits() == []
    assert client.amplemarket.balance.email == 24
    assert client.create(people(10)).status == 202
    assert client.create(people(9), options=PAID).status == 202


def test_phone_credits_short_is_a_402() -> None:
    client = Client({"phone_credits": 9})
    assert client.create(people(10), options=PAID).status == 402
    assert client.create(people(10), options=FREE | {"enrich": True}).status == 202


def test_a_bad_lead_is_told_before_missing_credits() -> None:
    assert Client({"email_credits": 0}).create([{}], options=PAID).status == 400


def test_adding_is_charged_by_the_options_of_the_list() -> None:
    client = Client(ALL_FOUND | {"email_credits": 30})
    list_id = client.create(people(10), options=PAID).json["id"]
    assert client.add(list_id, people(10)).status == 402
    assert client.add(list_id, people(2)).status == 202
    assert client.commits()[1].email_credits == 5


def test_adding_to_a_nearly_full_list_needs_credits_for_what_fits_only() -> None:
    client = Client(ALL_FOUND | {"email_credits": 30, "leads_per_list": 12})
    list_id = client.create(people(10), options=PAID).json["id"]
    assert client.add(list_id, people(10)).status == 202


def test_credit_check_later_stops_enriching_when_the_balance_is_used_up() -> None:
    client = Client(ALL_FOUND | {"email_credits": 10, "credit_check": "later"})
    path = client.create(people(10), options=PAID).json["_links"]["self"]["href"]
    client.clock.now_s += 60
    entries = client.get(path).json["leads"]
    assert [entry["person_id"] is not None for entry in entries] == [True] * 4 + [False] * 6
    assert client.commits()[0].email_credits == 10
