from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from made import NOW, ROWS, RUN_ID, accepted, evicted, held, make_list, refused

from target_amplemarket.delivery.deliver import Delivery, Part
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import StorageError
from target_amplemarket.leads.tables import Reason
from target_amplemarket.results.reader import read_results
from target_amplemarket.results.recovery import Recovered, Recovery, Verdict
from target_amplemarket.results.rows import RowMaker
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.services.protocol import (
    Absent,
    CannotAsk,
    Confirmation,
    EntryPage,
    Found,
    ListState,
    Unknown,
)
from target_amplemarket.storage.arrow import arrow_file
from target_amplemarket.storage.durable import Folder, System
from tests.harness import VirtualClock
from tests.storage.recorder import Recorder

FOUND = Found(("list-7",), ("https://app.seller.example/lists/7",))
FAILS = CannotAsk("refused", 403)
A, B, C = "AAAAAAAAAAAA", "BBBBBBBBBBBB", "CCCCCCCCCCCC"
LATER_RUN = "20260106T091500000000Z-aaaaaa"
FILE = f"results/{RUN_ID}/000001.arrow"


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Account:
    """A service of which only the question is needed."""

    answers: Mapping[str, Confirmation]
    asked: list[str] = field(default_factory=list)
    adds_to_lists: bool = False
    on_ask: Callable[[], None] = lambda: None

    def confirm(self, marker: str) -> Confirmation:
        self.asked.append(marker)
        self.on_ask()
        return self.answers[marker]


@dataclass
class Left:
    """A results folder that an earlier run left behind."""

    path: Path
    clock: VirtualClock = field(default_factory=VirtualClock)
    stop: threading.Event = field(default_factory=threading.Event)

    def intent(self, numbers: Sequence[int], *, marker: str = A, number: int = 1) -> None:
        Outbox(Folder(self.path), RUN_ID).write(make_list(numbers, number=number, marker=marker), b"body")

    def rows(self, *parts: Part, number: int = 1, maker: RowMaker = ROWS) -> None:
        whole = sorted(n for part in parts for n in part.lead_list.leads.column("record_no").to_pylist())
        table = maker.of_delivery(Delivery(make_list(whole), list(parts)), NOW)
        Folder(self.path).write(f"results/{RUN_ID}/{number:06d}.arrow", arrow_file(table))

    def recovery(self, system: System | None = None, results_record: str = "rejected") -> Recovery:
        folder = Folder(self.path) if system is None else Folder(self.path, system)
        return Recovery(folder, Outbox(folder, LATER_RUN), results_record, self.clock)

    def recover(
        self, answers: Mapping[str, Confirmation] | None = None, on_unknown: str = "hold", system: System | None = None
    ) -> tuple[list[Recovered], list[str]]:
        account = Account(answers or {})
        service: Any = account
        recovered = self.recovery(system).recover(service, self.stop, settle_s=180.0, on_unknown=on_unknown)
        return recovered, account.asked

    def resolve(self, marker: str, verdict: Verdict) -> Recovered:
        entry = next(e for e in Outbox(Folder(self.path), LATER_RUN).entries() if e.intent.marker == marker)
        return self.recovery().resolve(entry, verdict)

    @property
    def markers(self) -> list[str]:
        """Of the intents that are there."""
        return [entry.intent.marker for entry in Outbox(Folder(self.path), LATER_RUN).entries()]

    @property
    def table(self) -> pa.Table:
        return read_results(self.path)

    def column(self, name: str) -> dict[int, object]:
        """By record number; a record with two rows is a fault."""
        numbers = self.table.column("record_no").to_pylist()
        assert max(Counter(numbers).values(), default=1) == 1, "a record has two rows"
        return dict(zip(numbers, self.table.column(name).to_pylist(), strict=True))

    def files(self) -> dict[str, bytes]:
        return {str(f.relative_to(self.path)): f.read_bytes() for f in sorted(self.path.rglob("*.arrow"))}


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path / "folder")


def held_list(numbers: Sequence[int], marker: str) -> Part:
    return Part(make_list(numbers, marker=marker), Unknown("connection_lost", 502), 2)


# --- Nothing to ask ---------------------------------------------------------------------------------------------------


