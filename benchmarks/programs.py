"""The programs that are measured, each as a run over some input that sends to the sink."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.arrivals import Arrived, RunningSink
from benchmarks.inputs import Input, data_files
from benchmarks.people import STREAM
from benchmarks.places import CACHE, HERE, ROOT, python_of
from benchmarks.processes import Cost, run

OWNER: Final = "owner@northwind.example"
FAST: Final = 100_000
"""Requests a minute at which our own limiter bounds nothing."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a run needs.

    Attributes:
        sink: Where to send.
        tree: The source tree of the target that is measured.
    """

    sink: RunningSink
    tree: Path = ROOT

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """A new folder on the disk where the input lies."""
        (CACHE / "runs").mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=CACHE / "runs"))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Program:
    """Something to be measured.

    Attributes:
        key: Its word in `--only` and in the raw numbers.
        label: Its name for people.
        start: Runs it over an input in a folder.
        sends: Whether leads have to arrive.
    """

    key: str
    label: str
    start: Callable[[Bench, Input, Path], Cost]
    sends: bool = True

    def cost(self, bench: Bench, given: Input, latency_s: float = 0.0) -> tuple[Cost, Arrived]:
        """Run it once and check that everybody arrived.

        Raises:
            Failed: It failed, or leads are missing or doubled.
        """
        bench.sink.reset(latency_s)
        with bench.folder() as folder:
            cost = self.start(bench, given, folder)
        arrived = bench.sink.arrived()
        if self.sends:
            arrived.check(given.lead_count, self.key)
        return cost, arrived


# --- Ours -------------------------------------------------------------------------------------------------------------


def write_settings(bench: Bench, folder: Path, changes: Mapping[str, object] | None = None) -> Path:
    """A settings file for our target: the defaults, the sink, and a rate that bounds nothing."""
    settings: dict[str, Any] = {
        "api_key": "benchmark",
        "owner": OWNER,
        "base_url": bench.sink.base_url,
        "results_path": str(folder / "results"),
        "requests_per_minute": FAST,
        **(changes or {}),
    }
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    return path


def target_command(*words: str | Path, environment: str | None = "own") -> list[str | Path]:
    """Our console command, as its users install it; of the project's own environment for what needs the extras."""
    return [python_of(environment), "-m", "target_amplemarket", *words]


@dataclass(frozen=True, slots=True)
class Target:
    """Our target reading messages on stdin."""

    changes: Mapping[str, object] = field(default_factory=dict)

    def __call__(self, bench: Bench, given: Input, folder: Path) -> Cost:
        settings = write_settings(bench, folder, {**self.changes, **_batch_paths(given)})
        return run(target_command("--config", settings), stdin=given.path, log=folder / "log", cwd=bench.tree)


@dataclass(frozen=True, slots=True)
class Push:
    """Our target reading Parquet files by itself."""

    def __call__(self, bench: Bench, given: Input, folder: Path) -> Cost:
        settings = write_settings(bench, folder)
        options = ("--config", settings, "--stream", STREAM, "--key", "Id")
        return run(target_command("push", *data_files(given), *options), log=folder / "log", cwd=bench.tree)


def _batch_paths(given: Input) -> dict[str, object]:
    return {"batch_paths": [str(given.path.parent)]} if data_files(given) else {}


# --- The floor and the peers ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Floor:
    """See `benchmarks.floor`."""

    kind: str

    def __call__(self, bench: Bench, given: Input, folder: Path) -> Cost:
        del bench
        command = [python_of(), "-m", "benchmarks.floor", self.kind]
        return run(command, stdin=given.path, log=folder / "log", cwd=ROOT)


@dataclass(frozen=True, slots=True)
class Stock:
    """The target of `peers/stock_target.py`."""

    validates: bool

    def __call__(self, bench: Bench, given: Input, folder: Path) -> Cost:
        settings: dict[str, Any] = {"api_key": "benchmark", "owner": OWNER, "base_url": bench.sink.base_url}
        if not self.validates:
            settings["validate_records"] = False
        path = folder / "settings.json"
        path.write_text(json.dumps(settings))
        command = [python_of("singer-sdk"), HERE / "peers" / "stock_target.py", "--config", path]
        return run(command, stdin=given.path, log=folder / "log", cwd=folder)


def dlt_push(bench: Bench, given: Input, folder: Path) -> Cost:
    """Run `peers/dlt_push.py`."""
    command = [python_of("dlt"), HERE / "peers" / "dlt_push.py", bench.sink.base_url, folder]
    environ = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(folder), "HOME": str(folder)}
    return run(command, stdin=given.path, log=folder / "log", environ=environ, cwd=folder)


def target_jsonl(bench: Bench, given: Input, folder: Path) -> Cost:
    """Run target-jsonl, which writes the records to a file."""
    del bench
    path = folder / "settings.json"
    path.write_text(json.dumps({"destination_path": str(folder)}))
    command = [python_of("target-jsonl").with_name("target-jsonl"), "--config", path]
    return run(command, stdin=given.path, log=folder / "log", cwd=folder)


FLOOR: Final = Program("floor", "msgspec floor: whole records (the one compared with)", Floor("whole"), sends=False)
FLOOR_MAPPED: Final = Program("floor-mapped", "msgspec floor: mapped members only", Floor("mapped"), sends=False)
OURS: Final = Program("ours", "target-amplemarket", Target())
VALIDATED: Final = Program("validated", "target-amplemarket, validate_records", Target({"validate_records": True}))
STOCK: Final = Program("stock", "singer-sdk, validation off", Stock(validates=False))
STOCK_VALIDATED: Final = Program("stock-validated", "singer-sdk, default validation", Stock(validates=True))
DLT: Final = Program("dlt", "dlt custom destination", dlt_push)
JSONL: Final = Program("jsonl", "target-jsonl (sends nothing)", target_jsonl, sends=False)
PUSH: Final = Program("push", "target-amplemarket push, Parquet", Push())
