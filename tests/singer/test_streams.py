from __future__ import annotations

import json
import logging
import traceback
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException
from singer_sdk.mapper import PluginMapper

from target_amplemarket.errors import (
    InputError,
    MalformedLine,
    MissingKey,
    RecordBeforeSchema,
    SettingsError,
    TargetError,
)
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.streams import Mapper, RecordBlock, Streams
from tests.singer.reading import CANARY, blocks_of, until_fault

PROPERTIES = {
    "Id": {"type": "integer"},
    "Email": {"type": ["string", "null"]},
    "First": {"type": ["string", "null"]},
    "Address": {"type": "object", "properties": {"City": {"type": "string"}}},
}


def schema(stream: str = "contacts", keys: tuple[str, ...] = ("Id",), properties: Any = PROPERTIES) -> str:
    body = {"type": "object", "properties": properties}
    return json.dumps({"type": "SCHEMA", "stream": stream, "schema": body, "key_properties": list(keys)})


def record(content: Any, stream: str = "contacts") -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    return f'{{"type": "RECORD", "stream": {json.dumps(stream)}, "record": {text}}}'


def text_of(*lines: str) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def mapped(stream_maps: dict[str, Any] | None = None, *, validate: bool = False, **config: Any) -> Streams:
    mapper = PluginMapper({"stream_maps": stream_maps or {}, **config}, logging.getLogger("test"))
    return Streams(cast("Mapper", mapper), validate=validate)


def rows_of(block: RecordBlock) -> list[Any]:
    """Each record as JSON, or its fault."""
    return [block.faults.get(index) or json.loads(block.records.json(index)) for index in range(len(block.records))]


def blocks(content: bytes, streams: Streams) -> list[RecordBlock]:
    return list(blocks_of(content, streams))


def fault_of(content: bytes, streams: Streams) -> tuple[list[RecordBlock], InputError]:
    came, fault = until_fault(blocks_of(content, streams))
    assert fault is not None
    assert CANARY not in "".join(traceback.format_exception(fault))
    return came, fault


# --- plain ---


def test_records_come_as_they_were_with_their_stream_and_number() -> None:
    content = text_of(
        schema(),
        record('{"Id":1,"x":1.10}'),
        record({"Id": 2}),
        schema("leads", ()),
        record({}, "leads"),
        record({"Id": 3}),
    )
    made = blocks(content, Streams())
    assert [(block.stream.name, block.stream.key_properties, block.first_record_no) for block in made] == [
        ("contacts", ("Id",), 1),
        ("leads", (), 3),
        ("contacts", ("Id",), 4),
    ]
    assert made[0].records.json(0) == b'{"Id":1,"x":1.10}'
    assert made[0].stream.schema["properties"] == PROPERTIES


def test_a_second_schema_takes_the_place_of_the_first() -> None:
    content = text_of(schema(), record({"Id": 1}), schema(keys=("Email",)), record({"Email": "e"}))
    assert [block.stream.key_properties for block in blocks(content, Streams())] == [("Id",), ("Email",)]


def test_a_record_before_its_schema_stops() -> None:
    content = text_of(
        schema("leads"), record({"Id": 1}, "leads"), "", record({"Id": CANARY}), record({"Id": 3}, "leads")
    )
    for streams in (Streams(), Streams(validate=True), mapped()):
        came, fault = fault_of(content, streams)
        assert [block.stream.name for block in came] == ["leads"]
        assert isinstance(fault, RecordBeforeSchema)
        assert isinstance(fault, RecordsWithoutSchemaException)
        assert "`contacts`" in str(fault)
        assert (fault.line_no, fault.byte_offset) == (4, content.rindex(b"\n\n") + 2)


