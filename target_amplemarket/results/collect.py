"""Following lists to their end and reading their entries back.

Results are read, never written, and lists of a run that is under way are followed as soon as their rows are there; so
the folder's lock is not needed. What is written goes into `enriched/`, which has a lock of its own: two at once would
only ask everything twice. A list is written once it has ended and all of its entries were read, whole and durably, so
that whatever stops this anywhere leaves some lists collected and the others not.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa

from target_amplemarket.clock import Clock, SystemClock
from target_amplemarket.config import Settings
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.errors import (
    ApiUnreachable,
    CollectStopped,
    ListsUnfinished,
    RefusedByApi,
    SettingsError,
    StorageError,
)
from target_amplemarket.leads.exclusions import record_key_fingerprints
from target_amplemarket.results.account import check_account
from target_amplemarket.results.enriched import (
    ENRICHED,
    ENRICHED_FOLDER,
    GONE,
    ListFacts,
    enriched_files,
    read_enriched,
    read_facts,
    write_enriched,
)
from target_amplemarket.results.forgotten import read_tombstones
from target_amplemarket.results.ledger import folder_key
from target_amplemarket.results.matching import Match, Prints, kept_as, match_entries, prints_of
from target_amplemarket.results.reader import ALL
from target_amplemarket.results.sent_lists import SentList, lead_rows, sent_lists
from target_amplemarket.services import open_service
from target_amplemarket.services.calls import Surroundings
from target_amplemarket.services.entries import ENTRIES
from target_amplemarket.services.protocol import CannotAsk, ListState, Service
from target_amplemarket.singer.stop import StopRequest
from target_amplemarket.storage.durable import Folder, System
from target_amplemarket.storage.lock import locked

LOGGER: Final = logging.getLogger("target-amplemarket")

ENDED: Final = frozenset({"completed", "canceled"})
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 60.0
GONE_AFTER: Final = timedelta(hours=24)
"""From when on a list that the API does not find is gone; before, it may be one that is not shown yet."""

OUTAGES: Final = frozenset(
    {"connect_failed", "connect_timed_out", "connection_lost", "timed_out", "rate_limited", "server_fault"}
)
"""Failures that say something of the API, not of one list."""

MOST_READINGS: Final = 3
MOST_FAILURES: Final = 3
"""Lists in a row that could not be asked for, after which the API counts as out of reach."""


@dataclass(slots=True)
class Collected:
    """What one call did.

    Attributes:
        written: Files of the lists that were collected by it, in the order of writing.
        open: Lists that are still processed.
        failed: Lists that could not be read, and why.
    """

    written: list[Path] = field(default_factory=list)
    open: list[SentList] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Say whether everything was collected.

        Raises:
            ListsUnfinished: No.
        """
        parts = [f"{len(self.open)} still processed by the API"] if self.open else []
        if self.failed:
            named = ", ".join(f"{list_id} ({reason})" for list_id, reason in list(self.failed.items())[:10])
            parts.append(f"{len(self.failed)} that could not be read: {named}")
        if parts:
            raise ListsUnfinished(
                f"lists not collected: {'; '.join(parts)}; run `collect` again (`--wait SECONDS` waits for them)"
            )


def collect(
    settings: Settings,
    *,
    run: str = ALL,
    lists: Sequence[str] = (),
    wait_s: float = 0,
    take: Callable[[Path], None] = lambda _: None,
    clock: Clock | None = None,
    service: Service | None = None,
    system: System | None = None,
) -> Collected:
    """Collect lists that were sent and not collected yet.

    Args:
        settings: Checked settings.
        run: A run id, `last`, or `all`.
        lists: Ids of lists to be collected, also once more; by default all that were not collected.
        wait_s: How long to wait for lists to end; 0 asks each once. Reading what has ended takes the time it takes.
        take: Takes the file of each list as soon as it is durable, those that were there before first.
        clock: The machine's own by default.
        service: The one that the settings name by default.
        system: The operating system's own file calls by default.

    Raises:
        SettingsError: A list was not sent from this folder, or the folder belongs to another account.
        FolderLocked: Another `collect` is under way.
        RefusedByApi: The key is not accepted.
        ApiUnreachable: The API does not answer; what is written stays.
        StorageError: A file cannot be read or written.
        CollectStopped: A signal came; what is written stays.
    """
    clock, path = clock or SystemClock(), Path(settings.results_path)
    chosen = _chosen(path, run, lists)
    folder = Folder(path) if system is None else Folder(path, system)
    enriched = Folder(path / ENRICHED_FOLDER) if system is None else Folder(path / ENRICHED_FOLDER, system)
    stop = StopRequest()
    with (
        contextlib.closing(stop),
        locked(enriched, clock, wait_s=settings.lock_wait_seconds),
        stop.on_signals(),
    ):
        limiter = Limiter(settings.requests_per_minute, clock, stop.event)
        if service is None:
            service = open_service(settings, Surroundings(clock, limiter.acquire, limiter.slow_down, stop.event))
        with contextlib.closing(service):
            enriched.remove_temporary_files()
            before = in_order(path)
            for _, file in before:
                take(file)
            had = set() if lists else {facts.list_id for facts, _ in before}
            due = [each for each in chosen if each.list_id not in had]
            last = max((facts.collected_at for facts, _ in before), default=datetime.min.replace(tzinfo=UTC))
            collector = _Collector(settings, folder, enriched, service, clock, stop, take, last)
            return collector.follow(due, wait_s) if due else Collected()


