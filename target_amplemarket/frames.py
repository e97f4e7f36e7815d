"""Sending a data frame, an Arrow table or files without a tap."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset

from target_amplemarket.config import Settings, read_settings
from target_amplemarket.errors import SettingsError, UnreadableFile
from target_amplemarket.results.reader import read_results
from target_amplemarket.results.schema import RESULTS, in_record_order
from target_amplemarket.runner import Input, execute
from target_amplemarket.singer.arrow_files import (
    ROWS_PER_PIECE,
    ArrowRows,
    Wanted,
    open_arrow_file,
    schema_object,
)
from target_amplemarket.singer.arrow_run import NO_LINE, ArrowRun
from target_amplemarket.singer.messages import Expected, Message, Schema
from target_amplemarket.singer.stop import StopRequest

if TYPE_CHECKING:
    import pandas as pd

    from target_amplemarket.results.books import Books
    from target_amplemarket.results.summary import RunSummary
    from target_amplemarket.singer.streams import Mapper

_BUFFER_BYTES: Final = 1024 * 1024
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"


def push(
    frame_or_table: pd.DataFrame | pa.Table | str | os.PathLike[str] | Any,  # whatever has an Arrow C stream
    settings: Mapping[str, Any],
    *,
    stream: str = "records",
    key_properties: Sequence[str] = (),
    read_back: bool = True,
) -> pa.Table:
    """Send rows through the same pipeline as a Singer stream and return their result rows.

    Args:
        frame_or_table: A pandas data frame, an Arrow table, record batch, record batch reader or dataset, anything that
            offers itself as an Arrow C stream (Polars, DuckDB), or the path of a Parquet or Arrow file or of a folder
            of such files. Files and readers may be larger than memory, and so may datasets: of one a row group is in
            memory. One row is one record; struct columns are reached by dotted paths.
        settings: The target's settings by name, as in its settings file.
        stream: Name under which the rows appear in lists and results.
        key_properties: Columns that identify a row.
        read_back: False returns no rows, so that memory does not grow with them; `read_results` reads them.

    Returns:
        One row for each row of the input, schema of docs/reference/results.md, in the order of the input.

    Raises:
        SettingsError: A setting is wrong, a key column is missing, or there is no such file.
        UnreadableFile: A file is damaged; what came before is settled.
        TargetError: Whatever stopped the run; what is recorded stays recorded (`read_results`).
    """
    checked = read_settings(settings)
    rows = _rows_of(frame_or_table)
    summary = push_rows(checked, rows, stream=stream, key_properties=key_properties, report=lambda _: None)
    if not summary.rows or not read_back:
        return RESULTS.empty_table()
    return in_record_order([read_results(checked.results_path, run=summary.run_id)])


def push_rows(
    settings: Settings,
    sources: Sequence[ArrowRows],
    *,
    stream: str,
    key_properties: Sequence[str],
    report: Callable[[RunSummary], None],
    watch: Callable[[Books], None] | None = None,
    mapper: Mapper | None = None,
) -> RunSummary:
    """Send the rows of all sources, one after the other, in one run.

    Args:
        settings: Checked settings.
        sources: Of one stream; their columns may differ.
        stream: Its name.
        key_properties: Columns that each of them must have.
        report: Takes the summary when the run has ended, however it ended.
        watch: Takes the books of the run before it begins; they count while it lasts.
        mapper: Set when stream maps or flattening are configured.

    Raises:
        SettingsError: A key column is missing.
        TargetError: Whatever stopped the run.
    """
    for source in sources:
        if missing := [name for name in key_properties if name not in source.schema.names]:
            raise SettingsError(f"`key_properties` names columns that the table does not have: {', '.join(missing)}")

    def messages(stop: StopRequest, _: Expected) -> Iterator[Message | ArrowRun]:
        for source in sources:
            yield Schema(stream, schema_object(source.schema), tuple(key_properties), NO_LINE)
            for piece in source.pieces():
                if stop.signal_number is not None:
                    return
                yield ArrowRun(stream, piece)

    return execute(settings, Input(messages, lambda _: None, mapper, watch), report=report)


def rows_of_path(path: Path) -> list[ArrowRows]:
    """The rows of a Parquet or Arrow file, or of all such files below a folder, in the order of their names.

    What folders on the way to a file name (`year=2026/`) become columns of text of its rows.

    Raises:
        SettingsError: There is no such file, or one is not of these formats.
    """
    if not path.is_dir():
        return [_rows_of_file(path, {})]
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name[0] not in "._")
    if not files:
        raise SettingsError(f"{path} holds no files")
    return [_rows_of_file(file, _folder_values(file.relative_to(path))) for file in files]


def _rows_of_file(path: Path, constants: Mapping[str, str]) -> ArrowRows:
    try:
        with path.open("rb", buffering=0) as file:
            opened = open_arrow_file(file)
    except UnreadableFile:
        raise SettingsError(f"{path} is no Parquet file and no Arrow file, or it is cut or damaged") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or 'no such name'}") from None
    added = {name: value for name, value in constants.items() if name not in opened.schema.names}
    schema = pa.schema([*opened.schema, *(pa.field(name, pa.string()) for name in added)])
    return ArrowRows(schema, opened.row_count, lambda wanted: _file_batches(path, added, wanted), str(path))


def _file_batches(path: Path, constants: Mapping[str, str], wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """Opened only now, so that many files are not open at once."""
    with path.open("rb", buffering=0) as file:
        for batch in open_arrow_file(file).batches(wanted):
            for name, value in constants.items():
                batch = batch.append_column(name, pa.repeat(pa.scalar(value), batch.num_rows))
            yield batch


def _folder_values(path: Path) -> dict[str, str]:
    pairs = (part.partition("=") for part in path.parts[:-1])
    return {name: unquote(value) for name, sign, value in pairs if sign and value != _NO_VALUE}


def _rows_of_dataset(dataset: pyarrow.dataset.Dataset) -> ArrowRows:
    return ArrowRows(dataset.schema, None, lambda _: _scanned(dataset))


def _scanned(dataset: pyarrow.dataset.Dataset) -> Iterator[pa.RecordBatch]:
    """In order, little ahead of what is taken; a row group of a Parquet file at a time, as datasets read."""
    options = {}
    if isinstance(getattr(dataset, "format", None), pyarrow.dataset.ParquetFileFormat):
        options["fragment_scan_options"] = pyarrow.dataset.ParquetFragmentScanOptions(
            use_buffered_stream=True, buffer_size=_BUFFER_BYTES, pre_buffer=False
        )
    return dataset.scanner(  # type: ignore[no-any-return]  # pyarrow is untyped
        batch_size=ROWS_PER_PIECE, batch_readahead=1, fragment_readahead=1, use_threads=False, **options
    ).to_batches()


def _rows_of(given: Any) -> list[ArrowRows]:  # see push
    if isinstance(given, str | os.PathLike):
        return rows_of_path(Path(given))
    if isinstance(given, pyarrow.dataset.Dataset):
        return [_rows_of_dataset(given)]
    if isinstance(given, pa.Table):
        return [ArrowRows(given.schema, given.num_rows, lambda _: given.to_batches(max_chunksize=ROWS_PER_PIECE))]
    if isinstance(given, pa.RecordBatch):
        return [ArrowRows(given.schema, given.num_rows, lambda _: [given])]
    if isinstance(given, pa.RecordBatchReader):
        return [ArrowRows(given.schema, None, lambda _: given)]
    try:
        if type(given).__module__.partition(".")[0] == "pandas":
            return _rows_of(pa.Table.from_pandas(given, preserve_index=False))
        if hasattr(given, "__arrow_c_stream__"):
            return _rows_of(pa.RecordBatchReader.from_stream(given))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise SettingsError(
            "this data frame does not fit into Arrow: some column mixes types; cast it, for example with "
            "`frame.astype({'column': 'string'})`"
        ) from None
    raise SettingsError(f"`push` takes a data frame, an Arrow table or a file, not {type(given).__name__}")
