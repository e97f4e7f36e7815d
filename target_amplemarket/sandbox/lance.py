"""The Lance API as the sandbox speaks it: lists made of ids, people added in further calls, sessions that may end.

What its description leaves open is a switch, whose default is what the description lets one infer.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from target_amplemarket.sandbox.api import Api, Endpoint, Figure, ShownList
from target_amplemarket.sandbox.common import switch
from target_amplemarket.sandbox.exchange import Answer, Ask, Committed, Pending, json_answer, timestamp_ms
from target_amplemarket.sandbox.ids import draw, is_uuid
from target_amplemarket.sandbox.journal import Commit
from target_amplemarket.sandbox.store import LeadStore

if TYPE_CHECKING:
    from target_amplemarket.sandbox.switches import Switches
    from target_amplemarket.sandbox.world import World

UnknownIds = Literal["accept", "refuse", "skip"]
WithoutId = Literal["create", "refuse", "skip"]


@dataclass(frozen=True)
class LanceSwitches:
    """How the sandbox answers as Lance."""

    # Who asks.
    lance_token_requests: int = switch(
        0, "Requests that an issued token of Lance is good for; 0 for any number.", at_least=0
    )
    lance_token_seconds: float = switch(
        0.0,
        "Seconds that an issued token of Lance is good for; 0 for ever. With neither, any token is good.",
        at_least=0,
    )
    lance_user: str = switch("user_2dana", "User of Lance who asks from now on.")
    lance_is_admin: bool = switch(False, "That user is an admin, who may use every list; others may use their own.")
    lance_organization: str | None = switch("org_2acme", "Organisation of that user's session; empty for none.")
    lance_no_organization_status: Literal["400", "401"] = switch(
        "400", "Status of Lance's credit balance for a session without an organisation."
    )
    lance_credits: int = switch(420, "Credits of the organisation in Lance; nothing here spends them.", at_least=0)
    lance_requests_per_minute: int = switch(0, "Requests a minute before Lance's 429; 0 for no limit.", at_least=0)
    lance_rate_limit_code: str = switch("RATE_LIMITED", "Error code of Lance's 429.")

    # What a refused body is told.
    lance_validation_code: Literal["BAD_REQUEST", "VALIDATION_ERROR"] = switch(
        "BAD_REQUEST", "Lance's error code of a body that is refused."
    )
    lance_details: Literal["object", "list", "none"] = switch(
        "object", "Details of that refusal: an object by path, a list of path and message, or none."
    )
    lance_details_path: Literal["array", "dotted"] = switch("array", "A path in such a list: an array, or dotted.")
    lance_details_place: Literal["inside", "beside"] = switch(
        "inside", "Lance's details lie inside error or beside it."
    )
    lance_errors_told: Literal["all", "first"] = switch("all", "How many problems of a body Lance tells (all: to 100).")

    # Lists.
    lance_create_status: Literal["200", "201"] = switch("200", "Status of a created list of Lance.")
    lance_unknown_ids: UnknownIds = switch("accept", "Ids of nobody Lance knows in a create, update or company call.")
    lance_person_ids: Literal["any", "uuid"] = switch("any", "What Lance takes as a person's id in personIds.")
    lance_ids_limit: int | None = switch(None, "Most ids in one array of Lance; more is refused.", at_least=1)
    lance_dates_reversed: Literal["accept", "refuse"] = switch(
        "accept", "What Lance makes of an endDate before the startDate."
    )
    lance_same_name: Literal["accept", "refuse"] = switch("accept", "What Lance makes of a second list of one name.")
    lance_unknown_members: Literal["ignore", "refuse"] = switch(
        "ignore", "What Lance makes of members of a body or a prospect that it does not declare."
    )
    lance_list_order: Literal["newest", "oldest"] = switch("newest", "Order of Lance's listing.")
    lance_listing_member: str | None = switch(None, "Member that holds the listing's array; bare when left out.")
    lance_listing_limit: int | None = switch(
        None, "Most lists that Lance's listing tells; all when left out.", at_least=1
    )

    # Adding prospects.
    lance_add_status: Literal["200", "201", "202"] = switch("200", "Status of a successful addition of prospects.")
    lance_without_id: WithoutId = switch("create", "What Lance makes of a prospect without an id.")
    lance_unknown_person: WithoutId = switch("create", "What Lance makes of a prospect whose id it does not know.")
    lance_duplicate_key: Literal["id", "linkedin_url", "email"] = switch(
        "id", "What beside the id makes two prospects of a list of Lance the same."
    )
    lance_prospects_per_call: int | None = switch(None, "Most prospects in one call of Lance.", at_least=1)
    lance_over_limit_status: Literal["400", "413"] = switch("400", "Status of a call with more prospects than that.")
    lance_empty_prospects_ok: bool = switch(True, "Lance accepts an addition of no prospects.")
    lance_nulls_ok: bool = switch(True, "Lance takes null for a member of a prospect that is not required.")

    # Search.
    lance_known_percent: float = switch(
        80.0, "Share of LinkedIn addresses in Lance's global database.", at_least=0, at_most=100
    )
    lance_nameless_percent: float = switch(
        0.0, "Share of those people whose company has no name.", at_least=0, at_most=100
    )
    lance_found_url: Literal["canonical", "as_asked"] = switch(
        "canonical", "LinkedIn address of a person found: Lance's own form, or as it was asked for."
    )
    lance_values_per_filter: int | None = switch(
        None, "Most values in one filter of a search in Lance; more is refused.", at_least=1
    )
    lance_filter_names: Literal["plain", "prefixed"] = switch(
        "plain", "Names inside contact: socialMediaLink, or contact.socialMediaLink."
    )
    lance_unknown_filters: Literal["ignore", "refuse"] = switch(
        "ignore", "What Lance makes of a filter that it does not know."
    )


PERSON_MEMBERS: dict[str, Any] = {
    "firstName": None, "lastName": None, "jobTitle": None, "city": None, "postalCode": None, "country": None,
    "linkedinUrl": None, "phones": [], "emails": [], "companyId": None, "birthDate": None, "departments": [],
    "subDepartments": [], "functions": [], "seniority": None, "languages": [], "industry": None, "educations": [],
    "workExperiences": [], "skills": [], "baseProviderId": None, "bullhornId": None, "crmId": None,
    "leadOwnerId": None, "consentStatus": "UNKNOWN", "consentSource": None, "consentUpdatedAt": None,
    "deletedAt": None,
}  # fmt: skip
_FILTERS = {
    "contact": {
        "fullName", "socialMediaLink", "company", "seniority", "location", "departmentAndFunction", "skill",
        "certification", "keyword", "socialMedia", "language", "education",
    },
    "account": {
        "name", "domain", "socialMediaLink", "industry", "location", "headcount", "revenue", "keyword", "foundedYear",
    },
}  # fmt: skip
_CODES = {
    400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
}  # fmt: skip
_PROBLEMS_TOLD = 100
_ROOT = "/api/v1"
_LISTS = f"{_ROOT}/entities/leadlists"
_PROSPECTS = f"{_ROOT}/entities/prospects"


@dataclass(frozen=True, kw_only=True)
class LanceCommit(Commit):
    """A change to a list: `create`, `add`, `update` (an array replaced, or the name) or `delete`.

    `leads` are the people as they were sent, in order and also those whom the list held already; where ids alone were
    sent, one object with the `id` each.

    Attributes:
        person_ids: For each lead, the id under which the list holds it.
        is_new: For each lead, whether the list did not hold it before.
    """

    person_ids: tuple[str, ...] = ()
    is_new: tuple[bool, ...] = ()

    @property
    def added_count(self) -> int:
        """How many leads the list did not hold before; what the answer of an addition tells."""
        return sum(self.is_new)


@dataclass(frozen=True)
class _Known:
    """A person or company with an id, and what is known of it."""

    id: str
    members: Mapping[str, Any]
    created_s: float


@dataclass
class _List:
    """A list as the organisation keeps it; ids by when they came, and by what else makes a person the same."""

    id: str
    name: str
    type: str
    icp_id: str | None
    start: str
    end: str
    user_ids: list[str]
    created_s: float
    updated_s: float
    ids: dict[str, dict[str, float]] = field(default_factory=lambda: {"person": {}, "company": {}})
    same: dict[tuple[str, str], str] = field(default_factory=dict)
    is_deleted: bool = False

    @property
    def held(self) -> dict[str, float]:
        """The ids of its own type."""
        return self.ids[self.type]


@dataclass
class _Token:
    issued_s: float
    use_count: int = 0


Trouble = tuple[tuple[str | int, ...], str]
"""A path into a body, and what is wrong there."""
_Check = Callable[[Any], Iterator[Trouble]]


class Lance(Api):
    """Lists made of ids, people added in further calls, sessions that may end."""

    name = "lance"
    title = "Lance"
    root = _ROOT
    columns = ("firstName", "lastName", "linkedinUrl", "emails", "jobTitle", "id", "companyId")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._lists: dict[str, _List] = {}
        self._people: dict[str, _Known] = {}
        self._tokens: dict[str, _Token] = {}
        self._made_count = 0

    # Who asks, and how he is refused.

    def authorize(self, token: str) -> Answer | None:
        switches = self.switches
        if not token:
            return self.error(401, "You are not signed in.")
        if not switches.lance_token_requests and not switches.lance_token_seconds:
            return None
        issued = self._tokens.get(token)
        age_s = self.now_s() - issued.issued_s if issued else 0.0
        is_old = switches.lance_token_seconds and age_s >= switches.lance_token_seconds
        if not issued or is_old or 0 < switches.lance_token_requests <= issued.use_count:
            return self.error(401, "The session is over.")
        issued.use_count += 1
        return None

    def issue_token(self) -> str:
        token = f"sess_{draw(self.switches.seed, 'lance token', len(self._tokens)).hex()}"
        self._tokens[token] = _Token(self.now_s())
        return token

    def error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        code = self.switches.lance_rate_limit_code if status == 429 else _CODES.get(status, "INTERNAL_ERROR")
        return self._refusal(status, code, message, headers)

    @property
    def requests_per_minute(self) -> int:
        return self.switches.lance_requests_per_minute

    def _refusal(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        return json_answer(status, {"error": {"code": code, "message": message}}, headers)

    def _invalid(self, troubles: Iterable[Trouble], status: int = 400) -> Answer:
        """The refusal of a body, with its troubles as details."""
        switches = self.switches
        told = [trouble for trouble, _ in zip(troubles, range(_PROBLEMS_TOLD), strict=False)]
        told = told[:1] if switches.lance_errors_told == "first" else told
        error: dict[str, Any] = {"code": switches.lance_validation_code, "message": "The request is not valid."}
        document: dict[str, Any] = {"error": error}
        details = _details(told, switches)
        if details is not None:
            (error if switches.lance_details_place == "inside" else document)["details"] = details
        return json_answer(status, document)

    def _found(self, ask: Ask, *, is_use: bool = True) -> _List | Answer:
        """The list that a path names, or why the user does not get it; `is_use` says that he must be of its users."""
        one = self._lists.get(ask.params["id"].lower())
        if one is None or one.is_deleted:
            return self.error(404, "Lead list not found.")
        if is_use and not self._may_use(one):
            return self.error(403, "You have no access to this lead list.")
        return one

    def _may_use(self, one: _List) -> bool:
        return self.switches.lance_is_admin or self.switches.lance_user in one.user_ids

    def _without_organization(self) -> Answer | None:
        return None if self.switches.lance_organization else self.error(401, "The session has no organisation.")

    def _read(self, ask: Ask, fields: Mapping[str, _Field]) -> dict[str, Any] | Answer:
        """The body's object, or its refusal."""
        document = _object(ask.body or b"{}")
        if document is None:
            return self._invalid([((), "Expected a JSON object")])
        troubles = list(_troubles(document, fields, self.switches))
        return self._invalid(troubles) if troubles else document

    # Lists.

    def balance(self, _: Ask) -> Answer:
        """`GET /operations/credits/balance`."""
        switches = self.switches
        if not switches.lance_organization:
            status = int(switches.lance_no_organization_status)
            return self._refusal(status, "VALIDATION_ERROR", "An organisation id is required.")
        return json_answer(200, {"balance": switches.lance_credits, "organizationId": switches.lance_organization})

    def create(self, ask: Ask) -> Answer | Pending:
        """`POST /entities/leadlists`."""
        document = self._read(ask, _CREATE)
        if isinstance(document, Answer):
            return document
        if troubles := [*self._create_troubles(document), *self._id_troubles(document)]:
            return self._invalid(troubles)

        def commit(now_s: float) -> Committed:
            one = _List(
                self._id("list"), document["name"], document.get("type", "person"), document["icpId"],
                timestamp_ms(_moment(document["startDate"]).timestamp()),
                timestamp_ms(_moment(document["endDate"]).timestamp()), [self.switches.lance_user], now_s, now_s,
            )  # fmt: skip
            self._lists[one.id] = one
            for type_, ids in self._ids_by_type(document).items():
                one.ids[type_] = dict.fromkeys(ids, now_s)
            self._remember(one)
            self._commit("create", one, _by_id(one.held), tuple(one.held), (True,) * len(one.held), now_s, ask.number)
            return Committed(json_answer(int(self.switches.lance_create_status), self._row(one)), one.id)

        return Pending(commit)

    def _create_troubles(self, document: Mapping[str, Any]) -> Iterator[Trouble]:
        switches = self.switches
        is_reversed = _moment(document["endDate"]) < _moment(document["startDate"])
        if is_reversed and switches.lance_dates_reversed == "refuse":
            yield ("endDate",), "endDate is before startDate"
        names = {one.name for one in self._lists.values() if not one.is_deleted}
        if document["name"] in names and switches.lance_same_name == "refuse":
            yield ("name",), "A lead list of this name exists"

    def _id_troubles(self, document: Mapping[str, Any]) -> Iterator[Trouble]:
        """What is wrong with the arrays of ids beyond their form."""
        limit = self.switches.lance_ids_limit
        for type_, name in _ID_MEMBERS.items():
            ids = document.get(name) or []
            if limit is not None and len(ids) > limit:
                yield (name,), f"Array must contain at most {limit} elements"
            if self.switches.lance_unknown_ids == "refuse":
                yield from (((name, at), "No such id") for at, one in enumerate(ids) if not self._knows(type_, one))

    def _ids_by_type(self, document: Mapping[str, Any]) -> dict[str, list[str]]:
        """The ids that a body brings and that are taken, by type."""
        is_all = self.switches.lance_unknown_ids != "skip"
        return {
            type_: [_lower(one) for one in document[name] if is_all or self._knows(type_, one)]
            for type_, name in _ID_MEMBERS.items()
            if name in document
        }

    def _knows(self, type_: str, some_id: str) -> bool:
        return _lower(some_id) in self._people if type_ == "person" else _company(some_id, self.switches) is not None

    def list_lists(self, ask: Ask) -> Answer:
        """`GET /entities/leadlists`."""
        kind = ask.fault.kind if ask.fault else None
        lists = [one for one in self._lists.values() if not one.is_deleted and self._may_use(one)]
        if self.switches.lance_list_order == "newest":
            lists.reverse()
        if ask.fault and kind == "stale_listing":
            lists = [one for one in lists if one.created_s <= self.now_s() - ask.fault.number("seconds")]
        lists = lists[: self.switches.lance_listing_limit]
        if kind == "listing_missing_page":
            lists = lists[: len(lists) // 2]
        rows = [self._row(one) for one in lists]
        if kind == "listing_renamed":
            rows = [row | {"name": f"Renamed list {number}"} for number, row in enumerate(rows, 1)]
        member = self.switches.lance_listing_member
        return json_answer(200, {member: rows} if member else rows)

    def read_list(self, ask: Ask) -> Answer:
        """`GET /entities/leadlists/{id}`."""
        one = self._found(ask, is_use=False)
        return one if isinstance(one, Answer) else json_answer(200, self._whole(one, self._fresh_s(ask)))

    def update(self, ask: Ask) -> Answer | Pending:
        """`PATCH /entities/leadlists/{id}`."""
        one = self._found(ask)
        if isinstance(one, Answer):
            return one
        document = self._read(ask, _UPDATE)
        if isinstance(document, Answer):
            return document
        wrong = [((name,), "Not for this type of list") for type_, name in _ID_MEMBERS.items()
                 if type_ != one.type and name in document]  # fmt: skip
        if troubles := [*wrong, *self._id_troubles(document)]:
            return self._invalid(troubles)

        def commit(now_s: float) -> Committed:
            if one.is_deleted:
                return self._gone(one)
            before, ids = one.held, self._ids_by_type(document).get(one.type)
            one.name, one.updated_s = document.get("name", one.name), now_s
            if ids is not None:
                one.ids[one.type] = {some_id: before.get(some_id, now_s) for some_id in ids}
                self._remember(one)
            sent = list(ids or ())
            is_new = tuple(some_id not in before for some_id in sent)
            self._commit("update", one, _by_id(sent), tuple(sent), is_new, now_s, ask.number)
            return Committed(json_answer(200, self._whole(one)), one.id)

        return Pending(commit)

    def delete(self, ask: Ask) -> Answer | Pending:
        """`DELETE /entities/leadlists/{id}`."""
        one = self._found(ask)
        if isinstance(one, Answer):
            return one

        def commit(now_s: float) -> Committed:
            if one.is_deleted:
                return self._gone(one)
            one.is_deleted, one.updated_s = True, now_s
            self._commit("delete", one, [], (), (), now_s, ask.number)
            return Committed(Answer(204), one.id)

        return Pending(commit)

    def _gone(self, one: _List) -> Committed:
        """What is left of a late commit to a list that was deleted meanwhile."""
        return Committed(self.error(404, "Lead list not found."), one.id, is_done=False)

    # Adding.

    def add_prospects(self, ask: Ask) -> Answer | Pending:
        """`POST /entities/leadlists/{id}/add-prospects`."""
        one = self._found(ask)
        if isinstance(one, Answer):
            return one
        if refused := self._without_organization():
            return refused
        document = self._read(ask, _ADD_PROSPECTS)
        if isinstance(document, Answer):
            return document
        if one.type != "person":
            return self._invalid([((), "Not for a list of companies")])
        people = document["prospects"]
        limit = self.switches.lance_prospects_per_call
        if limit is not None and len(people) > limit:
            trouble: Trouble = ("prospects",), f"Array must contain at most {limit} elements"
            return self._invalid([trouble], int(self.switches.lance_over_limit_status))
        if troubles := list(self._prospect_troubles(people)):
            return self._invalid(troubles)
        raws = msgspec.json.decode(ask.body, type=_RawProspects).prospects
        return self._addition(one, list(zip(people, raws, strict=True)), ask.number)

    def _prospect_troubles(self, people: Sequence[Any]) -> Iterator[Trouble]:
        if not people and not self.switches.lance_empty_prospects_ok:
            yield ("prospects",), "Array must contain at least 1 element"
        for at, person in enumerate(people):
            for path, message in _troubles(person, _PROSPECT, self.switches):
                yield ("prospects", at, *path), message
            if isinstance(person, dict) and self._fate(person) == "refuse":
                yield ("prospects", at, "id"), "No such person" if person.get("id") else "Required"

    def _fate(self, person: Mapping[str, Any]) -> str:
        """What becomes of a prospect: `create`, `refuse`, `skip`, or `copy` where its id is known."""
        if not person.get("id"):
            return self.switches.lance_without_id
        return "copy" if _lower(str(person["id"])) in self._people else self.switches.lance_unknown_person

    def _addition(self, one: _List, sent: Sequence[tuple[Mapping[str, Any], msgspec.Raw]], number: int) -> Pending:
        def commit(now_s: float) -> Committed:
            if one.is_deleted:
                return self._gone(one)
            taken = [(person, raw) for person, raw in sent if self._fate(person) != "skip"]
            held = [self._take(one, person, now_s) for person, _ in taken]
            one.updated_s = now_s
            done = self._commit(
                "add", one, [raw for _, raw in taken], tuple(held_id for held_id, _ in held),
                tuple(is_new for _, is_new in held), now_s, number,
            )  # fmt: skip
            return Committed(json_answer(int(self.switches.lance_add_status), {"addedCount": done.added_count}), one.id)

        def part(share: float) -> Pending:
            return self._addition(one, sent[: int(len(sent) * share)], number)

        return Pending(commit, part)

    def _take(self, one: _List, person: Mapping[str, Any], now_s: float) -> tuple[str, bool]:
        """Put a person into a list; returns under which id the list holds it, and whether it did not before."""
        given = _lower(str(person.get("id") or ""))
        keys = [("id", given)] if given else []
        keys += [key for key in _keys(person) if key[0] == self.switches.lance_duplicate_key]
        for key in keys:
            if key in one.same:
                return one.same[key], False
        person_id = given or self._id("person")
        known = self._people.get(person_id)
        told = {name: value for name, value in person.items() if name in PERSON_MEMBERS and value is not None}
        self._people[person_id] = _Known(person_id, {**(known.members if known else {}), **told},
                                         known.created_s if known else now_s)  # fmt: skip
        one.held[person_id] = now_s
        self._remember_person(one, person_id)
        return person_id, True

    def _remember(self, one: _List) -> None:
        """Note anew whom a list holds."""
        one.same.clear()
        for person_id in one.ids["person"]:
            self._remember_person(one, person_id)

    def _remember_person(self, one: _List, person_id: str) -> None:
        known = self._people.get(person_id)
        for key in (("id", person_id), *(_keys(known.members) if known else ())):
            one.same.setdefault(key, person_id)

    def add_companies(self, ask: Ask) -> Answer | Pending:
        """`POST /entities/leadlists/{id}/add-companies`."""
        one = self._found(ask)
        if isinstance(one, Answer):
            return one
        if refused := self._without_organization():
            return refused
        document = self._read(ask, _ADD_COMPANIES)
        if isinstance(document, Answer):
            return document
        if one.type != "company":
            return self._invalid([((), "Not for a list of people")])
        if troubles := list(self._id_troubles(document)):
            return self._invalid(troubles)
        return self._company_addition(one, self._ids_by_type(document)["company"], ask.number)

    def _company_addition(self, one: _List, ids: Sequence[str], number: int) -> Pending:
        def commit(now_s: float) -> Committed:
            if one.is_deleted:
                return self._gone(one)
            is_new = []
            for some_id in ids:
                is_new.append(some_id not in one.held)
                one.held.setdefault(some_id, now_s)
            one.updated_s = now_s
            self._commit("add", one, _by_id(ids), tuple(ids), tuple(is_new), now_s, number)
            return Committed(json_answer(200, self._whole(one)), one.id)

        return Pending(commit, lambda share: self._company_addition(one, ids[: int(len(ids) * share)], number))

    def list_leads(self, ask: Ask) -> Answer:
        """`GET /entities/leads/list/{id}`: without the people whose company has no name."""
        one = self._found(ask)
        if isinstance(one, Answer):
            return one
        leads = self._shown_held(one, self._fresh_s(ask))
        if one.type == "person":
            leads = [lead for lead in leads if (lead["company"] or {}).get("name")]
        return json_answer(200, leads)

    # Search.

    def search_people(self, ask: Ask) -> Answer:
        """`POST /entities/prospects/person`; the people found are known from then on."""
        document = self._read(ask, _SEARCH)
        if isinstance(document, Answer):
            return document
        if troubles := list(self._filter_troubles(document)):
            return self._invalid(troubles)
        prefix = "contact." if self.switches.lance_filter_names == "prefixed" else ""
        urls = _included(document.get("contact") or {}, f"{prefix}socialMediaLink")
        if urls is None:
            found = self._population()
        else:
            found = {person.id: person for url in urls if (person := _person(url, self.switches))}
        return self._people_answer(_page(list(found.values()), document))

    def _people_answer(self, page: dict[str, Any]) -> Answer:
        """A page of people, who are known from then on."""
        for person in page["content"]:
            self._people.setdefault(person.id, person)
        return json_answer(200, page | {"content": [_person_object(one, self.switches) for one in page["content"]]})

    def _population(self) -> dict[str, _Known]:
        """The made-up people that a search without an address finds."""
        urls = (f"https://www.linkedin.com/in/{first}-{last}-{number}".lower()
                for number in range(10) for first in _FIRST_NAMES for last in _LAST_NAMES)  # fmt: skip
        return {one.id: one for url in urls if (one := _person(url, self.switches))}

    def _filter_troubles(self, document: Mapping[str, Any]) -> Iterator[Trouble]:
        switches = self.switches
        limit = switches.lance_values_per_filter
        for kind, known in _FILTERS.items():
            prefix = "contact." if kind == "contact" and switches.lance_filter_names == "prefixed" else ""
            filters = document.get(kind) or {}
            for name in filters:
                if name.removeprefix(prefix) not in known or not name.startswith(prefix):
                    if switches.lance_unknown_filters == "refuse":
                        yield (kind, name), "Unrecognized filter"
                    continue
                values = _included(filters, name)
                if values is None:
                    yield (kind, name), "Expected any or all, then include or exclude"
                elif limit is not None and len(values) > limit:
                    yield (kind, name), f"Array must contain at most {limit} elements"

    def read_person(self, ask: Ask) -> Answer:
        """`GET /entities/prospects/person/{id}`."""
        known = self._people.get(_lower(ask.params["id"]))
        return json_answer(200, _person_object(known, self.switches)) if known else self.error(404, "Person not found.")

    def search_companies(self, ask: Ask) -> Answer:
        """`POST /entities/prospects/company`; of the filters, the industry and the name count."""
        document = self._read(ask, _SEARCH)
        if isinstance(document, Answer):
            return document
        if troubles := list(self._filter_troubles(document)):
            return self._invalid(troubles)
        filters = document.get("account") or {}
        found = [_company_at(at, self.switches) for at in range(_COMPANY_COUNT)]
        for name in ("industry", "name"):
            wanted = {value.lower() for value in _included(filters, name) or ()}
            found = [one for one in found if not wanted or str(one[name]).lower() in wanted]
        return json_answer(200, _page(found, document))

    def read_company(self, ask: Ask) -> Answer:
        """`GET /entities/prospects/company/{id}`, for which nobody need be signed in."""
        company = _company(ask.params["id"], self.switches)
        return json_answer(200, company) if company else self.error(404, "Company not found.")

    def search_people_of_company(self, ask: Ask) -> Answer:
        """`GET /entities/prospects/company/{id}/people/search`; page and size are cut to what they may be."""
        company = _company(ask.params["id"], self.switches)
        if not company:
            return self.error(404, "Company not found.")
        if not company["name"]:
            return self.error(400, "The company has no LinkedIn address, domain or name.")
        found = [one for one in self._population().values() if one.members["companyId"] == company["id"]]
        page = _page(found, {"page": _whole(ask.query.get("page"), 0, 10**6, 0),
                             "size": _whole(ask.query.get("size"), 1, 100, 10)})  # fmt: skip
        return self._people_answer(page)

    endpoints = (
        Endpoint("GET", f"{_ROOT}/operations/credits/balance", balance),
        Endpoint("GET", _LISTS, list_lists, "listing"),
        Endpoint("POST", _LISTS, create, "create"),
        Endpoint("GET", _LISTS + "/{id}", read_list, "reading"),
        Endpoint("PATCH", _LISTS + "/{id}", update, "write"),
        Endpoint("DELETE", _LISTS + "/{id}", delete, "write"),
        Endpoint("POST", _LISTS + "/{id}/add-prospects", add_prospects, "add"),
        Endpoint("POST", _LISTS + "/{id}/add-companies", add_companies, "add"),
        Endpoint("GET", f"{_ROOT}/entities/leads/list/{{id}}", list_leads, "reading"),
        Endpoint("POST", _PROSPECTS + "/person", search_people),
        Endpoint("GET", _PROSPECTS + "/person/{id}", read_person),
        Endpoint("POST", _PROSPECTS + "/company", search_companies),
        Endpoint("GET", _PROSPECTS + "/company/{id}", read_company, is_open=True),
        Endpoint("GET", _PROSPECTS + "/company/{id}/people/search", search_people_of_company),
    )

    # What is shown.

    def _row(self, one: _List, until_s: float | None = None) -> dict[str, Any]:
        ids = {type_: [some_id for some_id, at_s in held.items() if until_s is None or at_s <= until_s]
               for type_, held in one.ids.items()}  # fmt: skip
        return {
            "id": one.id,
            "icpId": one.icp_id,
            "name": one.name,
            "type": one.type,
            "startDate": one.start,
            "endDate": one.end,
            "personIds": ids["person"],
            "companyIds": ids["company"],
            "userIds": one.user_ids,
            "createdAt": timestamp_ms(one.created_s),
            "updatedAt": timestamp_ms(one.updated_s),
        }

    def _whole(self, one: _List, until_s: float | None = None) -> dict[str, Any]:
        """A list with its people or companies, those that had come by a moment."""
        member = "persons" if one.type == "person" else "companies"
        return self._row(one, until_s) | {member: self._shown_held(one, until_s)}

    def _shown_held(self, one: _List, until_s: float | None) -> list[dict[str, Any]]:
        ids = [some_id for some_id, at_s in one.held.items() if until_s is None or at_s <= until_s]
        if one.type == "company":
            return [company for some_id in ids if (company := _company(some_id, self.switches))]
        return [_person_object(known, self.switches) for some_id in ids if (known := self._people.get(some_id))]

    def _fresh_s(self, ask: Ask) -> float | None:
        """Until when a stale reading knows what came."""
        is_stale = ask.fault is not None and ask.fault.kind == "stale_reading"
        return self.now_s() - ask.fault.number("seconds") if ask.fault and is_stale else None

    def lists(self) -> Sequence[ShownList]:
        return [self._shown(one) for one in self._lists.values()]

    def _shown(self, one: _List) -> ShownList:
        status = "deleted" if one.is_deleted else "completed"
        return ShownList(
            self.title, one.id, one.name, ", ".join(one.user_ids), one.type, status, len(one.held), one.created_s,
            f"from {one.start} to {one.end}", lambda: self._counts(one.id),
        )  # fmt: skip

    def _counts(self, list_id: str) -> list[Figure]:
        commits = [one for one in self.world.journal.commits_of(list_id) if isinstance(one, LanceCommit)]
        again_count = sum(one.is_new.count(False) for one in commits if one.kind == "add")
        return [(len(commits), "calls"), (again_count, "sent although held")]

    def held(self, calls: Sequence[Commit]) -> Callable[[], list[dict[str, Any]]]:
        one, switches = self._lists[calls[0].list_id], self.switches
        ids = () if one.is_deleted else tuple(one.held)
        if one.type == "company":
            return lambda: [_company(some_id, switches) or {"id": some_id} for some_id in ids]
        known = [self._people.get(some_id) or _Known(some_id, {}, one.created_s) for some_id in ids]
        return lambda: [_person_object(person, switches) for person in known]

    def state(self) -> dict[str, Any]:
        return {"lance_people": len(self._people), "lance_tokens": len(self._tokens)}

    def _commit(
        self, kind: str, one: _List, leads: list[msgspec.Raw], person_ids: tuple[str, ...], is_new: tuple[bool, ...],
        now_s: float, request_number: int,
    ) -> LanceCommit:  # fmt: skip
        journal = self.world.journal
        commit = LanceCommit(
            number=journal.next_number, api=self.name, kind=kind, list_id=one.id, name=one.name, type=one.type,
            at_s=now_s, request_number=request_number, leads=LeadStore(leads), person_ids=person_ids, is_new=is_new,
        )  # fmt: skip
        journal.commits.append(commit)
        return commit

    def _id(self, kind: str) -> str:
        self._made_count += 1
        return _uuid(self.switches.seed, "lance", kind, self._made_count)


# What a body must be.


class _RawProspects(msgspec.Struct):
    prospects: list[msgspec.Raw]


@dataclass(frozen=True)
class _Field:
    check: _Check
    is_required: bool = False


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _troubles(document: Any, fields: Mapping[str, _Field], switches: Switches) -> Iterator[Trouble]:
    """What is wrong with an object's members, in the order in which they are declared."""
    if not isinstance(document, Mapping):
        yield (), "Expected an object"
        return
    for name, declared in fields.items():
        value = document.get(name)
        if name not in document:
            if declared.is_required:
                yield (name,), "Required"
        elif value is not None or declared.is_required or not (fields is _PROSPECT and switches.lance_nulls_ok):
            check = _uuids if name == "personIds" and switches.lance_person_ids == "uuid" else declared.check
            yield from (((name, *path), message) for path, message in check(value))
    if switches.lance_unknown_members == "refuse":
        yield from (((name,), "Unrecognized member") for name in document if name not in fields)


def _details(told: Sequence[Trouble], switches: Switches) -> Any:
    match switches.lance_details:
        case "none":
            return None
        case "object":
            first_of = {_dotted(path): message for path, message in reversed(told)}
            return dict(reversed(first_of.items()))
        case "list":
            is_array = switches.lance_details_path == "array"
            return [{"path": path if is_array else _dotted(path), "message": message} for path, message in told]


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path))


