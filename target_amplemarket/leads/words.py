"""What lead fields and the ways into a list are called in texts for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from target_amplemarket.leads.intake import Intake, Route

_NOUNS: Final = {
    "linkedin_url": "LinkedIn URL", "email": "e-mail", "title": "title", "company_name": "company",
    "company_domain": "company", "first_name": "first name", "last_name": "last name", "person_id": "person id",
    "company_id": "company id", "phones": "phone", "city": "city", "country": "country", "seniority": "seniority",
    "departments": "department",
}  # fmt: skip


def missing(intake: Intake) -> str:
    """What a record lacks that goes no way at all: `no LinkedIn URL, no e-mail, no title with a company`."""
    return ", ".join(f"no {_needed(route)}" for route in _distinct(intake))


def taken(intake: Intake) -> str:
    """What a record has to bring: `a LinkedIn URL, an e-mail, or a title with a company`."""
    ways = [_with_article(_needed(route)) for route in _distinct(intake)]
    *first, last = ways
    return f"{', '.join(first)}{',' * (len(first) > 1)} or {last}" if first else last


def used(route: Route) -> str:
    """What a lead is sent by: `the e-mail is used`."""
    nouns = _nouns(route)
    return f"the {nouns[0]} is used" if len(nouns) == 1 else f"{_listed(nouns)} are used"


def _distinct(intake: Intake) -> list[Route]:
    """One route of each wording."""
    return list({_needed(route): route for route in intake.routes}.values())


def _needed(route: Route) -> str:
    first, *others = _nouns(route)
    return f"{first} with {_listed([_with_article(noun) for noun in others])}" if others else first


def _nouns(route: Route) -> list[str]:
    return [" or ".join(dict.fromkeys(_NOUNS[name] for name in group)) for group in route.needs]


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aei' else 'a'} {noun}"
