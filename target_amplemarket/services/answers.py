"""What an answer of Amplemarket's API to a create call means.

Titles, details and everything else that may quote what was sent never leave this module.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from target_amplemarket.services.documents import decoded, member, safe_id, safe_pointer, safe_url, safe_word
from target_amplemarket.services.protocol import (
    Accepted,
    LeadRefusal,
    Outcome,
    RefusalKind,
    Refused,
    Unknown,
)
from target_amplemarket.services.replies import Answer
from target_amplemarket.services.statuses import KIND_OF_STATUS, without_verdict

_LEAD_POINTER = re.compile(r"/leads/(0|[1-9][0-9]{0,5})(?:/(.*))?", re.DOTALL)

_LEAD_FIELDS = frozenset({"linkedin_url", "email", "title", "company_name", "company_domain"})
_ABOUT_THE_CONTENT = frozenset({400, 422, 451})


class _Leads(msgspec.Struct):
    leads: list[msgspec.Raw]


def outcome_of(answer: Answer, request_body: bytes) -> Outcome:
    """Return what came of the create call that was answered with `answer`.

    A 4xx needs no readable body to be a refusal: the status line says that nothing was made.

    Args:
        answer: What came back.
        request_body: What was sent; its leads bound the positions that pointers may name.
    """
    if (outcome := without_verdict(answer)) is not None:
        return outcome
    return _accepted(answer) if answer.http_status < 300 else _refused(answer, request_body)


def _accepted(answer: Answer) -> Accepted | Unknown:
    document = decoded(answer.body)
    for members in (document, member(document, "lead_list")):
        list_id = safe_id(member(members, "id"))
        if list_id is not None:
            return Accepted(list_id, safe_url(member(members, "url")), answer.http_status)
    return Unknown(answer.fault or "unreadable_answer", answer.http_status)


def _refused(answer: Answer, request_body: bytes) -> Refused:
    status = answer.http_status
    errors = _errors(answer.body)
    code, pointer = errors[0] if errors else (None, None)
    if status not in _ABOUT_THE_CONTENT:
        kind = KIND_OF_STATUS.get(status, RefusalKind.ADDRESS)
        return Refused(kind, status, code, safe_pointer(pointer))
    for owner_code, owner_pointer in errors:
        if owner_pointer == "/owner":
            return Refused(RefusalKind.OWNER, status, owner_code, owner_pointer)
    leads = _lead_refusals(errors, request_body)
    if leads:
        return Refused(RefusalKind.LEADS, status, leads[0].code, leads[0].pointer, leads)
    return Refused(RefusalKind.REQUEST, status, code, safe_pointer(pointer))


def _lead_refusals(errors: Sequence[tuple[str | None, str | None]], request_body: bytes) -> tuple[LeadRefusal, ...]:
    """One refusal per lead that is named and exists, the first one said of it, in the order of the request."""
    named: dict[int, LeadRefusal] = {}
    for code, pointer in errors:
        match = None if pointer is None else _LEAD_POINTER.fullmatch(pointer)
        if match is None or int(match[1]) in named:
            continue
        # A member that is not of the safe form is cut off: it may be anything, and the position is what counts.
        safe = safe_pointer(pointer) or f"/leads/{match[1]}"
        lead_field = match[2] if match[2] in _LEAD_FIELDS else None
        named[int(match[1])] = LeadRefusal(int(match[1]), code or "unrecognised", safe, lead_field)
    if not named:
        return ()
    lead_count = len(msgspec.json.decode(request_body, type=_Leads).leads)
    return tuple(named[position] for position in sorted(named) if position < lead_count)


def _errors(body: bytes | None) -> list[tuple[str | None, str | None]]:
    """Code (of the safe form) and pointer (as it came) of each entry of an error answer; no title, no detail."""
    entries = member(decoded(body), "_errors")
    if not isinstance(entries, list):
        return []
    return [_error(entry) for entry in entries if isinstance(entry, dict)]


def _error(entry: dict[str, object]) -> tuple[str | None, str | None]:
    pointer = member(entry.get("source"), "pointer")
    return safe_word(entry.get("code")), pointer if isinstance(pointer, str) else None
