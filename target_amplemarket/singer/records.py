"""Records of one stream, read by column: only the members that are asked for are decoded."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.singer.arrow_json import json_objects, json_values, plain_text, record_struct
from target_amplemarket.singer.json_faults import RecordFault, decoded

Spans = np.ndarray[tuple[int], np.dtype[np.signedinteger[Any]]]
"""Where parts of a text begin, or end, in bytes."""

Path = tuple[str, ...]
"""Where a value stands in a record: member names from the outside in."""

ABSENT: Final = msgspec.UNSET
"""The value of a member that a record does not have; a null is `None`."""

AT_ONCE: Final = 256
"""Records decoded at once: few enough to stay in the processor's cache until they are columns."""

NOT_ALL_TEXT: Final = (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError)
"""What Arrow raises where a value is not text."""

_MAX_PATH_DEPTH: Final = 4
_NOT_A_FIELD: Final = re.compile(r'["\\\x00-\x1f]')  # msgspec refuses such names of Struct fields


@dataclass(slots=True)
class Columns:
    """Values by column, and the records whose content could not be decoded."""

    values: list[Sequence[object]]
    faults: dict[int, RecordFault] = field(default_factory=dict)


class Records(Protocol):
    """Some records of one stream."""

    def __len__(self) -> int: ...

    def columns(self, paths: Sequence[Path]) -> Columns:
        """One sequence of values a path, each as long as the records; `ABSENT` where a record has no such member."""
        ...

    def json(self, index: int) -> bytes:
        """The record as JSON text, as it came where it came as JSON."""
        ...

    def kept(self) -> pa.DictionaryArray:
        """What is kept of all of them: JSON text, RECORD messages as they came (binary), or columns (struct).

        They are pointed to, so that what chooses among them copies none of it; `leads.kept_records` makes text of all.
        """
        ...


class JsonRecords:
    """Records as they stood in their RECORD lines, each without a newline in it.

    Columns of nothing but text and nulls are handed out as Arrow arrays of strings, all others as lists. A value that
    was read once is not decoded again.
    """

    __slots__ = ("_columns", "_ends", "_faults", "_joined", "raws")

    def __init__(self, raws: Sequence[msgspec.Raw]) -> None:
        self.raws = raws
        self._joined = b"\n".join(raws)  # many at once are decoded in half the time that one by one takes
        self._ends = np.cumsum(np.fromiter(map(len, raws), np.int32, len(raws)) + 1, dtype=np.int32)  # and newlines
        self._columns: dict[Path, Sequence[object]] = {}
        self._faults: dict[int, RecordFault] = {}

    def __len__(self) -> int:
        return len(self.raws)

    def columns(self, paths: Sequence[Path]) -> Columns:
        if new := [path for path in dict.fromkeys(paths) if path not in self._columns]:
            pieces = [self._read(new, first) for first in range(0, len(self), AT_ONCE)]
            self._columns |= {path: end_to_end([piece[n] for piece in pieces]) for n, path in enumerate(new)}
        return Columns([self._columns[path] for path in paths], self._faults)

    def json(self, index: int) -> bytes:
        return bytes(self.raws[index])

    def kept(self) -> pa.DictionaryArray:
        starts = np.concatenate([np.zeros(1, np.int32), self._ends[:-1]])[: len(self)]
        return pointing_to_spans(self._joined, starts, self._ends - 1, pa.string())

    def _read(self, paths: Sequence[Path], first: int) -> list[Sequence[object]]:
        """Values of some records by path."""
        codec = row_codec(tuple(dict.fromkeys(path[0] for path in paths)))
        return codec.columns(self._rows(codec, first), paths)

    def _rows(self, codec: RowCodec, first: int) -> list[Any]:
        raws = self.raws[first : first + AT_ONCE]
        start, end = self._ends[first - 1] if first else 0, self._ends[first + len(raws) - 1]
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            rows: list[Any] = codec.decoder.decode_lines(memoryview(self._joined)[start:end])
            if len(rows) == len(raws):
                return rows
        rows = [decoded(raw, codec.decoder.decode) for raw in raws]
        self._faults |= {first + index: row for index, row in enumerate(rows) if isinstance(row, RecordFault)}
        return [codec.absent if isinstance(row, RecordFault) else row for row in rows]


@dataclass(frozen=True, slots=True)
class DictRecords:
    """Records that stream maps or flattening have made.

    Attributes:
        rows: One a record.
        originals: By index, records that nothing was made of, as they came.
    """

    rows: Sequence[Mapping[str, object]]
    originals: Mapping[int, msgspec.Raw] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self, paths: Sequence[Path]) -> Columns:
        return Columns([_walk([row.get(path[0], ABSENT) for row in self.rows], path[1:]) for path in paths])

    def json(self, index: int) -> bytes:
        original = self.originals.get(index)
        return json_text(self.rows[index]) if original is None else bytes(original)

    def kept(self) -> pa.DictionaryArray:
        return _pointing(pa.array(map(self.json, range(len(self))), pa.string()))


