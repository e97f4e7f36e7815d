"""The one loop: messages in, lead lists out, result rows on disk, STATE released."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from target_amplemarket.clock import Clock
from target_amplemarket.delivery.deliver import Delivery
from target_amplemarket.delivery.in_flight import InFlight
from target_amplemarket.delivery.rehearsal import Rehearsal
from target_amplemarket.errors import GuardStop, InputError, ListsHeld, Stopped, TargetError
from target_amplemarket.leads.tables import Status
from target_amplemarket.lists.credits import Prices
from target_amplemarket.lists.grouping import OpenLists
from target_amplemarket.lists.guards import Breaker, Ceilings
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.recording import Recorder
from target_amplemarket.results.swings import SwingGuard
from target_amplemarket.singer.arrow_run import ArrowRun
from target_amplemarket.singer.messages import Message
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.taking import Taker

LOGGER: Final = logging.getLogger("target-amplemarket")

_PROGRESS_EVERY_S: Final = 5.0
_PATIENCE_AFTER_SIGNAL_S: Final = 25.0
"""How long answers under way are awaited after a signal; schedulers commonly kill after 30."""


@dataclass(slots=True)
class Pipeline:
    """A run and everything it touches; every effect is passed in."""

    taker: Taker
    recorder: Recorder
    open_lists: OpenLists
    in_flight: InFlight | Rehearsal
    prices: Prices
    breaker: Breaker
    ceilings: Ceilings
    clock: Clock
    stop: StopRequest
    swings: SwingGuard = field(default_factory=SwingGuard)
    is_dry: bool = False
    _held_back: list[LeadList] = field(default_factory=list)
    _is_quoted: bool = False
    _progress_at_s: float = 0.0

    def run(self, messages: Iterable[Message | ArrowRun]) -> None:
        """Take messages until they end; on return every record has a durable row and the last STATE has left.

        Raises:
            InputError: What came before the fault is settled.
            GuardStop: What came before a ceiling is settled; past the breaker what was under way is.
            TargetError: What was under way is recorded; STATE covers what is settled.
        """
        self._progress_at_s = self.clock.monotonic_s()
        try:
            fault = self._settle(self._read(messages))
        except BaseException:
            self.stop.event.set()
            self._record_under_way()
            raise
        finally:
            self.in_flight.close()
        if fault is not None:
            raise fault
        self._finish()

    def _read(self, messages: Iterable[Message | ArrowRun]) -> InputError | GuardStop | None:
        """Take messages to their end, to a ceiling, or to a fault of the input or a guard, which is returned."""
        try:
            for message in messages:
                self._take(message)
                self._record_finished()
                if self.ceilings.cut_at is not None:
                    break
        except (InputError, GuardStop) as fault:
            return fault
        if self.stop.signal_number is not None:
            raise Stopped(self.stop.signal_number)
        return None

    def _take(self, message: Message | ArrowRun) -> None:
        for lead_list in self.taker.take(message):
            if lead_list is None:
                self._record_finished()
            else:
                self._submit(lead_list)

    def _submit(self, lead_list: LeadList) -> None:
        """Send a list, or keep it until it is decided whether anything may be sent."""
        self.recorder.watermark.hold(lead_list.number, lead_list.first_record_no)
        self.recorder.watermark.release(lead_list.key)
        self._held_back.append(lead_list)
        self._send_decided()

    def _send_decided(self) -> None:
        self.breaker.check()
        self.swings.check(self.recorder.books.records)
        while self._held_back and self._may_send:
            self._send(self._held_back.pop(0))

    @property
    def _may_send(self) -> bool:
        """Whether the guards have seen enough to let lists and STATE leave."""
        waiting_count = sum(lead_list.leads.num_rows for lead_list in self._held_back)
        return self.breaker.is_decided and self.swings.is_decided(self.recorder.books.records, waiting_count)

    def _send(self, lead_list: LeadList) -> None:
        if not self._is_quoted:
            self._is_quoted = True
            LOGGER.info("%s", self.prices.quote())
        worst = self.prices.worst(lead_list.key.list_type, lead_list.leads.num_rows)
        LOGGER.info(
            "%s list `%s` with %s leads%s",
            "planning" if self.is_dry else "sending",
            lead_list.name,
            f"{lead_list.leads.num_rows:,}",
            "" if self.prices.is_free else f", at worst {worst}",
        )
        for delivery in self.in_flight.submit(lead_list):
            self._record(delivery)
            self.breaker.check()

    def _record_finished(self) -> None:
        """What has finished by now, what is old enough, what a STATE waits for."""
        now_s = self.clock.monotonic_s()
        for delivery in self.in_flight.finished():
            self._record(delivery)
        for lead_list in self.open_lists.close_aged(now_s):
            self._submit(lead_list)
        self._send_decided()
        self.recorder.flush_rows_if_due(now_s)
        if self.recorder.is_state_due(now_s):
            self._release_state()
        self._report_progress(now_s)

    def _settle(self, fault: InputError | GuardStop | None) -> InputError | GuardStop | None:
        """Send everything that is open unless a guard forbids it, wait for every answer, record it.

        Returns:
            What ends the run, if something does: the fault that was given, or a guard's.
        """
        self.breaker.has_ended = True
        is_cut_short = fault is not None or self.ceilings.cut_at is not None or self.stop.signal_number is not None
        self.swings.end(is_cut_short=is_cut_short)
        stops = [fault, self._stop_of(self._send_open), self._stop_of(self._drain)]
        stops += [self._stop_of(self.breaker.check), self._stop_of(self.ceilings.check)]
        stops.append(self._stop_of(lambda: self.swings.check(self.recorder.books.records)))
        self.recorder.flush_rows()
        self._release_state()
        return next((stop for stop in stops if stop is not None), None)

    def _send_open(self) -> None:
        self._send_decided()
        for lead_list in self.open_lists.close_all():
            self._submit(lead_list)

    def _drain(self) -> None:
        for delivery in self.in_flight.drain():
            self._record(delivery)

    def _stop_of(self, step: Callable[[], None]) -> GuardStop | None:
        try:
            step()
        except GuardStop as stop:
            return stop
        return None

    def _record_under_way(self) -> None:
        """After a stop: no new list, but every answer that is still to come is recorded as far as that goes."""
        end_s = self.clock.monotonic_s() + _PATIENCE_AFTER_SIGNAL_S
        is_signal = self.stop.signal_number is not None
        while self.in_flight.is_busy:
            left_s = end_s - self.clock.monotonic_s()
            if is_signal and left_s <= 0:
                LOGGER.warning("lists are still without an answer after the signal; the next run asks for them")
                break
            with contextlib.suppress(Exception):  # what stopped the run first is what is reported
                for delivery in self.in_flight.drain(most_s=left_s if is_signal else None):
                    self._record(delivery)
        with contextlib.suppress(TargetError):
            self.recorder.flush_rows()
            self._release_state()

    def _record(self, delivery: Delivery) -> None:
        self.breaker.count_rows(self.recorder.record(delivery))
        if delivery.stop is not None:
            self.stop.event.set()
            raise delivery.stop
        if delivery.is_settled:
            self.recorder.watermark.release(delivery.lead_list.number)
            self.recorder.flush_rows()
            self._release_state()

    def _release_state(self) -> None:
        """Nothing leaves that a guard may still forbid."""
        if self._may_send and not self.breaker.is_past and not self.swings.is_past(self.recorder.books.records):
            self.recorder.release_state()

    def _report_progress(self, now_s: float) -> None:
        if now_s - self._progress_at_s >= _PROGRESS_EVERY_S:
            self._progress_at_s = now_s
            counts = ", ".join(f"{count:,} {status}" for status, count in self.recorder.books.by_status().items())
            LOGGER.info(
                "%s records read: %s; %s leads in open lists",
                f"{self.recorder.books.record_count:,}",
                counts or "no row yet",
                f"{self.open_lists.lead_count:,}",
            )

    def _finish(self) -> None:
        if self.stop.signal_number is not None and self.recorder.books.record_count != self.recorder.books.row_count:
            raise Stopped(self.stop.signal_number)
        self.recorder.books.close()
        if self.recorder.alarms:
            raise ListsHeld("; ".join(self.recorder.alarms))
        if held := self.recorder.books.by_status().get(Status.HELD.value):
            raise ListsHeld(
                f"{held:,} records belong to people in lists that are held: nobody can tell whether these arrived. "
                "They are neither sent again nor forgotten, and STATE stays before them"
            )
