"""An Amplemarket account in memory: users, lists, exclusions, credits, and what happened to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_amplemarket.sandbox.api import Api
from target_amplemarket.sandbox.enrichment import Price, enrich
from target_amplemarket.sandbox.ids import IdMaker, draw, uuid7
from target_amplemarket.sandbox.journal import Commit
from target_amplemarket.sandbox.lead_list import OPEN, LeadList, Segment, User
from target_amplemarket.sandbox.lead_rules import identity
from target_amplemarket.sandbox.store import LeadStore
from target_amplemarket.sandbox.validation import AddRequest, CreateRequest, Leads, Options

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches
    from target_amplemarket.sandbox.world import World


@dataclass(frozen=True)
class Exclusion:
    """One domain or e-mail on an exclusion list."""

    id: str
    value: str
    added_s: float


@dataclass(frozen=True, kw_only=True)
class LeadListCommit(Commit):
    """A commit with the list's own facts, and the credits that it took. `type` is the call's."""

    owner: str
    shared: bool
    visible: bool
    options: Options
    email_credits: float
    phone_credits: float


class Account(Api):
    """Everything that an account holds, and how it changes."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        switches = self.switches
        self.lead_lists: dict[str, LeadList] = {}
        self.excluded: dict[str, dict[str, Exclusion]] = {"domain": {}, "email": {}}
        self.balance = Price(switches.email_credits, switches.phone_credits)
        self.users = _users(switches)
        self._ids = IdMaker(switches.seed)

    def switched(self, names: Collection[str]) -> None:
        if {"users", "seed"} & set(names):
            self.users = _users(self.switches)
        self.balance = Price(
            self.switches.email_credits if "email_credits" in names else self.balance.email,
            self.switches.phone_credits if "phone_credits" in names else self.balance.phone,
        )

    def owner(self, email: str) -> User | None:
        """The user who may own a list under this e-mail."""
        for user in self.users:
            is_same = user.email == email or (self.switches.owner_ignores_case and user.email.lower() == email.lower())
            if is_same and (user.status == "active" or self.switches.inactive_owner_ok):
                return user
        return None

    def create(self, request: CreateRequest, now_s: float, request_number: int) -> LeadList:
        """Commit a new list."""
        owner = self.owner(request.owner) or User("", request.owner, "gone", "")
        lead_list = LeadList(
            self._ids.make(now_s), request.name, owner, request.type, request.shared, request.visible,
            request.options, now_s,
        )  # fmt: skip
        self.lead_lists[lead_list.id] = lead_list
        self._commit("create", lead_list, request.type, request.leads, now_s, request_number)
        return lead_list

    def add(self, lead_list: LeadList, request: AddRequest, now_s: float, request_number: int) -> int:
        """Commit leads to a list, as many as fit; returns how many."""
        is_open = lead_list.status(now_s, self.switches) in OPEN
        commit = self._commit("add", lead_list, request.type, request.leads, now_s, request_number)
        lead_list.changed_s = now_s
        if self.switches.add_reopens and not is_open:
            lead_list.restarted_s = now_s
        return len(commit.leads)

    def _commit(
        self, kind: str, lead_list: LeadList, lead_type: str, leads: Leads, now_s: float, request_number: int
    ) -> LeadListCommit:
        leads = leads.keep(self._kept_positions(lead_list, lead_type, leads))
        paid_count, price = self._charge(lead_list, leads)
        store = LeadStore(leads.raw)
        lead_list.segments.append(Segment(store, paid_count))
        journal = self.world.journal
        commit = LeadListCommit(
            number=journal.next_number, api=self.name, kind=kind, list_id=lead_list.id, name=lead_list.name,
            type=lead_type, at_s=now_s, request_number=request_number, leads=store, owner=lead_list.owner.email,
            shared=lead_list.shared, visible=lead_list.visible, options=lead_list.options, email_credits=price.email,
            phone_credits=price.phone,
        )  # fmt: skip
        journal.commits.append(commit)
        return commit

    def _kept_positions(self, lead_list: LeadList, lead_type: str, leads: Leads) -> list[int]:
        positions = list(range(len(leads.objects)))
        if self.switches.exclusions_drop_leads:
            positions = [at for at in positions if not self._is_excluded(leads.objects[at])]
        if self.switches.duplicates == "drop":
            seen = {identity(lead, lead_type) for segment in lead_list.segments for lead in segment.leads.all()}
            first = {identity(leads.objects[at], lead_type): at for at in reversed(positions)}
            positions = sorted(at for key, at in first.items() if key not in seen)
        return positions[: max(0, self.switches.leads_per_list - lead_list.lead_count)]

    def _is_excluded(self, lead: Mapping[str, Any]) -> bool:
        email = str(lead.get("email", "")).lower()
        domains = {str(lead.get("company_domain", "")).lower(), email.rpartition("@")[2]}
        return email in self.excluded["email"] or not domains.isdisjoint(self.excluded["domain"])

    def _charge(self, lead_list: LeadList, leads: Leads) -> tuple[int, Price]:
        """Take the credits for these leads; stops at the first lead that the balance does not cover."""
        options = lead_list.options
        spent, count = Price(), len(leads.objects)
        if options.enrich or options.validate_email or options.reveal_phone_numbers:
            for index, lead in enumerate(leads.objects):
                further = spent + enrich(lead, options, self.switches).price
                if not further.fits(self.balance):
                    count = index
                    break
                spent = further
        self.balance = Price(self.balance.email - spent.email, self.balance.phone - spent.phone)
        return count, spent

    def exclude(self, kind: str, value: str, now_s: float) -> bool:
        """Put a value on an exclusion list; False if it stood there already."""
        value = value.lower()
        if value in self.excluded[kind]:
            return False
        self.excluded[kind][value] = Exclusion(self._ids.make(now_s), value, now_s)
        return True

    def include(self, kind: str, value: str) -> bool:
        """Take a value off an exclusion list; False if it did not stand there."""
        return self.excluded[kind].pop(value.lower(), None) is not None


def _users(switches: Switches) -> list[User]:
    users = []
    for number, text in enumerate(switches.users):
        email, status, role = [*text.split(":"), "", ""][:3]
        low = int.from_bytes(draw(switches.seed, "user", email)[:8], "big")
        users.append(
            User(uuid7(1_700_000_000_000 + number, number, low), email, status or "active", role or "sales_rep")
        )
    return users
