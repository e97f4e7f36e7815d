"""Types that JSON text can be decoded into only where a JSON Schema allows it: decoding is then all the checking.

What a type takes is valid, what it refuses may be: an integer written `1.0`, or a member that the schema does not name,
whose value a decoder would pass over unread. Schemas of which that cannot be said have no type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union

import msgspec

_KINDS: Final[Mapping[str, Any]] = {
    "null": None,
    "boolean": bool,
    "integer": int,
    "fraction": float,
    "string": str,
    "array": list[Any],
    "object": dict[str, Any],
}
"""Kinds of JSON values and the type of all values of each; a fraction is a number with a point or an exponent."""

_OF_NUMBERS: Final = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
_BOUNDS: Final = {
    "integer": _OF_NUMBERS,
    "fraction": _OF_NUMBERS,
    "string": {"minLength": "min_length", "maxLength": "max_length"},
    "array": {"minItems": "min_length", "maxItems": "max_length"},
}
_EXACT: Final = 2**53
"""Up to here every integer is a float, so that comparing the two is exact."""

_LARGEST_BOUND: Final = 2**63
"""Of those that msgspec takes."""

_MOST_MEMBERS: Final = 256
"""Members of an object that come in another order each time are found by looking through all, which many make slow."""

_READ: Final = frozenset({"type", "items", "properties", "required", "additionalProperties"}).union(*_BOUNDS.values())
_NOT_READ: Final = frozenset(
    {"additionalItems", "allOf", "const", "contains", "dependencies", "else", "if", "maxProperties", "minProperties"}
    | {"multipleOf", "not", "oneOf", "pattern", "patternProperties", "propertyNames", "$ref", "then", "uniqueItems"}
)
KEYWORDS: Final = _READ | _NOT_READ | {"anyOf", "enum"}
"""All that draft 7 gives a meaning to; other members of a schema are notes."""


class _NoTypeError(Exception):
    """A schema has none, or not one that is made here."""


def decoder_of(schema: Any, example: object = None) -> msgspec.json.Decoder[Any] | None:
    """A decoder that takes only texts whose value a schema allows.

    Args:
        schema: Of draft 7, and valid; `format` is a note in it.
        example: A value as they come; those whose members stand in the same order are decoded fastest.

    Returns:
        None where there is none. What the decoder takes, one without a type takes as well.
    """
    try:
        return msgspec.json.Decoder(_type(schema, example))
    except (_NoTypeError, TypeError, ValueError, NotImplementedError):  # msgspec's, of names and bounds it cannot have
        return None


def _type(schema: Any, example: object) -> Any:  # any JSON; a type
    by_kind = _by_kind(schema, example)
    return Any if by_kind == _KINDS else Union[tuple(by_kind.values())]  # noqa: UP007  # of a number known only here


def _by_kind(schema: Any, example: object) -> Mapping[str, Any]:
    """For each kind of values that a schema allows the type of those it allows."""
    if schema is True:
        return _KINDS
    if not isinstance(schema, Mapping):
        raise _NoTypeError
    keywords = schema.keys() & KEYWORDS
    if keywords == {"anyOf"}:
        return _any_of(schema["anyOf"], example)
    if "enum" in keywords and keywords <= {"enum", "type"}:
        return _one_of(schema["enum"], _allowed_kinds(schema))
    if keywords <= _READ:
        return {kind: _of_kind(kind, schema, example) for kind in _allowed_kinds(schema)}
    raise _NoTypeError


def _allowed_kinds(schema: Mapping[str, Any]) -> Sequence[str]:
    types = schema.get("type", tuple(_KINDS))
    named = [types] if isinstance(types, str) else types
    return [kind for name in named for kind in (("integer", "fraction") if name == "number" else (name,))]


def _any_of(schemas: Sequence[Any], example: object) -> Mapping[str, Any]:
    by_kind: dict[str, Any] = {}
    for schema in schemas:
        for kind, its_type in _by_kind(schema, example).items():
            if by_kind.setdefault(kind, its_type) != its_type:
                raise _NoTypeError
    return by_kind


def _one_of(choices: Sequence[Any], kinds: Sequence[str]) -> Mapping[str, Any]:
    if not all(choice is None or isinstance(choice, str) for choice in choices):
        raise _NoTypeError
    texts = tuple(choice for choice in choices if choice is not None)
    chosen = {"null" if choice is None else "string" for choice in choices}
    return {kind: Literal[texts] if kind == "string" else None for kind in kinds if kind in chosen}


def _of_kind(kind: str, schema: Mapping[str, Any], example: object) -> Any:
    match kind:
        case "object":
            return _object(schema, example if isinstance(example, dict) else {})
        case "array":
            first = example[0] if isinstance(example, list) and example else None
            items = _type(schema.get("items", True), first)
            return _bounded(kind, list[items], schema)  # type: ignore[valid-type]
        case _:
            return _bounded(kind, _KINDS[kind], schema)


def _bounded(kind: str, its_type: Any, schema: Mapping[str, Any]) -> Any:
    bounds = {ours: schema[keyword] for keyword, ours in _BOUNDS.get(kind, {}).items() if keyword in schema}
    largest = _EXACT if kind == "fraction" else _LARGEST_BOUND
    if any(abs(bound) > largest for bound in bounds.values()):
        raise _NoTypeError
    return Annotated[its_type, msgspec.Meta(**bounds)] if bounds else its_type


def _object(schema: Mapping[str, Any], example: Mapping[str, object]) -> Any:
    declared, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    required = frozenset(schema.get("required", ()))
    names = declared.keys() | required
    if not names:
        return dict[str, _type(others, None)]  # type: ignore[misc]
    if len(names) > _MOST_MEMBERS:
        raise _NoTypeError
    in_order = dict.fromkeys(name for name in (*example, *declared, *required) if name in names)
    members = {f"member_{number}": name for number, name in enumerate(in_order)}
    types = {field: _type(declared.get(name, others), example.get(name)) for field, name in members.items()}
    fields = [(field, t) if members[field] in required else (field, t, msgspec.UNSET) for field, t in types.items()]
    return msgspec.defstruct("Object", fields, rename=members, forbid_unknown_fields=True, kw_only=True, gc=False)
