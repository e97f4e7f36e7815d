"""Lance's HTTP API: a create call makes a list, further calls add people or companies to it.

Facts are from https://docs.lance.so/api-reference (entities/leadlists-*, entities/prospects-*,
operations/credits-balance). What is documented nowhere and stands here as a choice is marked *not documented*; where a
choice may be wrong, a setting turns it:

- Status of a create call, 200 or 201: `lance_create_status`.
- What becomes of people without `id`: `lance_people_without_id`, and `lance_find_people` to find their ids first.
- The most people or companies in one call: `lance_people_per_call`.
- The host, since the pages name three: `base_url`, which is required.
- How long a token lasts: `api_key_file` and `api_key_command` give a new one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NoReturn, Self, assert_never

import msgspec
import pyarrow as pa

from target_amplemarket.config import Settings
from target_amplemarket.errors import ApiUnreachable, RefusedByApi, SettingsError
from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.services.calls import Calls, Surroundings, decoded_as, seen_text
from target_amplemarket.services.campaign import Campaign, campaign_of
from target_amplemarket.services.documents import decoded, member, safe_id
from target_amplemarket.services.entries import entry_table
from target_amplemarket.services.lance_answers import Sent, outcome_of_failure, taken_count
from target_amplemarket.services.lance_bodies import (
    Call,
    CompanyIds,
    Prospect,
    Prospects,
    Row,
    WholeList,
    create_of,
    prospects_of,
)
from target_amplemarket.services.lance_people import People
from target_amplemarket.services.protocol import (
    Absent,
    Accepted,
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
    Refused,
    Unknown,
)
from target_amplemarket.services.replies import Answer, Reply

MAX_LEADS_PER_LIST: Final = 10_000
WHOLE_LIST_LIMIT_BYTES: Final = 128 * 1024 * 1024
"""A list is answered whole, with everything known of 10,000 people; the listing holds all ids of all lists."""

_LISTS: Final = "/api/v1/entities/leadlists"
_LIST: Final = f"{_LISTS}/{{id}}"
_BALANCE: Final = "/api/v1/operations/credits/balance"
_COMPLETED: Final = "completed"  # lists are filled while they are asked to be: there is nothing to wait for

_PEOPLE, _PERSON_IDS, _COMPANY_IDS = "people", "person_ids", "company_ids"
_PERSON_FIELDS: Final = (
    "linkedin_url", "email", "title", "company_name", "company_domain", "first_name", "last_name", "person_id",
    "company_id", "phones", "city", "country", "seniority", "departments",
)  # fmt: skip
"""Name and domain of the company are not sent: they tell people apart, and whom not to contact."""
_COMPANY_FIELDS: Final = ("company_id", "company_name", "company_domain")


class Lance:
    """`Service` over Lance's API; safe to use from several threads, each of which fills lists of its own."""

    name = "lance"
    max_leads_per_list = MAX_LEADS_PER_LIST
    adds_to_lists = True
    has_owners = False
    has_exclusions = False

    def __init__(self, calls: Calls, settings: Settings, campaign: Campaign) -> None:
        self.max_leads_per_call = settings.lance_people_per_call
        self._calls = calls
        self._settings = settings
        self._campaign = campaign
        self._remembering = threading.Lock()
        self._list_ids: dict[str, str] = {}  # by name
        self._people = People(calls, is_id_needed=settings.lance_people_without_id == "refuse")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._calls!r})"

    @classmethod
    def intake(cls, settings: Settings) -> Intake:
        """People by name, or by their id alone; or companies by their id.

        A company's name has no place in a list; it is read all the same, since it tells people apart.

        Raises:
            SettingsError: A paid option, a list type or further fields are asked for, none of which Lance has.
        """
        _refuse_what_is_missing(settings)
        if settings.lance_list_type == "company":
            routes = [Route(_COMPANY_IDS, (("company_id",),))]
            return Intake(_COMPANY_FIELDS, tuple(routes), id_field="company_id", takes_further_fields=False)
        is_looked_for = settings.lance_find_people == "linkedin_url"
        names: tuple[tuple[str, ...], ...] = (("first_name",), ("last_name",))
        if settings.lance_people_without_id == "refuse":
            names = (*names, ("person_id", "linkedin_url") if is_looked_for else ("person_id",))
        routes = [Route(_PEOPLE, names), Route(_PERSON_IDS, (("person_id",),), is_one_call=True)]
        if is_looked_for:
            routes.append(Route(_PEOPLE, (("linkedin_url",),)))
        return Intake(_PERSON_FIELDS, tuple(routes), id_field="person_id", takes_further_fields=False)

    @classmethod
    def open(cls, settings: Settings, given: Surroundings) -> Self:
        """The client for these settings; relative dates count from today (UTC).

        Raises:
            SettingsError: No call could be made with them, or `intake` refuses them, or a date is none.
        """
        cls.intake(settings)
        campaign = campaign_of(settings.lance_start_date, settings.lance_end_date, given.clock.now())
        return cls(Calls(settings, settings.base_url or "", given), settings, campaign)

    @property
    def base_url(self) -> str:
        """Address that calls go to."""
        return self._calls.base_url

    @property
    def requests(self) -> Mapping[str, int]:
        """Calls made so far, by method and path."""
        return self._calls.made

    def account(self) -> Account:
        """Ask `GET /operations/credits/balance` whose key it is; spends nothing.

        Raises:
            RefusedByApi: The key is not accepted, or its session has no organisation (400, by operations/crm-settings).
            ApiUnreachable: No answer after a few tries, or one that is no JSON object.
        """
        document = self._calls.read_account(_BALANCE)
        if isinstance(document, CannotAsk):
            self._raise_for(document)
        return Account(safe_id(document.get("organizationId")) or "", None)

    def owners(self) -> frozenset[str]:
        """Nobody: who makes a list is its user, and no other can be chosen."""
        return frozenset()

    def exclusions(self) -> Exclusions:
        """Nobody: no page speaks of people who are not to be contacted."""
        return Exclusions(emails=pa.array([], pa.string()), domains=pa.array([], pa.string()))

    def encode(self, request: ListRequest, leads: pa.Table) -> bytes:
        """Encode what `send` needs: the members of the create call, and `prospects`, `personIds` or `companyIds`.

        Null fields are left out, but `icpId` is sent as null (entities/leadlists-create requires it). Owner, sharing
        and options are not sent: Lance has none of them.

        Args:
            request: What the list is; its type is one of those of `intake`.
            leads: As `Service.encode` says.
        """
        call = Call(
            name=request.name,
            kind="company" if request.list_type == _COMPANY_IDS else "person",
            icp_id=self._settings.lance_icp_id or None,
            start_date=self._campaign.start,
            end_date=self._campaign.end,
        )
        if request.list_type == _PEOPLE:
            call.prospects = prospects_of(leads)
        elif request.list_type == _PERSON_IDS:
            call.person_ids = leads.column("person_id").to_pylist()
        else:
            call.company_ids = leads.column("company_id").to_pylist()
        return msgspec.json.encode(call)

    def send(self, body: bytes) -> Outcome:
        """Add leads to the list of that name, which is made unless it is known.

        People are looked for first where the settings say so, since that changes nothing; then the list is made; then
        the leads go into it, ids with the create call. Calls for one list have to come one after another.
        """
        call = msgspec.json.decode(body, type=Call)
        if call.prospects is not None:
            return self._send_people(call, call.prospects)
        if call.person_ids is not None:
            return self._send_ids(call, Sent("personIds", call.person_ids), self._add_people_by_id)
        return self._send_ids(call, Sent("companyIds", call.company_ids or []), self._add_companies)

    def confirm(self, marker: str) -> Confirmation:
        """Look for `[marker]` in the names that `GET /entities/leadlists` answers; there are no pages.

        Lists that are found are remembered, so that what is sent next goes into them. One whose making was answered is
        there, whether it is listed by now or not.
        """
        answer = self._calls.read(_LISTS, limit_bytes=WHOLE_LIST_LIMIT_BYTES)
        if isinstance(answer, CannotAsk):
            return answer
        rows = decoded_as(answer, list[Row])
        if isinstance(rows, CannotAsk):
            return rows
        listed = {row.id: row.name for row in rows if f"[{marker}]" in row.name}
        if any(safe_id(list_id) is None for list_id in listed):
            return CannotAsk("unreadable_answer", answer.http_status)
        list_ids = self._remember(marker, listed)
        return Found(list_ids, (None,) * len(list_ids)) if list_ids else Absent()

    def list_state(self, list_id: str) -> ListState | CannotAsk:
        """`completed` for every list that is there: lists have no life of their own."""
        whole = self._whole(list_id)
        return whole if isinstance(whole, CannotAsk) else ListState(_COMPLETED, None)

    def entries(self, list_id: str) -> Iterator[EntryPage | CannotAsk]:
        """Read `GET /entities/leadlists/{id}`, one page with everybody.

        An entry is a person or a company, so `entry_id` is that one's own id, as `Intake.id_field` carries it;
        `person_id` is null for companies.
        """
        whole = self._whole(list_id)
        if isinstance(whole, CannotAsk):
            yield whole
            return
        try:
            yield EntryPage(ListState(_COMPLETED, None), entry_table(whole.rows()))
        except ValueError:
            yield CannotAsk("unreadable_answer", 200)

    def close(self) -> None:
        """Give connections back."""
        self._calls.close()

    # --- Filling lists ---

    def _send_people(self, call: Call, prospects: Sequence[Prospect]) -> Outcome:
        if self._settings.lance_find_people == "linkedin_url":
            found = self._people.found(prospects)
            if not isinstance(found, list):
                return found
            prospects = found
        list_id = self._list_id(call)
        if list_id is None:
            made = self._create(call, Sent("", ()))
            if not isinstance(made, Accepted):
                return made
            list_id = made.list_id
        return self._add_people(list_id, prospects, Sent("prospects", prospects))

    def _send_ids(self, call: Call, sent: Sent, add: Callable[[str, Sent], Outcome]) -> Outcome:
        """With the create call where the list is new; PATCH, which replaces what is in a list, is never used."""
        list_id = self._list_id(call)
        return self._create(call, sent) if list_id is None else add(list_id, sent)

    def _create(self, call: Call, sent: Sent) -> Outcome:
        answer = _answer(self._calls.write(_LISTS, msgspec.json.encode(create_of(call))), sent)
        if not isinstance(answer, Answer):
            return answer
        if self._settings.lance_create_status not in {"any", str(answer.http_status)}:
            return Unknown("unexpected_status", answer.http_status)
        document = decoded(answer.body)
        list_id = safe_id(member(document, "id"))
        if list_id is None:
            return Unknown(answer.fault or "unreadable_answer", answer.http_status)
        with self._remembering:
            self._list_ids[call.name] = list_id
        return Accepted(list_id, None, answer.http_status, taken_count(document, sent))

    def _add_people(self, list_id: str, prospects: Sequence[Prospect], sent: Sent) -> Outcome:
        """`addedCount` leaves out who was in the list before (entities/leadlists-add-prospects)."""
        answer = self._add(list_id, "add-prospects", Prospects(prospects), sent)
        if not isinstance(answer, Answer):
            return answer
        count = member(decoded(answer.body), "addedCount")
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= len(prospects):
            return Unknown(answer.fault or "unreadable_answer", answer.http_status)
        self._people.forget(prospects)
        return Accepted(list_id, None, answer.http_status, count)

    def _add_people_by_id(self, list_id: str, sent: Sent) -> Outcome:
        """No call adds people by id alone to a list that is there, so their names are asked for."""
        prospects = self._people.named(sent.rows)
        return self._add_people(list_id, prospects, sent) if isinstance(prospects, list) else prospects

    def _add_companies(self, list_id: str, sent: Sent) -> Outcome:
        """Companies that are in the list already are left out silently (entities/leadlists-add-companies)."""
        answer = self._add(list_id, "add-companies", CompanyIds(sent.rows), sent)
        if not isinstance(answer, Answer):
            return answer
        document = decoded(answer.body)
        if not isinstance(document, dict):
            return Unknown(answer.fault or "unreadable_answer", answer.http_status)
        count = taken_count(document, sent)
        return Accepted(list_id, None, answer.http_status, None if count == len(sent.rows) else count)

    def _add(self, list_id: str, action: str, body: msgspec.Struct, sent: Sent) -> Answer | Outcome:
        reply = self._calls.write(
            f"{_LISTS}/{list_id}/{action}",
            msgspec.json.encode(body),
            endpoint=f"{_LIST}/{action}",
            limit_bytes=WHOLE_LIST_LIMIT_BYTES,
        )
        answer = _answer(reply, sent)
        if isinstance(answer, Refused) and answer.http_status == 404:
            self._forget_list(list_id)
        return answer

    # --- Lists that are known ---

    def _list_id(self, call: Call) -> str | None:
        with self._remembering:
            return self._list_ids.get(call.name)

    def _remember(self, marker: str, listed: dict[str, str]) -> tuple[str, ...]:
        """Ids of the lists with that marker, the one that is filled first."""
        with self._remembering:
            known = {list_id: name for name, list_id in self._list_ids.items() if f"[{marker}]" in name}
            for list_id, name in listed.items():
                self._list_ids.setdefault(name, list_id)
            return tuple(known | listed)

    def _forget_list(self, list_id: str) -> None:
        with self._remembering:
            self._list_ids = {name: known for name, known in self._list_ids.items() if known != list_id}

    def _whole(self, list_id: str) -> WholeList | CannotAsk:
        answer = self._calls.read(f"{_LISTS}/{list_id}", endpoint=_LIST, limit_bytes=WHOLE_LIST_LIMIT_BYTES)
        if isinstance(answer, CannotAsk):
            return answer
        whole = decoded_as(answer, WholeList)
        if isinstance(whole, WholeList) and whole.id.lower() != list_id.lower():
            return CannotAsk("unreadable_answer", answer.http_status)
        return whole

    def _raise_for(self, failure: CannotAsk) -> NoReturn:
        status, advice = failure.http_status, self._calls.key_advice
        if status in {400, 401, 403}:
            raise RefusedByApi(
                f"Lance does not accept the key (HTTP {status}): {advice}; keys are session tokens that end, so let "
                "api_key_file or api_key_command give a fresh one"
            )
        if status in {404, 405} or failure.reason == "redirected":
            raise ApiUnreachable(f"base_url is not the address of Lance's API (HTTP {status}): check it")
        message = f"Lance could not be asked whose key it is ({seen_text(failure)}): check base_url and the network"
        raise RefusedByApi(message) if failure.reason == "refused" else ApiUnreachable(f"{message}, run again")


# --- Settings ---------------------------------------------------------------------------------------------------------


def _refuse_what_is_missing(settings: Settings) -> None:
    paid = [name for name in ("enrich", "validate_email", "reveal_phone_numbers") if getattr(settings, name)]
    faults = [f"`{name}` is on, and Lance's lists have no such option: take it out" for name in paid]
    if settings.list_type != "auto":
        faults.append("`list_type` is for Amplemarket: take it out; `lance_list_type` says `person` or `company`")
    if settings.extra_fields:
        faults.append("`extra_fields` is set, and Lance's lists have no place for further fields: take it out")
    if faults:
        raise SettingsError("settings: " + "; ".join(faults))


# --- Answers ----------------------------------------------------------------------------------------------------------


def _answer(reply: Reply, sent: Sent) -> Answer | Outcome:
    """A 2xx as it came, anything else as what it means."""
    match reply:
        case NotSent() | Unknown():
            return reply
        case Answer(http_status=status) if 200 <= status < 300:
            return reply
        case Answer():
            return outcome_of_failure(reply, sent)
        case _:
            assert_never(reply)
