"""What happened: every commit, and every request seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from target_amplemarket.sandbox.store import LeadStore

CONTENTS_KEPT = 1_000
"""Requests whose headers and first bytes are kept."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """Leads that arrived with one call, or another change to a list. Never changed once written.

    An API may derive a kind of its own, with what else it knows of its lists.

    Attributes:
        number: 1 for the first commit of the sandbox's life, rising by one.
        api: Name of the API.
        kind: `create`, `add`, or another word of the API's.
        type: As in the request that created the list.
        at_s: Seconds since 1970 on the sandbox's clock.
        request_number: The request that brought it, as in the request log.
        leads: The leads that the call brought, as they were sent.
    """

    number: int
    api: str
    kind: str
    list_id: str
    name: str
    type: str
    at_s: float
    request_number: int
    leads: LeadStore

    def json_parts(self, *, with_leads: bool = True) -> Iterator[bytes]:
        """One JSON object, in parts, the leads as they were sent."""
        members = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "leads"} | {
            "lead_count": len(self.leads)
        }
        head = msgspec.json.encode(members)
        if not with_leads:
            yield head
            return
        yield head[:-1] + b',"leads":'
        yield from self.leads.json_parts()
        yield b"}"


class RequestSeen(msgspec.Struct):
    """One request, as far as it got. The Authorization header is never kept.

    `status` is None where no answer was begun; `fault` names the fault that struck; `body_bytes` counts what was read;
    `list_id` is the list that the request made or added to, once that is committed.
    """

    number: int
    at_s: float
    method: str
    path: str
    status: int | None = None
    fault: str | None = None
    body_bytes: int = 0
    is_committed: bool = False
    list_id: str | None = None


@dataclass(frozen=True)
class Content:
    """A request as it came, for people to look at: headers without keys, and the body's first bytes."""

    headers: list[tuple[str, str]]
    body_head: bytes


class Journal:
    """The commit log, complete, and the last requests."""

    def __init__(self, requests_kept: int) -> None:
        self.commits: list[Commit] = []
        self.requests: deque[RequestSeen] = deque(maxlen=requests_kept)
        self.contents: dict[int, Content] = {}
        self._request_count = 0

    def see(self, method: str, path: str, at_s: float) -> RequestSeen:
        """Begin the record of a request."""
        self._request_count += 1
        seen = RequestSeen(self._request_count, at_s, method, path)
        self.requests.append(seen)
        return seen

    def keep_content(self, number: int, headers: list[tuple[str, str]], body_head: bytes) -> None:
        """Keep what a request was like, and forget the oldest such."""
        self.contents[number] = Content(headers, body_head)
        while len(self.contents) > CONTENTS_KEPT:
            del self.contents[next(iter(self.contents))]

    def keep(self, requests_kept: int) -> None:
        """Change how many requests are remembered."""
        self.requests = deque(self.requests, maxlen=requests_kept)

    @property
    def next_number(self) -> int:
        """The number of the next commit."""
        return len(self.commits) + 1

    @property
    def request_count(self) -> int:
        """Requests seen, also those forgotten."""
        return self._request_count

    def since(self, number: int, limit: int | None = None) -> list[Commit]:
        """Commits after the one of this number, at most `limit`."""
        stop = None if limit is None else max(number, 0) + limit
        return self.commits[max(number, 0) : stop]

    def commits_of(self, list_id: str) -> list[Commit]:
        """Commits of one list."""
        return [commit for commit in self.commits if commit.list_id == list_id]

    def counts(self) -> dict[str, Any]:
        """Totals of commits, leads and requests."""
        return {
            "commits": len(self.commits),
            "leads": sum(len(commit.leads) for commit in self.commits),
            "requests": self._request_count,
        }
