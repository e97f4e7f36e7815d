"""What a server that commits very late leaves behind: lists, or people in them, that are there once too often."""

from __future__ import annotations

from target_amplemarket.delivery.deliver import alarm_text, repeated_text
from target_amplemarket.delivery.read_back import entries_of, repeated_entries
from target_amplemarket.services.protocol import CannotAsk, Found, Service


def twice_text(marker: str, service: Service) -> str | None:
    """For people: a list that was sent again is there twice, or somebody is in it twice; None if not, or unknown."""
    found = service.confirm(marker)
    if not isinstance(found, Found):
        return None
    if not service.adds_to_lists:
        return alarm_text(marker, found.list_ids) if len(found.list_ids) > 1 else None
    entries = entries_of(found.list_ids, service)
    count = 0 if isinstance(entries, CannotAsk) else repeated_entries(entries)
    return repeated_text(marker, count) if count else None


def late_text(marker: str, kept: int, service: Service) -> str | None:
    """For people: leads that were absent when asked, and so may have been sent in another list, came after all.

    Args:
        marker: Of the list.
        kept: Entries of it that were there when asked.
        service: Where to ask.
    """
    found = service.confirm(marker)
    if not isinstance(found, Found):
        return None
    if not service.adds_to_lists:
        return alarm_text(marker, found.list_ids)
    entries = entries_of(found.list_ids, service)
    late_count = 0 if isinstance(entries, CannotAsk) else entries.num_rows - kept
    if late_count <= 0:
        return None
    return (
        f"list [{marker}] ({', '.join(found.list_ids)}) holds {late_count:,} leads that were not there when asked; "
        "they may be in a later list too: remove them in one of the two"
    )
