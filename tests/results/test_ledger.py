from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from made import ROWS, accepted, evicted, fingerprints, held, make_leads, make_list, refused, rejected_rows, rows_of

from target_amplemarket.delivery.outbox import Outbox, OutboxEntry
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.people import Known
from target_amplemarket.results.ledger import folder_key, known_people
from target_amplemarket.results.writer import ResultsWriter
from target_amplemarket.storage.durable import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "results-folder")


def record(folder: Folder, run_id: str, number: int, rows: pa.Table) -> None:
    ResultsWriter(folder, run_id, number=lambda: 0).write_list(number, rows)


def hold(folder: Folder, numbers: range) -> list[OutboxEntry]:
    outbox = Outbox(folder, ROWS.run_id)
    outbox.write(make_list(numbers, number=numbers[0]), b"body")
    return outbox.entries()


def verdicts(folder: Folder, unsettled: list[OutboxEntry], numbers: range, *, by_version: bool = False) -> list[object]:
    return list(known_people(folder, unsettled, by_version=by_version).screen(make_leads(numbers)).to_pylist())


# --- The key ----------------------------------------------------------------------------------------------------------


def test_a_new_folder_gets_a_key_of_its_own_that_stays(folder: Folder, tmp_path: Path) -> None:
    key = folder_key(folder)
    assert len(key) == 32
    assert folder_key(Folder(folder.path)) == key
    assert folder_key(Folder(tmp_path / "another")) != key
    assert (folder.path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 31, b"x" * 33])
def test_a_damaged_key_is_a_storage_fault_that_says_what_to_do(folder: Folder, content: bytes) -> None:
    (folder.path / "key").write_bytes(content)
    with pytest.raises(StorageError, match="key is damaged; restore the file"):
        folder_key(folder)


def test_a_key_that_is_missing_beside_results_is_a_storage_fault_that_says_what_to_do(folder: Folder) -> None:
    record(folder, "run", 1, rows_of(accepted([1])))
    with pytest.raises(StorageError, match=r"key is missing: .* restore the file"):
        folder_key(folder)
    assert not (folder.path / "key").exists()


def test_a_key_that_is_missing_beside_a_held_list_is_a_storage_fault(folder: Folder) -> None:
    """Under a new key nobody in the held list would be known again, and all would be sent twice."""
    hold(folder, range(1, 4))
    with pytest.raises(StorageError, match="key is missing"):
        folder_key(folder)


# --- Who is known -----------------------------------------------------------------------------------------------------


def test_in_a_new_folder_nobody_is_known(folder: Folder) -> None:
    assert verdicts(folder, [], range(1, 3)) == [None, None]


@pytest.mark.step("D7")
def test_who_was_accepted_in_any_run_is_known_as_sent_and_nobody_else_is(folder: Folder) -> None:
    record(folder, "20260101", 1, rows_of(accepted([1]), evicted([2])))
    record(folder, "20260101", 2, rows_of(refused([3]), held([4])))
    record(folder, "20260102", 1, rows_of(accepted([5])))
    record(folder, "20260102", 2, rejected_rows([6]))
    expected = [Known.SENT, None, None, None, Known.SENT, None]
    assert verdicts(folder, [], range(1, 7)) == expected


@pytest.mark.step("R4")
def test_who_is_in_the_outbox_is_known_as_held(folder: Folder) -> None:
    assert verdicts(folder, hold(folder, range(2, 4)), range(1, 5)) == [None, Known.HELD, Known.HELD, None]


@pytest.mark.step("D6", "R2")
def test_who_was_accepted_is_not_held_by_an_intent_that_outlived_a_crash(folder: Folder) -> None:
    """The process died between recording the rows and removing the file: the rows are the answer."""
    record(folder, "run", 1, rows_of(accepted([1, 2])))
    assert verdicts(folder, hold(folder, range(1, 4)), range(1, 5)) == [Known.SENT, Known.SENT, Known.HELD, None]


def test_ids_count_beside_everything_else_where_the_service_has_them(folder: Folder) -> None:
    def with_ids(leads: pa.Table, ids: range) -> pa.Table:
        place = leads.schema.get_field_index("title_company_fingerprint")
        return leads.set_column(place, "title_company_fingerprint", fingerprints("id", ids))

    record(folder, "20260101", 1, with_ids(rows_of(accepted([3])), range(7, 8)))
    asked = with_ids(make_leads(range(8, 9)), range(7, 8))
    for has_ids, verdict in ((True, Known.SENT), (False, None)):
        people = known_people(folder, [], by_version=False, has_ids=has_ids)
        assert people.screen(asked).to_pylist() == [verdict]


def test_append_only_compares_versions_and_not_persons(folder: Folder) -> None:
    record(folder, "run", 1, rows_of(accepted([1, 2])))
    unsettled = hold(folder, range(3, 4))
    leads = make_leads(range(1, 5))
    changed = make_leads([11, 2, 13, 4]).column("version_fingerprint")
    place = leads.schema.get_field_index("version_fingerprint")
    new_versions = leads.set_column(place, leads.schema.field(place), changed)
    people = known_people(folder, unsettled, by_version=True)
    assert people.screen(new_versions).to_pylist() == [None, Known.SENT, None, None]
    assert verdicts(folder, unsettled, range(1, 5), by_version=True) == [Known.SENT, Known.SENT, Known.HELD, None]


def test_a_result_file_that_cannot_be_read_stops_the_run_before_anybody_is_taken_for_new(folder: Folder) -> None:
    record(folder, "run", 1, rows_of(accepted([1, 2])))
    record(folder, "run", 2, rows_of(accepted([3])))
    file = folder.path / "results" / "run" / "000001.arrow"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(StorageError, match=r"000001\.arrow cannot be read"):
        known_people(folder, [], by_version=False)
