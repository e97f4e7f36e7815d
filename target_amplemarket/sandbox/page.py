"""Pages for people: the lists that arrived, their leads, the requests as they came, faults and switches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from target_amplemarket.sandbox.api import Api, ShownList
from target_amplemarket.sandbox.faults import KINDS, PARAMETERS
from target_amplemarket.sandbox.pretty import pretty
from target_amplemarket.sandbox.switch_values import FIELDS

if TYPE_CHECKING:
    from starlette.requests import Request

    from target_amplemarket.sandbox.journal import Commit, RequestSeen
    from target_amplemarket.sandbox.world import World

LISTS_SHOWN = 100
LEADS_SHOWN = 100
REQUESTS_SHOWN = 20
CALLS_SHOWN = 20
TEXT_CHARS = 300
OBJECT_CHARS = 40
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


class Pages:
    """The pages of one sandbox."""

    def __init__(self, world: World) -> None:
        self._world = world
        # The look lies beside this package, since the report of a run shares it.
        self._environment = Environment(
            loader=FileSystemLoader([_HERE, _HERE.parent]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {"number": _number, "moment": _moment, "cell": _cell, "pretty": pretty}

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
        world = self._world
        world.settle()
        search = request.query_params.get("search", "").strip()
        lists = sorted((one for api in world.apis for one in api.lists()), key=lambda one: one.arrived_s)[::-1]
        found = [one for one in lists if one.holds(search.lower())]
        number, page_count = _page(request, len(found), LISTS_SHOWN)
        return self._answer(
            "overview.html.jinja",
            search=search,
            found_count=len(found),
            lists=found[(number - 1) * LISTS_SHOWN : number * LISTS_SHOWN],
            page=number,
            page_count=page_count,
            list_count=len(lists),
            counts=world.journal.counts(),
            figures=[figure for api in world.apis for figure in api.figures()],
            requests=list(world.journal.requests)[: -REQUESTS_SHOWN - 1 : -1],
            faults=world.plan.struck,
            kinds=KINDS,
            parameters=PARAMETERS,
            endpoints=[str(endpoint) for api in world.apis for endpoint in api.endpoints],
            changed=_changed_switches(world),
            switches={name: member.metadata["help"] for name, member in FIELDS.items() if name != "faults"},
        )

    async def one_list(self, request: Request) -> Response:
        """A list: its facts, the requests that brought it, and its leads as they were sent, page by page."""
        world = self._world
        world.settle()
        api, found = self._list(request.path_params["id"])
        if not api or not found:
            return self._answer("missing.html.jinja", 404, what="list")
        commits = world.journal.commits_of(found.id)
        lead_count = sum(len(commit.leads) for commit in commits)
        number, page_count = _page(request, lead_count, LEADS_SHOWN)
        first = (number - 1) * LEADS_SHOWN
        leads = _leads(commits, first, first + LEADS_SHOWN)
        return self._answer(
            "list.html.jinja",
            list=found,
            commits=commits,
            figures=found.figures(),
            first=first,
            leads=leads,
            lead_count=lead_count,
            members=_columns(leads, api.columns),
            page=number,
            page_count=page_count,
            came=[(commit, self._seen(commit)) for commit in commits[:CALLS_SHOWN]],
            contents=world.journal.contents,
        )

    async def one_request(self, request: Request) -> Response:
        """A request as it came."""
        journal = self._world.journal
        number = request.path_params["number"]
        seen = next((one for one in journal.requests if one.number == number), None)
        if seen is None:
            return self._answer("missing.html.jinja", 404, what="request")
        return self._answer("request.html.jinja", seen=seen, content=journal.contents.get(number))

    async def script(self, _: Request) -> Response:
        """What keeps a page fresh and switches faults."""
        return FileResponse(_HERE / "page.js", media_type="text/javascript", headers=_SAFETY)

    def _list(self, list_id: str) -> tuple[Api | None, ShownList | None]:
        found = ((api, one) for api in self._world.apis for one in api.lists() if one.id == list_id)
        return next(found, (None, None))

    def _seen(self, commit: Commit) -> RequestSeen | None:
        return next((one for one in self._world.journal.requests if one.number == commit.request_number), None)

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


def _changed_switches(world: World) -> list[tuple[str, str, str, str]]:
    """Switches that stand otherwise than by default: name, value, default, and the default as JSON."""
    changed = []
    for name, member in FIELDS.items():
        value = getattr(world.switches, name)
        if name != "faults" and value != member.default:
            shown = "(set)" if member.metadata["is_secret"] else _text(value)
            changed.append((name, shown, _text(member.default), json.dumps(member.default)))
    return changed


def _leads(commits: list[Commit], start: int, stop: int) -> list[dict[str, Any]]:
    """The leads of all commits from position `start` up to `stop`."""
    found: list[dict[str, Any]] = []
    offset = 0
    for commit in commits:
        count = len(commit.leads)
        if start < offset + count and offset < stop:
            found += commit.leads.slice(max(0, start - offset), min(stop - offset, count))
        offset += count
    return found


def _columns(leads: list[dict[str, Any]], first: Sequence[str]) -> list[str]:
    """The API's first members, then the others in the order met."""
    met = dict.fromkeys(name for lead in leads for name in lead)
    return [name for name in first if name in met] + [name for name in met if name not in first]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cell(value: Any) -> str:
    """A value for a table; the request as it came has the rest."""
    text = _text(value)
    limit = OBJECT_CHARS if isinstance(value, dict | list) else TEXT_CHARS
    return text if len(text) <= limit else text[:limit] + "…"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def _moment(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%d %H:%M:%S}"
