"""The switches of the Amplemarket API: the type, the default, and one sentence on what each does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from target_amplemarket.sandbox.common import RetryAfter, switch

ErrorBody = Literal["envelope", "text", "empty"]


def _unfit_user(users: tuple[str, ...]) -> str | None:
    for user in users:
        if not 1 <= len(user.split(":")) <= 3 or "@" not in user.partition(":")[0]:
            return f"{user!r} is not email[:status[:role]]"
    return None


@dataclass(frozen=True)
class AmplemarketSwitches:
    """How the sandbox answers as Amplemarket."""

    """How the sandbox answers. Made by `switches_from` where values come from outside, which also checks them."""

    # The account.
    api_key: str | None = switch(
        None, "The one accepted bearer key; without it any key that is not empty is.", is_secret=True
    )
    account_name: str = switch("Northwind", "Name of the account that the key belongs to.")
    users: tuple[str, ...] = switch(
        (
            "dana@northwind.example:active:admin",
            "lee@northwind.example",
            "priya@northwind.example",
            "tomas@northwind.example",
            "yemi@northwind.example",
            "kim@northwind.example:inactive",
        ),
        "Users of the account, each as email[:status[:role]].",
        check=_unfit_user,
    )
    inactive_owner_ok: bool = switch(False, "Let an inactive user own a list.")
    owner_ignores_case: bool = switch(True, "Find an owner whatever the letter case of the e-mail.")
    dashboard_url: str = switch("https://app.amplemarket.com", "Start of the dashboard address in a list's url.")

    # Credits.
    email_credits: float = switch(1_000_000.0, "E-mail credits of the account.", at_least=0)
    phone_credits: float = switch(100_000.0, "Phone credits of the account.", at_least=0)
    price_person_found: float = switch(0.5, "E-mail credits for a person found by enrichment.", at_least=0)
    price_email_revealed: float = switch(1.0, "E-mail credits for an e-mail found by enrichment.", at_least=0)
    price_email_validated: float = switch(1.0, "E-mail credits for an e-mail validated.", at_least=0)
    price_phone_revealed: float = switch(1.0, "Phone credits for a person whose phone number is revealed.", at_least=0)
    credit_check: Literal["upfront", "later"] = switch(
        "upfront",
        "upfront: 402 when the worst case exceeds the balance; later: accept, and stop enriching when it is used up.",
    )

    # Life of a list.
    queued_seconds: float = switch(1.0, "Seconds that a list stays queued.", at_least=0)
    processing_seconds: float = switch(2.0, "Seconds that a list then stays processing.", at_least=0)
    canceled_percent: float = switch(
        0.0, "Share of lists that end canceled instead of completed.", at_least=0, at_most=100
    )
    found_percent: float = switch(90.0, "Share of leads that enrichment finds.", at_least=0, at_most=100)
    phone_percent: float = switch(40.0, "Share of found leads with a phone number.", at_least=0, at_most=100)
    deliverable_percent: float = switch(80.0, "Share of validated e-mails found deliverable.", at_least=0, at_most=100)
    entries_while_open: Literal["all", "none"] = switch("all", "Entries shown before a list is completed.")
    entry_order: Literal["sent", "mixed"] = switch("sent", "Order of a list's entries: as they were sent, or mixed.")
    data_holds: Literal["extras", "all", "nothing"] = switch("extras", "Which lead members an entry's data repeats.")
    poll_retry_after: RetryAfter = switch("seconds", "Form of Retry-After on a list that is not completed.")
    poll_retry_after_seconds: int = switch(1, "Value of that Retry-After.", at_least=0)
    poll_retry_after_completed: bool = switch(False, "Send it on completed lists too.")

    # Creating a list.
    leads_per_call: int = switch(10_000, "Most leads in one call.", at_least=1)
    leads_per_list: int = switch(60_000, "Most leads in one list.", at_least=1)
    empty_leads_ok: bool = switch(True, "Accept a create call with no leads.")
    unknown_members: Literal["reject", "ignore"] = switch("reject", "What becomes of undeclared top-level members.")
    errors_told: Literal["first", "all"] = switch("first", "How many problems of a request are told (all: up to 100).")
    visible_default: bool = switch(False, "Value of visible when a request leaves it out.")
    reveal_phone_numbers_default: bool = switch(False, "Value of that option when a request leaves it out.")
    validate_email_default: bool = switch(True, "Value of that option when a request leaves it out.")
    enrich_default: bool = switch(True, "Value of that option when a request leaves it out.")
    name_limit: int | None = switch(None, "Longest list name in characters; longer is refused.", at_least=1)
    linkedin_url_rule: Literal["profile", "lenient", "any"] = switch(
        "profile",
        "profile: http(s)://[sub.]linkedin.com/in/<slug>; lenient: also no scheme, /pub/, /sales/; any: any text.",
    )
    email_rule: Literal["form", "any"] = switch("form", "form: an e-mail must look like one; any: any text.")
    email_checked_on: Literal["every_type", "email"] = switch(
        "every_type", "List types whose leads' e-mails are checked, where they are not what the type needs."
    )
    company_needs: Literal["either", "domain", "name"] = switch(
        "either", "Company member that a titles_and_company lead must carry."
    )
    extra_text_limit: int | None = switch(
        None, "Longest text of an undeclared lead member; longer is refused.", at_least=0
    )
    extras_flat: bool = switch(False, "Refuse undeclared lead members that are objects or arrays.")
    duplicates: Literal["keep", "drop", "reject"] = switch(
        "keep", "The same lead twice: keep both, drop the later within a list, or reject the call."
    )
    exclusions_drop_leads: bool = switch(False, "Drop leads on the exclusion lists instead of keeping them.")

    # Adding to a list.
    add_status: Literal["200", "202", "204"] = switch("202", "Status of a successful addition.")
    add_body: Literal["lead_list", "counts", "empty"] = switch("lead_list", "Body of a successful addition.")
    add_other_type: Literal["reject", "accept"] = switch("reject", "An addition whose type differs from the list's.")
    add_while_open: bool = switch(True, "Accept additions to a list that is not completed (else 409).")
    add_reopens: bool = switch(True, "An addition sends a completed list back to processing.")
    full_code: str = switch("lead_list_full", "Error code of the 409 of a full list.")

    # Listing and reading.
    list_order: Literal["newest", "oldest"] = switch("newest", "Order of GET /lead-lists.")
    list_page_size: int = switch(20, "Default page size of GET /lead-lists.", at_least=1)
    entry_page_size: int = switch(100, "Default page size of a list's entries.", at_least=1)
    user_page_size: int = switch(20, "Default page size of GET /users.", at_least=1)
    page_size_limit: int = switch(100, "Largest page[size].", at_least=1)
    page_size_over_limit: Literal["reject", "clamp"] = switch(
        "reject", "A larger page[size]: 400, or cut to the limit."
    )
    list_rows: Literal["short", "full"] = switch("short", "Rows of GET /lead-lists: short, or the whole object.")
    list_wrapped: bool = switch(False, "Answer single lists inside a lead_list member.")
    unknown_parameters: Literal["ignore", "reject"] = switch(
        "ignore", "What becomes of query parameters that the endpoint does not know."
    )
    exclusion_page_size: int = switch(2000, "Default page size of the exclusion lists.", at_least=1)
    exclusions_per_call: int | None = switch(None, "Most rows in one call on an exclusion list.", at_least=1)
    exclusion_status_member: str = switch("status", "Name of the member with each row's outcome.")
    exclusion_reasons: bool = switch(False, "Add the newer excluded_reasons list to exclusion rows.")

    # Refusals whose form is not documented.
    unauthorized_status: Literal["401", "403"] = switch("401", "Status for a missing or wrong key.")
    unauthorized_body: ErrorBody = switch("envelope", "Body of that answer.")
    unauthorized_code: str = switch("unauthorized", "Error code of that answer.")
    not_found_code: str = switch("not_found", "Error code of a 404.")

    # Rate limit.
    requests_per_minute: int = switch(500, "Requests a minute before 429; 0 for no limit.", at_least=0)
    rate_limit_body: ErrorBody = switch("envelope", "Body of a 429.")
    rate_limit_code: str = switch("rate_limit_exceeded", "Error code of a 429.")
