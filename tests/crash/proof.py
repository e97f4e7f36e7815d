"""An input, runs that die over it, healing, and the four counts that have to be nought.

- L: leads that should have arrived and are in the sandbox's commit log 0 times.
- D: leads that are in it more than once, or that the lists hold more than once in the end.
- A: records without exactly one row: within each finished run, and without a known end over all runs.
- S: STATE lines ahead of what is recorded.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from target_amplemarket.errors import StorageError
from target_amplemarket.results.reader import read_results, run_ids
from target_amplemarket.sandbox import RunningSandbox
from tests.crash.effects import Plan, recorded_ids
from tests.sides import AMPLEMARKET, Arrival, Side

ROOT = Path(__file__).parents[2]
IS_ALL = os.environ.get("CRASH") == "all"
SEED = int(os.environ.get("CRASH_SEED") or random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID")).randrange(10**6))
"""The same in all processes of a test run; CRASH_SEED repeats it."""
MOST_RERUNS = 3


@dataclass(frozen=True, slots=True)
class World:
    """Records in order of arrival; a record's id is its place, from 1, and a STATE holds the id before it."""

    records: tuple[tuple[str, dict[str, Any]], ...]
    state_every: int
    side: Side = AMPLEMARKET

    def lines(self, after: int = 0) -> str:
        """Singer messages from the record after that place on."""
        messages: list[dict[str, Any]] = []
        stream = ""
        for place, (name, members) in enumerate(self.records, start=1):
            if place > after:
                if name != stream:
                    stream = name
                    names = ("id", *self.side.members)
                    shape = {"type": "object", "properties": {n: {} for n in names}}
                    messages.append({"type": "SCHEMA", "stream": name, "schema": shape, "key_properties": ["id"]})
                messages.append({"type": "RECORD", "stream": name, "record": {"id": place, **members}})
                if place % self.state_every == 0 or place == len(self.records):
                    messages.append({"type": "STATE", "value": {"position": place}})
        return "".join(json.dumps(message) + "\n" for message in messages)

    @property
    def expected(self) -> set[str]:
        """E-mails that have to arrive, once."""
        return {m["email"] for _, m in self.records if m.get("email") and not self.side.is_refused(m)}

    def email_of(self, place: int) -> str | None:
        email: str | None = self.records[place - 1][1].get("email")
        return email


def small_world(side: Side) -> World:
    """Two streams, twelve records: duplicates within a stream and across, one rejected here and one by the API."""
    person = side.person
    contacts = [person(1), {**person(3), **side.refused}, person(2), person(1), {"title": "Buyer"}, person(4)]
    people = [person(5), person(2), person(6), person(7), person(8), person(9)]
    return World((*(("contacts", m) for m in contacts), *(("people", m) for m in people)), state_every=2, side=side)


def large_world(count: int, seed: int, side: Side = AMPLEMARKET) -> World:
    """The same dirt in a longer input."""
    chance = random.Random(seed)
    records: list[tuple[str, dict[str, Any]]] = []
    for number in range(1, count + 1):
        members = side.person(number)
        if chance.random() < 0.1:
            members = side.person(chance.randint(1, number))
        elif chance.random() < 0.05:
            members = {"title": "Buyer"}
        elif chance.random() < 0.03:
            members = {**side.person(10**6 + number), **side.refused}
        records.append(("contacts" if number % 97 < 60 else "people", members))
    return World(tuple(records), state_every=17, side=side)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    code: int
    labels: list[str] = field(repr=False)
    states: list[int]
    violations: list[str]
    error: str | None


class Worker:
    """The process that forks runs; see worker.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.worker"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, settings: dict[str, Any], messages: str, plan: Plan, planted: str | None = None) -> Ended:
        beside = Path(settings["results_path"]).parent
        report, states = beside / "report.json", beside / "states"
        report.unlink(missing_ok=True)
        states.unlink(missing_ok=True)
        request = {
            "settings": settings, "messages": messages, "plan": asdict(plan), "planted": planted,
            "report": str(report), "states": str(states),
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        code = json.loads(self._process.stdout.readline())["exit"]
        said = json.loads(report.read_text(encoding="utf-8"))
        return Ended(code, said["labels"], states_in(states.read_bytes()), said["violations"], said["error"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def states_in(output: bytes) -> list[int]:
    """Positions of the STATE lines that left whole."""
    lines = output.split(b"\n")[:-1]
    return [json.loads(line)["position"] for line in lines]


@dataclass(slots=True)
class Tally:
    """What was tried, for the report."""

    counts: Counter[str] = field(default_factory=Counter)

    def show(self) -> None:
        """Into the test's captured output: `pytest -rP` prints it."""
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        sys.stdout.write(f"tried with seed {SEED}: {counts}\n")


