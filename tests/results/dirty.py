"""A dirty export: records that are rejected for several causes, some of which another mapping takes away."""

from __future__ import annotations

from typing import Any

from tests.harness import record, schema

COMPANY_PAGE = "https://www.linkedin.com/company/acme"
OPAQUE = "https://www.linkedin.com/in/ACoAAABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh"
REP = {"Email": "rep@northwind.example", "LinkedIn": "https://www.linkedin.com/in/the-rep"}


def profile(number: int) -> str:
    return f"https://www.linkedin.com/in/jane-{number}-doe"


def dirty_export(*, key: str | None = "id", stream: str = "contacts") -> list[dict[str, Any]]:
    """19 records: 5 leads; 10 people whom another mapping finds, one of them in two records; 3 whom none does."""
    messages = [schema(stream, "LinkedIn__c", "Email", key=key)]

    def add(**members: Any) -> None:
        messages.append(record(stream, **({"id": len(messages)} if key else {}), Owner=REP, **members))

    for number in range(5):
        add(Email=f"person{number}@acme.example")
    for number in range(4):
        add(LinkedIn__c=COMPANY_PAGE, Notes_Profile=profile(number))
    for number in range(3):
        add(Email=None, custom={"mail_privat": f"person{number}@beta.example"})
    for number in range(3):
        add(Email="info@", Funktion="Head of IT", Firma=f"Beta {number} GmbH")
    add(LinkedIn__c=OPAQUE)
    add(Phone="1")
    add(Phone="2")
    add(Email="broken", Notes_Profile=profile(1))
    return messages


REJECTED = 14
LEADS = 5
REPAIRED_RECORDS = 11
REPAIRED_PEOPLE = 10
