from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest
from made import NOW, ROWS, RUN_ID, accepted, evicted, make_rejections, rejected_rows, rows_of

from target_amplemarket.errors import StorageError
from target_amplemarket.results.books import Books
from target_amplemarket.results.reader import read_results
from target_amplemarket.results.schema import RESULTS
from target_amplemarket.results.writer import ResultsWriter
from target_amplemarket.storage.durable import Folder


class FullDisk(Folder):
    """Refuses to write while it is full."""

    is_full = False

    def write(self, name: str, content: bytes | memoryview) -> None:
        if self.is_full:
            raise StorageError(f"{self.path / name} cannot be written: No space left on device")
        super().write(name, content)


def opened(path: Path) -> tuple[FullDisk, ResultsWriter]:
    folder, numbers = FullDisk(path / "results-folder"), count(1)
    return folder, ResultsWriter(folder, RUN_ID, number=lambda: next(numbers))


def written(folder: Folder) -> list[str]:
    return [name.removeprefix(f"results/{RUN_ID}/") for name in folder.names("results/*/*")]


@pytest.mark.step("D6")
def test_the_rows_of_a_list_stand_in_the_file_of_its_number(tmp_path: Path) -> None:
    folder, writer = opened(tmp_path)
    rows = rows_of(accepted([1, 3]), evicted([2]))
    writer.write_list(42, rows)
    assert written(folder) == ["000042.arrow"]
    file = folder.path / "results" / RUN_ID / "000042.arrow"
    assert pa.ipc.open_file(file).read_all().equals(rows)
    assert file.stat().st_mode & 0o777 == 0o600


def test_rows_that_go_with_no_list_wait_until_they_are_flushed_into_one_file_in_record_order(tmp_path: Path) -> None:
    folder, writer = opened(tmp_path)
    writer.add(rejected_rows([4, 8]))
    writer.add(ROWS.of_rejections("accounts", make_rejections([1, 6], status="duplicate", reason="already_sent"), NOW))
    assert writer.waiting_row_count == 4
    assert written(folder) == []
    flushed = writer.flush()
    assert writer.waiting_row_count == 0
    assert written(folder) == ["000001.arrow"]
    assert flushed.column("record_no").to_pylist() == [1, 4, 6, 8]
    assert read_results(folder.path).equals(flushed)
    books = Books()
    books.enter(flushed)
    assert books.by_status() == {"rejected": 2, "duplicate": 2}


def test_a_flush_without_rows_writes_no_file_and_takes_no_number(tmp_path: Path) -> None:
    folder, writer = opened(tmp_path)
    assert writer.flush().equals(RESULTS.empty_table())
    writer.add(rejected_rows([1]))
    writer.flush()
    assert writer.flush().num_rows == 0
    assert written(folder) == ["000001.arrow"]


def test_file_numbers_are_unique_though_lists_and_other_rows_share_them(tmp_path: Path) -> None:
    folder, numbers = Folder(tmp_path / "results-folder"), count(1)
    writer = ResultsWriter(folder, RUN_ID, number=lambda: next(numbers))
    for record_no in range(1, 40, 2):
        list_number = next(numbers)
        writer.add(rejected_rows([record_no]))
        writer.flush()
        writer.write_list(list_number, rows_of(accepted([record_no + 1])))
    assert written(folder) == [f"{number:06d}.arrow" for number in range(1, 41)]
    assert sorted(read_results(folder.path).column("record_no").to_pylist()) == list(range(1, 41))


@pytest.mark.step("D6")
def test_rows_that_could_not_be_written_are_not_lost(tmp_path: Path) -> None:
    folder, writer = opened(tmp_path)
    writer.add(rejected_rows([1, 2]))
    folder.is_full = True
    with pytest.raises(StorageError, match="No space left"):
        writer.flush()
    assert writer.waiting_row_count == 2
    folder.is_full = False
    assert writer.flush().num_rows == 2
    assert read_results(folder.path).num_rows == 2


CRASH = """
import os, sys
from pathlib import Path
from made import RUN_ID, accepted, rows_of
from target_amplemarket.results.writer import ResultsWriter
from target_amplemarket.storage.durable import Folder

writer = ResultsWriter(Folder(Path(sys.argv[1])), RUN_ID, number=lambda: 0)
writer.write_list(1, rows_of(accepted([1, 2])))
sys.addaudithook(lambda event, _: os._exit(9) if event == "os.rename" else None)
writer.write_list(2, rows_of(accepted([3, 4])))
"""


@pytest.mark.step("D6")
def test_a_crash_before_the_rename_leaves_nothing_that_a_reader_sees(tmp_path: Path) -> None:
    path = tmp_path / "results-folder"
    child = subprocess.run([sys.executable, "-c", CRASH, str(path)], cwd=Path(__file__).parent, check=False, timeout=30)
    assert child.returncode == 9
    files = [file.name for file in (path / "results" / RUN_ID).iterdir()]
    assert len(files) == 2, "the crash came before anything was written"
    assert read_results(path).column("record_no").to_pylist() == [1, 2]
    assert Folder(path).names("results/*/*") == [f"results/{RUN_ID}/000001.arrow"]
