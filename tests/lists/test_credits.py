"""What a lead costs at worst."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_amplemarket.config import read_settings
from target_amplemarket.lists.credits import Credits, prices_of
from target_amplemarket.sandbox.enrichment import worst_price
from target_amplemarket.sandbox.switches import Switches
from target_amplemarket.sandbox.validation import Options

OPTIONS = ("enrich", "validate_email", "reveal_phone_numbers")


def prices(**settings: Any) -> Any:
    return prices_of(read_settings({"api_key": "k", "owner": "dana@northwind.example"} | settings))


@pytest.mark.parametrize("number", range(8))
def test_the_worst_case_is_the_one_that_the_sandbox_asks_a_balance_for(number: int) -> None:
    chosen = {name: bool(number >> at & 1) for at, name in enumerate(OPTIONS)}
    expected = worst_price(100, Options(**chosen), Switches())
    worst = prices(**chosen).worst("linkedin", 100)
    assert (worst.email, worst.phone) == (expected.email, expected.phone)


def test_without_options_nothing_is_spent_and_the_quote_says_so() -> None:
    assert prices().is_free
    assert prices().worst("email", 10_000) == Credits()
    assert "no credits" in prices().quote()


def test_a_price_for_the_lead_itself_counts_without_options() -> None:
    assert prices(credit_prices={"lead": 2}).worst("email", 5).email == 10


def test_prices_are_replaced_one_by_one_and_the_quote_then_drops_the_date() -> None:
    plain, own = prices(enrich=True), prices(enrich=True, credit_prices={"person_found": 0.25})
    assert own.worst("linkedin", 4).email == 5
    assert "prices of 2026-06" in plain.quote()
    assert "assumed" in plain.quote()
    assert "2026-06" not in own.quote()
    assert "prices of May" in prices(enrich=True, credit_prices={"as_of": "May"}).quote()


def test_a_price_of_one_list_type_is_for_that_type_only() -> None:
    made = prices(enrich=True, credit_prices={"email": {"email_revealed": 0}})
    assert [made.worst(name, 2).email for name in ("linkedin", "email")] == [3, 1]
    assert "0.5 e-mail credits in email lists" in made.quote()


def test_any_other_list_type_has_the_prices_of_the_table() -> None:
    made = prices(enrich=True, credit_prices={"lead": 1, "email": {"lead": 7}})
    assert [made.worst(name, 2).email for name in ("people", "email")] == [5.0, 17.0]
    assert not made.is_free
    assert prices().worst("people", 9) == Credits()


def test_prices_from_the_environment_are_decimals() -> None:
    made = prices(enrich=True, credit_prices={"lead": Decimal("0.5"), "email": {"lead": Decimal("0.25")}})
    assert [made.worst(name, 2).email for name in ("linkedin", "email")] == [4.0, 3.5]


def test_tenths_do_not_drift() -> None:
    made = prices(validate_email=True, credit_prices={"email_validated": 0.1})
    assert sum((made.worst("email", 1) for _ in range(30)), Credits()).email == 3.0
