"""Every defect that is planted has to be seen."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import pytest

from tests.crash.effects import Plan
from tests.crash.planted import PLANTED
from tests.crash.proof import IS_ALL, SEED
from tests.crash.test_kills import HOW, Trial, trial

__all__ = ["trial"]

MOST_TRIALS = 150
AFTER_COMMIT = {"kind": "server_error_after_commit", "endpoint": "POST /lead-lists", "skip": 1, "times": 2}
"""The first list is refused for one of its leads; what is left of it is created, and so is what follows."""
NAMES = sorted(PLANTED)
CHOSEN = NAMES if IS_ALL else [NAMES[(SEED + step) % len(NAMES)] for step in (0, 6)]


@pytest.mark.says_planted_values
@pytest.mark.parametrize("planted", CHOSEN)
def test_a_planted_defect_is_seen(trial: Callable[[], Trial], planted: str) -> None:
    chance = random.Random(SEED)
    for number in range(1, MOST_TRIALS + 1):
        tried = trial()
        if "unknown" in planted or "unasked" in planted:
            tried.sandbox.set(faults=[AFTER_COMMIT])
        ended = tried.run(Plan(chance.randint(5, 140), chance.choice(HOW)), planted=planted)
        if "removes" in planted:
            tried.run(Plan(chance.randint(1, 20), chance.choice(HOW)), planted=planted)
        faults = tried.heal(replays=number % 2 == 0, planted=planted)
        if faults:
            sys.stdout.write(f"{planted}: seen at trial {number}: {faults[0]} (first run ended with {ended.code})\n")
            return
    pytest.fail(f"{planted}: not seen in {MOST_TRIALS} trials")
