from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from target_amplemarket.singer.json_faults import RecordFault, decoded
from target_amplemarket.singer.lines import Line
from target_amplemarket.singer.schema_types import KEYWORDS, decoder_of
from target_amplemarket.singer.validation import Validator, compile_validator
from tests.singer.test_validation import TYPES, schemas

LINE = Line(b"", 1, 0)
NAMES = st.sampled_from(["a", "b", "type", "é", 'q"', ""])
NUMBERS = ("0", "-0", "1", "2", "-3", "1.0", "-0.0", "2.5", "1e2", "1E-2", "1e300", "1e999", "9" * 30, "9" * 5_000,
    str(2**53), str(2**53 + 1), f"{2**53}.0", f"{2**53 + 2}.0", str(2**63 - 1), str(2**63), f"{2**63}.0", str(-(2**63)),
    str(-(2**63) - 1), str(2**64), "-" + "9" * 30, "9" * 400)  # fmt: skip
TEXTS = (
    '""',
    '"a"',
    '"\\u0061"',
    '"ab"',
    '"é"',
    '"😀"',
    '"\\ud83d\\ude00"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"a\\\\"',
)
ATOMS = st.sampled_from(["null", "true", "false", *NUMBERS, *TEXTS])


def listed(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=3).map(lambda items: f"[{','.join(items)}]")


def objects(members: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[str]:
    """Members in any order, some more than once."""
    return st.lists(members, max_size=4).map(lambda pairs: "{" + ", ".join(f"{n}:{v}" for n, v in pairs) + "}")


def name_texts(name: str) -> st.SearchStrategy[str]:
    escaped = '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
    return st.sampled_from([json.dumps(name), json.dumps(name, ensure_ascii=False), escaped])


ANY_TEXT = st.recursive(
    ATOMS, lambda inner: listed(inner) | objects(st.tuples(NAMES.flatmap(name_texts), inner)), max_leaves=6
)


def texts_near(schema: Any) -> st.SearchStrategy[str]:
    """JSON texts of which many are what the schema allows."""
    if not isinstance(schema, dict):
        return ANY_TEXT
    if "enum" in schema:
        return st.sampled_from(schema["enum"]).map(json.dumps) | ATOMS
    if "anyOf" in schema:
        return st.one_of(*map(texts_near, schema["anyOf"]))
    types = schema.get("type", ["object"])
    near = [texts_of(name, schema) for name in ([types] if isinstance(types, str) else types)]
    return st.one_of(*near, *near, ANY_TEXT)


def texts_of(name: str, schema: Any) -> st.SearchStrategy[str]:
    match name:
        case "null":
            return st.just("null")
        case "boolean":
            return st.sampled_from(["true", "false"])
        case "integer" | "number":
            return st.sampled_from(NUMBERS) | st.sampled_from(
                [str(schema[name]) for name in LIMITS if name in schema] or ["0"]
            )
        case "string":
            return st.sampled_from(TEXTS)
        case "array":
            return listed(texts_near(schema.get("items")))
        case _:
            named = schema.get("properties", {})
            every = [st.tuples(name_texts(name), texts_near(part)) for name, part in named.items()]
            whole = st.tuples(*every).map(lambda pairs: "{" + ",".join(f"{n}:{v}" for n, v in pairs) + "}")
            return st.one_of(whole, objects(st.one_of(*every, st.tuples(NAMES.flatmap(name_texts), ATOMS))))


LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
BOUNDS = st.integers(-3, 3) | st.sampled_from(
    [
        0.5,
        2.0,
        1e300,
        *(sign * (2**power + shift) for sign in (1, -1) for power in (53, 63, 64) for shift in (-1, 0, 1)),
    ]
)
SIZES = st.sampled_from([0, 1, 2, 2.0, 2**31, 2**63, 2**70, 10**400])


def tap_schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """As taps write them, and then some."""
    types = TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True)
    bounds = dict.fromkeys(LIMITS, BOUNDS)
    sizes = dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), SIZES)
    notes: dict[str, st.SearchStrategy[Any]] = {
        "format": st.just("date-time"), "description": st.text(max_size=3), "inclusion": st.just("available"),
        "default": st.none(), "title": st.just("x"), "$defs": st.just({"a": False}),
    }  # fmt: skip
    values = st.fixed_dictionaries({"type": types}, optional={**bounds, **sizes, **notes})
    lists = st.fixed_dictionaries({"type": types | st.just("array"), "items": inner}, optional={**bounds, **sizes})
    members = st.fixed_dictionaries(
        {"type": st.sampled_from(["object", ["null", "object"], ["object", "array"]])},
        optional={
            "properties": st.dictionaries(NAMES, inner, max_size=4),
            "required": st.lists(NAMES, unique=True, max_size=2),
            "additionalProperties": inner | st.booleans(),
            **notes,
        },
    )
    choices = st.fixed_dictionaries(
        {"enum": st.lists(st.sampled_from(["a", "ab", "é", None, 1, 1.0, True]), min_size=1, max_size=3)},
        optional={"type": types, "minLength": SIZES},
    )
    either = st.fixed_dictionaries(
        {"anyOf": st.lists(inner, min_size=1, max_size=3)}, optional={**notes, "type": types}
    )
    return values | lists | members | members | choices | either


