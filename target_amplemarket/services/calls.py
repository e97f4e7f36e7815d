"""Calls as every service makes them: under the shared budget, counted, stoppable; reads are repeated, writes never."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, assert_never

import msgspec

from target_amplemarket.clock import Clock
from target_amplemarket.config import Settings
from target_amplemarket.services.addresses import check_base_url, check_proxy
from target_amplemarket.services.credentials import credentials_of
from target_amplemarket.services.protocol import CannotAsk, NotSent, Unknown
from target_amplemarket.services.replies import ANSWER_LIMIT_BYTES, LISTING_LIMIT_BYTES, Answer, Reply

if TYPE_CHECKING:
    from target_amplemarket.services.http import HttpCaller, TransportFactory

Pace = Callable[[], None]
"""Blocks until one more call fits the shared budget."""

# Reads change nothing, so they are repeated: after these pauses, or after what Retry-After asks for if that is longer.
LISTING_PAUSES_S: Final = (1.0, 5.0, 20.0, 60.0)
ACCOUNT_PAUSES_S: Final = (1.0, 4.0)  # asked first, where a mistyped address should show soon

_KEY_ADVICE: Final = {"api_key": "set api_key to a key of the account"}
_Page = TypeVar("_Page")


def _ignore(retry_after_s: float | None) -> None:
    del retry_after_s


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What calls go by, and what ends them.

    Attributes:
        clock: For the pauses between repeated reads.
        pace: Called before every call; blocks until the call fits the shared budget.
        slow_down: Told of a 429 to a read, with the seconds it asks for. A 429 to a write is the sender's to tell.
        stop: Once set, no further call begins: writes give `NotSent("stopped")`, reads fail, pauses end.
        transport: Makes what carries the calls instead of sockets, for tests.
    """

    clock: Clock
    pace: Pace
    slow_down: Callable[[float | None], None] = _ignore
    stop: threading.Event = field(default_factory=threading.Event)
    transport: TransportFactory | None = None


