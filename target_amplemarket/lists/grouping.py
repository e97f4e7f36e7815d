"""Grouping leads into lists, and when a list is closed: full, too old, or at the end of the input."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.kept_records import with_own_records, with_record_texts
from target_amplemarket.lists.lead_list import GroupKey, LeadList

_MOST_KEPT_ALIVE: Final = 1.5
"""How many times its own size a list may keep alive of the blocks in which its leads came."""


@dataclass(frozen=True, slots=True)
class ListRules:
    """What the settings say of lists.

    Attributes:
        batch_size_rows: Leads in a list, at most.
        wait_limit_s: How long a list stays open.
        name_template: Of names.
        owner: Of lists for whom the records name nobody else.
        sizes: Kinds of lists that take fewer leads → how many.
    """

    batch_size_rows: int
    wait_limit_s: float
    name_template: str
    owner: str
    sizes: Mapping[str, int] = field(default_factory=dict)

    def size_of(self, list_type: str) -> int:
        """Leads in a list of this kind, at most."""
        return min(self.batch_size_rows, self.sizes.get(list_type, self.batch_size_rows))


@dataclass(slots=True)
class _OpenList:
    opened_s: float  # monotonic
    slices: list[pa.Table] = field(default_factory=list)
    lead_count: int = 0


class OpenLists:
    """The lists that are not closed yet, one for each stream, owner and list type.

    Args:
        rules: Size, age, name, default owner.
        make_marker: Gives each list its marker.
        number: Gives each list its number; also used for other result files.
        today: The date in names, UTC.
    """

    def __init__(
        self, rules: ListRules, *, make_marker: Callable[[], str], number: Callable[[], int], today: datetime
    ) -> None:
        self._rules = rules
        self._make_marker = make_marker
        self._number = number
        self._today = today
        self._open: dict[GroupKey, _OpenList] = {}
        self._parts: Counter[str] = Counter()

    def add(self, stream: str, leads: pa.Table, known_owners: Collection[str], now_s: float) -> Iterator[LeadList]:
        """Put leads (schema `MAPPED` or `LEADS`) into their lists; yields those that are full.

        Args:
            stream: The leads' stream.
            leads: In record order. An owner that is null or not among `known_owners` becomes the default owner.
            known_owners: E-mails in lower case.
            now_s: Monotonic time in seconds.
        """
        for key, group in self._grouped(stream, leads, known_owners):
            size, rows = self._rules.size_of(key.list_type), group
            while rows.num_rows:
                open_list = self._open.setdefault(key, _OpenList(now_s))
                taken = rows.slice(0, size - open_list.lead_count)
                rows = rows.slice(taken.num_rows)  # what is left for the next list
                open_list.slices.append(with_own_records(taken))  # a copy of the records, so that their block can go
                open_list.lead_count += taken.num_rows
                if open_list.lead_count == size:
                    yield self._close(key)

    def close_aged(self, now_s: float) -> Iterator[LeadList]:
        """Close the lists that have been open for as long as the settings allow."""
        for key in [k for k, held in self._open.items() if now_s - held.opened_s >= self._rules.wait_limit_s]:
            yield self._close(key)

    def close_all(self) -> Iterator[LeadList]:
        """Close all lists, in the order in which they were opened."""
        for key in list(self._open):
            yield self._close(key)

    def first_record_numbers(self) -> dict[GroupKey, int]:
        """The smallest record number in each open list."""
        return {key: int(held.slices[0].column("record_no")[0].as_py()) for key, held in self._open.items()}

    @property
    def lead_count(self) -> int:
        """Leads in all open lists."""
        return sum(held.lead_count for held in self._open.values())

    def _grouped(
        self, stream: str, leads: pa.Table, known_owners: Collection[str]
    ) -> Iterator[tuple[GroupKey, pa.Table]]:
        named, list_type = leads.column("owner").unique().to_pylist(), leads.column("list_type")
        owners = list(dict.fromkeys(name if name in known_owners else self._rules.owner for name in named))
        types = list_type.unique().to_pylist()
        if len(owners) == len(types) == 1:
            yield GroupKey(stream, owners[0], types[0]), leads
            return
        known = pc.is_in(leads.column("owner"), value_set=pa.array(sorted(known_owners), pa.string()))
        owner = pc.if_else(known, leads.column("owner"), self._rules.owner)
        for one_owner, one_type in itertools.product(owners, types):
            chosen = leads.filter(pc.and_(pc.equal(owner, one_owner), pc.equal(list_type, one_type)))
            if chosen.num_rows:
                yield GroupKey(stream, one_owner, one_type), chosen

    def _close(self, key: GroupKey) -> LeadList:
        held = self._open.pop(key)
        name = self._rules.name_template.format(
            stream=key.stream, date=f"{self._today:%Y-%m-%d}", owner=key.owner, list_type=key.list_type
        )
        self._parts[name] += 1
        return LeadList(
            number=self._number(),
            part=self._parts[name],
            marker=self._make_marker(),
            base_name=name,
            key=key,
            leads=_own_copy(held.slices),
        )


def _own_copy(slices: list[pa.Table]) -> pa.Table:
    """One table (schema `LEADS`); it keeps nothing alive of the blocks in which its leads came but themselves."""
    if any(rows.schema != slices[0].schema for rows in slices):  # the forms of their records differ
        slices = [with_record_texts(rows) for rows in slices]
    table = pa.concat_tables(slices)
    if table.get_total_buffer_size() < _MOST_KEPT_ALIVE * table.nbytes:
        return table
    return table.take(pa.array(np.arange(table.num_rows))).combine_chunks()
