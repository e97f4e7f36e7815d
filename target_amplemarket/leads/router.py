"""By which identity a record is sent: LinkedIn, else e-mail, else title and company."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.canonical import CanonicalColumn
from target_amplemarket.leads.tables import Reason


@dataclass(frozen=True, slots=True)
class LeadColumns:
    """The lead fields of some records in canonical form, columns of equal length."""

    linkedin: CanonicalColumn
    email: CanonicalColumn
    title: pa.StringArray
    company_name: pa.StringArray
    company_domain: pa.StringArray


@dataclass(frozen=True, slots=True)
class Routes:
    """Columns of equal length, one row a record.

    Attributes:
        list_type: The list that takes the record, null where none does.
        reason: Why an identity could not be used; never null where `list_type` is.
        field: The lead field that the reason is about.
        detail: For people; begins with the canonical form's own reason code where there is one.
    """

    list_type: pa.StringArray
    reason: pa.StringArray
    field: pa.StringArray
    detail: pa.StringArray


def route(columns: LeadColumns, *, list_type: str, company_needs: str) -> Routes:
    """Choose the list type of each record.

    Args:
        columns: Lead fields in canonical form.
        list_type: `auto`, or the one type that every record must fit.
        company_needs: `domain`, `name` or `either`: what a title-and-company lead must carry.
    """
    usable = {
        "linkedin": pc.is_valid(columns.linkedin.value),
        "email": pc.is_valid(columns.email.value),
        "titles_and_company": pc.and_(pc.is_valid(columns.title), _has_company(columns, company_needs)),
    }
    wanted = list(usable) if list_type == "auto" else [list_type]
    chosen = pc.case_when(pc.make_struct(*(usable[name] for name in wanted)), *(pa.scalar(name) for name in wanted))
    reason, field, code = _given_but_not_usable(columns, wanted, pc.is_valid(chosen))
    missing = pc.and_(pc.is_null(chosen), pc.is_null(reason))
    reason = pc.if_else(missing, Reason.NO_IDENTITY.value, reason)
    return Routes(chosen, reason, field, pc.if_else(missing, _WANTED[list_type], _detail(code, chosen)))


_WANTED = {
    "auto": "no LinkedIn URL, no e-mail, no title with a company",
    "linkedin": "no LinkedIn URL",
    "email": "no e-mail",
    "titles_and_company": "no title with a company",
}


def _has_company(columns: LeadColumns, company_needs: str) -> pa.BooleanArray:
    has_name, has_domain = pc.is_valid(columns.company_name), pc.is_valid(columns.company_domain)
    return {"name": has_name, "domain": has_domain, "either": pc.or_(has_name, has_domain)}[company_needs]


def _given_but_not_usable(
    columns: LeadColumns, wanted: list[str], is_lead: pa.BooleanArray
) -> tuple[pa.StringArray, pa.StringArray, pa.StringArray]:
    """Reason, field and code of the first identity that was given and is not acceptable, null elsewhere.

    A record is never rejected for an identity that its list type does not take.
    """
    count = len(is_lead)
    if columns.linkedin.reason.null_count == columns.email.reason.null_count == count:
        nothing = pa.nulls(count, pa.string())
        return nothing, nothing, nothing
    bad_linkedin = pc.and_(pc.is_valid(columns.linkedin.reason), pc.or_(is_lead, "linkedin" in wanted))
    bad_email = pc.and_(pc.is_valid(columns.email.reason), pc.or_(is_lead, "email" in wanted))
    conditions = pc.make_struct(bad_linkedin, bad_email)
    reason = pc.case_when(
        conditions, pa.scalar(Reason.LINKEDIN_URL_INVALID.value), pa.scalar(Reason.EMAIL_INVALID.value)
    )
    field = pc.case_when(conditions, pa.scalar("linkedin_url"), pa.scalar("email"))
    return reason, field, pc.case_when(conditions, columns.linkedin.reason, columns.email.reason)


def _detail(code: pa.StringArray, chosen: pa.StringArray) -> pa.StringArray:
    if code.null_count == len(code):
        return code
    instead = pc.case_when(
        pc.make_struct(pc.is_null(chosen), pc.equal(chosen, "linkedin"), pc.equal(chosen, "email")),
        pa.scalar(""),
        pa.scalar("; the LinkedIn URL is used"),
        pa.scalar("; the e-mail is used"),
        pa.scalar("; title and company are used"),
    )
    return pc.binary_join_element_wise(code, instead, "")
