from __future__ import annotations

import gzip
import io
import itertools
import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_amplemarket.errors import MalformedLine
from target_amplemarket.singer import lines as lines_module
from target_amplemarket.singer.lines import MAX_LINE_BYTES, Lines, read_lines
from target_amplemarket.singer.stop import StopRequest
from tests.singer.reading import NeverStop, Pieces, lines_of, until_fault


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    made = StopRequest()
    yield made
    made.close()


def cut(content: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in itertools.pairwise(bounds)]


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])).map(str.encode)),
    has_end=st.booleans(),
    has_mark=st.booleans(),
    places=st.lists(st.integers(0, 10_000)),
)
@example(lines=[b"x"], has_end=False, has_mark=True, places=[1, 2])
@example(lines=["é".encode()], has_end=True, has_mark=False, places=[1])
def test_lines_come_with_their_number_and_offset_wherever_the_input_is_cut(
    lines: list[bytes], has_end: bool, has_mark: bool, places: list[int]
) -> None:
    mark = b"\xef\xbb\xbf" if has_mark else b""
    content = mark + b"\n".join(lines) + (b"\n" if has_end else b"")
    taken = lines_of(*cut(content, places))
    naive = [(no, text) for no, text in enumerate(content[len(mark) :].split(b"\n"), 1) if text.strip()]
    if not has_mark and lines and lines[0].startswith(b"\xef\xbb\xbf"):
        return  # the first line's own text begins with a mark
    assert [(line.line_no, line.content) for line in taken] == [(no, t) for no, t in naive if not t.isspace()]
    for line in taken:
        assert content[line.byte_offset : line.byte_offset + len(line.content)] == line.content
        assert content[: line.byte_offset].count(b"\n") == line.line_no - 1


def test_blank_lines_and_crlf_are_no_lines_but_count() -> None:
    assert [(line.line_no, line.byte_offset) for line in lines_of(b"\r\n\n  \t\r\n{}\r\n\r\n[]")] == [(4, 8), (6, 14)]


def test_a_byte_order_mark_is_taken_off_even_when_cut_in_two() -> None:
    for pieces in ([b"\xef\xbb\xbf{}\n"], [b"\xef", b"\xbb", b"\xbf{}\n"], [b"\xef\xbb\xbf", b"{}"]):
        (line,) = lines_of(*pieces)
        assert (line.content, line.line_no, line.byte_offset) == (b"{}", 1, 3)


def test_a_byte_order_mark_further_on_stays() -> None:
    for pieces in ([b"1\n\xef\xbb\xbf2\n"], [b"1\n", b"\xef\xbb\xbf2\n"]):
        assert lines_of(*pieces)[1].content == b"\xef\xbb\xbf2"


