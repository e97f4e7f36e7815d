from __future__ import annotations

import json
import os
import traceback
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_amplemarket.errors import InputError, MalformedLine
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.lines import read_lines
from target_amplemarket.singer.messages import (
    ActivateVersion,
    Idle,
    Message,
    RecordRun,
    Schema,
    State,
    Turns,
    printable,
    read_messages,
)
from target_amplemarket.singer.stop import StopRequest
from tests.singer.reading import CANARY, INPUTS, messages_of, singly, until_fault
from tests.singer.test_lines import cut

SCHEMA = b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"Id":{}}},"key_properties":["Id"]}\n'
RECORD = b'{"type":"RECORD","stream":"s","record":{"Id":1}}\n'
OTHER = RECORD.replace(b'"s"', b'"t"')
STATE = b'{"type":"STATE","value":{"a":1}}\n'


def flat(messages: list[Message]) -> list[Any]:
    """Messages one by one, records as their text, so that runs do not matter."""
    out: list[Any] = []
    for message in singly(messages):
        match message:
            case RecordRun():
                for index, (raw, line) in enumerate(zip(message.records, message.lines, strict=True)):
                    out.append((message.stream, bytes(raw), line.line_no, line.byte_offset, message.faults.get(index)))
            case Schema():
                out.append((message.stream, message.schema, message.key_properties, message.line.line_no))
            case _:
                out.append(message)
    return out


def only(line: bytes) -> Any:
    (message,) = messages_of(line)
    return message


def fault_of(content: bytes) -> tuple[list[Any], InputError]:
    came, fault = until_fault(messages_of(content))
    assert fault is not None
    return flat(came), fault


# --- what is taken ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
STREAMS = st.sampled_from(["contacts", "leads", "Konten é", "a b"])
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=3)
MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("RECORD"), "stream": STREAMS, "record": OBJECTS}, optional={"version": JSON}
    ),
    st.fixed_dictionaries(
        {"type": st.just("SCHEMA"), "stream": STREAMS, "schema": st.just({"properties": {"Id": {}}})},
        optional={"key_properties": st.sampled_from([[], ["Id"], ["Id", "é"], None]), "bookmark_properties": JSON},
    ),
    st.fixed_dictionaries({"type": st.just("STATE"), "value": OBJECTS}),
    st.fixed_dictionaries({"type": st.just("ACTIVATE_VERSION"), "stream": STREAMS, "version": st.integers()}),
    st.just({}),  # a blank line
)


