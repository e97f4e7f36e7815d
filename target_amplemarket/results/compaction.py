"""Many small result files of runs that have ended become few; no row is ever missing, and none counts twice.

A file is written that stands for a range of numbers, `<first>-<last>.arrow`. From the moment its name is there, readers
pass over the files that it replaces (`reader.run_files`); these are removed when it is durable. Whatever stops this
anywhere leaves either the small files, or the large one with what is left of the small ones.

A run is left alone as long as a list of it is in the outbox: its file may still be written anew (`recovery`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.errors import StorageError
from target_amplemarket.results.reader import ResultFile, compacted_name, read_file, run_files, run_ids
from target_amplemarket.results.schema import RESULTS
from target_amplemarket.storage.arrow import arrow_file, arrow_table
from target_amplemarket.storage.durable import Folder

LOGGER: Final = logging.getLogger("target-amplemarket")

MOST_BYTES: Final = 4 << 20
"""Of the files that become one; what is larger stays as it is."""

LEAST_FILES: Final = 16
MOST_AT_ONCE: Final = 32
"""Files written by one call, each within some tenths of a second; the rest is left to later runs."""


def compact(folder: Folder, stop: threading.Event) -> int:
    """Compact the results of runs that have ended; only for whoever holds the lock, and whose own lists are recorded.

    Args:
        folder: The results folder.
        stop: Once set, nothing further is begun.

    Returns:
        How many files were written.

    Raises:
        StorageError: A file cannot be read or written; every row is still there, once.
    """
    written = 0
    work = _work(folder)
    for run_id, group in work:
        if stop.is_set() or written == MOST_AT_ONCE:
            break
        _replace(folder, run_id, group)
        written += 1
    return written


def _work(folder: Folder) -> Iterator[tuple[str, list[ResultFile]]]:
    """Groups of files to be made one, after what earlier attempts left is cleared away."""
    unsettled: set[str] | None = None
    for run_id in run_ids(folder.path):
        counting, replaced = run_files(folder.path, run_id)
        groups = list(_groups(counting))
        if not groups and not replaced:
            continue
        if unsettled is None:
            folder.sync("outbox")  # a list that is not there must not come back after a power cut
            unsettled = {entry.intent.run_id for entry in Outbox(folder, run_id="").entries()}
        if run_id in unsettled:
            continue
        if replaced:
            _clear(folder, run_id, counting, replaced)
        yield from ((run_id, group) for group in groups)


def _groups(files: list[ResultFile]) -> Iterator[list[ResultFile]]:
    """Neighbours that are worth being one file."""
    group: list[ResultFile] = []
    for file in files:
        if group and sum(each.byte_count for each in group) + file.byte_count > MOST_BYTES:
            if len(group) >= LEAST_FILES:
                yield group
            group = []
        group.append(file)
    if len(group) >= LEAST_FILES:
        yield group


def _replace(folder: Folder, run_id: str, group: list[ResultFile]) -> None:
    rows = pa.concat_tables([read_file(file.path) for file in group]).unify_dictionaries().combine_chunks()
    content = arrow_file(rows)
    if not arrow_table(content, RESULTS).equals(rows):
        raise StorageError(f"results of run {run_id} do not read back as they were written; they stay as they are")
    folder.write(f"results/{run_id}/{compacted_name(group[0].first, group[-1].last)}", content)
    _remove(folder, run_id, group)


def _clear(folder: Folder, run_id: str, counting: list[ResultFile], replaced: list[ResultFile]) -> None:
    """Remove files that another one replaces, once that one is whole and durable."""
    folder.sync(f"results/{run_id}")
    for file in counting:
        if any(file.replaces(other) for other in replaced):
            read_file(file.path)
    _remove(folder, run_id, replaced)


def _remove(folder: Folder, run_id: str, files: list[ResultFile]) -> None:
    folder.remove(*(f"results/{run_id}/{file.path.name}" for file in files))
