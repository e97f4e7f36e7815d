"""`GET /lead-lists`, and the ways in which it can err on purpose."""

from __future__ import annotations

from typing import Any

from target_amplemarket.sandbox.account import Account
from target_amplemarket.sandbox.answers import error_answer, list_object, list_row
from target_amplemarket.sandbox.exchange import Answer, Ask, json_answer
from target_amplemarket.sandbox.faults import Fault
from target_amplemarket.sandbox.lead_list import LeadList
from target_amplemarket.sandbox.paging import PageQuery, href, links, page_of, read_page_query
from target_amplemarket.sandbox.problems import Problem

FILTERS = ("status", "owner_id", "owner_email")
_ALL_IDS = "ffffffff-ffff-7fff-bfff-ffffffffffff"


def list_lists(account: Account, ask: Ask) -> Answer:
    """`GET /lead-lists`."""
    switches = account.switches
    query = read_page_query(ask.query, switches.list_page_size, switches)
    if isinstance(query, Problem):
        return error_answer(400, [query])
    kind = ask.fault.kind if ask.fault else None
    if kind == "listing_same_page":
        query = PageQuery(query.size, None, None)
    filters = {name: ask.query[name] for name in FILTERS if name in ask.query}
    lists = _visible_lists(account, filters, ask.fault)
    ids = [one.id for one in lists]
    descending = switches.list_order == "newest"
    page = page_of(ids, query, descending=descending)
    rows = [_row(account, lists[at]) for at in page.positions]
    found = links("/lead-lists", ids, page, query, filters)
    if kind == "listing_renamed":
        rows = [row | {"name": f"Renamed list {number}"} for number, row in enumerate(rows, 1)]
    elif kind == "listing_same_page":
        cursor = {"page[size]": str(query.size), "page[after]": ids[page.positions[-1]] if page.positions else _ALL_IDS}
        found["next"] = {"href": href("/lead-lists", filters | cursor)}
    elif kind == "listing_missing_page" and page.has_next:
        skipped = page_of(ids, PageQuery(query.size, ids[page.positions[-1]], None), descending=descending)
        found.pop("next")
        if skipped.has_next:
            found |= {"next": links("/lead-lists", ids, skipped, query, filters)["next"]}
    return json_answer(200, {"lead_lists": rows, "_links": found})


def _visible_lists(account: Account, filters: dict[str, str], fault: Fault | None) -> list[LeadList]:
    now_s = account.now_s()
    hidden_s = fault.number("seconds") if fault and fault.kind == "stale_listing" else None
    return [
        one
        for one in account.lead_lists.values()
        if (hidden_s is None or one.created_s <= now_s - hidden_s)
        and filters.get("status") in (None, one.status(now_s, account.switches))
        and filters.get("owner_id") in (None, one.owner.id)
        and filters.get("owner_email") in (None, one.owner.email)
    ]


def _row(account: Account, lead_list: LeadList) -> dict[str, Any]:
    if account.switches.list_rows == "full":
        return list_object(lead_list, account.now_s(), account.switches)
    return list_row(lead_list, account.now_s(), account.switches)
