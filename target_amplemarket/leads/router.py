"""Into which kind of list a record goes: the first of the service's routes that it fits."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.leads.tables import Reason
from target_amplemarket.leads.words import missing, used

_REASONS: Final = {
    "person_id": Reason.PERSON_ID_INVALID,
    "company_id": Reason.COMPANY_ID_INVALID,
    "linkedin_url": Reason.LINKEDIN_URL_INVALID,
    "email": Reason.EMAIL_INVALID,
}
"""Lead fields that can be given and not acceptable, in the order in which they are named."""


@dataclass(frozen=True, slots=True)
class LeadColumns:
    """The lead fields of some records in canonical form, columns of equal length.

    Attributes:
        values: Lead field → canonical forms (string, or list of strings), null where there is none; all of the intake.
        reasons: Lead field → reason code where a value was given and is not acceptable, for fields that have codes.
    """

    values: Mapping[str, pa.Array]
    reasons: Mapping[str, pa.StringArray]


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


def route(columns: LeadColumns, intake: Intake) -> Routes:
    """Choose the list type of each record.

    Args:
        columns: Lead fields in canonical form.
        intake: Its routes are tried in order; the first whose needs a record has is the record's.
    """
    fits = pc.make_struct(*(_fits(columns, one) for one in intake.routes))
    chosen = pc.case_when(fits, *(pa.scalar(one.list_type) for one in intake.routes))
    reason, field, code = _given_but_not_usable(columns, intake, pc.is_valid(chosen))
    is_missing = pc.and_(pc.is_null(chosen), pc.is_null(reason))
    reason = pc.if_else(is_missing, Reason.NO_IDENTITY.value, reason)
    return Routes(chosen, reason, field, pc.if_else(is_missing, missing(intake), _detail(code, fits, intake)))


def _fits(columns: LeadColumns, one: Route) -> pa.BooleanArray:
    groups = ([pc.is_valid(columns.values[name]) for name in group] for group in one.needs)
    return functools.reduce(pc.and_, (functools.reduce(pc.or_, group) for group in groups))


def _given_but_not_usable(
    columns: LeadColumns, intake: Intake, is_lead: pa.BooleanArray
) -> tuple[pa.StringArray, pa.StringArray, pa.StringArray]:
    """Reason, field and code of the first identity that was given and is not acceptable, null elsewhere.

    A record is never rejected for an identity that no list takes.
    """
    count = len(is_lead)
    refused = {name: code for name in _REASONS if (code := columns.reasons.get(name)) is not None}
    names = [name for name, code in refused.items() if code.null_count < count]
    if not names:
        nothing = pa.nulls(count, pa.string())
        return nothing, nothing, nothing
    wanted = {name for one in intake.routes for group in one.needs for name in group}
    conditions = pc.make_struct(
        *(pc.and_(pc.is_valid(refused[name]), pc.or_(is_lead, name in wanted)) for name in names)
    )
    return (
        pc.case_when(conditions, *(pa.scalar(_REASONS[name].value) for name in names)),
        pc.case_when(conditions, *map(pa.scalar, names)),
        pc.case_when(conditions, *(refused[name] for name in names)),
    )


def _detail(code: pa.StringArray, fits: pa.StructArray, intake: Intake) -> pa.StringArray:
    if code.null_count == len(code):
        return code
    instead: Sequence[pa.Scalar] = [pa.scalar(f"; {used(one)}") for one in intake.routes]
    return pc.binary_join_element_wise(code, pc.case_when(fits, *instead, pa.scalar("")), "")
