"""Documents of Lance's API: what is sent, and what is read of its answers.

Members are those of https://docs.lance.so/api-reference (entities/leadlists-create, leadlists-add-prospects,
leadlists-add-companies, leadlists-list, leadlists-get, prospects-person-search, prospects-company-search).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from target_amplemarket.services.documents import member
from target_amplemarket.services.entries import FURTHER_EMAILS, EntryRow

_COLUMNS = (
    "linkedin_url", "email", "title", "first_name", "last_name", "person_id", "company_id", "phones", "city", "country",
    "seniority", "departments",
)  # fmt: skip


class Prospect(msgspec.Struct, omit_defaults=True, rename="camel"):
    """A person as add-prospects takes one; `functions` has no column of its own here."""

    id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    job_title: str | None = None
    city: str | None = None
    country: str | None = None
    linkedin_url: str | None = None
    emails: list[str] | None = None
    phones: list[str] | None = None
    company_id: str | None = None
    seniority: str | None = None
    departments: list[str] | None = None


class Call(msgspec.Struct, omit_defaults=True, rename="camel", kw_only=True):
    """All of one logical call: the list, and one of three kinds of leads."""

    name: str
    kind: str = msgspec.field(name="type")
    icp_id: str | None  # without a default, so that null is sent too
    start_date: str
    end_date: str
    prospects: list[Prospect] | None = None
    person_ids: list[str] | None = None
    company_ids: list[str] | None = None


class Create(msgspec.Struct, rename="camel", kw_only=True):
    """The body of a create call; both arrays always, since `personIds` is required of company lists too."""

    name: str
    kind: str = msgspec.field(name="type")
    icp_id: str | None
    start_date: str
    end_date: str
    person_ids: list[str]
    company_ids: list[str]


class Prospects(msgspec.Struct):
    """The body of add-prospects."""

    prospects: Sequence[Prospect]


class CompanyIds(msgspec.Struct, rename="camel"):
    """The body of add-companies."""

    company_ids: Sequence[str]


class Row(msgspec.Struct):
    """A list as the listing shows it."""

    id: str
    name: str  # required: without names the absence of a list proves nothing


class Person(msgspec.Struct, rename="camel"):
    """A person in a list or among the hits of a search. Any: what the API says."""

    id: Any = None
    first_name: Any = None
    last_name: Any = None
    job_title: Any = None
    linkedin_url: Any = None
    emails: Any = None
    phones: Any = None
    company_id: Any = None
    company: Any = None
    industry: Any = None


class Company(msgspec.Struct, rename="camel"):
    """A company in a list. Any: what the API says."""

    id: Any = None
    name: Any = None
    domain: Any = None
    linkedin_url: Any = None
    phones: Any = None
    industry: Any = None


class WholeList(msgspec.Struct):
    """A list with all that is in it (entities/leadlists-get). Any: ids, as far as they are told."""

    id: str
    kind: Any = msgspec.field(name="type", default=None)
    persons: list[Person] | None = None
    companies: list[Company] | None = None
    person_ids: Any = msgspec.field(name="personIds", default=None)
    company_ids: Any = msgspec.field(name="companyIds", default=None)

    def __post_init__(self) -> None:
        if (self.companies if self._is_of_companies else self.persons) is None:
            raise ValueError  # taken for empty, it would be filled again

    @property
    def _is_of_companies(self) -> bool:
        return self.kind == "company" or (self.kind != "person" and self.persons is None)

    def rows(self) -> list[EntryRow]:
        """People, or companies where the list is one of companies; who is not shown is known by id alone."""
        if self._is_of_companies:
            rows = [_entry_of_company(company) for company in self.companies or ()]
            return [*rows, *(EntryRow(id=one) for one in _not_shown(self.company_ids, rows))]
        rows = [_entry_of_person(person) for person in self.persons or ()]
        return [*rows, *(EntryRow(id=one, person_id=one) for one in _not_shown(self.person_ids, rows))]


class Hits(msgspec.Struct, rename="camel"):
    """A page of what a search finds; documented for companies, inferred for people."""

    content: list[Person]
    last: Any = None
    total_pages: Any = None


def create_of(call: Call) -> Create:
    """The create call; a list of people gets its people afterwards, and of ids all at once."""
    return Create(
        name=call.name,
        kind=call.kind,
        icp_id=call.icp_id,
        start_date=call.start_date,
        end_date=call.end_date,
        person_ids=call.person_ids or [],
        company_ids=call.company_ids or [],
    )


def prospects_of(leads: pa.Table) -> list[Prospect]:
    """Leads (schema `leads.tables.LEADS`) as people; a company's name has no place in them."""
    columns = {name: leads.column(name).to_pylist() for name in _COLUMNS}
    return [
        Prospect(
            id=row["person_id"],
            first_name=row["first_name"],
            last_name=row["last_name"],
            job_title=row["title"],
            city=row["city"],
            country=row["country"],
            linkedin_url=row["linkedin_url"],
            emails=None if row["email"] is None else [row["email"]],
            phones=row["phones"] or None,
            company_id=row["company_id"],
            seniority=row["seniority"],
            departments=row["departments"] or None,
        )
        for row in (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    ]


def _entry_of_person(person: Person) -> EntryRow:
    emails = person.emails if isinstance(person.emails, list) else []
    return EntryRow(
        id=person.id,
        person_id=person.id,
        email=emails[0] if emails else None,
        linkedin_url=person.linkedin_url,
        first_name=person.first_name,
        last_name=person.last_name,
        title=person.job_title,
        company_name=member(person.company, "name"),
        company_domain=member(person.company, "domain"),
        industry=person.industry,
        phone_numbers=person.phones,
        data={FURTHER_EMAILS: emails} if len(emails) > 1 else None,
    )


def _not_shown(ids: Any, rows: Sequence[EntryRow]) -> list[str]:  # Any: what the API says
    """Ids beyond the people or companies that are shown; where there are as many, they are only written otherwise."""
    if not isinstance(ids, list) or len(ids) <= len(rows):
        return []
    shown = {str(row.id).lower() for row in rows}
    return [one for one in ids if isinstance(one, str) and one.lower() not in shown]


def _entry_of_company(company: Company) -> EntryRow:
    return EntryRow(
        id=company.id,
        linkedin_url=company.linkedin_url,
        company_name=company.name,
        company_domain=company.domain,
        industry=company.industry,
        phone_numbers=company.phones,
    )