def in_order(path: Path) -> list[tuple[ListFacts, Path]]:
    """Lists that were collected, in the order in which they were.

    Raises:
        StorageError: A file cannot be read.
    """
    found = [(read_facts(file), file) for file in enriched_files(path)]
    return sorted(found, key=lambda pair: (pair[0].collected_at, pair[0].list_id))


def _chosen(path: Path, run: str, lists: Sequence[str]) -> list[SentList]:
    found = sent_lists(path, run)
    if unknown := set(lists) - {each.list_id for each in found}:
        raise SettingsError(f"not among the lists that were sent from {path}: {', '.join(sorted(unknown))}")
    return [each for each in found if not lists or each.list_id in lists]


@dataclass(slots=True)
class _Collector:
    settings: Settings
    folder: Folder
    enriched: Folder
    service: Service
    clock: Clock
    stop: StopRequest
    take: Callable[[Path], None]
    last: datetime  # when the newest list was collected
    done: Collected = field(default_factory=Collected)
    failures: int = 0

    def follow(self, due: Sequence[SentList], wait_s: float) -> Collected:
        """Ask for each list when its turn comes, until all have ended or the time is over."""
        self._check_account()
        start_s = self.clock.monotonic_s()
        turns = [(start_s, number) for number in range(len(due))]
        pauses = dict.fromkeys(range(len(due)), FIRST_PAUSE_S)
        while turns and turns[0][0] <= start_s + wait_s:
            turn_s, number = heapq.heappop(turns)
            self._wait_until(turn_s, len(turns) + 1)
            again_s = self._ask(due[number], pauses[number])
            if again_s is not None:
                heapq.heappush(turns, (self.clock.monotonic_s() + again_s, number))
                pauses[number] = min(pauses[number] * 2, LONGEST_PAUSE_S)
        left = sorted(number for _, number in turns)
        self.done.open = [due[number] for number in left if due[number].list_id not in self.done.failed]
        return self.done

    def _wait_until(self, turn_s: float, open_count: int) -> None:
        wait_s = turn_s - self.clock.monotonic_s()
        if wait_s >= 1:
            LOGGER.info("%d lists have not ended; asking again in %.0f s", open_count, wait_s)
        if wait_s > 0:
            self.clock.sleep(wait_s, self.stop.event)
        self._leave_if_stopped()

    def _ask(self, lead_list: SentList, pause_s: float) -> float | None:
        """Ask for a list once and collect it if it has ended; else return the seconds until it may be asked again."""
        state = self.service.list_state(lead_list.list_id)
        if isinstance(state, CannotAsk):
            return self._failed(lead_list, state, pause_s)
        if state.status not in ENDED:
            self.failures = 0
            self.done.failed.pop(lead_list.list_id, None)
            return max(pause_s, state.retry_after_s or 0.0)
        entries = self._entries(lead_list, state)
        if isinstance(entries, CannotAsk):
            return self._failed(lead_list, entries, pause_s)
        self.failures = 0
        self.done.failed.pop(lead_list.list_id, None)
        self._write(lead_list, state, entries)
        return None

    def _failed(self, lead_list: SentList, failure: CannotAsk, pause_s: float) -> float | None:
        self._leave_if_stopped()
        if failure.http_status in {401, 403}:
            raise RefusedByApi(
                f"the API does not accept the key for reading lists (HTTP {failure.http_status}): check `api_key`, or "
                "what gives it, and its rights; what was collected stays"
            )
        if failure.http_status == 404 and self.clock.now() - lead_list.recorded_at >= GONE_AFTER:
            self._write(lead_list, ListState(GONE, None), ENTRIES.empty_table())
            return None
        reason = failure.reason if failure.http_status is None else f"{failure.reason}, HTTP {failure.http_status}"
        self.done.failed[lead_list.list_id] = reason
        LOGGER.warning("list %s cannot be read (%s)", lead_list.list_id, reason)
        self.failures = self.failures + 1 if failure.reason in OUTAGES else 0
        if self.failures >= MOST_FAILURES:
            raise ApiUnreachable(f"{self.failures} lists in a row could not be read ({reason}); run `collect` again")
        return pause_s

    def _entries(self, lead_list: SentList, state: ListState) -> pa.Table | CannotAsk:
        """All entries of a list, each once.

        Entries that move while their pages are read come twice, or not at all. So a reading counts if no entry came
        twice and there is one for every lead that was sent, or if the next reading finds the same entries.
        """
        before: set[str] | None = None
        for _ in range(MOST_READINGS):
            entries = self._read(lead_list.list_id, state.status)
            if isinstance(entries, CannotAsk):
                return entries
            ids = set(entries.column("entry_id").to_pylist())
            if len(ids) == entries.num_rows and (len(ids) >= lead_list.lead_count or ids == before):
                return entries
            before = ids
        return CannotAsk("entries_change")

    def _read(self, list_id: str, status: str) -> pa.Table | CannotAsk:
        pages = [ENTRIES.empty_table()]
        for page in self.service.entries(list_id):
            if isinstance(page, CannotAsk):
                return page
            if page.state.status != status:
                return CannotAsk("entries_change")
            pages.append(page.entries)
        return pa.concat_tables(pages).combine_chunks()

    def _write(self, lead_list: SentList, state: ListState, entries: pa.Table) -> None:
        key = folder_key(self.folder)
        leads = lead_rows(self.folder.path, lead_list).combine_chunks()
        prints = prints_of(entries, key)
        matches = match_entries(entries, prints, leads)
        collected_at = max(self.clock.now(), self.last + timedelta(microseconds=1))
        rows = _rows(lead_list, state, entries, matches, leads, collected_at)
        is_kept = self._are_kept(lead_list, rows, prints, key)
        facts = ListFacts(
            list_id=lead_list.list_id,
            list_name=lead_list.list_name,
            list_status=state.status,
            run_id=lead_list.run_id,
            stream=lead_list.stream,
            owner=state.owner,
            sent=lead_list.lead_count,
            missing=lead_list.lead_count - len({match.row for match in matches if match.row is not None}),
            forgotten=is_kept.false_count,
            collected_at=collected_at,
        )
        self._write_durably(rows.filter(is_kept), facts)
        self.last = collected_at
        file = self.enriched.path / f"{lead_list.list_id}.arrow"
        self.done.written.append(file)
        LOGGER.info(
            "list `%s`: %s, %s entries of %s leads", facts.list_name, facts.list_status, f"{is_kept.true_count:,}",
            f"{facts.sent:,}",
        )  # fmt: skip
        self.take(file)

    def _write_durably(self, rows: pa.Table, facts: ListFacts) -> None:
        try:
            write_enriched(self.enriched, rows, facts)
        except StorageError:  # a run that begins clears temporary files away, perhaps this one
            write_enriched(self.enriched, rows, facts)

    def _are_kept(self, lead_list: SentList, rows: pa.Table, prints: Prints, key: bytes) -> pa.BooleanArray:
        """All but the entries of people who were forgotten."""
        tombstones = read_tombstones(self.folder)
        kept = pa.repeat(pa.scalar(True), rows.num_rows)  # Arrow's own signature
        if not tombstones.num_rows:
            return kept
        names, values = (tombstones.column(name).to_pylist() for name in ("identity", "fingerprint"))
        buried = set(zip(names, values, strict=True))
        of_keys = record_key_fingerprints(lead_list.stream, rows.column("record_key").combine_chunks(), key)
        columns = [(kept_as(by), each) for by, each in prints]
        columns.append(("record_key", of_keys.to_pylist()))
        return pa.array(
            [not any((name, each[row]) in buried for name, each in columns) for row in range(rows.num_rows)],
            pa.bool_(),
        )

    def _check_account(self) -> None:
        """Lists of another account would all seem to be gone."""
        if self.folder.read("account.json") is None:
            return
        try:
            check_account(self.folder, self.settings.service, self.service.account())
        except ApiUnreachable:
            self._leave_if_stopped()
            raise

    def _leave_if_stopped(self) -> None:
        if self.stop.signal_number is not None:
            raise CollectStopped(self.stop.signal_number)