@pytest.mark.parametrize("broken", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf"])
def test_a_line_that_is_not_utf8_stops_after_the_lines_before_it(broken: bytes) -> None:
    content = b'{"a":1}\n\n"\xc3\xa9"\n{"b":"' + broken + b'"}\n{"c":3}\n'
    blocks, fault = until_fault(read_lines(io.BytesIO(content), NeverStop(), idle_s=1))
    assert [line.content for block in blocks for line in block] == [b'{"a":1}', b'"\xc3\xa9"']
    assert isinstance(fault, MalformedLine)
    assert (fault.line_no, fault.byte_offset) == (4, 14)


def test_a_character_cut_by_the_newline_is_not_utf8() -> None:
    _, fault = until_fault(read_lines(io.BytesIO(b"\xc3\n\xa9\n"), NeverStop(), idle_s=1))
    assert fault is not None
    assert fault.line_no == 1


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_of_16_mib_is_taken_and_one_byte_more_stops(end: bytes) -> None:
    most = b"x" * MAX_LINE_BYTES
    assert len(lines_of(b"first\n", most + end)[1].content) == MAX_LINE_BYTES
    blocks, fault = until_fault(read_lines(Pieces([b"first\n", most, b"x" + end]), NeverStop(), idle_s=1))  # type: ignore[arg-type]
    assert [line.content for block in blocks for line in block] == [b"first"]
    assert isinstance(fault, MalformedLine)
    assert (fault.line_no, fault.byte_offset) == (2, 6)


def test_a_line_without_end_is_refused_with_bounded_memory_and_before_it_is_all_read() -> None:
    piece, handed_out = bytes(64 * 1024), 0

    def endless() -> Iterator[bytes]:
        nonlocal handed_out
        while True:
            handed_out += len(piece)
            yield bytes(bytearray(piece))

    class Endless(io.RawIOBase):
        pieces = endless()

        def read(self, size: int = -1) -> bytes:
            return next(self.pieces)

    tracemalloc.start()
    try:
        _, fault = until_fault(read_lines(Endless(), NeverStop(), idle_s=1))  # type: ignore[arg-type]
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(fault, MalformedLine)
    assert handed_out <= MAX_LINE_BYTES + 2 * len(piece)
    assert peak_bytes < 40 * 1024 * 1024


def test_text_files_and_text_in_memory_are_read_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "input.jsonl"
    path.write_bytes('{"é":1}\n{"b":2}'.encode())
    wake = StopRequest()
    with path.open(encoding="utf-8") as file:
        from_file = [line.content for block in read_lines(file, wake, idle_s=1) for line in block]
    wake.close()
    in_memory = io.StringIO('skipped\n{"é":1}\n{"b":2}')
    in_memory.readline()
    assert from_file == ['{"é":1}'.encode(), b'{"b":2}']
    assert [x.content for block in read_lines(in_memory, NeverStop(), idle_s=1) for x in block] == from_file


def test_a_half_surrogate_in_text_in_memory_is_not_utf8() -> None:
    _, fault = until_fault(read_lines(io.StringIO("\ud800"), NeverStop(), idle_s=1))
    assert isinstance(fault, MalformedLine)


def test_a_file_that_was_looked_into_and_wound_back_is_read_from_its_start(tmp_path: Path, stop: StopRequest) -> None:
    path = tmp_path / "input.jsonl"
    path.write_bytes(b"1\n2\n3\n")
    with path.open("rb") as file:
        file.readline()
        file.seek(0)
        blocks = list(read_lines(file, stop, idle_s=1))
    assert [line.content for block in blocks for line in block] == [b"1", b"2", b"3"]


def test_a_gzip_file_is_read_unpacked(tmp_path: Path, stop: StopRequest) -> None:
    path = tmp_path / "input.jsonl.gz"
    path.write_bytes(gzip.compress(b"1\n2\n"))
    for mode in ("rb", "rt"):
        with gzip.open(path, mode) as file:
            blocks = list(read_lines(file, stop, idle_s=1))
        assert [line.content for block in blocks for line in block] == [b"1", b"2"]


def test_every_block_of_a_large_file_is_read(tmp_path: Path, stop: StopRequest) -> None:
    path = tmp_path / "input.jsonl"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(800_000)))
    with path.open("rb") as file:
        blocks = list(read_lines(file, stop, idle_s=1))
    assert len(blocks) > 1
    assert [int(line.content) for block in blocks for line in block] == list(range(800_000))


def test_nothing_on_a_pipe_gives_empty_lines_and_a_line_without_end_waits_for_the_rest(stop: StopRequest) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as source, os.fdopen(write_end, "wb", buffering=0) as sink:
        reading = read_lines(source, stop, idle_s=0.01)
        sink.write(b"one\ntw")
        assert [line.content for line in next(reading)] == [b"one"]
        assert next(reading) == Lines()
        assert next(reading) == Lines()
        sink.write(b"o\n")
        (line,) = next(reading)
        assert (line.content, line.line_no, line.byte_offset) == (b"two", 2, 4)
        sink.write(b"three")
        sink.close()
        assert [line.content for line in next(reading)] == [b"three"]
        assert list(reading) == []


def test_a_wish_to_stop_ends_the_wait_at_once_and_drops_a_line_without_end(stop: StopRequest) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as source, os.fdopen(write_end, "wb", buffering=0) as sink:
        sink.write(b'one\n{"type":"STATE","value":{}}')
        reading = read_lines(source, stop, idle_s=60)
        next(reading)
        threading.Timer(0.05, stop.request, [signal.SIGTERM]).start()
        before_s = time.monotonic()
        assert list(reading) == []
        assert time.monotonic() - before_s < 5


def test_after_a_wish_to_stop_no_further_block_is_read(tmp_path: Path, stop: StopRequest) -> None:
    path = tmp_path / "input.jsonl"
    path.write_bytes(b"1\n" * lines_module.BLOCK_BYTES)
    with path.open("rb") as file:
        for source in (file, io.BytesIO(path.read_bytes())):
            reading = read_lines(source, stop, idle_s=60)
            next(reading)
            stop.signal_number = signal.SIGTERM
            assert list(reading) == []
            stop.signal_number = None


def test_a_fast_writer_on_a_pipe_is_read_in_blocks_larger_than_a_pipe_holds_by_default(stop: StopRequest) -> None:
    if not hasattr(lines_module.fcntl, "F_SETPIPE_SZ"):
        pytest.skip("pipes have one size here")
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as source, os.fdopen(write_end, "wb", buffering=0) as sink:
        reading = read_lines(source, stop, idle_s=0.01)
        next(reading)
        os.set_blocking(write_end, False)
        sink.write(b"x" * 99_999 + b"\n" + b"y" * 99_999 + b"\n")
        assert sum(len(line.content) for line in next(reading)) > 65_536
