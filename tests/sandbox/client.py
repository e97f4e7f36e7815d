"""Calls the sandbox's application in-process, with a clock that stands still until it is moved."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from target_amplemarket.sandbox import create_app, switches_from
from target_amplemarket.sandbox.switches import APIS

START_S = 1_780_000_000.0
OWNER = "dana@northwind.example"
LINKEDIN = "https://www.linkedin.com/in/"


@dataclass
class StillClock:
    now_s: float = START_S

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def errors(self) -> list[dict[str, Any]]:
        assert self.json["object"] == "error"
        return self.json["_errors"]

    @property
    def pointer(self) -> str | None:
        return self.errors[0].get("source", {}).get("pointer")


@dataclass
class Client:
    switches: dict[str, Any] = field(default_factory=dict)
    apis: tuple[Any, ...] = APIS

    def __post_init__(self) -> None:
        self.clock = StillClock()
        self.app = create_app(switches_from(self.switches), clock=self.clock, apis=self.apis)
        self.world = self.app.state.sandbox.world

    @property
    def amplemarket(self) -> Any:
        return self.world.api("amplemarket")

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = "amp_test", **headers: str) -> Reply:
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {"host": "localhost"} | ({"authorization": f"Bearer {key}"} if key else {}) | headers
        return asyncio.run(self._call(method, path, sent, named))

    async def _call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        parts = urlsplit(path)
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": parts.path,
            "query_string": parts.query.encode(), "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2), "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
        }  # fmt: skip
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return incoming.pop() if incoming else await asyncio.Future()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        reply_headers = {name.decode(): text.decode() for name, text in sent[0]["headers"]}
        return Reply(sent[0]["status"], reply_headers, b"".join(message.get("body", b"") for message in sent[1:]))

    def create(self, leads: list[Any] | None = None, *, free: bool = True, **members: Any) -> Reply:
        return self.call("POST", "/lead-lists", create_body(leads, free=free, **members))

    def add(self, list_id: str, leads: list[Any], **members: Any) -> Reply:
        return self.call("POST", f"/lead-lists/{list_id}/leads", {"leads": leads, **members})

    def get(self, path: str) -> Reply:
        return self.call("GET", path)

    def commits(self) -> list[Any]:
        self.world.settle()
        return self.world.journal.commits


FREE = {"reveal_phone_numbers": False, "validate_email": False, "enrich": False}
PAID = {"reveal_phone_numbers": True, "validate_email": True, "enrich": True}


def create_body(leads: list[Any] | None = None, *, free: bool = True, **members: Any) -> dict[str, Any]:
    options = {"options": FREE} if free else {}
    sent = people(1) if leads is None else leads
    return {"shared": True, "owner": OWNER, "type": "linkedin", "leads": sent, **options, **members}


def people(count: int, start: int = 0) -> list[dict[str, str]]:
    return [
        {"linkedin_url": f"{LINKEDIN}person-{number}", "crm_id": f"A-{number}"}
        for number in range(start, start + count)
    ]


def emails(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"email": f"person.{number}@north-{number}.example"} for number in range(start, start + count)]
