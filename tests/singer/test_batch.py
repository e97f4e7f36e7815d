from __future__ import annotations

import contextlib
import gzip
import json
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.errors import InputError, MissingKey, RecordBeforeSchema, Stopped
from target_amplemarket.leads.kept_records import record_texts
from target_amplemarket.singer import arrow_files
from target_amplemarket.singer.batch import BatchReader
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.line_records import LineRecords
from target_amplemarket.singer.lines import Line
from target_amplemarket.singer.messages import Batch, Schema
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.singer.streams import RecordBlock, Streams
from tests.singer.reading import CANARY, blocks_of, until_fault

AT = Line(b"", 17, 900)
PLACE = "(line 17, byte offset 900)"
ROWS = [{"Id": number, "Email": f"p{number}@acme.example"} for number in range(5)]
TABLE = pa.Table.from_pylist(ROWS)


class Reading:
    """A reader with one stream, and what it made of the messages it was given."""

    def __init__(self, folder: Path, streams: Streams | None = None, *, keys: tuple[str, ...] = ("Id",)) -> None:
        self.folder = folder
        self.streams = streams or Streams()
        self.streams.register(Schema("people", {"properties": {"Id": {}, "Email": {}}}, keys, AT))
        self.stop = StopRequest()
        self.keeps_records = True
        self.last_read = 0

    def blocks(self, form: str, *names: str, stream: str = "people") -> Iterator[RecordBlock]:
        manifest = tuple((self.folder / name).as_uri() for name in names)
        reader = BatchReader(self.streams, (str(self.folder),), self.stop, self.keeps_records)
        for block in reader.blocks(Batch(stream, {"format": form}, manifest, AT), lambda: self.last_read + 1):
            self.last_read += len(block.records)
            yield block

    def until_fault(self, form: str, *names: str) -> tuple[list[Any], InputError]:
        came, fault = until_fault(self.blocks(form, *names))
        assert fault is not None
        assert (fault.line_no, fault.byte_offset) == (17, 900)
        assert str(fault).endswith(PLACE)
        assert CANARY not in "".join(traceback.format_exception(fault))
        return [row for block in came for row in rows_of(block)], fault

    def write(self, name: str, content: bytes | str) -> None:
        (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def rows_of(block: RecordBlock) -> list[Any]:
    """Each record as JSON, or its fault."""
    faults = {**block.records.columns([("Id",)]).faults, **block.faults}
    return [faults.get(index) or json.loads(block.records.json(index)) for index in range(len(block.records))]


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    made = Reading(tmp_path)
    yield made
    made.stop.close()


def jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def arrow(table: pa.Table = TABLE, *, new: Any = pa.ipc.new_file, rows: int = 2, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with new(sink, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def parquet(table: pa.Table = TABLE, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


WHOLE: dict[str, tuple[str, bytes]] = {
    "jsonl": ("jsonl", jsonl(ROWS)),
    "gzip": ("jsonl", gzip.compress(jsonl(ROWS[:2])) + gzip.compress(jsonl(ROWS[2:]))),
    "parquet": ("parquet", parquet(row_group_size=2)),
    "arrow_file": ("arrow", arrow()),
    "arrow_stream": ("arrow", arrow(new=pa.ipc.new_stream)),
    "arrow_zstd": ("arrow", arrow(options=pa.ipc.IpcWriteOptions(compression="zstd"))),
    "parquet_said_to_be_arrow": ("arrow", parquet()),
}


@pytest.mark.parametrize("name", WHOLE)
def test_files_are_read_in_the_order_of_the_manifest_with_numbers_that_go_on(reading: Reading, name: str) -> None:
    form, content = WHOLE[name]
    reading.write("a", content)
    reading.write("b", content)
    came = list(reading.blocks(form, "a", "b"))
    assert [row for block in came for row in rows_of(block)] == ROWS * 2
    numbers = [block.first_record_no + index for block in came for index in range(len(block.records))]
    assert numbers == list(range(1, 11))
    assert {block.stream.name for block in came} == {"people"}
    assert (reading.folder / "a").read_bytes() == content, "the files stay as they are"


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("jsonl", b""),
        ("jsonl", b"\n \n"),
        ("jsonl", gzip.compress(b"", mtime=0)),
        ("arrow", arrow(TABLE.slice(0, 0))),
        ("parquet", parquet(TABLE.slice(0, 0))),
        ("parquet", parquet(TABLE.slice(0, 0).drop_columns(["Id"]))),
    ],
)
def test_a_file_without_records_gives_none(reading: Reading, form: str, content: bytes) -> None:
    reading.write("a", content)
    assert list(reading.blocks(form, "a")) == []
    assert list(reading.blocks(form)) == []


# --- JSON lines are judged as RECORD lines are ---

ODD = {
    '{"Id":NaN}': RecordFault.INVALID_NUMBER,
    '{"Id":1e999}': RecordFault.INVALID_NUMBER,
    '{"Id":"\\ud800"}': RecordFault.INVALID_UNICODE,
    '{"Id":1,"x":' + "[" * 70 + "]" * 70 + "}": RecordFault.NESTED_TOO_DEEP,
    '{"Id":1,"x":' + "[" * 63 + "]" * 63 + "}": RecordFault.NESTED_TOO_DEEP,
    '{"Id":1,"x":' + "[" * 62 + "]" * 62 + "}": None,
    '{"Id":1,"Id":2}': None,
    ' {"Id" : 1} \r': None,
    '{"Id":null}': None,
    '{"type":"STATE","value":1,"Id":1}': None,
    "{}": None,
    '{"Email":"x"}': None,
}
BROKEN = [
    "[1]",
    "null",
    "1",
    '"x"',
    "{",
    '{"Id":1',
    '{"Id":1}}',
    '{"Id":1} {"Id":2}',
    '{"Id":1},"stream":"other","x":{}',
]
BROKEN += ["nonsense", "{'Id':1}", '{"Id":01}', '{"Id":"\x01"}', "\ufeff{}", '{"x":' + "[" * 5000 + "]" * 5000 + "}"]


@given(st.lists(st.sampled_from(["", '{"Id":7}', '{"Id":8,"x":"y"}', *ODD]), max_size=8), st.booleans())
def test_lines_of_a_file_become_what_record_lines_become(lines: list[str], is_zipped: bool) -> None:
    schema = '{"type":"SCHEMA","stream":"people","schema":{"properties":{"Id":{}}},"key_properties":["Id"]}\n'
    records = "".join(line and f'{{"type":"RECORD","stream":"people","record":{line.strip()}}}\n' for line in lines)
    expected, fault = until_fault(blocks_of((schema + records).encode(), Streams()))
    content = "".join(line + "\n" for line in lines).encode()
    with in_folder() as reading:
        reading.write("a", gzip.compress(content) if is_zipped else content)
        came, seen = until_fault(reading.blocks("jsonl", "a"))
    assert [row for block in came for row in rows_of(block)] == [row for block in expected for row in rows_of(block)]
    assert type(seen) is type(fault)
    if seen is not None and fault is not None:
        at = [n for n, line in enumerate(lines, 1) if line][fault.line_no - 2]
        assert f"file 1 of this BATCH, line {at}: a RECORD of stream `people` without its key (Id)" in str(seen)


@contextlib.contextmanager
def in_folder() -> Iterator[Reading]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        made = Reading(Path(folder).resolve())
        yield made
        made.stop.close()


@pytest.mark.parametrize("text", ODD)
def test_what_no_lead_can_be_made_of_is_a_fault_of_its_record_alone(reading: Reading, text: str) -> None:
    reading.write("a", jsonl(ROWS[:2]) + text.encode() + b"\n" + jsonl(ROWS[2:]))
    came, fault = until_fault(reading.blocks("jsonl", "a"))
    rows = [row for block in came for row in rows_of(block)]
    if "Id" not in text:
        assert isinstance(fault, MissingKey)
        assert rows == ROWS[:2]
        return
    assert fault is None
    assert [*rows[:2], *rows[3:]] == ROWS
    assert ODD[text] == (rows[2] if isinstance(rows[2], RecordFault) else None)


@pytest.mark.parametrize("text", BROKEN)
def test_a_line_that_is_no_object_stops_after_those_before_it(reading: Reading, text: str) -> None:
    reading.write("good", jsonl(ROWS[:1]))
    reading.write("bad", b"\n" + jsonl(ROWS[1:3]) + text.replace("nonsense", CANARY).encode() + b"\n" + jsonl(ROWS))
    rows, fault = reading.until_fault("jsonl", "good", "bad")
    assert rows == ROWS[:3]
    assert str(fault) == f"file 2 of this BATCH, line 4: this is not a JSON object {PLACE}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"Id":1,"x":"' + b"y" * 17_000_000 + b'"}', "longer than 16 MiB"),
        (b'{"Id":1,"x":"\xff"}', "not UTF-8"),
        (b'{"Email":"%s"}' % CANARY.encode(), "without its key (Id)"),
    ],
)
def test_other_faults_of_lines_say_where_they_are(reading: Reading, line: bytes, words: str) -> None:
    reading.write("a", gzip.compress(jsonl(ROWS[:2]) + line + b"\n"))
    rows, fault = reading.until_fault("jsonl", "a")
    assert rows == ROWS[:2]
    assert words in str(fault)
    assert str(fault).startswith("file 1 of this BATCH, line 3: ")


