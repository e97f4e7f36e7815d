"""A target as the SDK's template and documentation have one written: a `BatchSink` that posts lists with httpx.

It maps five fields and sends lists of 10,000; it checks nothing, knows nobody from before and keeps no books.
"""

from __future__ import annotations

from typing import Any

import httpx
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink

LEADS_PER_LIST = 10_000


class LeadListSink(BatchSink):
    """Collects records and posts them as lists of leads."""

    max_size = LEADS_PER_LIST

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._client = httpx.Client(
            base_url=self.config["base_url"],
            headers={"Authorization": f"Bearer {self.config['api_key']}"},
            timeout=120,
            trust_env=False,
        )

    def process_batch(self, context: dict[str, Any]) -> None:
        """Post what was collected."""
        body = {
            "name": f"{self.stream_name} {context['batch_id']}",
            "owner": self.config["owner"],
            "type": "linkedin",
            "leads": [_lead(record) for record in context["records"]],
        }
        self._client.post("/lead-lists", json=body).raise_for_status()


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


class TargetStock(Target):
    """The target."""

    name = "target-stock"
    default_sink_class = LeadListSink
    config_jsonschema = th.PropertiesList(
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("owner", th.StringType, required=True),
        th.Property("base_url", th.StringType, required=True),
    ).to_dict()


if __name__ == "__main__":
    TargetStock.cli()
