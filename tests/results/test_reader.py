from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from made import CANARY, accepted, evicted, held, make_leads, refused, rows_of

from target_amplemarket.errors import StorageError
from target_amplemarket.results.reader import read_results, run_ids
from target_amplemarket.results.schema import RESULTS
from target_amplemarket.results.writer import ResultsWriter
from target_amplemarket.storage.arrow import arrow_file, arrow_table
from target_amplemarket.storage.durable import Folder

RUNS = ["20260101T000000000000Z-aaaaaa", "20260102T000000000000Z-000000", "20260103T000000000000Z-555555"]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Three runs of two files each; run n has records 10 n + 1 to 10 n + 4, the last file first."""
    folder = Folder(tmp_path / "results-folder")
    for number, run_id in reversed(list(enumerate(RUNS))):
        writer = ResultsWriter(folder, run_id, number=lambda: 0)
        writer.write_list(10, rows_of(refused([10 * number + 3]), held([10 * number + 4])))
        writer.write_list(9, rows_of(accepted([10 * number + 1]), evicted([10 * number + 2])))
    return folder


def result_file(folder: Folder) -> Path:
    return folder.path / "results" / RUNS[1] / "000009.arrow"


def test_all_runs_are_read_in_order_of_run_and_file(folder: Folder) -> None:
    rows = read_results(folder.path)
    assert rows.column("record_no").to_pylist() == [1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24]
    assert rows.schema.equals(RESULTS, check_metadata=True)
    assert read_results(str(folder.path)).equals(rows)


@pytest.mark.parametrize(("run", "expected"), [("last", [21, 22, 23, 24]), (RUNS[0], [1, 2, 3, 4])])
def test_one_run_is_read_by_its_id_or_as_the_last(folder: Folder, run: str, expected: list[int]) -> None:
    assert read_results(folder.path, run=run).column("record_no").to_pylist() == expected


@pytest.mark.parametrize("columns", [["status"], ["record_no", "run_id"], ["version_fingerprint", "status"]])
def test_only_the_columns_asked_for_are_read_in_the_order_asked_for(folder: Folder, columns: list[str]) -> None:
    assert read_results(folder.path, columns=columns).equals(read_results(folder.path).select(columns))
    assert read_results(folder.path, columns=columns).column_names == columns


def test_all_files_share_one_dictionary_so_that_rows_can_be_grouped_and_sorted(folder: Folder) -> None:
    rows = read_results(folder.path)
    counts = rows.group_by("status").aggregate([([], "count_all")])
    assert dict(zip(counts["status"].to_pylist(), counts["count_all"].to_pylist(), strict=True)) == {
        "accepted": 3,
        "rejected": 6,
        "held": 3,
    }


def test_the_run_ids_are_given_oldest_first(folder: Folder) -> None:
    assert run_ids(folder.path) == RUNS


def test_a_folder_without_results_has_no_rows(tmp_path: Path) -> None:
    assert run_ids(tmp_path) == []
    for run in ("last", "all"):
        assert read_results(tmp_path, run=run).equals(RESULTS.empty_table())
    assert read_results(tmp_path, columns=["status"]).column_names == ["status"]


def test_a_run_that_was_moved_to_another_disk_behind_a_link_is_still_read(folder: Folder) -> None:
    run = folder.path / "results" / RUNS[1]
    run.rename(folder.path / "elsewhere")
    run.symlink_to(folder.path / "elsewhere")
    assert read_results(folder.path).num_rows == 12


def test_a_stray_file_among_the_runs_is_none_of_them(folder: Folder) -> None:
    (folder.path / "results" / ".DS_Store").write_bytes(b"x")
    (folder.path / "results" / RUNS[0] / "000001.arrow.0a1b2c3d.tmp").write_bytes(b"x")
    assert run_ids(folder.path) == RUNS
    assert read_results(folder.path).num_rows == 12


def test_a_folder_that_is_not_there_is_a_storage_fault(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no results folder"):
        read_results(tmp_path / "nowhere")


def test_a_run_that_is_not_there_is_a_storage_fault(folder: Folder) -> None:
    with pytest.raises(StorageError, match="there is no run 20990101"):
        read_results(folder.path, run="20990101")


def assert_refused(folder: Folder, content: bytes) -> None:
    file = result_file(folder)
    file.write_bytes(content)
    for columns in (None, ["status", "email_fingerprint"]):
        with pytest.raises(StorageError, match=r"000009\.arrow cannot be read") as caught:
            read_results(folder.path, columns=columns)
        assert caught.value.__cause__ is None
        assert CANARY not in str(caught.value)


def test_a_file_that_is_cut_anywhere_is_a_storage_fault_and_never_a_shorter_table(folder: Folder) -> None:
    whole = result_file(folder).read_bytes()
    for cut in [*range(0, len(whole), 97), len(whole) - 1]:
        assert_refused(folder, whole[:cut])


def test_a_file_with_a_flipped_bit_anywhere_is_a_storage_fault_and_never_another_value(folder: Folder) -> None:
    whole = result_file(folder).read_bytes()
    for place in range(0, len(whole), 97):
        assert_refused(folder, whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ARROW1",
        arrow_file(make_leads([1])),
        arrow_file(RESULTS.empty_table().drop_columns(["recorded_at"])),
        pa.BufferOutputStream().getvalue().to_pybytes(),
    ],
    ids=["empty", "magic only", "leads", "a column missing", "nothing"],
)
def test_a_file_of_another_kind_is_a_storage_fault(folder: Folder, content: bytes) -> None:
    assert_refused(folder, content)


def test_a_file_without_a_checksum_is_a_storage_fault(folder: Folder) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, RESULTS) as writer:
        writer.write_table(rows_of(accepted([1])))
    assert_refused(folder, sink.getvalue().to_pybytes())


@pytest.mark.parametrize("name", ["results", f"results/{RUNS[1]}"])
@pytest.mark.parametrize("target", ["nowhere", "key"], ids=["moved away", "a file"])
def test_a_folder_that_cannot_be_listed_is_a_storage_fault_and_never_an_empty_one(
    folder: Folder, name: str, target: str
) -> None:
    """Else everybody in it would be sent again."""
    (folder.path / name).rename(folder.path / "elsewhere")
    (folder.path / "key").write_bytes(b"x")
    (folder.path / name).symlink_to(folder.path / target)
    with pytest.raises(StorageError, match="cannot be listed"):
        read_results(folder.path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_run_that_may_not_be_listed_is_a_storage_fault(folder: Folder) -> None:
    run = folder.path / "results" / RUNS[1]
    run.chmod(0)
    try:
        with pytest.raises(StorageError, match="cannot be listed"):
            read_results(folder.path)
    finally:
        run.chmod(0o700)


# --- Arrow files ------------------------------------------------------------------------------------------------------


def test_a_table_comes_back_with_its_metadata_and_without_the_checksum() -> None:
    table = make_leads([1, 2, 3]).replace_schema_metadata({"kept": "as it was"})
    back = arrow_table(arrow_file(table), table.schema)
    assert back.equals(table)
    assert back.schema.metadata == {b"kept": b"as it was"}


def test_the_same_table_makes_the_same_file() -> None:
    assert arrow_file(make_leads([1, 2, 3])) == arrow_file(make_leads([1, 2, 3]))


def test_any_other_reader_of_arrow_files_can_read_it() -> None:
    assert pa.ipc.open_file(arrow_file(make_leads([1, 2]))).read_all().equals(make_leads([1, 2]))


def test_the_values_of_a_table_cannot_break_its_checksum() -> None:
    """Not even values that look like the place where the checksum goes, or like that of a file without them."""
    text = arrow_file(make_leads([1]))
    checksum = pa.ipc.open_file(text).schema.metadata[b"sha256"].decode()
    for value in ("0" * 64, checksum):
        table = pa.table({"text": pa.array([value] * 3)})
        assert arrow_table(arrow_file(table), table.schema).equals(table)
