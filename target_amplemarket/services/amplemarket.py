"""Amplemarket's HTTP API: one create call a list, no idempotency key, the list's name as the only handle.

Facts are from https://docs.amplemarket.com/api-reference (create-lead-list, errors, pagination, get-users; OpenAPI with
examples of June 2026). What is documented nowhere and stands here as a choice is marked *not documented*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Self, TypeVar, assert_never

import msgspec
import pyarrow as pa

from target_amplemarket.config import LIST_TYPES, Settings
from target_amplemarket.errors import ApiUnreachable, RefusedByApi
from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.services.addresses import next_query
from target_amplemarket.services.answers import outcome_of
from target_amplemarket.services.calls import Calls, Surroundings, decoded_as, seen_text
from target_amplemarket.services.documents import safe_id, safe_name, safe_url, safe_word
from target_amplemarket.services.entries import EntryRow, entry_table
from target_amplemarket.services.protocol import (
    Absent,
    Account,
    CannotAsk,
    Confirmation,
    EntryPage,
    Exclusions,
    Found,
    ListRequest,
    ListState,
    NotSent,
    Outcome,
    Unknown,
)
from target_amplemarket.services.replies import Answer

BASE_URL = "https://api.amplemarket.com"
MAX_LEADS_PER_LIST = 10_000
MAX_PAGES = 2_000
_LIST = "/lead-lists/{id}"
LEAD_FIELDS = ("linkedin_url", "email", "title", "company_name", "company_domain")
_LEAD_FIELD_NAMES = frozenset(LEAD_FIELDS)
_COMPANY = {"domain": ("company_domain",), "name": ("company_name",), "either": ("company_name", "company_domain")}


# --- What is sent and read --------------------------------------------------------------------------------------------


class _Lead(msgspec.Struct, omit_defaults=True, gc=False):
    linkedin_url: str | None = None
    email: str | None = None
    title: str | None = None
    company_name: str | None = None
    company_domain: str | None = None


class _Options(msgspec.Struct):
    reveal_phone_numbers: bool
    validate_email: bool
    enrich: bool


class _CreateList(msgspec.Struct, kw_only=True):
    name: str
    shared: bool
    visible: bool
    owner: str
    list_type: str = msgspec.field(name="type")
    options: _Options
    leads: list[Any]


class _Link(msgspec.Struct):
    href: str


class _Links(msgspec.Struct):
    following: _Link | None = msgspec.field(name="next", default=None)


class _Page(msgspec.Struct, kw_only=True):
    links: _Links | None = msgspec.field(name="_links", default=None)

    def ids(self) -> set[str]:
        """What rows are known by, to notice a page that came before."""
        raise NotImplementedError


class _ListRow(msgspec.Struct):
    id: str
    name: str | None  # required: without names the absence of a list proves nothing
    url: Any = None


class _ListPage(_Page, kw_only=True):
    rows: list[_ListRow] = msgspec.field(name="lead_lists")

    def ids(self) -> set[str]:
        return {row.id for row in self.rows}


class _UserRow(msgspec.Struct):
    id: str
    email: str | None = None
    status: Any = None


class _UserPage(_Page, kw_only=True):
    rows: list[_UserRow] = msgspec.field(name="users")

    def ids(self) -> set[str]:
        return {row.id for row in self.rows}


class _ExcludedEmail(msgspec.Struct):
    email: str


class _ExcludedDomain(msgspec.Struct):
    domain: str


class _ExclusionPage(_Page, kw_only=True):
    def values(self) -> list[str]:
        raise NotImplementedError

    def ids(self) -> set[str]:
        """One for the whole page: rows have no ids, and there may be millions of them."""
        values = self.values()
        return {hashlib.sha256("\n".join(values).encode("utf-8", "replace")).hexdigest()} if values else set()


class _EmailPage(_ExclusionPage, kw_only=True):
    rows: list[_ExcludedEmail] = msgspec.field(name="excluded_emails")

    def values(self) -> list[str]:
        return [row.email for row in self.rows]


class _DomainPage(_ExclusionPage, kw_only=True):
    rows: list[_ExcludedDomain] = msgspec.field(name="excluded_domains")

    def values(self) -> list[str]:
        return [row.domain for row in self.rows]


class _EntryPage(_Page, kw_only=True):
    """A list with a page of its entries, also inside a `lead_list` member, as two public clients accept it."""

    id: str = ""
    status: Any = None
    owner: Any = None
    rows: list[EntryRow] | None = msgspec.field(name="leads", default=None)
    lead_list: _EntryPage | None = None

    def __post_init__(self) -> None:
        if (inner := self.lead_list) is not None:
            self.id, self.status, self.owner, self.rows = inner.id, inner.status, inner.owner, inner.rows
            self.links = inner.links
        if self.rows is None:  # without entries it is no list
            raise ValueError

    def ids(self) -> set[str]:
        return {row.id for row in self.rows or ()}

    def state(self, retry_after_s: float | None = None) -> ListState:
        return ListState(safe_word(self.status), safe_name(self.owner), retry_after_s)


_AnyPage = TypeVar("_AnyPage", bound=_Page)

_extra_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


# --- The client -------------------------------------------------------------------------------------------------------


class Amplemarket:
    """`Service` over Amplemarket's API; safe to use from several threads."""

    name = "amplemarket"
    max_leads_per_list = MAX_LEADS_PER_LIST
    max_leads_per_call = MAX_LEADS_PER_LIST
    adds_to_lists = False
    has_owners = True
    has_exclusions = True

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._calls!r})"

    @classmethod
    def intake(cls, settings: Settings) -> Intake:
        """LinkedIn URL, else e-mail, else title and company: three types of lists, by `list_type` one or all."""
        needs = {
            "linkedin": (("linkedin_url",),),
            "email": (("email",),),
            "titles_and_company": (("title",), _COMPANY[settings.company_needs]),
        }
        wanted = LIST_TYPES if settings.list_type == "auto" else (settings.list_type,)
        return Intake(LEAD_FIELDS, tuple(Route(name, needs[name]) for name in wanted))

    @classmethod
    def open(cls, settings: Settings, given: Surroundings) -> Self:
        """The client for these settings."""
        return cls(Calls(settings, settings.base_url or BASE_URL, given))

    @property
    def base_url(self) -> str:
        """Address that calls go to."""
        return self._calls.base_url

    @property
    def requests(self) -> Mapping[str, int]:
        """Calls made so far, by method and path."""
        return self._calls.made

    def account(self) -> Account:
        """Ask `GET /account-info` whose key it is; spends nothing.

        The members `id` and `name` are *not documented*: one that is missing or strange is left empty, for the key is
        accepted all the same.

        Raises:
            RefusedByApi: The key is not accepted.
            ApiUnreachable: No answer after a few tries, or one that is no JSON object.
        """
        document = self._calls.read_account("/account-info")
        if isinstance(document, CannotAsk):
            self._raise_for(document, "whose key it is")
        return Account(safe_id(document.get("id")) or "", safe_name(document.get("name")))

    def owners(self) -> frozenset[str]:
        """E-mails, lower case, of all users of the account except those whose status is `inactive`.

        Whether an inactive user may own a list is *not documented*; leaving one out makes the settings' own owner take
        the list, while an owner whom the API refuses stops the run. A status that is missing or new counts as active.

        Raises:
            RefusedByApi: The key is not accepted.
            ApiUnreachable: No answer after a few tries, or pages that cannot be read to their end.
        """
        emails: set[str] = set()
        # The page size stays the server's own: its limit here is not documented, and a size beyond it may be a 400.
        for page in self._pages("/users", "", _UserPage):
            if isinstance(page, CannotAsk):
                self._raise_for(page, "who can own a list")
            emails.update(row.email.strip().lower() for row in page.rows if row.email and row.status != "inactive")
        return frozenset(emails)

    def exclusions(self) -> Exclusions:
        """Read `GET /excluded-emails` and `GET /excluded-domains` to their last page.

        Pages are as large as the server makes them (2,000 rows in the documented examples) and their number is bounded,
        so that 4 million rows of each kind can be read. A row without its value is no row to pass over: it may be about
        anybody, so the lists then count as unreadable.

        Raises:
            RefusedByApi: The lists are not shown to this key.
            ApiUnreachable: No answer after a few tries, or pages that cannot be read to their end.
        """
        emails = self._excluded("/excluded-emails", _EmailPage)
        return Exclusions(emails=emails, domains=self._excluded("/excluded-domains", _DomainPage))

    def _excluded(self, path: str, page_type: type[_ExclusionPage]) -> pa.StringArray:
        values: list[pa.StringArray] = [pa.array([], pa.string())]
        for page in self._pages(path, "", page_type):
            if isinstance(page, CannotAsk):
                _raise_for_exclusions(page, path)
            values.append(pa.array(page.values(), pa.string()))
        return pa.concat_arrays(values)

    def encode(self, request: ListRequest, leads: pa.Table) -> bytes:
        """Encode the body of `POST /lead-lists`.

        All three options always stand in it: left out, they may spend credits (every documented answer to a request
        without them says true). Null fields are left out; a member of `extra` that is named like one of the five lead
        fields is left out too, also where the field is null.

        Args:
            request: What the list is.
            leads: As `Service.encode` says; columns beyond those are not read.

        Raises:
            ValueError: `extra` of some lead is not a JSON object: a fault of ours.
        """
        create = _CreateList(
            name=request.name,
            shared=request.shared,
            visible=request.visible,
            owner=request.owner,
            list_type=request.list_type,
            options=_Options(request.reveal_phone_numbers, request.validate_email, request.enrich),
            leads=_entries(leads),
        )
        return msgspec.json.encode(create)

    def send(self, body: bytes) -> Outcome:
        """Send one list with `POST /lead-lists`, once, on a fresh connection, under the call's deadline.

        A 429 is `NotSent`: that it comes before any effect is *not documented*. Never retries, never raises for what
        the network or the API does.
        """
        reply = self._calls.write("/lead-lists", body)
        match reply:
            case NotSent() | Unknown():
                return reply
            case Answer():
                return outcome_of(reply, body)
            case _:
                assert_never(reply)

    def confirm(self, marker: str) -> Confirmation:
        """Walk `GET /lead-lists` and look for `[marker]` in the names.

        Every page is read, at most 2,000 of them, also after a match, since `Found` claims to name all. Anything less
        is `CannotAsk`: a call that keeps failing, rows without a name, a link that leads elsewhere, pages that repeat.
        """
        confirmation = self._look_for(marker, "page[size]=100")
        if isinstance(confirmation, CannotAsk) and confirmation.http_status in {400, 422}:
            return self._look_for(marker, "")  # the largest page size is not documented
        return confirmation

    def list_state(self, list_id: str) -> ListState | CannotAsk:
        """Ask `GET /lead-lists/{id}` where the life of a list stands; the first entries, which come along, are dropped.

        `Retry-After` comes with the answer while there is something to wait for (guides/lead-lists); its form is *not
        documented*, so both that HTTP knows are read.
        """
        answer = self._calls.read(f"/lead-lists/{list_id}", endpoint=_LIST)
        if isinstance(answer, CannotAsk):
            return answer
        page = decoded_as(answer, _EntryPage)
        if isinstance(page, CannotAsk):
            return page
        if page.id.lower() != list_id.lower():
            return CannotAsk("unreadable_answer", answer.http_status)
        return page.state(answer.retry_after_s)

    def entries(self, list_id: str) -> Iterator[EntryPage | CannotAsk]:
        """Read all pages of `GET /lead-lists/{id}`, as large as the server makes them (100 entries, by the guide)."""
        for page in self._pages(f"/lead-lists/{list_id}", "", _EntryPage):
            if isinstance(page, CannotAsk):
                yield page
                return
            try:
                entries = entry_table(page.rows or ())
            except ValueError:
                yield CannotAsk("unreadable_answer", 200)
                return
            if page.id.lower() != list_id.lower():
                yield CannotAsk("unreadable_answer", 200)
                return
            yield EntryPage(page.state(), entries)

    def close(self) -> None:
        """Give connections back."""
        self._calls.close()

    def _raise_for(self, failure: CannotAsk, question: str) -> NoReturn:
        status = failure.http_status
        if status in {401, 403}:
            raise RefusedByApi(f"Amplemarket does not accept the key (HTTP {status}): {self._calls.key_advice}")
        if status in {404, 405} or failure.reason == "redirected":
            raise ApiUnreachable(f"base_url is not the address of Amplemarket's API (HTTP {status}): check it")
        seen = seen_text(failure)
        if failure.reason == "refused":
            raise RefusedByApi(f"Amplemarket refused to say {question} ({seen})")
        raise ApiUnreachable(
            f"Amplemarket could not be asked {question} ({seen}): check base_url and the network, run again"
        )

    def _look_for(self, marker: str, query: str) -> Confirmation:
        found: dict[str, str | None] = {}
        for page in self._pages("/lead-lists", query, _ListPage):
            if isinstance(page, CannotAsk):
                return page
            for row in page.rows:
                if row.name is None or f"[{marker}]" not in row.name:
                    continue
                if safe_id(row.id) is None:
                    return CannotAsk("unreadable_answer", 200)
                found[row.id] = safe_url(row.url)
        return Found(tuple(found), tuple(found.values())) if found else Absent()

    def _pages(self, path: str, query: str, page_type: type[_AnyPage]) -> Iterator[_AnyPage | CannotAsk]:
        """Yield page after page; a `CannotAsk` is the last thing yielded, and without one every page was read."""
        queries, ids = {query}, set[str]()
        for _ in range(MAX_PAGES):
            page = self._page(path, query, page_type)
            if isinstance(page, CannotAsk):
                yield page
                return
            following = _following(page, path, queries, ids)
            if isinstance(following, CannotAsk):
                yield following
                return
            yield page
            if following is None:
                return
            query = following
        yield CannotAsk("listing_too_long")

    def _page(self, path: str, query: str, page_type: type[_AnyPage]) -> _AnyPage | CannotAsk:
        answer = self._calls.read(path, query, endpoint=_LIST if path.startswith("/lead-lists/") else path)
        return answer if isinstance(answer, CannotAsk) else decoded_as(answer, page_type)


