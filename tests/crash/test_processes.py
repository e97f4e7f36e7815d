"""The command itself, killed, stopped and started twice, against a sandbox over a socket."""

from __future__ import annotations

import itertools
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from target_amplemarket.sandbox import RunningSandbox
from tests.crash.effects import Plan
from tests.crash.proof import IS_ALL, MOST_RERUNS, ROOT, SEED, Tally, Worker, World, faults_in, large_world, states_in
from tests.sides import SIDES, Side, shared

PROGRAM = [sys.executable, "-m", "target_amplemarket"]
SHARDS = 5
KILLS = 500 if IS_ALL else 15
STOPS = 200 if IS_ALL else 5
STARTS = 50
PATIENCE_S = 60.0
LONGEST_S = 1.5
"""A signal comes at most so long after the folder is locked; most runs have ended by then."""
TURN = list(SIDES) if IS_ALL else [SIDES[SEED % len(SIDES)]]
"""What is the same for every service is tried over one of them, another one each time."""


class Command:
    """The command over one results folder."""

    def __init__(self, sandbox: RunningSandbox, settings: dict[str, Any], folder: Path, world: World) -> None:
        folder.mkdir()
        self.sandbox, self.world, self.folder = sandbox, world, folder
        self.path = folder / "results"
        self.settings = settings | {"results_path": str(self.path), "batch_size_rows": 10, "max_in_flight": 4}
        config = folder / "settings.json"
        config.write_text(json.dumps(self.settings), encoding="utf-8")
        self.arguments = [*PROGRAM, "--config", str(config)]
        self.states: list[int] = []

    def run(self, number: int, after_s: float, *, again: bool = False) -> int:
        """Run; a signal comes so long after the run has begun."""
        given = self.folder / "input"
        given.write_text(self.world.lines(), encoding="utf-8")
        with given.open("rb") as source, (self.folder / "output").open("wb") as output, self._log() as log:
            process = subprocess.Popen(self.arguments, stdin=source, stdout=output, stderr=log, cwd=ROOT)
            wait_for(lambda: (self.path / "lock").exists() or process.poll() is not None)
            time.sleep(after_s)
            for _ in range(1 + again):
                process.send_signal(number)
            code = process.wait(PATIENCE_S)
        self.states += states_in((self.folder / "output").read_bytes())
        return code

    def _log(self) -> IO[bytes]:
        return (self.folder / "log").open("ab")

    def said(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def heal(self, worker: Worker) -> list[str]:
        """Rerun from the last STATE until 0, in processes that start faster; returns everything that is wrong then."""
        codes = []
        for _ in range(MOST_RERUNS):
            ended = worker.run(self.settings, self.world.lines(max(self.states, default=0)), Plan())
            self.states += ended.states
            codes.append(ended.code)
            if ended.code == 0:
                break
        faults = [] if codes[-1] == 0 else [f"not healed: {codes}: {ended.error}"]
        return faults + faults_in(self.world, self.path, self.sandbox, self.states)


Make = Callable[[int, int], Command]
"""A command over so many records, drawn from a seed."""


def wait_for(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.005)
    assert condition()


def try_signals(make: Make, worker: Worker, expected: dict[int, set[int]], chance: random.Random, trials: int) -> Tally:
    tally = Tally()
    for _ in range(trials):
        command = make(150, chance.randrange(10**6))
        number, after_s = chance.choice(list(expected)), chance.uniform(0, LONGEST_S)
        again = number != signal.SIGKILL and chance.random() < 0.2
        code = command.run(number, after_s, again=again)
        tally.counts[f"exit {code}"] += 1
        tally.counts["with lists under way"] += bool(list(command.path.glob("outbox/*.arrow")))
        assert code in expected[number], (number, code, command.said())
        assert command.heal(worker) == [], f"seed {SEED}: signal {number} after {after_s:.3f} s"
    return tally


@pytest.fixture
def make(sandbox: RunningSandbox, settings: dict[str, Any], tmp_path: Path, side: Side) -> Make:
    numbers = itertools.count()

    def command(record_count: int, seed: int) -> Command:
        sandbox.reset()
        return Command(sandbox, settings, tmp_path / str(next(numbers)), large_world(record_count, seed, side))

    sandbox.set(latency_ms=20, latency_jitter_ms=20)
    return command


@pytest.mark.step("D2", "D8", "R2", "R3")
@pytest.mark.parametrize(("side", "shard"), shared(SHARDS, SEED, is_all=IS_ALL), indirect=["side"], ids=str)
def test_the_command_may_be_killed_at_any_moment(make: Make, worker: Worker, shard: int) -> None:
    expected = {int(signal.SIGKILL): {0, -signal.SIGKILL}}
    try_signals(make, worker, expected, random.Random(f"{SEED}:kill:{shard}"), KILLS // SHARDS).show()


@pytest.mark.step("D8")
@pytest.mark.parametrize(("side", "shard"), shared(SHARDS, SEED, is_all=IS_ALL), indirect=["side"], ids=str)
def test_the_command_may_be_stopped_at_any_moment(make: Make, worker: Worker, shard: int) -> None:
    """Until the run has taken the signals over they end the process as they do any program; for 4 see below."""
    expected = {
        int(signal.SIGTERM): {0, 128 + signal.SIGTERM, -signal.SIGTERM},
        int(signal.SIGINT): {0, 1, 128 + signal.SIGINT, -signal.SIGINT},
    }
    try_signals(make, worker, expected, random.Random(f"{SEED}:stop:{shard}"), STOPS // SHARDS).show()


@pytest.mark.parametrize("side", TURN, indirect=True, ids=str)
def test_of_many_runs_at_once_on_one_folder_one_works(make: Make) -> None:
    command = make(60, SEED)
    pipe = subprocess.PIPE
    runs = [
        subprocess.Popen(command.arguments, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, cwd=ROOT)
        for _ in range(STARTS)
    ]
    wait_for(lambda: sum(run.poll() is None for run in runs) <= 1)
    winners = [run for run in runs if run.poll() is None]
    losers = [run for run in runs if run not in winners]
    assert [run.returncode for run in losers] == [6] * (STARTS - 1)
    assert [run.communicate()[0] for run in losers] == [b""] * (STARTS - 1)
    output, _ = winners[0].communicate(command.world.lines().encode(), timeout=PATIENCE_S)
    assert winners[0].returncode == 0
    assert faults_in(command.world, command.path, command.sandbox, states_in(output)) == []
    assert len(list((command.path / "runs").iterdir())) == 1


@pytest.mark.parametrize("side", TURN, indirect=True, ids=str)
def test_a_run_that_was_suspended_still_holds_its_folder(make: Make) -> None:
    command = make(100, SEED)
    given = command.world.lines().encode()
    pipe = subprocess.PIPE
    with subprocess.Popen(command.arguments, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, cwd=ROOT) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        wait_for(lambda: bool(list(command.path.glob("runs/*.json"))))
        run.stdin.write(given)
        run.stdin.flush()
        time.sleep(random.Random(SEED).uniform(0, 0.3))
        run.send_signal(signal.SIGSTOP)
        refused = subprocess.run(command.arguments, input=given, capture_output=True, cwd=ROOT, timeout=PATIENCE_S)
        run.send_signal(signal.SIGCONT)
        run.stdin.close()
        output = run.stdout.read()
        assert run.wait(PATIENCE_S) == 0
    assert refused.returncode == 6
    assert faults_in(command.world, command.path, command.sandbox, states_in(output)) == []


@pytest.mark.parametrize("side", TURN, indirect=True, ids=str)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_account_is_asked_ends_as_a_signal(make: Make, sandbox: RunningSandbox, number: int) -> None:
    command = make(20, SEED)
    sandbox.set(latency_ms=1500, latency_jitter_ms=0)
    with subprocess.Popen(
        command.arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as run:
        assert run.stdin is not None
        run.stdin.write(command.world.lines().encode())
        run.stdin.flush()
        wait_for(lambda: bool(sandbox.requests()))
        run.send_signal(number)
        assert run.wait(PATIENCE_S) == 128 + number
