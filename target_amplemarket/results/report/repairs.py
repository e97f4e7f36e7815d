"""What `explain` found, in a sentence for each reason."""

from __future__ import annotations

from typing import Final

from target_amplemarket.config import Settings
from target_amplemarket.leads.tables import Status
from target_amplemarket.results.explain import Explainer, Group, Repair, rejected_of
from target_amplemarket.results.reader import run_ids
from target_amplemarket.services import intake_of
from target_amplemarket.singer.messages import printable
from target_amplemarket.storage.durable import Folder

_SHOWN: Final = 3
_PERSONAL: Final = "@"
"""In no sensible name of a member; records that are keyed by people have it."""


def find_repairs(folder: Folder, run: str, settings: Settings) -> dict[tuple[str, str], str]:
    """Status and reason → the changes of `field_mapping` that make leads of its records, tried on those kept.

    Raises:
        StorageError: A file of the run cannot be read.
    """
    if run not in run_ids(folder.path):
        return {}
    explainer = Explainer(
        folder.path,
        run,
        rejected_of(),
        intake_of(settings),
        extra_fields=settings.extra_fields,
        field_mapping=settings.field_mapping,
        by_version=settings.load_method == "append-only",
    )
    texts: dict[tuple[str, str], list[str]] = {}
    for group in explainer.explain().groups:
        if group.repair is not None and (text := _text(group, group.repair)):
            texts.setdefault((Status.REJECTED.value, group.cause.reason), []).append(text)
    return {reason: " ".join(found[:_SHOWN]) for reason, found in texts.items()}


def _text(group: Group, found: Repair) -> str | None:
    names = [name for listed in found.sources.values() for name in listed]
    count = found.repaired.get(group.cause, 0)
    if not count or any(_PERSONAL in name for name in names):
        return None
    entries = ", ".join(f"{field}: {' or '.join(map(printable, listed))}" for field, listed in found.sources.items())
    return (
        f"In field_mapping of stream {printable(group.cause.stream)}, {entries} makes leads of {count:,} of these: "
        "explain prints the change, replay sends them."
    )
