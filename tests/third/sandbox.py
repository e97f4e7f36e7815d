"""Parrot as the sandbox speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from target_amplemarket.sandbox.api import Api, Endpoint
from target_amplemarket.sandbox.exchange import Answer, Ask, Committed, Pending, json_answer
from target_amplemarket.sandbox.journal import Commit
from target_amplemarket.sandbox.store import LeadStore

if TYPE_CHECKING:
    from target_amplemarket.sandbox.world import World


class ParrotApi(Api):
    """Lists by name, leads by e-mail."""

    name = "parrot"
    title = "Parrot"
    root = "/parrot"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.names: dict[str, str] = {}
        self.people: dict[str, dict[str, dict[str, Any]]] = {}

    def error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        return json_answer(status, {"wrong": message}, headers)

    def me(self, _: Ask) -> Answer:
        return json_answer(200, {"id": "polly"})

    def make(self, ask: Ask) -> Pending:
        name = msgspec.json.decode(ask.body)["name"]

        def commit(now_s: float) -> Committed:
            list_id = f"list-{len(self.names) + 1}"
            self.names[list_id], self.people[list_id] = name, {}
            self._log("create", list_id, [], now_s, ask)
            return Committed(json_answer(201, {"id": list_id}), list_id)

        return Pending(commit)

    def add(self, ask: Ask) -> Pending | Answer:
        list_id, leads = ask.params["id"], msgspec.json.decode(ask.body)
        if len(leads) > 1_000:
            return self.error(413, "At most 1,000 leads a call.")

        def commit(now_s: float) -> Committed:
            before = len(self.people[list_id])
            for lead in leads:
                self.people[list_id].setdefault(lead["email"], lead)
            self._log("add", list_id, leads, now_s, ask)
            return Committed(json_answer(200, {"added": len(self.people[list_id]) - before}), list_id)

        return Pending(commit)

    def tell(self, _: Ask) -> Answer:
        return json_answer(200, [{"id": list_id, "name": name} for list_id, name in self.names.items()])

    def read(self, ask: Ask) -> Answer:
        people = self.people[ask.params["id"]].values()
        return json_answer(200, [{"id": f"entry-{n}", "email": lead["email"]} for n, lead in enumerate(people)])

    def _log(self, kind: str, list_id: str, leads: list[Any], now_s: float, ask: Ask) -> None:
        store, journal = LeadStore([msgspec.Raw(msgspec.json.encode(lead)) for lead in leads]), self.world.journal
        journal.commits.append(
            Commit(
                number=journal.next_number, api=self.name, kind=kind, list_id=list_id, name=self.names[list_id],
                type="email", at_s=now_s, request_number=ask.number, leads=store,
            )
        )  # fmt: skip

    endpoints: ClassVar[Any] = (
        Endpoint("GET", "/parrot/me", me),
        Endpoint("POST", "/parrot/lists", make, "create"),
        Endpoint("GET", "/parrot/lists", tell, "listing"),
        Endpoint("POST", "/parrot/lists/{id}/leads", add, "add"),
        Endpoint("GET", "/parrot/lists/{id}/leads", read, "reading"),
    )
