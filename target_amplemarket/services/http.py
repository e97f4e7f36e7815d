"""The one border to the network: one call goes in, a value comes out, and nothing of `httpx` passes.

What a failed call means is decided here, once: `NotSent` where certainly nothing left, `Unknown` everywhere else
(after a connection exists no exception of a client tells "sent" from "not sent": measured with real sockets). What an
answer means is decided by the service that asked.

Two things are built below `httpx.Client` because it has neither: a deadline for a whole call (its time-outs are per
read, so an answer dripped a byte at a time never ends), and a connection that serves one call only.
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import httpcore
import httpx

from target_amplemarket.errors import SettingsError
from target_amplemarket.services.addresses import check_base_url, check_proxy, host_and_port, parse_retry_after
from target_amplemarket.services.credentials import Credentials
from target_amplemarket.services.protocol import NotSent, Unknown
from target_amplemarket.services.replies import ANSWER_LIMIT_BYTES, Answer, Reply

TransportFactory = Callable[[], httpx.BaseTransport]
"""Makes what carries the calls; for tests that need no socket."""

_PATH = re.compile(r"(?:/[A-Za-z0-9_-]{1,64})+")
_QUERY = re.compile(r"[A-Za-z0-9\[\]=&%._~+:,/-]{0,2048}")
_WRITE_SLICE_BYTES = 16 * 1024
_IDLE_CONNECTIONS = 8
_QUIET_LOGGERS = ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy")

_BEFORE_THE_FIRST_BYTE = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError,
    httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout, httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError, httpcore.ProxyError,
)  # fmt: skip
_TIMED_OUT = (httpx.TimeoutException, httpcore.TimeoutException)

_log = logging.getLogger(__name__)


# --- Connections that end with their call -----------------------------------------------------------------------------


def _left_s(end_s: float | None, late: type[Exception]) -> float | None:
    """Seconds until `end_s`, a moment of `time.monotonic`; the moment past, raise `late`."""
    if end_s is None:
        return None
    left_s = end_s - time.monotonic()
    if left_s <= 0:
        raise late
    return left_s


class _TimedStream(httpcore.NetworkStream):
    """A connection on which every wait ends at the end of the call.

    What httpcore hands to each operation as `timeout` is here the moment at which the whole call is over, not a
    duration, so any number of short reads and writes, of headers or body, fits into one deadline.
    """

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left_s(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In slices, since one write is many sends, each of which may take the time it is given.
        for start in range(0, len(buffer), _WRITE_SLICE_BYTES):
            left_s = _left_s(timeout, httpcore.WriteTimeout)
            self._inner.write(buffer[start : start + _WRITE_SLICE_BYTES], left_s)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = _left_s(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, left_s))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _TimedBackend(httpcore.NetworkBackend):
    """Opens connections within the call's deadline; looking up a name ends when the system's resolver gives up."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _addresses(host, port)
        for tried, address in enumerate(addresses, start=1):
            left_s = _left_s(timeout, httpcore.ConnectTimeout)
            share_s = None if left_s is None else left_s / (len(addresses) - tried + 1)
            try:
                return _TimedStream(self._inner.connect_tcp(address, port, share_s, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if tried == len(addresses):
                    raise
        raise httpcore.ConnectError


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore.ConnectError from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _AnswerStream(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _Transport(httpx.BaseTransport):
    """HTTP/1.1, no retries; a POST has a connection of its own, other calls may share."""

    def __init__(self, base_url: str, proxy: str | None) -> None:
        checked = None if proxy is None else _checked_proxy(proxy, base_url)
        context = tls_context() if base_url.startswith("https:") else None
        self._single = _pool(context, checked, idle_connections=0)
        self._shared = _pool(context, checked, idle_connections=_IDLE_CONNECTIONS)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        pool = self._shared if request.method == "GET" else self._single
        answer = pool.handle_request(_to_httpcore(request))
        # httpx reads a Location even where it is told not to follow, and raises over one that it cannot parse.
        headers = [(name, value) for name, value in answer.headers if name.lower() != b"location"]
        return httpx.Response(
            answer.status, headers=headers, stream=_AnswerStream(answer), extensions=answer.extensions
        )

    def close(self) -> None:
        self._single.close()
        self._shared.close()


def _pool(
    context: ssl.SSLContext | None, proxy: httpcore.Proxy | None, *, idle_connections: int
) -> httpcore.ConnectionPool:
    return httpcore.ConnectionPool(
        ssl_context=context,
        proxy=proxy,
        max_connections=None,
        max_keepalive_connections=idle_connections,
        keepalive_expiry=30.0,
        retries=0,
        network_backend=_TimedBackend(),
    )


def tls_context() -> ssl.SSLContext:
    """How every certificate is verified.

    Raises:
        SettingsError: The environment names certificates that cannot be read.
    """
    # `trust_env` here concerns SSL_CERT_FILE and SSL_CERT_DIR only: the standard way to name a company's own CA.
    try:
        context = httpx.create_ssl_context(verify=True, trust_env=True)
    except OSError:  # of which the faults of `ssl` are some
        raise SettingsError(
            "SSL_CERT_FILE or SSL_CERT_DIR in the environment names no certificates that can be read"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _to_httpcore(request: httpx.Request) -> httpcore.Request:
    url = request.url
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return httpcore.Request(
        request.method,
        target,
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _checked_proxy(proxy: str, base_url: str) -> httpcore.Proxy:
    parts = check_proxy(proxy, base_url)
    user = None if parts.username is None else (parts.username, parts.password or "")
    return httpcore.Proxy(f"{parts.scheme}://{host_and_port(parts)}", auth=user)


# --- The caller -------------------------------------------------------------------------------------------------------


class _Sent:
    """Notes, from httpcore's trace, whether the head of the request itself (not of a proxy's CONNECT) has left."""

    def __init__(self) -> None:
        self.is_begun = False

    def __call__(self, event: str, details: dict[str, Any]) -> None:
        if event == "http11.send_request_body.started" and details["request"].method != b"CONNECT":
            self.is_begun = True


class HttpCaller:
    """Makes calls to one address with a key that may be renewed; safe to use from several threads.

    Redirects are never followed, cookies never kept, environment and netrc never read, TLS always verified (own CA by
    `SSL_CERT_FILE`), answers never decoded. Time is measured with the machine's clock, since sockets wait by it.

    Args:
        credentials: The bearer key; appears in no log, exception or representation.
        base_url: See `check_base_url`.
        request_timeout_s: Deadline of one call from its start to the last byte of its answer.
        proxy: `http://[user:password@]host:port`, or None. For https addresses only.
        transport: Makes what carries the calls instead of sockets.

    Raises:
        SettingsError: An argument that no call could be made with.
    """

    def __init__(
        self,
        *,
        credentials: Credentials,
        base_url: str,
        request_timeout_s: float,
        proxy: str | None = None,
        transport: TransportFactory | None = None,
    ) -> None:
        self._credentials = credentials
        self._base_url = check_base_url(base_url)
        self._timeout_s = request_timeout_s
        self._client = httpx.Client(
            transport=transport() if transport else _Transport(self._base_url, proxy),
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
            follow_redirects=False,
        )
        for name in _QUIET_LOGGERS:  # they print addresses with their query, and headers
            logging.getLogger(name).setLevel(logging.WARNING)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._base_url!r})"

    def call(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        query: str = "",
        body: bytes | None = None,
        limit_bytes: int = ANSWER_LIMIT_BYTES,
        may_repeat: Callable[[], bool] = lambda: True,
    ) -> Reply:
        """Make one call, once, and log one line: method, path, status or what went wrong, milliseconds.

        A 401 refuses before any effect, of a POST too. So where the key can be renewed, that is done and the call made
        once more, under a deadline of its own; a second 401 is an answer like any other.

        Args:
            method: A POST goes on a connection of its own.
            path: `/name` or `/name/id`, below the base URL.
            query: Without the question mark; sent as it is, raw brackets included.
            body: JSON, for a POST.
            limit_bytes: An answer beyond this size is not read.
            may_repeat: Asked before that second call; if it may not be made, the first answer stands.

        Raises:
            ValueError: `path` or `query` is not of the safe form: a fault of ours. Nothing else is raised.
        """
        if _PATH.fullmatch(path) is None or _QUERY.fullmatch(query) is None:
            raise ValueError("a path or query that is not of the safe form")
        key = self._credentials.key
        reply = self._once(method, path, query, body, limit_bytes, key)
        if not isinstance(reply, Answer) or reply.http_status != 401:
            return reply
        newer = self._credentials.renewed(key)
        if newer is None or not may_repeat():
            return reply
        return self._once(method, path, query, body, limit_bytes, newer)

    def _once(self, method: str, path: str, query: str, body: bytes | None, limit_bytes: int, key: str) -> Reply:
        started_s = time.monotonic()
        request = self._request(method, path, query, body, started_s + self._timeout_s)
        request.headers["Authorization"] = f"Bearer {key}"
        reply = self._exchange(request, limit_bytes)
        _log.info("%s %s %s %d ms", method, path, _word(reply), (time.monotonic() - started_s) * 1000)
        return reply

    def close(self) -> None:
        """Give connections back."""
        self._client.close()

    def _request(self, method: str, path: str, query: str, body: bytes | None, end_s: float) -> httpx.Request:
        return self._client.build_request(
            method,
            f"{self._base_url}{path}" + (f"?{query}" if query else ""),
            content=body,
            headers={"Content-Type": "application/json", "Connection": "close"} if method == "POST" else None,
            extensions={
                "timeout": {"connect": end_s, "read": end_s, "write": end_s, "pool": self._timeout_s},
                "trace": _Sent(),
            },
        )

    def _exchange(self, request: httpx.Request, limit_bytes: int) -> Reply:
        try:
            response = self._client.send(request, stream=True)
        except Exception as error:  # whatever it is, the question is only whether anything left
            return _no_answer(error, request.extensions["trace"])
        try:
            body, fault = _read(response, limit_bytes), None
        except _Unreadable:
            body, fault = None, "unreadable_answer"
        except Exception as error:  # the status is known, so it is an answer still
            body, fault = None, _loss(error)
        finally:
            response.close()
            response.stream = httpx.ByteStream(b"")  # its own points back to it: the request's body would stay
        wait_s = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        return Answer(response.status_code, body, fault, wait_s)


class _Unreadable(Exception):
    """An answer that is not read: encoded, or too large."""


def _own_version() -> str:
    try:
        return version("target-amplemarket")
    except PackageNotFoundError:  # run from a source tree
        return "0"


_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"target-amplemarket/{_own_version()}",
}


def _read(response: httpx.Response, limit_bytes: int) -> bytes:
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise _Unreadable
    body = bytearray()
    # What an injected transport answers has been read; from a socket nothing has.
    for chunk in [response.content] if response.is_stream_consumed else response.iter_raw():
        body += chunk
        if len(body) > limit_bytes:
            raise _Unreadable
    return bytes(body)


def _no_answer(error: Exception, sent: _Sent) -> NotSent | Unknown:
    if isinstance(error, _BEFORE_THE_FIRST_BYTE) and not sent.is_begun:
        return NotSent("connect_timed_out" if isinstance(error, _TIMED_OUT) else "connect_failed")
    return Unknown(_loss(error))


def _loss(error: Exception) -> str:
    return "timed_out" if isinstance(error, _TIMED_OUT) else "connection_lost"


def _word(reply: Reply) -> str:
    match reply:
        case Answer(http_status=status, fault=None):
            return str(status)
        case Answer(http_status=status, fault=fault):
            return f"{status} {fault}"
        case NotSent(reason=reason) | Unknown(reason=reason):
            return reason
