"""The way of one API call: who asks, how often, which fault strikes, what is answered, what is committed."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.routing import compile_path

from target_amplemarket.sandbox import endpoints, exclusions, listing
from target_amplemarket.sandbox.answers import Answer, error_answer, refusal, retry_after
from target_amplemarket.sandbox.endpoints import Ask, Committed, Endpoint, Pending
from target_amplemarket.sandbox.problems import Problem, bad_parameter
from target_amplemarket.sandbox.strikes import PARTIAL, answer_before_commit, changed_answer
from target_amplemarket.sandbox.transport import ClientLeftError, Connection

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from target_amplemarket.sandbox.account import Account
    from target_amplemarket.sandbox.faults import Fault
    from target_amplemarket.sandbox.journal import RequestSeen

ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "/account-info": {"GET": endpoints.account_info},
    "/users": {"GET": endpoints.list_users},
    "/lead-lists": {"GET": listing.list_lists, "POST": endpoints.create_list},
    "/lead-lists/{id}": {"GET": endpoints.read_list},
    "/lead-lists/{id}/leads": {"POST": endpoints.add_leads},
    "/excluded-domains": {
        "GET": exclusions.show("domain"), "POST": exclusions.put("domain"), "DELETE": exclusions.take("domain"),
    },
    "/excluded-emails": {
        "GET": exclusions.show("email"), "POST": exclusions.put("email"), "DELETE": exclusions.take("email"),
    },
}  # fmt: skip
_SECRET = re.compile(r"auth|key|cookie|token|secret", re.IGNORECASE)
_PAGES = {"page[size]", "page[after]", "page[before]"}
PARAMETERS: dict[str, set[str]] = {
    "GET /users": _PAGES | {"status", "role", "email"},
    "GET /lead-lists": _PAGES | set(listing.FILTERS),
    "GET /lead-lists/{id}": _PAGES,
    "GET /excluded-domains": _PAGES | {"size"},
    "GET /excluded-emails": _PAGES | {"size"},
}
_PATTERNS = [(template, compile_path(template)[0]) for template in ENDPOINTS]


@dataclass(frozen=True)
class Call:
    """A request line and what it asks for."""

    method: str
    path: str
    query: Mapping[str, str]
    key: str | None
    template: str | None
    params: Mapping[str, str]

    @property
    def endpoint(self) -> str:
        """`POST /lead-lists/{id}/leads`, as faults name it."""
        return f"{self.method} {self.template}"


class Gate:
    """The API as an ASGI application."""

    def __init__(self, account: Account, stopping: asyncio.Event) -> None:
        self._account = account
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        call = _read_call(scope)
        account = self._account
        query = scope["query_string"].decode("latin-1")
        seen = account.journal.see(call.method, call.path + (f"?{query}" if query else ""), account.now_s())
        try:
            await self._serve(call, connection, seen)
        except ClientLeftError:
            seen.fault = seen.fault or "client_left"
        finally:
            seen.body_bytes = connection.body_bytes
            account.journal.keep_content(seen.number, _shown_headers(scope), connection.body_head)

    async def _serve(self, call: Call, connection: Connection, seen: RequestSeen) -> None:
        account = self._account
        await asyncio.sleep(account.latency_s())
        refused, headers = self._refuse(call)
        if refused:
            await connection.read_body()
            await self._answer(connection, refused, seen)
            return
        fault = account.plan.strike(call.endpoint)
        seen.fault = fault.kind if fault else None
        if fault and await self._ends_before_commit(call, connection, fault, seen):
            return
        ask = Ask(seen.number, call.params, call.query, await connection.read_body(), fault)
        account.settle()
        outcome = self._unfit(call, ask) or _endpoint(call)(account, ask)
        await self._finish(connection, outcome, fault, seen, headers)

    def _unfit(self, call: Call, ask: Ask) -> Answer | None:
        """The refusal of a call that no endpoint would take, whatever it holds."""
        limit = self._account.switches.body_limit_bytes
        if limit is not None and len(ask.body) > limit:
            return error_answer(413, [Problem("payload_too_large", f"Request body exceeds {limit:,} bytes.")])
        unknown = call.query.keys() - PARAMETERS.get(call.endpoint, set())
        if unknown and self._account.switches.unknown_parameters == "reject":
            return error_answer(400, [bad_parameter(name, call.query[name]) for name in sorted(unknown)[:1]])
        return None

    def _refuse(self, call: Call) -> tuple[Answer | None, dict[str, str]]:
        """The refusal of a call that gets no further, and the limit's headers for one that does."""
        account, switches = self._account, self._account.switches
        if not call.key or (switches.api_key is not None and call.key != switches.api_key):
            problem = Problem(switches.unauthorized_code, "The API key is missing or not valid.")
            challenge = {"WWW-Authenticate": "Bearer"} if switches.unauthorized_status == "401" else {}
            return refusal(int(switches.unauthorized_status), switches.unauthorized_body, problem, challenge), {}
        now_s = account.now_s()
        verdict = account.limiter.ask(call.key if switches.rate_counts == "key" else "", now_s, switches)
        headers: dict[str, str] = {}
        if switches.rate_limit_headers:
            numbers = (switches.requests_per_minute, verdict.remaining, math.ceil(verdict.wait_s))
            headers = dict(
                zip((f"X-RateLimit-{name}" for name in ("Limit", "Remaining", "Reset")), map(str, numbers), strict=True)
            )
        if not verdict.is_allowed:
            headers |= retry_after(switches.rate_limit_retry_after, verdict.wait_s, now_s)
            problem = Problem(switches.rate_limit_code, "Too many requests.")
            return refusal(429, switches.rate_limit_body, problem, headers), {}
        if call.template is None:
            return endpoints.not_found(account), {}
        if call.method not in ENDPOINTS[call.template]:
            allowed = {"Allow": ", ".join(ENDPOINTS[call.template])}
            return error_answer(405, [Problem("method_not_allowed", "The method is not allowed here.")], allowed), {}
        return None, headers

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
                answer = answer_before_commit(fault, call.path, self._account)
                if answer is None:
                    return False
                await connection.read_body()
                await self._answer(connection, answer, seen)
        return True

    async def _finish(
        self,
        connection: Connection,
        outcome: Answer | Pending,
        fault: Fault | None,
        seen: RequestSeen,
        headers: Mapping[str, str],
    ) -> None:
        if fault and fault.kind == "late_commit":
            await self._finish_late(connection, outcome, fault, seen)
            return
        answer = (
            self._committed(outcome, seen, self._account.now_s()).answer if isinstance(outcome, Pending) else outcome
        )
        answer = Answer(answer.status, answer.body, {**answer.headers, **headers}, answer.media_type)
        if fault and fault.kind in PARTIAL:
            await self._answer_badly(connection, answer, fault, seen)
        else:
            await self._answer(connection, changed_answer(answer, fault), seen)

    async def _finish_late(
        self, connection: Connection, outcome: Answer | Pending, fault: Fault, seen: RequestSeen
    ) -> None:
        if isinstance(outcome, Pending):
            pending = outcome
            due_s = self._account.now_s() + fault.number("seconds")
            self._account.commit_later(due_s, lambda now_s: self._committed(pending, seen, now_s))
        await self._end(connection, fault.word("then"))

    def _committed(self, pending: Pending, seen: RequestSeen, now_s: float) -> Committed:
        done = pending.commit(now_s)
        seen.is_committed, seen.list_id = True, done.list_id
        return done

    async def _answer(self, connection: Connection, answer: Answer, seen: RequestSeen) -> None:
        seen.status = answer.status
        await connection.answer(answer, self._account.switches.media_type)

    async def _answer_badly(self, connection: Connection, answer: Answer, fault: Fault, seen: RequestSeen) -> None:
        """Deliver a part of the answer, or nothing; the work itself is done."""
        media_type = self._account.switches.media_type
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


def _read_call(scope: Scope) -> Call:
    path = scope["path"]
    header = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
    scheme, _, key = header.partition(" ")
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    template, params = None, {}
    for candidate, pattern in _PATTERNS:
        if found := pattern.match(path):
            template, params = candidate, found.groupdict()
            break
    return Call(scope["method"], path, query, key.strip() if scheme.lower() == "bearer" else None, template, params)


def _shown_headers(scope: Scope) -> list[tuple[str, str]]:
    """Headers as they came, without those that open something."""
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return [(name, value) for name, value in pairs if not _SECRET.search(name)]


def _endpoint(call: Call) -> Endpoint:
    return ENDPOINTS[call.template or ""][call.method]
