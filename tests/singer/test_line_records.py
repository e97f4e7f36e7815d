"""Blocks that are read with their records say the same as message by message."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.errors import InputError
from target_amplemarket.singer.line_records import OpenBlock, open_block
from target_amplemarket.singer.lines import Lines
from target_amplemarket.singer.messages import RecordRun, State, Turns
from target_amplemarket.singer.records import AT_ONCE, Path
from target_amplemarket.singer.streams import Streams
from target_amplemarket.singer.turns import Gathered, gathered, opened
from tests.singer.reading import messages_of, singly, taken_apart, until_fault
from tests.singer.test_turns import KNOWN, known_streams, numbered

PATHS: tuple[Path, ...] = (("id",), ("email",), ("Account", "Name"))
EXPECTED = dict.fromkeys(KNOWN, PATHS)


def line(stream: str, members: Any, **others: Any) -> bytes:
    return json.dumps({"type": "RECORD", "stream": stream, "record": members, **others}).encode()


def block_of(*lines: bytes, end: bytes = b"\n") -> Lines:
    return Lines(b"\n".join(lines) + end, 5, 100)


def message_by_message(block: Lines) -> list[tuple[str, bytes, int] | State]:
    """RECORDs (stream, record, byte offset of the line) and STATEs, one after the other."""
    came: list[tuple[str, bytes, int] | State] = []
    for message in singly(messages_of(block.content)):
        if isinstance(message, RecordRun):
            offsets = [line.byte_offset for line in message.lines]
            came += zip(itertools.repeat(message.stream), map(bytes, message.records), offsets, strict=False)
        else:
            assert isinstance(message, State)
            came.append(message)
    return came


def at_once(block: OpenBlock) -> list[tuple[str, bytes, int] | State]:
    return [
        entry if isinstance(entry, State) else (entry[0], entry[1], entry[2].byte_offset - block.lines.byte_offset)
        for entry in taken_apart(block)
    ]


members = st.fixed_dictionaries(
    {"id": st.integers(0, 9)},
    optional={
        "email": st.sampled_from(["x@a.example", "é", 5, None, ["x"]]),
        "Account": st.sampled_from([None, {"Name": "Acme"}, {}, "Acme"]),
        "record": st.just({"record": 1}),
    },
)
entries = st.lists(
    st.one_of(
        st.builds(line, st.sampled_from(KNOWN), members, time_extracted=st.sampled_from(["now", 5])),
        st.builds(lambda at: json.dumps({"type": "STATE", "value": {"at": at}}).encode(), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=20,
)


@given(entries, st.booleans(), st.sampled_from([1, 1, 1, 40]))
def test_every_record_and_state_is_in_its_place(lines: list[bytes], has_end: bool, times: int) -> None:
    block = block_of(*lines * times, end=b"\n" if has_end else b"")
    found = open_block(block, EXPECTED)
    assert found is not None
    assert at_once(found) == message_by_message(block)


def blocks_with(found: Gathered) -> tuple[Any, Any, Any, str]:
    columns = {
        (block.stream.name, number): [str(column[index]) for column in block.records.columns(PATHS).values]
        for block in found.blocks
        for index, number in enumerate(block.record_nos.tolist())
    }
    return numbered(list(found.blocks)), columns, list(found.states), str(found.error)


keyless = st.just({"email": "x@a.example"})


@given(st.lists(st.builds(line, st.sampled_from(KNOWN), st.one_of(members, members, keyless)), min_size=2, max_size=40))
def test_numbers_keys_and_columns_are_those_of_records_that_take_turns(lines: list[bytes]) -> None:
    content = b"\n".join([*lines, b'{"type": "STATE", "value": 1}', lines[0], b""])
    [turns] = messages_of(content)
    found = open_block(Lines(content), EXPECTED)
    assert isinstance(turns, Turns)
    assert found is not None
    assert blocks_with(opened(found, known_streams(), 7)) == blocks_with(gathered(turns, known_streams(), 7))


GOOD = line("a", {"id": 1})


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"   ",
        b"{",
        b"5",
        b"{}",
        b'{"type": "SCHEMA", "stream": "a", "schema": {"properties": {}}, "key_properties": []}',
        b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": 1}',
        b'{"type": "RECORD", "stream": "a"}',
        b'{"type": "RECORD", "stream": null, "record": {"id": 1}}',
        b'{"type": "RECORD", "record": {"id": 1}}',
        b'{"type": "RECORD", "stream": "a", "record": null}',
        b'{"type": "RECORD", "stream": "a", "record": [1]}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": NaN}}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 1e999}}',
        b'{"type": "RECORD", "stream": "a", "record": {"email": "\\ud800"}}',
        b'{"type": "RECORD", "stream": "a", "record": {"id": 1}, "key_properties": 5}',
        b'{"type": "RECORD", "stream": "a", "record": {"x": ' + b"[" * 70 + b"]" * 70 + b"}}",
        b'{"type": "RECORD", "type": "OTHER", "stream": "a", "record": {"id": 1}}',
        b'{"type": "STATE"}',
        line("unknown", {"id": 1}),
        GOOD + GOOD,
        b'{"type": "RECORD", "stream": "a", "record": {"id": 1}',
    ],
)
@pytest.mark.parametrize("before", [0, 1, AT_ONCE + 1])
def test_a_block_with_an_odd_line_goes_the_other_way(odd: bytes, before: int) -> None:
    assert open_block(block_of(*[GOOD] * before, GOOD), EXPECTED) is not None
    assert open_block(block_of(*[GOOD] * before, odd, GOOD), EXPECTED) is None


def test_nothing_is_read_so_where_nothing_is_expected() -> None:
    assert open_block(block_of(GOOD), {}) is None


def test_of_a_member_that_stands_twice_the_last_one_counts() -> None:
    twice = b'{"type":"RECORD","stream":"a","record":{"id":1},"record":{"id":2,"id":3}}'
    found = open_block(block_of(twice), EXPECTED)
    assert found is not None
    records = found.records["a"]
    assert records.json(0) == b'{"id":2,"id":3}'
    assert list(records.columns([("id",)]).values[0]) == [3]


def test_members_that_nobody_expected_are_read_all_the_same() -> None:
    found = open_block(block_of(GOOD, line("a", {"id": 2, "Title": "Chief"})), {"a": (("id",),)})
    assert found is not None
    [ids, titles] = found.records["a"].columns([("id",), ("Title",)]).values
    assert (list(ids), str(list(titles)[1])) == ([1, 2], "Chief")


def test_what_is_kept_are_the_lines_and_they_are_not_copied() -> None:
    lines = [GOOD, line("b", {"id": 2}), b'{"type":"STATE","value":1}', line("a", {"id": 3, "email": "é"})]
    block = block_of(*lines)
    found = open_block(block, EXPECTED)
    assert found is not None
    kept = found.records["a"].kept()
    assert kept.to_pylist() == [lines[0], lines[3]]
    assert kept.dictionary.buffers()[2].address == pa.py_buffer(block.content).address


def read_in_blocks(streams: Streams, *pieces: bytes) -> list[str]:
    """Types of the messages; each stream is expected from its first record on."""
    kinds = []
    for message in messages_of(*pieces, expected=streams.read_with_lines):
        kinds.append(type(message).__name__)
        if isinstance(message, RecordRun):
            streams.expect(message.stream, PATHS)
        elif kinds[-1] == "Schema":
            streams.register(message)  # type: ignore[arg-type]
    return kinds


SCHEMA = b'{"type":"SCHEMA","stream":"a","schema":{"properties":{}},"key_properties":["id"]}\n'


@pytest.mark.parametrize(
    ("streams", "kinds"),
    [
        (Streams(), ["Schema", "RecordRun", "OpenBlock", "Schema", "RecordRun", "OpenBlock"]),
        (Streams(validate=True), ["Schema", "RecordRun", "RecordRun", "Schema", "RecordRun", "RecordRun"]),
    ],
)
def test_a_stream_is_read_so_once_it_is_known_what_for(streams: Streams, kinds: Sequence[str]) -> None:
    records = GOOD + b"\n"
    assert read_in_blocks(streams, SCHEMA + records, records, SCHEMA + records, records) == kinds


def test_a_schema_that_is_news_ends_what_was_expected() -> None:
    streams, records = Streams(), GOOD + b"\n"
    other = SCHEMA.replace(b'["id"]', b"[]")
    kinds = read_in_blocks(streams, SCHEMA + records, records, other, records, records)
    assert kinds == ["Schema", "RecordRun", "OpenBlock", "Schema", "RecordRun", "OpenBlock"]


def test_a_record_without_its_key_is_named_by_its_line() -> None:
    streams = known_streams()
    states = [b'{"type":"STATE","value":1}'] * 2
    block = block_of(GOOD, *states, line("b", {"id": 1}), line("a", {}), GOOD)
    found = open_block(block, EXPECTED)
    assert found is not None
    came = opened(found, streams, 1)
    assert isinstance(came.error, InputError)
    assert "line 9" in str(came.error), "the block begins with line 5"
    assert (came.record_count, [len(part.records) for part in came.blocks]) == (2, [1, 1])
    assert until_fault(came.states)[0] == [(1, b"1"), (1, b"1")]
