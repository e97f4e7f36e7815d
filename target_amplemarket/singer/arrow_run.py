"""Records that come in Arrow form in place of RECORD lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pyarrow as pa

from target_amplemarket.errors import MissingKey, RecordBeforeSchema
from target_amplemarket.singer.lines import Line
from target_amplemarket.singer.messages import RecordRun, printable
from target_amplemarket.singer.records import ArrowRecords
from target_amplemarket.singer.streams import RecordBlock, Stream, Streams

NO_LINE: Final = Line(b"", 0, 0)
"""Where rows stand that came in no line."""


@dataclass(frozen=True, slots=True)
class ArrowRun:
    """Some rows of one stream; validated."""

    stream: str
    batch: pa.RecordBatch

    def blocks(self, streams: Streams, first_record_no: int) -> Iterator[RecordBlock]:
        """Number and check the rows, as `Streams.blocks` does for RECORD lines.

        Raises:
            RecordBeforeSchema: The stream has had no SCHEMA.
            MissingKey: The rows have no column for a key property.
        """
        stream = streams.known(self.stream)
        if stream is None:
            message = f"rows of stream `{printable(self.stream)}` before its SCHEMA"
            raise RecordBeforeSchema(message, line_no=NO_LINE.line_no, byte_offset=NO_LINE.byte_offset)
        if not set(stream.key_properties) <= set(self.batch.schema.names):
            keys = ", ".join(map(printable, stream.key_properties))
            message = f"rows of stream `{printable(self.stream)}` without its key ({keys})"
            raise MissingKey(message, line_no=NO_LINE.line_no, byte_offset=NO_LINE.byte_offset)
        if streams.reads_rows:
            yield from streams.blocks(self._as_records(stream), first_record_no)
        else:
            yield RecordBlock(stream, first_record_no, ArrowRecords(self.batch))

    def _as_records(self, stream: Stream) -> RecordRun:
        """For stream maps and checks against the SCHEMA, which take a record at a time."""
        batch = self.batch
        texts = ArrowRecords(batch).json_texts().to_pylist()
        optional = _cannot_be_null(stream.schema) & set(batch.schema.names)
        if any(batch.column(name).null_count for name in optional):
            texts = [_without(text, optional) for text in texts]
        return RecordRun(self.stream, [msgspec.Raw(text.encode()) for text in texts], [NO_LINE] * len(texts))


def blocks_of(run: RecordRun | ArrowRun, streams: Streams, first_record_no: int) -> Iterator[RecordBlock]:
    """Number and check records, in whichever form they came.

    Raises:
        RecordBeforeSchema: Nothing of the run was handed out.
        MissingKey: The records before the one at fault were handed out.
    """
    if isinstance(run, ArrowRun):
        return run.blocks(streams, first_record_no)
    return streams.blocks(run, first_record_no)


def _cannot_be_null(schema: Any) -> set[str]:  # any JSON
    """Members that a record may leave out and that must not be null: a null in their column says that it did."""
    required = schema.get("required")
    required = required if isinstance(required, list) else []
    declared = {name: part.get("type") for name, part in schema["properties"].items() if isinstance(part, dict)}
    return {n for n, types in declared.items() if isinstance(types, str | list) and "null" not in types} - set(required)


def _without(text: str, names: set[str]) -> str:
    row = msgspec.json.decode(text)
    kept = {name: value for name, value in row.items() if value is not None or name not in names}
    return msgspec.json.encode(kept).decode()