# --- Bodies -----------------------------------------------------------------------------------------------------------


def _entries(leads: pa.Table) -> list[Any]:
    entries: list[Any] = list(map(_Lead, *(leads.column(name).to_pylist() for name in LEAD_FIELDS)))
    extra = leads.column("extra")
    if extra.null_count == len(entries):
        return entries
    return [
        entry if text is None else _with_extra(entry, text)
        for entry, text in zip(entries, extra.to_pylist(), strict=True)
    ]


def _with_extra(lead: _Lead, text: str) -> dict[str, Any]:
    try:
        members = _extra_decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("the extra members of a lead are not a JSON object") from None
    entry: dict[str, Any] = {name: value for name in LEAD_FIELDS if (value := getattr(lead, name)) is not None}
    entry.update((name, value) for name, value in members.items() if name not in _LEAD_FIELD_NAMES)
    return entry


def _following(page: _Page, path: str, queries: set[str], ids: set[str]) -> str | CannotAsk | None:
    """The query of the next page, None after the last one; notes what was seen in `queries` and `ids`."""
    page_ids = page.ids()
    if page_ids and page_ids <= ids:
        return CannotAsk("listing_repeats")
    ids |= page_ids
    if page.links is None or page.links.following is None:
        return None
    query = next_query(page.links.following.href, path)
    if query is None:
        return CannotAsk("link_refused")
    if query in queries:
        return CannotAsk("listing_repeats")
    queries.add(query)
    return query


def _raise_for_exclusions(failure: CannotAsk, path: str) -> NoReturn:
    message = f"the account's exclusion lists cannot be read (GET {path}: {seen_text(failure)})"
    raise RefusedByApi(message) if failure.reason == "refused" else ApiUnreachable(message)
