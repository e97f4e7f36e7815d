"""Entries of a lead list as the API answers them, and as a table.

The members are those of `response_lead_list_entry_object` (https://docs.amplemarket.com/api-reference/lead-list,
OpenAPI of June 2026). All but `phone_numbers` are said to be there and none to be null; that they are null until
enrichment has filled them is *not documented*, so each may be missing, null or of another type here, and only the id,
by which an entry is known, may not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa

from target_amplemarket.services.documents import member, safe_id

ENTRIES: Final = pa.schema(
    [
        pa.field("entry_id", pa.string(), nullable=False),
        pa.field("person_id", pa.string()),
        pa.field("email", pa.string()),
        pa.field("email_validation_result", pa.string()),
        pa.field("linkedin_url", pa.string()),
        pa.field("linkedin", pa.string()),
        pa.field("first_name", pa.string()),
        pa.field("last_name", pa.string()),
        pa.field("title", pa.string()),
        pa.field("company_name", pa.string()),
        pa.field("company_domain", pa.string()),
        pa.field("industry", pa.string()),
        pa.field("phone_numbers", pa.string()),
        pa.field("data", pa.string()),
    ]
)
"""An entry as a row; `phone_numbers` and `data` are JSON texts."""


FURTHER_EMAILS: Final = "emails"
"""Member of `data` that names all e-mails of somebody who has several; the column `email` has room for the first."""


class EntryRow(msgspec.Struct):
    """An entry as it stands in an answer. Any: what the API says."""

    id: str
    person_id: Any = None
    email: Any = None
    email_validation_result: Any = None
    linkedin_url: Any = None
    linkedin: Any = None
    first_name: Any = None
    last_name: Any = None
    title: Any = None
    company_name: Any = None
    company_domain: Any = None
    industry: Any = None
    phone_numbers: Any = None
    data: Any = None


def entry_table(rows: Sequence[EntryRow]) -> pa.Table:
    """Entries in the order of the answer, schema `ENTRIES`.

    Raises:
        ValueError: An id is not of the form that ids have.
    """
    if any(safe_id(row.id) is None for row in rows):
        raise ValueError("an entry without a usable id")
    columns = [
        pa.array([_READ.get(name, _text)(getattr(row, _MEMBER.get(name, name))) for row in rows], pa.string())
        for name in ENTRIES.names
    ]
    return pa.Table.from_arrays(columns, schema=ENTRIES)


def further_emails(data: str | None) -> list[str]:
    """All e-mails of somebody who has several, as the column `data` tells them."""
    document = msgspec.json.decode(data) if data is not None and FURTHER_EMAILS in data else None
    emails = member(document, FURTHER_EMAILS)
    return [email for email in emails if isinstance(email, str)] if isinstance(emails, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else _json(value)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _result(value: object) -> str | None:
    return _text(member(value, "result") if isinstance(value, dict) else value)


_MEMBER: Final = {"entry_id": "id"}
_READ: Final[dict[str, Callable[[object], str | None]]] = {
    "email_validation_result": _result,
    "phone_numbers": _json,
    "data": _json,
}
