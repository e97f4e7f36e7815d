"""From messages to lead lists: records are mapped, looked up, counted and put into lists."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from target_amplemarket.clock import Clock
from target_amplemarket.config import Settings
from target_amplemarket.errors import RefusedByApi
from target_amplemarket.leads.duplicates import Screened, in_record_order, rows_before, screen_together
from target_amplemarket.leads.exclusions import ExcludedPeople
from target_amplemarket.leads.map_block import Rules, map_block
from target_amplemarket.leads.mapping import StreamMapping, choose_mapping
from target_amplemarket.leads.people import People
from target_amplemarket.leads.words import taken
from target_amplemarket.lists.connection_test import CONNECTION_TEST_STREAM, connection_test_rows
from target_amplemarket.lists.grouping import OpenLists
from target_amplemarket.lists.guards import Breaker, Ceilings
from target_amplemarket.lists.lead_list import LeadList
from target_amplemarket.recording import Recorder
from target_amplemarket.singer.arrow_run import ArrowRun, blocks_of
from target_amplemarket.singer.batch import BatchReader
from target_amplemarket.singer.line_records import OpenBlock
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
from target_amplemarket.singer.turns import Gathered, gathered, opened

LOGGER: Final = logging.getLogger("target-amplemarket")

_COUNTED: Final = ("record_no", "list_type")
"""What ceilings look at."""


@dataclass(frozen=True, slots=True)
class AccountQuestions:
    """What the account is asked before anything is sent, each question when it first matters.

    Attributes:
        owners: E-mails, lower case, of those who can own lists.
        has_owners: Whether lists have owners at all.
        exclusions: Whom the account says not to contact.
    """

    owners: Callable[[], Collection[str]]
    has_owners: bool
    exclusions: Callable[[], ExcludedPeople]


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
class Taker:
    """Takes messages, hands out lists that are full, and knows which records it still keeps."""

    settings: Settings
    streams: Streams
    rules: Rules
    people: People
    open_lists: OpenLists
    breaker: Breaker
    ceilings: Ceilings
    recorder: Recorder
    account: AccountQuestions
    excluded_here: ExcludedPeople  # by the folder and the settings
    clock: Clock
    stop: StopRequest
    mappings: dict[str, StreamMapping] = field(default_factory=dict)
    _mapped_schemas: dict[str, Stream] = field(default_factory=dict)
    _account_excludes: ExcludedPeople | None = None
    _known_owners: Collection[str] | None = None
    _fallen_back: bool = False
    _noted_versions: bool = False

    def take(self, message: Message | ArrowRun) -> Iterator[LeadList | None]:
        """Take one message.

        Yields:
            Lists that are full; None between the blocks of files, where whatever has finished may be looked at.

        Raises:
            InputError: The records before the fault were taken.
            RefusedByApi: The owner of the lists is not a user of the account, or its exclusion lists are not shown.
            ApiUnreachable: The account cannot be asked.
        """
        match message:
            case RecordRun() | ArrowRun():
                yield from self._take_blocks(blocks_of(message, self.streams, self._next_record_no))
            case OpenBlock():
                yield from self._take_gathered(opened(message, self.streams, self._next_record_no))
            case Turns():
                yield from self._take_turns(message)
            case Batch():
                yield from self._take_files(message)
            case Schema():
                self.streams.register(message)
            case State(value=value):
                self._take_state(value)
            case ActivateVersion():
                self._note_version()
            case Idle():
                pass

    @property
    def _next_record_no(self) -> int:
        return self.recorder.watermark.last_read + 1

    def _take_files(self, batch: Batch) -> Iterator[LeadList | None]:
        reader = BatchReader(self.streams, self.settings.batch_paths, self.stop, self.rules.keep_records)
        for block in reader.blocks(batch, lambda: self._next_record_no):
            yield from self._take_blocks([block])
            yield None
            if self.ceilings.cut_at is not None:
                break

    def _take_blocks(self, blocks: Iterable[RecordBlock]) -> Iterator[LeadList]:
        for block in blocks:
            if block.stream.name == CONNECTION_TEST_STREAM:
                self._take_connection_test(block)
            else:
                yield from self._take_together([block], len(block.records))
            if self.ceilings.cut_at is not None:
                break

    def _take_turns(self, turns: Turns) -> Iterator[LeadList | None]:
        """Records of each stream together, unless stream maps take them one by one anyway."""
        names = {message.stream for message in turns.messages if isinstance(message, RecordRun)}
        if self.streams.maps_rows or CONNECTION_TEST_STREAM in names:
            for message in turns.messages:
                yield from self.take(message)
                if self.ceilings.cut_at is not None:
                    break
            return
        yield from self._take_gathered(gathered(turns, self.streams, self._next_record_no))

    def _take_gathered(self, found: Gathered) -> Iterator[LeadList]:
        if found.record_count:
            yield from self._take_together(found.blocks, found.record_count)
        for record_no, value in found.states:
            if self.ceilings.cut_at is None or record_no < self.ceilings.cut_at:
                self._take_state(value, record_no)
        if found.error is not None and self.ceilings.cut_at is None:
            raise found.error

    def _take_state(self, value: bytes, record_no: int | None = None) -> None:
        """A plan must not make the run that carries it out skip what was planned; a test is no bookmark of a tap."""
        is_test = self.recorder.books.records.keys() == {CONNECTION_TEST_STREAM}
        if not self.settings.dry_run and not is_test:
            self.recorder.watermark.take_state(value, record_no)

    def _take_connection_test(self, block: RecordBlock) -> None:
        """Ask whether key and owner are accepted, which costs nothing, and send nothing."""
        first_record_no = self.recorder.watermark.read(len(block.records))
        self.recorder.watermark.hold("block", first_record_no)
        self.recorder.books.records[block.stream.name] += len(block.records)
        self._owners()
        accepted = "key and owner are" if self.account.has_owners else "the key is"
        LOGGER.info("stream `%s` is a connection test: %s accepted, nothing is sent", block.stream.name, accepted)
        self.recorder.add_rows(block.stream.name, connection_test_rows(first_record_no, len(block.records)))
        self.recorder.watermark.release("block")

    def _take_together(self, blocks: Sequence[RecordBlock], count: int) -> Iterator[LeadList]:
        """Take blocks of different streams whose records follow on from the last one read, in whatever turns."""
        watermark = self.recorder.watermark
        first_record_no = watermark.read(count)
        watermark.hold("block", first_record_no)
        self.recorder.books.records.update({block.stream.name: len(block.records) for block in blocks})
        takes = [self._mapped(block) for block in blocks]
        for take, screened in zip(takes, screen_together([take.leads for take in takes], self.people), strict=True):
            take.screened = screened
        new = in_record_order([take.screened.new.select(_COUNTED) for take in takes])
        beyond = self.ceilings.take(first_record_no, count, new)
        if beyond < first_record_no + count:
            watermark.hold("ceiling", beyond)
            for take in takes:
                take.keep_before(beyond)
        self.breaker.count_read(beyond - first_record_no)
        for take in takes:
            self._add_rows_of(take)
        if any(take.screened.held.num_rows for take in takes):
            watermark.hold("held", first_record_no)
        for take in takes:
            yield from self._add_leads(take.stream, take.screened.new)
        self._hold_open_lists()
        watermark.release("block")

    def _mapped(self, block: RecordBlock) -> _Take:
        mapped = map_block(block, self._mapping(block), self.rules)
        leads, excluded = self._without_excluded(block.stream.name, mapped.leads)
        return _Take(block.stream.name, leads, [mapped.rejections, *excluded])

    def _add_rows_of(self, take: _Take) -> None:
        self.breaker.count_rows(take.rows[0])
        for rows in (*take.rows, take.screened.duplicates, take.screened.held):
            if rows.num_rows:
                self.recorder.add_rows(take.stream, rows)

    def _add_leads(self, stream: str, leads: pa.Table) -> Iterator[LeadList]:
        if not leads.num_rows:
            return
        owners = self._owners()
        self._note_owners(leads.column("owner").unique().drop_null().to_pylist(), owners)
        yield from self.open_lists.add(stream, leads, owners, self.clock.monotonic_s())

    def _without_excluded(self, stream: str, leads: pa.Table) -> tuple[pa.Table, list[pa.Table]]:
        """Leads who may be sent, and rows of those who must not; before the ledger, where they would become known.

        The account is asked once somebody is new: a run in which everybody was sent before asks it nothing.
        """
        here = self.excluded_here.part(stream, leads)
        if self._account_excludes is None and not self.people.settles(here.leads):
            self._account_excludes = self.account.exclusions()
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
            self.streams.expect(stream.name, mapping.paths)
            if mapping != self.mappings.get(stream.name):
                self.mappings[stream.name] = mapping
                _describe(stream.name, mapping)
        return self.mappings[stream.name]

    def _owners(self) -> Collection[str]:
        if self._known_owners is None:
            self._known_owners = self.account.owners()
            if self.account.has_owners and self.settings.owner.lower() not in self._known_owners:
                raise RefusedByApi("`owner` is not a user of the account; nothing was sent. Set it to one of its users")
        return self._known_owners

    def _note_owners(self, named: Iterable[str], known: Collection[str]) -> None:
        if self.account.has_owners and not self._fallen_back and any(owner and owner not in known for owner in named):
            self._fallen_back = True
            LOGGER.warning("some records name an owner who is not a user of the account; their leads go to `owner`")

    def _note_version(self) -> None:
        if not self._noted_versions:
            self._noted_versions = True
            LOGGER.info("ACTIVATE_VERSION messages are ignored: a lead list has no versions")

    def _hold_open_lists(self) -> None:
        for key, first_record_no in self.open_lists.first_record_numbers().items():
            self.recorder.watermark.hold(key, first_record_no)


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
