"""A kill, a power cut or a failing disk at every storage call of `collect`; then a healthy call."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from target_amplemarket.config import Settings, read_settings
from target_amplemarket.errors import StorageError
from target_amplemarket.results.collect import collect
from target_amplemarket.results.enriched import enriched_files, read_enriched
from target_amplemarket.sandbox import RunningSandbox
from tests.crash.effects import KILLED, Effects, Plan
from tests.harness import contacts, run_singer
from tests.sides import AMPLEMARKET, Side

LIST_COUNT = 2


@pytest.fixture
def side() -> Side:
    """What a list holds is read in one way and written in one way, whichever service it is of."""
    return AMPLEMARKET


class Killed(BaseException):
    """Nothing of the program may catch it."""


class Mortal(Effects):
    """Dies in this process: from then on nothing reaches the disk."""

    is_dead = False

    def die(self, code: int = KILLED) -> NoReturn:
        self.is_dead = True
        raise Killed

    def _maybe_fail(self) -> bool:
        if self.is_dead:
            raise Killed
        return super()._maybe_fail()


@pytest.fixture
def sent(settings: dict[str, Any], sandbox: RunningSandbox) -> Settings:
    """Two lists have been sent and have ended."""
    run_singer(contacts(4), settings | {"batch_size_rows": 2})
    sandbox.advance(60)
    return read_settings(settings)


@pytest.fixture
def attempt(sent: Settings, tmp_path: Path) -> Callable[[Plan], Mortal]:
    def make(plan: Plan) -> Mortal:
        path = Path(sent.results_path)
        shutil.rmtree(path / "enriched", ignore_errors=True)
        effects = Mortal(path, plan, tmp_path / "report", tmp_path / "states")
        try:
            collect(sent, system=effects)
        except (Killed, StorageError) as failure:
            effects.report(type(failure).__name__)
        return effects

    return make


def faults_after_healing(settings: Settings) -> list[str]:
    """What is wrong with what the attempt left, and with what a healthy call makes of it."""
    path = Path(settings.results_path)
    left = {file: read_enriched(file)[0] for file in enriched_files(path)}  # raises where one is not whole
    done = collect(settings)
    faults = [f"{file.name} was there and was collected again" for file in done.written if file in left]
    tables = {file: read_enriched(file)[0] for file in enriched_files(path)}
    faults += [f"{file.name} changed" for file, rows in left.items() if not tables[file].equals(rows)]
    numbers = sorted(number for rows in tables.values() for number in rows.column("record_no").to_pylist())
    faults += [] if numbers == [1, 2, 3, 4] else [f"records {numbers}"]
    faults += [] if len(tables) == LIST_COUNT else [f"{len(tables)} files"]
    return faults + [f"{file.name} is left" for file in path.rglob("*.tmp")]


@pytest.mark.parametrize("how", ["before", "after", "torn", "power", "error", "short"])
def test_a_kill_at_any_storage_call_leaves_whole_lists_and_the_next_call_has_the_rest(
    attempt: Callable[[Plan], Mortal], sent: Settings, how: str
) -> None:
    count = len(attempt(Plan()).labels)
    assert count >= 6 * LIST_COUNT, "each list: open, write, fsync, rename, open and fsync of the folder"
    assert faults_after_healing(sent) == []
    dead = 0
    for at in range(1, count + 1):
        effects = attempt(Plan(at, how))
        dead += effects.is_dead
        assert faults_after_healing(sent) == [], f"call {at} of {count} ({effects.labels[-1]}), {how}"
    assert dead == (count if how in {"before", "after", "torn", "power"} else 0)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_stays_broken_ends_it_with_8_and_loses_nothing(sent: Settings, tmp_path: Path, error: str) -> None:
    path = Path(sent.results_path)
    effects = Mortal(path, Plan(4, "error", error, is_lasting=True), tmp_path / "report", tmp_path / "states")
    with pytest.raises(StorageError) as raised:
        collect(sent, system=effects)
    assert raised.value.exit_code == 8
    assert faults_after_healing(sent) == []
