"""Writes that survive power loss, in a folder that only its owner can read.

The one place where the results folder is touched: `OSError` becomes `StorageError` here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from target_amplemarket.errors import StorageError

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
TEMPORARY_SUFFIX: Final = ".tmp"
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class System(Protocol):
    """The calls through which bytes reach the disk; the module `os` is one."""

    def open(self, path: Path, flags: int, mode: int = ..., /) -> int: ...
    def write(self, descriptor: int, content: memoryview, /) -> int: ...
    def fsync(self, descriptor: int, /) -> None: ...
    def close(self, descriptor: int, /) -> None: ...
    def replace(self, source: Path, target: Path, /) -> None: ...
    def unlink(self, path: Path, /) -> None: ...
    def mkdir(self, path: Path, mode: int = ..., /) -> None: ...


class Folder:
    """The results folder: names are relative, made of this program's own numbers and ids, never of input.

    Args:
        path: Created with mode 0700 if it is not there.
        system: The operating system's own calls by default.

    Raises:
        StorageError: It cannot be made, is a symbolic link, belongs to somebody else, or others can write into it.
    """

    def __init__(self, path: Path, system: System = os) -> None:
        self.path = path
        self._system = system
        with _storage_errors(path, "be opened"):
            self._make(path)

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a whole file so that after return it is there, complete, even after a power cut.

        Steps: temporary name in the same folder, fsync, rename, fsync of the folder.

        Raises:
            StorageError: The file may not be there under its name; nothing may be built on it.
        """
        target = self.path / name
        temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
        with _storage_errors(target, "be written"):
            self._make(target.parent)
            try:
                self._write_new(temporary, content)
                self._system.replace(temporary, target)
            except BaseException:
                with contextlib.suppress(OSError):  # the first fault is the one to report
                    self._system.unlink(temporary)
                raise
            self._sync_folder(target.parent)

    def read(self, name: str) -> bytes | None:
        """The file's bytes, or None where there is no such file."""
        with _storage_errors(self.path / name, "be read"):
            try:
                return (self.path / name).read_bytes()
            except FileNotFoundError:
                return None

    def names(self, pattern: str) -> list[str]:
        """Relative names that match a glob pattern, sorted; files being written are left out.

        Raises:
            StorageError: A folder is there and cannot be looked into.
        """
        with _storage_errors(self.path, "be listed"):
            with contextlib.suppress(FileNotFoundError):
                os.listdir((self.path / pattern).parent)  # noqa: PTH208  # a glob takes no access for no files
            found = (path for path in self.path.glob(pattern) if path.suffix != TEMPORARY_SUFFIX)
            return sorted(str(path.relative_to(self.path)) for path in found)

    def remove_temporary_files(self) -> None:
        """Remove what killed runs left half written; only for whoever holds the lock."""
        with _storage_errors(self.path, "be cleared of temporary files"):
            for path in self.path.rglob(f"*{TEMPORARY_SUFFIX}"):
                with contextlib.suppress(FileNotFoundError):  # `collect` finished writing it meanwhile
                    self._system.unlink(path)

    def remove(self, *names: str) -> None:
        """Remove files durably; one that is not there is no error."""
        paths = [self.path / name for name in names]
        for path in paths:
            with _storage_errors(path, "be removed"), contextlib.suppress(FileNotFoundError):
                self._system.unlink(path)
        for folder in dict.fromkeys(path.parent for path in paths):  # an earlier removal may not be durable yet
            self._sync(folder)

    def sync(self, name: str) -> None:
        """Make what was made, renamed and removed in a folder so far survive a power cut; no folder is no error."""
        self._sync(self.path / name)

    def _sync(self, folder: Path) -> None:
        with _storage_errors(folder, "be synced"), contextlib.suppress(FileNotFoundError):
            self._sync_folder(folder)

    def _make(self, path: Path) -> None:
        """Make a folder and those above it that are missing, each durable before the next."""
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another process was faster
                self._system.mkdir(folder, FOLDER_MODE)
            self._sync_folder(folder.parent)
        _refuse_foreign(path)

    def _write_new(self, path: Path, content: bytes | memoryview) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = self._system.open(path, flags, FILE_MODE)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[self._system.write(descriptor, rest) :]
            self._system.fsync(descriptor)
        finally:
            self._system.close(descriptor)

    def _sync_folder(self, path: Path) -> None:
        sync_folder(path, self._system)


def sync_folder(path: Path, system: System = os) -> None:
    """Make a folder's entries survive power loss.

    Raises:
        OSError: They may not.
    """
    descriptor = system.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        system.fsync(descriptor)
    finally:
        system.close(descriptor)


def _refuse_foreign(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise StorageError(f"folder {path} is a symbolic link; name the folder itself in `results_path`")
    if not stat.S_ISDIR(found.st_mode):
        raise StorageError(f"{path} is a file, not a folder; choose another `results_path`")
    if found.st_uid != os.geteuid():
        raise StorageError(f"folder {path} belongs to another user; choose another `results_path`")
    if stat.S_IMODE(found.st_mode) & _WRITABLE_BY_OTHERS:
        raise StorageError(f"others can write into folder {path}: `chmod go-w {path}` ends that")


@contextlib.contextmanager
def _storage_errors(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise StorageError(f"{path} cannot {verb}: {reason}; free or repair the disk, then run again") from None
