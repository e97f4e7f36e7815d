from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import pyarrow as pa
import pytest
from scripted import CANARY, RUN_ID, MemoryFolder, make_leads, make_list

from target_amplemarket.delivery.outbox import Intent, Outbox, OutboxEntry
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.tables import LEADS
from target_amplemarket.lists.lead_list import GroupKey, LeadList
from target_amplemarket.storage.arrow import arrow_file
from target_amplemarket.storage.durable import Folder

BODY = b'{"name":"contacts"}'


def outbox_with_a_list() -> tuple[MemoryFolder, Outbox, str]:
    folder = MemoryFolder()
    outbox = Outbox(folder, RUN_ID)
    return folder, outbox, outbox.write(make_list(50, number=42), BODY)


def named(text: str) -> LeadList:
    return dataclasses.replace(make_list(1, number=7), base_name=text, key=GroupKey(text, text, "email"))


@pytest.mark.step("D2")
def test_an_intent_comes_back_whole_with_its_leads(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results")
    lead_list = make_list(50, number=42, marker="K7Q2M9XA4T1B", first_record_no=7)
    name = Outbox(folder, RUN_ID).write(lead_list, BODY)
    (entry,) = Outbox(folder, "another run").entries()
    assert entry == OutboxEntry(
        file_name=name,
        intent=Intent(
            run_id=RUN_ID,
            number=42,
            part=1,
            marker="K7Q2M9XA4T1B",
            name=lead_list.name,
            stream="contacts",
            owner="canary-owner@seller.example",
            list_type="linkedin",
            body_sha256=hashlib.sha256(BODY).hexdigest(),
        ),
        leads=lead_list.leads,
    )
    assert entry.leads.schema.equals(LEADS, check_metadata=True)


TEXTS = ['{"note":"canary","id":1}', '{"note":null,"id":2}', '{"note":"a\\"","id":null}']
NOTES, IDS = pa.array(["canary", None, 'a"']), pa.array([1, 2, None])


@pytest.mark.parametrize(
    "whole",
    [
        pa.StructArray.from_arrays([NOTES, IDS], ["note", "id"]),
        pa.array([f'{{"type":"RECORD","record":{text},"version":1}}'.encode() for text in TEXTS]),
    ],
    ids=["columns", "messages"],
)
def test_records_that_were_kept_as_they_came_come_back_as_their_text(tmp_path: Path, whole: pa.Array) -> None:
    folder = Folder(tmp_path / "results")
    lead_list = make_list(3)
    place = LEADS.get_field_index("record")
    leads = lead_list.leads.set_column(place, pa.field("record", whole.type), whole)
    Outbox(folder, RUN_ID).write(dataclasses.replace(lead_list, leads=leads), BODY)
    (entry,) = Outbox(folder, RUN_ID).entries()
    assert entry.leads.equals(lead_list.leads.set_column(place, LEADS.field("record"), pa.array(TEXTS)))
    assert entry.leads.schema.equals(LEADS, check_metadata=True)


def test_only_the_owner_can_read_an_intent(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results")
    name = Outbox(folder, RUN_ID).write(make_list(1), BODY)
    assert (folder.path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["../../etc/passwd", "a/b", "a\0b", "CON", "x" * 10_000, "\u202eevil\n", "canary"])
def test_no_text_of_the_input_is_in_a_file_name(text: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results")
    name = Outbox(folder, RUN_ID).write(named(text), BODY)
    assert re.fullmatch(r"outbox/\d{6}-[A-Z2-7]{12}\.arrow", name)
    assert [str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()] == [name]
    (entry,) = Outbox(folder, RUN_ID).entries()
    assert entry.intent.stream == text


def test_an_intent_that_an_earlier_version_compressed_otherwise_comes_back() -> None:
    folder, outbox, name = outbox_with_a_list()
    (entry,) = outbox.entries()
    metadata = pa.ipc.open_file(folder.files[name]).schema.metadata
    kept = {key: value for key, value in metadata.items() if key != b"sha256"}
    folder.files[name] = arrow_file(entry.leads.combine_chunks().replace_schema_metadata(kept))
    assert outbox.entries() == [entry]


@pytest.mark.step("D2")
def test_the_rest_of_a_list_replaces_the_intent_of_the_whole() -> None:
    _, outbox, name = outbox_with_a_list()
    whole = make_list(50, number=42)
    assert outbox.write(whole.with_leads(whole.leads.slice(10), whole.marker), b"rest") == name
    (entry,) = outbox.entries()
    assert entry.leads.column("record_no").to_pylist() == list(range(11, 51))
    assert entry.intent.body_sha256 == hashlib.sha256(b"rest").hexdigest()


def test_a_half_takes_half_the_bytes() -> None:
    """A slice is written as what it shows, not as what it is cut from."""
    folder, outbox, _ = outbox_with_a_list()
    whole = make_list(10_000, number=1)
    half = whole.with_leads(whole.leads.slice(5_000), "BBBBBBBBBBBB")
    sizes = [len(folder.files[outbox.write(one, BODY)]) for one in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]


def test_entries_come_in_the_order_of_their_numbers() -> None:
    outbox = Outbox(MemoryFolder(), RUN_ID)
    for number in (10, 2, 33, 1):
        outbox.write(make_list(1, number=number, marker=f"Z{99 - number:011d}"), BODY)
    assert [entry.intent.number for entry in outbox.entries()] == [1, 2, 10, 33]


@pytest.mark.step("D7")
def test_a_removed_intent_is_gone_and_removing_it_again_is_no_fault(tmp_path: Path) -> None:
    outbox = Outbox(Folder(tmp_path / "results"), RUN_ID)
    names = [outbox.write(make_list(1, number=number), BODY) for number in (1, 2)]
    outbox.remove(names[0])
    outbox.remove(names[0])
    assert [entry.file_name for entry in outbox.entries()] == [names[1]]


def test_a_folder_without_an_outbox_has_no_entries(tmp_path: Path) -> None:
    assert Outbox(Folder(tmp_path / "results"), RUN_ID).entries() == []


def refuses(folder: MemoryFolder, name: str, content: bytes) -> None:
    folder.files[name] = content
    with pytest.raises(StorageError, match=re.escape(name)) as caught:
        Outbox(folder, RUN_ID).entries()
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_cut_anywhere_is_a_storage_fault() -> None:
    folder, _, name = outbox_with_a_list()
    whole = folder.files[name]
    for cut in [*range(0, len(whole), 97), len(whole) - 1]:
        refuses(folder, name, whole[:cut])


def test_a_file_with_a_flipped_bit_anywhere_is_a_storage_fault() -> None:
    folder, _, name = outbox_with_a_list()
    whole = folder.files[name]
    for place in range(0, len(whole), 97):
        refuses(folder, name, whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])


@pytest.mark.parametrize(
    "table",
    [
        make_leads(3),
        make_leads(3).replace_schema_metadata({"target_amplemarket": "{}"}),
        make_leads(3).replace_schema_metadata({"target_amplemarket": "no JSON"}),
        make_leads(3).select(["record_no", "email"]),
        pa.table({"other": [1]}),
    ],
    ids=["no intent", "an empty intent", "an intent that is no JSON", "columns missing", "another table"],
)
def test_an_arrow_file_that_is_no_intent_is_a_storage_fault(table: pa.Table) -> None:
    folder, _, name = outbox_with_a_list()
    refuses(folder, name, arrow_file(table))