def _text(value: Any) -> Iterator[Trouble]:
    if not isinstance(value, str):
        yield (), "Expected a string"


def _uuid_text(value: Any) -> Iterator[Trouble]:
    if not isinstance(value, str) or not is_uuid(value):
        yield (), "Invalid uuid"


def _uuid_or_null(value: Any) -> Iterator[Trouble]:
    if value is not None:
        yield from _uuid_text(value)


def _date(value: Any) -> Iterator[Trouble]:
    try:
        _moment(value)
    except (ValueError, TypeError, OverflowError):
        yield (), "Invalid datetime"


def _type(value: Any) -> Iterator[Trouble]:
    if value not in ("person", "company"):
        yield (), "Expected person or company"


def _each(check: _Check, *, at_least: int = 0) -> _Check:
    def check_all(value: Any) -> Iterator[Trouble]:
        if not isinstance(value, list):
            yield (), "Expected an array"
            return
        if len(value) < at_least:
            yield (), f"Array must contain at least {at_least} element"
        for at, item in enumerate(value):
            yield from (((at, *path), message) for path, message in check(item))

    return check_all


def _between(low: int, high: int | None) -> _Check:
    def check(value: Any) -> Iterator[Trouble]:
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            yield (), f"Expected a whole number from {low}" + (f" to {high}" if high is not None else "")

    return check