# --- what stops ---


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.55, 0.9, -1])
def test_a_file_that_is_cut_stops_and_what_came_before_it_stays(reading: Reading, name: str, kept: float) -> None:
    form, content = WHOLE[name]
    length = len(content) - 1 if kept == -1 else int(len(content) * kept)
    reading.write("whole", content)
    reading.write("cut", content[:length])
    came, fault = until_fault(reading.blocks(form, "whole", "cut"))
    rows = [row for block in came for row in rows_of(block)]
    assert rows[:5] == ROWS
    assert rows[5:] == ROWS[: len(rows) - 5], "nothing is made up"
    if form == "jsonl" and ((kept in {0.0, -1} and name == "jsonl") or not length):
        assert fault is None, "a last line without an end is a line; an empty file is empty"
        return
    assert fault is not None
    assert "file 2 of this BATCH" in str(fault)


def test_a_stream_that_is_cut_between_two_of_its_batches_is_not_taken_for_a_whole_one(reading: Reading) -> None:
    content = arrow(new=pa.ipc.new_stream)
    shorter = arrow(TABLE.slice(0, 4), new=pa.ipc.new_stream)
    assert content.startswith(shorter[:-8])
    for cut in (content[:-8], shorter[:-8]):
        assert pa.ipc.open_stream(cut).read_all().num_rows, "Arrow itself sees nothing"
        reading.write("a", cut)
        rows, fault = reading.until_fault("arrow", "a")
        assert rows == []
        assert "file 1 of this BATCH: it has no end mark" in str(fault)


