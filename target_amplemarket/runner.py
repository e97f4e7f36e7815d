"""Putting a run together from its settings: folder, lock, ledger, service, pipeline, summary."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

from target_amplemarket.clock import Clock, SystemClock
from target_amplemarket.config import Settings
from target_amplemarket.delivery.deliver import Sender, alarm_text
from target_amplemarket.delivery.in_flight import InFlight
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import AmplemarketError, ApiUnreachable, ListsHeld, SettingsError, Stopped, StorageError
from target_amplemarket.leads.map_block import Rules
from target_amplemarket.lists.grouping import ListRules, OpenLists
from target_amplemarket.lists.lead_list import LeadList, make_marker
from target_amplemarket.pipeline import Pipeline
from target_amplemarket.results.account import check_account
from target_amplemarket.results.books import Books
from target_amplemarket.results.compaction import compact
from target_amplemarket.results.history import past_markers
from target_amplemarket.results.ledger import folder_key, known_people
from target_amplemarket.results.recovery import Recovered, Recovery, Verdict
from target_amplemarket.results.rows import RowMaker
from target_amplemarket.results.state_log import StateLog
from target_amplemarket.results.summary import RunSummary, summarise, write_summary
from target_amplemarket.results.writer import ResultsWriter
from target_amplemarket.services import SERVICES
from target_amplemarket.services.protocol import Found, ListRequest, Service
from target_amplemarket.singer.arrow_run import ArrowRun
from target_amplemarket.singer.messages import Message
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.singer.streams import Mapper, Streams
from target_amplemarket.storage.durable import Folder, System
from target_amplemarket.storage.lock import locked

PACKAGE: Final = "target-amplemarket"
AUDITED: Final = timedelta(days=7)
"""For how long a list that was sent again is looked for."""

LOGGER: Final = logging.getLogger(PACKAGE)


@dataclass(frozen=True, slots=True)
class Input:
    """Where messages come from and where STATE goes.

    Attributes:
        messages: Makes the messages; looks at the stop request between them.
        emit: Takes the JSON text of a STATE value that may leave.
        mapper: Set when stream maps or flattening are configured.
        watch: Takes the books before the run begins, to look at while it lasts.
    """

    messages: Callable[[StopRequest], Iterable[Message | ArrowRun]]
    emit: Callable[[bytes], None]
    mapper: Mapper | None = None
    watch: Callable[[Books], None] | None = None


def execute(
    settings: Settings,
    given: Input,
    *,
    report: Callable[[RunSummary], None],
    clock: Clock | None = None,
    service: Service | None = None,
    system: System | None = None,
) -> RunSummary:
    """Run the pipeline once over some input.

    Args:
        settings: Checked settings.
        given: The input.
        report: Takes the summary when the run has ended, however it ended.
        clock: The machine's own by default.
        service: The one that the settings name by default.
        system: The operating system's own file calls by default.

    Raises:
        AmplemarketError: Whatever stopped the run, after the summary was written.
    """
    with _open_run(settings, clock or SystemClock(), service, system) as run:
        return run.execute(given, report)


def settle_outbox(settings: Settings, *, clock: Clock | None = None, service: Service | None = None) -> list[Recovered]:
    """Settle what earlier runs left in the outbox, and nothing else; what every run does first.

    Raises:
        AmplemarketError: The folder is held by a run, or its files cannot be read or written.
    """
    with _open_run(settings, clock or SystemClock(), service) as run:
        return run.recover(Outbox(run.folder, run.run_id))


def resolve_list(settings: Settings, marker: str, verdict: Verdict, *, clock: Clock | None = None) -> Recovered:
    """Settle one held list as a person says who has looked for it in the account.

    Raises:
        SettingsError: No list with this marker is held.
        AmplemarketError: The folder is held by a run, or its files cannot be read or written.
    """
    with _open_run(settings, clock or SystemClock(), None) as run:
        outbox = Outbox(run.folder, run.run_id)
        entries = [entry for entry in outbox.entries() if entry.intent.marker == marker]
        if not entries:
            raise SettingsError(f"no list with the marker {marker} is held; `status` shows those that are")
        recovery = Recovery(run.folder, outbox, settings.results_record, run.clock)
        return recovery.resolve(entries[0], verdict)


@contextlib.contextmanager
def _open_run(
    settings: Settings, clock: Clock, service: Service | None, system: System | None = None
) -> Iterator[_Run]:
    """Lock the folder, take signals, open the service."""
    path = Path(settings.results_path)
    folder = Folder(path) if system is None else Folder(path, system)
    stop = StopRequest()
    try:
        with locked(folder, clock, wait_s=settings.lock_wait_seconds), stop.on_signals():
            limiter = Limiter(settings.requests_per_minute, clock, stop.event)
            if service is None:
                service = SERVICES[settings.service](settings, clock, limiter.acquire, limiter.slow_down, stop.event)
            folder.remove_temporary_files()
            with contextlib.closing(service):
                started_at = clock.now()
                yield _Run(settings, folder, make_run_id(started_at), started_at, clock, stop, limiter, service)
    finally:
        stop.close()


@dataclass(frozen=True, slots=True)
class _Run:
    """One run and its surroundings: the folder is locked, signals set the flag."""

    settings: Settings
    folder: Folder
    run_id: str
    started_at: datetime
    clock: Clock
    stop: StopRequest
    limiter: Limiter
    service: Service

    def execute(self, given: Input, report: Callable[[RunSummary], None]) -> RunSummary:
        """Settle what earlier runs left, run to the end, sum up however it ended, then raise what stopped it."""
        outbox = Outbox(self.folder, self.run_id)
        recovered = self.recover(outbox)
        pipeline = self._assemble(given, outbox)
        pipeline.alarms.extend(each.alarm for each in recovered if each.alarm)
        freed = [each.entry.intent.marker for each in recovered if each.verdict is Verdict.ABSENT]

        def note_under_way() -> None:
            """So that a run that is killed leaves the markers that later runs have to look for."""
            under_way = self._summary(pipeline, freed, ended_at=None, exit_code=None, end="under way, or killed")
            write_summary(self.folder, under_way)

        pipeline.note_resent = note_under_way
        if given.watch is not None:
            given.watch(pipeline.books)
        note_under_way()
        failure = _failure_of(lambda: pipeline.run(given.messages(self.stop)))
        failure = failure or _failure_of(lambda: self._audit(pipeline.resent, freed))
        failure = failure or _failure_of(lambda: _refuse_held(recovered))
        ended_at, exit_code = self.clock.now(), _exit_code(failure)
        ended = self._summary(pipeline, freed, ended_at=ended_at, exit_code=exit_code, end=_end(failure))
        unwritten = _failure_of(lambda: write_summary(self.folder, ended))
        report(ended)
        if failure := failure or unwritten:
            raise failure
        self._compact()
        return ended

    def _compact(self) -> None:
        """Housekeeping after everything is done: what fails here costs nothing but room."""
        try:
            compact(self.folder, self.stop.event)
        except StorageError as fault:
            LOGGER.warning("result files stay as they are, with every row (%s); a later run compacts them", fault)

    def recover(self, outbox: Outbox) -> list[Recovered]:
        """Settle what earlier runs left in the outbox."""
        if self.folder.names("outbox/*.arrow"):
            self._check_account()
        recovery = Recovery(self.folder, outbox, self.settings.results_record, self.clock)
        settle_s, on_unknown = self.settings.settle_seconds, self.settings.on_unknown
        recovered = recovery.recover(self.service, self.stop.event, settle_s=settle_s, on_unknown=on_unknown)
        for each in recovered:
            if each.alarm:
                LOGGER.warning("%s", each.alarm)
            LOGGER.info("list `%s` of run %s: %s", each.entry.intent.name, each.entry.intent.run_id, each.verdict.value)
        return recovered

    def _audit(self, resent: list[str], freed: list[str]) -> None:
        """Look once more for lists that were sent again, or were absent when asked: a server may commit very late.

        Raises:
            ListsHeld: Some are there that should not be; it names them.
        """
        past = past_markers(self.folder.path, self.started_at - AUDITED)
        most = dict.fromkeys([*resent, *past.resent], 1) | dict.fromkeys([*freed, *past.freed], 0)
        answers = {marker: self.service.confirm(marker) for marker in sorted(most)}
        alarms = [
            alarm_text(marker, answer.list_ids)
            for marker, answer in answers.items()
            if isinstance(answer, Found) and len(answer.list_ids) > most[marker]
        ]
        if alarms:
            raise ListsHeld("; ".join(alarms))

    def _assemble(self, given: Input, outbox: Outbox) -> Pipeline:
        settings, numbers = self.settings, itertools.count(1)
        by_version = settings.load_method == "append-only"
        fingerprint_key = folder_key(self.folder)
        keep_records = settings.results_record != "none"
        return Pipeline(
            settings=settings,
            streams=Streams(given.mapper, validate=settings.validate_records),
            rules=Rules(settings.list_type, settings.company_needs, keep_records, fingerprint_key),
            people=known_people(self.folder, outbox.entries(), by_version=by_version),
            open_lists=OpenLists(
                self._list_rules(), make_marker=make_marker, number=lambda: next(numbers), today=self.started_at
            ),
            in_flight=InFlight(self._sender(outbox), settings.max_in_flight),
            outbox=outbox,
            writer=ResultsWriter(self.folder, self.run_id, number=lambda: next(numbers)),
            row_maker=RowMaker(self.run_id, settings.results_record),
            state_log=StateLog(self.folder, self.run_id),
            list_owners=self._list_owners,
            emit=given.emit,
            clock=self.clock,
            stop=self.stop,
        )

    def _check_account(self) -> None:
        with self._unless_stopped():
            check_account(self.folder, self.settings.service, self.service.account())

    def _list_owners(self) -> Collection[str]:
        self._check_account()
        with self._unless_stopped():
            return self.service.owners()

    @contextlib.contextmanager
    def _unless_stopped(self) -> Iterator[None]:
        """A question that a signal cut short is no fault of the API."""
        try:
            yield
        except ApiUnreachable:
            if self.stop.signal_number is not None:
                raise Stopped(self.stop.signal_number) from None
            raise

    def _list_rules(self) -> ListRules:
        return ListRules(
            batch_size_rows=min(self.settings.batch_size_rows, self.service.max_leads_per_list),
            wait_limit_s=self.settings.batch_wait_limit_seconds,
            name_template=self.settings.list_name,
            owner=self.settings.owner.lower(),
        )

    def _sender(self, outbox: Outbox) -> Sender:
        return Sender(
            service=self.service,
            outbox=outbox,
            limiter=self.limiter,
            clock=self.clock,
            stop=self.stop.event,
            request_for=self._request,
            make_marker=make_marker,
            settle_s=self.settings.settle_seconds,
            on_unknown=self.settings.on_unknown,
        )

    def _request(self, lead_list: LeadList) -> ListRequest:
        return ListRequest(
            name=lead_list.name,
            owner=lead_list.key.owner,
            list_type=lead_list.key.list_type,
            shared=self.settings.shared,
            visible=self.settings.visible,
            enrich=self.settings.enrich,
            validate_email=self.settings.validate_email,
            reveal_phone_numbers=self.settings.reveal_phone_numbers,
        )

    def _summary(
        self, pipeline: Pipeline, freed: list[str], *, ended_at: datetime | None, exit_code: int | None, end: str
    ) -> RunSummary:
        return summarise(
            pipeline.books,
            {name: mapping.describe() for name, mapping in pipeline.mappings.items()},
            run_id=self.run_id,
            version=version(PACKAGE),
            service=self.settings.service,
            started_at=self.started_at,
            ended_at=ended_at,
            exit_code=exit_code,
            end=end,
            states_emitted=pipeline.state_log.emitted_count,
            requests=dict(self.service.requests),
            resent=pipeline.resent,
            freed=freed,
        )


def _refuse_held(recovered: list[Recovered]) -> None:
    """Lists of earlier runs that are still held.

    Raises:
        ListsHeld: There are some; it names them.
    """
    names = [each.entry.intent.name for each in recovered if each.verdict is Verdict.HELD]
    if names:
        raise ListsHeld(
            f"held since an earlier run: {', '.join(names)}; `reconcile` asks again, `resolve` settles by hand"
        )


def _failure_of(step: Callable[[], None]) -> BaseException | None:
    """What a step raised, kept until everything that has to follow is done."""
    try:
        step()
    except BaseException as failure:  # raised again by the caller
        return failure
    return None


def _exit_code(failure: BaseException | None) -> int:
    if failure is None:
        return 0
    return failure.exit_code if isinstance(failure, AmplemarketError) else 1


def _end(failure: BaseException | None) -> str:
    if failure is None:
        return "done"
    return (
        str(failure) if isinstance(failure, AmplemarketError) else f"a fault of the program: {type(failure).__name__}"
    )


def make_run_id(started_at: datetime) -> str:
    """An id that sorts by time: `20260105T091500123456Z-1f2e3d`."""
    return f"{started_at:%Y%m%dT%H%M%S%f}Z-{secrets.token_hex(3)}"
