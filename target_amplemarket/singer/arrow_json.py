"""Arrow columns as the JSON that RECORD lines would have held, column by column.

Numbers are numbers, of whatever width; a float that is not finite is null, as singer-sdk's taps write it. Timestamps,
dates and times are their ISO 8601 text, structs and maps are objects. Bytes are text where they are UTF-8, else Base64.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.storage.arrow import NO_TEXT

_HARMLESS: Final = bytes(set(range(256)) - set(range(32)) - set(b'"\\'))
_NEEDS_ESCAPE: Final = r'["\\\x00-\x1f]'
_UTC: Final = frozenset({"UTC", "Etc/UTC", "GMT", "Z", "+00:00"})
_BINARY: Final = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_PLAIN: Final = (
    *(pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
    *(pa.types.is_date, pa.types.is_time, pa.types.is_duration),
)
_DECODE: Final = msgspec.json.Decoder().decode


def json_texts(array: pa.Array) -> pa.StringArray:
    """JSON text of each value; `null` where there is none.

    Raises:
        pa.ArrowInvalid: More than 2 GiB of text.
    """
    return pc.fill_null(_texts(array), "null")


def json_objects(names: Sequence[str], columns: Sequence[pa.Array], row_count: int) -> pa.StringArray:
    """One JSON object a row; of a name that stands twice the last column counts."""
    last = dict(zip(names, columns, strict=True))
    if not last:
        return pa.repeat(pa.scalar("{}"), row_count)
    parts: list[object] = []
    before = "{"
    for name, column in last.items():
        before += json.dumps(name, ensure_ascii=False) + ":"
        text = plain_text(column)
        if text is not None and not text.null_count:  # its quotes go with what stands around it, which saves a copy
            parts += [before + '"', _escaped(text)]
            before = '",'
        else:
            parts += [before, _texts(column)]
            before = ","
    end = before.removesuffix(",") + "}"
    return pc.binary_join_element_wise(*parts, end, "", null_handling="replace", null_replacement="null")


def record_struct(names: Sequence[str], columns: Sequence[pa.Array]) -> pa.StructArray | None:
    """The columns as a struct whose `json_texts` are the same, whichever of its rows they are asked of and wherever.

    None where they hold types of which that is not sure, or which not every Arrow can select from.
    """
    last = dict(zip(names, columns, strict=True))
    members = [column if (text := plain_text(column)) is None else text for column in last.values()]
    if not members or not all(_is_plain(member.type) for member in members):
        return None
    return pa.StructArray.from_arrays(members, names=list(last))


def json_values(array: pa.Array) -> list[object]:
    """The values as a JSON decoder makes them of their text."""
    values: list[object] = _DECODE("[" + ",".join(json_texts(array).to_pylist()) + "]")
    return values


def plain_text(array: pa.Array) -> pa.StringArray | None:
    """A column of text as it is, None where the column is of another type."""
    if isinstance(array, pa.ExtensionArray):
        return plain_text(array.storage)
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    return None


def _is_plain(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_struct(kind):
        return all(_is_plain(kind.field(index).type) for index in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_plain(kind.value_type)
    if types.is_map(kind):
        return _is_plain(kind.key_type) and _is_plain(kind.item_type)
    return any(is_kind(kind) for is_kind in _PLAIN) or (types.is_timestamp(kind) and kind.tz in {None, *_UTC})


def _texts(array: pa.Array) -> pa.StringArray:
    """JSON texts, null for null."""
    kind = array.type
    types = pa.types
    if types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if (text := plain_text(array)) is not None:
        return _quoted(text)
    if isinstance(array, pa.ExtensionArray):
        return _odd_texts(array)
    if types.is_dictionary(kind):
        is_small = len(array.dictionary) <= len(array)
        return pc.take(_texts(array.dictionary), array.indices) if is_small else _texts(array.dictionary_decode())
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_decimal(kind):
        return array.cast(pa.string())
    if types.is_floating(kind):
        return _float_texts(array)
    if types.is_timestamp(kind) or types.is_date(kind):
        return _date_texts(array)
    return _nested_or_odd_texts(array)


def _nested_or_odd_texts(array: pa.Array) -> pa.StringArray:
    kind = array.type
    types = pa.types
    if types.is_struct(kind):
        return _struct_texts(array)
    if types.is_map(kind):
        return _map_texts(array)
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return _texts(array.cast(pa.large_list(kind.value_type)))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_pylist()
        return _grouped(array, json_texts(array.flatten()), lengths, "[]")
    if any(is_kind(kind) for is_kind in _BINARY):
        return _binary_texts(array)
    if types.is_run_end_encoded(kind):
        return _texts(pc.run_end_decode(array))
    return _odd_texts(array)


def _quoted(text: pa.StringArray) -> pa.StringArray:
    return pc.binary_join_element_wise('"', _escaped(text), '"', "")


def _escaped(text: pa.StringArray) -> pa.StringArray:
    if _has_escapes(text):
        odd = pc.fill_null(pc.match_substring_regex(text, _NEEDS_ESCAPE), False)
        escaped = [json.dumps(value, ensure_ascii=False)[1:-1] for value in text.filter(odd).to_pylist()]
        return pc.replace_with_mask(text, odd, pa.array(escaped, pa.string()))
    return text


def _has_escapes(text: pa.StringArray) -> bool:
    """Looked for in the bytes of all values at once."""
    _, offsets, content = text.buffers()
    if not len(text) or content is None:
        return False
    at = memoryview(offsets).cast("i")
    first, last = at[text.offset], at[text.offset + len(text)]
    return bool(content.slice(first, last - first).to_pybytes().translate(None, _HARMLESS))


def _float_texts(array: pa.Array) -> pa.StringArray:
    doubles = array.cast(pa.float64())
    text = pc.if_else(pc.is_finite(doubles), doubles.cast(pa.string()), NO_TEXT)
    is_whole = pc.invert(pc.match_substring_regex(text, "[.e]"))
    return pc.if_else(is_whole, pc.binary_join_element_wise(text, ".0", ""), text)


def _date_texts(array: pa.Array) -> pa.StringArray:
    """As Python's `isoformat` writes them: with microseconds only where there are some."""
    if pa.types.is_date(array.type):
        return _in_quotes(array.cast(pa.date32()).cast(pa.string()))
    zone = array.type.tz
    if zone is not None and zone not in _UTC:
        return _zoned_texts(array)
    wall = array.cast(pa.timestamp(array.type.unit))
    seconds = wall.cast(pa.timestamp("s"), safe=False)
    text = seconds.cast(pa.string())
    if array.type.unit != "s":
        micros = wall.cast(pa.timestamp("us"), safe=False)
        is_whole = pc.equal(seconds.cast(pa.timestamp("us"), safe=False), micros)
        if pc.all(is_whole).as_py() is False:
            text = pc.if_else(is_whole, text, micros.cast(pa.string()))
    text = pc.replace_substring(text, " ", "T", max_replacements=1)
    text = pc.if_else(pc.starts_with(text, "<"), NO_TEXT, text)  # what Arrow writes of years that no calendar has
    return _in_quotes(text, "" if zone is None else "+00:00")


