"""Runs targets for a stated time, each in a process of its own, since what is fuzzed may take its process along."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import secrets
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import Target

EXAMPLES_A_ROUND: Final = 400
LONGEST_S: Final = 5
"""Processor time that one input may take; the largest inputs are a few kilobytes."""
MEMORY_BYTES: Final = 6 * 1024**3


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What became of one target.

    Attributes:
        executions: Inputs that were tried.
        failure: What broke, or None.
        example: The smallest input that was found to break it, as Python reads it.
        seed: Makes the same round again.
    """

    name: str
    executions: int
    duration_s: float
    failure: str | None = None
    example: str | None = None
    seed: int | None = None


class TooSlow(Exception):
    """One input took longer than it may."""


def fuzz(target: Target, seconds: float, *, first_seed: int | None = None) -> Fuzzed:
    """Try inputs until the time is over or one of them breaks the target; in a process of its own."""
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        report, last = Path(folder) / "report.json", Path(folder) / "last"
        child = multiprocessing.get_context("fork").Process(
            target=_child, args=(target, seconds, first_seed, report, last)
        )
        child.start()
        child.join(seconds + 120)
        if child.is_alive():
            child.kill()
            child.join()
        spent_s = time.monotonic() - started_s
        if report.exists():
            return Fuzzed(target.name, duration_s=spent_s, **json.loads(report.read_text(encoding="utf-8")))
        example = last.read_text(encoding="utf-8") if last.exists() else None
        return Fuzzed(target.name, 0, spent_s, f"the process ended with {child.exitcode}", example)


def _child(target: Target, seconds: float, first_seed: int | None, report: Path, last: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGVTALRM, _stop_it)
    count, latest, end_s = 0, [""], time.monotonic() + seconds
    descriptor = os.open(last, os.O_RDWR | os.O_CREAT, 0o600)

    def check(example: Any) -> None:
        nonlocal count
        count += 1
        latest[0] = repr(example)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, latest[0].encode("utf-8", "backslashreplace"), 0)  # in case nothing else can say it
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
        try:
            target.check(example)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    found: dict[str, Any] = {}
    number = secrets.randbits(32) if first_seed is None else first_seed
    while time.monotonic() < end_s:
        try:
            round_of(target, check, number)()
        except Exception as error:  # whatever it is, it is what was looked for
            error.__notes__ = []  # Hypothesis repeats the example there
            found = {"failure": traceback.format_exc(limit=-4), "example": latest[0], "seed": number}
            break
        number += 1
    report.write_text(json.dumps({"executions": count, **found}), encoding="utf-8")


def round_of(target: Target, check: Callable[[Any], None], number: int) -> Callable[[], None]:
    """A few hundred inputs from one seed; the last one that is tried of a failure is the smallest."""
    chosen = settings(
        max_examples=EXAMPLES_A_ROUND,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    run: Callable[[], None] = chosen(seed(number)(given(target.given)(check)))
    return run


def _stop_it(number: int, frame: FrameType | None) -> None:
    raise TooSlow
