"""Writes an entry the way each of three systems would: Salesforce, HubSpot, and a table of a warehouse."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from target_amplemarket.demo import names
from target_amplemarket.demo.dirt import Gap, Value
from target_amplemarket.demo.entries import Entry

Row = dict[str, Any]

_BASE62: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_CHECK_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_FIRST_DAY: Final = datetime(2024, 1, 8, 7, 30, tzinfo=UTC)
_SPAN_SECONDS: Final = 2 * 365 * 24 * 3600
_ROLES: Final = ("Decision Maker", "Evaluator", "Influencer", None)
_STAGES: Final = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer")
_SEGMENTS: Final = ("enterprise", "mid_market", "smb", None)


def salesforce_contact(random: Random, row_no: int, entry: Entry) -> Row:
    """A Contact as Salesforce taps emit it: nested `Account`, names of custom fields ending in `__c`."""
    person = entry.person
    created, changed = _times(random)
    city, country = random.choice(names.CITIES)
    account_id = salesforce_id("001", _stable_number(entry.company_domain))
    return _written(
        {
            "Id": salesforce_id("003", 4_000_000 + row_no),
            "IsDeleted": False,
            "AccountId": None if _is_gap(entry.company_domain) else account_id,
            "Account": _account(random, account_id, entry),
            "FirstName": person.first_name,
            "LastName": person.last_name,
            "Name": person.full_name,
            "Title": entry.title,
            "Department": random.choice(names.DEPARTMENTS),
            "Email": entry.email,
            "Phone": _phone(random),
            "MailingCity": city,
            "MailingCountry": country,
            "LeadSource": random.choice(names.LEAD_SOURCES),
            "LinkedIn_Profile_URL__c": entry.linkedin_url,
            "Buying_Role__c": random.choice(_ROLES),
            "OwnerId": salesforce_id("005", _stable_number(entry.owner)),
            "Owner_Email__c": entry.owner,
            "CreatedDate": created,
            "LastModifiedDate": changed,
            "SystemModstamp": changed,
        }
    )


def hubspot_contact(random: Random, row_no: int, entry: Entry) -> Row:
    """A contact as HubSpot taps emit it: everything that a person typed stands under `properties`."""
    person = entry.person
    created, changed = _times(random)
    city, country = random.choice(names.CITIES)
    contact_id = str(51_000_000 + row_no * 7)
    properties = {
        "hs_object_id": contact_id,
        "email": entry.email,
        "firstname": person.first_name,
        "lastname": person.last_name,
        "jobtitle": entry.title,
        "company": entry.company_name,
        "website": _website(random, entry.company_domain),
        "phone": _phone(random),
        "city": city,
        "country": country,
        "hs_linkedin_url": entry.linkedin_url,
        "hubspot_owner_id": str(9_000 + _stable_number(entry.owner) % 1_000),
        "hubspot_owner_email": entry.owner,
        "lifecyclestage": random.choice(_STAGES),
        "createdate": created,
        "lastmodifieddate": changed,
    }
    return {
        "id": contact_id,
        "createdAt": created,
        "updatedAt": changed,
        "archived": False,
        "properties": _written(properties),
    }


def warehouse_person(random: Random, row_no: int, entry: Entry) -> Row:
    """A row of a flat table of people in a warehouse, in snake case."""
    person = entry.person
    created, changed = _times(random)
    _, country = random.choice(names.CITIES)
    return _written(
        {
            "person_id": 700_000 + row_no,
            "full_name": person.full_name,
            "work_email": entry.email,
            "job_title": entry.title,
            "company_name": entry.company_name,
            "company_domain": entry.company_domain,
            "linkedin_profile_url": entry.linkedin_url,
            "account_owner_email": entry.owner,
            "country": country,
            "segment": random.choice(_SEGMENTS),
            "lead_score": random.randrange(100),
            "created_at": created,
            "updated_at": changed,
        }
    )


def salesforce_id(prefix: str, number: int) -> str:
    """A Salesforce id of 18 characters: 15 that tell case apart, and 3 that spell the case out.

    The last three make the id safe where case is lost: each stands for the upper-case letters of five characters.
    """
    digits = ""
    for _ in range(12):
        number, place = divmod(number, 62)
        digits = _BASE62[place] + digits
    short = prefix + digits
    fives = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(
        _CHECK_LETTERS[sum(1 << place for place, letter in enumerate(five) if letter.isupper())] for five in fives
    )


def _account(random: Random, account_id: str, entry: Entry) -> Row | Gap | None:
    if entry.company_domain is None or isinstance(entry.company_domain, Gap):
        return entry.company_domain
    return {"Id": account_id, "Name": entry.company_name, "Website": _website(random, entry.company_domain)}


def _website(random: Random, domain: Value) -> Value:
    if not isinstance(domain, str) or not domain:
        return domain
    return random.choice(("https://www.{}", "https://www.{}/", "http://{}", "www.{}", "{}")).format(domain)


def _phone(random: Random) -> str | None:
    return f"+1 202-555-01{random.randrange(100):02d}" if random.random() < 0.6 else None


def _times(random: Random) -> tuple[str, str]:
    created = _FIRST_DAY + timedelta(seconds=random.randrange(_SPAN_SECONDS))
    changed = created + timedelta(seconds=random.randrange(200 * 24 * 3600))
    return f"{created:%Y-%m-%dT%H:%M:%S}.000Z", f"{changed:%Y-%m-%dT%H:%M:%S}.000Z"


def _stable_number(value: Value) -> int:
    return zlib.crc32(str(value).encode())


def _is_gap(value: Value) -> bool:
    return value is None or value == "" or isinstance(value, Gap)


def _written(members: Row) -> Row:
    return {name: value for name, value in members.items() if not isinstance(value, Gap)}