def _zoned_texts(array: pa.TimestampArray) -> pa.StringArray:
    try:
        values = array.cast(pa.timestamp("us", array.type.tz), safe=False).to_pylist()
    except (ValueError, OverflowError, KeyError, OSError, pa.ArrowException):  # a zone nobody knows, or far-off years
        return _date_texts(array.cast(pa.timestamp(array.type.unit, "UTC")))
    return pa.array([None if value is None else f'"{value.isoformat()}"' for value in values], pa.string())


def _in_quotes(text: pa.StringArray, suffix: str = "") -> pa.StringArray:
    return pc.binary_join_element_wise('"', text, suffix + '"', "")


def _binary_texts(array: pa.Array) -> pa.StringArray:
    with contextlib.suppress(pa.ArrowInvalid):
        return _quoted(array.cast(pa.binary()).cast(pa.string()))
    return _quoted(pa.array([None if value is None else _text_of(value) for value in array.to_pylist()], pa.string()))


def _text_of(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()


def _struct_texts(array: pa.StructArray) -> pa.StringArray:
    names = [array.type.field(index).name for index in range(array.type.num_fields)]
    texts = json_objects(names, [pc.struct_field(array, [index]) for index in range(len(names))], len(array))
    return pc.if_else(pc.is_valid(array), texts, NO_TEXT)


def _map_texts(array: pa.MapArray) -> pa.StringArray:
    """Objects; a key that is no text is named by its JSON text."""
    ends = array.offsets.to_pylist()
    keys, values = (part.slice(ends[0], ends[-1] - ends[0]) for part in (array.keys, array.items))
    text = plain_text(keys)
    names = _quoted(json_texts(keys) if text is None else text)
    lengths = [end - start for start, end in itertools.pairwise(ends)]
    return _grouped(array, pc.binary_join_element_wise(names, ":", json_texts(values), ""), lengths, "{}")


def _grouped(array: pa.Array, flat: pa.StringArray, lengths: Iterable[int], brackets: str) -> pa.StringArray:
    entries = iter(flat.to_pylist())
    texts = pa.array([_bracketed(entries, length, brackets) for length in lengths], pa.string())
    return pc.if_else(array.is_valid(), texts, NO_TEXT)


def _bracketed(entries: Iterator[str], count: int, brackets: str) -> str:
    return brackets[0] + ",".join([next(entries) for _ in range(count)]) + brackets[1]


def _odd_texts(array: pa.Array) -> pa.StringArray:
    """Times, durations, ids and whatever else Arrow has: the text that Python gives them."""
    if pa.types.is_time64(array.type):
        array = array.cast(pa.time64("us"), safe=False)
    elif pa.types.is_duration(array.type):
        array = array.cast(pa.duration("us"), safe=False)
    return pa.array([_odd_text(value) for value in array.to_pylist()], pa.string())


def _odd_text(value: Any) -> str | None:  # whatever Arrow has
    return None if value is None else json.dumps(value if isinstance(value, str | int) else str(value), default=str)