def test_a_record_without_its_key_stops_after_the_records_before_it() -> None:
    lines = [
        schema(keys=("Id", "Email")),
        record({"Id": 1, "Email": None}),
        record({"Id": 2, "email": CANARY}),
        record({"Id": 3}),
    ]
    for streams in (Streams(), Streams(validate=True), mapped()):
        came, fault = fault_of(text_of(*lines), streams)
        assert [len(block.records) for block in came] == [1]
        assert isinstance(fault, MissingKey)
        assert isinstance(fault, MissingKeyPropertiesError)
        assert "(Id, Email)" in str(fault)
        assert (fault.line_no, fault.byte_offset) == (3, len(text_of(*lines[:2])))


def test_a_first_record_without_its_key_hands_nothing_out() -> None:
    came, fault = fault_of(text_of(schema(), record({"Email": CANARY})), Streams())
    assert came == []
    assert fault.line_no == 2


def test_names_in_messages_are_escaped_and_short() -> None:
    name = "contacts\x1b[31m" + "x" * 200
    for content in (text_of(record({}, name)), text_of(schema(name, (name,)), record({}, name))):
        _, fault = fault_of(content, Streams())
        assert "\x1b" not in str(fault)
        assert len(str(fault)) < 300


def test_a_key_that_no_struct_field_can_be_named_after_is_found() -> None:
    content = text_of(schema(keys=('I"d',)), record({'I"d': 1}), record({"Id": 1}))
    came, fault = fault_of(content, Streams())
    assert [len(block.records) for block in came] == [1]
    assert isinstance(fault, MissingKey)


