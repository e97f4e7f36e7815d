"""Parrot, a made-up API: a list is made by one call, and takes 1,000 leads with each further one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Self

import msgspec
import pyarrow as pa

from target_amplemarket.config import Settings
from target_amplemarket.errors import ApiUnreachable
from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.services.calls import Calls, Surroundings, decoded_as
from target_amplemarket.services.documents import decoded, member, safe_id
from target_amplemarket.services.entries import EntryRow, entry_table
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
    RefusalKind,
    Refused,
    Unknown,
)
from target_amplemarket.services.replies import Answer, Reply
from target_amplemarket.services.statuses import KIND_OF_STATUS, without_verdict

FIELDS = ("email", "first_name", "last_name", "company_name")


class _Fill(msgspec.Struct):
    name: str
    leads: list[dict[str, Any]]


class _Row(msgspec.Struct):
    id: str
    name: str


class Parrot:
    """`Service` over Parrot's API."""

    name = "parrot"
    max_leads_per_list = 10_000
    max_leads_per_call = 1_000
    adds_to_lists = True
    has_owners = False
    has_exclusions = False
    default_base_url = None

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()

    @classmethod
    def intake(cls, settings: Settings) -> Intake:  # it has no settings of its own
        return Intake(FIELDS, (Route("email", (("email",),)),), takes_further_fields=False)

    @classmethod
    def open(cls, settings: Settings, given: Surroundings) -> Self:
        return cls(Calls(settings, settings.base_url or "", given))

    @property
    def requests(self) -> Mapping[str, int]:
        return self._calls.made

    def account(self) -> Account:
        document = self._calls.read_account("/parrot/me")
        if isinstance(document, CannotAsk):
            raise ApiUnreachable("Parrot does not say whose key it is")
        return Account(safe_id(document.get("id")) or "", None)

    def owners(self) -> frozenset[str]:
        return frozenset()

    def exclusions(self) -> Exclusions:
        nobody = pa.array([], pa.string())
        return Exclusions(nobody, nobody)

    def encode(self, request: ListRequest, leads: pa.Table) -> bytes:
        return msgspec.json.encode(_Fill(request.name, leads.select(FIELDS).to_pylist()))

    def send(self, body: bytes) -> Outcome:
        fill = msgspec.json.decode(body, type=_Fill)
        if fill.name not in self._ids:
            made = self._calls.write("/parrot/lists", msgspec.json.encode({"name": fill.name}))
            list_id = _usable_id(made)
            if list_id is None:
                return _outcome(made)
            with self._lock:
                self._ids[fill.name] = list_id
        list_id = self._ids[fill.name]
        path, endpoint = f"/parrot/lists/{list_id}/leads", "/parrot/lists/{id}/leads"
        added = self._calls.write(path, msgspec.json.encode(fill.leads), endpoint=endpoint)
        count = member(decoded(added.body), "added") if isinstance(added, Answer) else None
        return Accepted(list_id, None, 200, count) if isinstance(count, int) else _outcome(added)

    def confirm(self, marker: str) -> Confirmation:
        answer = self._calls.read("/parrot/lists")
        rows = answer if isinstance(answer, CannotAsk) else decoded_as(answer, list[_Row])
        if isinstance(rows, CannotAsk):
            return rows
        found = {row.name: row.id for row in rows if f"[{marker}]" in row.name}
        with self._lock:
            self._ids |= found
        return Found(tuple(found.values()), (None,) * len(found)) if found else Absent()

    def list_state(self, list_id: str) -> ListState | CannotAsk:
        answer = self._calls.read(f"/parrot/lists/{list_id}/leads", endpoint="/parrot/lists/{id}/leads")
        return answer if isinstance(answer, CannotAsk) else ListState("completed", None)

    def entries(self, list_id: str) -> Iterator[EntryPage | CannotAsk]:
        answer = self._calls.read(f"/parrot/lists/{list_id}/leads", endpoint="/parrot/lists/{id}/leads")
        rows = answer if isinstance(answer, CannotAsk) else decoded_as(answer, list[EntryRow])
        yield rows if isinstance(rows, CannotAsk) else EntryPage(ListState("completed", None), entry_table(rows))

    def close(self) -> None:
        self._calls.close()


def _usable_id(reply: Reply) -> str | None:
    is_made = isinstance(reply, Answer) and 200 <= reply.http_status < 300
    return safe_id(member(decoded(reply.body), "id")) if is_made and isinstance(reply, Answer) else None


def _outcome(reply: Reply) -> Outcome:
    match reply:
        case NotSent() | Unknown():
            return reply
        case Answer(http_status=status) if 200 <= status < 300:
            return Unknown("unreadable_answer", status)
        case Answer(http_status=status):
            return without_verdict(reply) or Refused(KIND_OF_STATUS.get(status, RefusalKind.REQUEST), status)
