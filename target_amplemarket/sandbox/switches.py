"""Every switch of the sandbox: its type, its default, and one sentence on what it does.

A default is what the API's description says; where the description is silent, the sentence names the choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from target_amplemarket.sandbox.faults import Fault

RetryAfter = Literal["seconds", "date", "none"]
ErrorBody = Literal["envelope", "text", "empty"]


def _switch(default: Any, says: str, *, at_least: float | None = None, at_most: float | None = None) -> Any:
    """Declare a switch with its sentence and bounds, for the command line and for `switches_from`."""
    return field(default=default, metadata={"help": says, "at_least": at_least, "at_most": at_most})


@dataclass(frozen=True)
class Switches:
    """How the sandbox answers. Made by `switches_from` where values come from outside, which also checks them."""

    # The account.
    seed: int = _switch(1, "Seed of everything made up: ids, enrichment, chances.")
    api_key: str | None = _switch(None, "The one accepted bearer key; without it any key that is not empty is.")
    account_name: str = _switch("Northwind", "Name of the account that the key belongs to.")
    users: tuple[str, ...] = _switch(
        (
            "dana@northwind.example:active:admin",
            "lee@northwind.example",
            "priya@northwind.example",
            "tomas@northwind.example",
            "yemi@northwind.example",
            "kim@northwind.example:inactive",
        ),
        "Users of the account, each as email[:status[:role]].",
    )
    inactive_owner_ok: bool = _switch(False, "Let an inactive user own a list.")
    owner_ignores_case: bool = _switch(True, "Find an owner whatever the letter case of the e-mail.")
    dashboard_url: str = _switch("https://app.amplemarket.com", "Start of the dashboard address in a list's url.")

    # Credits.
    email_credits: float = _switch(1_000_000.0, "E-mail credits of the account.", at_least=0)
    phone_credits: float = _switch(100_000.0, "Phone credits of the account.", at_least=0)
    price_person_found: float = _switch(0.5, "E-mail credits for a person found by enrichment.", at_least=0)
    price_email_revealed: float = _switch(1.0, "E-mail credits for an e-mail found by enrichment.", at_least=0)
    price_email_validated: float = _switch(1.0, "E-mail credits for an e-mail validated.", at_least=0)
    price_phone_revealed: float = _switch(1.0, "Phone credits for a person whose phone number is revealed.", at_least=0)
    credit_check: Literal["upfront", "later"] = _switch(
        "upfront",
        "upfront: 402 when the worst case exceeds the balance; later: accept, and stop enriching when it is used up.",
    )

    # Life of a list.
    queued_seconds: float = _switch(1.0, "Seconds that a list stays queued.", at_least=0)
    processing_seconds: float = _switch(2.0, "Seconds that a list then stays processing.", at_least=0)
    canceled_percent: float = _switch(
        0.0, "Share of lists that end canceled instead of completed.", at_least=0, at_most=100
    )
    found_percent: float = _switch(90.0, "Share of leads that enrichment finds.", at_least=0, at_most=100)
    phone_percent: float = _switch(40.0, "Share of found leads with a phone number.", at_least=0, at_most=100)
    deliverable_percent: float = _switch(80.0, "Share of validated e-mails found deliverable.", at_least=0, at_most=100)
    entries_while_open: Literal["all", "none"] = _switch("all", "Entries shown before a list is completed.")
    entry_order: Literal["sent", "mixed"] = _switch("sent", "Order of a list's entries: as they were sent, or mixed.")
    data_holds: Literal["extras", "all", "nothing"] = _switch("extras", "Which lead members an entry's data repeats.")
    poll_retry_after: RetryAfter = _switch("seconds", "Form of Retry-After on a list that is not completed.")
    poll_retry_after_seconds: int = _switch(1, "Value of that Retry-After.", at_least=0)
    poll_retry_after_completed: bool = _switch(False, "Send it on completed lists too.")

    # Creating a list.
    leads_per_call: int = _switch(10_000, "Most leads in one call.", at_least=1)
    leads_per_list: int = _switch(60_000, "Most leads in one list.", at_least=1)
    empty_leads_ok: bool = _switch(True, "Accept a create call with no leads.")
    unknown_members: Literal["reject", "ignore"] = _switch("reject", "What becomes of undeclared top-level members.")
    errors_told: Literal["first", "all"] = _switch("first", "How many problems of a request are told (all: up to 100).")
    visible_default: bool = _switch(False, "Value of visible when a request leaves it out.")
    reveal_phone_numbers_default: bool = _switch(False, "Value of that option when a request leaves it out.")
    validate_email_default: bool = _switch(True, "Value of that option when a request leaves it out.")
    enrich_default: bool = _switch(True, "Value of that option when a request leaves it out.")
    name_limit: int | None = _switch(None, "Longest list name in characters; longer is refused.", at_least=1)
    linkedin_url_rule: Literal["profile", "lenient", "any"] = _switch(
        "profile",
        "profile: http(s)://[sub.]linkedin.com/in/<slug>; lenient: also no scheme, /pub/, /sales/; any: any text.",
    )
    email_rule: Literal["form", "any"] = _switch("form", "form: an e-mail must look like one; any: any text.")
    email_checked_on: Literal["every_type", "email"] = _switch(
        "every_type", "List types whose leads' e-mails are checked, where they are not what the type needs."
    )
    company_needs: Literal["either", "domain", "name"] = _switch(
        "either", "Company member that a titles_and_company lead must carry."
    )
    extra_text_limit: int | None = _switch(
        None, "Longest text of an undeclared lead member; longer is refused.", at_least=0
    )
    extras_flat: bool = _switch(False, "Refuse undeclared lead members that are objects or arrays.")
    duplicates: Literal["keep", "drop", "reject"] = _switch(
        "keep", "The same lead twice: keep both, drop the later within a list, or reject the call."
    )
    exclusions_drop_leads: bool = _switch(False, "Drop leads on the exclusion lists instead of keeping them.")
    body_limit_bytes: int | None = _switch(None, "Largest request body; a larger one is answered 413.", at_least=1)

    # Adding to a list.
    add_status: Literal["200", "202", "204"] = _switch("202", "Status of a successful addition.")
    add_body: Literal["lead_list", "counts", "empty"] = _switch("lead_list", "Body of a successful addition.")
    add_other_type: Literal["reject", "accept"] = _switch("reject", "An addition whose type differs from the list's.")
    add_while_open: bool = _switch(True, "Accept additions to a list that is not completed (else 409).")
    add_reopens: bool = _switch(True, "An addition sends a completed list back to processing.")
    full_code: str = _switch("lead_list_full", "Error code of the 409 of a full list.")

    # Listing and reading.
    list_order: Literal["newest", "oldest"] = _switch("newest", "Order of GET /lead-lists.")
    list_page_size: int = _switch(20, "Default page size of GET /lead-lists.", at_least=1)
    entry_page_size: int = _switch(100, "Default page size of a list's entries.", at_least=1)
    user_page_size: int = _switch(20, "Default page size of GET /users.", at_least=1)
    page_size_limit: int = _switch(100, "Largest page[size].", at_least=1)
    page_size_over_limit: Literal["reject", "clamp"] = _switch(
        "reject", "A larger page[size]: 400, or cut to the limit."
    )
    list_rows: Literal["short", "full"] = _switch("short", "Rows of GET /lead-lists: short, or the whole object.")
    list_wrapped: bool = _switch(False, "Answer single lists inside a lead_list member.")
    unknown_parameters: Literal["ignore", "reject"] = _switch(
        "ignore", "What becomes of query parameters that the endpoint does not know."
    )
    exclusion_page_size: int = _switch(2000, "Default page size of the exclusion lists.", at_least=1)
    exclusions_per_call: int | None = _switch(None, "Most rows in one call on an exclusion list.", at_least=1)
    exclusion_status_member: str = _switch("status", "Name of the member with each row's outcome.")
    exclusion_reasons: bool = _switch(False, "Add the newer excluded_reasons list to exclusion rows.")

    # Refusals whose form is not documented.
    unauthorized_status: Literal["401", "403"] = _switch("401", "Status for a missing or wrong key.")
    unauthorized_body: ErrorBody = _switch("envelope", "Body of that answer.")
    unauthorized_code: str = _switch("unauthorized", "Error code of that answer.")
    not_found_code: str = _switch("not_found", "Error code of a 404.")

    # Rate limit.
    requests_per_minute: int = _switch(500, "Requests a minute before 429; 0 for no limit.", at_least=0)
    rate_window: Literal["sliding", "fixed"] = _switch("sliding", "How the minute is counted.")
    rate_counts: Literal["key", "account"] = _switch("key", "Who shares the limit: one key, or the whole account.")
    rate_limit_body: ErrorBody = _switch("envelope", "Body of a 429.")
    rate_limit_code: str = _switch("rate_limit_exceeded", "Error code of a 429.")
    rate_limit_retry_after: RetryAfter = _switch("seconds", "Form of Retry-After on a 429.")
    rate_limit_headers: bool = _switch(False, "Send X-RateLimit-Limit, -Remaining and -Reset.")

    # Delivery.
    media_type: str = _switch("application/json", "Content-Type of answers.")
    latency_ms: float = _switch(0.0, "Milliseconds that every call waits before it is looked at.", at_least=0)
    latency_jitter_ms: float = _switch(0.0, "Up to this many milliseconds more, drawn from the seed.", at_least=0)
    faults: tuple[Fault, ...] = _switch((), "Faults on purpose, each as kind[:name=value,...].")
    requests_kept: int = _switch(10_000, "How many requests the log remembers.", at_least=1)
