"""A file that somebody asked for, written piece by piece: whole and durable under its name, or not there."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from target_amplemarket.errors import StorageError
from target_amplemarket.storage.durable import FILE_MODE, TEMPORARY_SUFFIX, sync_folder


@contextlib.contextmanager
def out_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file (mode 0600) that takes its name only when everything is written; it replaces an older one.

    Steps: temporary name in the same folder, fsync, rename, fsync of the folder. A link of that name is replaced, not
    followed.

    Raises:
        StorageError: It cannot be written; nothing is there under its name that was not there before.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with _removed_unless_renamed(temporary):
            raw = io.FileIO(temporary, "w", opener=lambda name, _: os.open(name, flags, FILE_MODE))
            with raw, io.BufferedWriter(raw) as file:
                yield cast("BinaryIO", file)
                file.flush()
                os.fsync(raw.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageError(f"{path} cannot be written: {reason}; choose another file, or free the disk") from None


@contextlib.contextmanager
def _removed_unless_renamed(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
