"""One function per endpoint: from a request and the account to an answer, or to a commit that is still to be made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from target_amplemarket.sandbox.account import Account
from target_amplemarket.sandbox.answers import entry_object, error_answer, list_object, user_object, wrapped
from target_amplemarket.sandbox.enrichment import worst_price
from target_amplemarket.sandbox.exchange import Answer, Ask, Committed, Pending, json_answer, retry_after
from target_amplemarket.sandbox.ids import draw, uuid7
from target_amplemarket.sandbox.lead_list import OPEN, LeadList
from target_amplemarket.sandbox.paging import links, page_of, read_page_query
from target_amplemarket.sandbox.problems import Problem
from target_amplemarket.sandbox.validation import AddRequest, CreateRequest, Options, read_add, read_create

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches


def account_info(account: Account, _: Ask) -> Answer:
    """`GET /account-info`."""
    seed = account.switches.seed
    account_id = uuid7(1_700_000_000_000, 0, int.from_bytes(draw(seed, "account")[:8], "big"))
    return json_answer(200, {"id": account_id, "name": account.switches.account_name})


def list_users(account: Account, ask: Ask) -> Answer:
    """`GET /users`."""
    switches = account.switches
    query = read_page_query(ask.query, switches.user_page_size, switches)
    if isinstance(query, Problem):
        return error_answer(400, [query])
    filters = {name: ask.query[name] for name in ("status", "role", "email") if name in ask.query}
    users = [user for user in account.users if all(getattr(user, name) == text for name, text in filters.items())]
    ids = [user.id for user in users]
    page = page_of(ids, query)
    rows = [user_object(users[at]) for at in page.positions]
    return json_answer(200, {"users": rows, "_links": links("/users", ids, page, query, filters)})


def create_list(account: Account, ask: Ask) -> Answer | Pending:
    """`POST /lead-lists`."""
    request = read_create(ask.body, account.switches, lambda email: account.owner(email) is not None)
    if not isinstance(request, CreateRequest):
        return error_answer(400, request)
    if short := _short_of_credits(account, request.options, len(request.leads.raw)):
        return short

    def commit(now_s: float) -> Committed:
        lead_list = account.create(request, now_s, ask.number)
        document = list_object(lead_list, now_s, account.switches)
        return Committed(json_answer(202, wrapped(document, account.switches)), lead_list.id)

    return Pending(commit)


def add_leads(account: Account, ask: Ask) -> Answer | Pending:
    """`POST /lead-lists/{id}/leads`."""
    lead_list = account.lead_lists.get(ask.params["id"].lower())
    if lead_list is None:
        return not_found(account)
    request = read_add(ask.body, account.switches, lead_list.type)
    if not isinstance(request, AddRequest):
        return error_answer(400, request)
    if refused := _cannot_take(account, lead_list):
        return refused
    fitting = min(len(request.leads.raw), account.switches.leads_per_list - lead_list.lead_count)
    if short := _short_of_credits(account, lead_list.options, fitting):
        return short

    return _addition(account, lead_list, request, ask.number)


def _addition(account: Account, lead_list: LeadList, request: AddRequest, request_number: int) -> Pending:
    sent_count = len(request.leads.raw)

    def commit(now_s: float) -> Committed:
        added = account.add(lead_list, request, now_s, request_number)
        return Committed(_added_answer(account, lead_list, added, sent_count, now_s), lead_list.id)

    def part(share: float) -> Pending:
        kept = AddRequest(request.type, request.leads.keep(list(range(int(sent_count * share)))))
        return _addition(account, lead_list, kept, request_number)

    return Pending(commit, part)


def read_list(account: Account, ask: Ask) -> Answer:
    """`GET /lead-lists/{id}`."""
    switches = account.switches
    lead_list = account.lead_lists.get(ask.params["id"].lower())
    if lead_list is None:
        return not_found(account)
    query = read_page_query(ask.query, switches.entry_page_size, switches)
    if isinstance(query, Problem):
        return error_answer(400, [query])
    now_s = account.now_s()
    status = lead_list.status(now_s, switches)
    ids = lead_list.entry_ids if status not in OPEN or switches.entries_while_open == "all" else []
    page = page_of(ids, query)
    leads = _leads_of(lead_list, page.positions, switches)
    entries = [
        entry_object(ids[at], lead, lead_list, switches, is_enriched=is_paid and status == "completed")
        for at, (lead, is_paid) in zip(page.positions, leads, strict=True)
    ]
    document = list_object(
        lead_list, now_s, switches, entries, links(f"/lead-lists/{lead_list.id}", ids, page, query, {})
    )
    headers: dict[str, str] = {}
    if status in OPEN or switches.poll_retry_after_completed:
        headers = retry_after(switches.poll_retry_after, switches.poll_retry_after_seconds, now_s)
    return json_answer(200, wrapped(document, switches), headers)


def _leads_of(lead_list: LeadList, positions: Sequence[int], switches: Switches) -> list[tuple[dict[str, Any], bool]]:
    """The leads of a page's entries, each with whether credits were spent on it."""
    count = lead_list.lead_count
    if switches.entry_order == "mixed":  # backwards, so that no page holds what was sent at its place
        return [lead for at in positions for lead in lead_list.leads_at(count - 1 - at, count - at)]
    start = positions[0] if positions else 0
    return lead_list.leads_at(start, start + len(positions))


def not_found(account: Account) -> Answer:
    """A 404 in the envelope."""
    return account.error(404, "The requested resource does not exist.")


def _short_of_credits(account: Account, options: Options, lead_count: int) -> Answer | None:
    if account.switches.credit_check == "later":
        return None
    if worst_price(lead_count, options, account.switches).fits(account.balance):
        return None
    detail = "You do not have enough credits to perform this operation."
    return error_answer(402, [Problem("insufficient_credits", detail)])


def _cannot_take(account: Account, lead_list: LeadList) -> Answer | None:
    switches = account.switches
    if lead_list.lead_count >= switches.leads_per_list:
        detail = f"The lead list holds {switches.leads_per_list:,} leads already."
        return error_answer(409, [Problem(switches.full_code, detail)])
    if not switches.add_while_open and lead_list.status(account.now_s(), switches) in OPEN:
        return error_answer(409, [Problem("lead_list_not_completed", "The lead list is not completed yet.")])
    return None


def _added_answer(account: Account, lead_list: LeadList, added: int, sent: int, now_s: float) -> Answer:
    switches = account.switches
    status = int(switches.add_status)
    if switches.add_body == "empty" or status == 204:
        return Answer(status)
    if switches.add_body == "counts":
        return json_answer(status, {"total": sent, "total_added_to_lead_list": added})
    return json_answer(status, wrapped(list_object(lead_list, now_s, switches), switches))
