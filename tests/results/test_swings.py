"""Counts against those of earlier runs: warned of, and stopped where a setting says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from target_amplemarket.errors import GuardStop, InputError, StorageError
from target_amplemarket.results import swings as module
from target_amplemarket.results.history import folder_status
from target_amplemarket.results.replays import REPLAYS, write_replays
from target_amplemarket.results.swings import SwingGuard, swings, usual_counts
from target_amplemarket.results.trend import bars, trend_lines
from target_amplemarket.sandbox import RunningSandbox
from target_amplemarket.storage.durable import Folder
from tests.harness import Ran, contacts, leads_of, record, state

Run = Callable[..., Ran]


def note(folder: Path, number: int, *, exit_code: int | None = 0, **records: int) -> str:
    """Leave the summary of a run."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    run_id = f"2025010{number // 10}T0{number % 10}0000000000Z-aaaaaa"
    streams = {name: {"records": count} for name, count in records.items()}
    summary = {"exit_code": exit_code, "streams": streams}
    (folder / "runs" / f"{run_id}.json").write_bytes(msgspec.json.encode(summary))
    return run_id


def past(folder: Path, *counts: int, stream: str = "contacts") -> None:
    for number, count in enumerate(counts, 1):
        note(folder, number, **{stream: count})


def test_the_usual_count_is_the_median_of_the_last_runs(tmp_path: Path) -> None:
    past(tmp_path, *[5_000] * 5, *[100] * 4, 300, 200, 250, 400, 1_000, 150)
    assert usual_counts(tmp_path) == {"contacts": 175}, "of the last ten"


def test_two_runs_make_no_usual_count(tmp_path: Path) -> None:
    past(tmp_path, 100, 100)
    assert usual_counts(tmp_path) == {}


def test_runs_that_did_not_read_all_and_replays_do_not_count(tmp_path: Path) -> None:
    past(tmp_path, 100, 300, 300)
    for number, code in enumerate((5, 143, 3, None), 4):
        note(tmp_path, number, exit_code=code, contacts=1)
    write_replays(Folder(tmp_path), note(tmp_path, 8, contacts=2), REPLAYS.empty_table())
    assert usual_counts(tmp_path) == {"contacts": 300}
    note(tmp_path, 9, exit_code=7, contacts=200)
    assert usual_counts(tmp_path) == {"contacts": 250}
    assert usual_counts(tmp_path, before="20250100T030000000000Z-aaaaaa") == {}


def test_a_stream_that_came_now_and_then_is_not_usual(tmp_path: Path) -> None:
    past(tmp_path, 100, 100, 100)
    note(tmp_path, 4, contacts=100, once=7)
    assert usual_counts(tmp_path) == {"contacts": 100}


def test_a_damaged_summary_is_said(tmp_path: Path) -> None:
    past(tmp_path, 100)
    (tmp_path / "runs" / "2026.json").write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        usual_counts(tmp_path)


@pytest.mark.parametrize(
    ("usual", "count", "is_told"),
    [
        (100, 150, False),
        (100, 151, True),
        (100, 50, False),
        (100, 49, True),
        (100, 0, True),
        (10, 29, False),
        (10, 30, True),
    ],
)
def test_what_is_worth_a_warning(usual: int, count: int, *, is_told: bool) -> None:
    assert bool(swings({"contacts": usual}, {"contacts": count})) is is_told


def test_a_swing_names_stream_counts_and_share() -> None:
    [shrunk, grown] = swings({"a": 1_000, "b\n": 100}, {"b\n": 180})
    assert str(shrunk) == "stream `a` has 0 records, 100 % fewer than the median of the last runs (1,000)"
    assert str(grown) == "stream `b\\u000a` has 180 records, 80 % more than the median of the last runs (100)"


def test_a_run_warns_and_status_repeats_it(
    run: Run, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(settings["results_path"])
    past(folder, 100, 100, 100)
    for file in (folder / "runs").glob("*.json"):
        file.write_bytes(msgspec.json.encode(SUMMARY | msgspec.json.decode(file.read_bytes()) | {"run_id": file.stem}))
    ran = run(contacts(40))
    assert ran.error is None, "a warning stops nothing"
    assert "stream `contacts` has 40 records, 60 % fewer than the median" in caplog.text
    assert folder_status(folder, most=10).swings == [
        "stream `contacts` has 40 records, 60 % fewer than the median of the last runs (100)"
    ]


SUMMARY = {
    "started_at": "2025-01-01T00:00:00Z", "ended_at": "2025-01-01T00:00:01Z", "end": "done", "records": 100, "left": 0,
    "statuses": {"accepted": 90, "rejected": 10}, "lists": [],
}  # fmt: skip


def test_an_ordinary_run_warns_of_nothing(run: Run, settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    past(Path(settings["results_path"]), 100, 100, 100)
    run(contacts(120))
    assert "median" not in caplog.text


def test_the_guard_sends_nothing_of_a_stream_that_shrank(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    past(Path(settings["results_path"]), 100, 100, 100)
    ran = run([*contacts(60), state({"at": 60})], max_swing_percent=30, batch_size_rows=10)
    assert isinstance(ran.error, GuardStop)
    assert "40 % fewer" in str(ran.error)
    assert sandbox.log() == [], "no list left, although six were full"
    assert ran.states == []
    assert ran.summary.left == 60
    again = run([*contacts(60), state({"at": 60})], max_swing_percent=50, batch_size_rows=10)
    assert (again.error, len(leads_of(sandbox)), again.states) == (None, 60, ['{"at": 60}'])


def test_the_guard_stops_a_stream_that_grew_where_it_passes_the_mark(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    past(Path(settings["results_path"]), 100, 100, 100)
    extra = [record("contacts", id=n, email=f"more{n}@acme.example") for n in range(1_000, 1_400)]
    messages = [*contacts(100), state({"at": 100}), *extra, state({"at": 500})]
    ran = run(messages, max_swing_percent=30, batch_size_rows=10)
    assert isinstance(ran.error, GuardStop)
    assert "more than the median" in str(ran.error)
    assert len(leads_of(sandbox)) <= 130
    assert '{"at": 500}' not in ran.states


def test_a_stream_that_did_not_come_at_all_holds_the_others(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    folder = Path(settings["results_path"])
    for number in (1, 2, 3):
        note(folder, number, contacts=50, deals=50)
    ran = run(contacts(50), max_swing_percent=30, batch_size_rows=10)
    assert isinstance(ran.error, GuardStop)
    assert sandbox.log() == []


def test_a_usual_run_is_sent_whole(run: Run, settings: dict[str, Any], sandbox: RunningSandbox) -> None:
    past(Path(settings["results_path"]), 100, 100, 100)
    ran = run([*contacts(110), state({"at": 1})], max_swing_percent=20, batch_size_rows=10)
    assert (ran.error, len(leads_of(sandbox)), ran.states) == (None, 110, ['{"at": 1}'])


def test_a_run_cut_short_on_purpose_is_not_too_small(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    past(Path(settings["results_path"]), 100, 100, 100)
    ran = run(contacts(100), max_swing_percent=20, max_records_per_run=10)
    assert "max_records_per_run" in str(ran.error)
    assert len(leads_of(sandbox)) == 10
    broken = [*contacts(30, first=201), {"type": "RECORD", "stream": "nowhere", "record": {}}]
    assert isinstance(run(broken, max_swing_percent=20).error, InputError)
    assert len(leads_of(sandbox)) == 40, "what came before the fault is settled"


def test_without_three_runs_the_guard_lets_everything_pass(run: Run, sandbox: RunningSandbox) -> None:
    assert run(contacts(7), max_swing_percent=0).error is None
    assert len(leads_of(sandbox)) == 7


def test_lists_wait_for_the_least_count_but_not_in_any_number() -> None:
    guard = SwingGuard(20, {"contacts": 1_000_000})
    assert not guard.is_decided({"contacts": 799_999}, 10)
    assert guard.is_decided({"contacts": 800_000}, 10)
    assert guard.is_decided({"contacts": 200_000}, module.MOST_HELD_BACK + 1)


def test_trend_is_shown_oldest_first_with_the_last_figures(tmp_path: Path) -> None:
    assert bars([0, 5, 10]) == "▁▅█"
    assert bars([0, 0]) == "▁▁"
    past(tmp_path, 100, 100, 100)
    for number, file in enumerate(sorted((tmp_path / "runs").glob("*.json")), 1):
        more = {"run_id": file.stem, "exit_code": 0, "records": 100 * number}
        file.write_bytes(msgspec.json.encode(SUMMARY | more))
    runs = folder_status(tmp_path, most=10).runs
    assert list(trend_lines(runs)) == [
        "trend      read  ▃▆█  300", "       accepted  ███  90", "     rejected %  █▅▃  3.3",
    ]  # fmt: skip
    assert list(trend_lines(runs[:1])) == []
