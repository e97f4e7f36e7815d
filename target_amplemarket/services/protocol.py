"""What a lead list delivery needs of an outreach API, and the four things that can come of a send.

One more API is one more module beside this one that implements `Service`, and one line in `config.SERVICES`; see
docs/explanation/services.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

import pyarrow as pa

from target_amplemarket.config import Settings
from target_amplemarket.leads.intake import Intake

if TYPE_CHECKING:
    from target_amplemarket.services.calls import Surroundings


class RefusalKind(StrEnum):
    """What a refusal is about, and so what the sender does next."""

    LEADS = "leads"  # named leads are at fault: evict them, send the rest
    REQUEST = "request"  # something is at fault, nobody says which lead: bisect
    TOO_LARGE = "too_large"  # 409, 413: split the list
    CREDENTIALS = "credentials"  # 401, 403: stop the run
    OWNER = "owner"  # the owner is not a user of the account: stop the run
    CREDITS = "credits"  # 402: stop sending
    ADDRESS = "address"  # 3xx, 404 and other answers that no lead can be the reason of: stop the run


@dataclass(frozen=True, slots=True)
class LeadRefusal:
    """One lead that the API named as a reason for refusing the whole request."""

    position: int  # 0-based index in the request that was refused
    code: str  # the API's own error code
    pointer: str  # the API's own pointer, RFC 6901
    field: str | None  # lead field at fault, if named


@dataclass(frozen=True, slots=True)
class Accepted:
    """2xx with a list id: the leads are in the account, or as many of them as the answer counts."""

    list_id: str
    url: str | None
    http_status: int | None  # None where the list was found by asking
    added_count: int | None = None  # None where the answer does not count: then all were taken


@dataclass(frozen=True, slots=True)
class Refused:
    """The API said no; nothing was created.

    Attributes:
        kind: What it is about.
        http_status: Of the answer.
        code: The API's own, of a safe form.
        pointer: The API's own, of a safe form; for result rows, not for messages.
        leads: The leads that it named.
        setting: Of ours, that the part of the request at fault comes from.
    """

    kind: RefusalKind
    http_status: int
    code: str | None = None
    pointer: str | None = None
    leads: tuple[LeadRefusal, ...] = ()
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly nothing was created: failed before the first byte left, or 429."""

    reason: str  # stable word: connect_failed, connect_timed_out, rate_limited
    retry_after_s: float | None = None
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can tell from the answer whether the list was created: time-out, reset, 5xx, unreadable answer."""

    reason: str  # stable word: timed_out, connection_lost, server_fault, unreadable_answer
    http_status: int | None = None


Outcome = Accepted | Refused | NotSent | Unknown


@dataclass(frozen=True, slots=True)
class Found:
    """The account holds exactly the lists named here that carry the marker.

    Attributes:
        list_ids: Of the lists.
        urls: Where people can look at them.
        places: Where the list was read back: for each lead the position of its entry, or None.
        twins: Likewise for each lead without an entry: that of somebody else with the same e-mail, or None.
        repeated_count: Leads that have more than one entry.
        entry_count: Where the list was read back: all its entries, whosever they are.
    """

    list_ids: tuple[str, ...]
    urls: tuple[str | None, ...]
    places: tuple[int | None, ...] | None = None
    twins: tuple[int | None, ...] | None = None
    repeated_count: int = 0
    entry_count: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every lead is there, as far as was asked."""
        return self.places is None or None not in self.places


@dataclass(frozen=True, slots=True)
class Absent:
    """Every page was read and no list carries the marker."""


@dataclass(frozen=True, slots=True)
class CannotAsk:
    """The listing failed or cannot be trusted."""

    reason: str  # stable word
    http_status: int | None = None


Confirmation = Found | Absent | CannotAsk


