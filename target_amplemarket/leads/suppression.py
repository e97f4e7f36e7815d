"""The suppression file: people, and whole domains, whom the user says not to send."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from target_amplemarket.errors import SettingsError
from target_amplemarket.leads.aliases import candidates
from target_amplemarket.leads.exclusions import ExcludedPeople, Source, Taken

LOGGER: Final = logging.getLogger("target-amplemarket")

_ROWS_PER_PIECE: Final = 1 << 16
_BLOCK_BYTES: Final = 1 << 22
_LEAD_FIELDS: Final = {"email": "emails", "company_domain": "domains", "linkedin_url": "profiles"}
_TAKES: Final = "CSV with a header row (.csv, .tsv), Parquet (.parquet) or Arrow (.arrow, .feather, .ipc)"


def take_suppression_file(path: Path, people: ExcludedPeople) -> Taken:
    """Take everybody whom a file names, a piece at a time.

    Columns are recognised by their names as those of streams are (docs/reference/field-mapping.md), and each column of
    e-mails, domains or LinkedIn URLs counts, cell by cell.

    Args:
        path: CSV, TSV, Parquet or Arrow (file or stream), by its ending.
        people: Takes them.

    Raises:
        SettingsError: The file cannot be read to its end, or none of its columns names people.
    """
    taken, skipped = Taken(), _Skipped()
    try:
        names, pieces = _open(path, skipped)
        chosen = _chosen(names, path)
        for piece in pieces(list(chosen)):
            for name, kind in chosen.items():
                texts = _texts(piece.column(name), taken)
                people.take(Source.FILE, taken=taken, **{kind: texts})
    except OSError as error:
        raise SettingsError(f"`suppression_file` {path} cannot be read: {error.strerror or 'damaged'}") from None
    except (pa.ArrowException, UnicodeDecodeError):
        raise SettingsError(
            f"`suppression_file` {path} is damaged, empty, or not what its ending says: it takes {_TAKES}"
        ) from None
    taken.unreadable += skipped.count
    _say(path, chosen, taken)
    return taken


class _Skipped:
    """Counts the rows of a CSV file that have too many or too few cells."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, row: object) -> str:
        del row
        self.count += 1
        return "skip"


_Pieces = Callable[[list[str]], Iterator[pa.RecordBatch]]


def _open(path: Path, skipped: _Skipped) -> tuple[list[str], _Pieces]:
    """Names of the columns that hold text, and a way to read some of them."""
    ending = path.suffix.lower()
    if not path.is_file():
        raise SettingsError(f"`suppression_file` {path} is not there, or is not a file; nothing was sent")
    if ending in {".csv", ".tsv"}:
        return _open_csv(path, "\t" if ending == ".tsv" else ",", skipped)
    if ending == ".parquet":
        return _open_parquet(path)
    if ending in {".arrow", ".feather", ".ipc"}:
        return _open_arrow(path)
    raise SettingsError(f"`suppression_file` {path} has an ending that says nothing of its form: it takes {_TAKES}")


def _open_csv(path: Path, delimiter: str, skipped: _Skipped) -> tuple[list[str], _Pieces]:
    reading = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    parsing = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skipped)
    with pyarrow.csv.open_csv(path, reading, parsing) as reader:
        names = reader.schema.names
    skipped.count = 0  # that was the first block, which is read again

    def pieces(columns: list[str]) -> Iterator[pa.RecordBatch]:
        # Bytes: a cell that is not UTF-8 is one unreadable cell, not the end of the file.
        types = pyarrow.csv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.binary()))
        with pyarrow.csv.open_csv(path, reading, parsing, types) as reader:
            yield from reader

    return names, pieces


def _open_parquet(path: Path) -> tuple[list[str], _Pieces]:
    with pyarrow.parquet.ParquetFile(path) as file:
        names = _text_names(file.schema_arrow)

    def pieces(columns: list[str]) -> Iterator[pa.RecordBatch]:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(_ROWS_PER_PIECE, columns=columns, use_threads=False)

    return names, pieces


def _open_arrow(path: Path) -> tuple[list[str], _Pieces]:
    with pa.OSFile(str(path)) as source:
        names = _text_names(_arrow_batches(source)[0])

    def pieces(columns: list[str]) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(path)) as source:
            for batch in _arrow_batches(source)[1]:
                yield batch.select(columns)

    return names, pieces


def _arrow_batches(source: pa.NativeFile) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    try:
        file = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        stream = pa.ipc.open_stream(source)
        return stream.schema, iter(stream)
    return file.schema, (file.get_batch(number) for number in range(file.num_record_batches))


def _text_names(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if _is_text(field.type)]


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _chosen(names: list[str], path: Path) -> dict[str, str]:
    """Column → what it holds: `emails`, `domains` or `profiles`."""
    twice = sorted({name for name in names if names.count(name) > 1})
    found = candidates([(name,) for name in dict.fromkeys(names)], tuple(_LEAD_FIELDS))
    chosen = {column[0]: kind for field, kind in _LEAD_FIELDS.items() for column in found.get(field, ())}
    if not chosen:
        raise SettingsError(
            f"`suppression_file` {path} has no column of text named like e-mails, domains or LinkedIn URLs (`email`, "
            "`domain`, `linkedin_url`, or another name of docs/reference/field-mapping.md); the first row of a CSV "
            "file holds the names"
        )
    if clash := [name for name in chosen if name in twice]:
        raise SettingsError(f"`suppression_file` {path} has more than one column `{clash[0]}`: name them apart")
    return chosen


def _texts(column: pa.Array, taken: Taken) -> pa.StringArray:
    if not pa.types.is_binary(column.type):
        return column.cast(pa.string())
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        texts = [_decoded(cell) for cell in column.to_pylist()]
        taken.unreadable += texts.count(None) - column.null_count
        return pa.array(texts, pa.string())


def _decoded(cell: bytes | None) -> str | None:
    try:
        return None if cell is None else cell.decode()
    except UnicodeDecodeError:
        return None


def _say(path: Path, chosen: Iterable[str], taken: Taken) -> None:
    LOGGER.info(
        "suppression file %s: %s e-mails, %s domains, %s LinkedIn profiles, from the columns %s",
        path, f"{taken.emails:,}", f"{taken.domains:,}", f"{taken.profiles:,}", ", ".join(f"`{n}`" for n in chosen),
    )  # fmt: skip
    if taken.unreadable:
        LOGGER.warning(
            "suppression file %s: %s rows or cells are no e-mail, domain or LinkedIn profile, and exclude nobody",
            path, f"{taken.unreadable:,}",
        )  # fmt: skip
