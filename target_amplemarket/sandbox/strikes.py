"""Answers that a fault puts in the place of the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_amplemarket.sandbox.exchange import Answer, retry_after

if TYPE_CHECKING:
    from target_amplemarket.sandbox.api import Api
    from target_amplemarket.sandbox.faults import Fault

PARTIAL = frozenset({"truncated_answer", "drip", "hang_after_commit", "reset_after_commit", "close_after_commit"})
"""Kinds after which the answer does not arrive whole, or not at once."""

_HTML = b"<!doctype html><title>Please wait</title><p>Your request is being looked at.</p>"


def answer_before_commit(fault: Fault, path: str, api: Api) -> Answer | None:
    """The answer of a fault that strikes before the call is looked at; None for faults that strike later."""
    match fault.kind:
        case "rate_limited":
            headers = retry_after(fault.word("retry_after"), fault.number("seconds"), api.now_s())
            return api.error(429, "Too many requests.", headers)
        case "server_error" | "listing_error":
            return fault_error(fault, api)
        case "redirect":
            return Answer(int(fault.number("status")), headers={"Location": f"https://elsewhere.example{path}"})
        case _:
            return None


def changed_answer(answer: Answer, fault: Fault | None, api: Api) -> Answer:
    """The right answer, or what a fault makes of it."""
    match fault.kind if fault else None:
        case "server_error_after_commit" if fault:
            return fault_error(fault, api)
        case "not_json" if answer.body:
            return Answer(answer.status, _HTML, answer.headers, media_type="text/html; charset=utf-8")
        case "without_id" if answer.body:
            return Answer(answer.status, _without_id(answer.body), answer.headers, answer.media_type)
        case _:
            return answer


def fault_error(fault: Fault, api: Api) -> Answer:
    """An error of the fault's status, in the API's words."""
    return api.error(int(fault.number("status")), "Something went wrong.")


def _without_id(body: bytes) -> bytes:
    """An object without its id, also where it lies inside another."""
    document = msgspec.json.decode(body)
    if not isinstance(document, dict):
        return body
    for holder in (document, *document.values()):
        if isinstance(holder, dict):
            holder.pop("id", None)
    return msgspec.json.encode(document)