def test_padding_is_not_taken_for_the_end_of_a_stream(reading: Reading) -> None:
    table = pa.table({"Id": pa.array(["a"]), "Email": pa.array(["a@acme.example"]), "other": pa.array([0])})
    content = arrow(pa.concat_tables([table, table]), new=pa.ipc.new_stream)
    shorter = arrow(table, new=pa.ipc.new_stream)[:-8]
    assert content.startswith(shorter)
    assert shorter.endswith(bytes(4))
    reading.write("a", shorter)
    rows, fault = reading.until_fault("arrow", "a")
    assert rows == []
    assert "it has no end mark" in str(fault)


@pytest.mark.parametrize("name", ["gzip", "parquet", "arrow_file", "arrow_stream", "arrow_zstd"])
def test_a_flipped_bit_is_a_clear_stop_or_no_difference_but_never_a_crash(reading: Reading, name: str) -> None:
    form, content = WHOLE[name]
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        reading.write("a", bytes(flipped))
        came, _ = until_fault(reading.blocks(form, "a"))
        for block in came:
            block.records.columns([("Id",), ("Email",), ("other",)])
            assert all(block.records.json(index) for index in range(len(block.records)))


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize(
    "content", [jsonl(ROWS), CANARY.encode(), gzip.compress(parquet(), mtime=0), b"PAR1", b"ARROW1"]
)
def test_a_file_of_another_format_stops(reading: Reading, form: str, content: bytes) -> None:
    reading.write("a", content)
    rows, fault = reading.until_fault(form, "a")
    assert rows == []
    assert "file 1 of this BATCH: it " in str(fault)
    assert "let it be written again" in str(fault)