def test_an_empty_outbox_is_settled_without_waiting(left: Left) -> None:
    assert left.recover() == ([], [])
    assert left.clock.slept_s == []


@pytest.mark.step("R2")
@pytest.mark.parametrize("parts", [[accepted([1, 2, 3])], [refused([1, 2, 3])], [evicted([1]), accepted([2, 3])]])
def test_of_a_list_that_is_recorded_only_the_intent_goes(left: Left, parts: list[Part]) -> None:
    left.intent([2, 3] if len(parts) == 2 else [1, 2, 3])
    left.rows(*parts)
    before = left.files()[FILE]
    assert left.recover() == ([], [])
    assert left.files() == {FILE: before}
    assert left.clock.slept_s == []


@pytest.mark.step("R2", "R3")
def test_a_list_of_which_other_records_are_recorded_is_asked_for(left: Left) -> None:
    """Three refused rows and three leads in the outbox are the same number, not the same leads."""
    left.intent([4, 5, 6])
    left.rows(evicted([1, 2, 3]), held([4, 5, 6]))
    _, asked = left.recover({A: FOUND})
    assert asked == [A]
    assert list(left.column("status").values()) == ["rejected"] * 3 + ["accepted"] * 3


# --- Found ------------------------------------------------------------------------------------------------------------


@pytest.mark.step("R3", "R4")
def test_a_list_that_is_found_gets_its_rows_in_the_run_that_sent_it(left: Left) -> None:
    left.intent([1, 2, 3])
    [settled], asked = left.recover({A: FOUND})
    assert (settled.verdict, settled.list_id, settled.alarm) == (Verdict.SENT, "list-7", None)
    assert asked == [A]
    assert left.clock.slept_s == [180.0], "nobody knows when the last byte left"
    assert list(left.files()) == [FILE]
    assert set(left.table.column("run_id").to_pylist()) == {RUN_ID}
    assert left.column("status") == dict.fromkeys([1, 2, 3], "accepted")
    assert left.column("list_id") == dict.fromkeys([1, 2, 3], "list-7")
    assert left.column("list_name") == dict.fromkeys([1, 2, 3], make_list([1]).name)
    assert left.column("list_position") == {1: 0, 2: 1, 3: 2}
    assert None not in left.column("email_fingerprint").values()


@pytest.mark.step("R4")
def test_rows_of_a_found_list_take_the_place_of_its_held_ones_and_touch_no_other(left: Left) -> None:
    left.intent([3, 4])
    left.intent([5], marker=C)
    left.rows(accepted([1], marker=B), evicted([2]), held_list([3, 4], A), held_list([5], C))
    others = left.table.filter(pa.array([True, True, False, False, True]))
    left.recover({A: FOUND, C: FAILS})
    assert left.column("status") == {1: "accepted", 2: "rejected", 3: "accepted", 4: "accepted", 5: "held"}
    assert left.column("list_id") == {1: f"list-{B}", 2: None, 3: "list-7", 4: "list-7", 5: None}
    kept = left.table.filter(pa.array([True, True, False, False, True]))
    assert kept.to_pylist() == others.to_pylist()
    assert left.markers == [C]


@pytest.mark.step("R4")
def test_rows_of_a_found_list_are_one_rename_before_its_intent_goes(left: Left) -> None:
    left.intent([1, 2])
    left.rows(held([1, 2]))
    recorder = Recorder()
    left.recover({A: FOUND}, system=recorder)
    changes = [call for call in recorder.calls if call[0] in {"replace", "unlink"}]
    assert changes == [("replace", "000001.arrow"), ("unlink", f"000001-{A}.arrow")]


@pytest.mark.parametrize(("keep", "has_record"), [("none", False), ("rejected", False), ("all", True)])
def test_rows_of_a_found_list_keep_the_record_as_the_settings_say(left: Left, keep: str, has_record: bool) -> None:
    left.intent([1])
    left.rows(held([1]))
    service: Any = Account({A: FOUND})
    left.recovery(results_record=keep).recover(service, left.stop, settle_s=0.0, on_unknown="hold")
    assert (left.column("record")[1] is not None) == has_record


