"""Content that some writers produce and JSON does not allow, and nesting that no CRM record has.

A RECORD with such content is a rejected row, so that one broken float does not stop a run; in a SCHEMA or STATE it
stops the run, since what they say decides about every other line. Of a member name that stands twice in an object the
last one counts.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from target_amplemarket.singer.lines import IN_CACHE, Lines

MAX_DEPTH: Final = 64
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_DECODE_ANY: Final = msgspec.json.Decoder().decode
_OPENING: Final = ord("{")
_CLOSING: Final = ord("}")
_NEWLINE: Final = ord("\n")
_EITHER_OPENING, _BUT_32 = ord("{") & ord("["), 0xFF - 32
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))


class RecordFault(StrEnum):
    """Why a decodable RECORD cannot become a lead; the value is the result row's reason code."""

    INVALID_NUMBER = "invalid_json_number"
    INVALID_UNICODE = "invalid_json_text"
    NESTED_TOO_DEEP = "nested_too_deep"
    NOT_AN_OBJECT = "record_not_an_object"
    SCHEMA_VIOLATION = "schema_violation"
    STREAM_MAP_FAILED = "stream_map_failed"
    FILTERED = "filtered_by_stream_map"

    @property
    def detail(self) -> str:
        """For people."""
        return _DETAILS[self]


_DETAILS: Final = {
    RecordFault.INVALID_NUMBER: "NaN, Infinity or a number out of range, which JSON does not have",
    RecordFault.INVALID_UNICODE: "half a surrogate pair, which is not Unicode text",
    RecordFault.NESTED_TOO_DEEP: f"more than {MAX_DEPTH} levels of nesting",
    RecordFault.NOT_AN_OBJECT: "something other than an object in `record`",
    RecordFault.SCHEMA_VIOLATION: "what the stream's SCHEMA does not allow",
    RecordFault.STREAM_MAP_FAILED: "what an expression in `stream_maps` cannot work on",
    RecordFault.FILTERED: "left out by `stream_maps`",
}


def repair(content: bytes) -> tuple[bytes, RecordFault] | None:
    """Strict JSON for a line that only a lenient reader takes, and what was wrong with it.

    NaN, Infinity and numbers out of range become null, half surrogate pairs become `?`. None where no reader takes the
    line, or where nothing of that kind is wrong with it.
    """
    broken: list[str] = []

    def whole(text: str) -> int | None:
        with contextlib.suppress(ValueError):  # more digits than Python takes
            return int(text)
        broken.append(text)
        return None

    def decimal(text: str) -> float | None:
        if math.isfinite(value := float(text)):
            return value
        broken.append(text)
        return None

    try:
        value = json.loads(content.decode(), parse_constant=broken.append, parse_int=whole, parse_float=decimal)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    repaired = text.encode("utf-8", "replace")
    if broken:
        return repaired, RecordFault.INVALID_NUMBER
    return (repaired, RecordFault.INVALID_UNICODE) if repaired.decode() != text else None


def decoded(content: bytes | msgspec.Raw, decode: Callable[[Any], Any] = _DECODE_ANY) -> Any:
    """The value of a JSON text, or the fault that keeps a strict decoder from it."""
    # Any: what the decoder makes.
    try:
        return decode(content)
    except msgspec.ValidationError:  # of values of any type only numbers can be wrong
        return RecordFault.INVALID_NUMBER
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RecordFault.INVALID_UNICODE
    except RecursionError:
        return RecordFault.NESTED_TOO_DEEP


def most_brackets(lines: Lines) -> int:
    """A bound of the brackets that one of the lines opens, and so of its depth; those up to 63 bytes off may count."""
    codes, firsts = np.frombuffer(lines.content, np.uint8), range(0, len(lines.content), IN_CACHE)
    bits = [np.packbits((codes[at:][:IN_CACHE] & _BUT_32) == _EITHER_OPENING) for at in firsts]
    padding = np.zeros(-sum(map(len, bits)) % 8, np.uint8)
    words = np.concatenate([*bits, padding]).view(np.uint64)
    opened_before = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bitwise_count(words), dtype=np.int64)])
    bounds = np.concatenate([np.zeros(1, np.intp), lines.newlines, np.full(1, len(codes))]) // 64
    return int((opened_before[np.minimum(bounds[1:] + 1, len(words))] - opened_before[bounds[:-1]]).max())


def object_line_ends(lines: Lines, most_depth: int) -> npt.NDArray[np.intp] | None:
    """Where each line ends, if an object ends before and another begins after every newline between them.

    No JSON value holds such a newline, so as many values as lines are one value a line. None also where one of the
    lines may be nested deeper than `most_depth`.
    """
    codes, ends = np.frombuffer(lines.content, np.uint8), lines.newlines
    if codes[-1] != _NEWLINE:
        ends = np.append(ends, len(codes))
    between = ends[:-1]
    is_sure = (codes[between - 1] == _CLOSING).all() and (codes[between + 1] == _OPENING).all()
    return ends if is_sure and most_brackets(lines) <= most_depth else None


def too_deep(content: bytes) -> bool:
    """Whether arrays and objects of a JSON text are nested deeper than 64 levels, the outermost being the first."""
    if content.count(b"{") + content.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for byte in _STRING.sub(b"", content).translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"{[" else -1
        if depth > MAX_DEPTH:
            return True
    return False
