from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from target_amplemarket.errors import FolderLocked, StorageError
from target_amplemarket.storage.durable import Folder
from target_amplemarket.storage.lock import locked

HOLD = """
import sys
from pathlib import Path
from target_amplemarket.clock import SystemClock
from target_amplemarket.storage.durable import Folder
from target_amplemarket.storage.lock import locked
with locked(Folder(Path(sys.argv[1])), SystemClock()):
    print("held", flush=True)
    sys.stdin.read()
"""


class SteppingClock:
    """Time that passes only in `sleep`; remembers each."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    def monotonic_s(self) -> float:
        return sum(self.slept_s)

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        self.slept_s.append(duration_s)


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_a_second_run_is_refused_at_once(tmp_path: Path) -> None:
    folder, clock = Folder(tmp_path), SteppingClock()
    with (
        other_process(tmp_path),
        pytest.raises(FolderLocked, match="lock_wait_seconds") as caught,
        locked(folder, clock),
    ):
        pytest.fail("two hold the lock")
    assert caught.value.exit_code == 6
    assert clock.slept_s == []


def test_a_second_holder_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    folder, clock = Folder(tmp_path), SteppingClock()
    with locked(folder, clock), pytest.raises(FolderLocked), locked(folder, clock):
        pytest.fail("two hold the lock")


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_process_that_died_is_free(tmp_path: Path, signal_number: signal.Signals) -> None:
    with other_process(tmp_path) as process:
        process.send_signal(signal_number)
        process.wait(30)
        with locked(Folder(tmp_path), SteppingClock()):
            pass


def test_the_file_is_never_removed_and_stays_the_same(tmp_path: Path) -> None:
    folder, clock = Folder(tmp_path), SteppingClock()
    numbers = []
    for _ in range(2):
        with locked(folder, clock):
            numbers.append((tmp_path / "lock").stat().st_ino)
        assert (tmp_path / "lock").exists()
    with other_process(tmp_path), pytest.raises(FolderLocked), locked(folder, clock):
        pass
    assert [(tmp_path / "lock").stat().st_ino] == list(set(numbers))


def test_a_waiting_run_gets_the_lock_when_the_other_ends(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with other_process(tmp_path) as process:

        class EndsTheOther(SteppingClock):
            def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
                super().sleep(duration_s, wake)
                process.kill()
                process.wait(30)

        clock = EndsTheOther()
        with locked(folder, clock, wait_s=5):
            assert len(clock.slept_s) == 1


def test_a_wait_is_over_after_the_time_given(tmp_path: Path) -> None:
    clock = SteppingClock()
    with other_process(tmp_path), pytest.raises(FolderLocked), locked(Folder(tmp_path), clock, wait_s=3):
        pass
    assert 3 <= sum(clock.slept_s) < 3.5


def test_a_fault_inside_frees_the_lock(tmp_path: Path) -> None:
    folder, clock = Folder(tmp_path), SteppingClock()
    with pytest.raises(ZeroDivisionError), locked(folder, clock):
        raise ZeroDivisionError
    with locked(folder, clock):
        pass


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    folder, clock = Folder(tmp_path), SteppingClock()
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        with locked(folder, clock), pytest.raises(FolderLocked), locked(folder, clock):
            pass
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_the_file_is_private_and_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = Folder(tmp_path / "a")
        with locked(folder, SteppingClock()):
            assert (tmp_path / "a" / "lock").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    folder = Folder(tmp_path / "b")
    (tmp_path / "b" / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError, match="cannot be opened"), locked(folder, SteppingClock()):
        pass
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("answer", [errno.ENOLCK, errno.EOPNOTSUPP, None])
def test_a_file_system_that_does_not_lock_is_told_from_a_lock_that_is_held(tmp_path: Path, answer: int | None) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        if answer is not None:
            raise OSError(answer, os.strerror(answer))

    clock = SteppingClock()
    with pytest.raises(StorageError, match="does not lock"), locked(Folder(tmp_path), clock, wait_s=9, flock=flock):
        pass
    assert clock.slept_s == []
