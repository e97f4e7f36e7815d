"""Pages for people: the lists that arrived, their leads, the requests as they came, faults and switches."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from target_amplemarket.sandbox.faults import KINDS, METHODS
from target_amplemarket.sandbox.lead_rules import LEAD_MEMBERS
from target_amplemarket.sandbox.pretty import pretty
from target_amplemarket.sandbox.switch_values import FIELDS

if TYPE_CHECKING:
    from starlette.requests import Request

    from target_amplemarket.sandbox.account import Account
    from target_amplemarket.sandbox.journal import Commit, RequestSeen
    from target_amplemarket.sandbox.lead_list import LeadList

LISTS_SHOWN = 100
LEADS_SHOWN = 100
REQUESTS_SHOWN = 20
_HERE = Path(__file__).parent
_SAFETY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; form-action 'self'; "
        "img-src data:; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclasses.dataclass(frozen=True)
class ShownList:
    """A list as the overview shows it."""

    id: str
    name: str
    owner: str
    type: str
    status: str
    lead_count: int
    arrived_s: float

    def holds(self, search: str) -> bool:
        """Whether a word is found in it."""
        return any(search in text.lower() for text in (self.name, self.owner, self.type, self.status, self.id))


class Pages:
    """The pages of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        # The look lies beside this package, since the report of a run shares it.
        self._environment = Environment(
            loader=FileSystemLoader([_HERE, _HERE.parent]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {"number": _number, "moment": _moment, "text": _text, "pretty": pretty}

    def routes(self) -> list[Route]:
        """The overview, a page for each list and each request, and the script that keeps them fresh."""
        return [
            Route("/", self.overview),
            Route("/_sandbox/page.js", self.script),
            Route("/_sandbox/lists/{id}", self.one_list),
            Route("/_sandbox/requests/{number:int}", self.one_request),
        ]

    async def overview(self, request: Request) -> Response:
        """What arrived, newest first; `search` narrows it, `page` goes back in time."""
        account = self._account
        account.settle()
        search = request.query_params.get("search", "").strip()
        found = [one for one in map(self._shown, reversed(account.lists.values())) if one.holds(search.lower())]
        number, page_count = _page(request, len(found), LISTS_SHOWN)
        return self._answer(
            "overview.html.jinja",
            search=search,
            found_count=len(found),
            lists=found[(number - 1) * LISTS_SHOWN : number * LISTS_SHOWN],
            page=number,
            page_count=page_count,
            list_count=len(account.lists),
            counts=account.journal.counts(),
            balance=account.balance,
            requests=list(account.journal.requests)[: -REQUESTS_SHOWN - 1 : -1],
            faults=account.plan.struck,
            kinds=KINDS,
            endpoints=[f"{method} {path}" for path, methods in METHODS.items() for method in methods],
            changed=_changed_switches(account),
            switches={name: member.metadata["help"] for name, member in FIELDS.items() if name != "faults"},
        )

    async def one_list(self, request: Request) -> Response:
        """A list: its facts, the requests that brought it, and its leads as they were sent, page by page."""
        account = self._account
        account.settle()
        found = account.lists.get(request.path_params["id"])
        if found is None:
            return self._answer("missing.html.jinja", 404, what="list")
        commits = [commit for commit in account.journal.commits if commit.list_id == found.id]
        number, page_count = _page(request, found.lead_count, LEADS_SHOWN)
        first = (number - 1) * LEADS_SHOWN
        leads = [lead for lead, _ in found.leads_at(first, first + LEADS_SHOWN)]
        return self._answer(
            "list.html.jinja",
            list=self._shown(found),
            found=found,
            commits=commits,
            credits=(math.fsum(c.email_credits for c in commits), math.fsum(c.phone_credits for c in commits)),
            first=first,
            leads=leads,
            members=_columns(leads),
            page=number,
            page_count=page_count,
            came=[(commit, self._seen(commit)) for commit in commits],
            contents=account.journal.contents,
        )

    async def one_request(self, request: Request) -> Response:
        """A request as it came."""
        journal = self._account.journal
        number = request.path_params["number"]
        seen = next((one for one in journal.requests if one.number == number), None)
        if seen is None:
            return self._answer("missing.html.jinja", 404, what="request")
        return self._answer("request.html.jinja", seen=seen, content=journal.contents.get(number))

    async def script(self, _: Request) -> Response:
        """What keeps a page fresh and switches faults."""
        return FileResponse(_HERE / "page.js", media_type="text/javascript", headers=_SAFETY)

    def _shown(self, one: LeadList) -> ShownList:
        status = one.status(self._account.now_s(), self._account.switches)
        return ShownList(one.id, one.name, one.owner.email, one.type, status, one.lead_count, one.created_s)

    def _seen(self, commit: Commit) -> RequestSeen | None:
        return next((one for one in self._account.journal.requests if one.number == commit.request_number), None)

    def _answer(self, template: str, status: int = 200, **facts: Any) -> Response:
        text = self._environment.get_template(template).render(**facts)
        return HTMLResponse(text, status, headers=_SAFETY)


def _page(request: Request, count: int, size: int) -> tuple[int, int]:
    """The page that is asked for, if there is one, and how many there are."""
    page_count = max(1, -(-count // size))
    asked = request.query_params.get("page", "1")
    return min(
        page_count, max(1, int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1)
    ), page_count


def _changed_switches(account: Account) -> list[tuple[str, str, str, str]]:
    """Switches that stand otherwise than by default: name, value, default, and the default as JSON."""
    changed = []
    for name, member in FIELDS.items():
        value = getattr(account.switches, name)
        if name != "faults" and value != member.default:
            changed.append((name, _text(value), _text(member.default), json.dumps(member.default)))
    return changed


def _columns(leads: list[dict[str, Any]]) -> list[str]:
    """The declared members first, then the others in the order met."""
    met = dict.fromkeys(name for lead in leads for name in lead)
    return [name for name in LEAD_MEMBERS if name in met] + [name for name in met if name not in LEAD_MEMBERS]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def _moment(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%d %H:%M:%S}"