def test_a_list_that_is_found_several_times_is_an_alarm(left: Left) -> None:
    left.intent([1])
    [settled], _ = left.recover({A: Found(("list-7", "list-8"), (None, None))})
    assert settled.alarm is not None
    assert all(word in settled.alarm for word in (A, "2 times", "list-7", "list-8"))
    assert left.column("status") == {1: "accepted"}


# --- Absent -----------------------------------------------------------------------------------------------------------


@pytest.mark.step("R3", "R4")
def test_a_list_that_is_absent_twice_is_forgotten(left: Left) -> None:
    left.intent([1, 2])
    [settled], asked = left.recover({A: Absent()})
    assert settled.verdict is Verdict.ABSENT
    assert asked == [A, A]
    assert left.clock.slept_s == [180.0, 90.0]
    assert left.files() == {}


@pytest.mark.step("R4")
def test_held_rows_of_an_absent_list_say_that_it_never_arrived_and_others_stay(left: Left) -> None:
    """The leads that the API had named when it refused the whole are rows of a list of the same name."""
    left.intent([3, 4])
    left.rows(accepted([1], marker=B), evicted([2]), held([3, 4]), held_list([5], C))
    before = left.table.to_pylist()
    left.recover({A: Absent()})
    after = left.table.to_pylist()
    assert [row["record_no"] for row in after] == [1, 2, 3, 4, 5]
    assert [after[n] for n in (0, 1, 4)] == [before[n] for n in (0, 1, 4)]
    for row in after[2:4]:
        assert (row["status"], row["reason"]) == ("rejected", Reason.NOT_SENT)
        assert row["record"] is not None
        assert row["email_fingerprint"] is row["linkedin_fingerprint"] is row["version_fingerprint"] is None
    assert left.markers == []


# --- Cannot be asked --------------------------------------------------------------------------------------------------


@pytest.mark.step("R4")
def test_a_list_that_cannot_be_asked_about_stays_held_with_nothing_changed(left: Left) -> None:
    left.intent([1, 2])
    left.rows(held([1, 2]))
    before = left.files()
    [settled], _ = left.recover({A: FAILS})
    assert settled.verdict is Verdict.HELD
    assert left.files() == before


def test_with_resend_a_list_that_cannot_be_asked_about_is_freed(left: Left) -> None:
    left.intent([1, 2])
    left.rows(held([1, 2]))
    [settled], _ = left.recover({A: FAILS}, on_unknown="resend")
    assert settled.verdict is Verdict.ABSENT
    assert left.column("reason") == dict.fromkeys([1, 2], "not_sent")
    assert left.markers == []


def test_with_assume_sent_a_list_that_cannot_be_asked_about_counts_as_sent(left: Left) -> None:
    left.intent([1, 2])
    left.rows(held([1, 2]))
    [settled], _ = left.recover({A: FAILS}, on_unknown="assume_sent")
    assert settled.verdict is Verdict.SENT
    assert left.column("status") == dict.fromkeys([1, 2], "accepted")
    assert left.column("reason") == dict.fromkeys([1, 2], "outcome_unknown")
    assert left.markers == []


@pytest.mark.parametrize("on_unknown", ["hold", "resend", "assume_sent"])
def test_a_stop_leaves_everything_held_whatever_the_settings_say(left: Left, on_unknown: str) -> None:
    """Nobody was asked, so nobody could not answer."""
    left.intent([1, 2])
    left.rows(held([1, 2]))
    before = left.files()
    left.stop.set()
    [settled], asked = left.recover({A: FOUND}, on_unknown=on_unknown)
    assert (settled.verdict, asked) == (Verdict.HELD, [])
    assert left.files() == before


def test_what_was_found_before_a_stop_is_recorded(left: Left) -> None:
    left.intent([1])
    left.intent([2], marker=B)
    account = Account({A: FOUND, B: FOUND}, on_ask=left.stop.set)
    service: Any = account
    settled = left.recovery().recover(service, left.stop, settle_s=180.0, on_unknown="resend")
    assert [each.verdict for each in settled] == [Verdict.SENT, Verdict.HELD]
    assert left.markers == [B]


# --- Several lists of one number --------------------------------------------------------------------------------------


