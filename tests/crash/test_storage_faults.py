"""The disk fails at any call of the storage: nothing is sent that is not in the outbox, and a later run makes good."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.effects import STORAGE, Plan
from tests.crash.proof import IS_ALL, SEED, Tally
from tests.crash.test_kills import Trial, effect_count, trial
from tests.sides import shared

__all__ = ["trial"]

SHARDS = 4
EVERY = 1 if IS_ALL else 32
FAULTS = [
    ("error", "EIO", False),
    ("error", "EIO", True),
    ("error", "ENOSPC", False),
    ("error", "ENOSPC", True),
    ("short", "", False),
]


@pytest.mark.step("D2", "D6", "D7", "D8")
@pytest.mark.parametrize(("side", "shard"), shared(SHARDS, SEED, is_all=IS_ALL), indirect=["side"], ids=str)
def test_a_storage_fault_at_any_call_loses_and_doubles_nobody(trial: Callable[[], Trial], shard: int) -> None:
    count = effect_count(trial())
    everything = [(at, fault) for at in range(1, count + 5) for fault in FAULTS]
    tally = Tally()
    for at, (how, error, is_lasting) in everything[(SEED % EVERY) * SHARDS + shard :: EVERY * SHARDS]:
        tried = trial()
        ended = tried.run(Plan(at, how, error, is_lasting))
        tally.counts[f"exit {ended.code}"] += 1
        what = f"seed {SEED}: call {at}, {error or 'short write'}{', lasting' if is_lasting else ''}"
        assert ended.code in ({0} if how == "short" else {0, 8}), (what, ended)
        assert tried.heal(replays=at % 2 == 0) == [], what
    tally.show()


@pytest.mark.step("D6")
def test_a_folder_that_cannot_be_synced_once_does_not_make_a_second_row(trial: Callable[[], Trial]) -> None:
    """Rows that go with no list: renamed into place, then fsync of the folder fails, then they are flushed again."""
    labels = trial().run(Plan()).labels
    storage = [label for label in labels if label.split()[0] in STORAGE]
    faults = []
    for call in [number for number, label in enumerate(storage, start=1) if label == "fsync results/*"]:
        tried = trial()
        tried.run(Plan(call, "error"))
        faults += tried.heal(replays=False)
    assert faults == []
