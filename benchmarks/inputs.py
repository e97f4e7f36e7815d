"""Input files, made once and kept: Singer messages, and the same records as files that BATCH messages name.

Made by a process of its own (`python -m benchmarks.inputs KIND RECORDS`), so that the one that measures stays small: a
process inherits the peak memory of the one that started it.
"""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import people
from benchmarks.places import CACHE, ROOT, python_of

STATE_EVERY: Final = 10_000
RECORDS_PER_BATCH_FILE: Final = 100_000
LONG_TEXT_CHARS: Final = 200
VERSION: Final = 1
"""To be raised with every change of what is made, so that no old file is taken for a new one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Input:
    """A file to be read on stdin, and what has to come of it.

    Attributes:
        lead_count: People who have to arrive, each once.
    """

    path: Path
    record_count: int
    lead_count: int


def made(kind: str, record_count: int) -> Input:
    """The input of this kind and size, made now unless it is there.

    Args:
        kind: `contacts`; `untidy` (2 % duplicates, 2 % without identity); `streams` (four of them); `profiles` (all
            with a LinkedIn profile, so that there is one list at a time), `profiles-K` (K have a long description);
            `parquet`, `arrow`, `jsonl`, `gzip`: BATCH messages that name files of 100,000 records.
        record_count: How many records.
    """
    note = _folder(kind, record_count) / "input.json"
    if not note.exists():
        command = [str(python_of()), "-m", "benchmarks.inputs", kind, str(record_count)]
        subprocess.run(command, cwd=ROOT, check=True)
    content = json.loads(note.read_text())
    return Input(note.with_name("messages.jsonl"), content["records"], content["leads"])


def data_files(given: Input) -> list[Path]:
    """The files that the BATCH messages of an input name."""
    return sorted(path for path in given.path.parent.iterdir() if path.name.startswith("part-"))


def _folder(kind: str, record_count: int) -> Path:
    return CACHE / "inputs" / f"{kind}-{record_count}-v{VERSION}"


# --- Making -----------------------------------------------------------------------------------------------------------


def _make(kind: str, record_count: int) -> None:
    folder = _folder(kind, record_count)
    folder.mkdir(parents=True, exist_ok=True)
    lead_count = record_count
    write = {"contacts": _contacts, "untidy": _untidy, "streams": _streams}.get(kind) or _batches(kind, folder)
    if kind.startswith("profiles"):
        write = _profiles(int(kind.partition("-")[2] or 0))
    with (folder / "messages.jsonl").open("w", buffering=1 << 20) as out:
        for line in write(record_count):
            out.write(line)
    if kind == "untidy":
        lead_count = sum(not _is_untidy(number) for number in range(record_count))
    note = folder / "input.json.new"
    note.write_text(json.dumps({"records": record_count, "leads": lead_count}))
    note.rename(folder / "input.json")


def _schema_line(stream: str) -> str:
    message = {"type": "SCHEMA", "stream": stream, "schema": people.schema(), "key_properties": ["Id"]}
    return json.dumps(message) + "\n"


def _state_line(number: int) -> str:
    return json.dumps({"type": "STATE", "value": {"bookmarks": {people.STREAM: {"position": number}}}}) + "\n"


def _contacts(record_count: int) -> Iterator[str]:
    yield _schema_line(people.STREAM)
    for number in range(record_count):
        yield people.LINE % (people.STREAM, people.record(number))
        if (number + 1) % STATE_EVERY == 0 or number + 1 == record_count:
            yield _state_line(number + 1)


def _profiles(long_count: int) -> Callable[[int], Iterator[str]]:
    def write(record_count: int) -> Iterator[str]:
        yield _schema_line(people.STREAM)
        every = record_count // long_count if long_count else 0
        for at, number in enumerate(itertools.islice(filter(people.has_profile, itertools.count()), record_count)):
            record = people.record(number)
            if every and at % every == every // 2:
                record = record.replace('"Description":"', '"Description":"' + "x" * LONG_TEXT_CHARS)
            yield people.LINE % (people.STREAM, record)
        yield _state_line(record_count)

    return write


def _untidy(record_count: int) -> Iterator[str]:
    yield _schema_line(people.STREAM)
    for number in range(record_count):
        yield people.LINE % (people.STREAM, _untidy_record(number))
        if (number + 1) % STATE_EVERY == 0 or number + 1 == record_count:
            yield _state_line(number + 1)


def _is_untidy(number: int) -> bool:
    return number % 50 in {31, 47}


def _untidy_record(number: int) -> str:
    match number % 50:
        case 31:  # the person of 30 records ago, under an id of its own
            return people.record(number - 30).replace(f'"003{number - 30:015d}"', f'"003{number:015d}"')
        case 47:
            return f'{{"Id":"003{number:015d}","FirstName":"Nobody","Email":"n/a","Title":"Owner"}}'
        case _:
            return people.record(number)


def _streams(record_count: int) -> Iterator[str]:
    names = [f"contacts_{name}" for name in ("emea", "apac", "latam", "amer")]
    yield from map(_schema_line, names)
    for number in range(record_count):
        yield people.LINE % (names[number // 100 % 4], people.record(number))
        if (number + 1) % STATE_EVERY == 0 or number + 1 == record_count:
            yield _state_line(number + 1)


def _batches(kind: str, folder: Path) -> Callable[[int], Iterator[str]]:
    encodings = {
        "parquet": {"format": "parquet"},
        "arrow": {"format": "arrow"},
        "jsonl": {"format": "jsonl", "compression": "none"},
        "gzip": {"format": "jsonl", "compression": "gzip"},
    }

    def write(record_count: int) -> Iterator[str]:
        yield _schema_line(people.STREAM)
        for first in range(0, record_count, RECORDS_PER_BATCH_FILE):
            end = min(first + RECORDS_PER_BATCH_FILE, record_count)
            path = folder / f"part-{first // RECORDS_PER_BATCH_FILE:04d}.{kind}"
            _write_records(kind, path, first, end)
            manifest = {"type": "BATCH", "stream": people.STREAM, "encoding": encodings[kind]}
            yield json.dumps({**manifest, "manifest": [path.as_uri()]}) + "\n"
            yield _state_line(end)

    return write


def _write_records(kind: str, path: Path, first: int, end: int) -> None:
    if kind in {"jsonl", "gzip"}:
        lines = (f"{people.record(number)}\n".encode() for number in range(first, end))
        with path.open("wb") as out, gzip.GzipFile("", "wb", 6, out, 0) if kind == "gzip" else out as packed:
            packed.writelines(lines)
        return
    import pyarrow as pa
    import pyarrow.json as pa_json
    import pyarrow.parquet as pq

    pieces = []
    for start in range(first, end, 10_000):
        text = "\n".join(map(people.record, range(start, min(start + 10_000, end))))
        pieces.append(pa_json.read_json(pa.py_buffer(text.encode()), parse_options=_explicit_schema()))
    table = pa.concat_tables(pieces).combine_chunks()
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=50_000)
        return
    with pa.OSFile(os.fspath(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=10_000)


def _explicit_schema() -> object:
    """As an export writes it: everything but the flag is text, dates too."""
    import pyarrow as pa
    import pyarrow.json as pa_json

    account = pa.struct([(name, pa.string()) for name in ("Name", "Website", "Industry")])
    types = {"IsDeleted": pa.bool_(), "Account": account}
    properties = people.schema()["properties"]
    names = itertools.chain(properties if isinstance(properties, dict) else ())
    return pa_json.ParseOptions(explicit_schema=pa.schema([(name, types.get(name, pa.string())) for name in names]))


if __name__ == "__main__":
    _make(sys.argv[1], int(sys.argv[2]))