def test_halves_of_a_list_share_a_file_and_each_keeps_its_own_answer(left: Left) -> None:
    """A crash in the middle leaves the whole and both halves in the outbox; only the second half arrived."""
    for numbers, marker in (([1, 2, 3, 4], A), ([1, 2], B), ([3, 4], C)):
        left.intent(numbers, marker=marker)
    settled, _ = left.recover({A: Absent(), B: Absent(), C: FOUND})
    assert [each.verdict for each in settled] == [Verdict.ABSENT, Verdict.ABSENT, Verdict.SENT]
    assert left.column("status") == {3: "accepted", 4: "accepted"}
    assert left.markers == []


@pytest.mark.step("R2")
def test_the_whole_is_forgotten_once_both_halves_are_recorded(left: Left) -> None:
    left.intent([1, 2, 3, 4])
    left.rows(accepted([1, 2], marker=B), accepted([3, 4], marker=C))
    before = left.files()[FILE]
    assert left.recover() == ([], [])
    assert left.files() == {FILE: before}


@pytest.mark.parametrize("order", [(A, B, C), (C, B, A), (B, A, C)])
def test_a_record_has_one_row_also_when_the_whole_and_its_halves_are_all_counted_as_sent(
    left: Left, order: tuple[str, ...]
) -> None:
    for numbers, marker in zip(([1, 2, 3, 4], [1, 2], [3, 4]), order, strict=True):
        left.intent(numbers, marker=marker)
    left.recover(dict.fromkeys(order, FAILS), on_unknown="assume_sent")
    assert left.column("status") == dict.fromkeys([1, 2, 3, 4], "accepted")
    assert left.markers == []


def test_an_accepted_row_with_its_list_stays_when_more_is_counted_as_sent(left: Left) -> None:
    left.intent([1, 2, 3, 4], marker=C)
    left.intent([3, 4], marker=B)
    left.rows(accepted([1, 2], marker=A), held_list([3, 4], B))
    left.resolve(C, Verdict.SENT)
    left.resolve(B, Verdict.SENT)
    assert left.column("status") == dict.fromkeys([1, 2, 3, 4], "accepted")
    assert left.column("list_id")[1] == f"list-{A}"


def test_lists_of_other_numbers_have_files_of_their_own(left: Left) -> None:
    left.intent([1], marker=A, number=1)
    left.intent([2], marker=B, number=2)
    left.recover({A: FOUND, B: FOUND})
    assert list(left.files()) == [FILE, FILE.replace("1.arrow", "2.arrow")]
    assert left.column("status") == {1: "accepted", 2: "accepted"}


# --- Somebody has looked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_rows", [True, False])
def test_a_list_that_somebody_found_counts_as_sent_and_one_that_nobody_found_does_not(
    left: Left, has_rows: bool
) -> None:
    left.intent([1, 2])
    left.intent([3], marker=B)
    if has_rows:
        left.rows(held([1, 2]), held_list([3], B))
    assert left.resolve(A, Verdict.SENT).verdict is Verdict.SENT
    assert left.resolve(B, Verdict.ABSENT).verdict is Verdict.ABSENT
    expected = {1: "accepted", 2: "accepted"} | ({3: "rejected"} if has_rows else {})
    assert left.column("status") == expected
    assert left.markers == []


@pytest.mark.parametrize("verdict", [Verdict.SENT, Verdict.ABSENT])
def test_what_is_recorded_stays_as_it_is_whatever_somebody_says(left: Left, verdict: Verdict) -> None:
    left.intent([2])
    left.rows(evicted([1]), accepted([2]))
    before = left.table.to_pylist()
    left.resolve(A, verdict)
    assert left.table.to_pylist() == before
    assert left.markers == []


# --- Faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [f"outbox/000001-{A}.arrow", FILE])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_file_stops_recovery_with_nothing_lost(left: Left, name: str, damage: str) -> None:
    left.intent([1, 2])
    left.intent([3], marker=B)
    left.rows(held([1, 2]))
    file = left.path / name
    content = file.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    file.write_bytes({"cut": content[:middle], "flipped": flipped, "empty": b""}[damage])
    before = left.files()
    with pytest.raises(StorageError, match="restore"):
        left.recover({A: FOUND, B: FOUND})
    assert left.files() == before
    file.write_bytes(content)
    left.recover({A: FOUND, B: FOUND})
    assert left.column("status") == {1: "accepted", 2: "accepted", 3: "accepted"}


