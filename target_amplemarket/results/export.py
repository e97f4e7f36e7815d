"""Tables written for somebody else's program: CSV, JSON, Parquet, Arrow; a piece at a time, so of any size."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

_ROWS_AT_ONCE: Final = 65_536
"""Of one row group or record batch; result files may hold only some rows each."""

_FORMULA: Final = r"^[=+\-@\t\r\n]"
"""How a cell begins that a spreadsheet may take for a formula (owasp.org, CSV Injection, read 2026-11)."""

Write = Callable[[Iterable[pa.Table], pa.Schema, BinaryIO], None]


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of what is written: plain text in place of dictionaries, which differ from file to file."""
    return pa.schema([field.with_type(_plain_type(field.type)) for field in schema])


def write_csv(tables: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> None:
    """Comma-separated, UTF-8, a header, text in quotes (RFC 4180); null is empty, fingerprints are hexadecimal.

    A text that begins like a formula gets a `'` in front, so that no spreadsheet runs it.
    """
    made = pa.schema([pa.field(field.name, _csv_type(field.type)) for field in plain_schema(schema)])
    with pyarrow.csv.CSVWriter(sink, made) as writer:
        for table in _pieces(tables, schema):
            writer.write_table(pa.table([_csv_column(column) for column in table.columns], schema=made))


def write_json(tables: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> None:
    """One JSON list of objects, a line each; times are ISO 8601, fingerprints hexadecimal."""
    separator = b"[\n"
    for table in _pieces(tables, schema):
        for row in table.to_pylist():
            sink.write(separator + msgspec.json.encode(row, enc_hook=str))
            separator = b",\n"
    sink.write(b"\n]\n" if separator != b"[\n" else b"[]\n")


def write_parquet(tables: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> None:
    """A Parquet file, zstd; a row group holds 65,536 rows or more."""
    with pq.ParquetWriter(sink, plain_schema(schema), compression="zstd") as writer:
        for table in _pieces(tables, schema):
            writer.write_table(table)


def write_arrow(tables: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> None:
    """An Arrow IPC file, zstd."""
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, plain_schema(schema), options=options) as writer:
        for table in _pieces(tables, schema):
            writer.write_table(table)


WRITERS: Final[dict[str, Write]] = {
    "csv": write_csv,
    "json": write_json,
    "parquet": write_parquet,
    "arrow": write_arrow,
}


def _pieces(tables: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Tables of some size, in the schema that is written."""
    plain = plain_schema(schema)
    gathered: list[pa.Table] = []
    for table in itertools.chain(tables, [None]):
        if table is not None and table.num_rows:
            gathered.append(table.cast(plain))
        if gathered and (table is None or sum(each.num_rows for each in gathered) >= _ROWS_AT_ONCE):
            yield pa.concat_tables(gathered).combine_chunks()
            gathered = []


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind) or pa.types.is_binary(kind))


def _csv_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if _is_bytes(kind) or pa.types.is_timestamp(kind) else kind


def _csv_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if _is_bytes(column.type):
        return pa.chunked_array([[None if v is None else v.hex() for v in column.to_pylist()]], pa.string())
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    if not pa.types.is_string(column.type):
        return column
    guarded = pc.binary_join_element_wise("'", column, "")
    return pc.if_else(pc.match_substring_regex(column, _FORMULA), guarded, column)
