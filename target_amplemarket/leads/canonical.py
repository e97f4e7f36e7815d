"""What the canonical forms share: their result, the placeholders, and the way from a fast path to a complete column."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.storage.arrow import NO_TEXT

_PLACEHOLDER_WORDS = r"""
- -- --- . ? ?? / n/a n.a. n.a na n\a #n/a #value! #ref! null (null) <null> none nil nan undefined unknown (unknown)
tbd tba blank (blank) empty missing
"""
_PLACEHOLDER_PHRASES = ("not available", "not applicable", "not provided", "not known", "no value", "(not set)")
PLACEHOLDERS = frozenset((*_PLACEHOLDER_WORDS.split(), *_PLACEHOLDER_PHRASES))
"""What forms and exports write where nothing is known, lower-case; as an identity it would merge all who share it."""

# White space, and the invisible characters that copying out of browsers and office programs leaves at the ends.
# There are none between the two ranges; looking there too would take a hundredth of a short run.
INVISIBLE = "".join(
    chr(point)
    for point in (*range(0x3001), *range(0xFEFF, 0x10000))
    if chr(point).isspace() or (unicodedata.category(chr(point)) == "Cf" and point >= 0x2000) or point == 0x00AD
)

_SPACES = r"[\p{Z}\p{Cc}]+"
_ZERO_WIDTH = r"[\x{200B}\x{FEFF}]+"
_UNTIDY = r"^ | $|  |[^\P{Z} ]|[\p{Cc}\x{200B}\x{FEFF}]"


@dataclass(frozen=True, slots=True)
class CanonicalColumn:
    """Canonical forms of a column, row by row; both arrays have the length of the input.

    A row of the input is absent (null, or nothing but white space), acceptable, or not acceptable: `value` is set on
    acceptable rows only, `reason` on rows that are not acceptable only.

    Attributes:
        value: Canonical form (string), null where absent or not acceptable.
        reason: Stable reason code (string) where a value was given and is not acceptable, else null.
    """

    value: pa.StringArray
    reason: pa.StringArray


def complete(values: pa.StringArray, fast: pa.StringArray, scalar: Callable[[str], str | None]) -> CanonicalColumn:
    """Fill the rows that a fast path left open by asking a scalar function once for each distinct value.

    Args:
        values: The input column.
        fast: Canonical forms, null where the fast path has no answer; same length.
        scalar: The reference: canonical form, a `StrEnum` member as reason, or None for an absent value.
    """
    is_open = pc.and_(pc.is_valid(values), pc.is_null(fast))
    if not pc.any(is_open).as_py():
        return CanonicalColumn(fast, pa.nulls(len(values), pa.string()))
    distinct = values.filter(is_open).dictionary_encode()
    verdicts = [scalar(text) for text in distinct.dictionary.to_pylist()]
    accepted = pa.array([None if isinstance(verdict, StrEnum) else verdict for verdict in verdicts], pa.string())
    refused = pa.array([verdict if isinstance(verdict, StrEnum) else None for verdict in verdicts], pa.string())
    return CanonicalColumn(
        pc.replace_with_mask(fast, is_open, accepted.take(distinct.indices)),
        pc.replace_with_mask(pa.nulls(len(values), pa.string()), is_open, refused.take(distinct.indices)),
    )


def tidy_texts(values: pa.StringArray) -> pa.StringArray:
    """Trimmed, inner white space collapsed to one space; blank and placeholder values null. Case is kept."""
    distinct = values.dictionary_encode()  # many share a title or a company
    return _tidied(distinct.dictionary).take(distinct.indices)


def _tidied(values: pa.StringArray) -> pa.StringArray:
    untidy = pc.fill_null(pc.match_substring_regex(values, _UNTIDY), False)
    if pc.any(untidy).as_py():
        visible = pc.replace_substring_regex(values.filter(untidy), _ZERO_WIDTH, "")
        collapsed = pc.utf8_trim_whitespace(pc.replace_substring_regex(visible, _SPACES, " "))
        values = pc.replace_with_mask(values, untidy, collapsed)
    absent = pc.is_in(pc.utf8_lower(values), pa.array(["", *sorted(PLACEHOLDERS)]))
    return pc.if_else(absent, NO_TEXT, values)


def is_placeholder(text: str) -> bool:
    """Whether the whole text, in any case, is one of `PLACEHOLDERS`."""
    return text.lower() in PLACEHOLDERS
