"""The local API that everything is sent to: it answers at once, or after a set latency, and counts.

Every create call is answered 202 with an id as the API does; then its leads are decoded and the 64-bit hash of each
one's identity is kept, so that the benchmark can tell whether everybody arrived, and once. Its CPU time is nobody's.

`GET /_sink/counts` tells what arrived, `POST /_sink/reset` forgets it and sets `latency_s` and `refuses_over`: a list
with a lead whose `Description` is longer is refused as a whole, and no pointer tells which lead it was.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from array import array
from typing import Any, Final

import msgspec
import numpy as np

OWNER: Final = "owner@northwind.example"

_ANSWERS: Final[dict[tuple[str, str], Any]] = {
    ("GET", "/account-info"): {"id": "0193f0a0-0000-7000-8000-000000000001", "name": "Northwind"},
    ("GET", "/users"): {
        "users": [{"id": "0193f0a0-0000-7000-8000-000000000002", "email": OWNER, "status": "active", "role": "admin"}],
        "_links": {"self": {"href": "/users"}},
    },
    ("GET", "/excluded-emails"): {"excluded_emails": [], "_links": {"self": {"href": "/excluded-emails"}}},
    ("GET", "/excluded-domains"): {"excluded_domains": [], "_links": {"self": {"href": "/excluded-domains"}}},
    ("GET", "/lead-lists"): {"lead_lists": [], "_links": {"self": {"href": "/lead-lists"}}},
}
_REFUSAL: Final = {
    "object": "error",
    "_errors": [{"code": "unsupported_value", "title": "Unsupported value", "detail": "Unsupported value provided."}],
}
_PHRASES: Final = {200: "OK", 400: "Bad Request", 202: "Accepted", 404: "Not Found"}


class _Lead(msgspec.Struct, gc=False):
    linkedin_url: str | None = None
    email: str | None = None
    title: str | None = None
    company_name: str | None = None
    company_domain: str | None = None
    description: str = msgspec.field(name="Description", default="")

    def identity(self) -> object:
        return self.linkedin_url or self.email or (self.title, self.company_name, self.company_domain)


class _Create(msgspec.Struct):
    leads: list[_Lead]


_decoder = msgspec.json.Decoder(_Create)


class Sink:
    """What arrived."""

    def __init__(self) -> None:
        self.reset({})

    def reset(self, changes: dict[str, float]) -> None:
        self.latency_s = changes.get("latency_s", 0.0)
        self.refuses_over = changes.get("refuses_over") or math.inf
        self.refused = 0
        self.lists = self.leads = self.requests = self.largest_list = 0
        self._identities = array("q")
        self._first_s = self._last_s = 0.0

    def counts(self) -> dict[str, float]:
        return {
            "requests": self.requests,
            "refused": self.refused,
            "lists": self.lists,
            "leads": self.leads,
            "distinct": int(np.unique(np.frombuffer(self._identities, np.int64)).size) if self.leads else 0,
            "largest_list": self.largest_list,
            "seconds": self._last_s - self._first_s,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side closes it."""
        try:
            while head := await _head(reader):
                method, path, length = head
                body = await reader.readexactly(length)
                await self._answer(writer, method, path, body)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, method: str, path: str, body: bytes) -> None:
        if path == "/_sink/counts":
            await _write(writer, 200, self.counts())
        elif path == "/_sink/reset":
            self.reset(msgspec.json.decode(body or b"{}"))
            await _write(writer, 200, {})
        elif (method, path) == ("POST", "/lead-lists"):
            await self._create(writer, body)
        else:
            self.requests += 1
            answer = _ANSWERS.get((method, path))
            await _write(writer, 404 if answer is None else 200, answer or {})

    async def _create(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        self.requests += 1
        self._first_s = self._first_s or time.monotonic()
        leads = _decoder.decode(body).leads
        if any(len(lead.description) > self.refuses_over for lead in leads):
            self.refused += 1
            await _write(writer, 400, _REFUSAL)
            return
        self.lists += 1
        number = self.lists
        self.leads += len(leads)
        self.largest_list = max(self.largest_list, len(leads))
        self._identities.extend(hash(lead.identity()) for lead in leads)
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        list_id = f"0193f0a0-0000-7000-9000-{number:012x}"
        await _write(writer, 202, {"id": list_id, "object": "lead_list", "status": "queued", "leads": []})
        self._last_s = time.monotonic()


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, int] | None:
    """Method, path without its query, and length of the body; None when the connection ends."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    request, *lines = head.split("\r\n")
    method, target, _ = request.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return method, target.partition("?")[0], int(headers.get("content-length", "0"))


async def _write(writer: asyncio.StreamWriter, status: int, document: object) -> None:
    body = msgspec.json.encode(document)
    head = (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()


async def _main(port: int) -> None:
    server = await asyncio.start_server(Sink().serve, "127.0.0.1", port, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