@dataclass(frozen=True, slots=True)
class Account:
    """Whose key it is."""

    account_id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Whom the account says not to contact, as it writes them."""

    emails: pa.StringArray
    domains: pa.StringArray


@dataclass(frozen=True, slots=True)
class ListState:
    """Where the life of a list stands."""

    status: str  # the API's own word: queued, processing, completed, canceled; any other means not ended yet
    owner: str | None
    retry_after_s: float | None = None  # when the API wants to be asked again, where it says so


@dataclass(frozen=True, slots=True)
class EntryPage:
    """A page of a list's entries."""

    state: ListState
    entries: pa.Table  # schema `services.entries.ENTRIES`


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What a lead list is, beside its leads."""

    name: str  # ends in the marker
    owner: str  # e-mail of a user of the account
    list_type: str  # linkedin, email, titles_and_company
    shared: bool
    visible: bool
    enrich: bool
    validate_email: bool
    reveal_phone_numbers: bool


class Service(Protocol):
    """One outreach API: containers for leads, a way to fill them, a way to ask whether they arrived."""

    name: str
    max_leads_per_list: int
    max_leads_per_call: int
    """More leads than this are sent in several calls of the same list, which `adds_to_lists` must allow."""
    adds_to_lists: bool
    """Whether a call adds its leads to the list of that name and makes it if need be; else each call makes a list."""
    has_owners: bool
    """Whether lists have an owner who can be chosen."""
    has_exclusions: bool
    """Whether the account can be asked whom not to contact."""

    @classmethod
    def intake(cls, settings: Settings) -> Intake:
        """What it takes of records; asks nothing.

        Raises:
            SettingsError: The settings ask for what this service does not have.
        """
        ...

    @classmethod
    def open(cls, settings: Settings, given: Surroundings) -> Self:
        """The client for these settings.

        Raises:
            SettingsError: No call could be made with them.
        """
        ...

    @property
    def base_url(self) -> str:
        """Address that calls go to."""
        ...

    @property
    def requests(self) -> Mapping[str, int]:
        """Calls made so far, by method and path."""
        ...

    def account(self) -> Account:
        """Ask whose key it is; spends nothing.

        Raises:
            RefusedByApi: The key is not accepted.
            ApiUnreachable: No answer after a few tries.
        """
        ...

    def owners(self) -> Collection[str]:
        """E-mails, lower case, of all users of the account that can own a list.

        Raises:
            RefusedByApi: The key is not accepted.
            ApiUnreachable: No answer after a few tries.
        """
        ...

    def exclusions(self) -> Exclusions:
        """The account's exclusion lists, all of them or none.

        Raises:
            RefusedByApi: The API does not show them.
            ApiUnreachable: No answer after a few tries, or pages that cannot be read to their end.
        """
        ...

    def encode(self, request: ListRequest, leads: pa.Table) -> bytes:
        """Encode the body of the create call.

        Args:
            request: What the list is.
            leads: Schema `leads.tables.LEADS`, one row a lead, in the order in which they are to stand in the request;
                at most `max_leads_per_call`.
        """
        ...

    def send(self, body: bytes) -> Outcome:
        """Send what `encode` made, once, each call on a fresh connection under a total deadline.

        Never repeats what may have had an effect, never raises for what the network or the API does. What needs
        several calls is one outcome: `NotSent` only if certainly no lead was added, `Unknown` if one may have been.
        """
        ...

    def confirm(self, marker: str) -> Confirmation:
        """Ask whether a list whose name carries `marker` is in the account (all pages, bounded).

        Where `adds_to_lists`, a list that is found may lack leads: `entries` tells which it holds.
        """
        ...

    def list_state(self, list_id: str) -> ListState | CannotAsk:
        """Ask where the life of a list stands; a list that is not there is `CannotAsk` with status 404."""
        ...

    def entries(self, list_id: str) -> Iterator[EntryPage | CannotAsk]:
        """Read a list's entries; a `CannotAsk` is the last thing yielded, and without one every page was read."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
