"""What an answer of Lance's API means, and which of its text may be kept.

The envelope `{"error": {"code", "message"}}` is documented (entities/leadlists-delete), and that `details` says more of
a 400 (entities/leadlists-create); shape and place of `details` are *not documented*, so it is looked for inside and
beside `error`, and read however it names places. Messages never leave this module.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from target_amplemarket.services.documents import decoded, member
from target_amplemarket.services.places import Place, named_places, names_member
from target_amplemarket.services.protocol import LeadRefusal, NotSent, RefusalKind, Refused, Unknown
from target_amplemarket.services.replies import Answer
from target_amplemarket.services.statuses import KIND_OF_STATUS, without_verdict

_CODE: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_ABOUT_THE_CONTENT: Final = frozenset({400, 422})
_SETTING_OF_MEMBER: Final = {
    "icpId": "lance_icp_id",
    "startDate": "lance_start_date",
    "endDate": "lance_end_date",
}
_FIELD_OF_MEMBER: Final = {
    "id": "person_id",
    "firstName": "first_name",
    "lastName": "last_name",
    "jobTitle": "title",
    "city": "city",
    "country": "country",
    "linkedinUrl": "linkedin_url",
    "emails": "email",
    "phones": "phones",
    "companyId": "company_id",
    "seniority": "seniority",
    "departments": "departments",
}
_FIELD_OF_ARRAY: Final = {"personIds": "person_id", "companyIds": "company_id"}


@dataclass(frozen=True, slots=True)
class Sent:
    """The leads of a call.

    Attributes:
        array: Name of the array that they are sent in; empty for a call without leads.
        rows: The array.
    """

    array: str
    rows: Sequence[Any]  # Any: ids or people


def outcome_of_failure(answer: Answer, sent: Sent) -> Refused | NotSent | Unknown:
    """What an answer other than 2xx means.

    A call that carries no leads cannot be refused for them,
    so a 4xx of it is about the settings or the address.

    Args:
        answer: What came back.
        sent: What was sent; bounds the positions that the answer may name.
    """
    if (outcome := without_verdict(answer)) is not None:
        return outcome
    status = answer.http_status
    document = decoded(answer.body)
    code = _code(document)
    if code == "UNAUTHORIZED":
        return Refused(RefusalKind.CREDENTIALS, status, code)
    if status in _ABOUT_THE_CONTENT:
        return _refused(status, code, document, sent)
    kind = KIND_OF_STATUS.get(status, RefusalKind.ADDRESS)
    if kind is RefusalKind.TOO_LARGE and not sent.rows:
        kind = RefusalKind.ADDRESS
    return Refused(kind, status, code)


def taken_count(document: object, sent: Sent) -> int | None:
    """How many of the ids that were sent the list in the answer holds; None where it does not say.

    Pages disagree whether `personIds` are those of people or others that begin with `lead_`: where none of the ids
    comes back, a new list of people holds as many as there are.
    """
    holds = member(document, sent.array) if sent.array else None
    if not isinstance(holds, list):
        return None
    held = {one.lower() for one in holds if isinstance(one, str)}
    count = sum(row.lower() in held for row in sent.rows)
    is_other_kind = count == 0 and sent.array == "personIds"
    return min(len(holds), len(sent.rows)) if is_other_kind else count


def _refused(status: int, code: str | None, document: object, sent: Sent) -> Refused:
    details = [member(member(document, "error"), "details"), member(document, "details")]
    leads = _lead_refusals(details, code or "unrecognised", sent)
    if leads:
        return Refused(RefusalKind.LEADS, status, leads[0].code, leads[0].pointer, leads)
    name = names_member(details, _SETTING_OF_MEMBER)
    if name is not None:
        return Refused(RefusalKind.ADDRESS, status, code, f"/{name}", setting=_SETTING_OF_MEMBER[name])
    return Refused(RefusalKind.REQUEST if sent.rows else RefusalKind.ADDRESS, status, code)


def _lead_refusals(details: object, code: str, sent: Sent) -> tuple[LeadRefusal, ...]:
    """One refusal per lead that is named and exists, in the order of the request."""
    named: dict[int, Place] = {}
    for place in named_places(details, sent.array, _FIELD_OF_MEMBER) if sent.array else ():
        before = named.get(place.position)
        if place.position < len(sent.rows) and (before is None or before.member is None):
            named[place.position] = place
    return tuple(_lead_refusal(named[position], code, sent.array) for position in sorted(named))


def _lead_refusal(place: Place, code: str, array: str) -> LeadRefusal:
    pointer = f"/{array}/{place.position}"
    if place.member is None:
        return LeadRefusal(place.position, code, pointer, _FIELD_OF_ARRAY.get(array))
    return LeadRefusal(place.position, code, f"{pointer}/{place.member}", _FIELD_OF_MEMBER[place.member])


def _code(document: object) -> str | None:
    """The API's own code; `unrecognised` for one that may hold a value, None without an envelope."""
    code = member(member(document, "error"), "code")
    if code is None:
        return None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else "unrecognised"
