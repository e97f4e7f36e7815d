from __future__ import annotations

import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.singer.json_faults import MAX_DEPTH, RecordFault, decoded, most_brackets, repair, too_deep
from target_amplemarket.singer.lines import IN_CACHE, Lines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
BRACKETS_IN_TEXT = st.text(alphabet='[]{}"\\, a', max_size=300)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def wrapped(value: Any, depth: int, *, in_objects: bool) -> Any:
    for _ in range(depth):
        value = {"a]": value} if in_objects else [value, "[", [[]]]
    return value


@given(JSON | BRACKETS_IN_TEXT, st.integers(0, 70) | st.integers(58, 66), st.booleans(), st.booleans())
def test_too_deep_is_what_counting_levels_says(value: Any, depth: int, in_objects: bool, ascii_only: bool) -> None:
    value = wrapped(value, depth, in_objects=in_objects)
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "replace")
    assert too_deep(text) == (depth_of(value) > MAX_DEPTH)


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_64_levels_are_taken_and_65_are_too_deep(brackets: str) -> None:
    for depth, expected in ((64, False), (65, True)):
        text = "[" * depth + "]" * depth if brackets == "[]" else '{"a":' * depth + "1" + "}" * depth
        assert too_deep(text.encode()) is expected


@pytest.mark.parametrize("unit", ["a", '\\"', "\\\\", "[", "{\\"])
def test_long_text_is_looked_through_without_memory_for_each_character(unit: str) -> None:
    text = ("[" + json.dumps(unit * 1_000_000) + ",[]" * 70 + "]").encode()
    tracemalloc.start()
    try:
        assert not too_deep(text)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2 * len(text)


@pytest.mark.parametrize(
    ("broken", "repaired", "fault"),
    [
        ("NaN", "null", RecordFault.INVALID_NUMBER),
        ("Infinity", "null", RecordFault.INVALID_NUMBER),
        ("-Infinity", "null", RecordFault.INVALID_NUMBER),
        ("[NaN, 1e999]", "[null, null]", RecordFault.INVALID_NUMBER),
        ('["\\ud800", -1e999]', '["?", null]', RecordFault.INVALID_NUMBER),
        ("[NaN, " + "9" * 5_000 + "]", "[null, null]", RecordFault.INVALID_NUMBER),
        ('"\\ud800"', '"?"', RecordFault.INVALID_UNICODE),
        ('{"\\udfff": "\\ud83d\\ude00"}', '{"?": "😀"}', RecordFault.INVALID_UNICODE),
    ],
)
def test_what_only_a_lenient_reader_takes_is_repaired_and_named(broken: str, repaired: str, fault: RecordFault) -> None:
    assert repair(broken.encode()) == (repaired.encode(), fault)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"nan",
        b"'a'",
        b"{} {}",
        b'"\\x"',
        b"",
        b"[" * 100_000,
        b"\xff",
        b'"\xed\xa0\x80"',
        "[NaN]".encode("utf-16"),
    ],
)
def test_what_no_reader_takes_is_not_repaired(content: bytes) -> None:
    assert repair(content) is None


@given(JSON)
def test_sound_json_needs_no_repair(value: Any) -> None:
    assert repair(json.dumps(value).encode()) is None


@given(JSON, st.sampled_from(["NaN", '"\\udc00"', "1e400", "-Infinity"]))
def test_a_repaired_text_is_strict_json(value: Any, broken: str) -> None:
    made = repair(json.dumps([value, "HERE"]).replace('"HERE"', broken).encode())
    assert made is not None
    assert msgspec.json.decode(made[0])[1] in {None, "?"}


def test_decoding_gives_the_value_or_the_fault() -> None:
    assert decoded(b'{"a": 123456789012345678901234567890}') == {"a": 123456789012345678901234567890}
    assert decoded(b'{"a": 1, "a": 2}') == {"a": 2}
    assert decoded(b"1e999") is RecordFault.INVALID_NUMBER
    assert decoded(b"9" * 5_000) is RecordFault.INVALID_NUMBER
    assert decoded(b'"\\ud800"') is RecordFault.INVALID_UNICODE
    assert decoded(b"[" * 50_000 + b"]" * 50_000) is RecordFault.NESTED_TOO_DEEP


@pytest.mark.parametrize("fault", RecordFault)
def test_every_fault_has_words_and_a_code_of_its_own(fault: RecordFault) -> None:
    assert fault.detail
    assert fault.value.replace("_", "").isalpha()


brackets_and_others = st.text("[{]}aZ;\n", max_size=400).map(str.encode)


@given(brackets_and_others, st.integers(0, 200))
def test_no_line_opens_more_brackets_than_the_bound(content: bytes, distance: int) -> None:
    lines = content.replace(b"\n", b" " * distance + b"\n" + b" " * distance)
    most = max(line.count(b"[") + line.count(b"{") for line in lines.split(b"\n"))
    bound = most_brackets(Lines(lines))
    assert bound >= most
    if distance >= 64:
        assert bound == most


def test_brackets_are_counted_across_the_pieces_that_are_looked_at() -> None:
    line = b"x" * (IN_CACHE - 40) + b"[" * 60 + b"x" * IN_CACHE + b"{" * 5
    assert most_brackets(Lines(b"[" + b" " * 100 + b"\n" + line + b"\n" + b" " * 100 + b"[[")) == 65
