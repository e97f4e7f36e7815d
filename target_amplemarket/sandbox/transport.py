"""One connection: reading a body, answering, and ending badly on purpose.

`SandboxProtocol` lays the TCP transport beside each request, because ASGI itself knows no way to reset a connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from target_amplemarket.sandbox.exchange import Answer

_TRANSPORT = "sandbox_transport"
BODY_HEAD_BYTES = 8_192
"""So much of a request's body is kept for people to look at."""
_LINGER_NOT = struct.pack("ii", 1, 0)  # close with RST instead of FIN


class SandboxProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the transport in each request's `scope["state"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the base class
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class ClientLeftError(Exception):
    """The caller went away before its body was read."""


class Connection:
    """A request's connection, over ASGI and, where it must end badly, under it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport | None = scope.get("state", {}).get(_TRANSPORT)
        self.body_bytes = 0
        self.body_head = b""

    async def read_body(self, stop_after_bytes: int | None = None) -> bytes:
        """The request body, or what has come once more than `stop_after_bytes` have.

        Raises:
            ClientLeftError: The caller closed the connection first.
        """
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            parts.append(message.get("body", b""))
            self.body_bytes += len(parts[-1])
            self.body_head += parts[-1][: max(0, BODY_HEAD_BYTES - len(self.body_head))]
            is_enough = stop_after_bytes is not None and self.body_bytes > stop_after_bytes
            if is_enough or not message.get("more_body", False):
                return b"".join(parts)

    async def answer(self, answer: Answer, media_type: str) -> None:
        """Send the whole answer."""
        await self._start(answer, media_type)
        await self._send({"type": "http.response.body", "body": answer.body})

    async def answer_in_part(self, answer: Answer, media_type: str, kept_bytes: int) -> None:
        """Announce the whole answer, send only its first bytes, and close."""
        await self._start(answer, media_type)
        body = answer.body[: min(kept_bytes, max(0, len(answer.body) - 1))]
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        await self.close()

    async def drip(
        self, answer: Answer, media_type: str, piece_bytes: int, pause_s: float, stopping: asyncio.Event
    ) -> None:
        """Send the answer's body in pieces, with a pause before each."""
        await self._start(answer, media_type)
        for start in range(0, len(answer.body), max(1, piece_bytes)):
            if await _first(asyncio.sleep(pause_s), stopping.wait()) == 1:
                await self.reset()
                return
            piece = answer.body[start : start + max(1, piece_bytes)]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def hang(self, duration_s: float, stopping: asyncio.Event) -> None:
        """Say nothing until the caller leaves, the time is over or the server stops; then reset what is left."""
        if await _first(self._gone(), stopping.wait(), asyncio.sleep(duration_s)) != 0:
            await self.reset()

    async def reset(self) -> None:
        """End the connection with a TCP reset."""
        transport = self._open_transport()
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
        await self._gone()

    async def close(self) -> None:
        """End the connection in the orderly way, whatever is still owed."""
        self._open_transport().close()
        await self._gone()

    def _open_transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise ConnectionResetError("this fault needs the sandbox's own server, not an in-process call")
        return self._transport

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _start(self, answer: Answer, media_type: str) -> None:
        headers = {"Content-Type": answer.media_type or media_type, **answer.headers}
        if answer.status not in (204, 304):
            headers["Content-Length"] = str(len(answer.body))
        if answer.status == 204:
            headers.pop("Content-Type")
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": raw})


async def _first(*waits: Awaitable[Any] | Coroutine[Any, Any, Any]) -> int:
    """The position of what ends first; the rest is cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return min(tasks.index(task) for task in done)
