"""Made-up enrichment: the same lead and seed always give the same person, and the same price."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_amplemarket.sandbox.ids import draw, uuid7
from target_amplemarket.sandbox.lead_rules import LEAD_MEMBERS
from target_amplemarket.sandbox.validation import Options

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches

FIRST_NAMES = ("Ada", "Bela", "Chidi", "Dalia", "Emre", "Fatou", "Goran", "Hana", "Imani", "Jun", "Kaja", "Leo")
LAST_NAMES = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Pine", "Rowan")
INDUSTRIES = ("Machinery", "Software", "Logistics", "Food", "Textiles", "Energy")
TITLES = ("Plant Manager", "Head of Purchasing", "Operations Lead", "Sales Director")
PHONE_TYPES = ("mobile", "office", "direct")
_REST = ("risky", "undeliverable", "unknown")


@dataclass(frozen=True)
class Price:
    """Credits, of the two kinds that an account has."""

    email: float = 0.0
    phone: float = 0.0

    def __add__(self, other: Price) -> Price:
        return Price(self.email + other.email, self.phone + other.phone)

    def fits(self, balance: Price) -> bool:
        """Whether a balance covers this price."""
        return self.email <= balance.email and self.phone <= balance.phone


@dataclass(frozen=True)
class Enriched:
    """What enrichment brought for one lead, and what that cost."""

    members: dict[str, Any]
    price: Price


def worst_price(lead_count: int, options: Options, switches: Switches) -> Price:
    """The most that a call can cost, whatever enrichment finds."""
    email = (switches.price_person_found + switches.price_email_revealed) * options.enrich
    email += switches.price_email_validated * options.validate_email
    return Price(email * lead_count, switches.price_phone_revealed * options.reveal_phone_numbers * lead_count)


def enrich(lead: dict[str, Any], options: Options, switches: Switches) -> Enriched:
    """Make up what the paid options bring for one lead."""
    if not (options.enrich or options.validate_email or options.reveal_phone_numbers):
        return Enriched({}, Price())
    chance = draw(switches.seed, *(lead.get(name, "") for name in LEAD_MEMBERS))
    is_found = _percent(chance[0:2]) < switches.found_percent
    members: dict[str, Any] = {}
    email_price = phone_price = 0.0
    if options.enrich and is_found:
        members = _person(lead, chance)
        email_price += switches.price_person_found
        if not lead.get("email"):
            email_price += switches.price_email_revealed
    email = lead.get("email") or members.get("email")
    if options.validate_email and email:
        members["email_validation_result"] = _validation(str(email), chance, switches)
        email_price += switches.price_email_validated
    if options.reveal_phone_numbers:
        members["phone_numbers"] = _phones(chance) if is_found and _has_phone(chance, switches) else []
        phone_price += switches.price_phone_revealed * bool(members["phone_numbers"])
    return Enriched(members, Price(email_price, phone_price))


def _percent(two_bytes: bytes) -> float:
    return int.from_bytes(two_bytes, "big") / 65536 * 100


def _has_phone(chance: bytes, switches: Switches) -> bool:
    return _percent(chance[2:4]) < switches.phone_percent


def _person(lead: dict[str, Any], chance: bytes) -> dict[str, Any]:
    first, last = _names(lead, chance)
    company = lead.get("company_name") or f"{LAST_NAMES[chance[7] % 12]} {INDUSTRIES[chance[8] % 6]}"
    domain = lead.get("company_domain") or f"{_slug(company)}.example"
    slug = _slug(f"{first} {last}")
    return {
        "person_id": uuid7(1_700_000_000_000, 0, int.from_bytes(chance[16:24], "big")),
        "first_name": first,
        "last_name": last,
        "email": lead.get("email") or f"{slug.replace('-', '.')}@{domain}",
        "linkedin_url": lead.get("linkedin_url") or f"https://www.linkedin.com/in/{slug}-{chance[20:24].hex()}",
        "company_name": company,
        "company_domain": domain,
        "industry": INDUSTRIES[chance[8] % len(INDUSTRIES)],
        "title": lead.get("title") or TITLES[chance[9] % len(TITLES)],
    }


def _names(lead: dict[str, Any], chance: bytes) -> tuple[str, str]:
    """Names read out of the profile address or the e-mail where they show, else drawn."""
    slug = (
        str(lead.get("linkedin_url", "")).rstrip("/").rpartition("/")[2] or str(lead.get("email", "")).partition("@")[0]
    )
    words = [word.capitalize() for word in re.split(r"[^a-zA-Z]+", slug) if len(word) > 1]
    if len(words) >= 2:
        return words[0], words[1]
    return FIRST_NAMES[chance[5] % len(FIRST_NAMES)], LAST_NAMES[chance[6] % len(LAST_NAMES)]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "company"


def _validation(email: str, chance: bytes, switches: Switches) -> dict[str, Any]:
    is_deliverable = _percent(chance[10:12]) < switches.deliverable_percent
    result = "deliverable" if is_deliverable else _REST[chance[12] % len(_REST)]
    return {"object": "email_validation_result", "email": email, "result": result}


def _phones(chance: bytes) -> list[dict[str, Any]]:
    return [
        {
            "object": "phone_number",
            "id": uuid7(1_700_000_000_000, 1, int.from_bytes(chance[24:32], "big")),
            "number": f"+1 555 01{chance[13] % 100:02d}",
            "type": PHONE_TYPES[chance[14] % len(PHONE_TYPES)],
            "source": "amplemarket",
        }
    ]
