"""Canonical forms of what few services take beside an identity: their own ids, phones, departments.

Names, cities, countries and seniorities are texts as company names are (`canonical.tidy_texts`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.canonical import CanonicalColumn, complete, is_placeholder, tidy_texts
from target_amplemarket.leads.text import text_column, text_of

_UUID: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_IS_UUID: Final = re.compile(_UUID)
_IS_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BETWEEN_IDS: Final = re.compile(r"[\s,;]")
_BETWEEN_DEPARTMENTS: Final = re.compile(r"[;,]")
_NO_DIGIT: Final = re.compile(r"\D+")
_MEMBERS: Final = ("value", "number", "sanitized_number", "raw_number")
"""Members of an object that hold a phone or a department, the first that is there (Pipedrive, Apollo)."""

Values = Sequence[object]
"""One value a record, as it came."""


class IdReason(StrEnum):
    """Why an id cannot be one of the service's own."""

    NUMBER = "number"
    SEVERAL_IDS = "several_ids"
    PLACEHOLDER = "placeholder"
    NOT_A_UUID = "not_a_uuid"
    NOT_AN_ID = "not_an_id"


def person_ids(values: Values) -> CanonicalColumn:
    """Canonical ids of people: a UUID in lower case, or a word of letters, digits, `_` and `-` as it is."""
    return _ids(values, person_id)


def company_ids(values: Values) -> CanonicalColumn:
    """Canonical ids of companies: a UUID in lower case."""
    return _ids(values, company_id)


def person_id(text: str) -> str | None:
    """The canonical form of one id, an `IdReason`, or None for an absent one."""
    text = text.strip()
    if not text or _IS_UUID.fullmatch(text.lower()):
        return text.lower() or None
    return _fault(text) or (text if _IS_WORD.fullmatch(text) else IdReason.NOT_AN_ID)


def company_id(text: str) -> str | None:
    """The same of a company's id."""
    text = text.strip()
    if not text or _IS_UUID.fullmatch(text.lower()):
        return text.lower() or None
    return _fault(text) or IdReason.NOT_A_UUID


def _fault(text: str) -> IdReason | None:
    """What is no id of any kind; a number is the source's own key."""
    if text.isdecimal():
        return IdReason.NUMBER
    if is_placeholder(text):
        return IdReason.PLACEHOLDER
    return IdReason.SEVERAL_IDS if _BETWEEN_IDS.search(text) else None


def _ids(values: Values, scalar: Callable[[str], str | None]) -> CanonicalColumn:
    texts = _id_texts(values)
    lower = pc.ascii_lower(pc.ascii_trim_whitespace(texts))
    is_uuid = pc.match_substring_regex(lower, _UUID)
    return complete(texts, pc.if_else(is_uuid, lower, pa.scalar(None, pa.string())), scalar)


def _id_texts(values: Values) -> pa.StringArray:
    """Text of each value; of a list all entries, since one record is one lead, and of a number its digits."""
    if isinstance(values, pa.Array):
        return values
    return pa.array([_id_text(value) for value in values], pa.string())


def _id_text(value: object) -> str | None:
    match value:
        case bool():
            return None
        case int():
            return str(value)
        case list() | tuple():
            return ",".join(text for entry in value if (text := _id_text(entry)) and text.strip()) or None
        case _:
            return text_of(value)


def tidied(values: Values) -> pa.StringArray:
    """Names, cities, countries, seniorities: trimmed, white space collapsed; blank and placeholder values null."""
    return tidy_texts(text_column(values))


def phones(columns: Sequence[Values]) -> pa.ListArray:
    """All phones of each record, distinct by their digits, in the order in which they come; null where there are none.

    Args:
        columns: Of all members that hold phones, in the order in which they count. A value is a text, a list of texts,
            or objects with the text in `value` or `number`. Numbers are none: they have lost what they began with.
    """
    return _gathered(columns, lambda text: (text,), lambda text: _NO_DIGIT.sub("", text))


def departments(columns: Sequence[Values]) -> pa.ListArray:
    """All departments of each record, as `phones`; a text may hold several, parted by `;` or `,`."""
    return _gathered(columns, _BETWEEN_DEPARTMENTS.split, str.lower)


def _gathered(
    columns: Sequence[Values], parts_of: Callable[[str], Iterable[str]], key_of: Callable[[str], str]
) -> pa.ListArray:
    rows = [[part for value in row for text in _texts(value) for part in parts_of(text)] for row in _rows(columns)]
    tidy = iter(tidy_texts(pa.array([text for row in rows for text in row], pa.string())).to_pylist())
    kept = (_distinct([text for text in itertools.islice(tidy, len(row)) if text], key_of) for row in rows)
    return pa.array([texts or None for texts in kept], pa.list_(pa.string()))


def _distinct(texts: Iterable[str], key_of: Callable[[str], str]) -> list[str]:
    """The first text of each key, those without a key left out."""
    first: dict[str, str] = {}
    for text in texts:
        if key := key_of(text):
            first.setdefault(key, text)
    return list(first.values())


def _rows(columns: Sequence[Values]) -> Iterator[tuple[object, ...]]:
    lists = [column.to_pylist() if isinstance(column, pa.Array) else column for column in columns]
    return zip(*lists, strict=True)


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value.encode("utf-8", "replace").decode()
        case list() | tuple():
            for entry in value:
                yield from _texts(entry)
        case dict():
            yield from _texts(next((value[name] for name in _MEMBERS if value.get(name)), None))
        case _:
            return
