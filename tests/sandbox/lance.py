"""Calls the sandbox as Lance, in-process."""

from __future__ import annotations

from typing import Any

from .client import LINKEDIN, Client, Reply

ENTITIES = "/api/v1/entities"
LISTS = f"{ENTITIES}/leadlists"
BALANCE = "/api/v1/operations/credits/balance"
NOBODY = "2b6f0cc9-2222-4c33-8d44-9876543210ab"


def list_body(**members: Any) -> dict[str, Any]:
    """A create call's body; a member given as `...` is left out."""
    body = {
        "name": "Webinar attendees, week 14",
        "icpId": None,
        "startDate": "2026-04-06T00:00:00.000Z",
        "endDate": "2026-06-30T23:59:59.000Z",
        "personIds": [],
        **members,
    }
    return {name: value for name, value in body.items() if value is not ...}


def prospects(count: int, start: int = 0) -> list[dict[str, Any]]:
    """People without ids."""
    return [
        {
            "firstName": "Sam",
            "lastName": f"Okafor {number}",
            "linkedinUrl": f"{LINKEDIN}sam-okafor-{number}",
            "emails": [f"sam.{number}@north.example"],
        }
        for number in range(start, start + count)
    ]


class LanceClient(Client):
    """A client with a shorthand for each call that most tests make."""

    def made(self, **members: Any) -> str:
        """The id of a new list."""
        reply = self.call("POST", LISTS, list_body(**members))
        assert reply.status in (200, 201), reply.body
        return str(reply.json["id"])

    def put(self, list_id: str, people: Any, **members: Any) -> Reply:
        return self.call("POST", f"{LISTS}/{list_id}/add-prospects", {"prospects": people, **members})

    def put_companies(self, list_id: str, ids: Any) -> Reply:
        return self.call("POST", f"{LISTS}/{list_id}/add-companies", {"companyIds": ids})

    def read(self, list_id: str) -> Any:
        reply = self.get(f"{LISTS}/{list_id}")
        assert reply.status == 200
        return reply.json

    def search(self, *urls: str, **members: Any) -> Reply:
        contact = {"socialMediaLink": {"any": {"include": list(urls)}}}
        return self.call("POST", f"{ENTITIES}/prospects/person", {"contact": contact, **members})

    def found(self, number: int = 0) -> Any:
        """A person of the global database."""
        return self.search(f"{LINKEDIN}sam-okafor-{number}").json["content"][0]

    def company_ids(self, count: int) -> list[str]:
        page = self.call("POST", f"{ENTITIES}/prospects/company", {"size": count}).json
        return [company["id"] for company in page["content"]]


def error_of(reply: Reply) -> tuple[int, str]:
    """Status and code of a refusal in the documented envelope."""
    assert isinstance(reply.json["error"]["message"], str)
    return reply.status, reply.json["error"]["code"]


def places(reply: Reply) -> set[str]:
    """The paths that a refusal's details name."""
    assert reply.status == 400
    return set(reply.json["error"]["details"])