@st.composite
def written(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A message and one of the ways to write it: spaces or none, members in any order, escapes or none, line ends."""
    message = draw(MESSAGES)
    if not message:
        return message, draw(st.sampled_from([b"\n", b"\r\n", b" \t\n"]))
    members = draw(st.permutations(sorted(message.items())))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : "), ("\t,", ":\t")]))
    text = json.dumps(dict(members), separators=separators, ensure_ascii=draw(st.booleans()))
    return message, draw(st.sampled_from(["", " "])).encode() + text.encode() + draw(st.sampled_from([b"\n", b"\r\n"]))


def naive(pairs: list[tuple[dict[str, Any], bytes]], start: int) -> list[Any]:
    out: list[Any] = []
    byte_offset = start
    for line_no, (message, line) in enumerate(pairs, 1):
        match message.get("type"):
            case "RECORD":
                out.append((message["stream"], message["record"], line_no, byte_offset))
            case "SCHEMA":
                keys = tuple(message.get("key_properties") or ())
                out.append((message["stream"], message["schema"], keys, line_no))
            case "STATE":
                out.append(message["value"])
            case "ACTIVATE_VERSION":
                out.append(ActivateVersion(message["stream"]))
        byte_offset += len(line)
    return out


def readable(message: Any) -> Any:
    """An entry of `flat` with JSON text read by the standard library."""
    if isinstance(message, State):
        return json.loads(message.value)
    if isinstance(message, tuple) and len(message) == 5:
        stream, text, line_no, byte_offset, fault = message
        assert fault is None
        return stream, json.loads(text), line_no, byte_offset
    return message


@settings(max_examples=300)
@given(st.lists(written(), max_size=8), st.lists(st.integers(0, 4_000)), st.booleans(), st.booleans())
def test_any_messages_in_any_dialect_cut_anywhere_are_the_same_messages(
    pairs: list[tuple[dict[str, Any], bytes]], places: list[int], has_mark: bool, has_end: bool
) -> None:
    mark = b"\xef\xbb\xbf" if has_mark else b""
    content = mark + b"".join(line for _, line in pairs)
    if not has_end:
        content = content.rstrip(b"\r\n") if pairs and pairs[-1][0] else content
    counts: Counter[str] = Counter()
    taken = flat(list(messages_of(*cut(content, places), counts=counts)))
    assert [readable(message) for message in taken] == naive(pairs, len(mark))
    assert counts == Counter(message["type"] for message, _ in pairs if message)


def test_runs_hold_consecutive_records_of_one_stream_and_keep_the_order() -> None:
    came = list(messages_of(SCHEMA + RECORD * 3 + STATE + RECORD * 2 + OTHER + RECORD + STATE))
    assert [type(message).__name__ for message in came] == ["Schema", "Turns"]
    messages = singly(came)
    kinds = [
        (type(m).__name__, m.stream, len(m.records)) if isinstance(m, RecordRun) else type(m).__name__ for m in messages
    ]
    assert kinds == [
        "Schema",
        ("RecordRun", "s", 3),
        "State",
        ("RecordRun", "s", 2),
        ("RecordRun", "t", 1),
        ("RecordRun", "s", 1),
        "State",
    ]


@pytest.mark.parametrize("lines", [RECORD * 3 + OTHER * 2 + STATE, STATE + RECORD * 2 + STATE, STATE * 2])
def test_streams_that_do_not_come_again_do_not_take_turns(lines: bytes) -> None:
    assert not any(isinstance(message, Turns) for message in messages_of(SCHEMA + lines))


def test_another_message_parts_what_takes_turns() -> None:
    came = [type(message).__name__ for message in messages_of((RECORD + OTHER) * 2 + SCHEMA + (RECORD + STATE) * 2)]
    assert came == ["Turns", "Schema", "Turns"]


@pytest.mark.parametrize(
    "value",
    [
        b"{}",
        b"{ }",
        b'{"a": 1.10, "b":1.0e5,  "n": 123456789012345678901234567890}',
        b'{"a":1,"a":2}',
        b'{"\\u00e9":"\\u00E9 \\/ \\ud83d\\ude00"}',
        '{"é":"日本"}'.encode(),
        b"null",
        b"[1 , 2]",
        b'"text"',
        b"1e999",
        b'{"bookmarks" : {"contacts" : { "t" : "2026-01-01T00:00:00Z" } } }',
        b"{" + b'"a":{' * 90 + b"}" * 91,
    ],
)
def test_the_value_of_a_state_stays_as_the_tap_wrote_it(value: bytes) -> None:
    for line in (
        b'{"type":"STATE","value":' + value + b"}",
        b' { "value" :  ' + value + b'  , "type" : "STATE" } \r',
        b'{"\\u0074ype": "STATE", "value": 0, "value": ' + value + b"}",
    ):
        assert only(line) == State(value)


def test_a_state_may_come_first() -> None:
    first, second, _ = messages_of(STATE + SCHEMA + RECORD)
    assert isinstance(first, State)
    assert isinstance(second, Schema)


def test_of_a_member_of_a_message_that_stands_twice_the_last_counts() -> None:
    run = only(b'{"type":"STATE","stream":"a","record":{"Id":1},"record":{"Id":2},"stream":"b","type":"RECORD"}')
    assert flat([run])[0][:2] == ("b", b'{"Id":2}')


def test_activate_version_is_passed_on_by_stream_and_counted() -> None:
    counts: Counter[str] = Counter()
    assert list(messages_of(b'{"type":"ACTIVATE_VERSION","stream":"s","version":1}', counts=counts)) == [
        ActivateVersion("s")
    ]
    assert counts == {"ACTIVATE_VERSION": 1}


def test_a_slow_pipe_gives_idle_between_messages() -> None:
    read_end, write_end = os.pipe()
    stop = StopRequest()
    with os.fdopen(read_end, "rb") as source, os.fdopen(write_end, "wb", buffering=0) as sink:
        reading = read_messages(read_lines(source, stop, idle_s=0.01), Counter())
        sink.write(STATE + RECORD[:20])
        assert next(reading) == State(b'{"a":1}')
        assert next(reading) == Idle()
        sink.write(RECORD[20:])
        assert isinstance(next(reading), RecordRun)
        sink.close()
        assert list(reading) == []
    stop.close()


# --- what is a fault of one record ---


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (b'{"Id":1,"x":NaN}', RecordFault.INVALID_NUMBER),
        (b'{"Id":1,"x":[-Infinity, 1e999]}', RecordFault.INVALID_NUMBER),
        (b'{"Id":1,"x":NaN,"y":' + b"9" * 5_000 + b"}", RecordFault.INVALID_NUMBER),
        (b'{"Id":1,"x":"\\ud800"}', RecordFault.INVALID_UNICODE),
        (b'{"Id":1,"\\udc00":1}', RecordFault.INVALID_UNICODE),
        (b'{"Id":1,"x":"\\ud800","y":1e999}', RecordFault.INVALID_NUMBER),
        (b'{"Id":1,"x":' + b"[" * 63 + b"]" * 63 + b"}", RecordFault.NESTED_TOO_DEEP),
        (b'{"Id":1,"x":' + b"[" * 400 + b"]" * 400 + b"}", RecordFault.NESTED_TOO_DEEP),
        (b'{"x":NaN,"y":' + b"[" * 100 + b"]" * 100 + b"}", RecordFault.NESTED_TOO_DEEP),
        (b"[1]", RecordFault.NOT_AN_OBJECT),
        (b'"text"', RecordFault.NOT_AN_OBJECT),
        (b"null", RecordFault.NOT_AN_OBJECT),
        (b"1.5", RecordFault.NOT_AN_OBJECT),
        (b"true", RecordFault.NOT_AN_OBJECT),
        (b"[NaN]", RecordFault.NOT_AN_OBJECT),
    ],
)
def test_bad_content_is_a_fault_of_that_record_and_the_next_ones_are_unharmed(
    record: bytes, fault: RecordFault
) -> None:
    counts: Counter[str] = Counter()
    line = RECORD.replace(b'{"Id":1}', record)
    for bad in (line, line.replace(b":", b": ", 3)):
        taken = flat(list(messages_of(RECORD + bad + RECORD, counts=counts)))
        assert [entry[4] for entry in taken] == [None, fault, None]
        assert [entry[2] for entry in taken] == [1, 2, 3]
    assert counts == {"RECORD": 6}


def test_62_levels_in_a_record_are_no_fault() -> None:
    (entry,) = flat([only(RECORD.replace(b'{"Id":1}', b'{"x":' + b"[" * 62 + b"]" * 62 + b"}"))])
    assert entry[4] is None


def test_huge_numbers_that_are_whole_are_no_fault() -> None:
    text = b'{"Id":' + b"9" * 300 + b"}"
    (entry,) = flat([only(RECORD.replace(b'{"Id":1}', text))])
    assert (entry[1], entry[4]) == (text, None)


# --- what stops ---

STOPS = {
    "not_json": b'{"type":"RECORD","stream":"s","record":{"Email":"%s"' % CANARY.encode(),
    "single_quotes": b"{'type': 'STATE', 'value': '%s'}" % CANARY.encode(),
    "text_only": CANARY.encode(),
    "a_list": b'["%s"]' % CANARY.encode(),
    "two_values": b'{"type":"STATE","value":{}} {"a":"%s"}' % CANARY.encode(),
    "without_type": b'{"stream":"s","record":{"Email":"%s"}}' % CANARY.encode(),
    "null_type": b'{"type":null,"record":{"Email":"%s"}}' % CANARY.encode(),
    "type_of_wrong_type": b'{"type":{"a":"%s"},"stream":"s","record":{}}' % CANARY.encode(),
    "type_twice_first_wrong": b'{"type":5,"type":"STATE","value":{"a":"%s"}}' % CANARY.encode(),
    "unknown_type": b'{"type":"%s","stream":"s"}' % CANARY.encode(),
    "unknown_type_with_nan": b'{"type":"%s","value":NaN}' % CANARY.encode(),
    "lower_case_type": b'{"type":"record","stream":"s","record":{"Email":"%s"}}' % CANARY.encode(),
    "batch_without_encoding": b'{"type":"BATCH","stream":"s","manifest":["file:///%s"]}' % CANARY.encode(),
    "batch_without_manifest": b'{"type":"BATCH","stream":"%s","encoding":{}}' % CANARY.encode(),
    "batch_manifest_of_wrong_type": b'{"type":"BATCH","stream":"s","encoding":{},"manifest":["a",{"%s":1}]}'
    % CANARY.encode(),
    "batch_with_nan": b'{"type":"BATCH","stream":"s","encoding":{"%s":NaN},"manifest":[]}' % CANARY.encode(),
    "record_without_stream": b'{"type":"RECORD","record":{"Email":"%s"}}' % CANARY.encode(),
    "record_without_record": b'{"type":"RECORD","stream":"s","value":"%s"}' % CANARY.encode(),
    "stream_of_wrong_type": b'{"type":"RECORD","stream":["%s"],"record":{}}' % CANARY.encode(),
    "thousands_of_levels": b'{"type":"RECORD","stream":"s","record":{"%s":%s}}'
    % (CANARY.encode(), b"[" * 50_000 + b"]" * 50_000),
    "open_levels": b'{"type":"RECORD","stream":"s","record":{"%s":%s' % (CANARY.encode(), b"[" * 500_000),
    "invalid_utf8": b'{"type":"RECORD","stream":"s","record":{"Email":"%s\xff"}}' % CANARY.encode(),
    "utf16": f'{{"type":"STATE","value":"{CANARY}"}}'.encode("utf-16-le"),
    "bad_escape": b'{"type":"RECORD","stream":"s","record":{"Email":"%s\\x"}}' % CANARY.encode(),
    "control_character": b'{"type":"RECORD","stream":"s","record":{"Email":"%s\x01"}}' % CANARY.encode(),
    "state_without_value": b'{"type":"STATE","stream":"%s"}' % CANARY.encode(),
    "state_with_nan": b'{"type":"STATE","value":{"%s":NaN}}' % CANARY.encode(),
    "state_with_half_surrogate": b'{"type":"STATE","value":{"%s":"\\ud800"}}' % CANARY.encode(),
    "schema_without_stream": b'{"type":"SCHEMA","schema":{"properties":{"%s":{}}}}' % CANARY.encode(),
    "schema_without_schema": b'{"type":"SCHEMA","stream":"s","key_properties":["%s"]}' % CANARY.encode(),
    "schema_without_properties": b'{"type":"SCHEMA","stream":"s","schema":{"title":"%s"}}' % CANARY.encode(),
    "schema_properties_of_wrong_type": b'{"type":"SCHEMA","stream":"s","schema":{"properties":["%s"]}}'
    % CANARY.encode(),
    "schema_of_wrong_type": b'{"type":"SCHEMA","stream":"s","schema":"%s"}' % CANARY.encode(),
    "schema_with_huge_number": b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"%s":1e999}}}' % CANARY.encode(),
    "schema_with_nan": b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"%s":NaN}}}' % CANARY.encode(),
    "schema_too_deep": b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"%s":%s}}}'
    % (CANARY.encode(), b"[" * 63 + b"]" * 63),
    "key_properties_of_wrong_type": b'{"type":"SCHEMA","stream":"s","schema":{"properties":{}},"key_properties":"%s"}'
    % CANARY.encode(),
}


@pytest.mark.parametrize("last", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("name", STOPS)
def test_what_cannot_be_taken_stops_after_all_before_it_and_shows_nothing_of_itself(name: str, last: bytes) -> None:
    counts: Counter[str] = Counter()
    before = b"\n" + SCHEMA + RECORD + STATE + RECORD * 2
    came, fault = until_fault(messages_of(before + STOPS[name] + last + RECORD, counts=counts))
    assert [type(message) for message in came] == [Schema, RecordRun, State, RecordRun]
    assert len(flat(came)) == 5
    assert isinstance(fault, MalformedLine)
    assert (fault.line_no, fault.byte_offset) == (7, len(before))
    assert f"(line 7, byte offset {len(before)})" in str(fault)
    shown = "".join(traceback.format_exception(fault))
    assert CANARY not in shown
    assert CANARY.split("@")[0] not in shown
    seen: BaseException | None = fault
    while seen is not None:
        assert CANARY not in repr(seen.args) + repr(vars(seen))
        seen = seen.__cause__ or seen.__context__


@pytest.mark.parametrize("path", sorted(INPUTS.glob("stops_*.jsonl")), ids=lambda path: path.stem)
def test_recorded_inputs_stop_at_their_last_line(path: Any) -> None:
    content = path.read_bytes()
    _, fault = fault_of(content)
    assert fault.line_no == content.rstrip(b"\n").count(b"\n") + 1


@pytest.mark.parametrize("path", sorted(INPUTS.glob("reads_*.jsonl")), ids=lambda path: path.stem)
def test_recorded_inputs_read_to_their_end(path: Any) -> None:
    counts: Counter[str] = Counter()
    list(messages_of(path.read_bytes(), counts=counts))
    assert counts == {"SCHEMA": 1, "RECORD": 2, "STATE": 1}


def test_a_fault_in_a_later_block_still_hands_out_the_run_before_it() -> None:
    came, fault = until_fault(messages_of(RECORD, RECORD, RECORD + b"nonsense\n"))
    assert len(flat(came)) == 3
    assert fault is not None
    assert fault.line_no == 4


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("contacts", "contacts"),
        ("a\nb\x1b[31m", "a\\u000ab\\u001b[31m"),
        ("\u202eabc", "\\u202eabc"),
        ("Konten é", "Konten é"),
        ("x" * 100, "x" * 80 + "…"),
        (None, ""),
    ],
)
def test_names_from_the_input_are_shown_as_one_short_line(name: str | None, shown: str) -> None:
    assert printable(name) == shown


def test_as_many_values_as_lines_are_not_enough_to_be_one_a_line() -> None:
    """A decoder of lines takes two values on one line, and one that goes over two."""
    came, fault = fault_of(SCHEMA + RECORD.strip() + RECORD + RECORD.replace(b'"record":', b'"record":\n'))
    assert (fault.line_no, len(came)) == (2, 1)
    came, fault = fault_of(SCHEMA + RECORD + RECORD.replace(b'"record":', b'"record":\n') + RECORD.strip() + RECORD)
    assert (fault.line_no, len(came)) == (3, 2)
