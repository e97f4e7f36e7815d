"""A run with something of everything, for the report to tell of."""

from __future__ import annotations

from typing import Any

from tests.harness import contacts, record, schema, state

HOSTILE = "<script>alert('stream')</script>\"onload=x"


def mixed_messages() -> list[dict[str, Any]]:
    """Streams of different sizes: leads, duplicates, records with nothing to be found by, bad e-mails."""
    dirty = [
        schema("hubspot-leads", "email", "title", "linkedin_url"),
        *(record("hubspot-leads", id=n, email=f"lead{n}@north.example") for n in range(300)),
        *(record("hubspot-leads", id=1000 + n, email="not an address") for n in range(70)),
        *(record("hubspot-leads", id=2000 + n, title="Buyer") for n in range(40)),
        *(record("hubspot-leads", id=3000 + n, linkedin_url="https://example.com/x") for n in range(12)),
        *(record("hubspot-leads", id=4000 + n, email=f"lead{n}@north.example") for n in range(90)),
    ]
    hostile = [schema(HOSTILE, "email"), record(HOSTILE, id=1, email="ann@hostile.example"), record(HOSTILE, id=2)]
    return [*contacts(820, stream="salesforce-contacts"), *dirty, *hostile, state({"at": "the end"})]
