"""An operating system that remembers what it was asked for and fails when told to."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Recorder:
    """`os`, with every call noted as (name, path); the call with number `fail_at` ends in `error_number`."""

    def __init__(self, *, fail_at: int = 0, error_number: int = errno.EIO, lasting: bool = False) -> None:
        self.calls: list[tuple[str, str]] = []
        self.at_call: Callable[[str, str], None] = lambda _name, _path: None
        self._fail_at = fail_at
        self._error_number = error_number
        self._lasting = lasting
        self._paths: dict[int, str] = {}

    def _note(self, name: str, path: str) -> None:
        self.at_call(name, path)
        self.calls.append((name, path))
        number = len(self.calls)
        if self._fail_at and (number == self._fail_at or (self._lasting and number > self._fail_at)):
            raise OSError(self._error_number, os.strerror(self._error_number), path)

    def open(self, path: Path, flags: int, mode: int = 0o777, /) -> int:
        self._note("open", path.name)
        descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = path.name
        return descriptor

    def write(self, descriptor: int, content: memoryview, /) -> int:
        self._note("write", self._paths[descriptor])
        return os.write(descriptor, content[: max(1, len(content) // 2)])  # a short write, as any write may be

    def fsync(self, descriptor: int, /) -> None:
        self._note("fsync", self._paths[descriptor])
        os.fsync(descriptor)

    def close(self, descriptor: int, /) -> None:
        os.close(descriptor)
        self._note("close", self._paths.pop(descriptor))

    def replace(self, source: Path, target: Path, /) -> None:
        self._note("replace", target.name)
        source.replace(target)

    def unlink(self, path: Path, /) -> None:
        self._note("unlink", path.name)
        path.unlink()

    def mkdir(self, path: Path, mode: int = 0o777, /) -> None:
        self._note("mkdir", path.name)
        path.mkdir(mode)

    @property
    def open_descriptors(self) -> int:
        return len(self._paths)


def effects(recorder: Recorder) -> list[Any]:
    """What changes the disk, in order; temporary names without their random part, repeated writes as one."""
    kept: list[tuple[str, str]] = []
    for name, path in recorder.calls:
        entry = (name, path.split(".")[0] + ".tmp" if path.endswith(".tmp") else path)
        if name in {"write", "fsync", "replace", "unlink", "mkdir"} and entry != (kept[-1] if kept else None):
            kept.append(entry)
    return kept
