"""Rows of records that are still open: no newer row says anything else of them.

A record is its stream and key, across runs; without key properties it is the run and number under which it came in, and
a replay is linked to that. Rows of dry runs settle nothing of other runs, and `all` passes over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.results.chosen import Chosen
from target_amplemarket.results.reader import ALL, run_ids, run_tables, runs_named
from target_amplemarket.results.replays import identities, read_replays, with_origins
from target_amplemarket.results.run_facts import is_dry

_NEEDED: Final = ("run_id", "stream", "record_no", "record_key")
_ROWS_AT_ONCE: Final = 1 << 19
"""Looking up some rows hashes all that are looked for."""


def open_rows(path: Path, *, run: str, chosen: Chosen, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The chosen rows that no newer row supersedes, a file at a time.

    Only the names of the records that are chosen are kept in memory.

    Args:
        path: The results folder.
        run: A run id, `last`, or `all`: where to look; what supersedes a row is looked for in all runs after it.
        chosen: Which rows.
        columns: Of schema `RESULTS`.

    Yields:
        Those columns and `_origin_run_id`, `_origin_record_no`, `_attempt`: see `replays`.

    Raises:
        StorageError: A file cannot be read, or there is no such run.
    """
    runs = [run_id for run_id in runs_named(path, run) if run != ALL or not is_dry(path, run_id)]
    newest = _newest(path, runs, chosen)
    names = list(dict.fromkeys([*columns, *_NEEDED, *chosen.columns]))
    for run_id in runs:
        if run_id in newest:
            links = read_replays(path, run_id)
            for table in run_tables(path, run_id, names):
                rows = chosen.of(table)
                rows = rows.filter(pc.is_in(rows.column("record_no"), value_set=newest[run_id]))
                if rows.num_rows:
                    added = ("_origin_run_id", "_origin_record_no", "_attempt")
                    yield with_origins(rows, links).select([*columns, *added])


def _newest(path: Path, runs: list[str], chosen: Chosen) -> dict[str, pa.Array]:
    """By run, the numbers of the rows that say the last of the records that are chosen."""
    wanted = _wanted(path, runs, chosen)
    if not len(wanted):
        return {}
    last: dict[str, tuple[str, int]] = {}
    for run_id in run_ids(path):
        if run_id in runs or (run_id > runs[0] and not is_dry(path, run_id)):
            for rows in _gathered(_settling(path, run_id)):
                rows = rows.filter(pc.is_in(rows.column("identity"), value_set=wanted))
                numbers = rows.column("record_no").to_pylist()
                for identity, number in zip(rows.column("identity").to_pylist(), numbers, strict=True):
                    last[identity] = max(last.get(identity, ("", 0)), (run_id, number))
    by_run: dict[str, list[int]] = {}
    for run_id, number in last.values():
        by_run.setdefault(run_id, []).append(number)
    return {run_id: pa.array(np.array(numbers, np.int64)) for run_id, numbers in by_run.items()}


def _wanted(path: Path, runs: list[str], chosen: Chosen) -> pa.Array:
    names = list(dict.fromkeys([*_NEEDED, *chosen.columns]))
    found = []
    for run_id in runs:
        links = read_replays(path, run_id)
        for table in run_tables(path, run_id, names):
            found.append(identities(with_origins(chosen.of(table), links)))  # noqa: PERF401  # one statement too long
    chunks = [chunk for column in found for chunk in column.chunks]
    return pa.chunked_array(chunks, pa.string()).unique()


def _settling(path: Path, run_id: str) -> Iterator[pa.Table]:
    links = read_replays(path, run_id)
    for table in run_tables(path, run_id, _NEEDED):
        rows = with_origins(table, links)
        yield pa.table({"identity": identities(rows), "record_no": rows.column("record_no")})


def _gathered(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    gathered: list[pa.Table] = []
    for table in tables:
        gathered.append(table)
        if sum(each.num_rows for each in gathered) >= _ROWS_AT_ONCE:
            yield pa.concat_tables(gathered)
            gathered = []
    if gathered:
        yield pa.concat_tables(gathered)
