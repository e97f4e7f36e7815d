"""Canonical form of e-mail addresses: lower-case, one plain address, the domain in ASCII.

The syntax is email-validator's (`check_deliverability=False`, no network). An Arrow regex accepts plain ASCII
addresses, a strict subset of what the library accepts; the library judges the rest, once for each distinct value.
It is imported with the first address: that takes as long as a thousand records.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.canonical import INVISIBLE, CanonicalColumn, complete, is_placeholder
from target_amplemarket.storage.arrow import NO_TEXT

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

MAX_TEXT_CHARS = 4096  # with whatever stands around the address
MAX_ADDRESS_CHARS = 254  # RFC 5321 4.5.3.1.3, RFC 3696 erratum 1690
MAX_LOCAL_PART_CHARS = 64  # RFC 5321 4.5.3.1.1


class EmailReason(StrEnum):
    """Why a text is not accepted as an address. Codes are stable; `docs/reference/canonical-forms.md` explains each."""

    NO_AT_SIGN = "no_at_sign"
    SEVERAL_ADDRESSES = "several_addresses"
    INNER_SPACE = "inner_space"
    BAD_LOCAL_PART = "bad_local_part"
    NON_ASCII_LOCAL_PART = "non_ascii_local_part"  # needs SMTPUTF8 on both sides; in practice a typing error
    BAD_DOMAIN = "bad_domain"
    SPECIAL_USE_DOMAIN = "special_use_domain"  # .test, .invalid, .local, localhost, .onion, .arpa
    PLACEHOLDER = "placeholder"
    TOO_LONG = "too_long"


# Addresses that forms and imports write where none is known. Many records share them, so as an identity one would merge
# people. Only addresses that say of themselves that they are none: info@, sales@ and the like stay acceptable.
_PLACEHOLDER_ADDRESSES = """
none@none.com none@none.none no@no.com no@none.com na@na.com na@na.na n/a@n/a.com null@null.com undefined@undefined.com
unknown@unknown unknown@unknown.com noemail@noemail.com noemail@noemail.none no-email@no-email.com no_email@noemail.com
no@email.com noemail@email.com noemail@none.com notavailable@notavailable.com notprovided@notprovided.com
email_not_unlocked@domain.com test@test.com email@email.com a@a.com abc@abc.com asdf@asdf.com
"""
PLACEHOLDER_ADDRESSES = frozenset(_PLACEHOLDER_ADDRESSES.split())

_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_MAILTO = re.compile(r"mailto:", re.IGNORECASE | re.ASCII)
_NAMED = re.compile(r"([^<>]*)<([^<>]*)>[,;.]?\Z")
_SEPARATOR = re.compile(r"[\s,;/|&]")


def canonical_email(text: str) -> str | EmailReason | None:
    """Canonical form of one text: the reference that `canonical_emails` agrees with. Idempotent on what it accepts.

    Unwraps `mailto:…?subject=…`, `Name <address>`, quotes around the whole, and punctuation behind it.
    Sub-addresses (`name+tag@`) and dots are kept: only the receiving server knows what they mean.

    Returns:
        The address, the reason why not, or None where the text is blank.
    """
    text = text.strip(INVISIBLE)
    if not text:
        return None
    if len(text) > MAX_TEXT_CHARS:
        return EmailReason.TOO_LONG
    if is_placeholder(text):
        return EmailReason.PLACEHOLDER
    address = _unwrapped(text)
    return address if isinstance(address, EmailReason) else _validated(address)


def canonical_emails(values: pa.StringArray) -> CanonicalColumn:
    """Canonical forms of a column; row by row the same as `canonical_email`.

    Args:
        values: Strings as the source holds them; null is absent.
    """
    return complete(values, _plain_addresses(values), canonical_email)


# 64 bytes in all, so that no length limit (64 for the local part, 63 for a label) can be passed.
_PLAIN = r"^[a-z0-9_+-]+(?:[.'][a-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,}$"
_PLAIN_MAX_BYTES = 64


@cache
def _special_use() -> frozenset[str]:
    from email_validator import SPECIAL_USE_DOMAIN_NAMES

    return frozenset(SPECIAL_USE_DOMAIN_NAMES)


@cache
def _plain_special_use() -> str:
    return r"[@.](?:" + "|".join(re.escape(name) for name in sorted(_special_use())) + r")$"


def _plain_addresses(values: pa.StringArray) -> pa.StringArray:
    lower = pc.ascii_lower(pc.ascii_trim_whitespace(values))
    certain = pc.and_(pc.match_substring_regex(lower, _PLAIN), pc.less_equal(pc.binary_length(lower), _PLAIN_MAX_BYTES))
    certain = pc.and_not(certain, pc.match_substring_regex(lower, _plain_special_use()))
    certain = pc.and_not(certain, pc.is_in(lower, pa.array(sorted(PLACEHOLDER_ADDRESSES))))
    return pc.if_else(certain, lower, NO_TEXT)


def _unwrapped(text: str) -> str | EmailReason:
    """Take off what stands around an address."""
    name = ""
    if named := _NAMED.match(text):
        name, text = named[1], named[2]
    text = _unquoted(text.strip(INVISIBLE).rstrip(",;."))
    if _MAILTO.match(text):
        text = text[len("mailto:") :].split("?", 1)[0]
    text = text.strip(INVISIBLE)
    if "@" in name and _unquoted(name.strip(INVISIBLE)).lower() != text.lower():
        return EmailReason.SEVERAL_ADDRESSES
    return text


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        return text[1:-1].strip(INVISIBLE)
    return text


def _validated(address: str) -> str | EmailReason:
    """Judge one bare address; the first reason that fits in the order of reading."""
    if "@" not in address:
        return EmailReason.NO_AT_SIGN
    if sum("@" in part for part in _SEPARATOR.split(address)) > 1:
        return EmailReason.SEVERAL_ADDRESSES
    if any(char.isspace() for char in address):
        return EmailReason.INNER_SPACE
    if address.lower() in PLACEHOLDER_ADDRESSES:
        return EmailReason.PLACEHOLDER
    local_part, _, domain = address.rpartition("@")
    if len(local_part) > MAX_LOCAL_PART_CHARS or len(address) > MAX_ADDRESS_CHARS:
        return EmailReason.TOO_LONG
    if not local_part or "@" in local_part or local_part[0] in _QUOTES:
        return EmailReason.BAD_LOCAL_PART
    if not local_part.isascii():
        return EmailReason.NON_ASCII_LOCAL_PART
    return _judged(local_part, domain)


def _judged(local_part: str, domain: str) -> str | EmailReason:
    if any(domain.lower() == name or domain.lower().endswith("." + name) for name in _special_use()):
        return EmailReason.SPECIAL_USE_DOMAIN
    ascii_domain = ascii_host(domain)
    if ascii_domain is None:
        return EmailReason.BAD_DOMAIN
    if _by_library(f"{local_part}@{domain}") is None:
        is_long = len(local_part) + 1 + len(ascii_domain) > MAX_ADDRESS_CHARS
        return EmailReason.TOO_LONG if is_long else EmailReason.BAD_LOCAL_PART
    return f"{local_part}@{ascii_domain}".lower()


def ascii_host(host: str) -> str | None:
    """Domain name in lower-case ASCII (IDNA 2008), or None where it cannot be a public one."""
    found = _by_library(f"a@{host}")
    return None if found is None else found.ascii_domain.lower()


def _by_library(address: str) -> ValidatedEmail | None:
    """What the library makes of an address, None where it refuses it."""
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return None
