"""Documents of answers, and which of their text may be kept: ids, codes, pointers, addresses, each of a safe form.

Everything else that may quote what was sent stays behind.
"""

from __future__ import annotations

import re

import msgspec

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_POINTER = re.compile(r"(?:/[A-Za-z0-9_.~-]{1,64})+")
_POINTER_LENGTH = 128
_URL_LENGTH = 2_048
_NAME_LENGTH = 200


def decoded(body: bytes | None) -> object:
    """The document, or None for what is no JSON; no text of it gets out in an exception."""
    try:
        return msgspec.json.decode(body or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def member(document: object, name: str) -> object:
    """A member of what may not be an object, or None."""
    return document.get(name) if isinstance(document, dict) else None


def safe_id(value: object) -> str | None:
    """An id that can stand in a path."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def safe_word(value: object) -> str:
    """A word of the API's own, such as a status or a code; `unrecognised` for what is none."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "unrecognised"


def safe_url(value: object) -> str | None:
    """An address to show to people, never to call; the documentation's own examples point at a development host."""
    if not isinstance(value, str) or len(value) > _URL_LENGTH or not value.isprintable():
        return None
    return value if value.startswith(("https://", "http://")) else None


def safe_name(value: object) -> str | None:
    """A name to show to people, on one line."""
    return value[:_NAME_LENGTH] if isinstance(value, str) and value.isprintable() else None


def safe_pointer(pointer: str | None) -> str | None:
    """A JSON pointer (RFC 6901) of plain names; a value may hide in any other."""
    is_safe = pointer is not None and len(pointer) <= _POINTER_LENGTH and _POINTER.fullmatch(pointer) is not None
    return pointer if is_safe else None
