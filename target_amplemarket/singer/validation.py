"""Compiled JSON Schema checks for `validate_records`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import jsonschema_rs

from target_amplemarket.errors import MalformedLine
from target_amplemarket.singer.lines import Line

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


def compile_validator(schema: Mapping[str, Any], line: Line) -> Callable[[object], bool]:
    """Compile a SCHEMA, read as JSON Schema draft 7.

    Raises:
        MalformedLine: It is not a JSON Schema.
    """
    with contextlib.suppress(ValueError):  # its text repeats the schema
        return jsonschema_rs.Draft7Validator(_checked(schema)).is_valid
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
