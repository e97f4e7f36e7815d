"""One run at a time per results folder: flock, held for life, released by the kernel on death."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from typing import Final

from target_amplemarket.clock import Clock
from target_amplemarket.errors import FolderLocked, StorageError
from target_amplemarket.storage.durable import FILE_MODE, Folder

_RETRY_S: Final = 0.2

Flock = Callable[[int, int], None]


@contextlib.contextmanager
def locked(folder: Folder, clock: Clock, *, wait_s: float = 0, flock: Flock = fcntl.flock) -> Iterator[None]:
    """Hold the folder's lock.

    Args:
        folder: What to lock; the file `lock` in it is never removed.
        clock: For waiting.
        wait_s: How long to wait for another run, in seconds.
        flock: The operating system's own call by default.

    Raises:
        FolderLocked: Another run still holds it.
        StorageError: The file cannot be opened, or its file system does not lock (some network mounts).
    """
    descriptor = _open(folder)
    try:
        until_s = clock.monotonic_s() + wait_s
        while not _try_lock(descriptor, folder, flock):
            if clock.monotonic_s() >= until_s:
                raise _held_by_another(folder)
            clock.sleep(_RETRY_S)
        _refuse_unlockable(folder, flock)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Folder) -> int:
    try:
        return os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise StorageError(f"{folder.path / 'lock'} cannot be opened: {error.strerror}") from None


def _held_by_another(folder: Folder) -> FolderLocked:
    return FolderLocked(
        f"another run holds the results folder {folder.path}; wait for it to end "
        "(`lock_wait_seconds` waits for you) or give this run a folder of its own"
    )


def _try_lock(descriptor: int, folder: Folder, flock: Flock) -> bool:
    try:
        flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        raise _does_not_lock(folder) from None
    return True


def _refuse_unlockable(folder: Folder, flock: Flock) -> None:
    second = _open(folder)
    try:
        if _try_lock(second, folder, flock):
            raise _does_not_lock(folder)
    finally:
        os.close(second)


def _does_not_lock(folder: Folder) -> StorageError:
    return StorageError(f"the file system of {folder.path} does not lock; choose a local `results_path`")
