"""Records that come as an Arrow table in place of RECORD lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from target_amplemarket.singer.records import ArrowRecords
from target_amplemarket.singer.streams import RecordBlock, Stream

ROWS_PER_BLOCK: Final = 10_000


@dataclass(frozen=True, slots=True)
class ArrowRun:
    """Some rows of one stream."""

    stream: Stream
    batch: pa.RecordBatch

    def block(self, first_record_no: int) -> RecordBlock:
        """The rows as a block of records."""
        return RecordBlock(self.stream, first_record_no, ArrowRecords(self.batch))


def arrow_runs(table: pa.Table, stream_name: str, key_properties: tuple[str, ...]) -> Iterator[ArrowRun]:
    """Cut a table into runs of at most 10,000 rows."""
    stream = Stream(stream_name, _json_schema(table.schema), key_properties)
    for batch in table.to_batches(max_chunksize=ROWS_PER_BLOCK):
        yield ArrowRun(stream, batch)


def _json_schema(fields: pa.Schema | pa.StructType) -> dict[str, Any]:
    return {"properties": {f.name: _json_schema(f.type) if pa.types.is_struct(f.type) else {} for f in fields}}