@pytest.mark.parametrize("answer", [FOUND, Absent()])
def test_a_disk_that_fails_stops_recovery_and_the_intent_stays(left: Left, answer: Confirmation) -> None:
    left.intent([1, 2])
    left.rows(held([1, 2]))
    before = left.files()
    with pytest.raises(StorageError):
        left.recover({A: answer}, system=Recorder(fail_at=2, lasting=True))
    assert left.files() == before


class Dying(Recorder):
    """The process dies before its call with this number; how many writes a file takes is left out of the count."""

    def __init__(self, die_at: int) -> None:
        super().__init__()
        self.count = 0
        self.at_call = self._count
        self._die_at = die_at

    def _count(self, name: str, _path: str) -> None:
        self.count += name != "write"
        if self.count >= self._die_at:
            raise Killed


def world_of_three(left: Left) -> dict[str, Confirmation]:
    """One list that arrived, one that did not, one that is recorded; held rows, and rows of others beside them."""
    left.intent([2, 3], marker=A)
    left.intent([4, 5], marker=B)
    left.intent([6], marker=C, number=2)
    left.rows(evicted([1]), held_list([2, 3], A), held_list([4, 5], B))
    left.rows(accepted([6], marker=C), number=2)
    return {A: FOUND, B: Absent()}


@pytest.mark.step("R1", "R2", "R3", "R4")
def test_recovery_that_is_killed_before_any_of_its_effects_ends_as_if_it_was_not(tmp_path: Path) -> None:
    straight = Left(tmp_path / "straight")
    answers = world_of_three(straight)
    counting = Dying(die_at=1_000_000)
    straight.recover(answers, system=counting)
    expected = [straight.column(name) for name in ("status", "reason", "list_id", "list_position", "record")]
    assert expected[0] == {1: "rejected", 2: "accepted", 3: "accepted", 4: "rejected", 5: "rejected", 6: "accepted"}
    assert counting.count > 20
    for die_at in range(1, counting.count + 1):
        left = Left(tmp_path / f"killed-{die_at}")
        world_of_three(left)
        with pytest.raises(Killed):
            left.recover(answers, system=Dying(die_at))
        assert set(left.column("status")) == {1, 2, 3, 4, 5, 6}, "rows were lost"
        Folder(left.path).remove_temporary_files()
        left.recover(answers)
        found = [left.column(name) for name in ("status", "reason", "list_id", "list_position", "record")]
        assert found == expected, f"killed at call {die_at}"
        assert left.markers == []


def test_an_absent_list_whose_recovery_was_killed_may_still_turn_out_to_be_there(left: Left) -> None:
    """Its rows say `not_sent`, its intent is there: what the API says later counts."""
    left.intent([1, 2])
    left.rows(held([1, 2]))

    class DiesAtUnlink(Recorder):
        def unlink(self, path: Path, /) -> None:
            raise Killed

    with pytest.raises(Killed):
        left.recover({A: Absent()}, system=DiesAtUnlink())
    assert left.column("reason") == dict.fromkeys([1, 2], "not_sent")
    _, asked = left.recover({A: FOUND})
    assert asked == [A]
    assert left.column("status") == dict.fromkeys([1, 2], "accepted")


# --- Lists that several calls fill ------------------------------------------------------------------------------------


@dataclass
class Filled(Account):
    """A service whose lists may hold some of their leads."""

    present: Sequence[int] = ()
    adds_to_lists: bool = True

    def entries(self, list_id: str) -> list[EntryPage]:
        profiles = [f"https://www.linkedin.com/in/canary-{number}" for number in self.present]
        rows = [{"entry_id": f"own-{url[-1]}", "linkedin_url": url} for url in profiles]
        table = pa.Table.from_pylist([{n: row.get(n) for n in ENTRIES.names} for row in rows], schema=ENTRIES)
        return [EntryPage(ListState("completed", None), table)]


def recover_filled(left: Left, present: Sequence[int]) -> Recovered:
    service: Any = Filled({A: FOUND}, present=present)
    [recovered] = left.recovery().recover(service, left.stop, settle_s=180.0, on_unknown="hold")
    return recovered


