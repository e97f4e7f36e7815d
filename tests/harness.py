"""Running Singer messages through the real pipeline, in this process, against a real server."""

from __future__ import annotations

import io
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from target_amplemarket.clock import Clock
from target_amplemarket.config import read_settings
from target_amplemarket.errors import TargetError
from target_amplemarket.results.reader import read_results
from target_amplemarket.results.summary import RunSummary
from target_amplemarket.runner import Input, execute
from target_amplemarket.singer.lines import read_lines
from target_amplemarket.singer.messages import Expected, read_messages
from target_amplemarket.singer.stop import StopRequest

Messages = bytes | Iterable[dict[str, Any]]


class VirtualClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []
        self._now_s = 0.0

    def monotonic_s(self) -> float:
        return self._now_s

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 9, 15, tzinfo=UTC) + timedelta(seconds=self._now_s)

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        if wake is None or not wake.is_set():
            self.slept_s.append(duration_s)
            self._now_s += max(0.0, duration_s)


@dataclass(slots=True)
class Ran:
    """What a run did."""

    summary: RunSummary
    error: TargetError | None
    states: list[str]
    results_path: Path
    rows: pa.Table = field(repr=False)

    @property
    def statuses(self) -> list[str]:
        """Status by record, in order of arrival."""
        return self.column("status")

    def column(self, name: str) -> list[Any]:
        """One result column, in order of arrival."""
        return self.rows.column(name).to_pylist()


def run_singer(
    messages: Messages, settings: dict[str, Any], *, clock: Clock | None = None, stop_after: int | None = None
) -> Ran:
    """Run messages to their end, or until a stop is wished for after some of them."""
    states: list[str] = []
    summaries: list[RunSummary] = []

    def read(stop: StopRequest, expected: Expected) -> Iterator[Any]:
        content = as_bytes(messages)
        source = _InBlocks(content) if stop_after is None else io.BytesIO(content)
        taken = read_messages(read_lines(source, stop, idle_s=0.01), Counter(), expected)
        for number, message in enumerate(taken):
            if number == stop_after:
                stop.request(15)
                return
            yield message

    error = None
    try:
        given = Input(read, lambda value: states.append(value.decode()))
        execute(read_settings(settings), given, report=summaries.append, clock=clock)
    except TargetError as stopped:
        if not summaries:  # before the run began
            raise
        error = stopped
    path = Path(settings["results_path"])
    summary = summaries[0]
    rows = read_results(path, run=summary.run_id) if summary.rows else read_results(path).slice(0, 0)
    return Ran(summary, error, states, path, rows.sort_by("record_no"))


class _InBlocks(io.BytesIO):
    """Some lines a read, so that streams are known when more of them comes, as it is with inputs of more than 4 MiB."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._line_count = max(3, content.count(b"\n") // 8)

    def read(self, size: int | None = -1) -> bytes:
        return b"".join(itertools.islice(self, self._line_count))


def as_bytes(messages: Messages) -> bytes:
    """Messages as a tap writes them."""
    if isinstance(messages, bytes):
        return messages
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def schema(stream: str, *names: str, key: str | None = "id") -> dict[str, Any]:
    """A SCHEMA message whose members may hold anything."""
    keys = [key] if key else []
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": {name: {} for name in [*keys, *names]}},
        "key_properties": keys,
    }


def record(stream: str, **members: Any) -> dict[str, Any]:
    """A RECORD message."""
    return {"type": "RECORD", "stream": stream, "record": members}


def state(value: Any) -> dict[str, Any]:
    """A STATE message."""
    return {"type": "STATE", "value": value}


def contacts(count: int, *, stream: str = "contacts", first: int = 1) -> list[dict[str, Any]]:
    """A SCHEMA and that many RECORDs of different people with e-mails."""
    people = range(first, first + count)
    records = [record(stream, id=number, email=f"person{number}@acme.example", title="Buyer") for number in people]
    return [schema(stream, "email", "title"), *records]


def leads_of(sandbox: Any) -> list[dict[str, Any]]:
    """Every lead in the sandbox's commit log, list by list."""
    return [lead for entry in sandbox.log() for lead in entry.created.leads.all()]
