"""The bodies of answers, as the API documents them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from target_amplemarket.sandbox.enrichment import enrich
from target_amplemarket.sandbox.exchange import Answer, json_answer
from target_amplemarket.sandbox.ids import draw, uuid7
from target_amplemarket.sandbox.lead_list import LeadList, User
from target_amplemarket.sandbox.lead_rules import LEAD_MEMBERS, TYPES
from target_amplemarket.sandbox.problems import Problem

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches

_ENTRY_MEMBERS = (
    "email", "person_id", "linkedin_url", "first_name", "last_name", "company_name", "company_domain", "industry",
    "title", "email_validation_result",
)  # fmt: skip


def error_answer(status: int, problems: Iterable[Problem], headers: Mapping[str, str] | None = None) -> Answer:
    """The documented error envelope."""
    return json_answer(status, {"object": "error", "_errors": [_error_entry(one) for one in problems]}, headers)


def refusal(status: int, form: str, problem: Problem, headers: Mapping[str, str] | None = None) -> Answer:
    """An error whose body's form is not documented: `envelope`, `text` or `empty`."""
    if form == "envelope":
        return error_answer(status, [problem], headers)
    body = problem.detail.encode() if form == "text" else b""
    return Answer(status, body, headers or {}, media_type="text/plain; charset=utf-8")


def _error_entry(problem: Problem) -> dict[str, Any]:
    entry: dict[str, Any] = {"code": problem.code, "title": problem.title, "detail": problem.detail}
    if problem.pointer is not None:
        entry["source"] = {"pointer": problem.pointer}
    elif problem.parameter is not None:
        entry["source"] = {"parameter": problem.parameter}
    return entry


def timestamp(moment_s: float) -> str:
    """ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(int(moment_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def list_row(lead_list: LeadList, now_s: float, switches: Switches) -> dict[str, Any]:
    """A list as one row of the listing."""
    return {
        "id": lead_list.id,
        "name": lead_list.name,
        "status": lead_list.status(now_s, switches),
        "url": f"{switches.dashboard_url}/dashboard/lead_lists/{lead_list.id}",
        "shared": lead_list.shared,
        "visible": lead_list.visible,
        "owner": lead_list.owner.email,
        "type": TYPES[lead_list.type],
        "created_at": timestamp(lead_list.created_s),
        "updated_at": timestamp(lead_list.updated_s(now_s, switches)),
    }


def list_object(
    lead_list: LeadList,
    now_s: float,
    switches: Switches,
    entries: list[dict[str, Any]] | None = None,
    links: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A list with a page of entries; none in the answer to a create call."""
    row = list_row(lead_list, now_s, switches)
    return {
        "id": row.pop("id"),
        "object": "lead_list",
        **row,
        "options": lead_list.options,
        "leads": entries or [],
        "_links": links or {"self": {"href": f"/lead-lists/{lead_list.id}"}},
    }


def wrapped(document: dict[str, Any], switches: Switches) -> dict[str, Any]:
    """The object, or the object inside a `lead_list` member."""
    return {"lead_list": document} if switches.list_wrapped else document


def entry_object(
    entry_id: str, lead: dict[str, Any], lead_list: LeadList, switches: Switches, *, is_enriched: bool
) -> dict[str, Any]:
    """One entry: what the lead came with, what enrichment brought, and null for the rest."""
    known = {name: lead[name] for name in LEAD_MEMBERS if lead.get(name)}
    if is_enriched:
        known = {**enrich(lead, lead_list.options, switches).members, **known}
    entry = {"id": entry_id, "object": "lead_list_entry"} | {name: known.get(name) for name in _ENTRY_MEMBERS}
    entry["linkedin"] = entry["linkedin_url"]
    entry["data"] = _data(lead, switches)
    if "phone_numbers" in known:
        entry["phone_numbers"] = known["phone_numbers"]
    return entry


def _data(lead: dict[str, Any], switches: Switches) -> dict[str, Any]:
    match switches.data_holds:
        case "nothing":
            return {}
        case "all":
            return lead
        case "extras":
            return {name: value for name, value in lead.items() if name not in LEAD_MEMBERS}


def user_object(user: User) -> dict[str, Any]:
    """A user with one made-up mailbox."""
    local, _, domain = user.email.partition("@")
    mailbox_id = uuid7(1_700_000_000_000, 2, int.from_bytes(draw("mailbox", user.id)[:8], "big"))
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "status": user.status,
        "role": user.role,
        "mailboxes": [{"id": mailbox_id, "email": f"{local}@mail.{domain}"}],
    }
