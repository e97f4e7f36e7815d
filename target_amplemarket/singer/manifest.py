"""The names in a BATCH manifest: which file each means, and whether the settings allow to read it.

A tap, or whoever can write to its output, names these files. So a name is only ever looked up inside the folders of the
setting `batch_paths`, and opened component by component from there without following a link: what is checked is what is
opened.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote

from target_amplemarket.errors import UnreadableFile
from target_amplemarket.singer.messages import printable

MAX_FILES: Final = 100_000
MAX_NAME_BYTES: Final = 4_096
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LOCAL: Final = re.compile(r"file://(?:localhost)?(?=/)", re.IGNORECASE)
_FOLDER_FLAGS: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not block


def open_named(name: str, folders: Sequence[str]) -> IO[bytes]:
    """Open a file that a manifest names: `file:///…` or an absolute path, as singer-sdk's taps write them.

    Args:
        name: From the manifest. singer-sdk escapes a URI's characters or does not, depending on how its `root` was
            written; a name that is there as it stands comes first.
        folders: Only files in these, or below, are opened, after links and `..` are resolved.

    Raises:
        UnreadableFile: It is no such name, or not allowed, or not a file that can be opened.
    """
    candidates = [place for path in _paths(name) if (place := _place(path, folders)) is not None]
    if not candidates:
        raise UnreadableFile(f"`{_shown(name)}` is in none of the folders that the setting `batch_paths` allows")
    fault: OSError | None = None
    for root, inside in candidates:
        try:
            return _opened(root, inside)
        except OSError as error:
            fault = fault or error
    reason = (fault.strerror if fault else None) or "it cannot be opened"
    raise UnreadableFile(f"`{_shown(name)}`: {reason}; it has to be there until the target has read it")


def check_names(names: Sequence[str], folders: Sequence[str]) -> None:
    """Refuse a manifest as a whole before any of its files is read.

    Raises:
        UnreadableFile: No folder is allowed, or there are too many names.
    """
    if not folders:
        raise UnreadableFile(
            "BATCH files are read only from folders that the setting `batch_paths` names, and it names none: set it to "
            "the tap's `batch_config.storage.root`, or switch `batch_config` off in the tap"
        )
    if len(names) > MAX_FILES:
        raise UnreadableFile(f"a manifest of more than {MAX_FILES:,} files; let the tap write larger files")


def _paths(name: str) -> Iterator[str]:
    """The paths that a name may mean, most likely first."""
    if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise UnreadableFile(f"a file's name is longer than {MAX_NAME_BYTES:,} bytes")
    is_local = _LOCAL.match(name)
    if not is_local and _SCHEME.match(name):
        scheme = printable(name.partition(":")[0], most=20)
        raise UnreadableFile(f"a file named by `{scheme}:`; only `file:///…` and absolute paths are read")
    path = name[is_local.end() :] if is_local else name
    paths = dict.fromkeys([path, unquote(path, errors="surrogateescape")]) if is_local else [path]
    for each in paths:
        if not each.startswith("/") or each.startswith("//") or "\0" in each:
            raise UnreadableFile("a file's name is no absolute path of this machine")
    yield from paths


def _place(path: str, folders: Sequence[str]) -> tuple[Path, Path] | None:
    """The allowed folder that a path leads into, and where in it; both without links."""
    try:
        real = Path(os.path.realpath(path))
        roots = [Path(os.path.realpath(folder)) for folder in folders]
    except (OSError, ValueError):  # text that no file system takes
        return None
    root = next((root for root in roots if real.is_relative_to(root) and real != root), None)
    return (root, real.relative_to(root)) if root else None


def _opened(root: Path, inside: Path) -> IO[bytes]:
    """Open a file below a folder, through folders that are none of them links."""
    above = os.open(root, _FOLDER_FLAGS)
    try:
        for part in inside.parts[:-1]:
            below = os.open(part, _FOLDER_FLAGS, dir_fd=above)
            os.close(above)
            above = below
        descriptor = os.open(inside.name, _FILE_FLAGS, dir_fd=above)
    finally:
        os.close(above)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "this is not a file")
    return os.fdopen(descriptor, "rb", buffering=0)


def _shown(name: str) -> str:
    return printable(name, most=200)