def faults_in(
    world: World,
    path: Path,
    sandbox: RunningSandbox,
    states: list[int],
) -> list[str]:
    """What is not nought of L, D, A and S."""
    faults = list(arrival_faults(world, sandbox))
    try:
        return [*faults, *row_faults(world, path, sandbox, states)]
    except StorageError as error:
        return [*faults, f"A: no rows to be read: {error}"]


def arrival_faults(world: World, sandbox: RunningSandbox) -> Iterator[str]:
    """L and D, and anybody who should not be there."""
    arrived = Counter(arrival.email for arrival in world.side.arrivals(sandbox))
    held = world.side.held(sandbox)
    if missing := world.expected - arrived.keys():
        yield f"L = {len(missing)}: {sorted(missing)[:5]}"
    if doubled := [email for email, count in (arrived | held).items() if count > 1]:
        yield f"D = {len(doubled)}: {sorted(doubled)[:5]}"
    if strangers := arrived.keys() - world.expected:
        yield f"strangers: {sorted(strangers)[:5]}"


def row_faults(world: World, path: Path, sandbox: RunningSandbox, states: list[int]) -> Iterator[str]:
    """A and S."""
    rows = read_results(path)
    for run_id in run_ids(path):
        file = path / "runs" / f"{run_id}.json"
        numbers = sorted(rows.filter(pc.field("run_id") == run_id).column("record_no").to_pylist())
        summary = json.loads(file.read_text(encoding="utf-8"))
        if summary["exit_code"] == 0 and numbers != list(range(1, summary["records"] + 1)):
            yield f"A: run {run_id} has rows {numbers} for {summary['records']} records"
        if len(set(numbers)) != len(numbers):
            yield f"A: run {run_id} has two rows for a record: {numbers}"
    last = {json.loads(row["record_key"])["id"]: row for row in _in_run_order(rows)}
    ends_unknown = [p for p in range(1, len(world.records) + 1) if not _is_known(last.get(p))]
    if ends_unknown:
        yield f"A = {len(ends_unknown)}: no known end: {ends_unknown[:5]}"
    yield from _disagreements(world, rows, sandbox)
    ahead = [state for state in states if not set(range(1, state + 1)) <= recorded_ids(rows)]
    if ahead:
        yield f"S = {len(ahead)}: {ahead[:5]}"


def _in_run_order(rows: Any) -> list[dict[str, Any]]:
    columns = ["run_id", "record_no", "record_key", "status", "reason"]
    found: list[dict[str, Any]] = rows.select(columns).to_pylist()
    return sorted(found, key=lambda row: (row["run_id"], row["record_no"]))


def _is_known(row: dict[str, Any] | None) -> bool:
    return row is not None and row["status"] != "held" and row["reason"] != "not_sent"


def _disagreements(world: World, rows: Any, sandbox: RunningSandbox) -> Iterator[str]:
    """Rows that say accepted against the commit log, lead for lead."""
    accepted = rows.filter(pc.equal(rows.column("status").cast("string"), "accepted"))
    said = Counter(
        Arrival(row["list_id"], row["list_position"], str(world.email_of(json.loads(row["record_key"])["id"])))
        for row in accepted.select(["list_id", "list_position", "record_key"]).to_pylist()
    )
    happened = Counter(world.side.arrivals(sandbox))
    if not any(arrival.position is not None for arrival in happened):  # where calls add to lists there are none
        said = Counter(arrival._replace(position=None) for arrival in said.elements())
    if said != happened:
        yield f"A: rows and commit log differ: {list(((said - happened) + (happened - said)).items())[:4]}"
