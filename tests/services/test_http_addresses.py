"""Base URLs, links, paths and Retry-After: text from outside that could lead the key elsewhere or stop the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_amplemarket.errors import SettingsError
from target_amplemarket.services.addresses import check_base_url, next_query, parse_retry_after
from target_amplemarket.services.credentials import fixed
from target_amplemarket.services.http import HttpCaller

NOW = datetime(2026, 6, 3, 12, 0, 0, tzinfo=UTC)

GOOD_URLS = {
    "https://api.amplemarket.com": "https://api.amplemarket.com",
    "https://api.amplemarket.com/": "https://api.amplemarket.com",
    "HTTPS://API.Amplemarket.com:8443/": "https://api.amplemarket.com:8443",
    "https://gateway.example/amplemarket/v1/": "https://gateway.example/amplemarket/v1",
    "https://[2001:db8::1]:8443": "https://[2001:db8::1]:8443",
    "http://127.0.0.1:8765": "http://127.0.0.1:8765",
    "http://127.9.8.7": "http://127.9.8.7",
    "http://localhost:8765/": "http://localhost:8765",
    "http://[::1]:8765": "http://[::1]:8765",
}


@pytest.mark.parametrize(("url", "checked"), GOOD_URLS.items())
def test_a_base_url_is_put_in_one_form(url: str, checked: str) -> None:
    assert check_base_url(url) == checked


BAD_URLS = [
    "",
    "api.amplemarket.com",
    "//api.amplemarket.com",
    "ftp://api.amplemarket.com",
    "file:///etc/passwd",
    "http://api.amplemarket.com",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.1",
    "http://2130706433",
    "http://0.0.0.0:8000",
    "http://10.0.0.1",
    "http://127.0.0.1@evil.example",
    "https://user:hunter2@api.amplemarket.com",
    "https://hunter2@api.amplemarket.com",
    "https://@api.amplemarket.com",
    "https://api.amplemarket.com?key=hunter2",
    "https://api.amplemarket.com?",
    "https://api.amplemarket.com#hunter2",
    "https://api.amplemarket.com#",
    "https://api.amplemarket.com:port",
    "https://api.amplemarket.com:99999",
    "https://api.amplemarket.com:0",
    "https://",
    "https:///lead-lists",
    "https://api.amplemarket.com/../x",
    "https://api.amplemarket.com/%2e%2e/x",
    "https://api.amplemarket.com//x",
    "https://api.amplemarket.com\\@evil.example",
    "https://api.amplemarket.com\n.evil.example",
    "https://api.ample\tmarket.com",
    " https://api.amplemarket.com",
    "https://api.amplemarket.com ",
    "https://\u0430pi.amplemarket.com",
    "https://api..amplemarket.com",
    "https://-api.amplemarket.com",
    "https://[::1",
    "https://[fe80::1%25eth0]",
    "https://999.1.1.1",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_another_base_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="base_url") as raised:
        check_base_url(url)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__context__ is None or "hunter2" not in str(raised.value.__context__)


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", "https://", "http://", "https://api.amplemarket.com"]))
def test_any_text_is_an_https_or_loopback_address_or_a_settings_error(text: str, prefix: str) -> None:
    try:
        url = httpx.URL(check_base_url(prefix + text))
    except SettingsError:
        return
    assert url.scheme == "https" or url.host in {"localhost", "::1"} or url.host.startswith("127.")
    assert not url.userinfo
    assert not url.query
    assert not url.fragment


GOOD_LINKS = {
    "/lead-lists": "",
    "/lead-lists?page[size]=100&page[after]=0199c3d4-0001-7abc-8def-1234567890ab": (
        "page[size]=100&page[after]=0199c3d4-0001-7abc-8def-1234567890ab"
    ),
    "/lead-lists?page%5Bafter%5D=abc": "page%5Bafter%5D=abc",
    "/lead-lists?page[after]=aGk+/w==": "page[after]=aGk+/w==",
}


@pytest.mark.parametrize(("href", "query"), GOOD_LINKS.items())
def test_of_a_link_to_the_same_place_the_query_is_taken(href: str, query: str) -> None:
    assert next_query(href, "/lead-lists") == query


BAD_LINKS = [
    "https://evil.example/lead-lists?page[after]=a",
    "http://127.0.0.1/lead-lists",
    "//evil.example/lead-lists",
    "///evil.example/lead-lists",
    "/\\evil.example/lead-lists",
    "\\\\evil.example\\lead-lists",
    "\\lead-lists",
    "/lead-lists/../users",
    "/../lead-lists",
    "/./lead-lists",
    "/%2e%2e/lead-lists",
    "/lead-lists%2f..%2fusers",
    "/lead-lists/%2E%2E/users",
    "/lead-lists//",
    "/lead-lists/",
    "/lead-lists/0199c3d4",
    "/users?page[after]=a",
    "/Lead-Lists",
    "lead-lists?page[after]=a",
    "?page[after]=a",
    "",
    "@evil.example/lead-lists",
    ":443/lead-lists",
    ".evil.example/lead-lists",
    "javascript:alert(1)",
    "/lead-lists?page[after]=a\r\nHost: evil.example",
    "/lead-lists?page[after]=a b",
    "/lead-lists?page[after]=a#fragment",
    "/lead-lists#?page[after]=a",
    "/lead-lists?page[after]=\u0430",
    "/lead-lists\x00?page[after]=a",
    "/lead-lists?" + "a" * 3_000,
    " /lead-lists",
    "/lead-lists\n",
    "/lead-lists?a\n",
]


@pytest.mark.parametrize("href", BAD_LINKS)
def test_a_link_that_leads_anywhere_else_is_refused(href: str) -> None:
    assert next_query(href, "/lead-lists") is None


@settings(deadline=None)
@given(st.text(max_size=80), st.sampled_from(["", "/lead-lists", "/lead-lists?", "//", "https://"]))
def test_no_link_leads_elsewhere(text: str, prefix: str) -> None:
    query = next_query(prefix + text, "/lead-lists")
    if query is not None:
        url = httpx.URL(f"https://api.example/lead-lists?{query}")
        assert (url.host, url.path, url.fragment) == ("api.example", "/lead-lists", "")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("lead-lists", ""),
        ("/", ""),
        ("", ""),
        ("/lead-lists/..", ""),
        ("/lead-lists/%2e", ""),
        ("//evil.example", ""),
        ("/lead-lists/" + "a" * 65, ""),
        ("/lead-lists\n", ""),
        ("/lead-lists?x=1", ""),
        ("/lead-lists", "x=1\r\ny"),
        ("/lead-lists", "x=1#y"),
    ],
)
def test_no_call_is_made_with_a_path_or_query_of_another_form(path: str, query: str) -> None:
    http = HttpCaller(
        credentials=fixed("k"),
        base_url="https://api.example",
        request_timeout_s=1,
        transport=lambda: httpx.MockTransport(unasked),
    )
    with pytest.raises(ValueError, match="safe form"):
        http.call("GET", path, query=query)
    http.close()


def unasked(request: httpx.Request) -> httpx.Response:
    raise AssertionError("a call was made")


RETRY_AFTER = {
    "0": 1.0,
    "1": 1.0,
    " 17 ": 17.0,
    "300": 300.0,
    "301": 300.0,
    "9" * 5_000: 300.0,
    format_datetime(NOW + timedelta(seconds=42), usegmt=True): 42.0,
    "Wednesday, 03-Jun-26 12:00:42 GMT": 42.0,
    "Wed Jun  3 12:00:42 2026": 42.0,
    format_datetime(NOW - timedelta(days=1), usegmt=True): 1.0,
    format_datetime(NOW + timedelta(days=9), usegmt=True): 300.0,
    "Wed, 03 Jun 2026 14:00:42 +0200": 42.0,
    "": None,
    "-1": None,
    "1.5": None,
    "soon": None,
    "\u0661\u0662": None,
    "nan": None,
    "inf": None,
    "1e3": None,
    "17, 18": None,
    "Wed, 99 Jun 2026 12:00:42 GMT": None,
    "Wed, 03 Jun 0000 12:00:42 GMT": 1.0,
}


@pytest.mark.parametrize(("text", "seconds"), RETRY_AFTER.items())
def test_retry_after_is_seconds_or_a_date_and_has_bounds(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


def test_no_retry_after_is_none() -> None:
    assert parse_retry_after(None, NOW) is None


@settings(deadline=None)
@given(
    st.one_of(st.text(), st.from_regex(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d [A-Z+0-9-]{1,6}"))
)
def test_any_retry_after_is_none_or_within_bounds(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 1.0 <= seconds <= 300.0
