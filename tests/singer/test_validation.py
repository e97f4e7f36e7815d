from __future__ import annotations

import time
import traceback
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from target_amplemarket.errors import MalformedLine
from target_amplemarket.singer.lines import Line
from target_amplemarket.singer.validation import compile_validator
from tests.singer.reading import CANARY

LINE = Line(b"", 7, 700)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "object", "array"])
NAMES = st.sampled_from(["a", "b", "format", "not", "pattern"])
NUMBERS = st.integers(-5, 5) | st.sampled_from([0.5, -0.5, 1.0, 1e300])
ATOMS = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "ab", "é", "2026-01-01", "😀"])
INSTANCES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


def keyword_schemas(inner: st.SearchStrategy[Any], *, left_out: bool) -> st.SearchStrategy[dict[str, Any]]:
    many = st.lists(inner, min_size=1, max_size=3)
    checked: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "enum": st.lists(ATOMS, min_size=1, max_size=3),
        "const": ATOMS,
        "minimum": st.integers(-5, 5),
        "maximum": st.integers(-5, 5),
        "exclusiveMinimum": st.integers(-5, 5),
        "exclusiveMaximum": st.integers(-5, 5),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "items": inner | many,
        "additionalItems": inner,
        "contains": inner,
        "required": st.lists(NAMES, unique=True, max_size=2),
        "minProperties": st.integers(0, 2),
        "maxProperties": st.integers(0, 2),
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "additionalProperties": inner | st.booleans(),
        "propertyNames": inner,
        "dependencies": st.dictionaries(NAMES, inner | st.lists(NAMES, unique=True, max_size=2), max_size=2),
        "allOf": many,
        "anyOf": many,
        "oneOf": many,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
    }
    unchecked: dict[str, st.SearchStrategy[Any]] = {
        "format": st.sampled_from(["date", "email"]),
        "pattern": st.sampled_from(["^a", "z"]),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "o"]), inner, max_size=2),
        "multipleOf": st.sampled_from([2, 0.1]),
        "$ref": st.just("#"),
        "definitions": st.dictionaries(NAMES, inner, max_size=1),
        "$id": st.just("https://schema.example/x"),
    }
    chosen = checked | unchecked if left_out else checked
    return st.lists(st.sampled_from(sorted(chosen)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: chosen[name] for name in names})
    )


def schemas(*, left_out: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    leaf = st.fixed_dictionaries({"type": TYPES}) | st.just({})
    return st.recursive(leaf, lambda inner: keyword_schemas(inner, left_out=left_out), max_leaves=8).filter(
        lambda schema: isinstance(schema, dict)
    )


def is_valid(schema: dict[str, Any], instance: object) -> bool:
    return compile_validator(schema, LINE).is_valid(instance)


@settings(max_examples=400)
@given(schemas(), INSTANCES)
def test_of_the_keywords_that_are_checked_the_answer_is_that_of_jsonschema(
    schema: dict[str, Any], instance: Any
) -> None:
    assert is_valid(schema, instance) == Draft7Validator(schema).is_valid(instance)


def without_references(schema: Any) -> bool:
    return "'$ref'" not in repr(schema)


@settings(max_examples=400)
@given(schemas(left_out=True).filter(without_references), INSTANCES)
@example({"not": {"pattern": "z"}}, "a")
@example({"oneOf": [{"format": "date"}, {"pattern": "^a"}]}, "a")
@example({"patternProperties": {"^a": {}}, "additionalProperties": False}, {"a": 1})
@example({"if": {"pattern": "z"}, "then": False}, "a")
def test_what_is_left_unchecked_never_makes_a_valid_record_invalid(schema: dict[str, Any], instance: Any) -> None:
    checker = Draft7Validator.FORMAT_CHECKER
    if Draft7Validator(schema, format_checker=checker).is_valid(instance):
        assert is_valid(schema, instance)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(a+)+$"},
        {"format": "date"},
        {"multipleOf": 0.01},
        {"$ref": "https://elsewhere.example/schema.json"},
        {"$ref": "#/definitions/x", "type": "integer"},
        {"$schema": "https://elsewhere.example/schema.json"},
        {"$id": "%%%"},
        {"contentMediaType": "application/json"},
        {"not": {"format": "date"}},
    ],
)
def test_patterns_formats_references_and_steps_are_not_looked_at(schema: dict[str, Any]) -> None:
    before_s = time.process_time()
    assert is_valid({"properties": {"x": schema}}, {"x": "a" * 40 + "!"})
    assert time.process_time() - before_s < 1


@pytest.mark.parametrize("name", ["pattern", "format", "$ref", "not", "definitions"])
def test_properties_named_like_keywords_are_checked(name: str) -> None:
    schema = {"properties": {name: {"type": "integer"}}, "required": [name]}
    assert is_valid(schema, {name: 1})
    assert not is_valid(schema, {name: "1"})
    assert not is_valid(schema, {})


def test_an_enum_that_looks_like_a_schema_is_compared_whole() -> None:
    assert is_valid({"enum": [{"pattern": "z"}]}, {"pattern": "z"})
    assert not is_valid({"enum": [{"pattern": "z"}]}, {})


def test_lists_of_item_schemas_as_older_drafts_have_them_are_taken() -> None:
    assert not is_valid({"items": [{"type": "integer"}]}, ["a"])


@pytest.mark.parametrize(
    "schema",
    [{"type": CANARY}, {"properties": {"a": CANARY}}, {"required": CANARY}, {"minimum": CANARY}, {"items": CANARY}],
)
def test_what_is_not_a_json_schema_stops_without_repeating_it(schema: dict[str, Any]) -> None:
    with pytest.raises(MalformedLine, match="not a JSON Schema") as caught:
        compile_validator(schema, LINE)
    assert (caught.value.line_no, caught.value.byte_offset) == (7, 700)
    assert caught.value.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(caught.value))
