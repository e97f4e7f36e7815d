"""Arrow tables as file content that tells whether it is whole."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

_CHECKSUM_KEY: Final = b"sha256"
_BLANK: Final = b"0" * 64


NO_TEXT: Final = pa.nulls(1, pa.string())[0]
"""The null of a text column; `pa.scalar` would import pandas where it is installed."""


def column_array(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece; not copied where it is one already."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def sorted_by(table: pa.Table, name: str) -> pa.Table:
    """The rows in ascending order of a column.

    `Table.sort_by` loads Arrow's query engine, and pandas with it where that is installed.
    """
    return table.take(pc.sort_indices(table.column(name)))


def arrow_file(table: pa.Table, *, compression: Literal["zstd", "lz4"] = "zstd") -> bytes:
    """A table in Arrow IPC file format, compressed, readable by anything that reads Arrow files.

    Arrow has no checksum of its own, and of single flipped bits more than half change values silently (measured). The
    schema's metadata therefore hold the SHA-256 of the whole file as it is with zeros in place of that sum.

    Args:
        table: What to write.
        compression: `lz4` takes half the time of `zstd` and half as much room again.
    """
    place = secrets.token_hex(32).encode()  # occurs nowhere else, whatever the table holds
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)  # threads cost more than they bring
    marked = table.replace_schema_metadata({**(table.schema.metadata or {}), _CHECKSUM_KEY: place})
    with pa.ipc.new_file(sink, marked.schema, options=options) as writer:
        writer.write_table(marked)
    starts = list(_starts(sink.getvalue(), place))
    with sink.getbuffer() as content:  # a copy would be as large again
        for start in starts:
            content[start : start + len(place)] = _BLANK
        checksum = hashlib.sha256(content).hexdigest().encode()
        for start in starts:
            content[start : start + len(place)] = checksum
    return sink.getvalue()


def arrow_table(content: bytes, schema: pa.Schema, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read back what `arrow_file` wrote.

    Args:
        content: The whole file.
        schema: What it has to have.
        columns: Names to read; all by default.

    Returns:
        The table, with the metadata that were written.

    Raises:
        ValueError: The file is cut, damaged or another one.
    """
    names = schema.names if columns is None else list(columns)
    fields = sorted(schema.get_field_index(name) for name in names)
    options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)  # threads cost more than they bring here
    try:
        metadata = _metadata(content, schema)
        table = pa.ipc.open_file(pa.py_buffer(content), options=options).read_all()
    except (ValueError, KeyError, OSError, pa.ArrowException):
        raise ValueError("not a whole Arrow file of this schema") from None
    return table.select(names).replace_schema_metadata(metadata or None)


def arrow_schema(content: bytes) -> pa.Schema:
    """The schema of what `arrow_file` wrote, for files whose columns vary.

    Raises:
        ValueError: The file is cut, damaged or another one.
    """
    try:
        return pa.ipc.open_file(pa.py_buffer(content)).schema
    except (ValueError, KeyError, OSError, pa.ArrowException):
        raise ValueError("not a whole Arrow file") from None


def _metadata(content: bytes, schema: pa.Schema) -> dict[bytes, bytes]:
    found = pa.ipc.open_file(pa.py_buffer(content)).schema
    metadata = dict(found.metadata or {})
    checksum = metadata.pop(_CHECKSUM_KEY)
    if not found.equals(schema) or _checksum(content, checksum) != checksum:
        raise ValueError("damaged, or another schema")
    return metadata


def _checksum(content: bytes, place: bytes) -> bytes:
    return hashlib.sha256(content.replace(place, _BLANK)).hexdigest().encode()


def _starts(content: bytes, word: bytes) -> Iterator[int]:
    start = content.find(word)
    while start >= 0:
        yield start
        start = content.find(word, start + len(word))
