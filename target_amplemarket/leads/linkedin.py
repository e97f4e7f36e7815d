"""Canonical form of LinkedIn profile URLs: `https://www.linkedin.com/in/<slug>`, or a stable reason why not.

Two rules decide every doubtful case: two people never get the same form, and nothing that is not one person's public
profile gets one. What would need a look-up (short links, Sales Navigator, member ids) is refused, never guessed.

Facts relied on, read 2026-11:
- A slug a member chooses has 3 to 100 letters or digits, no symbols, and is case-insensitive (linkedin.com/help answer
  87). Slugs that LinkedIn assigns also hold hyphens and, percent-encoded, the letters and symbols of the member's name.
- `/pub/<name>/<a>/<b>/<c>` redirects to `/in/<name>-<c><b><a>`, with `b` and `c` padded with zeros to three hexadecimal
  digits (npm package linkedin-canonical-url, with recorded redirects; a second, independent converter pads alike).
- `/in/ACoAA…` and `/in/ACwAA…` carry a member id in case-sensitive base64url, 39 characters, that only LinkedIn can
  turn into a slug (docs.blitz-api.ai, LinkedIn URLs; learn.microsoft.com, Sales Navigator profile associations).
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.canonical import INVISIBLE, CanonicalColumn, complete, is_placeholder
from target_amplemarket.storage.arrow import NO_TEXT

PREFIX = "https://www.linkedin.com/in/"
MAX_TEXT_CHARS = 4096
MIN_SLUG_CHARS = 3
MAX_SLUG_CHARS = 100


class LinkedinReason(StrEnum):
    """Why a text is not a profile URL. Codes are stable; `docs/reference/canonical-forms.md` explains each."""

    # The link names a person, but not by a slug.
    OPAQUE_MEMBER_ID = "opaque_member_id"  # /in/ACoAA…, urn:li:…
    MEMBER_NUMBER = "member_number"  # /profile/view?id=…
    SALES_NAVIGATOR = "sales_navigator"  # /sales/…
    RECRUITER = "recruiter"  # /talent/…, /recruiter/…, /cap/…
    SHORT_LINK = "short_link"  # lnkd.in/…, /slink
    OLD_PUBLIC_URL = "old_public_url"  # /pub/… in a form without an established conversion
    # The link is something else on LinkedIn.
    COMPANY_PAGE = "company_page"
    SCHOOL_PAGE = "school_page"
    SHOWCASE_PAGE = "showcase_page"
    POST = "post"  # posts, articles, newsletters, feed updates
    GROUP = "group"
    JOB = "job"
    EVENT = "event"
    LEARNING = "learning"
    PUBLIC_DIRECTORY = "public_directory"  # /pub/dir/…: everybody of one name
    SEARCH_PAGE = "search_page"
    LOGIN_PAGE = "login_page"
    NOT_A_PROFILE = "not_a_profile"  # any other page or sub-domain of LinkedIn
    # The slug is missing or cannot be one.
    NO_SLUG = "no_slug"
    BAD_SLUG = "bad_slug"
    TRUNCATED = "truncated"  # ends in an ellipsis: the rest of the slug is lost
    PLACEHOLDER = "placeholder"  # n/a, /in/me, /in/unknown: shared by many records
    # The text is not one LinkedIn URL.
    BARE_HANDLE = "bare_handle"
    SEVERAL_URLS = "several_urls"
    INNER_SPACE = "inner_space"
    OTHER_SITE = "other_site"
    UNSAFE_URL = "unsafe_url"  # user name, port, backslash, control character, dot segment
    TOO_LONG = "too_long"
    NOT_A_URL = "not_a_url"


_PAGES = {
    page: reason
    for reason, pages in {
        LinkedinReason.COMPANY_PAGE: "company companies company-beta organization organizations",
        LinkedinReason.SCHOOL_PAGE: "school schools edu",
        LinkedinReason.SHOWCASE_PAGE: "showcase",
        LinkedinReason.POST: "posts feed pulse embed newsletters newsletter today article",
        LinkedinReason.GROUP: "groups grp",
        LinkedinReason.JOB: "jobs job hiring",
        LinkedinReason.EVENT: "events event video",
        LinkedinReason.LEARNING: "learning learning-login",
        LinkedinReason.SALES_NAVIGATOR: "sales salesnavigator",
        LinkedinReason.RECRUITER: "talent recruiter cap hire",
        LinkedinReason.PUBLIC_DIRECTORY: "directory",
        LinkedinReason.SEARCH_PAGE: "search vsearch",
        LinkedinReason.LOGIN_PAGE: "authwall login uas checkpoint signup start reg",
        LinkedinReason.MEMBER_NUMBER: "profile",
        LinkedinReason.SHORT_LINK: "slink",
        LinkedinReason.NO_SLUG: "in",
        LinkedinReason.OLD_PUBLIC_URL: "pub",
    }.items()
    for page in pages.split()
}
_IN_PREFIXES = frozenset({"mwlite", "m", "comm", "public-profile"})  # mobile web, tracked mail links, old public pages
_PLACEHOLDER_SLUG_WORDS = """
me null none nil nan undefined unknown n-a not-available not-found username user-name your-name yourname your-profile
yourprofile yourusername your-username profile profile-name edit test example slug handle http https www linkedin
"""
_PLACEHOLDER_SLUGS = frozenset(_PLACEHOLDER_SLUG_WORDS.split())

_QUOTES = "\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a"  # straight and typographic
_WRAPPING = INVISIBLE + _QUOTES + "<>()[]{}|,;"
_ELLIPSIS = "\u2026"
_SENTENCE_END = _WRAPPING + _ELLIPSIS + ".:!"
_FLAGS = re.IGNORECASE | re.ASCII
_ENCODED_URL = re.compile(r"https?%3a", _FLAGS)
_SITE = re.compile(r"linkedin\.com(?:/|%2f)", _FLAGS)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SCHEME = r"(?:https?(?::/*+|/++)|//++)"  # as people type it; possessive, so that a long run of slashes costs no time
_HOST = r"(?:(?:www|m|touch|mobile|[a-z]{2}|[a-z]{2}-[a-z]{2})\.)?(?:www\.)?linkedin\.com\.?"
_AUTHORITY_START = re.compile(_SCHEME + "++", _FLAGS)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+-]*:", _FLAGS)
_PROFILE_HOST = re.compile(_HOST + r"\Z", _FLAGS)
_FORM_PREFIX = re.compile(rf"(?:{_SCHEME}*+{_HOST}/+in/+(?=https?:/|{_HOST}/))+", _FLAGS)  # put before a whole URL
_OPAQUE = re.compile(r"(?:acoaa|acwaa|aemaa)|a[a-p][aeimquycgkosw048]aa[a-z0-9_-]{33,35}\Z", _FLAGS)
_ENCODED_SLASH = re.compile("%2f", _FLAGS)
_ENCODED_QUERY = re.compile(r"(?:%3f|%23).*", _FLAGS)  # neither sign can stand in a slug, so both end the path
_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_HEX_PARTS = re.compile(r"[0-9a-f]{1,3}/[0-9a-f]{1,3}/[0-9a-f]{1,3}\Z", _FLAGS)
_OLD_NAME = re.compile(r"[a-z0-9_-]+\Z", _FLAGS)
_HANDLE = re.compile(r"@?[\w-]+\Z")


def canonical_profile_url(text: str) -> str | LinkedinReason | None:
    """Canonical form of one text: the reference that `canonical_profile_urls` agrees with.

    Letters of the slug are lower-case; whatever is not an ASCII letter, digit, hyphen or underscore is NFC, UTF-8 and
    percent-encoded with upper-case digits. The function is idempotent on what it accepts.

    Args:
        text: What a source holds, with white space, quotes, brackets and a sentence's punctuation around it.

    Returns:
        `https://www.linkedin.com/in/<slug>`, the reason why not, or None where the text is blank.
    """
    text = text.strip(INVISIBLE)
    if not text:
        return None
    if len(text) > MAX_TEXT_CHARS:
        return LinkedinReason.TOO_LONG
    if is_placeholder(text):
        return LinkedinReason.PLACEHOLDER
    text = text.strip(_WRAPPING)
    if _ENCODED_URL.match(text):
        decoded = _percent_decoded(text)
        if decoded is None:
            return LinkedinReason.BAD_SLUG
        text = decoded
    text = text[prefix.end() :] if (prefix := _FORM_PREFIX.match(text)) else text
    return _fault_of_text(text) or _read_url(re.split(r"[?#]", text, maxsplit=1)[0])


def canonical_profile_urls(values: pa.StringArray) -> CanonicalColumn:
    """Canonical forms of a column; row by row the same as `canonical_profile_url`.

    Plain ASCII profile URLs are read by Arrow kernels; anything else goes through the scalar function, once for each
    distinct value.

    Args:
        values: Strings as the source holds them; null is absent.
    """
    return complete(values, _plain_urls(values), canonical_profile_url)


# What the scalar accepts without any clean-up. No "/" in the query, so that it cannot hold a second URL.
_PLAIN = r"^(?:https?://)?(?:(?:www|[a-z]{2})\.)?linkedin\.com/in/[_-]*[a-z0-9][a-z0-9_-]*/?(?:[?#][!-.0-~]*)?$"
_PLAIN_SLUG = r"/in/(?P<slug>[a-z0-9_-]+)"
_CANONICAL = rf"^{re.escape(PREFIX)}[_-]*[a-z0-9][a-z0-9_-]*$"  # what most sources hold
_PLAIN_OPAQUE = rf"^{re.escape(PREFIX)}a[a-z][a-z0-9]aa"
_PLACEHOLDER_URLS = pa.array([PREFIX + slug for slug in sorted(_PLACEHOLDER_SLUGS)])


def _plain_urls(values: pa.StringArray) -> pa.StringArray:
    urls = pc.ascii_lower(pc.ascii_trim_whitespace(values))
    differs = pc.invert(pc.match_substring_regex(urls, _CANONICAL))
    if differs.true_count:
        urls = pc.replace_with_mask(urls, differs, _rewritten(urls.filter(differs)))
    length = pc.binary_length(urls)
    certain = pc.and_(
        pc.greater_equal(length, len(PREFIX) + MIN_SLUG_CHARS), pc.less_equal(length, len(PREFIX) + MAX_SLUG_CHARS)
    )
    certain = pc.and_not(certain, pc.match_substring_regex(urls, _PLAIN_OPAQUE))
    certain = pc.and_not(certain, pc.is_in(urls, _PLACEHOLDER_URLS))
    return pc.if_else(certain, urls, NO_TEXT)


def _rewritten(lower: pa.StringArray) -> pa.StringArray:
    """Other plain forms as the canonical one, null where a text is none."""
    plain = pc.and_(pc.match_substring_regex(lower, _PLAIN), pc.less_equal(pc.binary_length(lower), MAX_TEXT_CHARS))
    slug = pc.struct_field(pc.extract_regex(pc.if_else(plain, lower, NO_TEXT), _PLAIN_SLUG), "slug")
    return pc.binary_join_element_wise(PREFIX, slug, "")


def _fault_of_text(text: str) -> LinkedinReason | None:
    if text.lower().count("linkedin.com/") > 1 or len(_SITE.findall(re.split(r"[?#]", text, maxsplit=1)[0])) > 1:
        return LinkedinReason.SEVERAL_URLS
    if _CONTROL.search(text):
        return LinkedinReason.UNSAFE_URL
    if any(char.isspace() for char in text):
        return LinkedinReason.INNER_SPACE
    return None


def _read_url(text: str) -> str | LinkedinReason:
    """Read a URL whose query and fragment are cut off."""
    path = text.rstrip(_SENTENCE_END)
    if _is_truncated(text[len(path) :]):
        return LinkedinReason.TRUNCATED
    if "\\" in path:
        return LinkedinReason.UNSAFE_URL
    start = _AUTHORITY_START.match(path)
    if start is None and _OTHER_SCHEME.match(path):
        return LinkedinReason.OPAQUE_MEMBER_ID if path.lower().startswith("urn:li:") else LinkedinReason.NOT_A_URL
    rest = path[start.end() :] if start else path.removeprefix("/")
    if start is None and _HANDLE.match(rest):
        return LinkedinReason.BARE_HANDLE
    authority, slash, _ = rest.partition("/")
    if "@" in authority:
        return LinkedinReason.UNSAFE_URL if start or slash else LinkedinReason.NOT_A_URL
    segments = [segment for segment in _ENCODED_QUERY.sub("", _ENCODED_SLASH.sub("/", rest)).split("/") if segment]
    if start is None and len(segments) > 1 and segments[0].lower() == "in":
        return _read_path(segments)
    return _fault_of_host(segments[0] if segments else "") or _read_path(segments[1:])


def _is_truncated(text: str) -> bool:
    return ".." in text or _ELLIPSIS in text


def _fault_of_host(host: str) -> LinkedinReason | None:
    if _PROFILE_HOST.match(host):
        return None
    if ":" in host:
        return LinkedinReason.UNSAFE_URL
    host = host.lower().removesuffix(".") if host.isascii() else host
    if host.removeprefix("www.") == "lnkd.in":
        return LinkedinReason.SHORT_LINK
    if host.endswith(".linkedin.com"):
        return LinkedinReason.NOT_A_PROFILE
    return LinkedinReason.OTHER_SITE if "." in host else LinkedinReason.NOT_A_URL


def _read_path(segments: list[str]) -> str | LinkedinReason:
    if any(unquote(segment) in (".", "..") for segment in segments):
        return LinkedinReason.UNSAFE_URL
    page, *rest = [segment.lower() for segment in segments] or [""]
    if page in _IN_PREFIXES and rest[:1] == ["in"]:
        segments, page, rest = segments[1:], "in", rest[1:]
    if page == "in" and "in" in rest[1:]:
        return LinkedinReason.SEVERAL_URLS
    if page == "in" and rest:
        return _read_slug(segments[1])
    if page == "pub" and rest:
        return _read_old_path(rest)
    return _PAGES.get(page, LinkedinReason.NOT_A_PROFILE)


def _read_old_path(parts: list[str]) -> str | LinkedinReason:
    """Read what follows `/pub/`: `<name>/<a>/<b>/<c>` is `/in/<name>-<c><b><a>`."""
    name, number = parts[0], parts[1:4]
    if name == "dir":
        return LinkedinReason.PUBLIC_DIRECTORY
    if not _OLD_NAME.match(name) or not _HEX_PARTS.match("/".join(number)):
        return LinkedinReason.OLD_PUBLIC_URL
    a, b, c = number
    return _read_slug(f"{name}-{c:0>3}{b:0>3}{a}")


def _read_slug(escaped: str) -> str | LinkedinReason:
    decoded = _percent_decoded(escaped)
    if decoded is None:
        return LinkedinReason.BAD_SLUG
    if _is_truncated(decoded):
        return LinkedinReason.TRUNCATED
    if _OPAQUE.match(decoded):
        return LinkedinReason.OPAQUE_MEMBER_ID
    slug = unicodedata.normalize("NFC", decoded.lower())
    if slug in _PLACEHOLDER_SLUGS:
        return LinkedinReason.PLACEHOLDER
    return PREFIX + quote(slug, safe="") if _is_slug(slug, decoded) else LinkedinReason.BAD_SLUG


def _is_slug(slug: str, decoded: str) -> bool:
    if not MIN_SLUG_CHARS <= len(slug) <= MAX_SLUG_CHARS or not slug.strip("-_"):
        return False
    if "\N{KELVIN SIGN}" in decoded:  # the one letter that NFC and lower case would turn into an ASCII letter
        return False
    if slug.strip(_WRAPPING) != slug or unicodedata.category(slug[0])[0] == "M":
        return False
    return all(_is_slug_char(char) for char in slug)


def _is_slug_char(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in "-_"
    return unicodedata.category(char)[0] in "LMNPS" or char in "\u200c\u200d"  # joiners, in Persian names and emoji


def _percent_decoded(text: str) -> str | None:
    if _BROKEN_ESCAPE.search(text):
        return None
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None
