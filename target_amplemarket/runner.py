"""Putting a run together from its settings: folder, lock, ledger, service, pipeline, summary."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

from target_amplemarket.clock import Clock, SystemClock
from target_amplemarket.config import Settings
from target_amplemarket.delivery.audit import late_text, twice_text
from target_amplemarket.delivery.deliver import Sender
from target_amplemarket.delivery.in_flight import InFlight
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.delivery.rehearsal import Rehearsal
from target_amplemarket.errors import (
    ApiUnreachable,
    ListsHeld,
    RefusedByApi,
    SettingsError,
    Stopped,
    StorageError,
    TargetError,
)
from target_amplemarket.leads.exclusions import ExcludedPeople
from target_amplemarket.leads.map_block import Rules
from target_amplemarket.lists.credits import prices_of
from target_amplemarket.lists.grouping import ListRules, OpenLists
from target_amplemarket.lists.guards import breaker_of, ceilings_of
from target_amplemarket.lists.lead_list import LeadList, make_marker
from target_amplemarket.pipeline import Pipeline
from target_amplemarket.recording import Recorder
from target_amplemarket.results.account import check_account, check_service
from target_amplemarket.results.books import Books
from target_amplemarket.results.compaction import compact
from target_amplemarket.results.exclusions import account_exclusions, local_exclusions
from target_amplemarket.results.history import past_markers
from target_amplemarket.results.ledger import folder_key, known_people
from target_amplemarket.results.recovery import Recovered, Recovery, Verdict
from target_amplemarket.results.rows import RowMaker
from target_amplemarket.results.state_log import StateLog
from target_amplemarket.results.summary import RunSummary, summarise, write_summary
from target_amplemarket.results.swings import SwingGuard, swings, usual_counts
from target_amplemarket.results.writer import ResultsWriter
from target_amplemarket.services import intake_of, open_service
from target_amplemarket.services.calls import Surroundings
from target_amplemarket.services.protocol import ListRequest, Service
from target_amplemarket.singer.arrow_run import ArrowRun
from target_amplemarket.singer.messages import Expected, Message
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.singer.streams import Mapper, Streams
from target_amplemarket.storage.durable import Folder, System
from target_amplemarket.storage.lock import locked
from target_amplemarket.taking import AccountQuestions, Taker

PACKAGE: Final = "target-amplemarket"
AUDITED: Final = timedelta(days=7)
"""For how long a list that was sent again is looked for."""

CEILINGS: Final = tuple(
    f"max_{what}_per_run" for what in ("records", "leads", "email_credits", "phone_credits")
)  # settings

LOGGER: Final = logging.getLogger(PACKAGE)


@dataclass(frozen=True, slots=True)
class Input:
    """Where messages come from and where STATE goes.

    Attributes:
        messages: Makes the messages; looks at the stop request between them, and asks what the records are read for.
        emit: Takes the JSON text of a STATE value that may leave.
        mapper: Set when stream maps or flattening are configured.
        watch: Takes the books before the run begins, to look at while it lasts.
        is_whole: The streams as a tap gives them, whose counts can be compared; a replay is a part of them.
    """

    messages: Callable[[StopRequest, Expected], Iterable[Message | ArrowRun]]
    emit: Callable[[bytes], None]
    mapper: Mapper | None = None
    watch: Callable[[Books], None] | None = None
    is_whole: bool = True


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
        TargetError: Whatever stopped the run, after the summary was written.
    """
    with _open_run(settings, clock or SystemClock(), service, system) as run:
        return run.execute(given, report)


def settle_outbox(settings: Settings, *, clock: Clock | None = None, service: Service | None = None) -> list[Recovered]:
    """Settle what earlier runs left in the outbox, and nothing else; what every run does first.

    Raises:
        TargetError: The folder is held by a run, or its files cannot be read or written.
    """
    with _open_run(settings, clock or SystemClock(), service) as run:
        return run.recover(Outbox(run.folder, run.run_id))


