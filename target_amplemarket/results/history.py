"""What earlier runs left behind: their summaries and the last STATE that left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa

from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import StorageError
from target_amplemarket.results.replays import is_replay
from target_amplemarket.results.state_log import STATES
from target_amplemarket.results.summary import read_summary
from target_amplemarket.results.swings import WHOLE, swings, usual_counts
from target_amplemarket.storage.durable import Folder


class StreamCount(msgspec.Struct, frozen=True):
    """A stream of a run."""

    records: int = 0


class PastRun(msgspec.Struct, frozen=True):
    """A run as its summary file tells it; members that this version does not know are passed over.

    Attributes:
        exit_code: None for a run that is under way or was killed.
    """

    run_id: str
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    end: str
    records: int
    left: int
    statuses: dict[str, int]
    lists: list[dict[str, object]]
    resent: list[str] = []
    freed: list[str] = []
    kept: dict[str, int] = {}
    streams: dict[str, StreamCount] = {}


def past_runs(folder: Path) -> list[PastRun]:
    """All runs of a results folder, oldest first.

    Raises:
        StorageError: There is no such folder, or a summary is damaged.
    """
    if not folder.is_dir():
        raise StorageError(f"there is no results folder {folder}")
    return list(_read_runs(folder))


@dataclass(frozen=True, slots=True)
class PastMarkers:
    """Markers that later runs look for once more: see `RunSummary`."""

    resent: tuple[str, ...]
    freed: tuple[str, ...]
    kept: Mapping[str, int]


def past_markers(folder: Path, since: datetime) -> PastMarkers:
    """Markers of lists that runs since then sent again, or found to be absent.

    Raises:
        StorageError: A summary is damaged.
    """
    runs = list(_read_runs(folder, since))
    return PastMarkers(
        resent=tuple(marker for run in runs for marker in run.resent),
        freed=tuple(marker for run in runs for marker in run.freed),
        kept={marker: count for run in runs for marker, count in run.kept.items()},
    )


def _read_runs(folder: Path, since: datetime = datetime.min) -> Iterator[PastRun]:  # noqa: DTZ901  # before any name
    for file in sorted((folder / "runs").glob("*.json")):
        if file.name < f"{since:%Y%m%d}":  # run ids begin with the date
            continue
        yield read_summary(file, PastRun)


def last_state(folder: Path) -> str | None:
    """The JSON text of the newest STATE that left, over all runs; None if none did.

    Raises:
        StorageError: There is no such folder, or the newest state file is damaged.
    """
    if not folder.is_dir():
        raise StorageError(f"there is no results folder {folder}")
    files = sorted((folder / "state").glob("*.arrow"))
    if not files:
        return None
    try:
        with pa.memory_map(str(files[-1])) as source:
            states = pa.ipc.open_file(source).read_all().cast(STATES)
    except (OSError, pa.ArrowException):
        raise StorageError(f"{files[-1]} cannot be read: it is damaged or not a state file") from None
    return str(states.column("value")[-1].as_py())


class UnsettledList(msgspec.Struct, frozen=True):
    """A list that was decided on and whose outcome is not recorded: under way, left by a crash, or held."""

    marker: str
    name: str
    run_id: str
    lead_count: int


class FolderStatus(msgspec.Struct, frozen=True):
    """What a person wants to know of a results folder."""

    runs: list[PastRun]
    unsettled: list[UnsettledList]
    last_state: str | None
    swings: list[str] = []

    def json(self) -> str:
        """As one JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()


def folder_status(folder: Path, *, most: int) -> FolderStatus:
    """Look into a results folder without taking its lock, so also while a run is under way.

    Args:
        folder: The results folder.
        most: How many runs, the newest first to be kept.

    Raises:
        StorageError: There is no such folder, or a file in it is damaged.
    """
    runs = past_runs(folder)[-most:]
    entries = Outbox(Folder(folder), run_id="").entries()
    unsettled = [UnsettledList(e.intent.marker, e.intent.name, e.intent.run_id, e.leads.num_rows) for e in entries]
    return FolderStatus(runs, unsettled, last_state(folder), _last_swings(folder, runs))


def _last_swings(folder: Path, runs: list[PastRun]) -> list[str]:
    """What the newest run that read its input to its end has far more or fewer of than those before it."""
    whole = [run for run in runs if run.exit_code in WHOLE and run.streams and not is_replay(folder, run.run_id)]
    if not whole:
        return []
    last = whole[-1]
    records = {name: stream.records for name, stream in last.streams.items()}
    return [str(swing) for swing in swings(usual_counts(folder, before=last.run_id), records)]
