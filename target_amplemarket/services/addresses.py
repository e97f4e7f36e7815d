"""Addresses and times as they come from outside: settings, links in answers, `Retry-After`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from target_amplemarket.errors import SettingsError

RETRY_AFTER_BOUNDS_S: Final = (1.0, 300.0)

_QUERY: Final = re.compile(r"[A-Za-z0-9\[\]=&%._~+:,/-]{0,2048}")
_HOST_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.?")
_BASE_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*/?")


def check_base_url(url: str) -> str:
    """Return `url` in the form to which paths are appended, without a slash at its end.

    Args:
        url: https, or http on loopback (`localhost`, 127.0.0.0/8, `[::1]`), since a key sent in clear is public. A path
            of plain names is kept, for a gateway.

    Raises:
        SettingsError: Another scheme, a user or password, a query, a fragment, a host or port that cannot be one. The
            message does not repeat the address, which may hold a password.
    """
    parts = split_url(url, "base_url")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("base_url holds a user or password: take it out, the key goes in api_key")
    if "?" in url or "#" in url:
        raise SettingsError("base_url holds a query or a fragment: end it after the host (or the path)")
    if _BASE_PATH.fullmatch(parts.path) is None:
        raise SettingsError("base_url has a path that is not made of plain names: take it out")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise SettingsError("base_url must begin with https:// (http:// is for a server on this machine only)")
    return f"{parts.scheme}://{host_and_port(parts)}{parts.path.rstrip('/')}"


def check_proxy(proxy: str, base_url: str) -> SplitResult:
    """The parts of a proxy's address.

    Args:
        proxy: `http://[user:password@]host:port`, or https.
        base_url: What is called through it: https.

    Raises:
        SettingsError: It has another form, or the call itself would not be encrypted.
    """
    parts = split_url(proxy, "the proxy")
    if parts.scheme not in {"http", "https"} or parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError("the proxy is not an address of the form http://host:port")
    if not base_url.startswith("https:"):
        raise SettingsError("a proxy is for https only: it would read the key of a call in clear")
    return parts


def split_url(url: str, setting: str) -> SplitResult:
    """The parts of an address that could be one; `setting` names it in the error."""
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' \\"<>'):
        raise SettingsError(f"{setting} holds characters that no address has: type it again")
    try:
        parts = urlsplit(url)
        if _is_host(parts.hostname or "") and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise SettingsError(f"{setting} is not an address of the form https://host or https://host:port")


def _is_host(host: str) -> bool:
    if ":" in host or host.replace(".", "").isdigit():
        return _is_ip(host)
    return len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None


def _is_ip(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return not (isinstance(address, IPv6Address) and address.scope_id)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)


def host_and_port(parts: SplitResult) -> str:
    """Host and port as they stand in an address."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port}" if parts.port else f"{host}"


def next_query(href: str, path: str) -> str | None:
    """Return the query of a link in an answer, or None if the link leads anywhere but to `path` itself.

    Only the query is taken from the answer: scheme, host and path stay ours, so no link can lead the key elsewhere.
    Links are relative and carry raw brackets (https://docs.amplemarket.com/api-reference/pagination).
    """
    link_path, _, query = href.partition("?")
    if link_path != path or _QUERY.fullmatch(query) is None:
        return None
    return query


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110 §10.2.3), clamped to 1 to 300.

    Args:
        text: Whole seconds or an HTTP date; None, and anything else, gives None.
        now: The moment (UTC) from which a date is counted.
    """
    if text is None:
        return None
    wait_s = _seconds(text.strip(), now)
    if wait_s is None:
        return None
    return min(max(wait_s, RETRY_AFTER_BOUNDS_S[0]), RETRY_AFTER_BOUNDS_S[1])


def _seconds(text: str, now: datetime) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
