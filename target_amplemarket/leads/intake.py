"""What an outreach service takes: which lead fields, and which of them make a lead of which kind of list."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """One way for a record to become a lead.

    Attributes:
        list_type: Kind of list that takes it.
        needs: Groups of lead fields; of each group one must be there in a form that can be used.
        is_one_call: Whether lists of this kind are filled by the call that makes them, so that they hold no more leads
            than that call takes, even where other lists take more calls.
    """

    list_type: str
    needs: tuple[tuple[str, ...], ...]
    is_one_call: bool = False


@dataclass(frozen=True, slots=True)
class Intake:
    """What a service takes, under some settings.

    Attributes:
        fields: Lead fields that it knows; others are not read.
        routes: In the order in which they are tried per record; several may lead into the same kind of list.
        id_field: Lead field by which the service itself knows the person or company, where records can carry it: the
            same id is the same lead, whatever else differs.
        takes_further_fields: Whether a lead may carry fields beyond these, as `extra_fields` names them.
    """

    fields: tuple[str, ...]
    routes: tuple[Route, ...]
    id_field: str | None = None
    takes_further_fields: bool = True
