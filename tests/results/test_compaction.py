from __future__ import annotations

import errno
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from made import RUN_ID, accepted, evicted, held, make_leads, make_list, rejected_rows, rows_of

from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.people import Known
from target_amplemarket.results.compaction import LEAST_FILES, MOST_AT_ONCE, MOST_BYTES, compact
from target_amplemarket.results.ledger import known_people
from target_amplemarket.results.reader import compacted_name, read_results, run_files
from target_amplemarket.results.recovery import Recovery
from target_amplemarket.results.writer import ResultsWriter
from target_amplemarket.services.protocol import Found
from target_amplemarket.storage.durable import Folder
from tests.harness import VirtualClock
from tests.storage.recorder import Recorder, effects
from tests.test_power_cut import LossySystem, PowerCutError

OTHER_RUN = "20260104T091500000000Z-aaaaaa"
NEVER = threading.Event()
FILES = LEAST_FILES + 2
EVERY_COLUMN = ["run_id", "record_no", "status", "linkedin_fingerprint", "recorded_at"]


def fill(path: Path, *, run_id: str = RUN_ID, files: int = FILES, first: int = 1) -> Folder:
    """A run of small files: three records each, one accepted, one refused, one rejected or held."""
    folder = Folder(path)
    writer = ResultsWriter(folder, run_id, number=lambda: 0)
    for number in range(first, first + files):
        one, two, three = range(3 * number, 3 * number + 3)
        if number % 3:
            writer.write_list(number, rows_of(accepted([one]), evicted([two]), held([three])))
        else:
            both = pa.concat_tables([rows_of(accepted([one, two])), rejected_rows([three])])
            writer.write_list(number, both.unify_dictionaries().combine_chunks())
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("filled") / "folder").path


def names(folder: Folder, run_id: str = RUN_ID) -> list[str]:
    return sorted(path.name for path in (folder.path / "results" / run_id).iterdir())


def seen_by_all_readers(path: Path) -> tuple[object, ...]:
    """Rows as the reader gives them, columns alone, one run alone; and whom the ledger knows."""
    people = known_people(Folder(path), [], by_version=False)
    numbers = range(3, 3 * (FILES + 1))
    return (
        read_results(path).to_pylist(),
        read_results(path, columns=EVERY_COLUMN).to_pylist(),
        read_results(path, run="last").num_rows,
        people.screen(make_leads(numbers)).to_pylist(),
    )


def test_small_files_of_a_run_become_one_with_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    before = seen_by_all_readers(folder.path)
    assert compact(folder, NEVER) == 1
    assert names(folder) == [compacted_name(1, FILES)]
    assert seen_by_all_readers(folder.path) == before
    assert (folder.path / "results" / RUN_ID / compacted_name(1, FILES)).stat().st_mode & 0o777 == 0o600
    assert compact(folder, NEVER) == 0


def test_a_run_with_few_files_stays_as_it_is_and_nothing_is_written(tmp_path: Path) -> None:
    fill(tmp_path / "folder", files=LEAST_FILES - 1)
    system = Recorder()
    folder = Folder(tmp_path / "folder", system)
    system.calls.clear()
    assert compact(folder, NEVER) == 0
    assert effects(system) == []


def test_a_run_with_a_list_in_the_outbox_stays_as_it_is(tmp_path: Path) -> None:
    """Its file may be written anew when the list is settled."""
    folder = fill(tmp_path / "folder")
    fill(folder.path, run_id=OTHER_RUN)
    Outbox(folder, RUN_ID).write(make_list([6], number=2), b"body")
    before = names(folder)
    assert compact(folder, NEVER) == 1
    assert names(folder) == before
    assert names(folder, OTHER_RUN) == [compacted_name(1, FILES)]


