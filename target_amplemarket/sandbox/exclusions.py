"""The exclusion lists: domains and e-mails that must not be contacted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from target_amplemarket.sandbox.account import Account, Exclusion
from target_amplemarket.sandbox.answers import error_answer
from target_amplemarket.sandbox.exchange import Answer, Ask, Committed, Pending, json_answer, timestamp_ms
from target_amplemarket.sandbox.paging import links, page_of, read_page_query
from target_amplemarket.sandbox.problems import Problem, missing, unsupported
from target_amplemarket.sandbox.validation import read_object

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches

_DOMAIN = re.compile(r"[^@\s]+")


def show(kind: str) -> Callable[[Account, Ask], Answer]:
    """`GET /excluded-domains` (kind `domain`) or `GET /excluded-emails` (kind `email`)."""

    def endpoint(account: Account, ask: Ask) -> Answer:
        switches = account.switches
        size = switches.exclusion_page_size
        query = read_page_query(ask.query, size, switches, limit=size, size_name="size")
        if isinstance(query, Problem):
            return error_answer(400, [query])
        rows = list(account.excluded[kind].values())
        ids = [row.id for row in rows]
        page = page_of(ids, query)
        document = {
            f"excluded_{kind}s": [_row(kind, rows[at], switches) for at in page.positions],
            "_links": links(f"/excluded-{kind}s", ids, page, query, {}),
        }
        return json_answer(200, document)

    return endpoint


def put(kind: str) -> Callable[[Account, Ask], Answer | Pending]:
    """`POST /excluded-domains` or `POST /excluded-emails`."""

    def outcome(account: Account, value: str, now_s: float) -> str:
        return "success" if account.exclude(kind, value, now_s) else "already_excluded"

    return _change(kind, outcome)


def take(kind: str) -> Callable[[Account, Ask], Answer | Pending]:
    """`DELETE /excluded-domains` or `DELETE /excluded-emails`."""

    def outcome(account: Account, value: str, _: float) -> str:
        return "success" if account.include(kind, value) else "not_found"

    return _change(kind, outcome)


def _change(kind: str, outcome: Callable[[Account, str, float], str]) -> Callable[[Account, Ask], Answer | Pending]:
    member = f"excluded_{kind}s"

    def endpoint(account: Account, ask: Ask) -> Answer | Pending:
        document = read_object(ask.body)
        if isinstance(document, Problem):
            return error_answer(400, [document])
        problem = next(_problems(document, kind, account.switches), None)
        if problem:
            return error_answer(400, [problem])
        values = [row[kind] for row in document[member]]

        def commit(now_s: float) -> Committed:
            status = account.switches.exclusion_status_member
            rows = [{kind: value, status: outcome(account, value, now_s)} for value in values]
            return Committed(json_answer(200, {member: rows}))

        return Pending(commit)

    return endpoint


def _problems(document: dict[str, Any], kind: str, switches: Switches) -> Iterator[Problem]:
    member = f"excluded_{kind}s"
    if member not in document:
        yield missing(member)
        return
    if switches.unknown_members == "reject":
        yield from (
            unsupported(f"/{name}", f"Unsupported field in request: {name}") for name in document if name != member
        )
    rows = document[member]
    limit = switches.exclusions_per_call
    if not isinstance(rows, list):
        yield unsupported(f"/{member}", f"Unsupported value provided for field: {member}")
    elif limit is not None and len(rows) > limit:
        yield unsupported(f"/{member}", f"Number of rows exceeds {limit:,} limit.")
    else:
        for index, row in enumerate(rows):
            yield from _row_problems(row, f"/{member}/{index}", kind)


def _row_problems(row: Any, pointer: str, kind: str) -> Iterator[Problem]:
    if not isinstance(row, dict):
        yield unsupported(pointer, "Unsupported value provided for row.")
        return
    value = row.get(kind)
    if not isinstance(value, str) or not ("@" in value if kind == "email" else _DOMAIN.fullmatch(value)):
        yield unsupported(f"{pointer}/{kind}", f"Unsupported value provided for field: {kind}")


def _row(kind: str, row: Exclusion, switches: Switches) -> dict[str, Any]:
    shown: dict[str, Any] = {
        kind: row.value,
        "source": "amplemarket",
        "date_added": timestamp_ms(row.added_s),
        "excluded_reason": "api",
    }
    return shown | ({"excluded_reasons": ["api"]} if switches.exclusion_reasons else {})
