"""Cursor paging: exclusive cursors, and links only towards what is there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from target_amplemarket.sandbox.ids import is_uuid
from target_amplemarket.sandbox.problems import Problem, bad_parameter

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches


@dataclass(frozen=True)
class PageQuery:
    """What a caller asked for."""

    size: int
    after: str | None
    before: str | None
    size_name: str = "page[size]"


@dataclass(frozen=True)
class Page:
    """Positions of a page, in the order of showing, and whether there is more either way."""

    positions: Sequence[int]
    has_next: bool
    has_prev: bool


def read_page_query(
    query: Mapping[str, str],
    default_size: int,
    switches: Switches,
    *,
    limit: int | None = None,
    size_name: str = "page[size]",
) -> PageQuery | Problem:
    """Read the page parameters of a query; `limit` replaces the switch's largest page size."""
    limit = max(limit or switches.page_size_limit, 1)
    text = query.get(size_name, query.get("page[size]", str(min(default_size, limit))))
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    size = int(text) if is_number else 0
    if size < 1 or (size > limit and switches.page_size_over_limit == "reject"):
        return bad_parameter("page[size]", text)
    for name in ("page[after]", "page[before]"):
        if name in query and not is_uuid(query[name]):
            return bad_parameter(name, query[name])
    after, before = query.get("page[after]"), query.get("page[before]")
    return PageQuery(min(size, limit), after and after.lower(), before and before.lower(), size_name)


def page_of(ids: Sequence[str], query: PageQuery, *, descending: bool = False) -> Page:
    """Cut a page out of rising ids. A cursor need not be one of them: it is compared, not looked up."""
    above, below = (query.before, query.after) if descending else (query.after, query.before)
    low = bisect_right(ids, above) if above else 0
    high = max(low, bisect_left(ids, below) if below else len(ids))
    takes_from_end = (query.before is not None and query.after is None) != descending
    start = max(low, high - query.size) if takes_from_end else low
    stop = high if takes_from_end else min(high, low + query.size)
    more_above, more_below = stop < len(ids), start > 0
    if descending:
        return Page(range(start, stop)[::-1], has_next=more_below, has_prev=more_above)
    return Page(range(start, stop), has_next=more_above, has_prev=more_below)


def links(
    path: str, ids: Sequence[str], page: Page, query: PageQuery, filters: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """The `_links` of a page: relative, with raw brackets."""
    own = {**filters, query.size_name: str(query.size)}
    cursors = {"page[after]": query.after, "page[before]": query.before}
    found = {"self": own | {name: cursor for name, cursor in cursors.items() if cursor}}
    if page.positions and page.has_prev:
        found["prev"] = own | {"page[before]": ids[page.positions[0]]}
    if page.positions and page.has_next:
        found["next"] = own | {"page[after]": ids[page.positions[-1]]}
    return {relation: {"href": href(path, members)} for relation, members in found.items()}


def href(path: str, query: Mapping[str, str]) -> str:
    """A relative address; only what would end or split the query is escaped."""
    return path + "?" + "&".join(f"{name}={_escaped(value)}" for name, value in query.items())


def _escaped(value: str) -> str:
    return quote(value, safe="@:[],/")
