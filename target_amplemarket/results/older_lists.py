"""CSV exports of lists that this program did not make, mapped as records are: same aliases, same canonical forms."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv

from target_amplemarket.errors import SettingsError
from target_amplemarket.leads.aliases import normalised
from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.leads.map_block import Rules, map_block
from target_amplemarket.leads.mapping import StreamMapping, choose_mapping
from target_amplemarket.leads.repairs import schema_of
from target_amplemarket.singer.records import ArrowRecords
from target_amplemarket.singer.streams import RecordBlock, Stream

_LIST_NAMES: Final = frozenset({"list", "listname", "leadlist", "leadlistname"})
_DELIMITERS: Final = ",;\t|"
_HEADER_CHARS: Final = 1 << 20
_BLOCK_BYTES: Final = 4 << 20


_COMPARED: Final = (
    Route("linkedin", (("linkedin_url",),)),
    Route("email", (("email",),)),
    Route("titles_and_company", (("title",), ("company_name", "company_domain"))),
)


def comparable(intake: Intake) -> Intake:
    """What a service takes, and everybody else who can be told apart by profile, e-mail, or title and company."""
    fields = ("linkedin_url", "email", "title", "company_name", "company_domain", *intake.fields)
    return replace(intake, fields=tuple(dict.fromkeys(fields)), routes=(*_COMPARED, *intake.routes))


@dataclass(frozen=True, slots=True)
class OlderList:
    """One CSV file.

    Attributes:
        path: Of the file, with a header line.
        rules: With the key by which its people are compared with others.
    """

    path: Path
    rules: Rules

    def leads(self) -> Iterator[tuple[pa.Table, pa.StringArray]]:
        """Its people, schema `LEADS` with the data row as `record_no`, each with the name of the list.

        The name is what stands in a column such as `List name`, else that of the file.

        Raises:
            SettingsError: The file is not there, or no CSV with a header.
        """
        first, mapping = 1, None
        for batch in self._batches():
            records = ArrowRecords(batch)
            mapping = mapping or self._mapping(batch.schema.names, records)
            block = RecordBlock(Stream(self.path.name, {}, ()), first, records)
            leads = map_block(block, mapping, self.rules).leads
            rows = [number - first for number in leads.column("record_no").to_pylist()]
            yield leads, self._names(batch).take(pa.array(rows, pa.int64()))
            first += batch.num_rows

    def _mapping(self, names: list[str], records: ArrowRecords) -> StreamMapping:
        """As of a stream with these members; the header alone decides."""
        mapping = choose_mapping(
            schema_of((name,) for name in names), (), records,
            intake=self.rules.intake, overrides={}, extra_fields=(), owner_field=None,
        )  # fmt: skip
        if mapping.is_empty:
            raise SettingsError(
                f"{self.path} has no column that is known for a LinkedIn URL, an e-mail, or a title and a company; "
                "rename one, for example to `email`"
            )
        return mapping

    def _names(self, batch: pa.RecordBatch) -> pa.StringArray:
        for name in batch.schema.names:
            if normalised((name,)) in _LIST_NAMES:
                return pa.array([text or self.path.stem for text in batch.column(name).to_pylist()], pa.string())
        return pa.array([self.path.stem] * batch.num_rows, pa.string())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            names, delimiter = self._header()
            with pyarrow.csv.open_csv(
                self.path,
                read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
                parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            ) as reader:
                yield from reader
        except OSError as error:
            raise SettingsError(f"{self.path} cannot be read: {error.strerror or 'no such file'}") from None
        except (UnicodeDecodeError, csv.Error, StopIteration, pa.ArrowInvalid):
            raise SettingsError(f"{self.path} is no CSV file in UTF-8 with a header; export it as such") from None

    def _header(self) -> tuple[list[str], str]:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(_HEADER_CHARS)
        delimiter = max(_DELIMITERS, key=line.count)
        return next(csv.reader([line], delimiter=delimiter)), delimiter
