"""The files that a BATCH message names, read in pieces as blocks of records."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Final

import msgspec

from target_amplemarket.errors import InputError, RecordBeforeSchema, Stopped, UnreadableFile
from target_amplemarket.singer.arrow_files import open_arrow_file
from target_amplemarket.singer.arrow_run import ArrowRun, blocks_of
from target_amplemarket.singer.json_faults import MAX_DEPTH, most_brackets, repair
from target_amplemarket.singer.line_records import OpenBlock, open_records
from target_amplemarket.singer.lines import Line, Lines, read_lines
from target_amplemarket.singer.manifest import check_names, open_named
from target_amplemarket.singer.messages import Batch, RecordRun, printable, read_messages
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.singer.streams import RecordBlock, Streams
from target_amplemarket.singer.turns import opened

_FORMATS: Final = ("jsonl", "parquet", "arrow")
_GZIP: Final = b"\x1f\x8b"
_BRACE: Final = ord("{")
_DECODE: Final = msgspec.json.Decoder(msgspec.Raw).decode
_NEVER_IDLE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class BatchReader:
    """Reads the files of BATCH messages.

    Attributes:
        streams: Knows each stream's SCHEMA.
        folders: The only ones from which files are read.
        stop: Looked at between pieces.
        keeps_records: Whole records are asked for, not only the members that leads are made of.
    """

    streams: Streams
    folders: tuple[str, ...]
    stop: StopRequest
    keeps_records: bool = True

    def blocks(self, batch: Batch, next_record_no: Callable[[], int]) -> Iterator[RecordBlock]:
        """The records of all files, in the order of the manifest; the files stay where they are.

        Args:
            batch: The message.
            next_record_no: Asked before each piece.

        Raises:
            InputError: A file cannot be read, or a record in it cannot be taken; says which file of the manifest. The
                records before it were handed out.
            Stopped: A stop was wished for before the last record.
        """
        if self.streams.known(batch.stream) is None:
            raise _before_schema(batch)
        with _placed(batch.line, "this BATCH"):
            check_names(batch.manifest, self.folders)
            form = _format_of(batch)
        for number, name in enumerate(batch.manifest, start=1):
            with _placed(batch.line, f"file {number} of this BATCH"), open_named(name, self.folders) as file:
                runs = self._json_runs(batch, file) if form == "jsonl" else self._arrow_runs(batch, file)
                for run in runs:
                    self._look_for_stop()
                    yield from self._blocks(run, next_record_no())
            self._look_for_stop()

    def _blocks(self, run: RecordRun | ArrowRun | OpenBlock, first_record_no: int) -> Iterator[RecordBlock]:
        if not isinstance(run, OpenBlock):
            yield from blocks_of(run, self.streams, first_record_no)
            return
        found = opened(run, self.streams, first_record_no)
        yield from found.blocks
        if found.error is not None:
            raise found.error

    def _look_for_stop(self) -> None:
        if self.stop.signal_number is not None:
            raise Stopped(self.stop.signal_number)

    def _arrow_runs(self, batch: Batch, file: IO[bytes]) -> Iterator[ArrowRun]:
        for piece in open_arrow_file(file).pieces(lambda: self._wanted(batch.stream)):
            yield ArrowRun(batch.stream, piece)

    def _wanted(self, stream: str) -> frozenset[str] | None:
        """The only columns that anybody will ask for; None where that is not known, or all are."""
        paths = self.streams.expected(stream)
        if paths is None or self.keeps_records or self.streams.reads_rows:
            return None
        return frozenset(path[0] for path in paths)

    def _json_runs(self, batch: Batch, file: IO[bytes]) -> Iterator[RecordRun | OpenBlock]:
        for lines in read_lines(_unpacked(file), self.stop, idle_s=_NEVER_IDLE_S):
            paths = self.streams.read_with_lines().get(batch.stream, ())
            if (block := open_records(lines, batch.stream, paths)) is not None:
                yield block
            else:
                yield from _records(batch.stream, lines)


def _format_of(batch: Batch) -> str:
    form = batch.encoding.get("format")
    if form not in _FORMATS:
        named = f"`{printable(form, most=20)}`" if isinstance(form, str) else "none"
        raise UnreadableFile(f"the `format` of its `encoding` is {named}, and one of {', '.join(_FORMATS)} is read")
    return str(form)


def _before_schema(batch: Batch) -> RecordBeforeSchema:
    message = f"a BATCH of stream `{printable(batch.stream)}` before its SCHEMA"
    return RecordBeforeSchema(message, line_no=batch.line.line_no, byte_offset=batch.line.byte_offset)


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """The file's content; taps compress with gzip whatever the message says, so its first bytes are asked."""
    magic = file.read(len(_GZIP))
    file.seek(0)
    return gzip.GzipFile(fileobj=file, mode="rb") if magic == _GZIP else file  # type: ignore[return-value]  # reads as such


def _records(stream: str, lines: Lines) -> Iterator[RecordRun]:
    """Lines that are records, as if each had come in a RECORD message.

    Raises:
        InputError: A line is no JSON object, after the records before it were handed out.
    """
    listed = list(lines)
    raws = _plain(listed) if most_brackets(lines) < MAX_DEPTH else None
    if raws is not None:
        yield RecordRun(stream, raws, listed)
        return
    fault = next((line for line in listed if not _is_object(line.content)), None)
    yield from _wrapped(stream, lines, until=fault)
    if fault is not None:
        raise InputError("this is not a JSON object", line_no=fault.line_no, byte_offset=fault.byte_offset)


def _plain(lines: list[Line]) -> list[msgspec.Raw] | None:
    """The records, unless one of them needs a closer look."""
    try:
        raws = [_DECODE(line.content) for line in lines]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return raws if raws and all(memoryview(raw)[0] == _BRACE for raw in raws) else None


def _is_object(content: bytes) -> bool:
    """Whether any reader takes it for one; what is wrong with it then is a fault of its record."""
    if not content.lstrip().startswith(b"{"):
        return False
    try:
        _DECODE(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return repair(content) is not None
    return True


def _wrapped(stream: str, lines: Lines, *, until: Line | None) -> Iterator[RecordRun]:
    """By way of RECORD messages, so that nothing is judged in two places."""
    opening = b'{"type":"RECORD","stream":%s,"record":' % msgspec.json.encode(stream)
    contents = lines.content.split(b"\n")
    if until is not None:
        contents = contents[: until.line_no - lines.line_no]
    messages = [opening + content + b"}" if content.strip() else b"" for content in contents]
    for message in read_messages([Lines(b"\n".join(messages), lines.line_no)], Counter()):
        if isinstance(message, RecordRun):
            yield message


@contextlib.contextmanager
def _placed(line: Line, where: str) -> Iterator[None]:
    """Faults say where in the BATCH they are, and where that is in the input."""
    fault: InputError
    try:
        yield
        return
    except InputError as error:
        fault = error
    except (OSError, EOFError, zlib.error):
        fault = UnreadableFile("it is cut or damaged; let the tap write it again")
    raise _at(line, where, fault) from None


def _at(line: Line, where: str, fault: InputError) -> InputError:
    if isinstance(fault, UnreadableFile):
        return InputError(f"{where}: {fault}", line_no=line.line_no, byte_offset=line.byte_offset)
    text = str(fault).removesuffix(f" (line {fault.line_no}, byte offset {fault.byte_offset})")
    place = f"{where}, line {fault.line_no}" if fault.line_no else where
    return type(fault)(f"{place}: {text}", line_no=line.line_no, byte_offset=line.byte_offset)