def test_parquet_said_to_be_json_stops(reading: Reading) -> None:
    reading.write("a", parquet())
    rows, fault = reading.until_fault("jsonl", "a")
    assert rows == []
    assert "line 1: this" in str(fault)


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xc3("])
def test_text_that_is_not_utf8_stops(reading: Reading, value: bytes) -> None:
    column = pa.Array.from_buffers(pa.string(), 1, pa.array([value]).buffers())
    table = pa.table({"Id": [1], "Email": column})
    for form, content in (("arrow", arrow(table)), ("parquet", parquet(table))):
        reading.write("a", content)
        rows, fault = reading.until_fault(form, "a")
        assert rows == []
        assert "file 1 of this BATCH: it cannot be read" in str(fault)


def test_rows_without_a_key_column_stop_after_the_files_before(reading: Reading) -> None:
    reading.write("a", parquet())
    reading.write("b", arrow(TABLE.drop_columns(["Id"])))
    rows, fault = reading.until_fault("parquet", "a", "b")
    assert rows == ROWS
    assert isinstance(fault, MissingKey)
    assert str(fault) == f"file 2 of this BATCH: rows of stream `people` without its key (Id) {PLACE}"


@pytest.mark.parametrize("form", ["", "avro", "JSONL", None, 5, {"a": CANARY}, "x\x1b" * 50])
def test_other_formats_are_refused_by_name(reading: Reading, form: Any) -> None:
    _, fault = reading.until_fault(form, "a")
    assert "one of jsonl, parquet, arrow is read" in str(fault)
    assert "\x1b" not in str(fault)
    assert len(str(fault)) < 200


def test_a_batch_before_its_schema_stops(reading: Reading) -> None:
    came, fault = until_fault(reading.blocks("jsonl", "a", stream="others"))
    assert came == []
    assert isinstance(fault, RecordBeforeSchema)
    assert str(fault) == f"a BATCH of stream `others` before its SCHEMA {PLACE}"


def test_a_file_that_is_not_there_is_named(reading: Reading) -> None:
    _, fault = reading.until_fault("jsonl", "gone")
    assert f"file 1 of this BATCH: `{(reading.folder / 'gone').as_uri()}`: No such file" in str(fault)


# --- in pieces ---


def test_a_wish_to_stop_ends_between_pieces_and_the_rest_is_not_taken_for_the_end(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_files, "ROWS_PER_PIECE", 2)
    for form, content in (("parquet", parquet()), ("arrow", arrow(rows=5)), ("jsonl", jsonl(ROWS))):
        reading.stop.signal_number = None
        reading.write("a", content)
        blocks = reading.blocks(form, "a", "a")
        next(blocks)
        reading.stop.signal_number = 15
        with pytest.raises(Stopped):
            next(blocks)


def test_pieces_are_bounded_by_rows_and_by_bytes(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_files, "BYTES_PER_PIECE", 10_000)
    table = pa.table({"Id": range(100), "Email": ["x" * 1_000] * 100})
    for form, content in (("parquet", parquet(table, use_dictionary=False)), ("arrow", arrow(table, rows=100))):
        reading.write("a", content)
        sizes = [len(block.records) for block in reading.blocks(form, "a")]
        assert sum(sizes) == 100
        assert 5 < max(sizes) < 12


def test_columns_that_nobody_asks_for_are_read_only_where_records_are_kept(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_files, "_ROWS_TOGETHER", 2)
    reading.write("a", parquet(TABLE.append_column("other", pa.array(["x"] * 5)), row_group_size=2))

    def columns(*, keeps: bool, expects: bool) -> list[list[str]]:
        reading.keeps_records = keeps
        made = []
        for block in reading.blocks("parquet", "a"):
            if expects:
                reading.streams.expect("people", (("Id",), ("Email", "deeper"), ("gone",)))
            made.append(block.records.batch.schema.names)  # type: ignore[attr-defined]
        return made

    everything, wanted = ["Id", "Email", "other"], ["Id", "Email"]
    assert columns(keeps=False, expects=False) == [everything] * 3
    assert columns(keeps=False, expects=True) == [everything, wanted]
    assert columns(keeps=False, expects=True) == [wanted]
    assert columns(keeps=True, expects=True) == [everything] * 3
    reading.streams.register(Schema("people", {"properties": {"Id": {}}}, ("Id",), AT))
    assert columns(keeps=False, expects=False) == [everything] * 3, "a new SCHEMA may want others"


# --- lines of which is known what they are read for ---

SOUND_LINES = [
    *[json.dumps(row).encode() for row in ROWS],
    b'{"Id": 9, "Email": null, "record": {"type": "RECORD"}}',
    '{"Email": "é@acme.example", "Id": "x", "Account": {"Name": "Acme"}}'.encode(),
]
ODD_LINES = [
    b"",
    b"[1]",
    b"{",
    b'{"Email": "no key"}',
    b'{"Id": NaN}',
    b'{"Id": 1, "Email": "\\ud800"}',
    b'{"Id": 1}{"Id": 2}',
    b'{"Id": ' + b"[" * 64 + b"]" * 64 + b"}",
]
EXPECTED = (("Id",), ("Email",), ("Account", "Name"))


@given(st.lists(st.sampled_from(SOUND_LINES * 4 + ODD_LINES), min_size=1, max_size=12), st.booleans())
def test_lines_that_are_read_with_their_members_are_the_same_records(lines: list[bytes], has_end: bool) -> None:
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for is_expected in (False, True):
            reading = Reading(Path(folder))
            reading.write("a", b"\n".join(lines) + b"\n" * has_end)
            if is_expected:
                reading.streams.expect("people", EXPECTED)
            blocks, fault = until_fault(reading.blocks("jsonl", "a"))
            reading.stop.close()
            rows = [row for block in blocks for row in rows_of(block)]
            columns = [block.records.columns(EXPECTED).values for block in blocks]
            values = [[str(value) for piece in pieces for value in piece] for pieces in zip(*columns, strict=True)]
            outcomes.append((rows, values, str(fault)))
            assert [number for block in blocks for number in block.record_nos] == list(range(1, len(rows) + 1))
    assert outcomes[0] == outcomes[1]


def test_what_is_kept_of_lines_are_the_records(reading: Reading) -> None:
    reading.write("a", b"\n".join([*SOUND_LINES, b""]))
    reading.streams.expect("people", EXPECTED)
    (block,) = reading.blocks("jsonl", "a")
    assert isinstance(block.records, LineRecords)
    assert block.records.kept().to_pylist() == [line.decode() for line in SOUND_LINES]
    assert record_texts(block.records.kept()).to_pylist() == [line.decode() for line in SOUND_LINES]


# --- row by row, for checks and stream maps ---


def test_rows_are_checked_against_the_schema_and_a_null_may_be_what_a_record_left_out(tmp_path: Path) -> None:
    reading = Reading(tmp_path, Streams(validate=True))
    properties = {"Id": {"type": "integer"}, "Email": {"type": "string"}, "Name": {"type": ["string", "null"]}}
    schema = {"properties": properties, "required": ["Id", "Name"]}
    reading.streams.register(Schema("people", schema, ("Id",), AT))
    rows = [{"Id": 1, "Email": "a", "Name": "x"}, {"Id": 2, "Email": None, "Name": None}, {"Id": None, "Email": "c"}]
    reading.write("a", parquet(pa.Table.from_pylist(rows)))
    (block,) = reading.blocks("parquet", "a")
    assert block.faults == {2: RecordFault.SCHEMA_VIOLATION}
    assert [json.loads(block.records.json(index)) for index in (0, 1)] == [rows[0], {"Id": 2, "Name": None}]
    reading.stop.close()


@pytest.mark.parametrize("required", [None, "Id", 5, {}])
@pytest.mark.parametrize("kind", [None, 5, {}, [], "string"])
def test_odd_schemas_do_no_harm(reading: Reading, required: Any, kind: Any) -> None:
    from target_amplemarket.singer.arrow_run import _cannot_be_null

    names = _cannot_be_null({"properties": {"a": {"type": kind}, "b": True}, "required": required})
    assert names <= {"a"}


def test_json_of_rows_is_read_back_by_any_reader(reading: Reading) -> None:
    reading.write("a", parquet())
    (block,) = reading.blocks("parquet", "a")
    assert [msgspec.json.decode(block.records.json(index)) for index in range(5)] == ROWS
