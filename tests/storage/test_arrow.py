from __future__ import annotations

import hashlib
import secrets
import tracemalloc
from typing import Literal

import pyarrow as pa
import pytest

from target_amplemarket.storage.arrow import arrow_file, arrow_table

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("s", pa.dictionary(pa.int32(), pa.string()))])


def table_of(row_count: int) -> pa.Table:
    rows = {"n": range(row_count), "s": [None if n % 7 == 0 else f"v{n % 3}" for n in range(row_count)]}
    return pa.table({"n": pa.array(rows["n"], pa.int64()), "s": pa.array(rows["s"]).dictionary_encode()}).cast(SCHEMA)


@pytest.mark.parametrize("row_count", [0, 1, 5_000])
def test_a_table_comes_back_with_its_schema(row_count: int) -> None:
    table = table_of(row_count)
    read = pa.ipc.open_file(arrow_file(table)).read_all()
    assert read.schema == SCHEMA
    assert read.to_pylist() == table.to_pylist()


def test_the_content_is_compressed() -> None:
    assert len(arrow_file(table_of(50_000))) < 50_000 * 2


def test_a_file_cut_anywhere_is_an_error_and_never_a_shorter_table() -> None:
    content = arrow_file(pa.concat_tables([table_of(50), table_of(50)]))
    for end in range(len(content)):
        with pytest.raises((pa.ArrowInvalid, OSError)):
            pa.ipc.open_file(content[:end]).read_all()


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_the_checksum_is_that_of_the_file_with_zeros_in_its_place(compression: Literal["zstd", "lz4"]) -> None:
    content = arrow_file(table_of(5_000), compression=compression)
    checksum = pa.ipc.open_file(content).schema.metadata[b"sha256"]
    assert hashlib.sha256(content.replace(checksum, b"0" * 64)).hexdigest().encode() == checksum
    assert arrow_table(content, SCHEMA).equals(table_of(5_000))


def test_the_content_is_in_memory_once() -> None:
    table = pa.table({"text": [secrets.token_bytes(4_000_000)]})
    tracemalloc.start()
    try:
        content = arrow_file(table)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * len(content)
    finally:
        tracemalloc.stop()
