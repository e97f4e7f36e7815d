"""The way of one API call: who asks, how often, which fault strikes, what is answered, what is committed."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from target_amplemarket.sandbox.api import Api, Endpoint, Place
from target_amplemarket.sandbox.exchange import Answer, Ask, Committed, Pending, retry_after
from target_amplemarket.sandbox.strikes import PARTIAL, answer_before_commit, changed_answer, fault_error
from target_amplemarket.sandbox.transport import ClientLeftError, Connection

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from target_amplemarket.sandbox.faults import Fault
    from target_amplemarket.sandbox.journal import RequestSeen
    from target_amplemarket.sandbox.world import World

_SECRET = re.compile(r"auth|key|cookie|token|secret", re.IGNORECASE)


@dataclass(frozen=True)
class Call:
    """A request line, and what it names."""

    method: str
    path: str
    query: Mapping[str, str]
    token: str
    place: Place

    @property
    def api(self) -> Api:
        """Whom it asks."""
        return self.place.api


class Gate:
    """Every API of a sandbox as one ASGI application."""

    def __init__(self, world: World, stopping: asyncio.Event) -> None:
        self._world = world
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        world = self._world
        call = _read_call(scope, world)
        query = scope["query_string"].decode("latin-1")
        seen = world.journal.see(call.method, call.path + (f"?{query}" if query else ""), world.now_s())
        try:
            await self._serve(call, connection, seen)
        except ClientLeftError:
            seen.fault = seen.fault or "client_left"
        finally:
            seen.body_bytes = connection.body_bytes
            world.journal.keep_content(seen.number, _shown_headers(scope), connection.body_head)

    async def _serve(self, call: Call, connection: Connection, seen: RequestSeen) -> None:
        world = self._world
        await asyncio.sleep(world.latency_s())
        endpoint, headers = self._admit(call)
        if isinstance(endpoint, Answer):
            await connection.read_body()
            await self._answer(connection, endpoint, seen)
            return
        fault = world.plan.strike(endpoint)
        seen.fault = fault.kind if fault else None
        if fault and await self._ends_before_commit(call, connection, fault, seen):
            return
        ask = Ask(seen.number, call.place.params, call.query, await connection.read_body(), fault)
        world.settle()
        outcome = self._too_large(call.api, ask) or endpoint.answer(call.api, ask)
        await self._finish(call.api, connection, outcome, fault, seen, headers)

    def _too_large(self, api: Api, ask: Ask) -> Answer | None:
        limit = self._world.switches.body_limit_bytes
        is_over = limit is not None and len(ask.body) > limit
        return api.error(413, f"Request body exceeds {limit:,} bytes.") if is_over else None

    def _admit(self, call: Call) -> tuple[Endpoint | Answer, dict[str, str]]:
        """The endpoint of a call that gets so far, with the limit's headers; else its refusal."""
        api, endpoint = call.api, call.place.endpoint
        if not (endpoint and endpoint.is_open) and (refused := api.authorize(call.token)):
            return refused, {}
        refused, headers = self._within_limit(call)
        if refused:
            return refused, {}
        if endpoint:
            return endpoint, headers
        if call.place.methods:
            return api.error(405, "The method is not allowed here.", {"Allow": ", ".join(call.place.methods)}), {}
        return api.error(404, "The requested resource does not exist."), {}

    def _within_limit(self, call: Call) -> tuple[Answer | None, dict[str, str]]:
        """A 429 for a call over the limit, and the limit's headers for one that is not."""
        api, switches, now_s = call.api, self._world.switches, self._world.now_s()
        limit = api.requests_per_minute
        consumer = f"{api.name} {call.token if switches.rate_counts == 'key' else ''}"
        verdict = self._world.limiter.ask(consumer, now_s, limit, is_fixed=switches.rate_window == "fixed")
        headers: dict[str, str] = {}
        if limit and switches.rate_limit_headers:
            numbers = (limit, verdict.remaining, math.ceil(verdict.wait_s))
            headers = dict(
                zip((f"X-RateLimit-{name}" for name in ("Limit", "Remaining", "Reset")), map(str, numbers), strict=True)
            )
        if verdict.is_allowed:
            return None, headers
        headers |= retry_after(switches.rate_limit_retry_after, verdict.wait_s, now_s)
        return api.error(429, "Too many requests.", headers), {}

    async def _ends_before_commit(self, call: Call, connection: Connection, fault: Fault, seen: RequestSeen) -> bool:
        """Carry out a fault that leaves nothing committed; False if the fault is of another sort."""
        match fault.kind:
            case "reset_before_reading":
                await connection.reset()
            case "reset_mid_body":
                await connection.read_body(stop_after_bytes=int(fault.number("bytes")))
                await connection.reset()
            case "hang":
                await connection.read_body()
                await connection.hang(fault.number("seconds"), self._stopping)
            case _:
                answer = answer_before_commit(fault, call.path, call.api)
                if answer is None:
                    return False
                await connection.read_body()
                await self._answer(connection, answer, seen)
        return True

    async def _finish(
        self,
        api: Api,
        connection: Connection,
        outcome: Answer | Pending,
        fault: Fault | None,
        seen: RequestSeen,
        headers: Mapping[str, str],
    ) -> None:
        if fault and fault.kind == "late_commit":
            if isinstance(outcome, Pending):
                pending = outcome
                due_s = self._world.now_s() + fault.number("seconds")
                self._world.commit_later(due_s, lambda now_s: self._committed(pending, seen, now_s))
            await self._fail(api, connection, fault, seen)
            return
        if fault and fault.kind == "commit_in_part" and isinstance(outcome, Pending):
            part = outcome.part(fault.number("percent") / 100) if outcome.part else outcome
            self._committed(part, seen, self._world.now_s())
            await self._fail(api, connection, fault, seen)
            return
        answer = self._committed(outcome, seen, self._world.now_s()) if isinstance(outcome, Pending) else outcome
        answer = Answer(answer.status, answer.body, {**answer.headers, **headers}, answer.media_type)
        if fault and fault.kind in PARTIAL:
            await self._answer_badly(connection, answer, fault, seen)
        else:
            await self._answer(connection, changed_answer(answer, fault, api), seen)

    async def _fail(self, api: Api, connection: Connection, fault: Fault, seen: RequestSeen) -> None:
        """End a call as its fault says, whatever was committed."""
        then = fault.word("then")
        if then == "error":
            await self._answer(connection, fault_error(fault, api), seen)
        else:
            await self._end(connection, then)

    def _committed(self, pending: Pending, seen: RequestSeen, now_s: float) -> Answer:
        done: Committed = pending.commit(now_s)
        seen.is_committed, seen.list_id = done.is_done, done.list_id
        return done.answer

    async def _answer(self, connection: Connection, answer: Answer, seen: RequestSeen) -> None:
        seen.status = answer.status
        await connection.answer(answer, self._world.switches.media_type)

    async def _answer_badly(self, connection: Connection, answer: Answer, fault: Fault, seen: RequestSeen) -> None:
        """Deliver a part of the answer, or nothing; the work itself is done."""
        media_type = self._world.switches.media_type
        match fault.kind:
            case "truncated_answer":
                seen.status = answer.status
                await connection.answer_in_part(answer, media_type, int(fault.number("bytes")))
            case "drip":
                seen.status = answer.status
                piece_bytes, pause_s = int(fault.number("bytes")), fault.number("seconds")
                await connection.drip(answer, media_type, piece_bytes, pause_s, self._stopping)
            case "hang_after_commit":
                await connection.hang(fault.number("seconds"), self._stopping)
            case _:
                await self._end(connection, "reset" if fault.kind == "reset_after_commit" else "close")

    async def _end(self, connection: Connection, then: str) -> None:
        match then:
            case "hang":
                await connection.hang(float("inf"), self._stopping)
            case "close":
                await connection.close()
            case _:
                await connection.reset()


def _read_call(scope: Scope, world: World) -> Call:
    method, path = scope["method"], scope["path"]
    header = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
    scheme, _, token = header.partition(" ")
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    place = world.directory.find(method, path)
    return Call(method, path, query, token.strip() if scheme.lower() == "bearer" else "", place)


def _shown_headers(scope: Scope) -> list[tuple[str, str]]:
    """Headers as they came, without those that open something."""
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return [(name, value) for name, value in pairs if not _SECRET.search(name)]