class ArrowRecords:
    """Rows of an Arrow record batch.

    Columns of text are handed out as Arrow arrays of strings, all others as lists of what a JSON decoder would have
    made of them. A column has every member, so that a null is also what an absent member would be.

    Args:
        batch: Validated, so that its text is UTF-8; of columns of the same name the last counts.
    """

    __slots__ = ("_columns", "_texts", "batch")

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self._columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        self._texts: pa.StringArray | None = None

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def columns(self, paths: Sequence[Path]) -> Columns:
        return Columns([self._column(path) for path in paths])

    def json(self, index: int) -> bytes:
        text: str = self.json_texts()[index].as_py()
        return text.encode()

    def json_texts(self) -> pa.StringArray:
        """All records as JSON text."""
        if self._texts is None:
            self._texts = json_objects(self.batch.schema.names, self.batch.columns, len(self))
        return self._texts

    def kept(self) -> pa.DictionaryArray:
        struct = record_struct(self.batch.schema.names, self.batch.columns)
        return _pointing(self.json_texts() if struct is None else struct)

    def _column(self, path: Path) -> Sequence[object] | pa.StringArray:
        array, inner = self._columns.get(path[0]), path[1:]
        while array is not None and inner and pa.types.is_struct(array.type):
            index = array.type.get_all_field_indices(inner[0])
            array, inner = (pc.struct_field(array, [index[-1]]) if index else None), inner[1:]
        if array is None:
            return [ABSENT] * len(self)
        text = None if inner else plain_text(array)
        return _walk(json_values(array), inner) if text is None else text


def pointing_to_spans(content: bytes, starts: Spans, ends: Spans, kind: pa.DataType) -> pa.DictionaryArray:
    """Parts of a text, in their order, as strings or binary values that point into it; none of it is copied."""
    bounds = np.zeros(2 * len(starts) or 1, np.int32)  # of the parts and of what stands between them
    bounds[: 2 * len(starts) : 2], bounds[1::2] = starts, ends
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(content)]
    return _pointing(pa.Array.from_buffers(kind, len(bounds) - 1, buffers), step=2)


def _pointing(texts: pa.Array, *, step: int = 1) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.arange(0, len(texts), step, dtype=np.int32), texts)


def member_paths(records: Records, *, first: int) -> Iterator[Path]:
    """Paths of all members of the first records, outside in, each once, in order of appearance."""
    seen: dict[Path, None] = {}
    for index in range(min(first, len(records))):
        seen.update(dict.fromkeys(_leaves(decoded(records.json(index)), ())))
    yield from seen


def _leaves(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and len(path) < _MAX_PATH_DEPTH:
        for name, member in value.items():
            yield from _leaves(member, (*path, name))
    elif path:
        yield path


@dataclass(frozen=True, slots=True)
class RowCodec:
    """How some members of records are read.

    Attributes:
        row: Type of what is decoded.
        decoder: Of one record.
        absent: Stands for a record that cannot be decoded.
        getters: By name of a member: its value in a row.
    """

    row: Any
    decoder: Any
    absent: object
    getters: Mapping[str, Callable[[Any], object]]

    def columns(self, rows: Sequence[Any], paths: Sequence[Path]) -> list[Sequence[object]]:
        """Values of some rows by path: Arrow arrays of strings where they are nothing but text and nulls."""
        tops = {name: list(map(self.getters[name], rows)) for name in dict.fromkeys(path[0] for path in paths)}
        return [_text_or_list(_walk(tops[path[0]], path[1:])) for path in paths]


@functools.lru_cache(maxsize=64)
def row_codec(names: tuple[str, ...]) -> RowCodec:
    """How the members of these names are read."""
    if any(_NOT_A_FIELD.search(name) for name in names):
        row = dict[str, Any]
        return RowCodec(row, msgspec.json.Decoder(row), {}, {name: _member_getter(name) for name in names})
    fields = {name: f"member_{number}" for number, name in enumerate(names)}
    struct = msgspec.defstruct(
        "Row", [(name, Any, ABSENT) for name in fields.values()], rename={f: n for n, f in fields.items()}, gc=False
    )
    return RowCodec(struct, msgspec.json.Decoder(struct), struct(), {n: attrgetter(f) for n, f in fields.items()})


def _member_getter(name: str) -> Callable[[Mapping[str, object]], object]:
    return lambda row: row.get(name, ABSENT)


def _walk(values: Sequence[object], path: Path) -> Sequence[object]:
    for name in path:
        values = [value.get(name, ABSENT) if isinstance(value, dict) else ABSENT for value in values]
    return values


def _text_or_list(values: Sequence[object]) -> Sequence[object]:
    with contextlib.suppress(*NOT_ALL_TEXT):
        texts: Sequence[object] = pa.array(values, pa.string())
        return texts
    return values


def end_to_end(pieces: Sequence[Sequence[object]]) -> Sequence[object]:
    """Pieces of a column as one."""
    if pieces and all(isinstance(piece, pa.Array) for piece in pieces):
        texts: Sequence[object] = pa.concat_arrays(pieces)
        return texts
    return [value for piece in pieces for value in (piece.to_pylist() if isinstance(piece, pa.Array) else piece)]


def json_text(value: object) -> bytes:
    """JSON of a value that may hold what strict encoders refuse (stream maps and data frames make such)."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        return json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace")
