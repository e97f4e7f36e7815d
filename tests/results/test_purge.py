"""Old rows lose what names somebody, and nobody becomes a stranger by it."""

from __future__ import annotations

import os
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from target_amplemarket import read_results
from target_amplemarket.errors import FolderLocked, SettingsError
from target_amplemarket.results.ledger import known_people
from target_amplemarket.results.purge import cutoff_of, purge_in
from target_amplemarket.storage.durable import Folder
from target_amplemarket.storage.lock import locked
from tests.harness import VirtualClock, contacts, record, run_singer, schema
from tests.results.test_forget import all_text
from tests.test_power_cut import LossySystem, PowerCutError

ALL = os.environ.get("CRASH") == "all"
SEED = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(10**6)))
NOW = datetime(2026, 1, 5, 9, 15, tzinfo=UTC)
PEOPLE = [
    *contacts(4),
    record("contacts", id=5, email="annika@"),
    record("contacts", id=6, email="person1@acme.example"),
]
YOUNG = [schema("contacts", "email"), record("contacts", id=7, email="young@")]


class LaterClock(VirtualClock):
    def now(self) -> datetime:
        return super().now() + timedelta(days=100)


@pytest.fixture
def filled(settings: dict[str, Any]) -> dict[str, Any]:
    settings |= {"results_record": "all"}
    run_singer(PEOPLE, settings, clock=VirtualClock())
    run_singer(YOUNG, settings, clock=LaterClock())
    return settings


def folder_of(settings: dict[str, Any]) -> Path:
    return Path(settings["results_path"])


def test_old_rows_lose_record_and_key_alone_and_young_ones_nothing(filled: dict[str, Any]) -> None:
    path = folder_of(filled)
    (path / "reports").mkdir()
    runs = sorted(set(read_results(path).column("run_id").to_pylist()))
    for run_id in runs:
        (path / "reports" / f"{run_id}.html").write_text("annika")
    before = read_results(path)
    done = purge_in(path, NOW + timedelta(days=1))
    assert (done.rows, done.files, done.removed_files, done.lists_kept) == (6, 2, 1, 0)
    after = read_results(path)
    kept = [name for name in before.column_names if name not in {"record", "record_key"}]
    assert after.select(kept).equals(before.select(kept))
    assert after.column("record_key").to_pylist() == [None] * 6 + ['{"id":7}']
    assert after.column("record").null_count == 6
    assert "annika" not in all_text(path / "results")
    assert [file.stem for file in (path / "reports").iterdir()] == runs[1:]
    again = purge_in(path, NOW + timedelta(days=1))
    assert (again.rows, again.files) == (0, 0)


@pytest.mark.parametrize("load_method", ["upsert", "append-only"])
def test_the_ledger_says_of_everybody_what_it_said_before(filled: dict[str, Any], load_method: str) -> None:
    path, by_version = folder_of(filled), load_method == "append-only"
    leads = read_results(path)
    leads = leads.filter(pc.is_valid(leads.column("version_fingerprint"))).combine_chunks()

    def verdicts() -> list[int | None]:
        return known_people(Folder(path), [], by_version=by_version).screen(leads).to_pylist()

    before = verdicts()
    assert set(before) == {0}
    purge_in(path, NOW + timedelta(days=1))
    assert verdicts() == before
    again = run_singer(PEOPLE[:5], filled | {"load_method": load_method})
    assert again.statuses == ["duplicate"] * 4


def test_a_list_without_an_outcome_keeps_its_leads_and_is_counted(settings: dict[str, Any], sandbox: Any) -> None:
    sandbox.set(faults=["server_error_after_commit:status=502,times=1", "listing_error:status=403"])
    run_singer(contacts(3), settings, clock=VirtualClock())
    sandbox.set(faults=[])
    done = purge_in(folder_of(settings), NOW + timedelta(days=1))
    assert (done.rows, done.lists_kept) == (3, 1)
    ran = run_singer(contacts(3), settings)
    assert ran.statuses == ["duplicate"] * 3
    assert read_results(folder_of(settings)).column("status").to_pylist() == ["accepted"] * 3 + ["duplicate"] * 3


def test_a_power_cut_at_any_storage_call_heals_by_the_same_command(filled: dict[str, Any], tmp_path: Path) -> None:
    origin, system, cutoff = folder_of(filled), LossySystem(0), NOW + timedelta(days=1)
    shutil.copytree(origin, tmp_path / "whole")
    purge_in(tmp_path / "whole", cutoff, system=system)
    for cut_at in range(1, system.calls + 1) if ALL else range(1 + SEED % 2, system.calls + 1, 2):
        name = f"CRASH_SEED={SEED}, cut at call {cut_at} of {system.calls}"
        path, cut = tmp_path / str(cut_at), LossySystem(cut_at)
        shutil.copytree(origin, path)
        with pytest.raises(PowerCutError):
            purge_in(path, cutoff, system=cut)
        cut.lose(random.Random(SEED * 10_000 + cut_at))
        purge_in(path, cutoff)
        assert read_results(path).equals(read_results(tmp_path / "whole")), name


def test_a_folder_that_a_run_holds_is_left_alone(filled: dict[str, Any]) -> None:
    path = folder_of(filled)
    with locked(Folder(path), VirtualClock()), pytest.raises(FolderLocked):
        purge_in(path, NOW)


@pytest.mark.parametrize(("text", "moment"), [
    ("90d", NOW - timedelta(days=90)), ("0d", NOW), ("2025-12-31", datetime(2025, 12, 31, tzinfo=UTC)),
    ("2025-12-31T10:00:00+02:00", datetime(2025, 12, 31, 8, tzinfo=UTC)),
])  # fmt: skip
def test_ages_are_days_or_dates(text: str, moment: datetime) -> None:
    assert cutoff_of(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "90", "3m", "-1d", "2027-01-01", "yesterday", "999999d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--older-than"):
        cutoff_of(text, NOW)
