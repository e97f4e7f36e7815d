"""The published alias table: which source fields are taken for which lead field when the settings do not say.

Names are compared without case, separators, wrappers (`properties.`) and custom-field suffixes (`__c`). The order is
the order in which candidates are tried per record. Sources: field references of Salesforce (Contact, Lead, Account),
HubSpot (contact properties), Pipedrive (persons), the export columns of Apollo and Clay, and common warehouse names.

What is left out on purpose, since a wrong value is paid for: `role` (of a user in an application: `admin`), `headline`
(a slogan), LinkedIn ids and handles (no URL can be made of them), `url`, `name`, phones of companies and private ones,
cities and countries of companies. `person_id` and `company_id` are the service's own ids: members of just these names
mostly hold the source's keys, so they count only where the settings say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from target_amplemarket.singer.records import Path

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "linkedin_url": (
        "linkedin_url",  # Apollo, Clay, warehouses
        "linkedin_profile_url",
        "hs_linkedin_url",  # HubSpot
        "person_linkedin_url",  # Apollo export
        "linkedin_profile",  # Clay export
        "personal_linkedin_url",
        "contact_linkedin_url",
        "linkedin_person_url",
        "linkedin_public_url",
        "linkedin_public_profile_url",
        "linkedin_member_url",
        "person_linkedin",
        "contact_linkedin",
        "linkedin_link",
        "linkedin_profile_link",
        "linkedin",  # Salesforce custom field, Pipedrive custom field
        "li_profile_url",
        "li_url",
    ),
    "email": (
        "email",  # Salesforce, HubSpot, Pipedrive, Apollo, Clay
        "work_email",  # HubSpot, Clay, warehouses
        "business_email",
        "corporate_email",
        "professional_email",
        "primary_email",  # Pipedrive
        "email_address",
        "contact_email",
        "person_email",
        "lead_email",
        "emails",  # Pipedrive API v2: list of objects
        "mail",
        "personal_email",
    ),
    "title": (
        "job_title",  # Pipedrive, Clay, warehouses; HubSpot `jobtitle`
        "title",  # Salesforce, Apollo
        "current_job_title",
        "current_title",
        "contact_title",
        "person_title",
        "position_title",
        "position",
        "job_position",
        "job_role",
    ),
    "company_name": (
        "company_name",  # Apollo, Clay, warehouses
        "account.name",  # Salesforce Contact
        "company",  # Salesforce Lead, HubSpot, Clay
        "company.name",
        "organization_name",
        "organization.name",  # Apollo API
        "organization",
        "org_name",  # Pipedrive
        "org.name",
        "org_id.name",  # Pipedrive API v1
        "account_name",
        "account",
        "company_name_for_emails",  # Apollo export
        "current_company_name",
        "current_company",
        "employer",
    ),
    "company_domain": (
        "company_domain",  # Clay, warehouses
        "company.domain",
        "account_domain",
        "organization.primary_domain",  # Apollo API
        "primary_domain",
        "domain",
        "company_website",
        "account.website",  # Salesforce Contact
        "account_website",
        "website",  # Salesforce Lead, HubSpot, Apollo export
        "company.website",
        "organization.website_url",  # Apollo API
        "website_url",
        "company_url",
        "company_website_url",
        "organization_website",
        "org_website",
        "web_site",
    ),
    "first_name": (
        "first_name",  # Salesforce, HubSpot `firstname`, Pipedrive, Apollo, Clay
        "person_first_name",
        "contact_first_name",
        "given_name",
        "forename",
    ),
    "last_name": (
        "last_name",  # Salesforce, HubSpot `lastname`, Pipedrive, Apollo, Clay
        "person_last_name",
        "contact_last_name",
        "family_name",
        "surname",
    ),
    "person_id": ("lance_person_id", "lance_lead_id", "lance_id"),
    "company_id": ("lance_company_id",),
    "phones": (
        "mobile_phone",  # Salesforce `MobilePhone`, HubSpot, Apollo export
        "mobile_phone_number",
        "mobile",
        "cell_phone",
        "direct_dial",
        "direct_phone",
        "work_direct_phone",  # Apollo export
        "phone",  # Salesforce, HubSpot; Pipedrive API v1: list of objects
        "phone_number",
        "phones",  # Pipedrive API v2: list of objects
        "phone_numbers",  # Apollo API: list of objects
        "work_phone",
        "work_phone_number",
        "business_phone",
        "contact_phone",
        "person_phone",
        "telephone",
    ),
    "city": (
        "city",  # Salesforce Lead, HubSpot, Apollo
        "person_city",
        "contact_city",
        "mailing_city",  # Salesforce Contact
        "mailing_address.city",
        "address.city",
        "location.city",
    ),
    "country": (
        "country",  # Salesforce Lead, HubSpot, Apollo
        "person_country",
        "contact_country",
        "mailing_country",  # Salesforce Contact
        "mailing_address.country",
        "address.country",
        "location.country",
        "country_name",
    ),
    "seniority": (
        "seniority",  # HubSpot, Apollo
        "hs_seniority",  # HubSpot
        "seniority_level",
        "job_seniority",
        "management_level",
    ),
    "departments": (
        "departments",  # Apollo
        "department",  # Salesforce Contact
        "job_department",
    ),
}

_WRAPPERS: Final = frozenset({"properties", "property", "fields", "attributes"})
_FLAT_WRAPPER: Final = re.compile(r"^(?:properties|property)_+", re.IGNORECASE)
_FLATTENED: Final = re.compile(r"__|\.")  # what the SDK's flattening and CSV exports put between the levels
_CUSTOM_SUFFIX: Final = re.compile(r"__p?[cr]$", re.IGNORECASE)  # of Salesforce: __c, __pc, and __r for a relation
_NOT_ALPHANUMERIC: Final = re.compile(r"[\W_]+")
_LOOKUP_NAMES: Final = frozenset({"account", "company", "organization"})
_PERSONAL_LINKEDIN: Final = re.compile(
    r"(?:person|personal|contact|lead|member|prospect|candidate|public)*linkedin"
    r"(?:person|personal|contact|lead|member|public|profile|url|uri|link|web|address|full)*\d*"
)


def normalised(path: Path) -> str:
    """The name by which a member is compared: `("properties", "Job Title")` and `("jobtitle",)` are one."""
    levels = [level for segment in path for level in _FLATTENED.split(_CUSTOM_SUFFIX.sub("", segment)) if level]
    if len(levels) > 1 and levels[0].lower() in _WRAPPERS:
        del levels[0]
    if len(levels) > 1 and levels[-1].lower() == "value":  # HubSpot's older form: {"email": {"value": …}}
        levels.pop()
    if levels:
        levels[0] = _FLAT_WRAPPER.sub("", levels[0])
    return "".join(_NOT_ALPHANUMERIC.sub("", level).lower() for level in levels)


def candidates(paths: Iterable[Path], fields: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Sort the members of a stream under the lead fields that they can fill.

    Args:
        paths: All members of the stream.
        fields: The lead fields that are looked for.

    Returns:
        Lead field → members in the order in which they are to be tried; fields without any are left out.
    """
    by_name: dict[str, list[Path]] = {}
    for path in paths:
        name = normalised(path)
        if not _is_lookup(path, name):
            by_name.setdefault(name, []).append(path)
    further = tuple(name for name in by_name if _PERSONAL_LINKEDIN.fullmatch(name))
    names = _NORMALISED | {"linkedin_url": tuple(dict.fromkeys((*_NORMALISED["linkedin_url"], *further)))}
    found = {field: tuple(path for name in names[field] for path in by_name.get(name, ())) for field in fields}
    return {field: members for field, members in found.items() if members}


def _is_lookup(path: Path, name: str) -> bool:
    """A custom field of Salesforce that is named like a thing, as `Account__c`, holds an id; its name is in `__r`."""
    return name in _LOOKUP_NAMES and path[-1].lower().endswith("__c")


_NORMALISED: Final = {
    field: tuple(dict.fromkeys(normalised(tuple(name.split("."))) for name in names))
    for field, names in ALIASES.items()
}
