"""What a report tells: the books of a run from its summary, and its rows over time from its result files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.errors import StorageError
from target_amplemarket.results.reader import LAST, run_ids, run_tables
from target_amplemarket.results.summary import read_summary

STATUSES: Final = ("accepted", "planned", "duplicate", "excluded", "rejected", "held")
MOST_MOMENTS: Final = 24
_SECOND: Final = 1_000_000  # of `recorded_at`


class ReportedList(msgspec.Struct, frozen=True):
    """A list as the summary tells it; its owner stays out of the report."""

    name: str
    stream: str
    list_type: str
    lead_count: int
    status: str
    list_id: str | None = None
    url: str | None = None


class ReportedStream(msgspec.Struct, frozen=True):
    """A stream as the summary tells it."""

    records: int
    statuses: dict[str, int]
    mapping: str | None = None


class ReportedRun(msgspec.Struct, frozen=True):
    """A run as its summary file tells it; members that older versions did not write have defaults.

    Attributes:
        exit_code: None for a run that is under way or was killed.
        ceilings: Setting → its value, as far as the summary has them.
    """

    run_id: str
    version: str
    service: str
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    end: str
    records: int
    rows: int
    left: int
    states_emitted: int
    requests: dict[str, int]
    statuses: dict[str, int]
    reasons: dict[str, dict[str, int]]
    streams: dict[str, ReportedStream]
    lists: list[ReportedList]
    dry_run: bool = False
    worst_credits: dict[str, float] = {}
    quote: str = ""
    ceilings: dict[str, float | None] = {}

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it is not known."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows recorded by each moment.

    Attributes:
        moments_s: Seconds since the run began, rising.
        recorded: Status → rows recorded by each moment, all before it included.
    """

    moments_s: list[float]
    recorded: dict[str, list[int]]

    @property
    def row_count(self) -> int:
        """Rows in the result files."""
        return sum(counts[-1] for counts in self.recorded.values())


def find_run(folder: Path, run: str) -> ReportedRun:
    """The summary of one run.

    Args:
        folder: The results folder.
        run: A run id, or `last`.

    Raises:
        StorageError: There is no such run, or its summary is damaged.
    """
    files = {file.stem: file for file in sorted((folder / "runs").glob("*.json"))}
    wanted = max(files, default=run) if run == LAST else run
    if wanted not in files:
        raise StorageError(f"there is no run {run} in {folder}; `status` shows those there are")
    return read_summary(files[wanted], ReportedRun)


def timeline(folder: Path, run: ReportedRun) -> Timeline:
    """Rows over time, read from the result files column-wise, one file at a time.

    Raises:
        StorageError: A result file cannot be read.
    """
    has_rows = run.run_id in run_ids(folder)
    tables = run_tables(folder, run.run_id, ["status", "recorded_at"]) if has_rows else ()
    return _timeline(_counted(tables), run.started_at.timestamp())


def _counted(tables: Iterable[pa.Table]) -> Counter[tuple[int, str]]:
    counts: Counter[tuple[int, str]] = Counter()
    for rows in tables:
        statuses = rows.column("status").cast(pa.string())
        seconds = pc.divide(rows.column("recorded_at").cast(pa.int64()), _SECOND)
        for status in statuses.unique().to_pylist():
            for entry in seconds.filter(pc.equal(statuses, status)).value_counts().to_pylist():
                counts[entry["values"], status] += entry["counts"]
    return counts


def _timeline(counts: Counter[tuple[int, str]], started_s: float) -> Timeline:
    if not counts:
        return Timeline([], {})
    last_s = max(second for second, _ in counts)
    width_s = max(1.0, (last_s - started_s) / MOST_MOMENTS)
    step_count = min(MOST_MOMENTS, max(1, int((last_s - started_s) / width_s) + 1))
    steps: dict[str, list[int]] = {status: [0] * step_count for _, status in counts}
    for (second, status), count in counts.items():
        at = min(step_count - 1, max(0, int((second - started_s) / width_s)))
        steps[status][at] += count
    moments_s = [0.0, *(width_s * (number + 1) for number in range(step_count))]
    return Timeline(moments_s, {name: [0, *accumulate(steps[name])] for name in in_order(steps)})


def in_order(statuses: Iterable[str]) -> list[str]:
    """Statuses as every chart and table names them: the good ones first, unknown ones last."""
    given = set(statuses)
    return [name for name in STATUSES if name in given] + sorted(given.difference(STATUSES))
