"""A dry run's deliveries: every list is planned at once, nothing leaves and no intent is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from target_amplemarket.delivery.deliver import Delivery, Part, Planned
from target_amplemarket.lists.lead_list import LeadList


class Rehearsal:
    """Stands where `InFlight` stands in a run that sends."""

    is_busy: Final = False

    def submit(self, lead_list: LeadList) -> Iterator[Delivery]:
        """Plan a list."""
        yield Delivery(lead_list, [Part(lead_list, Planned(), attempt=0)])

    def finished(self) -> Iterator[Delivery]:
        """Nothing is ever under way."""
        yield from ()

    def drain(self, *, most_s: float | None = None) -> Iterator[Delivery]:  # noqa: ARG002  # as `InFlight` has it
        """Nothing is ever under way."""
        yield from ()

    def close(self) -> None:
        """There is nothing to give back."""