def _rows(
    lead_list: SentList,
    state: ListState,
    entries: pa.Table,
    matches: Sequence[Match],
    leads: pa.Table,
    collected_at: datetime,
) -> pa.Table:
    count = entries.num_rows
    places = pa.array([match.row for match in matches], pa.int64())
    same = {
        "run_id": lead_list.run_id,
        "stream": lead_list.stream,
        "list_id": lead_list.list_id,
        "list_name": lead_list.list_name,
        "list_status": state.status,
        "owner": state.owner,
    }
    columns = {name: pa.array([value] * count, pa.string()).dictionary_encode() for name, value in same.items()}
    columns |= {name: leads.column(name).take(places) for name in ("record_no", "record_key")}
    columns |= {name: entries.column(name) for name in ENTRIES.names}
    columns["matched_by"] = pa.array([match.by.value for match in matches], pa.string()).dictionary_encode()
    columns["entry_no"] = pa.array(range(count), pa.int32())
    columns["collected_at"] = pa.array([collected_at] * count, ENRICHED.field("collected_at").type)
    return pa.table([columns[name] for name in ENRICHED.names], schema=ENRICHED)


def read_collected(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The entries of every list that was collected, list by list in the order of collecting.

    Raises:
        StorageError: A file cannot be read.
    """
    for _, file in in_order(path):
        yield read_enriched(file, columns)[0]
