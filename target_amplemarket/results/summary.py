"""What a run did: a JSON document for programs, a few lines for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from target_amplemarket.errors import StorageError
from target_amplemarket.leads.tables import Status
from target_amplemarket.results.books import Books
from target_amplemarket.storage.durable import Folder

_Told = TypeVar("_Told", bound=msgspec.Struct)
_MOST_LISTS_SHOWN: Final = 10
_WITHOUT_ID: Final = {
    Status.ACCEPTED: "counted as sent: nobody can tell whether it arrived",
    Status.HELD: "held: nobody can tell whether it arrived",
    Status.PLANNED: "planned",
}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run, as `runs/<run_id>.json` holds it.

    Attributes:
        left: Records read that have no result row yet; the next run reads them again.
        exit_code: None while the run is under way, or if it was killed.
        end: Why it ended, for people.
        resent: Markers of lists that were sent again after an answer was lost; later runs look whether they are there
            more than once.
        freed: Markers of lists that were absent when asked, or lacked leads; later runs look whether they came after
            all.
        kept: Of `freed`, where calls add to lists: marker → entries that the list had by then; none if left out.
        dry_run: Nothing was sent, by the settings.
        worst_credits: What all lists together can cost at most, by the prices that `quote` names.
        quote: The worst case of one lead in words.
        ceilings: Setting → the ceiling that it set, where it set one.
    """

    run_id: str
    version: str
    service: str
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    end: str
    records: int
    rows: int
    left: int
    states_emitted: int
    requests: dict[str, int]
    statuses: dict[str, int]
    reasons: dict[str, dict[str, int]]
    streams: dict[str, dict[str, Any]]
    lists: list[dict[str, Any]]
    resent: list[str]
    freed: list[str]
    dry_run: bool
    worst_credits: dict[str, float]
    quote: str
    ceilings: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Seconds from start to end."""
        return ((self.ended_at or self.started_at) - self.started_at).total_seconds()


def summarise(
    books: Books,
    mappings: dict[str, str],
    *,
    run_id: str,
    version: str,
    service: str,
    started_at: datetime,
    ended_at: datetime | None,
    exit_code: int | None,
    end: str,
    states_emitted: int,
    requests: dict[str, int],
    resent: Sequence[str] = (),
    freed: Sequence[str] = (),
    dry_run: bool = False,
    quote: str = "",
    ceilings: dict[str, int] | None = None,
    kept: dict[str, int] | None = None,
) -> RunSummary:
    """Put a run's counts together."""
    streams = {
        name: {"records": count, "mapping": mappings.get(name), "statuses": books.by_status(stream=name)}
        for name, count in books.records.items()
    }
    return RunSummary(
        run_id=run_id,
        version=version,
        service=service,
        started_at=started_at,
        ended_at=ended_at,
        exit_code=exit_code,
        end=end,
        records=books.record_count,
        rows=books.row_count,
        left=books.record_count - books.row_count,
        states_emitted=states_emitted,
        requests=requests,
        statuses=books.by_status(),
        reasons=books.by_reason(),
        streams=streams,
        lists=[asdict(entry) for entry in books.lists],
        resent=list(resent),
        freed=list(freed),
        dry_run=dry_run,
        worst_credits={
            "email": math.fsum(entry.email_credits for entry in books.lists),
            "phone": math.fsum(entry.phone_credits for entry in books.lists),
        },
        quote=quote,
        ceilings=ceilings or {},
        kept=kept or {},
    )


def read_summary(file: Path, kind: type[_Told]) -> _Told:
    """What a summary file tells of its run, as far as a reader asks for it.

    Args:
        file: `runs/<run_id>.json`.
        kind: A Struct with the members that are asked for.

    Raises:
        StorageError: It cannot be read, or is damaged.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        raise StorageError(f"{file} cannot be read: it is damaged or not a run summary") from None


def write_summary(folder: Folder, summary: RunSummary) -> None:
    """Write `runs/<run_id>.json` durably."""
    folder.write(f"runs/{summary.run_id}.json", summary_json(summary) + b"\n")


def summary_json(summary: RunSummary) -> bytes:
    """The document that `runs/<run_id>.json` holds."""
    return msgspec.json.format(msgspec.json.encode(asdict(summary)), indent=2)


def summary_lines(summary: RunSummary, folder: Path) -> Iterator[str]:
    """A run in a few lines for people."""
    yield f"run {summary.run_id}: {summary.end}" + (" (dry run: nothing was sent)" if summary.dry_run else "")
    yield f"  {_counted(summary.records, 'record')} read in {summary.duration_s:,.1f} s"
    for status, count in summary.statuses.items():
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in summary.reasons.get(status, {}).items())
        yield f"  {count:>10,} {status}" + (f" ({reasons})" if reasons else "")
    if summary.left:
        yield f"  {summary.left:>10,} left: read, not recorded yet; the next run reads them again"
    if summary.lists:
        yield f"  {_counted(len(summary.lists), 'list')}:"
        yield from (f"    {_list_line(entry)}" for entry in summary.lists[:_MOST_LISTS_SHOWN])
        if (rest := len(summary.lists) - _MOST_LISTS_SHOWN) > 0:
            yield f"    and {rest:,} more in runs/{summary.run_id}.json"
    if any(summary.worst_credits.values()) or (summary.dry_run and summary.quote):
        email, phone = summary.worst_credits["email"], summary.worst_credits["phone"]
        yield f"  credits at worst: {email:,g} e-mail, {phone:,g} phone; {summary.quote}"
    yield f"  results: {folder / 'results' / summary.run_id}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _list_line(entry: dict[str, Any]) -> str:
    where = entry["url"] or entry["list_id"] or _WITHOUT_ID[entry["status"]]
    return f"{entry['lead_count']:>7,}  {entry['name']}  {where}"