def _filters(value: Any) -> Iterator[Trouble]:
    if not isinstance(value, dict):
        yield (), "Expected an object"


def _anything(_: Any) -> Iterator[Trouble]:
    return iter(())


_texts, _uuids = _each(_text), _each(_uuid_text)
_ID_MEMBERS = {"person": "personIds", "company": "companyIds"}
_CREATE = {
    "name": _Field(_text, is_required=True),
    "type": _Field(_type),
    "icpId": _Field(_uuid_or_null, is_required=True),
    "startDate": _Field(_date, is_required=True),
    "endDate": _Field(_date, is_required=True),
    "personIds": _Field(_texts, is_required=True),
    "companyIds": _Field(_uuids),
}
_UPDATE = {"name": _Field(_text), "personIds": _Field(_texts), "companyIds": _Field(_uuids)}
_ADD_PROSPECTS = {"prospects": _Field(_each(_anything), is_required=True)}
_ADD_COMPANIES = {"companyIds": _Field(_each(_uuid_text, at_least=1), is_required=True)}
_SEARCH = {
    "page": _Field(_between(0, None)),
    "size": _Field(_between(0, 100)),
    "contact": _Field(_filters),
    "account": _Field(_filters),
}
_PROSPECT = {
    "id": _Field(_uuid_text),
    "firstName": _Field(_text, is_required=True),
    "lastName": _Field(_text, is_required=True),
    **{name: _Field(_text) for name in ("jobTitle", "city", "country", "linkedinUrl", "companyId", "seniority")},
    **{name: _Field(_texts) for name in ("emails", "phones", "departments", "functions")},
}


