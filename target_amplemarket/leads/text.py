"""From values as taps write them to text columns."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.singer.records import ABSENT, NOT_ALL_TEXT, Path, json_text

MAX_EXTRA_CHARS: Final = 1024
"""Longest value of a further member; docs/reference/field-mapping.md."""


_ESCAPED: Final = r'["\\\x00-\x1f]'


def text_column(values: Sequence[object]) -> pa.StringArray:
    """Text of each value, null where there is none.

    Of a list the first entry that is not blank counts, and an entry that is marked `primary` before all others
    (Pipedrive's `[{"value": …, "primary": true}]`). Numbers have no text: no lead field is one, and where a number
    stands in a column named `company` it is the id of one. Flags and other objects have none either.
    """
    if isinstance(values, pa.Array):  # text already
        return values
    with contextlib.suppress(*NOT_ALL_TEXT):
        return pa.array(values, pa.string())
    with contextlib.suppress(*NOT_ALL_TEXT):
        return pa.array([None if value is ABSENT else value for value in values], pa.string())
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


def key_column(keys: Sequence[str], values: Mapping[Path, Sequence[object]], record_count: int) -> pa.StringArray:
    """The key properties of each record as a JSON object; null without keys, and where one is absent."""
    if not keys:
        return pa.nulls(record_count, pa.string())
    columns = [_json_column(values[key,]) for key in keys]
    parts: list[object] = []
    for key, column in zip(keys, columns, strict=True):
        parts += [f"{',' if parts else '{'}{json_text(key).decode()}:", column]
    return pc.binary_join_element_wise(*parts, "}", "")


def _json_column(values: Sequence[object]) -> pa.StringArray:
    """JSON text of each value, null where it is absent."""
    with contextlib.suppress(*NOT_ALL_TEXT):
        texts = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
        if not pc.any(pc.match_substring_regex(texts, _ESCAPED)).as_py():
            return pc.fill_null(pc.binary_join_element_wise('"', texts, '"', ""), "null")
    return pa.array([None if value is ABSENT else json_text(value) for value in _listed(values)], pa.string())


def _listed(values: Sequence[object]) -> Sequence[object]:
    return values.to_pylist() if isinstance(values, pa.Array) else values


def extra_column(columns: Mapping[str, Sequence[object]], record_count: int) -> pa.StringArray:
    """Further members of each lead as one JSON object of flat strings, null where it would be empty.

    Numbers become their decimal text, objects and lists their JSON text; what is longer than 1,024 characters is cut.
    """
    if not columns:
        return pa.nulls(record_count, pa.string())
    names = list(columns)
    rows = zip(*map(_listed, columns.values()), strict=True)
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
