"""From values as taps write them to text columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
import pyarrow as pa

from target_amplemarket.singer.records import ABSENT, json_text

MAX_EXTRA_CHARS: Final = 1024
"""Longest value of a further member; the figure documented for sequences (api/amplemarket.md §6.8)."""


def text_column(values: Sequence[object]) -> pa.StringArray:
    """Text of each value, null where there is none.

    Of a list the first entry that is not blank counts, and an entry that is marked `primary` before all others
    (Pipedrive's `[{"value": …, "primary": true}]`). Numbers have no text: no lead field is one, and where a number
    stands in a column named `company` it is the id of one. Flags and other objects have none either.
    """
    try:
        return pa.array([None if value is ABSENT else value for value in values], pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        return pa.array([text_of(value) for value in values], pa.string())


def text_of(value: object) -> str | None:
    """Text of one value, or None; see `text_column`."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list() | tuple():
            entries = sorted(value, key=lambda entry: not (isinstance(entry, dict) and entry.get("primary") is True))
            return next((text for entry in entries if (text := text_of(entry)) and not text.isspace()), None)
        case dict():
            return text_of(value.get("value"))
        case _:
            return None


def extra_column(columns: Mapping[str, Sequence[object]], record_count: int) -> pa.StringArray:
    """Further members of each lead as one JSON object of flat strings, null where it would be empty.

    Numbers become their decimal text, objects and lists their JSON text; what is longer than 1,024 characters is cut.
    """
    if not columns:
        return pa.nulls(record_count, pa.string())
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    objects = ({n: t for n, v in zip(names, row, strict=True) if (t := _flat_text(v)) is not None} for row in rows)
    return pa.array([json_text(flat) if flat else None for flat in objects], pa.string())


def _flat_text(value: object) -> str | None:
    match value:
        case None | msgspec.UNSET:
            return None
        case float() if not math.isfinite(value):
            return None
        case str():
            text = value.encode("utf-8", "replace").decode()
        case bool():
            text = "true" if value else "false"
        case int() | float() | Decimal():
            text = str(value)
        case _:
            text = json_text(value).decode()
    return text[:MAX_EXTRA_CHARS] if text.strip() else None