def _moment(text: str) -> datetime:
    """An ISO 8601 moment; UTC where it names no offset."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lower(some_id: str) -> str:
    return some_id.lower() if is_uuid(some_id) else some_id


def _by_id(ids: Iterable[str]) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode({"id": some_id})) for some_id in ids]


def _keys(members: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What beside an id may make a person the same as another."""
    url = members.get("linkedinUrl")
    return [
        *([("linkedin_url", _canonical(url))] if url else []),
        *(("email", email.lower()) for email in members.get("emails") or ()),
    ]


def _included(filters: Mapping[str, Any], name: str) -> list[str] | None:
    """The values that a filter wants: a list, or the content of an object; None where it is absent or malformed."""
    chosen = filters.get(name)
    parts = [chosen.get(word) for word in ("any", "all")] if isinstance(chosen, dict) else []
    wanted: list[str] = []
    is_seen = False
    for part in parts:
        if not isinstance(part, dict) or not part.keys() & {"include", "exclude"}:
            continue
        is_seen = True
        include = part.get("include", [])
        values = include.get("content") if isinstance(include, dict) else include
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            return None
        wanted += values
    return wanted if is_seen else None


def _whole(text: str | None, low: int, high: int, default: int) -> int:
    """A number of a query, cut to its bounds."""
    try:
        return min(high, max(low, int(text or "")))
    except ValueError:
        return default


