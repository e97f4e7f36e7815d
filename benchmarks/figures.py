"""Figures: what was measured, beside what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.programs import Bench

TIMES: Final = "\u00d7"
"""The sign of multiplication."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        holds: None where nothing was asked for, or nothing could be measured.
    """

    name: str
    measured: str
    target: str = ""
    holds: bool | None = None

    @property
    def verdict(self) -> str:
        """For people."""
        return {True: "holds", False: "MISSED", None: ""}[self.holds]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case gives: lines of the table, and numbers for the JSON file."""

    figures: list[Figure]
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do.

    Attributes:
        rounds: Repetitions of what is cheap to repeat.
        is_long: The long variant: 10 million records and leads too.
        keeps: Whether this is a whole run, whose plot and numbers are kept.
        programs: Keys of programs that the comparison is restricted to; all where empty.
    """

    rounds: int
    is_long: bool
    keeps: bool
    programs: frozenset[str] = frozenset()


Case = Callable[[Bench, Plan], Outcome]


def at_most(name: str, value: float, limit: float, text: str = "{:.2f}", note: str = "") -> Figure:
    """A figure that may not exceed a limit; both are printed by the same format."""
    return Figure(name, text.format(value) + note, f"≤ {text.format(limit)}", holds=value <= limit)


def at_least(name: str, value: float, limit: float, text: str = "{:.2f}", note: str = "") -> Figure:
    """A figure that may not fall below a limit."""
    return Figure(name, text.format(value) + note, f"≥ {text.format(limit)}", holds=value >= limit)
