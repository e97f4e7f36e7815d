"""Compiled JSON Schema checks for `validate_records`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from target_amplemarket.errors import MalformedLine
from target_amplemarket.singer.json_faults import RecordFault, decoded
from target_amplemarket.singer.lines import Line
from target_amplemarket.singer.schema_types import decoder_of

_AT_ONCE: Final = 32
"""Records decoded at once; where one of them is not taken, all are looked at one by one."""

_LEFT_OUT: Final = frozenset(
    {"$id", "$schema", "contentEncoding", "contentMediaType", "definitions"}
    | {"format", "multipleOf", "pattern", "patternProperties"}
)
"""Not checked: a tap's patterns are not run as regular expressions, its references are not followed, and taps declare
`multipleOf` steps that no binary float meets. Without them a schema allows more, never less."""

_TURNED: Final = frozenset({"if", "not", "oneOf"})
"""Where a part that allows more makes the whole allow less; such a part is left out whole."""

_NAMED_SCHEMAS: Final = frozenset({"dependencies", "properties"})
_SCHEMAS: Final = (
    _TURNED
    | {"additionalItems", "additionalProperties", "allOf", "anyOf", "contains"}
    | {"else", "items", "propertyNames", "then"}
)


class Validator:
    """Says which records a SCHEMA allows.

    Args:
        schema: Of it what is checked.
        is_valid: The same of a decoded record.
    """

    def __init__(self, schema: Any, is_valid: Callable[[object], bool]) -> None:
        self.is_valid = is_valid
        self._schema = schema
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._had_records = False

    def faults(self, raws: Sequence[msgspec.Raw]) -> dict[int, RecordFault]:
        """By index, what is wrong with records that cannot be decoded or are not valid."""
        if raws and not self._had_records:
            self._had_records = True
            self._decoder = decoder_of(self._schema, decoded(raws[0]))
        return {
            index: fault
            for first in range(0, len(raws), _AT_ONCE)
            if not self._takes_all(some := raws[first : first + _AT_ONCE])
            for index, raw in enumerate(some, first)
            if (fault := self._fault(raw)) is not None
        }

    def _takes_all(self, raws: Sequence[msgspec.Raw]) -> bool:
        """Whether the decoder of valid records does; where it does not, they are looked at one by one."""
        if self._decoder is not None:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                self._decoder.decode_lines(b"\n".join(raws))
                return True
        return False

    def _fault(self, raw: msgspec.Raw) -> RecordFault | None:
        record = decoded(raw)
        if isinstance(record, RecordFault):
            return record
        return None if self.is_valid(record) else RecordFault.SCHEMA_VIOLATION


def compile_validator(schema: Mapping[str, Any], line: Line) -> Validator:
    """Compile a SCHEMA, read as JSON Schema draft 7.

    Raises:
        MalformedLine: It is not a JSON Schema.
    """
    import jsonschema_rs  # only for those who ask for it

    checked = _checked(schema)
    with contextlib.suppress(ValueError):  # its text repeats the schema
        return Validator(checked, jsonschema_rs.Draft7Validator(checked).is_valid)
    message = "the `schema` of this SCHEMA is not a JSON Schema"
    raise MalformedLine(message, line_no=line.line_no, byte_offset=line.byte_offset)


def _checked(schema: Any) -> Any:  # any JSON
    if isinstance(schema, list):
        return [_checked(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return {}
    kept = {name: _checked_part(name, part) for name, part in schema.items() if name not in _LEFT_OUT}
    if "patternProperties" in schema:
        kept.pop("additionalProperties", None)
    return {name: part for name, part in kept.items() if name not in _TURNED or part == schema[name]}


def _checked_part(keyword: str, part: Any) -> Any:  # any JSON
    if keyword in _NAMED_SCHEMAS and isinstance(part, Mapping):
        return {name: _checked(of_name) for name, of_name in part.items()}
    return _checked(part) if keyword in _SCHEMAS else part