BROKEN = {
    '{"Id":1e999}': RecordFault.INVALID_NUMBER,
    '{"Id":"\\ud800"}': RecordFault.INVALID_UNICODE,
    '{"Email":NaN}': RecordFault.INVALID_NUMBER,
    "[1]": RecordFault.NOT_AN_OBJECT,
    "null": RecordFault.NOT_AN_OBJECT,
    '{"x":' + "[" * 70 + "]" * 70 + "}": RecordFault.NESTED_TOO_DEEP,
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_record_is_not_asked_for_its_key_and_keeps_its_number(text: str) -> None:
    content = text_of(schema(), record({"Id": 1}), record(text), record({"Id": 3}))
    (block,) = blocks(content, Streams())
    seen = {**block.records.columns([("Id",)]).faults, **block.faults}
    assert len(block.records) == 3
    assert seen == {1: BROKEN[text]}


@given(st.lists(st.sampled_from(["contacts", "leads"]), max_size=12), st.integers(0, 12))
def test_numbers_have_no_gaps_and_end_before_the_fault(names: list[str], fault_at: int) -> None:
    contents: list[dict[str, int]] = [{} if index == fault_at else {"Id": index} for index in range(len(names))]
    lines = [record(content, name) for content, name in zip(contents, names, strict=True)]
    came, fault = until_fault(blocks_of(text_of(schema(), schema("leads"), *lines), Streams()))
    numbers = [block.first_record_no + index for block in came for index in range(len(block.records))]
    assert numbers == list(range(1, 1 + min(fault_at, len(names))))
    assert (fault is None) == (fault_at >= len(names))


# --- validate_records ---


def test_a_violation_is_a_fault_of_that_record() -> None:
    content = text_of(
        schema(), record({"Id": 1}), record({"Id": "1"}), record({"Id": 3, "Email": 5}), record({"Id": 4})
    )
    (block,) = blocks(content, Streams(validate=True))
    assert block.faults == {1: RecordFault.SCHEMA_VIOLATION, 2: RecordFault.SCHEMA_VIOLATION}
    (block,) = blocks(content, Streams())
    assert block.faults == {}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_record_is_not_called_a_violation(text: str) -> None:
    content = text_of(schema(properties={"Id": {"type": "integer"}}), record(text))
    for streams in (Streams(validate=True), mapped(validate=True)):
        (block,) = blocks(content, streams)
        assert block.faults == {0: BROKEN[text]}


def test_records_are_checked_against_the_schema_of_their_time() -> None:
    content = text_of(schema(), record({"Id": "1"}), schema(properties={"Id": {"type": "string"}}), record({"Id": "2"}))
    first, second = blocks(content, Streams(validate=True))
    assert (len(first.faults), len(second.faults)) == (1, 0)


def test_a_schema_that_is_none_stops_where_records_are_checked() -> None:
    content = text_of(schema(properties={"Id": {"type": CANARY}}), record({"Id": 1}))
    _, fault = fault_of(content, Streams(validate=True))
    assert isinstance(fault, MalformedLine)
    assert len(blocks(content, Streams())) == 1


# --- stream maps and flattening ---


def test_without_a_map_of_its_own_a_stream_passes_the_mapper_unchanged() -> None:
    (block,) = blocks(text_of(schema(), record({"Id": 1, "Email": "e"})), mapped({"other": {"x": "1"}}))
    assert (block.stream.name, block.stream.key_properties, rows_of(block)) == (
        "contacts",
        ("Id",),
        [{"Id": 1, "Email": "e"}],
    )


def test_members_are_renamed_removed_and_computed() -> None:
    stream_maps = {"contacts": {"mail": "Email.lower()", "Email": "__NULL__", "kind": "'lead'"}}
    (block,) = blocks(text_of(schema(), record({"Id": 1, "Email": "A@B.EXAMPLE"})), mapped(stream_maps))
    assert rows_of(block) == [{"Id": 1, "mail": "a@b.example", "kind": "lead"}]
    assert set(block.stream.schema["properties"]) >= {"Id", "mail", "kind"}
    assert "Email" not in block.stream.schema["properties"]


def test_a_record_that_a_filter_leaves_out_keeps_its_number_and_its_text() -> None:
    stream_maps = {"contacts": {"__filter__": "Id > 1"}}
    (block,) = blocks(text_of(schema(), *(record({"Id": n}) for n in (1, 2, 0))), mapped(stream_maps))
    assert rows_of(block) == [RecordFault.FILTERED, {"Id": 2}, RecordFault.FILTERED]
    assert block.records.json(0) == b'{"Id": 1}'


def test_with_else_null_streams_without_a_map_are_left_out_row_by_row() -> None:
    streams = mapped({"contacts": {}, "__else__": None})
    content = text_of(schema(), schema("leads"), record({"Id": 1}), record({"Id": 2}, "leads"))
    kept, left_out = blocks(content, streams)
    assert rows_of(kept) == [{"Id": 1}]
    assert rows_of(left_out) == [RecordFault.FILTERED]
    assert (left_out.stream.name, left_out.first_record_no) == ("leads", 2)


def test_a_stream_that_is_mapped_to_null_is_left_out_row_by_row() -> None:
    (block,) = blocks(text_of(schema(), record({"Id": 1})), mapped({"contacts": None}))
    assert rows_of(block) == [RecordFault.FILTERED]


def test_an_alias_renames_the_stream() -> None:
    (block,) = blocks(text_of(schema(), record({"Id": 1})), mapped({"contacts": {"__alias__": "people"}}))
    assert block.stream.name == "people"


def test_a_stream_fanned_out_makes_a_block_for_each_and_numbers_go_on() -> None:
    stream_maps = {"copies": {"__source__": "contacts", "kind": "'copy'"}, "contacts": {"kind": "'first'"}}
    content = text_of(schema(), record({"Id": 1}), record({"Id": 2}), schema("leads"), record({"Id": 3}, "leads"))
    made = blocks(content, mapped(stream_maps))
    assert [(block.stream.name, block.first_record_no, len(block.records)) for block in made] == [
        ("contacts", 1, 2),
        ("copies", 3, 2),
        ("leads", 5, 1),
    ]
    assert [rows_of(block)[0].get("kind") for block in made] == ["first", "copy", None]


def test_an_expression_that_fails_on_one_record_rejects_that_one_with_its_text() -> None:
    streams = mapped({"contacts": {"mail": "Email.lower()"}})
    bad = '{"Id":2, "Email":null}'
    (block,) = blocks(
        text_of(schema(), record({"Id": 1, "Email": "A"}), record(bad), record({"Id": 3, "Email": "C"})), streams
    )
    assert block.faults == {1: RecordFault.STREAM_MAP_FAILED}
    assert block.records.json(1).decode() == bad
    assert json.loads(block.records.json(2))["mail"] == "c"


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_record_is_not_mapped_and_keeps_its_text(text: str) -> None:
    (block,) = blocks(text_of(schema(), record(text)), mapped({"contacts": {"title": "'CEO'"}}))
    assert block.faults == {0: BROKEN[text]}
    assert list(block.records.columns([("title",)]).values[0]) != ["CEO"]
    if BROKEN[text] in {RecordFault.NOT_AN_OBJECT, RecordFault.NESTED_TOO_DEEP}:  # strict JSON
        assert block.records.json(0).decode() == text


def test_maps_and_checks_go_together() -> None:
    streams = mapped({"contacts": {"mail": "Email"}}, validate=True)
    (block,) = blocks(text_of(schema(), record({"Id": "x", "Email": "e"}), record({"Id": 2, "Email": "e"})), streams)
    assert rows_of(block) == [RecordFault.SCHEMA_VIOLATION, {"Id": 2, "Email": "e", "mail": "e"}]


def test_key_properties_are_those_of_the_map() -> None:
    stream_maps = {"contacts": {"Id": "__NULL__", "key": "str(Id)", "__key_properties__": ["key"]}}
    (block,) = blocks(text_of(schema(), record({"Id": 7})), mapped(stream_maps))
    assert block.stream.key_properties == ("key",)
    assert rows_of(block) == [{"key": "7"}]


def test_flattening_names_members_by_their_path() -> None:
    streams = mapped(flattening_enabled=True, flattening_max_depth=3)
    (block,) = blocks(text_of(schema(), record({"Id": 1, "Address": {"City": "Oslo"}})), streams)
    assert rows_of(block) == [{"Id": 1, "Address__City": "Oslo"}]
    assert "Address__City" in block.stream.schema["properties"]


@pytest.mark.parametrize(
    "stream_maps",
    [
        {"contacts": {"x": "Email +"}},
        {"contacts": {"x": 5}},
        {"contacts": "text"},
        {"contacts": 5},
        {"contacts": {"__key_properties__": "x", "__else__": "x"}},
    ],
)
def test_maps_that_cannot_be_applied_are_a_fault_of_the_settings(stream_maps: dict[str, Any]) -> None:
    with pytest.raises(TargetError) as caught:
        blocks(text_of(schema(), record({"Id": 1})), mapped(stream_maps))
    assert isinstance(caught.value, SettingsError)
    assert caught.value.__context__ is None


def test_what_neither_map_nor_schema_alone_is_to_blame_for_stops_at_the_schema() -> None:
    with pytest.raises(MalformedLine, match="`stream_maps`") as caught:
        blocks(text_of(schema(), record({"Id": 1})), mapped({"contacts": {"__filter__": 5}}))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("properties", [{"Id": True}, {"Id": None}, {"Id": [CANARY]}, {"Id": {"type": 5}}])
def test_a_schema_of_an_odd_form_is_taken_or_stops_in_our_own_words(properties: dict[str, Any]) -> None:
    for streams in (
        mapped({"contacts": {"x": "Id"}}),
        mapped(flattening_enabled=True, flattening_max_depth=2),
        Streams(validate=True),
    ):
        _, fault = until_fault(blocks_of(text_of(schema(properties=properties), record({"Id": 1})), streams))
        if fault is not None:
            assert isinstance(fault, MalformedLine)
            assert fault.line_no == 1
            assert fault.__context__ is None
            assert CANARY not in str(fault)
