"""A person who is forgotten is nowhere in the folder, is never sent again, and nobody else is touched."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from target_amplemarket import read_results
from target_amplemarket.config import LEAD_FIELDS
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import FolderLocked, SettingsError, StorageError
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column
from target_amplemarket.leads.tables import LEADS
from target_amplemarket.lists.lead_list import GroupKey, LeadList
from target_amplemarket.results.forget import forget_in, read_person
from target_amplemarket.results.forgotten import read_tombstones
from target_amplemarket.results.ledger import folder_key
from target_amplemarket.sandbox import RunningSandbox
from target_amplemarket.storage.durable import Folder
from target_amplemarket.storage.lock import locked
from tests.harness import VirtualClock, leads_of, record, run_singer, schema
from tests.test_power_cut import LossySystem, PowerCutError

ALL = os.environ.get("CRASH") == "all"
SEED = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(10**6)))
CANARY = "annika"
ANN = {"email": "annika@buyer.example", "linkedin_url": "https://www.linkedin.com/in/annika-canary"}
FIRST = [
    schema("contacts", "email", "linkedin_url", "title", "notes"),
    record("contacts", id="annika-1", title="Buyer", **ANN),
    record("contacts", id=2, email="bob@buyer.example", title="Buyer"),
    record("contacts", id="annika-3", email="ANNIKA@buyer.example"),  # a duplicate, by another key
    record("contacts", id=4, title="nothing", notes="ask annika@buyer.example, she knows"),  # rejected, names her
    record("contacts", id=5, email="joannika@buyer.example"),
]
SECOND = [
    schema("contacts", "email", "linkedin_url", "title", "notes"),
    record("contacts", id="annika-6", title="CEO", email="annika@private.example", linkedin_url=ANN["linkedin_url"]),
    record("contacts", id=7, email="cem@buyer.example"),
    record("contacts", id=8, email="dora@buyer.example", notes="sits beside https://linkedin.com/in/Annika-Canary/"),
]
PERSON = read_person(emails=["Annika@Buyer.example"], profiles=["linkedin.com/in/annika-canary"])
OTHERS = {"bob@buyer.example", "joannika@buyer.example", "cem@buyer.example", "dora@buyer.example"}


@pytest.fixture
def holding(settings: dict[str, Any], sandbox: RunningSandbox) -> dict[str, Any]:
    """A folder with rows of the person of every kind, and a list that is held with the person in it."""
    settings |= {"results_record": "all", "exclusions": "off", "load_method": "append-only"}
    assert run_singer(FIRST, settings).error is None
    sandbox.set(faults=["server_error_after_commit:status=502,times=1", "listing_error:status=403"])
    assert run_singer(SECOND, settings | {"list_type": "email"}).summary.statuses == {"held": 3}
    sandbox.set(faults=[])
    return settings


def folder_of(settings: dict[str, Any]) -> Path:
    return Path(settings["results_path"])


def all_text(path: Path) -> str:
    """Everything in all files, Arrow files unpacked."""
    texts = []
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        texts.append(file.name)
        if file.suffix == ".arrow":
            table = pa.ipc.open_file(pa.py_buffer(file.read_bytes())).read_all()
            texts.append(str(table.schema.metadata) + str(table.to_pylist()))
        else:
            texts.append(file.read_bytes().decode("latin-1"))
    return "\n".join(texts).replace("joannika", "").lower()


def test_the_person_is_nowhere_and_everybody_else_is_as_before(holding: dict[str, Any]) -> None:
    path = folder_of(holding)
    (path / "reports").mkdir()
    run_id = read_results(path, columns=["run_id"]).column("run_id")[0].as_py()
    (path / "reports" / f"{run_id}.html").write_text("annika")
    assert CANARY in all_text(path)
    before = read_results(path)
    done = forget_in(path, PERSON)
    assert (done.rows, done.outbox_leads, done.outbox_files, done.removed_files) == (5, 2, 1, 1)
    assert CANARY not in all_text(path)
    after = read_results(path)
    words = ["run_id", "stream", "record_no", "status", "reason", "recorded_at", "list_id"]
    assert after.select(words).equals(before.select(words)), "the books stay closed"
    others = ['{"id":2}', '{"id":5}', '{"id":7}']
    is_other = pa.array([key in others for key in before.column("record_key").to_pylist()])
    assert after.filter(is_other).to_pylist() == before.filter(is_other).to_pylist()
    dora = after.slice(7, 1).to_pylist()[0]
    assert (dora["record"], dora["record_key"]) == (None, None), "her record names the person"
    assert dora["email_fingerprint"] is not None, "that she was sent is still known"
    assert all(stat.st_mode & 0o777 == 0o600 for stat in map(Path.stat, path.glob("results/*/*.arrow")))


def test_the_person_is_blocked_by_every_identity_and_every_record_and_leaves_nothing_behind(
    holding: dict[str, Any], sandbox: RunningSandbox
) -> None:
    path = folder_of(holding)
    forget_in(path, PERSON)
    sent = len(leads_of(sandbox))
    again = [
        FIRST[0],
        record("contacts", id=90, email="annika@buyer.example"),
        record("contacts", id=91, linkedin_url="linkedin.com/in/Annika-Canary?trk=1", email="new@buyer.example"),
        record("contacts", id=92, email="annika@private.example"),
        record("contacts", id="annika-3", email="third@buyer.example"),
        record("contacts", id=2, email="bob@buyer.example", title="Buyer"),
    ]
    ran = run_singer(again, holding | {"on_unknown": "assume_sent"})
    assert ran.error is None
    assert ran.column("reason") == ["forgotten"] * 4 + ["already_sent"]
    assert ran.column("record_key") == [None] * 4 + ['{"id":2}']
    assert ran.column("record")[:4] == [None] * 4
    assert len(leads_of(sandbox)) == sent
    assert CANARY not in all_text(path)


def test_a_held_list_is_settled_as_if_nothing_had_happened(holding: dict[str, Any], sandbox: RunningSandbox) -> None:
    path = folder_of(holding)
    forget_in(path, PERSON)
    ran = run_singer([FIRST[0]], holding)  # asks for the marker first
    assert ran.error is None
    assert not list((path / "outbox").iterdir())
    assert read_results(path).column("status").to_pylist()[5:] == ["accepted"] * 3
    assert {lead["email"] for lead in leads_of(sandbox)} >= OTHERS
    assert CANARY not in all_text(path)
    again = run_singer([*FIRST, *SECOND[1:]], holding)
    assert set(again.statuses) <= {"duplicate", "excluded", "rejected"}


def test_by_key_alone_rows_of_that_record_and_what_they_lead_to_go(holding: dict[str, Any]) -> None:
    path = folder_of(holding)
    done = forget_in(path, read_person(keys=["annika-1"]))
    assert (done.rows, done.outbox_leads) == (3, 1), "the duplicate, and the held one by the profile"
    rows = read_results(path).to_pylist()
    assert [rows[n]["detail"] for n in (0, 2, 5)] == ["the person was forgotten"] * 3
    assert forget_in(path, read_person(keys=['{"id": 2}'], stream="contacts")).rows == 1


def test_a_key_of_two_streams_is_no_key_of_a_person(settings: dict[str, Any]) -> None:
    for stream in ("contacts", "leads"):
        run_singer([schema(stream, "email"), record(stream, id=1, email=f"{stream}@buyer.example")], settings)
    path = folder_of(settings)
    before = all_text(path)
    with pytest.raises(SettingsError, match="2 streams"):
        forget_in(path, read_person(keys=["1"]))
    assert all_text(path) == before
    assert forget_in(path, read_person(keys=["1"], stream="leads")).rows == 1
    assert read_results(path).column("record_key").to_pylist() == ['{"id":1}', None]


def test_a_shared_mailbox_makes_nobody_else_forgotten(settings: dict[str, Any], sandbox: RunningSandbox) -> None:
    def person(number: int) -> dict[str, Any]:
        profile = f"https://www.linkedin.com/in/person-{number}"
        return record("contacts", id=number, email="info@buyer.example", linkedin_url=profile)

    messages = [schema("contacts", "email", "linkedin_url"), person(1), person(2)]
    assert run_singer(messages, settings).statuses == ["accepted"] * 2
    path = folder_of(settings)
    done = forget_in(path, read_person(emails=["info@buyer.example"]))
    assert (done.rows, done.is_shared) == (0, True)
    done = forget_in(path, read_person(profiles=["linkedin.com/in/person-1"]))
    assert (done.rows, done.is_shared) == (1, True)
    again = [messages[0], record("contacts", id=3, linkedin_url="linkedin.com/in/person-2")]
    assert run_singer(again, settings).column("reason") == ["already_sent"]


def _held_by_id(path: Path, ids: list[str], email: str) -> None:
    """A list that is held, of people whom the API knows by ids, each with every field that a lead can have."""
    folder = Folder(path)
    texts = {name: f"annika {name}" for name in LEAD_FIELDS}
    rows = [
        texts | {"record_no": n, "list_type": "people", "phones": ["annika 1"], "departments": ["annika", "x"]}
        | {"record_key": f'{{"id":{n}}}', "version_fingerprint": bytes(16)}
        | {"email_fingerprint": print_of(folder, email, Identity.EMAIL)}
        | {"title_company_fingerprint": print_of(folder, own_id, Identity.SERVICE_ID)}
        for n, own_id in enumerate(ids, 1)
    ]  # fmt: skip
    leads = pa.Table.from_pylist(rows, LEADS)
    key = GroupKey("contacts", "", "people")
    Outbox(folder, "20260105T091500000000Z-1f2e3d").write(LeadList(1, 1, "AAAAAAAAAAAA", "x", key, leads), b"{}")


def print_of(folder: Folder, text: str, identity: Identity) -> bytes:
    made: bytes = fingerprint_column(pa.array([text]), folder_key(folder), identity)[0].as_py()
    return made


def test_every_field_of_a_lead_that_is_held_is_emptied(tmp_path: Path) -> None:
    _held_by_id(tmp_path, ["lead_1"], "annika@buyer.example")
    assert CANARY in all_text(tmp_path)
    assert forget_in(tmp_path, PERSON).outbox_leads == 1
    assert CANARY not in all_text(tmp_path)
    [entry] = Outbox(Folder(tmp_path), "").entries()
    [lead] = entry.leads.to_pylist()
    left = {name for name, value in lead.items() if value is not None}
    assert left == {"record_no", "list_type", "detail", "version_fingerprint"}
    blocked = read_tombstones(Folder(tmp_path)).column("fingerprint").to_pylist()
    assert print_of(Folder(tmp_path), "lead_1", Identity.SERVICE_ID) in blocked, "the id is blocked, too"


def test_a_mailbox_of_several_ids_makes_nobody_else_forgotten(tmp_path: Path) -> None:
    _held_by_id(tmp_path, ["lead_1", "lead_2"], "annika@buyer.example")
    done = forget_in(tmp_path, read_person(emails=["annika@buyer.example"]))
    assert (done.outbox_leads, done.is_shared) == (0, True)
    done = forget_in(tmp_path, read_person(keys=["1"]))
    assert (done.outbox_leads, done.is_shared) == (1, True)
    [entry] = Outbox(Folder(tmp_path), "").entries()
    assert entry.leads.column("person_id").to_pylist() == [None, "annika person_id"]


def test_again_changes_nothing_and_a_stranger_is_blocked_beforehand(holding: dict[str, Any]) -> None:
    path = folder_of(holding)
    forget_in(path, PERSON)
    before = all_text(path)
    again = forget_in(path, PERSON)
    assert (again.rows, again.outbox_leads, again.tombstones) == (0, 0, 0)
    assert all_text(path) == before
    assert forget_in(path, read_person(emails=["nobody@buyer.example"])).tombstones == 1


def test_tombstones_hold_no_clear_text_and_another_folder_cannot_use_them(holding: dict[str, Any]) -> None:
    path = folder_of(holding)
    forget_in(path, PERSON)
    tombstones = read_tombstones(Folder(path))
    assert set(tombstones.column("identity").to_pylist()) == {"email", "linkedin", "record_key"}
    assert len(folder_key(Folder(path))) == 32
    assert "buyer.example" not in str(tombstones.to_pylist())


def test_damaged_tombstones_stop_a_run_before_anything_is_sent(
    holding: dict[str, Any], sandbox: RunningSandbox
) -> None:
    path = folder_of(holding)
    forget_in(path, PERSON)
    (path / "forgotten.arrow").write_bytes(b"?")
    sent = len(leads_of(sandbox))
    with pytest.raises(StorageError, match="who was forgotten cannot be told"):
        run_singer([FIRST[0], record("contacts", id=9, email="eve@buyer.example")], holding)
    assert len(leads_of(sandbox)) == sent


def test_tombstones_without_their_key_are_a_fault_and_not_a_new_folder(tmp_path: Path) -> None:
    path = Folder(tmp_path / "folder").path
    assert forget_in(path, PERSON).tombstones == 2
    (path / "key").unlink()
    with pytest.raises(StorageError, match="key is missing"):
        folder_key(Folder(path))


def test_read_back_lists_with_the_person_go_and_their_lock_is_respected(holding: dict[str, Any]) -> None:
    path = folder_of(holding)
    list_id = read_results(path).column("list_id")[0].as_py()
    enriched = Folder(path / "enriched")
    for name in (list_id, "another"):
        (enriched.path / f"{name}.arrow").write_bytes(b"x")
    with locked(enriched, VirtualClock()), pytest.raises(FolderLocked):
        forget_in(path, PERSON)
    assert forget_in(path, PERSON).removed_files == 1
    assert sorted(file.stem for file in enriched.path.glob("*.arrow")) == ["another"]


def test_a_folder_that_a_run_holds_is_left_alone(holding: dict[str, Any]) -> None:
    path = folder_of(holding)
    with locked(Folder(path), VirtualClock()), pytest.raises(FolderLocked):
        forget_in(path, PERSON)


@pytest.mark.parametrize("given", [{}, {"emails": ["x"]}, {"profiles": ["annika"]}, {"keys": [" "]}])
def test_who_is_meant_has_to_be_said_in_a_form_that_a_lead_could_have(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        read_person(**given)
    assert CANARY not in str(refused.value)


def test_a_power_cut_at_any_storage_call_heals_by_the_same_command(
    holding: dict[str, Any], tmp_path: Path, sandbox: RunningSandbox
) -> None:
    origin = folder_of(holding)
    system = LossySystem(0)
    shutil.copytree(origin, tmp_path / "whole")
    whole = forget_in(tmp_path / "whole", PERSON, system=system)
    assert system.calls > 30
    for cut_at in range(1, system.calls + 1) if ALL else range(1 + SEED % 2, system.calls + 1, 2):
        name = f"CRASH_SEED={SEED}, cut at call {cut_at} of {system.calls}"
        path = tmp_path / str(cut_at)
        shutil.copytree(origin, path)
        cut = LossySystem(cut_at)
        with pytest.raises(PowerCutError):
            forget_in(path, PERSON, system=cut)
        cut.lose(random.Random(SEED * 10_000 + cut_at))
        is_buried = (path / "forgotten.arrow").exists()
        assert is_buried or all_text(path).count(CANARY) == all_text(origin).count(CANARY), f"{name}: tombstone first"
        healed = forget_in(path, PERSON)
        assert CANARY not in all_text(path), name
        assert healed.rows <= whole.rows, name
        columns = ["run_id", "record_no", "status", "detail", "record_key", "record", "email_fingerprint"]
        assert read_results(path, columns=columns).equals(read_results(tmp_path / "whole", columns=columns)), name
    ran = run_singer(FIRST, holding | {"results_path": str(path)})
    assert ran.column("reason")[0] == "forgotten"
