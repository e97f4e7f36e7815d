"""From a byte stream to lines that know where they stood."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import os
import select
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO, Final, Protocol, cast

import msgspec
import numpy as np
import numpy.typing as npt

from target_amplemarket.errors import MalformedLine

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Measured: smaller blocks cost more calls per record, larger ones memory."""

_GATHER_S: Final = 0.1
"""How long a block may wait for more: a pipe hands out little at a time, and small blocks cost more per record."""

_PIPE_BYTES: Final = 1024 * 1024
"""As much as an ordinary user is granted."""

_NEWLINE: Final = ord("\n")
IN_CACHE: Final = 1 << 18
"""So many bytes, and what is made of them, stay in the processor's cache."""

_BOM: Final = b"\xef\xbb\xbf"


class Wake(Protocol):
    """Something that can end the wait for input; its descriptor becomes readable when it does."""

    signal_number: int | None

    def fileno(self) -> int: ...


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of input without its newline; a carriage return before that is white space to JSON."""

    content: bytes
    line_no: int  # 1-based
    byte_offset: int  # of the first byte, 0-based


@dataclass(frozen=True)
class Lines:
    """Consecutive whole lines of UTF-8; nothing when nothing arrived for a while.

    Attributes:
        content: The lines with their newlines; only the last of an input may have none.
        line_no: Of the first line, 1-based.
        byte_offset: Of the first byte, 0-based.
    """

    content: bytes = b""
    line_no: int = 1
    byte_offset: int = 0

    @functools.cached_property
    def newlines(self) -> npt.NDArray[np.intp]:
        """Where the newlines stand."""
        codes, starts = np.frombuffer(self.content, np.uint8), range(0, len(self.content), IN_CACHE)
        pieces = (np.flatnonzero(codes[at:][:IN_CACHE] == _NEWLINE) + at for at in starts)
        return np.concatenate([np.zeros(0, np.intp), *pieces])

    def __iter__(self) -> Iterator[Line]:
        """Line by line; blank lines are left out."""
        line_no, byte_offset = self.line_no, self.byte_offset
        for content in self.content.split(b"\n"):
            if content and not content.isspace():
                yield Line(content, line_no, byte_offset)
            line_no += 1
            byte_offset += len(content) + 1


def read_lines(source: IO[str] | IO[bytes], wake: Wake, *, idle_s: float) -> Iterator[Lines]:
    """Read blocks of lines until the input ends or `wake` fires.

    Blank lines, CRLF and a byte order mark at the start are taken as what they are. A last line without an end counts
    as a line, unless `wake` fired first. When nothing arrives for `idle_s` seconds an empty `Lines` comes, so that
    waiting work can go on. At most one line and one block are held in memory.

    Raises:
        MalformedLine: A line longer than 16 MiB or one that is not UTF-8, after the lines before it were handed out.
    """
    rest: list[bytes] = []  # of a line whose end has not come yet
    rest_bytes, line_no, byte_offset = 0, 1, 0
    for block in _read_blocks(_byte_source(source), wake, idle_s):
        if block is None:
            yield Lines()
            continue
        end = block.rfind(b"\n") + 1 if block else 0
        if end or not block:
            chunk = b"".join([*rest, memoryview(block)[:end]])
            line_no = yield from _take(chunk, line_no, byte_offset)
            byte_offset += len(chunk)
            rest, rest_bytes = [], 0
        rest.append(block[end:])
        rest_bytes += len(block) - end
        if rest_bytes > MAX_LINE_BYTES:
            raise _too_long(line_no, byte_offset)


def _take(chunk: bytes, line_no: int, byte_offset: int) -> Generator[Lines, None, int]:
    """Lines of a chunk that ends where a line does; returns the number of the line after them."""
    if byte_offset == 0 and chunk.startswith(_BOM):
        chunk, byte_offset = chunk[len(_BOM) :], len(_BOM)  # the mark is not part of the line
    fault, sound = None, len(chunk)
    if len(chunk) > MAX_LINE_BYTES or not _is_utf8(chunk):
        fault, sound = _first_fault(chunk, line_no, byte_offset)
    lines = Lines(chunk[:sound], line_no, byte_offset)
    if sound:
        yield lines
    if fault:
        raise fault
    return line_no + len(lines.newlines)


def _first_fault(chunk: bytes, line_no: int, byte_offset: int) -> tuple[MalformedLine | None, int]:
    """What is wrong with the first line that is wrong, and how many bytes come before it."""
    sound = 0
    for content in chunk.split(b"\n"):
        if fault := _fault(content, line_no, byte_offset + sound):
            return fault, sound
        line_no += 1
        sound += len(content) + 1
    return None, len(chunk)


def _fault(content: bytes, line_no: int, byte_offset: int) -> MalformedLine | None:
    if len(content) > MAX_LINE_BYTES:
        return _too_long(line_no, byte_offset)
    if not _is_utf8(content):
        return MalformedLine("this line is not UTF-8", line_no=line_no, byte_offset=byte_offset)
    return None


def _is_utf8(content: bytes) -> bool:
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            return False
    return True


def _too_long(line_no: int, byte_offset: int) -> MalformedLine:
    message = "this line is longer than 16 MiB; leave the large field out in the tap's catalog"
    return MalformedLine(message, line_no=line_no, byte_offset=byte_offset)


def _byte_source(source: IO[str] | IO[bytes]) -> IO[bytes]:
    if isinstance(source, io.StringIO):
        return io.BytesIO(source.getvalue()[source.tell() :].encode("utf-8", "surrogatepass"))
    return cast("IO[bytes]", getattr(source, "buffer", source))  # a text file holds its bytes there


def _read_blocks(source: IO[bytes], wake: Wake, idle_s: float) -> Iterator[bytes | None]:
    """Blocks as they come, None when nothing comes for a while, an empty block where the input ends."""
    file = getattr(source, "raw", source)
    if not isinstance(file, io.FileIO):  # bytes in memory, or made from those of a file, as gzip does
        while wake.signal_number is None:
            yield (block := source.read(BLOCK_BYTES))
            if not block:
                return
        return
    descriptor = _prepared(source, file.fileno())
    while wake.signal_number is None:
        ready, _, _ = select.select([descriptor, wake.fileno()], [], [], idle_s)
        if wake.fileno() in ready:
            return
        if not ready:
            yield None
            continue
        yield (block := _gathered(descriptor, wake))
        if not block:
            return


def _gathered(descriptor: int, wake: Wake) -> bytes:
    """What can be read, and what follows soon; nothing where the input ends."""
    pieces = [os.read(descriptor, BLOCK_BYTES)]
    left_bytes = BLOCK_BYTES - len(pieces[0])
    end_s = time.monotonic() + _GATHER_S
    while pieces[-1] and left_bytes and (left_s := end_s - time.monotonic()) > 0:
        ready, _, _ = select.select([descriptor, wake.fileno()], [], [], left_s)
        if ready != [descriptor]:
            break
        pieces.append(os.read(descriptor, left_bytes))
        left_bytes -= len(pieces[-1])
    return b"".join(pieces)


def _prepared(source: IO[bytes], descriptor: int) -> int:
    if source.seekable():
        os.lseek(descriptor, source.tell(), os.SEEK_SET)  # Python may have read ahead of its own position
    else:
        with contextlib.suppress(OSError, AttributeError):  # Linux only: a pipe holds 64 KiB unless asked for more
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return descriptor