def resolve_list(settings: Settings, marker: str, verdict: Verdict, *, clock: Clock | None = None) -> Recovered:
    """Settle one held list as a person says who has looked for it in the account.

    Raises:
        SettingsError: No list with this marker is held.
        TargetError: The folder is held by a run, or its files cannot be read or written.
    """
    with _open_run(settings, clock or SystemClock(), None) as run:
        outbox = Outbox(run.folder, run.run_id)
        entries = [entry for entry in outbox.entries() if entry.intent.marker == marker]
        if not entries:
            raise SettingsError(f"no list with the marker {marker} is held; `status` shows those that are")
        recovery = Recovery(run.folder, outbox, settings.results_record, run.clock)
        return recovery.resolve(entries[0], verdict, run.service)


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
            check_service(folder, settings.service)
            limiter = Limiter(settings.requests_per_minute, clock, stop.event)
            if service is None:
                service = open_service(settings, Surroundings(clock, limiter.acquire, limiter.slow_down, stop.event))
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
        pipeline.recorder.alarms.extend(each.alarm for each in recovered if each.alarm)
        freed = {each.entry.intent.marker: each.entry_count for each in recovered if each.is_freed}

        def note_under_way() -> None:
            """So that a run that is killed leaves the markers that later runs have to look for."""
            under_way = self._summary(pipeline, freed, ended_at=None, exit_code=None, end="under way, or killed")
            write_summary(self.folder, under_way)

        pipeline.recorder.note_resent = note_under_way
        if given.watch is not None:
            given.watch(pipeline.recorder.books)
        note_under_way()
        failure = _failure_of(lambda: pipeline.run(given.messages(self.stop, pipeline.taker.streams.read_with_lines)))
        failure = failure or _failure_of(lambda: self._audit(pipeline.recorder.resent, freed))
        failure = failure or _failure_of(lambda: _refuse_held(recovered))
        ended_at, exit_code = self.clock.now(), _exit_code(failure)
        ended = self._summary(pipeline, freed, ended_at=ended_at, exit_code=exit_code, end=_end(failure))
        unwritten = _failure_of(lambda: write_summary(self.folder, ended))
        if given.is_whole and exit_code in {0, ListsHeld.exit_code}:
            self._warn_of_swings(pipeline.recorder.books)
        report(ended)
        self._write_report()
        if failure := failure or unwritten:
            raise failure
        self._compact()
        return ended

    def _warn_of_swings(self, books: Books) -> None:
        with contextlib.suppress(StorageError):  # the run is over; what cannot be compared is no fault of it
            for swing in swings(usual_counts(self.folder.path, before=self.run_id), books.records):
                LOGGER.warning("%s; `max_swing_percent` would stop such a run", swing)

    def _usual_counts(self, given: Input) -> Mapping[str, float]:
        is_needed = given.is_whole and self.settings.max_swing_percent is not None
        return usual_counts(self.folder.path, before=self.run_id) if is_needed else {}

    def _write_report(self) -> None:
        """The page for people, however the run ended; one that cannot be made changes nothing."""
        if not self.settings.report:
            return
        from target_amplemarket.results.report import write_report

        try:
            path = write_report(self.folder, self.run_id, self.settings)
        except Exception as fault:  # whatever it is, the run is over and recorded
            reason = str(fault) if isinstance(fault, TargetError) else type(fault).__name__
            LOGGER.warning("there is no report of this run (%s); the `report` command writes it later", reason)
        else:
            LOGGER.info("report: %s", path)

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

    def _audit(self, resent: list[str], freed: dict[str, int]) -> None:
        """Look once more for lists that were sent again, or were absent when asked: a server may commit very late.

        Args:
            resent: Markers of lists that were sent again.
            freed: Markers of lists that were absent, or lacked leads, with the number of entries that were there.

        Raises:
            ListsHeld: Some are there that should not be; it names them.
        """
        past = past_markers(self.folder.path, self.started_at - AUDITED)
        freed = {marker: past.kept.get(marker, 0) for marker in past.freed} | freed
        alarms = [text for marker, kept in freed.items() if (text := late_text(marker, kept, self.service))]
        again = sorted({*resent, *past.resent} - freed.keys())
        alarms += [text for marker in again if (text := twice_text(marker, self.service))]
        if alarms:
            raise ListsHeld("; ".join(alarms))

    def _assemble(self, given: Input, outbox: Outbox) -> Pipeline:
        settings, numbers = self.settings, itertools.count(1)
        intake = intake_of(settings)
        fingerprint_key, check = folder_key(self.folder), functools.cache(self._check_account)
        prices, breaker = prices_of(settings), breaker_of(settings)
        ceilings = ceilings_of(settings, prices)
        open_lists = OpenLists(
            self._list_rules(),
            make_marker=str if settings.dry_run else make_marker,
            number=lambda: next(numbers),
            today=self.started_at,
        )
        recorder = Recorder(
            writer=ResultsWriter(self.folder, self.run_id, number=lambda: next(numbers)),
            row_maker=RowMaker(self.run_id, settings.results_record),
            state_log=StateLog(self.folder, self.run_id),
            outbox=outbox,
            prices=prices,
            emit=given.emit,
            clock=self.clock,
        )
        taker = Taker(
            settings=settings,
            streams=Streams(given.mapper, validate=settings.validate_records),
            rules=Rules(intake, settings.results_record != "none", fingerprint_key),
            people=known_people(
                self.folder,
                outbox.entries(),
                by_version=settings.load_method == "append-only",
                has_ids=intake.id_field is not None,
            ),
            open_lists=open_lists,
            breaker=breaker,
            ceilings=ceilings,
            recorder=recorder,
            account=AccountQuestions(
                owners=lambda: self._list_owners(check),
                has_owners=self.service.has_owners,
                exclusions=lambda: self._excluded_by_account(fingerprint_key, check),
            ),
            excluded_here=local_exclusions(settings, self.folder, fingerprint_key),
            clock=self.clock,
            stop=self.stop,
        )
        return Pipeline(
            taker=taker,
            recorder=recorder,
            open_lists=open_lists,
            in_flight=Rehearsal() if settings.dry_run else InFlight(self._sender(outbox), settings.max_in_flight),
            prices=prices,
            breaker=breaker,
            ceilings=ceilings,
            clock=self.clock,
            stop=self.stop,
            swings=SwingGuard(settings.max_swing_percent, self._usual_counts(given)),
            is_dry=settings.dry_run,
        )

    def _check_account(self) -> None:
        with self._unless_stopped():
            check_account(self.folder, self.settings.service, self.service.account())

    def _excluded_by_account(self, fingerprint_key: bytes, check: Callable[[], None]) -> ExcludedPeople:
        if self.settings.exclusions == "off":
            return ExcludedPeople(fingerprint_key)
        check()
        if not self.service.has_exclusions:
            LOGGER.info("this API has no exclusion lists that can be asked for; `suppression_file` can name people")
            return ExcludedPeople(fingerprint_key)
        try:
            with self._unless_stopped():
                return account_exclusions(self.settings, self.service.exclusions(), fingerprint_key)
        except (RefusedByApi, ApiUnreachable) as fault:
            if self.settings.exclusions == "require":
                raise type(fault)(
                    f"{fault}: nothing was sent. Run again, or set `exclusions` to `try` (go on without them if need "
                    "be) or `off`"
                ) from None
            LOGGER.warning("%s: going on without them, as `exclusions: try` says", fault)
            return ExcludedPeople(fingerprint_key)

    def _list_owners(self, check: Callable[[], None]) -> Collection[str]:
        check()
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
        routes = intake_of(self.settings).routes
        return ListRules(
            sizes={route.list_type: self.service.max_leads_per_call for route in routes if route.is_one_call},
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
        self, pipeline: Pipeline, freed: dict[str, int], *, ended_at: datetime | None, exit_code: int | None, end: str
    ) -> RunSummary:
        return summarise(
            pipeline.recorder.books,
            {name: mapping.describe() for name, mapping in pipeline.taker.mappings.items()},
            run_id=self.run_id,
            version=version(PACKAGE),
            service=self.settings.service,
            started_at=self.started_at,
            ended_at=ended_at,
            exit_code=exit_code,
            end=end,
            states_emitted=pipeline.recorder.state_log.emitted_count,
            requests=dict(self.service.requests),
            resent=pipeline.recorder.resent,
            freed=list(freed),
            kept={marker: count for marker, count in freed.items() if count},
            dry_run=self.settings.dry_run,
            quote=pipeline.prices.quote(),
            ceilings={name: value for name in CEILINGS if (value := getattr(self.settings, name)) is not None},
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
    return failure.exit_code if isinstance(failure, TargetError) else 1


def _end(failure: BaseException | None) -> str:
    if failure is None:
        return "done"
    return str(failure) if isinstance(failure, TargetError) else f"a fault of the program: {type(failure).__name__}"


def make_run_id(started_at: datetime) -> str:
    """An id that sorts by time: `20260105T091500123456Z-1f2e3d`."""
    return f"{started_at:%Y%m%dT%H%M%S%f}Z-{secrets.token_hex(3)}"
