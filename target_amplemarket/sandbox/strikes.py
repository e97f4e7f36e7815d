"""Answers that a fault puts in the place of the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_amplemarket.sandbox.answers import Answer, error_answer, refusal, retry_after
from target_amplemarket.sandbox.problems import Problem

if TYPE_CHECKING:
    from target_amplemarket.sandbox.account import Account
    from target_amplemarket.sandbox.faults import Fault

PARTIAL = frozenset({"truncated_answer", "drip", "hang_after_commit", "reset_after_commit", "close_after_commit"})
"""Kinds after which the answer does not arrive whole, or not at once."""

_CODES = {403: "forbidden", 404: "not_found", 500: "internal_server_error", 503: "service_unavailable"}
_HTML = b"<!doctype html><title>Please wait</title><p>Your request is being looked at.</p>"


def answer_before_commit(fault: Fault, path: str, account: Account) -> Answer | None:
    """The answer of a fault that strikes before the call is looked at; None for faults that strike later."""
    match fault.kind:
        case "rate_limited":
            switches = account.switches
            headers = retry_after(fault.word("retry_after"), fault.number("seconds"), account.now_s())
            problem = Problem(switches.rate_limit_code, "Too many requests.")
            return refusal(429, switches.rate_limit_body, problem, headers)
        case "server_error" | "listing_error":
            return _error(int(fault.number("status")))
        case "redirect":
            return Answer(int(fault.number("status")), headers={"Location": f"https://elsewhere.example{path}"})
        case _:
            return None


def changed_answer(answer: Answer, fault: Fault | None) -> Answer:
    """The right answer, or what a fault makes of it."""
    match fault.kind if fault else None:
        case "server_error_after_commit" if fault:
            return _error(int(fault.number("status")))
        case "not_json" if answer.body:
            return Answer(answer.status, _HTML, answer.headers, media_type="text/html; charset=utf-8")
        case "without_id" if answer.body:
            return Answer(answer.status, _without_id(answer.body), answer.headers, answer.media_type)
        case _:
            return answer


def _without_id(body: bytes) -> bytes:
    document = msgspec.json.decode(body)
    for holder in (document, document.get("lead_list", {})):
        holder.pop("id", None)
    return msgspec.json.encode(document)


def _error(status: int) -> Answer:
    code = _CODES.get(status, "error")
    return error_answer(status, [Problem(code, "Something went wrong.")])
