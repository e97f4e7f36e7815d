"""Every defect that is planted has to be seen."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import pytest

from tests.crash.effects import Plan
from tests.crash.planted import ADDING, PLANTED
from tests.crash.proof import IS_ALL, SEED
from tests.crash.test_kills import HOW, Trial, trial
from tests.sides import LANCE, SIDES, Side

__all__ = ["trial"]

MOST_TRIALS = 150
AFTER_COMMIT = {"kind": "server_error_after_commit", "skip": 2, "times": 2}
"""The first call is refused for one of its leads, and Lance knows whom the second brings by their id."""
IN_PART = {"kind": "commit_in_part", "skip": 3, "times": 2}
EVERYWHERE = [(side, name) for side in SIDES for name in sorted(PLANTED)]
SEVERAL_CALLS = [(LANCE, name) for name in sorted(ADDING)]


def chosen() -> list[tuple[Side, str]]:
    """All of them, or some, others each time."""
    if IS_ALL:
        return EVERYWHERE + SEVERAL_CALLS
    picked = [EVERYWHERE[(SEED + step) % len(EVERYWHERE)] for step in (0, len(PLANTED) // 2 + len(PLANTED))]
    return [*picked, SEVERAL_CALLS[SEED % len(SEVERAL_CALLS)]]


@pytest.mark.says_planted_values
@pytest.mark.parametrize(("side", "planted"), chosen(), indirect=["side"], ids=str)
def test_a_planted_defect_is_seen(trial: Callable[[], Trial], planted: str) -> None:
    chance = random.Random(SEED)
    for number in range(1, MOST_TRIALS + 1):
        tried = trial()
        if "unknown" in planted or "unasked" in planted:
            tried.sandbox.set(faults=[AFTER_COMMIT | {"endpoint": tried.world.side.writes[-1]}])
        if "again" in planted:
            tried.sandbox.set(faults=[IN_PART])
        ended = tried.run(Plan(chance.randint(5, 140), chance.choice(HOW)), planted=planted)
        if "removes" in planted:
            tried.run(Plan(chance.randint(1, 20), chance.choice(HOW)), planted=planted)
        faults = tried.heal(replays=number % 2 == 0, planted=planted)
        if faults:
            sys.stdout.write(f"{planted}: seen at trial {number}: {faults[0]} (first run ended with {ended.code})\n")
            return
    pytest.fail(f"{planted}: not seen in {MOST_TRIALS} trials")
