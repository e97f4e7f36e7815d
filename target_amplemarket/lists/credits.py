"""What a list can cost at most: a dated table of prices, and the options that the settings switch on.

Documented (the API's pages on person enrichment and e-mail validation, examples of June 2026) are the prices of two
other endpoints: 0.5 e-mail credit for a person found, 1 for an e-mail revealed, 1 for an e-mail validated, 1 phone
credit for a phone number revealed. What a lead of a list costs is not documented: these prices are assumed for it, one
phone number a lead, and nothing where all options are off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from target_amplemarket.config import CREDIT_PRICES, LIST_TYPES, Settings

ASSUMED: Final = "what lists cost is not documented: prices of other endpoints are assumed, one phone number a lead"
_THOUSANDTHS: Final = 1_000
"""Sums of 0.1 must not drift past a ceiling."""


@dataclass(frozen=True, slots=True)
class Credits:
    """Credits of the two kinds that an account has, in thousandths."""

    email_thousandths: int = 0
    phone_thousandths: int = 0

    def __add__(self, other: Credits) -> Credits:
        return Credits(
            self.email_thousandths + other.email_thousandths, self.phone_thousandths + other.phone_thousandths
        )

    def __mul__(self, count: int) -> Credits:
        return Credits(self.email_thousandths * count, self.phone_thousandths * count)

    @property
    def email(self) -> float:
        """E-mail credits."""
        return self.email_thousandths / _THOUSANDTHS

    @property
    def phone(self) -> float:
        """Phone credits."""
        return self.phone_thousandths / _THOUSANDTHS

    def __str__(self) -> str:
        kinds = [f"{self.email:,g} e-mail"] * bool(self.email) + [f"{self.phone:,g} phone"] * bool(self.phone)
        return f"{' and '.join(kinds) or 'no'} credits"


@dataclass(frozen=True, slots=True)
class Prices:
    """The worst case of one lead, by list type.

    Attributes:
        per_lead: List type → credits, where the settings can name a price for the type.
        other: Credits in lists of any other type.
        as_of: Date of the table; None where the settings give prices without one.
    """

    per_lead: Mapping[str, Credits]
    as_of: str | None
    other: Credits = field(default_factory=Credits)

    def of(self, list_type: str) -> Credits:
        """The most that one lead can cost."""
        return self.per_lead.get(list_type, self.other)

    def worst(self, list_type: str, lead_count: int) -> Credits:
        """The most that a list can cost, whatever enrichment finds."""
        return self.of(list_type) * lead_count

    @property
    def is_free(self) -> bool:
        """Whether no lead costs anything."""
        return not any(one.email_thousandths or one.phone_thousandths for one in (*self.per_lead.values(), self.other))

    def quote(self) -> str:
        """The worst case in words."""
        if self.is_free:
            return "worst case: no credits (all paid options are off; that a list as such costs nothing is assumed)"
        distinct = {str(worst) for worst in self.per_lead.values()}
        by_type = ", ".join(f"{worst} in {name} lists" for name, worst in self.per_lead.items())
        dated = f"prices of {self.as_of}" if self.as_of else "prices from the settings"
        return f"worst case of each lead: {distinct.pop() if len(distinct) == 1 else by_type} ({dated}; {ASSUMED})"


def prices_of(settings: Settings) -> Prices:
    """The worst case under these settings; `credit_prices` replaces the table price by price.

    An e-mail counts as revealed and validated in every type of list: nobody says that a lead who brings one is spared.
    """
    given = settings.credit_prices
    return Prices(
        per_lead={list_type: _worst_lead(settings, _table(given, list_type)) for list_type in LIST_TYPES},
        as_of=given.get("as_of"),
        other=_worst_lead(settings, _table(given, None)),
    )


def _table(given: Mapping[str, Any], list_type: str | None) -> dict[str, float]:
    of_type = given.get(list_type, {}) if list_type else {}
    chosen = {**CREDIT_PRICES, **given, **of_type}
    return {name: float(chosen[name]) for name in CREDIT_PRICES}  # the SDK reads decimals from the environment


def _worst_lead(settings: Settings, prices: Mapping[str, float]) -> Credits:
    email = prices["lead"] + prices["email_validated"] * settings.validate_email
    email += (prices["person_found"] + prices["email_revealed"]) * settings.enrich
    phone = prices["phone_revealed"] * settings.reveal_phone_numbers
    return Credits(round(email * _THOUSANDTHS), round(phone * _THOUSANDTHS))
