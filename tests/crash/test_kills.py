"""kill -9, and a power cut, at every effect of a run; then a healthy server until a run ends with 0."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox
from tests.crash.effects import KILLED, Plan
from tests.crash.proof import IS_ALL, MOST_RERUNS, SEED, Ended, Tally, Worker, World, faults_in, small_world
from tests.sides import Side, shared

HOW = ("before", "after", "torn", "power")
SHARDS = 4
EVERY = 1 if IS_ALL else 32
"""Of the kills that are possible, `make test` tries this share, another one each time."""


class Trial:
    """One results folder and one account, from the first run to the last."""

    def __init__(self, worker: Worker, sandbox: RunningSandbox, settings: dict[str, Any], world: World) -> None:
        self.worker, self.sandbox, self.settings, self.world = worker, sandbox, settings, world
        self.path = Path(settings["results_path"])
        self.states: list[int] = []
        self.violations: list[str] = []
        shutil.rmtree(self.path, ignore_errors=True)
        sandbox.set(faults=[])
        sandbox.reset()

    def run(self, plan: Plan, *, replays: bool = False, planted: str | None = None) -> Ended:
        """Run from the last STATE on, or over everything again."""
        after = 0 if replays else max(self.states, default=0)
        ended = self.worker.run(self.settings, self.world.lines(after), plan, planted)
        self.states += ended.states
        self.violations += ended.violations
        return ended

    def heal(self, *, replays: bool, planted: str | None = None) -> list[str]:
        """Rerun until 0; returns everything that is wrong then."""
        self.sandbox.set(faults=[])
        codes = []
        for _ in range(MOST_RERUNS):
            ended = self.run(Plan(), replays=replays, planted=planted)
            codes.append(ended.code)
            if codes[-1] == 0:
                break
        faults = [] if codes[-1] == 0 else [f"not healed: {codes}: {ended.error}"]
        found = faults_in(self.world, self.path, self.sandbox, self.states)
        return faults + self.violations + found


@pytest.fixture
def trial(worker: Worker, sandbox: RunningSandbox, settings: dict[str, Any], side: Side) -> Callable[[], Trial]:
    return lambda: Trial(worker, sandbox, settings, small_world(side))


def effect_count(trial: Trial) -> int:
    ended = trial.run(Plan())
    assert ended.code == 0, ended
    assert trial.violations + faults_in(trial.world, trial.path, trial.sandbox, trial.states) == []
    return len(ended.labels)


def kills(count: int, shard: int) -> list[tuple[int, str]]:
    everything = [(at, how) for at in range(1, count + 12) for how in HOW]  # some more: a run may have further effects
    return everything[(SEED % EVERY) * SHARDS + shard :: EVERY * SHARDS]


@pytest.mark.step("D1", "D2", "D3", "D6", "D7", "D8", "R1", "R2", "R3", "R4")
@pytest.mark.parametrize("replays", [False, True], ids=["from the last STATE", "from the start"])
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_kill_at_any_effect_loses_and_doubles_nobody(trial: Callable[[], Trial], shard: int, replays: bool) -> None:
    count = effect_count(trial())
    tally = Tally()
    for at, how in kills(count, shard):
        tried = trial()
        ended = tried.run(Plan(at, how))
        tally.counts["kills" if ended.code == KILLED else "runs to the end"] += 1
        assert ended.code in {0, KILLED}, (at, how, ended)
        assert tried.heal(replays=replays) == [], f"seed {SEED}: effect {at} ({ended.labels[-1]}), {how}"
    tally.counts["effects in a run"] = count
    tally.show()


@pytest.mark.step("R1", "R2", "R3", "R4")
@pytest.mark.parametrize(("side", "shard"), shared(SHARDS, SEED, is_all=IS_ALL), indirect=["side"], ids=str)
def test_kills_of_the_healing_runs_lose_and_double_nobody(trial: Callable[[], Trial], shard: int) -> None:
    """Up to three kills one after another, the later ones most often in the recovery of the earlier."""
    chance = random.Random(f"{SEED}:{shard}")
    count = effect_count(trial())
    tally = Tally()
    for _ in range(150 if IS_ALL else 3):
        tried = trial()
        plans = [Plan(chance.randint(1, count), chance.choice(HOW))]
        plans += [Plan(chance.randint(1, 40), chance.choice(HOW)) for _ in range(chance.randint(1, 2))]
        for plan in plans:
            replays = chance.random() < 0.5
            tally.counts["kills"] += tried.run(plan, replays=replays).code == KILLED
        assert tried.heal(replays=chance.random() < 0.5) == [], f"seed {SEED}: {plans}"
    tally.show()


@pytest.mark.step("D5", "R3", "R4")
@pytest.mark.parametrize(("side", "shard"), shared(SHARDS, SEED, is_all=IS_ALL), indirect=["side"], ids=str)
def test_kills_while_answers_are_withheld_lose_and_double_nobody(trial: Callable[[], Trial], shard: int) -> None:
    """The server fails now and then, committed or not, the process is killed anywhere."""
    chance = random.Random(f"{SEED}:{shard}")
    count = effect_count(trial())
    tally = Tally()
    for _ in range(150 if IS_ALL else 3):
        tried = trial()
        kind = chance.choice(["server_error", "server_error_after_commit", "reset_after_commit", "close_after_commit"])
        fault = {"kind": kind, "endpoint": tried.world.side.any_write, "probability": chance.choice([0.3, 0.7])}
        tried.sandbox.set(faults=[fault], seed=chance.randrange(10**6))
        plan = Plan(chance.randint(1, count), chance.choice(HOW))
        tally.counts["kills"] += tried.run(plan).code == KILLED
        assert tried.heal(replays=chance.random() < 0.5) == [], f"seed {SEED}: {plan}, {fault}"
    tally.show()


@pytest.mark.step("R3")
@pytest.mark.parametrize("number", range(2, 6) if IS_ALL else [2 + SEED % 4])
def test_what_arrives_after_the_kill_and_within_the_settling_time_is_found(
    trial: Callable[[], Trial], settings: dict[str, Any], number: int
) -> None:
    """The process dies in the middle of a call; the server commits while the next run settles.

    The first call that brings leads is refused for one of them.
    """
    settings["settle_seconds"] = 2
    tried = trial()
    number += len(tried.world.side.writes) - 1
    late = {
        "kind": "late_commit",
        "endpoint": tried.world.side.any_write,
        "seconds": 1.5,
        "skip": number - 1,
        "times": 1,
    }
    tried.sandbox.set(faults=[late])
    assert tried.run(Plan(number, "after", only="send")).code == KILLED
    assert tried.heal(replays=False) == []
    assert [seen.is_committed for seen in tried.sandbox.requests() if seen.fault == "late_commit"] == [True]
