"""Control endpoints under `/_sandbox/`: what arrived, what was asked, and the switches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from target_amplemarket.sandbox.switch_values import switch_values

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from target_amplemarket.sandbox.journal import Commit
    from target_amplemarket.sandbox.world import World

LOG_PAGE = 100
_LOCAL_HOSTS = ("localhost", "::1")


class LoopbackOnly:
    """Refuses requests that name another host, or come from a page of one, so that no web page can reach in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if _is_local(f"//{headers.get('host', '')}") and (origin is None or _is_local(origin)):
            await self._app(scope, receive, send)
        else:
            refused = PlainTextResponse("Only for callers on this machine, under a loopback name.\n", 403)
            await refused(scope, receive, send)


def _is_local(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    parts = host.split(".")
    is_ipv4 = len(parts) == 4 and parts[0] == "127" and all(part.isdigit() for part in parts)
    return host in _LOCAL_HOSTS or is_ipv4


class Control:
    """The control endpoints of one sandbox."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Paths without their `/_sandbox` prefix."""
        return [
            Route("/log", self.log),
            Route("/log.jsonl", self.log_lines),
            Route("/requests", self.requests),
            Route("/switches", self.switches),
            Route("/switches", self.set_switches, methods=["PATCH"]),
            Route("/reset", self.reset, methods=["POST"]),
            Route("/advance", self.advance, methods=["POST"]),
            Route("/state", self.state),
            Route("/openapi.yaml", self.contract),
            Route("/tokens/{api}", self.token, methods=["POST"]),
        ]

    async def log(self, request: Request) -> Response:
        """Commits after number `since`, at most `limit`; `leads=false` leaves the leads out."""
        self._world.settle()
        try:
            since, limit = (
                max(0, int(request.query_params.get(*pair))) for pair in (("since", "0"), ("limit", str(LOG_PAGE)))
            )
        except ValueError:
            return _error("since and limit are whole numbers")
        commits = self._world.journal.since(since, limit)
        following = commits[-1].number if commits else since
        with_leads = request.query_params.get("leads") != "false"
        return StreamingResponse(_log_page(commits, following, with_leads), media_type="application/json")

    async def log_lines(self, request: Request) -> Response:
        """The whole commit log, one JSON object a line."""
        self._world.settle()
        try:
            since = int(request.query_params.get("since", "0"))
        except ValueError:
            return _error("since is a whole number")
        return StreamingResponse(_log_lines(self._world.journal.since(since)), media_type="application/jsonl")

    async def requests(self, _: Request) -> Response:
        """The last requests, oldest first."""
        self._world.settle()
        return _json({"requests": list(self._world.journal.requests)})

    async def switches(self, _: Request) -> Response:
        """Every switch as it stands."""
        return _json(switch_values(self._world.switches))

    async def set_switches(self, request: Request) -> Response:
        """Change the switches named in a JSON object."""
        try:
            changes = msgspec.json.decode(await request.body(), type=dict[str, Any])
            self._world.set(changes)
        except ValueError as reason:
            return _error(str(reason))
        return _json(switch_values(self._world.switches))

    async def reset(self, _: Request) -> Response:
        """Forget everything that happened; the switches stay."""
        self._world.reset()
        return self._state()

    async def advance(self, request: Request) -> Response:
        """Put the sandbox's time forward by `seconds`, so that nobody has to wait."""
        try:
            body = msgspec.json.decode(await request.body(), type=dict[str, float])
            self._world.advance(max(0.0, body["seconds"]))
        except (ValueError, KeyError):
            return _error('the body is {"seconds": number}')
        return self._state()

    async def state(self, _: Request) -> Response:
        """Counts, and what each API counts."""
        return self._state()

    async def contract(self, _: Request) -> Response:
        """The first OpenAPI text that an API keeps to."""
        for api in self._world.apis:
            if api.contract:
                return FileResponse(api.contract, media_type="application/yaml")
        return _json({"error": "there is no contract"}, 404)

    async def token(self, request: Request) -> Response:
        """A fresh token for an API, whose lifetime begins now."""
        try:
            token = self._world.api(request.path_params["api"]).issue_token()
        except KeyError:
            token = None
        if token is None:
            return _json({"error": "no API of this name issues tokens"}, 404)
        return _json({"token": token})

    def _state(self) -> Response:
        self._world.settle()
        return _json(self._world.state())


def _log_page(commits: list[Commit], following: int, with_leads: bool) -> Iterator[bytes]:
    yield b'{"commits":['
    for position, commit in enumerate(commits):
        if position:
            yield b","
        yield from commit.json_parts(with_leads=with_leads)
    yield b'],"next_since":%d}' % following


def _log_lines(commits: list[Commit]) -> Iterator[bytes]:
    for commit in commits:
        yield from commit.json_parts()
        yield b"\n"


def _json(document: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")


def _error(message: str) -> Response:
    return _json({"error": message}, 400)
