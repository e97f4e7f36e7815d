"""One class is all that the sandbox needs to speak a further API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from target_amplemarket.sandbox import running_sandbox, switches_from
from target_amplemarket.sandbox.api import Api, Endpoint, ShownList
from target_amplemarket.sandbox.exchange import Answer, Ask, Committed, Pending, json_answer
from target_amplemarket.sandbox.journal import Commit
from target_amplemarket.sandbox.store import LeadStore
from target_amplemarket.sandbox.switches import APIS

from .client import Client, people
from .lance import LISTS
from .test_transport import connected

if TYPE_CHECKING:
    from target_amplemarket.sandbox.world import World


class Tiny(Api):
    """Lists are named in the path, and made of whatever the body holds."""

    name = "tiny"
    title = "Tiny"
    root = "/tiny"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.shown: list[ShownList] = []

    def error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        return json_answer(status, {"wrong": message}, headers)

    def make(self, ask: Ask) -> Pending:
        leads = msgspec.json.decode(ask.body, type=list[msgspec.Raw])

        def commit(now_s: float) -> Committed:
            name, store, journal = ask.params["name"], LeadStore(leads), self.world.journal
            journal.commits.append(
                Commit(
                    number=journal.next_number,
                    api=self.name,
                    kind="create",
                    list_id=name,
                    name=name,
                    type="any",
                    at_s=now_s,
                    request_number=ask.number,
                    leads=store,
                )
            )
            self.shown.append(ShownList(self.title, name, name, "me", "any", "completed", len(store), now_s))
            return Committed(json_answer(201, {"id": name}), name)

        return Pending(commit)

    def tell(self, _: Ask) -> Answer:
        return json_answer(200, [one.name for one in self.shown])

    def lists(self) -> list[ShownList]:
        return self.shown

    endpoints: ClassVar[Any] = (
        Endpoint("POST", "/tiny/{name}", make, "create"),
        Endpoint("GET", "/tiny", tell, "listing"),
    )


def test_it_stands_beside_the_others() -> None:
    client = Client(apis=(*APIS, Tiny))
    assert client.call("POST", "/tiny/fair", people(2)).status == 201
    assert client.get("/tiny").json == ["fair"]
    assert client.get("/users").status == 200
    assert client.get(LISTS).json == []
    assert client.get("/tiny/no/such").json == {"wrong": "The requested resource does not exist."}
    assert client.call("PUT", "/tiny").headers["allow"] == "GET"
    assert client.call("GET", "/tiny", key=None).status == 401
    assert client.commits()[0].leads.all() == people(2)
    assert client.get("/_sandbox/log").json["commits"][0]["api"] == "tiny"
    assert client.get("/_sandbox/state").json["lists"] == 1


def test_faults_strike_it_too() -> None:
    client = Client(apis=(*APIS, Tiny))
    client.world.set(
        {"faults": "server_error_after_commit:times=1; listing_error:times=1; server_error:endpoint=/tiny"}
    )
    assert client.call("POST", "/tiny/fair", []).json == {"wrong": "Something went wrong."}
    assert client.get("/tiny").status == 503
    assert client.get("/tiny").status == 500
    assert len(client.commits()) == 1


def test_the_page_shows_its_lists() -> None:
    client = Client(apis=(*APIS, Tiny))
    client.call("POST", "/tiny/fair", people(2))
    assert "Tiny, any, me" in client.call("GET", "/", key=None).body.decode()
    assert "person-1</td>" in client.call("GET", "/_sandbox/lists/fair", key=None).body.decode()


def test_it_may_stand_alone() -> None:
    client = Client(apis=(Tiny,))
    assert client.get("/users").json == {"wrong": "The requested resource does not exist."}
    assert client.get("/_sandbox/openapi.yaml").status == 404
    assert client.call("POST", "/_sandbox/reset").json["lists"] == 0


def test_it_is_served() -> None:
    with running_sandbox(switches_from({}), apis=(Tiny,)) as sandbox, connected(sandbox) as connection:
        connection.request("POST", "/tiny/fair", msgspec.json.encode(people(2)), {"Authorization": "Bearer x"})
        assert connection.getresponse().status == 201
        (arrived,) = sandbox.log()
        assert (arrived.api, arrived.leads, arrived.persons) == ("tiny", people(2), people(2))
