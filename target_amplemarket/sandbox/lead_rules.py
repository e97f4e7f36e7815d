"""What each lead of a request must carry, by type of list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from target_amplemarket.sandbox.problems import Problem, unsupported

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches

TYPES = {"linkedin": "linkedin", "email": "email", "titles_and_company": "title_and_company"}
"""Type in requests to type in answers."""
LEAD_MEMBERS = ("linkedin_url", "email", "title", "company_name", "company_domain")

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_LINKEDIN = {
    "profile": re.compile(r"https?://([a-z0-9-]+\.)?linkedin\.com/in/[^/?#\s]+/?([?#]\S*)?", re.IGNORECASE),
    "lenient": re.compile(r"(https?://)?([a-z0-9-]+\.)*linkedin\.com/(in|pub|sales)/[^\s?#]+([?#]\S*)?", re.IGNORECASE),
    "any": re.compile(r".*\S.*", re.DOTALL),
}


def lead_problems(leads: list[Any], lead_type: str, switches: Switches) -> Iterator[Problem]:
    """Everything wrong with the leads, in their order; found as it is asked for."""
    check = _checker(lead_type, switches)
    for index, lead in enumerate(leads):
        if not isinstance(lead, dict):
            yield unsupported(f"/leads/{index}", f"Unsupported value provided for field: leads[{index}]")
            continue
        for name, is_absent in check(lead):
            place = f"leads[{index}].{name}"
            detail = (
                f"Missing field from request: {place}"
                if is_absent
                else (f"Unsupported value provided for field: {place}")
            )
            yield unsupported(f"/leads/{index}/{_escaped(name)}", detail)


def repeated_leads(leads: list[Any], lead_type: str) -> Iterator[Problem]:
    """Leads that stand earlier in the same call."""
    seen: set[object] = set()
    for index, lead in enumerate(leads):
        if isinstance(lead, dict) and (key := identity(lead, lead_type)) in seen:
            yield unsupported(f"/leads/{index}", f"Duplicate lead: leads[{index}]")
        elif isinstance(lead, dict):
            seen.add(key)


def identity(lead: dict[str, Any], lead_type: str) -> object:
    """What makes two leads of a list the same lead."""
    match lead_type:
        case "linkedin":
            return str(lead.get("linkedin_url", "")).lower().rstrip("/")
        case "email":
            return str(lead.get("email", "")).lower()
        case _:
            return tuple(str(lead.get(name, "")).lower() for name in ("title", "company_name", "company_domain"))


def _checker(lead_type: str, switches: Switches) -> Callable[[dict[str, Any]], Iterator[tuple[str, bool]]]:
    """A function that names a lead's faulty members, each with whether it is absent."""
    checks_email = switches.email_rule == "form" and (switches.email_checked_on == "every_type" or lead_type == "email")
    profile = _LINKEDIN[switches.linkedin_url_rule]
    checks_extras = switches.extras_flat or switches.extra_text_limit is not None

    def check(lead: dict[str, Any]) -> Iterator[tuple[str, bool]]:
        for name in LEAD_MEMBERS:
            if name in lead and not isinstance(lead[name], str):
                yield name, False
        yield from ((name, True) for name in _absent(lead, lead_type, switches))
        url, email = lead.get("linkedin_url"), lead.get("email")
        if lead_type == "linkedin" and isinstance(url, str) and not profile.fullmatch(url):
            yield "linkedin_url", False
        if checks_email and isinstance(email, str) and not _EMAIL.fullmatch(email):
            yield "email", False
        if checks_extras:
            yield from ((name, False) for name in _bad_extras(lead, switches))

    return check


def _absent(lead: dict[str, Any], lead_type: str, switches: Switches) -> Iterator[str]:
    if lead_type != "titles_and_company":
        needed = "linkedin_url" if lead_type == "linkedin" else "email"
        if needed not in lead:
            yield needed
        return
    if not _has_text(lead, "title"):
        yield "title"
    has_name, has_domain = _has_text(lead, "company_name"), _has_text(lead, "company_domain")
    if switches.company_needs == "name" and not has_name:
        yield "company_name"
    elif (switches.company_needs == "domain" and not has_domain) or (not has_name and not has_domain):
        yield "company_domain"


def _has_text(lead: dict[str, Any], name: str) -> bool:
    """Whether the member is there; one of a wrong type is told as such, not as absent."""
    value = lead.get(name)
    return bool(value.strip()) if isinstance(value, str) else name in lead


def _bad_extras(lead: dict[str, Any], switches: Switches) -> Iterator[str]:
    limit = switches.extra_text_limit
    for name, value in lead.items():
        if name in LEAD_MEMBERS:
            continue
        is_too_long = limit is not None and isinstance(value, str) and len(value) > limit
        if is_too_long or (switches.extras_flat and isinstance(value, dict | list)):
            yield name


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
