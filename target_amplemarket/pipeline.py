"""The one loop: messages in, lead lists out, result rows on disk, STATE released."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from target_amplemarket.clock import Clock
from target_amplemarket.config import Settings
from target_amplemarket.delivery.deliver import AlreadyThere, Delivery, NotAdded, Part, Planned
from target_amplemarket.delivery.in_flight import InFlight
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.delivery.rehearsal import Rehearsal
from target_amplemarket.errors import GuardStop, InputError, ListsHeld, RefusedByApi, Stopped, TargetError
from target_amplemarket.leads.duplicates import Screened, in_record_order, rows_before, screen_together
from target_amplemarket.leads.exclusions import ExcludedPeople
from target_amplemarket.leads.map_block import Rules, map_block
from target_amplemarket.leads.mapping import StreamMapping, choose_mapping
from target_amplemarket.leads.people import People
from target_amplemarket.leads.tables import Status
from target_amplemarket.leads.words import taken
from target_amplemarket.lists.connection_test import CONNECTION_TEST_STREAM, connection_test_rows
from target_amplemarket.lists.credits import Prices
from target_amplemarket.lists.grouping import OpenLists
from target_amplemarket.lists.guards import Breaker, Ceilings
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.results.books import Books, ListEntry
from target_amplemarket.results.rows import RowMaker
from target_amplemarket.results.state_log import StateLog
from target_amplemarket.results.swings import SwingGuard
from target_amplemarket.results.writer import ROWS_PER_FILE, ResultsWriter
from target_amplemarket.services.protocol import Accepted, Refused
from target_amplemarket.singer.arrow_run import ArrowRun, blocks_of
from target_amplemarket.singer.batch import BatchReader
from target_amplemarket.singer.messages import (
    ActivateVersion,
    Batch,
    Idle,
    Message,
    RecordRun,
    Schema,
    State,
    Turns,
    printable,
)
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.singer.streams import RecordBlock, Stream, Streams
from target_amplemarket.singer.turns import gathered
from target_amplemarket.singer.watermark import Watermark

LOGGER: Final = logging.getLogger("target-amplemarket")

_PROGRESS_EVERY_S: Final = 5.0
_PATIENCE_AFTER_SIGNAL_S: Final = 25.0
"""How long answers under way are awaited after a signal; schedulers commonly kill after 30."""

_STATE_EVERY_S: Final = 1.0
"""How long a STATE may wait for a newer one, unless a list was just recorded; each that leaves is a durable write."""

_ROWS_WAIT_S: Final = 2.0
"""How long result rows that go with no list may wait for a STATE that they hold back."""


_COUNTED: Final = ("record_no", "list_type")
"""What ceilings look at."""


@dataclass(slots=True)
class _Take:
    """What one block came to.

    Attributes:
        stream: Of all of it.
        leads: Who may be sent.
        rows: Rejections first, then people who are excluded.
        screened: The leads, once they were looked up.
    """

    stream: str
    leads: pa.Table
    rows: list[pa.Table]
    screened: Screened = field(init=False)

    def keep_before(self, record_no: int) -> None:
        """Leave out what came from a record on."""
        self.rows = [rows_before(rows, record_no) for rows in self.rows]
        self.screened = self.screened.before(record_no)


@dataclass(slots=True)
class Pipeline:
    """A run and everything it touches; every effect is passed in."""

    settings: Settings
    streams: Streams
    rules: Rules
    people: People
    open_lists: OpenLists
    in_flight: InFlight | Rehearsal
    outbox: Outbox
    writer: ResultsWriter
    row_maker: RowMaker
    state_log: StateLog
    prices: Prices
    breaker: Breaker
    ceilings: Ceilings
    list_owners: Callable[[], Collection[str]]
    has_owners: bool
    excluded_here: ExcludedPeople  # by the folder and the settings
    excluded_by_account: Callable[[], ExcludedPeople]
    emit: Callable[[bytes], None]
    clock: Clock
    stop: StopRequest
    swings: SwingGuard = field(default_factory=SwingGuard)
    books: Books = field(default_factory=Books)
    watermark: Watermark = field(default_factory=Watermark)
    mappings: dict[str, StreamMapping] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    resent: list[str] = field(default_factory=list)
    note_resent: Callable[[], None] = lambda: None
    _mapped_schemas: dict[str, Stream] = field(default_factory=dict)
    _account_excludes: ExcludedPeople | None = None
    _known_owners: Collection[str] | None = None
    _fallen_back: bool = False
    _noted_versions: bool = False
    _held_back: list[LeadList] = field(default_factory=list)
    _is_quoted: bool = False
    _rows_since_s: float = 0.0
    _progress_at_s: float = 0.0
    _state_at_s: float = float("-inf")
    _last_state: bytes | None = None

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
        match message:
            case RecordRun() | ArrowRun():
                self._take_blocks(blocks_of(message, self.streams, self.watermark.last_read + 1))
            case Turns():
                self._take_turns(message)
            case Batch():
                self._take_files(message)
            case Schema():
                self.streams.register(message)
            case State(value=value):
                self._take_state(value)
            case ActivateVersion():
                self._note_version()
            case Idle():
                pass

    def _take_files(self, batch: Batch) -> None:
        reader = BatchReader(self.streams, self.settings.batch_paths, self.stop, self.rules.keep_records)
        self._take_blocks(reader.blocks(batch, lambda: self.watermark.last_read + 1), between=self._record_finished)

    def _take_blocks(self, blocks: Iterable[RecordBlock], between: Callable[[], None] = lambda: None) -> None:
        for block in blocks:
            if block.stream.name == CONNECTION_TEST_STREAM:
                self._take_connection_test(block)
            else:
                self._take_together([block], len(block.records))
            between()
            if self.ceilings.cut_at is not None:
                break

    def _take_turns(self, turns: Turns) -> None:
        """Records of each stream together, unless they are looked at one by one anyway."""
        names = {message.stream for message in turns.messages if isinstance(message, RecordRun)}
        if self.streams.reads_rows or CONNECTION_TEST_STREAM in names:
            for message in turns.messages:
                self._take(message)
                if self.ceilings.cut_at is not None:
                    break
            return
        found = gathered(turns, self.streams, self.watermark.last_read + 1)
        if found.record_count:
            self._take_together(found.blocks, found.record_count)
        for record_no, value in found.states:
            if self.ceilings.cut_at is None or record_no < self.ceilings.cut_at:
                self._take_state(value, record_no)
        if found.error is not None and self.ceilings.cut_at is None:
            raise found.error

    def _take_state(self, value: bytes, record_no: int | None = None) -> None:
        """A plan must not make the run that carries it out skip what was planned; a test is no bookmark of a tap."""
        is_test = self.books.records.keys() == {CONNECTION_TEST_STREAM}
        if not self.settings.dry_run and not is_test:
            self.watermark.take_state(value, record_no)

    def _take_connection_test(self, block: RecordBlock) -> None:
        """Ask whether key and owner are accepted, which costs nothing, and send nothing."""
        first_record_no = self.watermark.read(len(block.records))
        self.watermark.hold("block", first_record_no)
        self.books.records[block.stream.name] += len(block.records)
        self._owners()
        accepted = "key and owner are" if self.has_owners else "the key is"
        LOGGER.info("stream `%s` is a connection test: %s accepted, nothing is sent", block.stream.name, accepted)
        self._add_rows(block.stream.name, connection_test_rows(first_record_no, len(block.records)))
        self.watermark.release("block")

    def _take_together(self, blocks: Sequence[RecordBlock], count: int) -> None:
        """Take blocks of different streams whose records follow on from the last one read, in whatever turns."""
        first_record_no = self.watermark.read(count)
        self.watermark.hold("block", first_record_no)
        self.books.records.update({block.stream.name: len(block.records) for block in blocks})
        takes = [self._mapped(block) for block in blocks]
        for take, screened in zip(takes, screen_together([take.leads for take in takes], self.people), strict=True):
            take.screened = screened
        new = in_record_order([take.screened.new.select(_COUNTED) for take in takes])
        beyond = self.ceilings.take(first_record_no, count, new)
        if beyond < first_record_no + count:
            self.watermark.hold("ceiling", beyond)
            for take in takes:
                take.keep_before(beyond)
        self.breaker.count_read(beyond - first_record_no)
        for take in takes:
            self._add_rows_of(take)
        if any(take.screened.held.num_rows for take in takes):
            self.watermark.hold("held", first_record_no)
        for take in takes:
            self._add_leads(take.stream, take.screened.new)
        self._hold_open_lists()
        self.watermark.release("block")

    def _mapped(self, block: RecordBlock) -> _Take:
        mapped = map_block(block, self._mapping(block), self.rules)
        leads, excluded = self._without_excluded(block.stream.name, mapped.leads)
        return _Take(block.stream.name, leads, [mapped.rejections, *excluded])

    def _add_rows_of(self, take: _Take) -> None:
        self.breaker.count_rows(take.rows[0])
        for rows in (*take.rows, take.screened.duplicates, take.screened.held):
            if rows.num_rows:
                self._add_rows(take.stream, rows)

    def _add_leads(self, stream: str, leads: pa.Table) -> None:
        if not leads.num_rows:
            return
        owners = self._owners()
        self._note_owners(leads.column("owner").unique().drop_null().to_pylist(), owners)
        for lead_list in self.open_lists.add(stream, leads, owners, self.clock.monotonic_s()):
            self._submit(lead_list)

    def _without_excluded(self, stream: str, leads: pa.Table) -> tuple[pa.Table, list[pa.Table]]:
        """Leads who may be sent, and rows of those who must not; before the ledger, where they would become known.

        The account is asked once somebody is new: a run in which everybody was sent before asks it nothing.
        """
        here = self.excluded_here.part(stream, leads)
        if self._account_excludes is None and not self.people.settles(here.leads):
            self._account_excludes = self.excluded_by_account()
        if self._account_excludes is None:
            return here.leads, [here.excluded]
        there = self._account_excludes.part(stream, here.leads)
        return there.leads, [here.excluded, there.excluded]

    def _mapping(self, block: RecordBlock) -> StreamMapping:
        stream = block.stream
        if self._mapped_schemas.get(stream.name) != stream:
            self._mapped_schemas[stream.name] = stream
            mapping = choose_mapping(
                stream.schema,
                stream.key_properties,
                block.records,
                intake=self.rules.intake,
                overrides=self.settings.mapping_of(stream.name),
                extra_fields=self.settings.extra_fields,
                owner_field=self.settings.owner_field,
            )
            if mapping != self.mappings.get(stream.name):
                self.mappings[stream.name] = mapping
                self.streams.expect(stream.name, mapping.paths)
                _describe(stream.name, mapping)
        return self.mappings[stream.name]

    def _owners(self) -> Collection[str]:
        if self._known_owners is None:
            self._known_owners = self.list_owners()
            if self.has_owners and self.settings.owner.lower() not in self._known_owners:
                raise RefusedByApi("`owner` is not a user of the account; nothing was sent. Set it to one of its users")
        return self._known_owners

    def _note_owners(self, named: Iterable[str], known: Collection[str]) -> None:
        if self.has_owners and not self._fallen_back and any(owner and owner not in known for owner in named):
            self._fallen_back = True
            LOGGER.warning("some records name an owner who is not a user of the account; their leads go to `owner`")

    def _note_version(self) -> None:
        if not self._noted_versions:
            self._noted_versions = True
            LOGGER.info("ACTIVATE_VERSION messages are ignored: a lead list has no versions")

    def _add_rows(self, stream: str, rejections: pa.Table) -> None:
        rows = self.row_maker.of_rejections(stream, rejections, self.clock.now())
        if not self.writer.waiting_row_count:
            self._rows_since_s = self.clock.monotonic_s()
        self.writer.add(rows)
        self.watermark.hold("rows", int(rows.column("record_no")[0].as_py()))

    def _hold_open_lists(self) -> None:
        for key, first_record_no in self.open_lists.first_record_numbers().items():
            self.watermark.hold(key, first_record_no)

    def _submit(self, lead_list: LeadList) -> None:
        """Send a list, or keep it until it is decided whether anything may be sent."""
        self.watermark.hold(lead_list.number, lead_list.first_record_no)
        self.watermark.release(lead_list.key)
        self._held_back.append(lead_list)
        self._send_decided()

    def _send_decided(self) -> None:
        self.breaker.check()
        self.swings.check(self.books.records)
        while self._held_back and self._may_send:
            self._send(self._held_back.pop(0))

    @property
    def _may_send(self) -> bool:
        """Whether the guards have seen enough to let lists and STATE leave."""
        waiting_count = sum(lead_list.leads.num_rows for lead_list in self._held_back)
        return self.breaker.is_decided and self.swings.is_decided(self.books.records, waiting_count)

    def _send(self, lead_list: LeadList) -> None:
        if not self._is_quoted:
            self._is_quoted = True
            LOGGER.info("%s", self.prices.quote())
        worst = self.prices.worst(lead_list.key.list_type, lead_list.leads.num_rows)
        LOGGER.info(
            "%s list `%s` with %s leads%s",
            "planning" if self.settings.dry_run else "sending",
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
        is_waited_for = self.watermark.waits and now_s - self._rows_since_s >= _ROWS_WAIT_S
        if self.writer.waiting_row_count >= ROWS_PER_FILE or (self.writer.waiting_row_count and is_waited_for):
            self._flush_rows()
        if now_s - self._state_at_s >= _STATE_EVERY_S:
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
        stops.append(self._stop_of(lambda: self.swings.check(self.books.records)))
        self._flush_rows()
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
            self._flush_rows()
            self._release_state()

    def _record(self, delivery: Delivery) -> None:
        """Rows first, then the outbox, then whatever STATE may leave."""
        lead_list = delivery.lead_list
        rows = self.row_maker.of_delivery(delivery, self.clock.now())
        if rows.num_rows:
            self.writer.write_list(lead_list.number, rows)
            self.books.enter(rows)
            self.breaker.count_rows(rows)
        self._enter_lists(delivery)
        for alarm in delivery.alarms:
            LOGGER.warning("%s", alarm)
        self.alarms.extend(delivery.alarms)
        if delivery.resent:
            self.resent.extend(delivery.resent)
            self.note_resent()
        for file_name in delivery.outbox_files:
            self.outbox.remove(file_name)
        if delivery.stop is not None:
            self.stop.event.set()
            raise delivery.stop
        if delivery.is_settled:
            self.watermark.release(lead_list.number)
            self._flush_rows()
            self._release_state()

    def _enter_lists(self, delivery: Delivery) -> None:
        for part in delivery.parts:
            if isinstance(part.outcome, (Refused, AlreadyThere, NotAdded)):
                continue
            accepted = part.outcome if isinstance(part.outcome, Accepted) else None
            key, lead_count = part.lead_list.key, part.lead_list.leads.num_rows
            worst = self.prices.worst(key.list_type, lead_count)
            self.books.enter_list(
                ListEntry(
                    name=part.lead_list.name,
                    stream=key.stream,
                    owner=key.owner,
                    list_type=key.list_type,
                    lead_count=lead_count,
                    list_id=accepted.list_id if accepted else None,
                    url=accepted.url if accepted else None,
                    status=_list_status(part).value,
                    email_credits=worst.email,
                    phone_credits=worst.phone,
                )
            )

    def _flush_rows(self) -> None:
        if self.writer.waiting_row_count:
            self.books.enter(self.writer.flush())
        self.watermark.release("rows")

    def _release_state(self) -> None:
        if not self._may_send or self.breaker.is_past or self.swings.is_past(self.books.records):
            return
        state = self.watermark.release_state()
        if state is not None and state.value != self._last_state and not _is_empty(state.value):
            self._last_state, self._state_at_s = state.value, self.clock.monotonic_s()
            self.state_log.append(state.value, state.record_no, self.books, self.clock.now())
            self.emit(state.value)

    def _report_progress(self, now_s: float) -> None:
        if now_s - self._progress_at_s >= _PROGRESS_EVERY_S:
            self._progress_at_s = now_s
            counts = ", ".join(f"{count:,} {status}" for status, count in self.books.by_status().items())
            LOGGER.info(
                "%s records read: %s; %s leads in open lists",
                f"{self.books.record_count:,}",
                counts or "no row yet",
                f"{self.open_lists.lead_count:,}",
            )

    def _finish(self) -> None:
        if self.stop.signal_number is not None and self.books.record_count != self.books.row_count:
            raise Stopped(self.stop.signal_number)
        self.books.close()
        if self.alarms:
            raise ListsHeld("; ".join(self.alarms))
        if held := self.books.by_status().get(Status.HELD.value):
            raise ListsHeld(
                f"{held:,} records belong to people in lists that are held: nobody can tell whether these arrived. "
                "They are neither sent again nor forgotten, and STATE stays before them"
            )


def _list_status(part: Part) -> Status:
    if isinstance(part.outcome, Planned):
        return Status.PLANNED
    return Status.HELD if part.is_held else Status.ACCEPTED


def _is_empty(value: bytes) -> bool:
    """`{}` and `null` would wipe the bookmarks that the runner keeps."""
    return value.translate(None, b" \t\r\n") in {b"{}", b"null"}


def _describe(stream: str, mapping: StreamMapping) -> None:
    name = printable(stream)
    LOGGER.info("stream `%s`: %s", name, mapping.describe())
    if mapping.is_empty:
        LOGGER.warning(
            "stream `%s`: nothing in it can make a lead (it takes %s); its records are rejected. Name the fields in "
            "`field_mapping`",
            name, taken(mapping.intake),
        )  # fmt: skip
    for field_name in mapping.ignored:
        LOGGER.warning(
            "stream `%s`: `field_mapping` names `%s`, which the chosen `service` does not take", name, field_name
        )
    for source in mapping.unknown:
        LOGGER.warning("stream `%s`: the settings name `%s`, which the stream does not have", name, printable(source))