@pytest.mark.step("R3", "R4")
def test_of_a_list_that_holds_some_of_its_leads_the_others_are_freed(left: Left) -> None:
    left.intent([1, 2, 3, 4])
    left.rows(accepted([1]), held([2, 3, 4]))
    recovered = recover_filled(left, [3, 1])
    assert (recovered.verdict, recovered.present_count, recovered.is_freed) == (Verdict.SENT, 2, True)
    assert left.column("status") == {1: "accepted", 2: "rejected", 3: "accepted", 4: "rejected"}
    assert left.column("reason") == {1: None, 2: "not_sent", 3: None, 4: "not_sent"}
    assert left.column("attempt")[1] == 1, "the row that is settled stays as it is"
    assert left.markers == []
    assert left.clock.slept_s == [180.0, 90.0]


@pytest.mark.step("R3", "R4")
def test_after_a_crash_without_rows_those_who_are_there_get_one_and_the_others_come_again(left: Left) -> None:
    left.intent([1, 2, 3])
    recovered = recover_filled(left, [2])
    assert left.column("status") == {2: "accepted"}
    assert (recovered.present_count, recovered.is_freed) == (1, True)


@pytest.mark.step("R3", "R4")
@pytest.mark.parametrize(("present", "is_freed"), [([1, 2, 3], False), ([], True)])
def test_a_list_that_holds_all_or_nobody_is_one_that_arrived_or_did_not(
    left: Left, present: list[int], is_freed: bool
) -> None:
    left.intent([1, 2, 3])
    left.rows(held([1, 2, 3]))
    recovered = recover_filled(left, present)
    assert recovered.is_freed is is_freed
    assert recovered.verdict is (Verdict.ABSENT if is_freed else Verdict.SENT)
    assert set(left.column("status").values()) == {"rejected" if is_freed else "accepted"}


@pytest.mark.step("R4")
def test_a_lead_that_was_refused_stays_so_whatever_becomes_of_the_others(left: Left) -> None:
    """The intent holds the leads of all calls, also those that the API refused."""
    left.intent([1, 2, 3])
    left.rows(evicted([1]), held([2, 3]))
    left.resolve(A, Verdict.SENT)
    assert left.column("status") == {1: "rejected", 2: "accepted", 3: "accepted"}


@pytest.mark.step("R4")
def test_leads_of_calls_that_were_never_made_are_not_counted_as_sent(left: Left) -> None:
    """The second of three calls is held: who was to go in the third has no row, and comes again."""
    left.intent([1, 2, 3, 4, 5])
    left.rows(accepted([1]), held([2, 3]))
    left.resolve(A, Verdict.SENT)
    assert left.column("status") == {1: "accepted", 2: "accepted", 3: "accepted"}
    assert left.markers == []


def test_somebody_who_is_in_a_list_twice_is_an_alarm(left: Left) -> None:
    left.intent([1, 2])
    recovered = recover_filled(left, [1, 2, 2])
    assert recovered.entry_count == 3
    assert recovered.alarm is not None
    assert "more than once" in recovered.alarm


@pytest.mark.step("R4")
@pytest.mark.parametrize(("present", "expected"), [([1, 3], {1: "accepted", 3: "accepted"}), ([], {})])
def test_a_list_that_a_person_saw_is_read_back_for_whom_it_holds(
    left: Left, present: list[int], expected: dict[int, str]
) -> None:
    """Killed in the middle of its calls: nothing but the list knows whom it took."""
    left.intent([1, 2, 3])
    [entry] = Outbox(Folder(left.path), LATER_RUN).entries()
    service: Any = Filled({A: FOUND}, present=present)
    left.recovery().resolve(entry, Verdict.SENT, service)
    assert left.column("status") == expected
    assert left.markers == []


def test_a_list_that_a_person_saw_and_nobody_can_read_counts_as_sent(left: Left) -> None:
    left.intent([1, 2])
    [entry] = Outbox(Folder(left.path), LATER_RUN).entries()
    service: Any = Filled({A: FAILS})
    assert left.recovery().resolve(entry, Verdict.SENT, service).verdict is Verdict.SENT
    assert left.column("status") == dict.fromkeys([1, 2], "accepted")
