"""Starting, and looking people up, where millions were sent before.

Measured through the command alone: a small input over a folder that holds so many sent leads, beside the same over an
empty one. The second start over a folder shows what the first one has put away for it.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.figures import TIMES, Figure, Outcome, Plan, at_most
from benchmarks.inputs import Input, made
from benchmarks.ledgers import copy_ledger, made_ledger
from benchmarks.processes import Cost, Failed, run
from benchmarks.programs import Bench, target_command, write_settings

_SMALL: Final = 1_000
_MANY: Final = 300_000
_ROUNDS: Final = 2
_START_S: Final = 5.0
_LOOK_UP_GROWTH: Final = 1.15
"""What "not noticeably" is taken to mean for the CPU time of a record, start-up left out."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """So many leads, in files of that many."""

    label: str
    lead_count: int
    leads_per_file: int

    def folder(self) -> Path:
        """As it is before a run; to be copied."""
        return made_ledger(self.lead_count, self.leads_per_file)


EMPTY: Final = Ledger("an empty ledger", 0, 10_000)
MILLION: Final = Ledger("1 M leads in 100 files", 1_000_000, 10_000)
SMALL_FILES: Final = Ledger("1 M leads in 10,000 files", 1_000_000, 100)
TEN_MILLION: Final = Ledger("10 M leads in 1,000 files", 10_000_000, 10_000)


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians: starting for the first and for the second time, and a run with many records."""

    first: Cost
    second: Cost
    many: Cost


def measure(bench: Bench, plan: Plan) -> Outcome:
    """Each ledger in turns; the rows of the input are in none of them."""
    ledgers = (EMPTY, MILLION, SMALL_FILES, TEN_MILLION)
    rounds: dict[Ledger, list[Measured]] = {ledger: [] for ledger in ledgers}
    failures: dict[Ledger, str] = {}
    for _ in range(min(plan.rounds, _ROUNDS)):
        for ledger in ledgers:
            try:
                rounds[ledger].append(_once(bench, ledger))
            except Failed as failure:
                failures[ledger] = str(failure)
    if failures:
        told = [
            Figure(f"ledger: {ledger.label}", f"failed: {text}"[:300], holds=False) for ledger, text in failures.items()
        ]
        return Outcome(told)
    medians = {ledger: _median(taken) for ledger, taken in rounds.items()}
    figures = [figure for ledger in ledgers[1:] for figure in _figures(ledger, medians[ledger], medians[EMPTY])]
    raw = {ledger.label: [_raw(each) for each in taken] for ledger, taken in rounds.items()}
    return Outcome(figures, raw)


def _once(bench: Bench, ledger: Ledger) -> Measured:
    small, many = made("contacts", _SMALL), made("contacts", _MANY)
    with bench.folder() as folder:
        copy_ledger(ledger.folder(), folder / "results")
        first = _run(bench, folder, small, small.lead_count)
        second = _run(bench, folder, small, 0)  # everybody was sent by the first
    with bench.folder() as folder:
        copy_ledger(ledger.folder(), folder / "results")
        return Measured(first, second, _run(bench, folder, many, many.lead_count))


def _run(bench: Bench, folder: Path, given: Input, lead_count: int) -> Cost:
    bench.sink.reset()
    settings = write_settings(bench, folder)
    cost = run(target_command("--config", settings), stdin=given.path, log=folder / "log", cwd=bench.tree)
    bench.sink.arrived().check(lead_count, "ledger")
    return cost


def _figures(ledger: Ledger, full: Measured, empty: Measured) -> list[Figure]:
    first_s, second_s = full.first.wall_s - empty.first.wall_s, full.second.wall_s - empty.second.wall_s
    name = f"start with {ledger.label}, beyond an empty one"
    told = f", second start {second_s:.1f} s, peak {full.first.peak_mb:.0f} MB"
    if ledger is not TEN_MILLION:
        return [Figure(name, f"{first_s:.1f} s{told}"), _growth(ledger, full, empty)]
    return [at_most(name, first_s, _START_S, "{:.1f} s", told), _growth(ledger, full, empty)]


def _growth(ledger: Ledger, full: Measured, empty: Measured) -> Figure:
    full_us, empty_us = _record_us(full), _record_us(empty)
    name = f"CPU a record beyond start-up, {ledger.label} / empty"
    return at_most(
        name, full_us / empty_us, _LOOK_UP_GROWTH, f"{{:.2f}} {TIMES}", f": {full_us:.2f} µs against {empty_us:.2f} µs"
    )


def _record_us(measured: Measured) -> float:
    return (measured.many.cpu_s - measured.first.cpu_s) / (_MANY - _SMALL) * 1e6


def _median(taken: list[Measured]) -> Measured:
    def middle(costs: list[Cost]) -> Cost:
        return Cost(
            statistics.median(cost.cpu_s for cost in costs),
            statistics.median(cost.wall_s for cost in costs),
            statistics.median(cost.peak_mb for cost in costs),
        )

    return Measured(
        middle([each.first for each in taken]),
        middle([each.second for each in taken]),
        middle([each.many for each in taken]),
    )


def _raw(measured: Measured) -> dict[str, dict[str, float]]:
    costs = {"first": measured.first, "second": measured.second, "many": measured.many}
    return {
        name: {"cpu_s": round(c.cpu_s, 3), "wall_s": round(c.wall_s, 3), "peak_mb": round(c.peak_mb, 1)}
        for name, c in costs.items()
    }
