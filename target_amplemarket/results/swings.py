"""Row counts against those of earlier runs: a stream that is suddenly far larger or smaller is seldom meant."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from target_amplemarket.errors import GuardStop
from target_amplemarket.results.replays import is_replay
from target_amplemarket.results.summary import read_summary
from target_amplemarket.singer.messages import printable

RUNS_COMPARED: Final = 10
"""Earlier runs that make the median."""
FEWEST_RUNS: Final = 3
"""Fewer make none."""
WARNED_PERCENT: Final = 50
WARNED_RECORDS: Final = 20
"""A difference of fewer records is no warning, whatever its share."""
MOST_HELD_BACK: Final = 100_000
"""So many leads wait in memory for the least count of a stream; then sending begins."""
_FILES_READ: Final = 50
WHOLE: Final = (0, 7)
"""Exit codes of runs whose input ended."""


class _Stream(msgspec.Struct):
    records: int = 0


class _Run(msgspec.Struct):
    exit_code: int | None = None
    streams: dict[str, _Stream] = {}


@dataclass(frozen=True, slots=True)
class Swing:
    """A stream whose count is far from the median.

    Attributes:
        median: Of the last runs that read their input to its end, those without the stream as 0.
    """

    stream: str
    records: int
    median: float

    @property
    def percent(self) -> float:
        """How far it is off: below 0 where there are fewer."""
        return (self.records - self.median) * 100 / self.median

    def __str__(self) -> str:
        side = "more" if self.records > self.median else "fewer"
        return (
            f"stream `{printable(self.stream)}` has {self.records:,} records, {abs(self.percent):,.0f} % {side} than "
            f"the median of the last runs ({self.median:,.10g})"
        )


def usual_counts(folder: Path, *, before: str | None = None) -> dict[str, float]:
    """Stream → the median of its records over the last runs that read their input to its end; replays do not count.

    Args:
        folder: The results folder.
        before: Only runs before this one.

    Raises:
        StorageError: A summary is damaged.
    """
    files = sorted(file for file in (folder / "runs").glob("*.json") if before is None or file.stem < before)
    runs = []
    for file in files[: -_FILES_READ - 1 : -1]:
        run = read_summary(file, _Run)
        if run.exit_code in WHOLE and run.streams and not is_replay(folder, file.stem):
            runs.append(run)
        if len(runs) == RUNS_COMPARED:
            break
    if len(runs) < FEWEST_RUNS:
        return {}
    names = {name for run in runs for name in run.streams}
    counts = {name: median(run.streams.get(name, _Stream()).records for run in runs) for name in names}
    return {name: count for name, count in counts.items() if count}


def swings(usual: Mapping[str, float], records: Mapping[str, int]) -> list[Swing]:
    """Streams that are worth a warning, the farthest off first."""
    found = [Swing(name, records.get(name, 0), count) for name, count in usual.items()]
    told = [s for s in found if abs(s.percent) > WARNED_PERCENT and abs(s.records - s.median) >= WARNED_RECORDS]
    return sorted(told, key=lambda swing: -abs(swing.percent))


@dataclass(slots=True)
class SwingGuard:
    """Stops a run whose streams are farther from their usual counts than `max_swing_percent`.

    A stream that grew is known when it passes the mark. One that shrank is known only at the end of the input, so lists
    wait until every usual stream has reached its least count, the input ends, or too many leads wait.

    Attributes:
        max_percent: None is no mark.
        usual: Stream → its usual count.
    """

    max_percent: int | None = None
    usual: Mapping[str, float] = field(default_factory=dict)
    _has_ended: bool = False
    _is_whole: bool = False

    def end(self, *, is_cut_short: bool) -> None:
        """No further record comes; what a signal, a ceiling or a fault cut short cannot be too small."""
        self._has_ended, self._is_whole = True, not is_cut_short

    def is_decided(self, records: Mapping[str, int], held_back_count: int) -> bool:
        """Whether lists may leave: no stream can turn out too small any more."""
        return self._has_ended or held_back_count > MOST_HELD_BACK or not any(self._small(records))

    def is_past(self, records: Mapping[str, int]) -> bool:
        """Whether a stream is known to be too far off."""
        return any(self._past(records))

    def check(self, records: Mapping[str, int]) -> None:
        """Say no once a stream is too far off.

        Raises:
            GuardStop: With the streams and their counts.
        """
        if past := list(self._past(records)):
            raise GuardStop(
                f"{'; '.join(map(str, past))}: past `max_swing_percent` {self.max_percent}, nothing more is sent and "
                "no further STATE leaves. Look at the source and the tap's selection; if it is meant, raise the mark "
                "for one run"
            )

    def _past(self, records: Mapping[str, int]) -> Iterator[Swing]:
        yield from (swing for swing in self._swings(records) if swing.percent > self._most)
        if self._is_whole:
            yield from self._small(records)

    def _small(self, records: Mapping[str, int]) -> Iterator[Swing]:
        return (swing for swing in self._swings(records) if -swing.percent > self._most)

    @property
    def _most(self) -> float:
        return math.inf if self.max_percent is None else self.max_percent

    def _swings(self, records: Mapping[str, int]) -> Iterator[Swing]:
        return (Swing(name, records.get(name, 0), usual) for name, usual in self.usual.items())
