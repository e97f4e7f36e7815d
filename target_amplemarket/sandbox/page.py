"""A page for people: the lists that arrived, newest first, and the first leads of each."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from target_amplemarket.sandbox.answers import timestamp
from target_amplemarket.sandbox.lead_rules import LEAD_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from target_amplemarket.sandbox.account import Account

LISTS_SHOWN = 200
LEADS_SHOWN = 100
_SAFETY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
_STYLE = """
:root { color-scheme: light dark; --line: #d8d8d8; --soft: #666; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--soft); padding: .5rem 0; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; } p { color: var(--soft); }
.wide { overflow-x: auto; }
"""


class Pages:
    """The pages of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """The overview, and one page for each list."""
        return [Route("/", self.overview), Route("/_sandbox/lists/{id}", self.one_list)]

    async def overview(self, _: Request) -> Response:
        """The lists that arrived."""
        account = self._account
        account.settle()
        now_s = account.now_s()
        newest = list(account.lists.values())[::-1][:LISTS_SHOWN]
        rows = [
            _row(
                f'<a href="/_sandbox/lists/{one.id}">{escape(one.name)}</a>',
                escape(one.owner.email),
                escape(one.type),
                one.lead_count,
                escape(one.status(now_s, account.switches)),
                timestamp(one.created_s),
            )
            for one in newest
        ]
        heads = ("Name", "Owner", "Type", "Leads", "State", "Arrived (UTC)")
        counts = account.journal.counts()
        caption = f"{len(account.lists):,} lists, {counts['leads']:,} leads, {counts['requests']:,} requests"
        balance = f"{account.balance.email:,g} e-mail credits, {account.balance.phone:,g} phone credits left."
        nothing = "" if rows else "<p>Nothing has arrived yet.</p>"
        return _page("Lead lists that arrived", _table(caption, heads, rows) + nothing + f"<p>{balance}</p>")

    async def one_list(self, request: Request) -> Response:
        """The first leads of a list, as they were sent."""
        self._account.settle()
        found = self._account.lists.get(request.path_params["id"])
        if found is None:
            return _page("No such list", '<p><a href="/">All lists</a></p>', 404)
        leads = [lead for lead, _ in found.leads_at(0, LEADS_SHOWN)]
        heads = _columns(leads)
        rows = [_row(*(escape(_text(lead.get(name))) for name in heads)) for lead in leads]
        caption = f"{len(leads):,} of {found.lead_count:,} leads, owner {escape(found.owner.email)}"
        return _page(found.name, _table(caption, map(escape, heads), rows) + '<p><a href="/">All lists</a></p>')


def _columns(leads: list[dict[str, Any]]) -> list[str]:
    """The declared members first, then the others in the order met."""
    met = dict.fromkeys(name for lead in leads for name in lead)
    return [name for name in LEAD_MEMBERS if name in met] + [name for name in met if name not in LEAD_MEMBERS]


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _row(*cells: str | int) -> str:
    marked = (f'<td class="number">{cell:,}</td>' if isinstance(cell, int) else f"<td>{cell}</td>" for cell in cells)
    return f"<tr>{''.join(marked)}</tr>"


def _table(caption: str, heads: Iterable[str], rows: list[str]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        f'<div class="wide"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _page(title: str, body: str, status: int = 200) -> Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(text, status, headers=_SAFETY)
