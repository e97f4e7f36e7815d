"""Following lists to their end against the sandbox, on a clock that moves the sandbox's time along."""

from __future__ import annotations

import json
import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from target_amplemarket.config import read_settings
from target_amplemarket.errors import (
    ApiUnreachable,
    CollectStopped,
    FolderLocked,
    ListsUnfinished,
    RefusedByApi,
    SettingsError,
    StorageError,
)
from target_amplemarket.results import collect as module
from target_amplemarket.results.collect import Collected, collect, read_collected
from target_amplemarket.results.enriched import ENRICHED, ENRICHED_DESCRIPTIONS, enriched_files, read_enriched
from target_amplemarket.results.forget import Person, forget_in
from target_amplemarket.results.forgotten import TOMBSTONES, write_tombstones
from target_amplemarket.results.reader import read_results
from target_amplemarket.sandbox import RunningSandbox
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.services.protocol import Account, CannotAsk, EntryPage, ListState
from target_amplemarket.storage.durable import Folder
from target_amplemarket.storage.lock import locked
from tests.harness import Ran, VirtualClock, contacts, record, run_singer, schema

PAID = {"enrich": True, "validate_email": True, "reveal_phone_numbers": True}
ONE_LIST = "GET /lead-lists/{id}"


class SharedClock(VirtualClock):
    """Sleeping puts the sandbox's time forward, too."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        super().__init__()
        self._sandbox = sandbox
        self.on_sleep: Callable[[float], None] = lambda _: None

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        before = self.monotonic_s()
        super().sleep(duration_s, wake)
        self._sandbox.advance(self.monotonic_s() - before)
        self.on_sleep(duration_s)


@pytest.fixture
def clock(sandbox: RunningSandbox) -> SharedClock:
    return SharedClock(sandbox)


@pytest.fixture
def send(settings: dict[str, Any], clock: SharedClock) -> Callable[..., Ran]:
    """Send people in lists of two, with all that is paid for."""

    def run(messages: Any, **changed: Any) -> Ran:
        ran = run_singer(messages, settings | PAID | {"batch_size_rows": 2} | changed, clock=clock)
        assert ran.error is None
        return ran

    return run


@pytest.fixture
def call(settings: dict[str, Any], clock: SharedClock) -> Callable[..., Collected]:
    def collect_with(**options: Any) -> Collected:
        changed = options.pop("settings", {})
        return collect(read_settings(settings | changed), clock=options.pop("clock", clock), **options)

    return collect_with


def entries(settings: dict[str, Any]) -> pa.Table:
    return pa.concat_tables([ENRICHED.empty_table(), *read_collected(Path(settings["results_path"]))])


def ask_count(sandbox: RunningSandbox) -> int:
    return sum(seen.method == "GET" and seen.path.startswith("/lead-lists/") for seen in sandbox.requests())


# --- What is collected ------------------------------------------------------------------------------------------------


def test_every_entry_stands_beside_the_record_it_came_from(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any]
) -> None:
    send(contacts(5))
    done = call(wait_s=60)
    assert (len(done.written), done.open, done.failed) == (3, [], {})
    found = entries(settings)
    emails = dict(zip(found.column("record_no").to_pylist(), found.column("email").to_pylist(), strict=True))
    assert emails == {number: f"person{number}@acme.example" for number in range(1, 6)}
    keys = {json.loads(key)["id"] for key in found.column("record_key").to_pylist()}
    assert keys == {1, 2, 3, 4, 5}
    rows = read_results(settings["results_path"])
    assert set(found.column("run_id").to_pylist()) == set(rows.column("run_id").to_pylist())
    assert set(found.column("matched_by").to_pylist()) == {"email"}
    assert set(found.column("list_status").to_pylist()) == {"completed"}
    assert set(found.column("owner").to_pylist()) == {"dana@northwind.example"}
    assert set(found.column("email_validation_result").to_pylist()) <= {
        "deliverable", "risky", "undeliverable", "unknown",
    }  # fmt: skip
    assert set(found.column("data").to_pylist()) == {"{}"}
    times = [read_enriched(file)[1].collected_at for file in done.written]
    assert times == sorted(set(times))


def test_files_are_for_the_owner_only_and_their_columns_are_explained(
    send: Callable[..., Ran], call: Callable[..., Collected]
) -> None:
    send(contacts(1))
    [file] = call(wait_s=60).written
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(ENRICHED_DESCRIPTIONS) == ENRICHED.names


def test_a_list_that_was_collected_is_not_asked_for_again_unless_it_is_named(
    send: Callable[..., Ran], call: Callable[..., Collected], sandbox: RunningSandbox
) -> None:
    send(contacts(4))
    first = call(wait_s=60).written
    asked = len(sandbox.requests())
    assert call(wait_s=60).written == []
    assert len(sandbox.requests()) == asked, "nothing to collect, nothing to ask"
    again = call(lists=[first[0].stem]).written
    assert again == [first[0]]
    assert read_enriched(first[0])[1].collected_at > read_enriched(first[1])[1].collected_at
    with pytest.raises(SettingsError, match="not among the lists that were sent"):
        call(lists=["0199c3d4-0001-7abc-8def-1234567890ab"])


def test_the_lists_of_one_run(send: Callable[..., Ran], call: Callable[..., Collected]) -> None:
    first, second = send(contacts(1)), send(contacts(1, first=2))
    for run_id in (second.summary.run_id, first.summary.run_id):
        [file] = call(run=run_id, wait_s=60).written
        assert read_enriched(file)[1].run_id == run_id


def test_all_three_kinds_of_lists_join_whatever_enrichment_added(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    sandbox.set(found_percent=100)
    people = [
        record("people", id=1, linkedin_url="linkedin.com/in/Ada-Alder/?trk=x", email="Ada@Acme.example"),
        record("people", id=2, email="INFO@acme.example", title="Buyer"),
        record("people", id=3, title="  Head of\u00a0Sales ", company_name="Northwind GmbH"),
        record("people", id=4, title="Plant Manager", company_domain="https://www.northwind-tools.com/about"),
    ]
    send([schema("people", "linkedin_url", "email", "title", "company_name", "company_domain"), *people])
    call(wait_s=60)
    found = entries(settings)
    pairs = dict(zip(found.column("record_no").to_pylist(), found.column("matched_by").to_pylist(), strict=True))
    assert pairs == {1: "linkedin", 2: "email", 3: "title_company", 4: "title_company"}
    assert None not in found.column("person_id").to_pylist()


def test_the_order_of_entries_means_nothing(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    sandbox.set(entry_order="mixed", entry_page_size=2)
    send(contacts(5), batch_size_rows=5)
    call(wait_s=60)
    found = entries(settings)
    assert found.column("record_no").to_pylist() == [5, 4, 3, 2, 1]
    assert found.column("email").to_pylist() == [f"person{number}@acme.example" for number in (5, 4, 3, 2, 1)]


def test_a_canceled_list_is_collected_as_what_it_is(
    send: Callable[..., Ran], call: Callable[..., Collected], sandbox: RunningSandbox
) -> None:
    sandbox.set(canceled_percent=100)
    send(contacts(2))
    [file] = call(wait_s=60).written
    rows, facts = read_enriched(file)
    assert (facts.list_status, rows.num_rows) == ("canceled", 2)
    assert rows.column("person_id").null_count == 2


def test_a_list_with_the_wrapper_that_two_clients_know(
    send: Callable[..., Ran], call: Callable[..., Collected], sandbox: RunningSandbox
) -> None:
    sandbox.set(list_wrapped=True, entry_page_size=1)
    send(contacts(2))
    [file] = call(wait_s=60).written
    assert read_enriched(file)[0].num_rows == 2


# --- Waiting ----------------------------------------------------------------------------------------------------------


def test_without_waiting_each_list_is_asked_for_once(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox
) -> None:
    send(contacts(3))
    clock.slept_s.clear()
    done = call()
    assert (len(done.written), len(done.open)) == (0, 2)
    assert ask_count(sandbox) == 2
    assert clock.slept_s == []
    with pytest.raises(ListsUnfinished, match="2 still processed") as raised:
        done.check()
    assert raised.value.exit_code == 7


def test_pauses_grow_and_waiting_ends_when_the_time_is_over(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox
) -> None:
    sandbox.set(queued_seconds=10_000)
    send(contacts(1))
    clock.slept_s.clear()
    done = call(wait_s=200)
    assert clock.slept_s == [5, 10, 20, 40, 60, 60]
    assert len(done.open) == 1


def test_retry_after_is_honoured_where_it_is_longer_than_the_pause(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox
) -> None:
    sandbox.set(queued_seconds=10_000, poll_retry_after_seconds=45)
    send(contacts(1))
    clock.slept_s.clear()
    call(wait_s=100)
    assert clock.slept_s == [45, 45]


def test_one_budget_for_all_calls(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox
) -> None:
    send(contacts(40))
    clock.sleep(60)
    start_s = clock.monotonic_s()
    assert len(call(settings={"requests_per_minute": 10}).written) == 20
    assert clock.monotonic_s() - start_s > 60 * (2 * 20 - 10) / 10


def test_a_second_collect_at_the_same_time_leaves_and_a_run_does_not_keep_it_out(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any], clock: SharedClock
) -> None:
    send(contacts(1))
    folder = Folder(Path(settings["results_path"]))
    with locked(folder, clock):
        assert len(call(wait_s=60).written) == 1
    with locked(Folder(folder.path / "enriched"), clock), pytest.raises(FolderLocked):
        call()


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_a_429_is_waited_for_by_its_own_word(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox
) -> None:
    send(contacts(1))
    clock.sleep(60)
    clock.slept_s.clear()
    sandbox.set(faults=[f"rate_limited:seconds=37,times=1,endpoint={ONE_LIST}"])
    assert len(call().written) == 1
    assert max(clock.slept_s) >= 37


@pytest.mark.parametrize("fault", ["server_error:status=503", "truncated_answer", "reset_before_reading"])
def test_a_call_that_fails_now_and_then_is_repeated(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox, fault: str
) -> None:
    sandbox.set(entry_page_size=1)
    send(contacts(6))
    clock.sleep(60)
    sandbox.set(faults=[f"{fault}{',' if ':' in fault else ':'}every=3,endpoint={ONE_LIST}"])
    done = call()
    assert (len(done.written), done.failed) == (3, {})


def test_an_api_that_is_down_ends_it_after_some_lists_and_the_next_call_goes_on(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox
) -> None:
    send(contacts(10))
    clock.sleep(60)
    sandbox.set(faults=[f"server_error:status=503,skip=2,endpoint={ONE_LIST}"])
    with pytest.raises(ApiUnreachable, match="3 lists in a row") as raised:
        call()
    assert raised.value.exit_code == 4
    sandbox.set(faults=[])
    assert len(call().written) == 4, "one of five was there before"


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_key_that_is_refused_ends_it_with_4(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox, status: str
) -> None:
    send(contacts(1))
    clock.sleep(60)
    sandbox.set(api_key="another", unauthorized_status=status)
    with pytest.raises(RefusedByApi) as raised:
        call()
    assert raised.value.exit_code == 4


def test_a_list_that_is_not_found_is_gone_after_a_day_and_not_before(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox
) -> None:
    send(contacts(1))
    sandbox.reset()
    done = call()
    assert list(done.failed.values()) == ["refused, HTTP 404"]
    with pytest.raises(ListsUnfinished, match="1 that could not be read"):
        done.check()
    clock.sleep(86_400)
    [file] = call().written
    rows, facts = read_enriched(file)
    assert (rows.num_rows, facts.list_status, facts.missing) == (0, "gone", 1)
    assert call().written == []


def test_a_folder_of_another_account_is_refused_before_its_lists_seem_gone(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock, sandbox: RunningSandbox
) -> None:
    send(contacts(1))
    clock.sleep(90_000)
    sandbox.set(seed=2)
    with pytest.raises(SettingsError, match="another account"):
        call()


class Pages:
    """A service that answers from a script: each reading of the entries is the next of these lists of pages."""

    def __init__(self, *readings: list[list[str]], status: str = "completed") -> None:
        self.readings = list(readings)
        self.status = status
        self.requests: dict[str, int] = {}

    def account(self) -> Account:
        return Account("", None)

    def list_state(self, list_id: str) -> ListState | CannotAsk:
        return ListState(self.status, "dana@northwind.example")

    def entries(self, list_id: str) -> Iterator[EntryPage | CannotAsk]:
        for emails in self.readings.pop(0):
            columns = {"entry_id": [email.partition("@")[0] for email in emails], "email": emails}
            rows = [pa.array(columns.get(name, [None] * len(emails)), pa.string()) for name in ENTRIES.names]
            yield EntryPage(ListState("completed", None), pa.Table.from_arrays(rows, schema=ENTRIES))

    def close(self) -> None:
        pass


ONE, TWO, THREE, FOUR = (f"person{number}@acme.example" for number in range(1, 5))


def test_entries_that_change_their_order_while_they_are_read_are_read_again(
    send: Callable[..., Ran], call: Callable[..., Collected]
) -> None:
    send(contacts(4), batch_size_rows=4)
    moved = [[ONE, TWO], [TWO, FOUR]]  # the third slipped before the page
    [file] = call(service=Pages(moved, [[ONE, THREE], [TWO, FOUR]])).written
    assert sorted(read_enriched(file)[0].column("record_no").to_pylist()) == [1, 2, 3, 4]


def test_entries_that_never_keep_still_are_not_written(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any]
) -> None:
    send(contacts(4), batch_size_rows=4)
    moved = [[ONE, TWO], [TWO, FOUR]]
    done = call(service=Pages(moved, moved, moved))
    assert list(done.failed.values()) == ["entries_change"]
    assert enriched_files(settings["results_path"]) == []


def test_fewer_entries_than_leads_count_once_two_readings_agree(
    send: Callable[..., Ran], call: Callable[..., Collected]
) -> None:
    send(contacts(4), batch_size_rows=4)
    [file] = call(service=Pages([[ONE, TWO]], [[ONE, TWO, THREE]], [[ONE, TWO, THREE]])).written
    assert read_enriched(file)[1].missing == 1


def test_a_status_that_nobody_knows_means_not_ended(send: Callable[..., Ran], call: Callable[..., Collected]) -> None:
    send(contacts(1))
    assert len(call(service=Pages(status="paused")).open) == 1


def test_an_entry_of_nobody_is_kept_and_counted(send: Callable[..., Ran], call: Callable[..., Collected]) -> None:
    send(contacts(2))
    [file] = call(service=Pages([[TWO, "stranger@elsewhere.example"]])).written
    rows, facts = read_enriched(file)
    assert rows.select(["record_no", "matched_by"]).to_pylist() == [
        {"record_no": 2, "matched_by": "email"}, {"record_no": None, "matched_by": "nobody"},
    ]  # fmt: skip
    assert facts.missing == 1


def test_the_same_person_twice_in_a_list_is_told_apart_by_a_key_that_was_sent_along(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any]
) -> None:
    twice = [record("c", id=1, email=ONE, title="Buyer"), record("c", id=2, email=ONE, title="Head of Buying")]
    messages = [schema("c", "email", "title"), *twice]
    send(messages, load_method="append-only", extra_fields=["id"])
    call(wait_s=60)
    found = entries(settings)
    assert sorted(found.column("record_no").to_pylist()) == [1, 2]
    assert found.column("matched_by").to_pylist() == ["record_key"] * 2


def test_the_same_person_twice_in_a_list_without_a_key_is_nobodys(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any]
) -> None:
    twice = [record("c", id=1, email=ONE, title="Buyer"), record("c", id=2, email=ONE, title="Head of Buying")]
    send([schema("c", "email", "title"), *twice], load_method="append-only")
    call(wait_s=60)
    found = entries(settings)
    assert found.column("matched_by").to_pylist() == ["several"] * 2
    assert found.column("record_no").null_count == 2


def test_a_stop_between_two_lists_keeps_what_is_written(
    send: Callable[..., Ran],
    settings: dict[str, Any],
    clock: SharedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(contacts(6))
    clock.sleep(60)
    requests: list[Any] = []
    make = module.StopRequest
    monkeypatch.setattr(module, "StopRequest", lambda: requests.append(make()) or requests[-1])
    with pytest.raises(CollectStopped) as raised:
        collect(read_settings(settings), clock=clock, take=lambda _: requests[-1].request(15))
    assert raised.value.exit_code == 143
    assert "the lists written so far stay" in str(raised.value)
    assert len(enriched_files(settings["results_path"])) == 1
    assert len(collect(read_settings(settings), clock=clock).written) == 2


def test_a_file_that_a_beginning_run_cleared_away_is_written_again(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any], clock: SharedClock
) -> None:
    send(contacts(1))
    clock.sleep(60)
    results = Folder(Path(settings["results_path"]))
    cleared = []

    class Clearing:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def replace(self, source: Path, target: Path) -> None:
            if not cleared:
                cleared.append(source)
                results.remove_temporary_files()
            source.replace(target)

    assert len(call(system=Clearing()).written) == 1
    assert len(cleared) == 1


def test_a_damaged_file_is_named(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any]
) -> None:
    send(contacts(1))
    [file] = call(wait_s=60).written
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StorageError, match="remove it and `collect` reads it anew"):
        call()
    file.unlink()
    assert len(call().written) == 1


def test_a_full_list_is_read_in_bounded_memory(
    send: Callable[..., Ran], call: Callable[..., Collected], clock: SharedClock
) -> None:
    send(contacts(10_000), batch_size_rows=10_000)
    clock.sleep(60)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [file] = call().written
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000
    rows, facts = read_enriched(file)
    assert (rows.num_rows, facts.missing) == (10_000, 0)
    numbers = rows.column("record_no").to_pylist()
    assert sorted(numbers) == list(range(1, 10_001))


class Several(Pages):
    """Everybody has another e-mail first, as a service of records about people may show them."""

    def entries(self, list_id: str) -> Iterator[EntryPage | CannotAsk]:
        for page in super().entries(list_id):
            assert isinstance(page, EntryPage)
            rows = page.entries.to_pylist()
            for row in rows:
                first = f"first-{row['email']}"
                row |= {"email": first, "data": json.dumps({"emails": [first, row["email"]]})}
            yield EntryPage(page.state, pa.Table.from_pylist(rows, schema=ENTRIES))


def test_somebody_with_several_emails_is_known_by_each_of_them(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any]
) -> None:
    send(contacts(2))
    service = Several([[ONE, TWO]], [[ONE, TWO]])
    [file] = call(service=service).written
    rows, facts = read_enriched(file)
    assert rows.column("record_no").to_pylist() == [1, 2]
    assert (rows.column("matched_by").to_pylist(), facts.missing) == (["email", "email"], 0)
    forget_in(Path(settings["results_path"]), Person(emails=(ONE,)))
    [file] = call(service=service).written
    assert read_enriched(file)[0].column("record_no").to_pylist() == [2]
    assert b"person1@" not in file.read_bytes()


def test_people_who_were_forgotten_are_left_out(
    send: Callable[..., Ran], call: Callable[..., Collected], settings: dict[str, Any]
) -> None:
    send(contacts(2))
    path = Path(settings["results_path"])
    prints = dict(
        zip(*(read_results(path).column(name).to_pylist() for name in ("record_no", "email_fingerprint")), strict=True)
    )
    at = datetime(2026, 1, 5, tzinfo=UTC)
    row = {"person": "x", "identity": "email", "fingerprint": prints[1], "forgotten_at": at}
    write_tombstones(Folder(path), pa.Table.from_pylist([row], schema=TOMBSTONES))
    [file] = call(wait_s=60).written
    rows, facts = read_enriched(file)
    assert rows.column("record_no").to_pylist() == [2]
    assert facts.forgotten == 1
    assert b"person1@" not in file.read_bytes()
