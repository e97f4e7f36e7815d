"""The Amplemarket API as the sandbox speaks it: its endpoints, its wording of refusals, and its lists for people.

Its own parts are `account`, `answers`, `endpoints`, `enrichment`, `exclusions`, `lead_list`, `lead_rules`, `listing`,
`paging`, `problems`, `validation`, its switches and `openapi.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from target_amplemarket.sandbox import exclusions, listing
from target_amplemarket.sandbox.account import Account, LeadListCommit
from target_amplemarket.sandbox.answers import error_answer, refusal
from target_amplemarket.sandbox.api import Endpoint, Figure, Role, ShownList
from target_amplemarket.sandbox.endpoints import account_info, add_leads, create_list, list_users, read_list
from target_amplemarket.sandbox.exchange import Answer, Ask, Pending
from target_amplemarket.sandbox.lead_list import LeadList
from target_amplemarket.sandbox.lead_rules import LEAD_MEMBERS
from target_amplemarket.sandbox.problems import Problem, bad_parameter

_CODES = {
    401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 413: "payload_too_large",
    500: "internal_server_error", 503: "service_unavailable",
}  # fmt: skip
_PAGES = {"page[size]", "page[after]", "page[before]"}
_PARAMETERS: dict[str, set[str]] = {
    "GET /users": _PAGES | {"status", "role", "email"},
    "GET /lead-lists": _PAGES | set(listing.FILTERS),
    "GET /lead-lists/{id}": _PAGES,
    "GET /excluded-domains": _PAGES | {"size"},
    "GET /excluded-emails": _PAGES | {"size"},
}


def _on(method: str, path: str, answer: Callable[[Account, Ask], Answer | Pending], role: Role = "read") -> Endpoint:
    """An endpoint that may refuse query parameters it does not know."""
    known = _PARAMETERS.get(f"{method} {path}", set())

    def checked(account: Account, ask: Ask) -> Answer | Pending:
        unknown = sorted(ask.query.keys() - known)
        if unknown and account.switches.unknown_parameters == "reject":
            return error_answer(400, [bad_parameter(unknown[0], ask.query[unknown[0]])])
        return answer(account, ask)

    return Endpoint(method, path, checked, role)


class Amplemarket(Account):
    """Lists that are processed by and by, a long-lived key, credits."""

    name = "amplemarket"
    title = "Amplemarket"
    contract = Path(__file__).with_name("openapi.yaml")
    columns = LEAD_MEMBERS
    endpoints = (
        _on("GET", "/account-info", account_info),
        _on("GET", "/users", list_users),
        _on("GET", "/lead-lists", listing.list_lists, "listing"),
        _on("POST", "/lead-lists", create_list, "create"),
        _on("GET", "/lead-lists/{id}", read_list),
        _on("POST", "/lead-lists/{id}/leads", add_leads, "add"),
        _on("GET", "/excluded-domains", exclusions.show("domain")),
        _on("POST", "/excluded-domains", exclusions.put("domain"), "write"),
        _on("DELETE", "/excluded-domains", exclusions.take("domain"), "write"),
        _on("GET", "/excluded-emails", exclusions.show("email")),
        _on("POST", "/excluded-emails", exclusions.put("email"), "write"),
        _on("DELETE", "/excluded-emails", exclusions.take("email"), "write"),
    )

    def error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        switches = self.switches
        if status == 429:
            return refusal(429, switches.rate_limit_body, Problem(switches.rate_limit_code, message), headers)
        code = switches.not_found_code if status == 404 else _CODES.get(status, "error")
        return error_answer(status, [Problem(code, message)], headers)

    def authorize(self, token: str) -> Answer | None:
        switches = self.switches
        if token and switches.api_key in (None, token):
            return None
        problem = Problem(switches.unauthorized_code, "The API key is missing or not valid.")
        challenge = {"WWW-Authenticate": "Bearer"} if switches.unauthorized_status == "401" else {}
        return refusal(int(switches.unauthorized_status), switches.unauthorized_body, problem, challenge)

    @property
    def requests_per_minute(self) -> int:
        return self.switches.requests_per_minute

    def state(self) -> dict[str, Any]:
        return {
            "email_credits": self.balance.email,
            "phone_credits": self.balance.phone,
            "excluded_domains": len(self.excluded["domain"]),
            "excluded_emails": len(self.excluded["email"]),
        }

    def figures(self) -> list[Figure]:
        return [(self.balance.email, "e-mail credits left"), (self.balance.phone, "phone credits left")]

    def lists(self) -> Sequence[ShownList]:
        return [self._shown(one) for one in self.lead_lists.values()]

    def _spent(self, list_id: str) -> list[Figure]:
        commits = [one for one in self.world.journal.commits_of(list_id) if isinstance(one, LeadListCommit)]
        return [
            (math.fsum(one.email_credits for one in commits), "e-mail credits spent"),
            (math.fsum(one.phone_credits for one in commits), "phone credits spent"),
        ]

    def _shown(self, one: LeadList) -> ShownList:
        options = ", ".join(
            f"{name} {str(getattr(one.options, name)).lower()}" for name in one.options.__struct_fields__
        )
        return ShownList(
            self.title, one.id, one.name, one.owner.email, one.type, one.status(self.now_s(), self.switches),
            one.lead_count, one.created_s,
            f"{'shared' if one.shared else 'not shared'}, {'visible' if one.visible else 'not visible'}; {options}",
            lambda: self._spent(one.id),
        )  # fmt: skip
