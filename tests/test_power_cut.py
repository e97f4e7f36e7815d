"""Power cuts: what was not synced is lost or torn, in any subset, and nobody is lost or sent twice all the same.

Every storage call of a run is a place where the power may go. `CRASH=all` tries each of them with many seeds; otherwise
a share of them is tried, another one for each printed seed.
"""

from __future__ import annotations

import io
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket import read_results
from target_amplemarket.clock import SystemClock
from target_amplemarket.config import read_settings
from target_amplemarket.delivery.limiter import Limiter
from target_amplemarket.errors import TargetError
from target_amplemarket.runner import Input, execute
from target_amplemarket.sandbox import RunningSandbox
from target_amplemarket.services import open_service
from target_amplemarket.services.calls import Surroundings
from target_amplemarket.singer.lines import read_lines
from target_amplemarket.singer.messages import read_messages
from tests.harness import Messages, as_bytes, record, run_singer, schema, state
from tests.sides import SIDES, USERS, Side

ALL = os.environ.get("CRASH") == "all"
SEED = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(10**6)))
PEOPLE = {f"person{number}@acme.example" for number in (1, 2, 3, 4, 5, 8, 9, 10)}


def messages_of(side: Side) -> list[dict[str, Any]]:
    """Ten records, eight of different people."""
    people = {number: record("contacts", id=number, **side.person(number)) for number in range(1, 11)}
    return [
        schema("contacts", *side.members),
        *(people[number] for number in range(1, 6)),
        state({"at": 5}),
        record("contacts", id=6, email="nobody"),
        record("contacts", id=7, **side.person(1)),
        state({"at": 7}),
        *(people[number] for number in range(8, 11)),
        state({"at": 10}),
    ]


class PowerCutError(BaseException):
    """The power is gone; nothing may come after it."""


class LossySystem:
    """File calls that remember what is not synced yet, and end at one of them.

    Args:
        cut_at: The call, from 1, that does not happen any more; 0 for none.
    """

    def __init__(self, cut_at: int) -> None:
        self.calls = 0
        self.is_dead = False
        self.before_call: Callable[[int], None] = lambda _: None
        self._cut_at = cut_at
        self._lock = threading.RLock()
        self._paths: dict[int, Path] = {}
        self._unsynced: set[Path] = set()
        self._pending: list[tuple[str, Path, Path, bytes | None]] = []  # kind, folder, name, what was there before

    def _next(self) -> None:
        self.calls += 1
        self.before_call(self.calls)
        if self.is_dead or self.calls == self._cut_at:
            self.is_dead = True
            raise PowerCutError

    def open(self, path: Path, flags: int, mode: int = 0o777, /) -> int:
        with self._lock:
            self._next()
            descriptor = os.open(path, flags, mode)
            self._paths[descriptor] = Path(path)
            if flags & os.O_CREAT:
                self._unsynced.add(Path(path))
                self._pending.append(("made", Path(path).parent, Path(path), None))
            return descriptor

    def write(self, descriptor: int, content: memoryview, /) -> int | None:
        with self._lock:
            self._next()
            return os.write(descriptor, content)

    def fsync(self, descriptor: int, /) -> None:
        with self._lock:
            self._next()
            path = self._paths[descriptor]
            self._unsynced.discard(path)
            self._pending = [entry for entry in self._pending if entry[1] != path]

    def close(self, descriptor: int, /) -> None:
        with self._lock:
            os.close(descriptor)
            self._next()

    def replace(self, source: Path, target: Path, /) -> None:
        with self._lock:
            self._next()
            before = target.read_bytes() if target.exists() else None
            source.replace(target)
            if source in self._unsynced:
                self._unsynced.add(target)
            self._pending.append(("replaced", target.parent, target, before))

    def unlink(self, path: Path, /) -> None:
        with self._lock:
            self._next()
            before = Path(path).read_bytes()
            path.unlink()
            self._pending.append(("removed", Path(path).parent, Path(path), before))

    def mkdir(self, path: Path, mode: int = 0o777, /) -> None:
        with self._lock:
            self._next()
            path.mkdir(mode)

    def lose(self, chance: random.Random) -> None:
        """Undo some of what no sync has made last, and tear some of what was not synced."""
        for path in sorted(self._unsynced):
            if path.exists() and chance.random() < 0.7:
                os.truncate(path, chance.randrange(path.stat().st_size + 1))
        for kind, _, path, before in reversed(self._pending):
            if chance.random() < 0.5:
                continue
            if before is not None:
                path.write_bytes(before)
            elif kind != "removed":
                path.unlink(missing_ok=True)


def run_until(cut_at: int, settings: dict[str, Any], messages: Messages) -> tuple[LossySystem, list[str]]:
    system, states = LossySystem(cut_at), []
    checked, clock = read_settings(settings), SystemClock()
    limiter = Limiter(100_000, clock)
    service = open_service(checked, Surroundings(clock, limiter.acquire, limiter.slow_down))
    calls: Any = service._calls  # type: ignore[attr-defined]  # every service that is shipped has them
    write = calls.write

    def write_with_power(*given: Any, **named: Any) -> Any:
        if system.is_dead:
            raise PowerCutError
        return write(*given, **named)

    calls.write = write_with_power

    def read(stop: Any, expected: Any) -> Iterator[Any]:
        return read_messages(read_lines(io.BytesIO(as_bytes(messages)), stop, idle_s=0.01), Counter(), expected)

    def emit(value: bytes) -> None:
        if system.is_dead:
            raise PowerCutError
        states.append(value.decode())

    try:
        execute(checked, Input(read, emit), report=lambda _: None, service=service, system=system)
    except (PowerCutError, TargetError):
        assert system.is_dead
    return system, states