def _page(found: Sequence[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """A page of what a search found."""
    number, size = document.get("page", 0), document.get("size", 10)
    content = list(found[number * size : (number + 1) * size])
    page_count = -(-len(found) // size) if size else 0
    return {
        "content": content,
        "totalElements": len(found),
        "totalPages": page_count,
        "number": number,
        "size": size,
        "first": number == 0,
        "last": number >= page_count - 1,
        "numberOfElements": len(content),
        "empty": not content,
    }


# The global database, made up.

_FIRST_NAMES = ("Ada", "Bela", "Chidi", "Dalia", "Emre", "Fatou", "Goran", "Hana", "Imani", "Jun", "Kaja", "Leo")
_LAST_NAMES = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Pine", "Rowan")
_INDUSTRIES = ("machinery", "software", "logistics", "food", "textiles", "energy")
_TITLES = ("Plant Manager", "Head of Purchasing", "Operations Lead", "Sales Director")
_CITIES = (("Leeds", "United Kingdom"), ("Lyon", "France"), ("Porto", "Portugal"), ("Graz", "Austria"))
_COMPANY_COUNT = len(_LAST_NAMES) * len(_INDUSTRIES)
_BORN_S = 1_700_000_000.0
_PROFILE = re.compile(r"^(?:https?://)?(?:[a-z0-9-]+\.)*linkedin\.com/", re.IGNORECASE)


def _uuid(*parts: object) -> str:
    """A version 4 UUID that depends on the parts alone."""
    return str(uuid.UUID(bytes=draw(*parts)[:16], version=4))


def _canonical(url: str) -> str:
    """An address without what does not tell profiles apart."""
    return _PROFILE.sub("", url.strip()).partition("?")[0].partition("#")[0].rstrip("/").lower()


def _percent(two_bytes: bytes) -> float:
    return int.from_bytes(two_bytes, "big") / 65536 * 100


def _person(url: str, switches: Switches) -> _Known | None:
    """The person behind an address, if the global database has one."""
    path = _canonical(url)
    chance = draw(switches.seed, "lance person", path)
    if not path or _percent(chance[0:2]) >= switches.lance_known_percent:
        return None
    words = [word.capitalize() for word in re.split(r"[^a-z]+", path.rpartition("/")[2]) if len(word) > 1]
    drawn = _FIRST_NAMES[chance[2] % 12], _LAST_NAMES[chance[3] % 12]
    first, last = (words[0], words[1]) if len(words) > 1 else drawn
    is_nameless = _percent(chance[4:6]) < switches.lance_nameless_percent
    company = _company_at(_COMPANY_COUNT if is_nameless else chance[6] % _COMPANY_COUNT, switches)
    city, country = _CITIES[chance[7] % len(_CITIES)]
    members = {
        "firstName": first, "lastName": last, "jobTitle": _TITLES[chance[8] % len(_TITLES)], "city": city,
        "country": country, "companyId": company["id"], "industry": company["industry"],
        "linkedinUrl": url if switches.lance_found_url == "as_asked" else f"https://www.linkedin.com/{path}",
    }  # fmt: skip
    return _Known(_uuid(switches.seed, "lance person", path), members, _BORN_S)


def _person_object(known: _Known, switches: Switches) -> dict[str, Any]:
    """A person with everything that the API tells of one."""
    members = {**PERSON_MEMBERS, **known.members}
    moment = timestamp_ms(known.created_s)
    company = _company(members["companyId"], switches) if members["companyId"] else None
    nested = {"company": company, "clientContact": None}
    return {"id": known.id, "createdAt": moment, "updatedAt": moment, **members, **nested}


def _company(company_id: str, switches: Switches) -> dict[str, Any] | None:
    """The company of this id, if there is one."""
    at = _company_ids(switches.seed).get(_lower(company_id))
    return None if at is None else _company_at(at, switches)


@lru_cache(maxsize=4)
def _company_ids(seed: int) -> dict[str, int]:
    """Every company's id, and its place."""
    return {_uuid(seed, "lance company", at): at for at in range(_COMPANY_COUNT + 1)}


def _company_at(at: int, switches: Switches) -> dict[str, Any]:
    """One of the made-up companies; the last has no name, and no other sign either."""
    name = domain = url = None
    industry = _INDUSTRIES[at % len(_INDUSTRIES)]
    if at < _COMPANY_COUNT:
        name = f"{_LAST_NAMES[at // len(_INDUSTRIES)]} {industry.capitalize()}"
        domain = f"{name.lower().replace(' ', '-')}.example"
        url = f"https://www.linkedin.com/company/{domain.removesuffix('.example')}"
    city, country = _CITIES[at % len(_CITIES)]
    moment = timestamp_ms(_BORN_S)
    return {
        "id": _uuid(switches.seed, "lance company", at), "name": name, "legalName": name, "description": None,
        "summary": None, "headcount": "51-200", "industry": industry, "phones": [], "linkedinUrl": url,
        "websiteUrl": domain and f"https://{domain}", "domain": domain, "city": city, "postalCode": None,
        "country": country, "logoUrl": None, "foundedYear": 1950 + at, "revenue": "10M-50M",
        "location": f"{city}, {country}", "baseProviderId": None, "bullhornId": None, "crmId": None,
        "createdAt": moment, "updatedAt": moment,
    }  # fmt: skip