class Calls:
    """Calls to one API; safe to use from several threads.

    Args:
        settings: Key, proxy and deadline.
        base_url: https, or http on loopback; see `addresses.check_base_url`.
        given: Budget, clock and stop.

    Raises:
        SettingsError: A setting that no call could be made with.
    """

    def __init__(self, settings: Settings, base_url: str, given: Surroundings) -> None:
        self.base_url = base_url
        """As the settings, or the service, write it."""
        self._credentials = credentials_of(settings)
        self._checked_url = check_base_url(base_url)
        if settings.proxy is not None:
            check_proxy(settings.proxy, self._checked_url)
        self._settings = settings
        self._given = given
        self._opening = threading.Lock()
        self._http: HttpCaller | None = None
        self._counting = threading.Lock()
        self.made: Counter[str] = Counter()
        """Calls made so far, by method and endpoint."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._checked_url!r})"

    @property
    def key_advice(self) -> str:
        """What to do about a key that is not accepted."""
        setting = self._credentials.setting
        return _KEY_ADVICE.get(setting, f"see that what {setting} gives is a key of the account")

    def read(
        self,
        path: str,
        query: str = "",
        *,
        endpoint: str | None = None,
        limit_bytes: int = LISTING_LIMIT_BYTES,
        pauses_s: Sequence[float] = LISTING_PAUSES_S,
        question: bytes | None = None,
    ) -> Answer | CannotAsk:
        """Ask until there is a 2xx with its whole body, or no use in asking again.

        Args:
            path: Below the base URL.
            query: Without the question mark.
            endpoint: The path without ids, by which calls are counted; the path itself if left out.
            limit_bytes: An answer beyond this size is not read.
            pauses_s: Between tries; their number is one less than that of the tries.
            question: Body of a POST that only asks; a GET without.
        """
        for pause_s in pauses_s:
            reply = self._ask(path, query, endpoint, limit_bytes, question)
            checked = _checked(reply)
            if isinstance(checked, Answer) or not _may_pass(checked):
                return checked
            wait_s = reply.retry_after_s if isinstance(reply, Answer) else None
            self._given.clock.sleep(max(pause_s, wait_s or 0.0), self._given.stop)
        return _checked(self._ask(path, query, endpoint, limit_bytes, question))

    def read_account(self, path: str) -> dict[str, Any] | CannotAsk:
        """Ask for the JSON object by which an API says whose key it is; few tries, since it is asked first."""
        answer = self.read(path, limit_bytes=ANSWER_LIMIT_BYTES, pauses_s=ACCOUNT_PAUSES_S)
        return answer if isinstance(answer, CannotAsk) else decoded_as(answer, dict[str, Any])

    def write(
        self, path: str, body: bytes, *, endpoint: str | None = None, limit_bytes: int = ANSWER_LIMIT_BYTES
    ) -> Reply:
        """POST once, on a connection of its own; never repeated, never raises for what the network or the API does."""
        return self._call("POST", path, body=body, endpoint=endpoint, limit_bytes=limit_bytes)

    def close(self) -> None:
        """Give connections back."""
        if self._http is not None:
            self._http.close()

    def _ask(self, path: str, query: str, endpoint: str | None, limit_bytes: int, question: bytes | None) -> Reply:
        method: Literal["GET", "POST"] = "GET" if question is None else "POST"
        reply = self._call(method, path, query=query, body=question, endpoint=endpoint, limit_bytes=limit_bytes)
        if isinstance(reply, Answer) and reply.http_status == 429:
            self._given.slow_down(reply.retry_after_s)
        return reply

    def _call(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        limit_bytes: int,
        query: str = "",
        body: bytes | None = None,
        endpoint: str | None = None,
    ) -> Reply:
        may_begin = partial(self._may_begin, f"{method} {endpoint or path}")
        if not may_begin():
            return NotSent("stopped")
        return self._caller().call(method, path, query=query, body=body, limit_bytes=limit_bytes, may_repeat=may_begin)

    def _caller(self) -> HttpCaller:
        """Made for the first call: a run without anything to send does without a client, and without importing one."""
        with self._opening:
            if self._http is None:
                from target_amplemarket.services.http import HttpCaller

                self._http = HttpCaller(
                    credentials=self._credentials,
                    base_url=self._checked_url,
                    request_timeout_s=self._settings.request_timeout_seconds,
                    proxy=self._settings.proxy,
                    transport=self._given.transport,
                )
            return self._http

    def _may_begin(self, counted_as: str) -> bool:
        """Take the next place in the budget; no call begins after a stop."""
        self._given.pace()
        if self._given.stop.is_set():
            return False
        with self._counting:
            self.made[counted_as] += 1
        return True


def decoded_as(answer: Answer, kind: type[_Page]) -> _Page | CannotAsk:
    """The body as a Struct; `CannotAsk` for what is none, with no text of it."""
    try:
        return msgspec.json.decode(answer.body or b"", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return CannotAsk("unreadable_answer", answer.http_status)


def seen_text(failure: CannotAsk) -> str:
    """What came instead of an answer, in words."""
    return failure.reason if failure.http_status is None else f"{failure.reason}, HTTP {failure.http_status}"


def _checked(reply: Reply) -> Answer | CannotAsk:
    match reply:
        case NotSent(reason=reason) | Unknown(reason=reason):
            return CannotAsk(reason)
        case Answer(http_status=status, fault=fault) if 200 <= status < 300:
            return reply if fault is None else CannotAsk(fault, status)
        case Answer(http_status=status):
            return CannotAsk(_reason_of(status), status)
        case _:
            assert_never(reply)


def _reason_of(status: int) -> str:
    if status == 429:
        return "rate_limited"
    if status == 408:
        return "timed_out"
    if 300 <= status < 400:
        return "redirected"
    return "refused" if 400 <= status < 500 else "server_fault"


def _may_pass(failure: CannotAsk) -> bool:
    return failure.reason not in {"stopped", "refused", "redirected", "unreadable_answer"}