@pytest.fixture(params=SIDES, ids=str)
def side(request: pytest.FixtureRequest) -> Side:
    chosen: Side = request.param
    return chosen


@pytest.fixture
def small(settings: dict[str, Any], side: Side) -> dict[str, Any]:
    return side.adapted(settings) | {"batch_size_rows": 3, "max_in_flight": 1}


def call_count(settings: dict[str, Any], path: Path, messages: Messages) -> int:
    return run_until(0, settings | {"results_path": str(path)}, messages)[0].calls


def places(total: int, step: int, turn: int) -> range:
    """Every call, or one in so many: other ones each time, and others for each side."""
    return range(1, total + 1) if ALL else range(1 + turn % step, total + 1, step)


@pytest.mark.step("D2", "D6", "D7", "D8", "R1", "R2", "R3")
def test_a_power_cut_at_any_storage_call_loses_nobody_and_sends_nobody_twice(
    small: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path, side: Side
) -> None:
    messages = messages_of(side)
    total = call_count(small, tmp_path / "whole", messages)
    assert total > 100
    for seed in range(10) if ALL else [SEED]:
        for cut_at in places(total, 6, SEED + 3 * SIDES.index(side)):
            name = f"CRASH_SEED={seed}, cut at call {cut_at} of {total}"
            sandbox.reset()
            sandbox.set(users=USERS, requests_per_minute=0)
            folder = {"results_path": str(tmp_path / f"{seed}-{cut_at}")}
            system, states = run_until(cut_at, small | folder, messages)
            assert system.is_dead, name
            system.lose(random.Random(seed * 10_000 + cut_at))
            check_state(states, Path(folder["results_path"]), name)
            healed = run_singer(messages, small | folder)
            assert healed.error is None, f"{name}: {healed.error}"
            assert healed.summary.rows == healed.summary.records == 10, name
            assert healed.states[-1] == '{"at": 10}', name
            assert sent_by(side, sandbox) == Counter(PEOPLE), name


def sent_by(side: Side, sandbox: RunningSandbox) -> Counter[str]:
    return Counter(arrival.email for arrival in side.arrivals(sandbox))


def check_state(states: list[str], folder: Path, name: str) -> None:
    """Every record before the last STATE that left has a row that outlived the power cut."""
    if not states:
        return
    covered = int(states[-1].split(":")[1].rstrip("}"))
    rows = read_results(folder)
    assert sorted(n for n in rows.column("record_no").to_pylist() if n <= covered) == list(range(1, covered + 1)), name


@pytest.mark.step("D8")
@pytest.mark.parametrize(("number", "exit_code"), [(15, 143), (2, 130)])
def test_a_signal_at_any_storage_call_loses_nobody_and_sends_nobody_twice(
    small: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path, side: Side, number: int, exit_code: int
) -> None:
    messages = messages_of(side)
    total = call_count(small, tmp_path / "whole", messages)
    endings: Counter[int] = Counter()
    for at in places(total, 9, SEED + number + 4 * SIDES.index(side)):
        name = f"CRASH_SEED={SEED}, signal {number} at call {at} of {total}"
        sandbox.reset()
        sandbox.set(users=USERS, requests_per_minute=0)
        folder = {"results_path": str(tmp_path / f"{number}-{at}")}
        ended, states = stopped_at(at, number, small | folder, messages)
        assert ended in {0, exit_code}, f"{name}: {ended}"
        endings[ended] += 1
        check_state(states, Path(folder["results_path"]), name)
        healed = run_singer(messages, small | folder)
        assert healed.error is None, f"{name}: {healed.error}"
        assert healed.states[-1] == '{"at": 10}', name
        assert sent_by(side, sandbox) == Counter(PEOPLE), name
    assert endings[exit_code] > endings[0], "most of these moments are before the end"


def stopped_at(at: int, number: int, settings: dict[str, Any], messages: Messages) -> tuple[int, list[str]]:
    """Run with a signal's wish at the `at`-th storage call; returns exit code and STATE lines."""
    system, states = LossySystem(0), []
    stops: list[Any] = []

    def wish(call: int) -> None:
        if call == at and stops:
            stops[0].request(number)

    def read(stop: Any, expected: Any) -> Iterator[Any]:
        if system.calls >= at:
            stop.request(number)
        stops.append(stop)
        return read_messages(read_lines(io.BytesIO(as_bytes(messages)), stop, idle_s=0.01), Counter(), expected)

    system.before_call = wish
    given = Input(read, lambda value: states.append(value.decode()))
    try:
        execute(read_settings(settings), given, report=lambda _: None, system=system)
    except TargetError as error:
        return error.exit_code, states
    return 0, states