TAP_SCHEMAS = st.recursive(
    st.fixed_dictionaries({"type": TYPES}) | st.just({}) | st.booleans(), tap_schemas, max_leaves=8
).filter(lambda schema: isinstance(schema, dict))

ALL_SCHEMAS = TAP_SCHEMAS | TAP_SCHEMAS | schemas(left_out=True)


@st.composite
def schemas_and_texts(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    schema = draw(ALL_SCHEMAS)
    return schema, draw(st.lists(texts_near(schema), min_size=1, max_size=6))


def fault(validator: Validator, raw: msgspec.Raw) -> RecordFault | None:
    value = decoded(raw)
    if isinstance(value, RecordFault):
        return value
    return None if validator.is_valid(value) else RecordFault.SCHEMA_VIOLATION


def raws_of(*texts: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(text.encode()) for text in texts]


@settings(max_examples=1_000)
@given(schemas_and_texts())
@example(({"properties": {}, "additionalProperties": False}, ["{}", '{"a":1}']))
@example(({"type": "object", "properties": {"a": True}}, ['{"b":1e999}', '{"b":"\\ud800"}', '{"b":1}']))
@example(({"minimum": 2**53 + 1}, [f"{2**53}.0", f"{2**53 + 2}.0"]))
@example(({"type": "number", "maximum": 2**53}, [str(2**53), str(2**53 + 1)]))
@example(({"type": "array", "items": {"type": "integer"}}, ["[1]", '[1,"a"]', "[1.0]"]))
@example(({"enum": ["a", "ab"], "minLength": 2}, ['"a"', '"ab"']))
@example(({"required": ["a"], "additionalProperties": {"type": "string"}}, ['{"a":""}', '{"a":1}', "{}"]))
@example(({"type": "string", "maxLength": 1}, ['"\\ud83d\\ude00"', '"😀"', '"😀😀"', '"é"']))
def test_records_have_the_faults_that_looking_at_each_decoded_whole_finds(
    case: tuple[dict[str, Any], list[str]],
) -> None:
    schema, texts = case
    validator, raws = compile_validator(schema, LINE), raws_of(*texts)
    expected = {index: found for index, raw in enumerate(raws) if (found := fault(validator, raw))}
    assert validator.faults(raws) == expected
    for index, raw in enumerate(raws):  # one alone, so that no other sends it the slow way
        assert validator.faults([raw]) == ({0: expected[index]} if index in expected else {})


TEXT, FLAG = {"type": ["null", "string"]}, {"type": ["boolean", "null"]}
WHEN = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]}
WRITTEN = [
    ({"type": "object", "properties": {"a": TEXT, "b": FLAG}}, '{"b":true,"a":null}'),
    ({"type": ["null", "object"], "properties": {"a": WHEN}, "additionalProperties": False}, '{"a":"2026-01-01"}'),
    ({"properties": {"a": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}}}, '{"a":5}'),
    ({"properties": {"a": {"type": ["null", "number"], "minimum": 0}}}, '{"a":2.5}'),
    ({"properties": {"a": {"type": "string", "maxLength": 255, "inclusion": "available"}}}, '{"a":"x"}'),
    ({"properties": {"a": {"type": "array", "items": {"properties": {"b": TEXT}}}}}, '{"a":[{"b":"x"},{}]}'),
    ({"properties": {"a": {"type": "object"}}, "required": ["a", "b"]}, '{"a":{"x":[1]},"b":1}'),
    ({"properties": {"a": {"enum": ["x", "y", None]}, "b": {"type": "string", "enum": ["z"]}}}, '{"a":null,"b":"z"}'),
    ({"properties": {"a": {}, "b": True}}, '{"a":[null,1.5],"b":{"c":false}}'),
    ({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": TEXT}}}, '{"a":{"x":"y"}}'),
    (
        {
            "properties": {
                "Id": {"type": "string"},
                "Account": {"type": ["null", "object"], "properties": {"Name": TEXT}},
            }
        },
        '{"Account":{"Name":"Acme"},"Id":"003"}',
    ),
]


@pytest.mark.parametrize(("schema", "text"), WRITTEN)
def test_valid_records_as_taps_write_them_are_taken(schema: dict[str, Any], text: str) -> None:
    decoder = decoder_of(schema, json.loads(text))
    assert decoder is not None
    decoder.decode(text)


@pytest.mark.parametrize("keyword", sorted({*Draft7Validator.VALIDATORS, "then", "else"} - {"format"}))
def test_every_keyword_is_known(keyword: str) -> None:
    assert keyword in KEYWORDS


def test_a_schema_of_very_many_members_has_no_type() -> None:
    assert decoder_of({"properties": {f"n{number}": TEXT for number in range(1_000)}}) is None


@pytest.mark.parametrize("place", [0, 1, 31, 32, 63, 64, 199])
def test_a_violation_is_found_wherever_it_stands_among_many(place: int) -> None:
    texts = ['{"a":"x"}'] * 200
    texts[place] = '{"a":5}'
    validator = compile_validator({"properties": {"a": TEXT}}, LINE)
    assert validator.faults(raws_of(*texts)) == {place: RecordFault.SCHEMA_VIOLATION}
