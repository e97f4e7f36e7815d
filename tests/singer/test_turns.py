"""Records that are gathered by stream are the same as those that are taken one run after another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.errors import InputError, MissingKey, RecordBeforeSchema
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.messages import RecordRun, Schema, State, Turns
from target_amplemarket.singer.streams import RecordBlock, Streams
from target_amplemarket.singer.turns import gathered
from tests.singer.reading import messages_of, singly

KNOWN = ("a", "b", "c")
Numbered = dict[int, tuple[str, bytes, Any]]


def lines_of(records: list[tuple[str, dict[str, Any]]], states_after: set[int]) -> bytes:
    lines: list[dict[str, Any]] = []
    for number, (stream, members) in enumerate(records, start=1):
        lines.append({"type": "RECORD", "stream": stream, "record": members})
        if number in states_after:
            lines.append({"type": "STATE", "value": {"at": number}})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def known_streams(*, validate: bool = False) -> Streams:
    streams = Streams(validate=validate)
    properties = {"id": {"type": "integer", "maximum": 8}, "email": {"type": ["string", "null"]}}
    for name in KNOWN:
        text = {"type": "SCHEMA", "stream": name, "schema": {"properties": properties}, "key_properties": ["id"]}
        [schema] = messages_of(json.dumps(text).encode() + b"\n")
        assert isinstance(schema, Schema)
        streams.register(schema)
    return streams


def numbered(blocks: list[RecordBlock]) -> Numbered:
    """Every record by its number: stream, JSON, and the value of a member; its fault where it has one."""
    found: Numbered = {}
    for block in blocks:
        [emails] = block.records.columns([("email",)]).values
        assert len(block.record_nos) == len(block.records)
        assert all(index < len(block.records) for index in block.faults)
        for index, number in enumerate(block.record_nos.tolist()):
            assert number not in found
            found[number] = (block.stream.name, block.records.json(index), block.faults.get(index, str(emails[index])))
    return found


def one_after_another(turns: Turns, streams: Streams) -> tuple[Numbered, list[tuple[int, bytes]], InputError | None]:
    last_read = 0
    blocks: list[RecordBlock] = []
    states = []
    try:
        for message in turns.messages:
            if isinstance(message, State):
                states.append((last_read, message.value))
                continue
            for block in streams.blocks(message, last_read + 1):
                blocks.append(block)
                last_read += len(block.records)
    except InputError as error:
        return numbered(blocks), states, error
    return numbered(blocks), states, None


def turns_in(content: bytes) -> Iterator[Turns]:
    yield from (message for message in messages_of(content) if isinstance(message, Turns))


members = st.fixed_dictionaries(
    {"id": st.integers(0, 9)}, optional={"email": st.sampled_from(["x@a.example", 5, None])}
)
keyless = st.just({"email": "x@a.example"})
records = st.lists(st.tuples(st.sampled_from(KNOWN), members), max_size=30)
faulty = st.lists(
    st.tuples(st.sampled_from((*KNOWN, *KNOWN, "unknown")), st.one_of(members, members, members, keyless)), max_size=30
)


@given(st.one_of(records, faulty), st.sets(st.integers(1, 30)), st.booleans())
def test_gathering_changes_nothing_but_the_blocks(
    given_records: list[tuple[str, dict[str, Any]]], states_after: set[int], validate: bool
) -> None:
    for turns in turns_in(lines_of(given_records, states_after)):
        found = gathered(turns, known_streams(validate=validate), 1)
        expected, states, error = one_after_another(turns, known_streams(validate=validate))
        assert numbered(list(found.blocks)) == expected
        assert list(found.states) == states
        assert found.record_count == len(expected)
        assert len({block.stream.name for block in found.blocks}) == len(found.blocks)
        assert type(found.error) is type(error)
        assert str(found.error) == str(error)


@pytest.mark.parametrize(("stream", "kind"), [("a", MissingKey), ("unknown", RecordBeforeSchema)])
def test_what_ends_the_input_names_its_own_line(stream: str, kind: type[InputError]) -> None:
    good = [(name, {"id": 1}) for name in ("a", "b") * 3]
    [turns] = turns_in(lines_of([*good, (stream, {}), *good], {2}))
    error = gathered(turns, known_streams(), 1).error
    assert isinstance(error, kind)
    assert "line 8" in str(error), "seven records and a STATE"


def test_faults_of_records_behind_what_ends_the_input_are_left_out_with_them() -> None:
    rows = [("a", {"id": 9}), ("b", {"id": 1}), ("a", {"id": 1}), ("b", {}), ("a", {"id": 9})]
    [turns] = turns_in(lines_of(rows, set()))
    found = gathered(turns, known_streams(validate=True), 1)
    faults = {block.stream.name: block.faults for block in found.blocks}
    assert faults == {"a": {0: RecordFault.SCHEMA_VIOLATION}, "b": {}}


def test_numbers_follow_on_from_those_before() -> None:
    [turns] = turns_in(lines_of([("a", {"id": 1}), ("b", {"id": 1}), ("a", {"id": 2})], {1}))
    found = gathered(turns, known_streams(), 101)
    assert {block.stream.name: block.record_nos.tolist() for block in found.blocks} == {"a": [101, 103], "b": [102]}
    assert found.states == [(101, b'{"at": 1}')]
    assert [type(message) for message in singly([turns])] == [RecordRun, State, RecordRun, RecordRun]
