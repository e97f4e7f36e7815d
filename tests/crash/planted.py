"""Defects on purpose: with any of them in the program, the proof has to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from target_amplemarket import runner
from target_amplemarket.delivery import deliver
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.pipeline import Pipeline
from target_amplemarket.results import recovery
from target_amplemarket.results.recovery import Recovery
from target_amplemarket.services.protocol import Absent, NotSent, Unknown
from target_amplemarket.storage.durable import Folder
from tests.crash.effects import CountedService, Effects


def _send_before_outbox(_: Effects) -> None:
    write, send = Outbox.write, CountedService.send
    late: list[Callable[[], object]] = []

    def later(self: Outbox, lead_list: Any, body: bytes) -> str:
        late.append(lambda: write(self, lead_list, body))
        return f"outbox/{lead_list.number:06d}-{lead_list.marker}.arrow"

    def then(self: CountedService, body: bytes) -> Any:
        outcome = send(self, body)
        while late:
            late.pop()()
        return outcome

    Outbox.write = later  # type: ignore[method-assign]
    CountedService.send = then  # type: ignore[method-assign]


def _state_before_rows(_: Effects) -> None:
    record = Pipeline._record

    def early(self: Pipeline, delivery: Any) -> None:
        self.watermark.release(delivery.lead_list.number)
        self._release_state()
        record(self, delivery)

    Pipeline._record = early  # type: ignore[method-assign]


def _outbox_removed_before_rows(_: Effects) -> None:
    record = Pipeline._record

    def early(self: Pipeline, delivery: Any) -> None:
        for name in delivery.outbox_files:
            self.outbox.remove(name)
        record(self, delivery)

    Pipeline._record = early  # type: ignore[method-assign]


def _no_fsync_of_files(effects: Effects) -> None:
    fsync = effects.fsync
    effects.fsync = lambda d, /: fsync(d) if effects._paths[d].is_dir() else None  # type: ignore[method-assign]


def _no_fsync_of_folders(_: Effects) -> None:
    Folder._sync_folder = lambda self, path: None  # type: ignore[method-assign]


def _recovery_skipped(_: Effects) -> None:
    runner._Run.recover = lambda self, outbox: []  # type: ignore[method-assign]


def _recovery_forgets(_: Effects) -> None:
    def recover(self: runner._Run, outbox: Outbox) -> list[Any]:
        for entry in outbox.entries():
            outbox.remove(entry.file_name)
        return []

    runner._Run.recover = recover  # type: ignore[method-assign]


def _recovery_believes_absent(_: Effects) -> None:
    recovery.reconcile = lambda markers, *_, **__: dict.fromkeys(markers, Absent())  # type: ignore[assignment]


def _recovery_removes_before_rows(_: Effects) -> None:
    record = Recovery._record

    def early(self: Recovery, entry: Any, part: Any) -> None:
        self.outbox.remove(entry.file_name)
        record(self, entry, part)

    Recovery._record = early  # type: ignore[method-assign]


def _ledger_forgets(_: Effects) -> None:
    known = runner.known_people
    runner.known_people = lambda folder, entries, **named: known(  # type: ignore[assignment]
        Folder(folder.path / "nowhere"), entries, **named
    )


def _unknown_taken_for_not_sent(_: Effects) -> None:
    send = CountedService.send

    def sure(self: CountedService, body: bytes) -> Any:
        outcome = send(self, body)
        return NotSent("connect_failed") if isinstance(outcome, Unknown) else outcome

    CountedService.send = sure  # type: ignore[method-assign]


def _resent_unasked(_: Effects) -> None:
    deliver.reconcile = lambda markers, *_, **__: dict.fromkeys(markers, Absent())  # type: ignore[assignment]


PLANTED: Final[dict[str, Callable[[Effects], None]]] = {
    "send before outbox": _send_before_outbox,
    "STATE before rows": _state_before_rows,
    "outbox removed before rows": _outbox_removed_before_rows,
    "no fsync of files": _no_fsync_of_files,
    "no fsync of folders": _no_fsync_of_folders,
    "recovery skipped": _recovery_skipped,
    "recovery forgets": _recovery_forgets,
    "recovery believes absent": _recovery_believes_absent,
    "recovery removes before rows": _recovery_removes_before_rows,
    "ledger forgets": _ledger_forgets,
    "unknown taken for not sent": _unknown_taken_for_not_sent,
    "resent unasked": _resent_unasked,
}
"""By what they do; the last two need faults of the server."""


# --- Where calls add to lists -----------------------------------------------------------------------------------------


def _found_list_taken_for_whole(_: Effects) -> None:
    def unread(marker: str, leads: Any, service: Any) -> Any:
        return service.confirm(marker)

    deliver.look = recovery.look = unread


def _all_sent_again_instead_of_the_missing(_: Effects) -> None:
    take = deliver._Course._take_found

    def whole(self: Any, current: Any, found: Any) -> Any:
        return current if not found.is_whole else take(self, current, found)

    deliver._Course._take_found = whole  # type: ignore[method-assign]


def _intent_removed_after_the_first_call(_: Effects) -> None:
    step = deliver._Course.step

    def forgetful(self: Any, current: Any) -> None:
        step(self, current)
        for name in self.delivery.outbox_files:
            self.sender.outbox.remove(name)

    deliver._Course.step = forgetful  # type: ignore[method-assign]


def _intent_of_the_first_call_only(_: Effects) -> None:
    def write(self: Any, current: Any, body: bytes) -> str:
        if current.marker not in self.files:
            self.files[current.marker] = self.sender.outbox.write(current, body)
        name: str = self.files[current.marker]
        return name

    deliver._Course._write_intent = write  # type: ignore[method-assign]


def _recovery_frees_who_is_there(_: Effects) -> None:
    take = Recovery._take_found

    def free(self: Recovery, entry: Any, found: Any) -> Any:
        return take(self, entry, found) if found.is_whole else self._free(entry)

    Recovery._take_found = free  # type: ignore[method-assign]


ADDING: Final[dict[str, Callable[[Effects], None]]] = {
    "found list taken for whole": _found_list_taken_for_whole,
    "all sent again instead of the missing": _all_sent_again_instead_of_the_missing,
    "intent removed after the first call": _intent_removed_after_the_first_call,
    "intent of the first call only": _intent_of_the_first_call_only,
    "recovery frees who is there": _recovery_frees_who_is_there,
}
"""The same, of lists that are filled by several calls; the second needs a call that is committed in part."""