def test_large_files_stay_and_part_their_neighbours(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder", files=LEAST_FILES)
    large = folder.path / "results" / RUN_ID / f"{LEAST_FILES + 1:06d}.arrow"
    large.write_bytes(bytes(MOST_BYTES))
    fill(folder.path, first=LEAST_FILES + 2, files=3)
    assert compact(folder, NEVER) == 1
    assert names(folder) == [
        compacted_name(1, LEAST_FILES),
        large.name,
        *(f"{LEAST_FILES + n:06d}.arrow" for n in (2, 3, 4)),
    ]


def test_compacted_files_that_are_small_are_compacted_again(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    compact(folder, NEVER)
    fill(folder.path, first=FILES + 1)
    before = read_results(folder.path)
    assert compact(folder, NEVER) == 1
    assert names(folder) == [compacted_name(1, 2 * FILES)]
    assert read_results(folder.path).to_pylist() == before.to_pylist()


def test_work_is_bounded_and_ends_at_a_signal(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "folder")
    for day in range(MOST_AT_ONCE + 2):
        fill(folder.path, run_id=f"202601{day:02d}", files=LEAST_FILES)
    asked_to_stop = threading.Event()
    asked_to_stop.set()
    assert compact(folder, asked_to_stop) == 0
    assert compact(folder, NEVER) == MOST_AT_ONCE
    assert compact(folder, NEVER) == 2


def test_a_damaged_file_stops_it_and_everything_stays(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    file = folder.path / "results" / RUN_ID / "000003.arrow"
    file.write_bytes(file.read_bytes()[:-1])
    before = names(folder)
    with pytest.raises(StorageError, match=r"000003\.arrow cannot be read"):
        compact(folder, NEVER)
    assert names(folder) == before


def test_what_a_damaged_file_would_replace_is_not_removed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    (folder.path / "results" / RUN_ID / compacted_name(1, FILES)).write_bytes(b"not whole")
    before = names(folder)
    with pytest.raises(StorageError, match="cannot be read"):
        compact(folder, NEVER)
    assert names(folder) == before


# --- Readers in the middle of it --------------------------------------------------------------------------------------


def test_files_that_another_one_replaces_do_not_count(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    small = {name: (folder.path / "results" / RUN_ID / name).read_bytes() for name in names(folder)}
    before = seen_by_all_readers(folder.path)
    compact(folder, NEVER)
    for name, content in small.items():
        (folder.path / "results" / RUN_ID / name).write_bytes(content)
        assert seen_by_all_readers(folder.path) == before
    assert len(run_files(folder.path, RUN_ID)[1]) == FILES
    assert compact(folder, NEVER) == 0
    assert names(folder) == [compacted_name(1, FILES)]
    assert seen_by_all_readers(folder.path) == before


def test_a_list_of_a_compacted_run_that_comes_back_from_a_backup_makes_no_row_twice(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    before = seen_by_all_readers(folder.path)
    compact(folder, NEVER)
    Outbox(folder, RUN_ID).write(make_list([6], number=2), b"body")

    class Account:
        adds_to_lists = False

        def confirm(self, marker: str) -> Found:
            return Found(("list-7",), (None,))

    recovery = Recovery(folder, Outbox(folder, OTHER_RUN), "rejected", VirtualClock())
    recovery.recover(Account(), threading.Event(), settle_s=0, on_unknown="hold")  # type: ignore[arg-type]
    assert seen_by_all_readers(folder.path) == before


def test_a_reader_without_the_lock_sees_every_row_once_while_files_are_replaced(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder", files=60)
    expected = list(range(3, 3 * 61))
    is_over, wrong = threading.Event(), []

    def read() -> None:
        while not is_over.is_set():
            found = read_results(folder.path, columns=["record_no"]).column(0).to_pylist()
            if found != expected:
                wrong.append(found)

    small = {name: (folder.path / "results" / RUN_ID / name).read_bytes() for name in names(folder)}
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(15):
            compact(folder, NEVER)
            for name, content in small.items():
                folder.write(f"results/{RUN_ID}/{name}", content)
            (folder.path / "results" / RUN_ID / compacted_name(1, 60)).unlink()
    finally:
        is_over.set()
        reader.join(30)
    assert wrong == []


# --- Deaths, faults and power cuts ------------------------------------------------------------------------------------


def count_calls(filled: Path, path: Path) -> int:
    shutil.copytree(filled, path)
    system = Recorder()
    folder = Folder(path, system)
    system.calls.clear()
    compact(folder, NEVER)
    return len(system.calls)


class Killed(BaseException):
    """The process dies here."""


def dying_at(number: int, calls: Callable[[], int]) -> Callable[[str, str], None]:
    def die(_name: str, _path: str) -> None:
        if calls() + 1 >= number:
            raise Killed

    return die


def test_a_death_at_any_storage_call_leaves_every_row_once(filled: Path, tmp_path: Path) -> None:
    count = count_calls(filled, tmp_path / "counted")
    assert count > FILES
    expected = seen_by_all_readers(filled)
    for number in range(1, count + 1):
        path = shutil.copytree(filled, tmp_path / f"at-{number}")
        system = Recorder()
        folder = Folder(path, system)
        system.calls.clear()
        system.at_call = dying_at(number, lambda system=system: len(system.calls))  # type: ignore[misc]
        with pytest.raises(Killed):
            compact(folder, NEVER)
        assert seen_by_all_readers(path) == expected, number
        after = Folder(path)
        after.remove_temporary_files()
        compact(after, NEVER)
        assert names(after) == [compacted_name(1, FILES)]
        assert seen_by_all_readers(path) == expected, number


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("error_number", [errno.ENOSPC, errno.EIO])
def test_a_fault_at_any_storage_call_leaves_every_row_once(
    filled: Path, tmp_path: Path, error_number: int, lasting: bool
) -> None:
    count = count_calls(filled, tmp_path / "counted")
    expected = seen_by_all_readers(filled)
    for number in range(1, count + 1):
        path = shutil.copytree(filled, tmp_path / f"at-{number}")
        folder = Folder(path, Recorder())
        system = Recorder(fail_at=number, error_number=error_number, lasting=lasting)
        folder._system = system
        with pytest.raises(StorageError):
            compact(folder, NEVER)
        assert system.open_descriptors == 0
        assert seen_by_all_readers(path) == expected, number
        compact(Folder(path), NEVER)
        assert seen_by_all_readers(path) == expected, number


@pytest.mark.parametrize("seed", range(3))
def test_a_power_cut_at_any_storage_call_leaves_every_row_once(filled: Path, tmp_path: Path, seed: int) -> None:
    """Whatever subset of what was not synced is lost; once more while the next compaction clears up."""
    expected = seen_by_all_readers(filled)
    calls, number = 10**6, 0
    while number < calls:
        number += 1
        path = shutil.copytree(filled, tmp_path / f"at-{number}")
        for cut_at in (number, number // 2 + 1):
            system = LossySystem(cut_at)
            try:
                compact(Folder(path, system), NEVER)
                calls = min(calls, system.calls)
            except PowerCutError:
                pass
            system.lose(random.Random(1000 * seed + number))
            assert seen_by_all_readers(path) == expected, (number, cut_at)


def test_a_power_cut_while_what_a_killed_run_left_is_cleared_away_leaves_every_row_once(
    filled: Path, tmp_path: Path
) -> None:
    """The large file has its name by then, but nobody has made that durable."""
    expected = seen_by_all_readers(filled)
    is_over, cut = False, 0
    while not is_over:
        cut += 1
        path = shutil.copytree(filled, tmp_path / f"cut-{cut}")
        system = killed_after_rename(path)
        system._cut_at = system.calls + cut
        system.is_dead = False
        try:
            compact(Folder(path, system), NEVER)
            is_over = True
        except PowerCutError:
            pass
        system.lose(random.Random(cut))
        assert seen_by_all_readers(path) == expected, cut
    assert cut > FILES


def killed_after_rename(path: Path) -> LossySystem:
    """What a process leaves that is killed between the rename and the sync of the folder."""
    system = LossySystem(0)
    rename = system.replace

    def rename_and_die(source: Path, target: Path, /) -> None:
        rename(source, target)
        system.is_dead = True

    system.replace = rename_and_die  # type: ignore[method-assign]
    with pytest.raises(PowerCutError):
        compact(Folder(path, system), NEVER)
    system.replace = rename  # type: ignore[method-assign]
    return system


def test_everybody_in_a_compacted_run_is_known_as_sent(filled: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    compact(folder, NEVER)
    verdicts = known_people(folder, [], by_version=False).screen(make_leads(range(3, 9))).to_pylist()
    assert verdicts == [Known.SENT, None, None, Known.SENT, None, None]
