"""The same with dlt: a resource that yields the records of stdin, and a custom destination that posts lists.

dlt writes what it read to files and calls the destination with 10,000 records at a time, as they came.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import dlt
import httpx

LEADS_PER_LIST = 10_000
ROWS_PER_PAGE = 1_000


@dlt.resource(name="contacts")
def contacts() -> Iterator[list[dict[str, Any]]]:
    """Pages of records, as a source of dlt yields them."""
    page: list[dict[str, Any]] = []
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message["type"] == "RECORD":
            page.append(message["record"])
        if len(page) == ROWS_PER_PAGE:
            yield page
            page = []
    if page:
        yield page


def main(base_url: str, folder: str) -> None:
    """Run the pipeline once."""
    client = httpx.Client(base_url=base_url, timeout=120, trust_env=False)

    @dlt.destination(batch_size=LEADS_PER_LIST, name="lead_lists")
    def lead_lists(items: list[dict[str, Any]], table: dict[str, Any]) -> None:
        body = {"name": table["name"], "owner": "-", "type": "linkedin", "leads": [_lead(row) for row in items]}
        client.post("/lead-lists", json=body).raise_for_status()

    pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination=lead_lists)
    pipeline.run(contacts())


def _lead(record: dict[str, Any]) -> dict[str, Any]:
    account = record.get("Account") or {}
    lead = {
        "linkedin_url": record.get("LinkedIn_Profile_URL__c"),
        "email": record.get("Email"),
        "title": record.get("Title"),
        "company_name": account.get("Name"),
        "company_domain": account.get("Website"),
    }
    return {name: value for name, value in lead.items() if value is not None}


if __name__ == "__main__":
    main(*sys.argv[1:])
