"""What the summary of a run tells beside its counts: the mapping that it used, and whether it only planned."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from target_amplemarket.config import LEAD_FIELDS
from target_amplemarket.errors import StorageError
from target_amplemarket.results.replays import is_replay
from target_amplemarket.results.summary import read_summary

_FIELD: Final = re.compile(rf"(?:^|, )({'|'.join(LEAD_FIELDS)}) ← ")
_NONE: Final = "(none)"
_SHORTENED: Final = ("…", "\\u")
"""How `printable` writes names that do not fit into a line."""


class _Facts(msgspec.Struct):
    streams: dict[str, dict[str, object]] = {}
    dry_run: bool = False


def past_sources(path: Path, runs: Iterable[str], stream: str) -> dict[str, tuple[str, ...]] | None:
    """Lead field → members of a stream, in the newest of some runs that had it; None where none can tell.

    Replays do not count: what they read lacks members that other records of the stream have.

    Args:
        path: The results folder.
        runs: Ids, the newest first.
        stream: After stream maps.
    """
    for run_id in runs:
        if is_replay(path, run_id):
            continue
        text = _facts(path, run_id).streams.get(stream, {}).get("mapping")
        if isinstance(text, str):
            return _parsed(text)
    return None


def is_dry(path: Path, run_id: str) -> bool:
    """Whether a run only planned; one without a summary is taken for a real one."""
    return _facts(path, run_id).dry_run


def _facts(path: Path, run_id: str) -> _Facts:
    try:
        return read_summary(path / "runs" / f"{run_id}.json", _Facts)
    except StorageError:
        return _Facts()


def _parsed(text: str) -> dict[str, tuple[str, ...]] | None:
    """The reverse of `StreamMapping.describe`."""
    if any(sign in text for sign in _SHORTENED):
        return None
    parts = _FIELD.split(text)[1:]
    members = dict(zip(parts[::2], parts[1::2], strict=True))
    return {name: () if listed == _NONE else tuple(listed.split(" or ")) for name, listed in members.items()}
