"""Parquet and Arrow files, read in pieces of bounded size."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa

from target_amplemarket.errors import UnreadableFile

if TYPE_CHECKING:
    import pyarrow.parquet as pq

ROWS_PER_PIECE: Final = 10_000
BYTES_PER_PIECE: Final = 8 * 1024 * 1024
_ROWS_TOGETHER: Final = 100_000
_BUFFER_BYTES: Final = 1024 * 1024
_PARQUET: Final = b"PAR1"
_ARROW: Final = b"ARROW1"
_MESSAGE: Final = b"\xff\xff\xff\xff"
"""Before every message of a stream, but for those of Arrow before 0.15."""

_NO_LENGTH: Final = b"\x00\x00\x00\x00"
"""In place of a message's length: the end of the stream."""

_WHAT_ELSE: Final = "it is cut, damaged, or not what it is said to be; let it be written again"


Wanted = Callable[[], frozenset[str] | None]
"""Names of the only columns that anybody will ask for, or None where that is not known yet."""


@dataclass(frozen=True, slots=True)
class ArrowRows:
    """Rows of one schema, wherever they are.

    Attributes:
        schema: Of all of them.
        row_count: None where only reading to the end can tell.
        batches: Reads them, in order; takes a `Wanted`, which it may leave unheeded.
        name: What faults call them.
    """

    schema: pa.Schema
    row_count: int | None
    batches: Callable[[Wanted], Iterable[pa.RecordBatch]]
    name: str = "it"

    def pieces(self, wanted: Wanted = lambda: None) -> Iterator[pa.RecordBatch]:
        """Read the rows in validated record batches of at most 10,000 rows and about 8 MiB.

        Raises:
            UnreadableFile: What is read is damaged; the pieces before it were handed out.
        """
        with reading_arrow(self.name):
            for batch in self.batches(wanted):
                batch.validate(full=True)  # offsets that lead astray, text that is not UTF-8
                rows = ROWS_PER_PIECE
                if batch.nbytes > BYTES_PER_PIECE:
                    rows = min(rows, max(1, batch.num_rows * BYTES_PER_PIECE // batch.nbytes))
                for first in range(0, batch.num_rows, rows):
                    yield batch.slice(first, rows)


def open_arrow_file(file: IO[bytes]) -> ArrowRows:
    """Open a Parquet file or an Arrow file, be it in IPC file or stream format; told apart by their first bytes.

    Of a Parquet file a piece is in memory at a time, of an Arrow file one of its record batches.

    Raises:
        UnreadableFile: It is none of them, or cut where that shows at once; `pieces` raises it where it shows later.
    """
    with reading_arrow():
        magic = file.read(len(_ARROW))
        file.seek(0)
        if magic.startswith(_PARQUET):
            return _parquet(file)
        return _ipc_file(file) if magic == _ARROW else _ipc_stream(file)


@contextlib.contextmanager
def reading_arrow(name: str = "it") -> Iterator[None]:
    """What Arrow says of a file may hold its content, so that it goes no further."""
    try:
        yield
    except OSError as error:
        reason = f": {error.strerror}" if error.errno else ""
        raise UnreadableFile(f"{name} cannot be read{reason}; {_WHAT_ELSE}") from None
    except (pa.ArrowException, ValueError, KeyError, MemoryError, EOFError):
        raise UnreadableFile(f"{name} cannot be read; {_WHAT_ELSE}") from None


def _parquet(file: IO[bytes]) -> ArrowRows:
    import pyarrow.parquet as pq  # not of Arrow's core: only for those who have such files

    parquet = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, page_checksum_verification=True)
    row_count: int = parquet.metadata.num_rows
    return ArrowRows(
        parquet.schema_arrow, row_count, lambda wanted: _counted(_parquet_batches(parquet, wanted), row_count)
    )


def _parquet_batches(parquet: pq.ParquetFile, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """The row groups from the start with all columns until somebody can tell which are wanted, then those."""
    groups = [parquet.metadata.row_group(index) for index in range(parquet.metadata.num_row_groups)]
    row_count = max(1, sum(group.num_rows for group in groups))
    row_bytes = sum(group.total_byte_size for group in groups) // row_count
    batch_rows = max(1, min(ROWS_PER_PIECE, BYTES_PER_PIECE // max(1, row_bytes)))
    first = 0
    while first < len(groups):
        names = wanted()
        last = len(groups) if names is not None else _after(groups, first)
        columns = None if names is None else [name for name in parquet.schema_arrow.names if name in names]
        yield from parquet.iter_batches(batch_rows, row_groups=range(first, last), columns=columns, use_threads=False)
        first = last


def _after(groups: Sequence[pq.RowGroupMetaData], first: int) -> int:
    """Behind so many groups that their rows make some pieces: many small ones are read together."""
    row_count = 0
    for index in range(first, len(groups)):
        row_count += groups[index].num_rows
        if row_count >= _ROWS_TOGETHER:
            return index + 1
    return len(groups)


def _counted(batches: Iterable[pa.RecordBatch], row_count: int) -> Iterator[pa.RecordBatch]:
    """As many rows as the file says it has."""
    for batch in batches:
        row_count -= batch.num_rows
        yield batch
    if row_count:
        raise EOFError


def _ipc_file(file: IO[bytes]) -> ArrowRows:
    reader = pa.ipc.open_file(file)
    batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
    return ArrowRows(reader.schema, None, lambda _: batches)


def _ipc_stream(file: IO[bytes]) -> ArrowRows:
    """A stream that is cut between two of its record batches looks like its end, but for the mark that follows that."""
    end = _MESSAGE + _NO_LENGTH if file.read(len(_MESSAGE)) == _MESSAGE else _NO_LENGTH  # zeros may also be padding
    if not _tail(file).endswith(end):
        raise UnreadableFile(f"it has no end mark; {_WHAT_ELSE}")
    reader = pa.ipc.open_stream(file)
    return ArrowRows(reader.schema, None, lambda _: reader)


def _tail(file: IO[bytes]) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - len(_MESSAGE + _NO_LENGTH)))
    tail = file.read()
    file.seek(0)
    return tail


def schema_object(fields: pa.Schema | pa.StructType | Sequence[pa.Field]) -> dict[str, object]:
    """A JSON Schema that declares the members of a record and nothing about their values."""
    return {"properties": {f.name: schema_object(f.type) if pa.types.is_struct(f.type) else {} for f in fields}}
