"""People who were sent more than once: over all results, and over exports of older lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.keys import Flags, Halves, keys_of
from target_amplemarket.leads.people import IDENTITY_COLUMNS
from target_amplemarket.leads.tables import Status
from target_amplemarket.lists.credits import Credits, Prices
from target_amplemarket.results.chosen import Chosen
from target_amplemarket.results.older_lists import OlderList
from target_amplemarket.results.reader import ALL, chosen_tables
from target_amplemarket.singer.messages import printable
from target_amplemarket.storage.arrow import column_array

_COLUMNS: Final = ("list_name", "list_type", "run_id", "stream", "record_no", "record_key")
_MOST_SHOWN: Final = 20
_LINKEDIN, _EMAIL, _TITLE_COMPANY = IDENTITY_COLUMNS


@dataclass(frozen=True, slots=True)
class Send:
    """One lead that went to the account.

    Attributes:
        list_name: With its marker; of a CSV file what it says, or the file's name.
        run_id: None for a CSV file.
        source: The stream, or the CSV file.
        record_no: In the run, or the data row of the file.
    """

    list_name: str
    list_type: str
    run_id: str | None
    source: str
    record_no: int
    record_key: str | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found.

    Attributes:
        sends: Leads that were looked at.
        people: Those who were sent more than once: their sends, oldest first.
        worst: What the sends that were too many can have cost.
    """

    sends: int
    people: list[list[Send]]
    worst: Credits

    @property
    def too_many(self) -> int:
        """Sends beyond the first of each person."""
        return sum(len(sends) - 1 for sends in self.people)

    def by_lists(self) -> Counter[tuple[str, ...]]:
        """How many people came through the same lists."""
        return Counter(tuple(send.list_name for send in sends) for sends in self.people)


def audit(path: Path | None, older: Sequence[OlderList], prices: Prices) -> Audit:
    """Find everybody who was sent more than once, by the rules by which a run tells people apart.

    Two passes: the first keeps 8 bytes of each fingerprint, the second only the sends that may share one.

    Args:
        path: The results folder, if there is one.
        older: Exports of other lists; a list that the results know by its name counts once.
        prices: Of the worst case.

    Raises:
        SettingsError: A file is no CSV file with people.
        StorageError: A result file cannot be read.
    """
    names = _names_of_lists(path)
    seen: list[list[Halves]] = [[] for _ in IDENTITY_COLUMNS]
    count = 0
    for table in _all_sends(path, older, names):
        count += table.num_rows
        for gathered, name in zip(seen, IDENTITY_COLUMNS, strict=True):
            gathered.append(keys_of(column_array(table, name).drop_null()).high.copy())
    repeated = [_repeated(gathered) for gathered in seen]
    suspects = _Suspects()
    for table in _all_sends(path, older, names):
        may = np.zeros(table.num_rows, np.bool_)
        for halves, name in zip(repeated, IDENTITY_COLUMNS, strict=True):
            column = column_array(table, name)
            may |= _is_valid(column) & np.isin(keys_of(column).high, halves)
        suspects.add(table.filter(pa.array(may)))
    people = suspects.people()
    worst = Credits()
    for sends in people:
        for send in sends[1:]:
            worst += prices.worst(send.list_type, 1)
    return Audit(count, people, worst)


def audit_lines(found: Audit, prices: Prices) -> Iterator[str]:
    """For people."""
    yield f"{found.sends:,} leads looked at"
    if not found.people:
        yield "nobody was sent more than once"
        return
    yield f"sent more than once: {counted_people(len(found.people))}; sends too many: {found.too_many:,}"
    yield f"at worst {found.worst} were spent on these, had every paid option been on ({_dated(prices)})"
    yield ""
    yield "by lists:"
    shared = found.by_lists().most_common()
    for lists, count in shared[:_MOST_SHOWN]:
        yield f"  {counted_people(count)} in {' and in '.join(map(printable, lists))}"
    yield from _more(len(shared), "sets of lists")
    yield ""
    yield "by person:"
    for sends in found.people[:_MOST_SHOWN]:
        yield "  " + ", then ".join(map(_place, sends))
    yield from _more(len(found.people), "people")


def counted_people(count: int) -> str:
    """`1 person`, `2 people`."""
    return "1 person" if count == 1 else f"{count:,} people"


def audit_json(found: Audit) -> str:
    """The same as one JSON document, with everybody."""
    document = {
        "sends": found.sends,
        "people": len(found.people),
        "sends_too_many": found.too_many,
        "worst_credits": {"email": found.worst.email, "phone": found.worst.phone},
        "lists": [{"lists": names, "people": count} for names, count in found.by_lists().most_common()],
        "sends_by_person": [[asdict(send) for send in sends] for sends in found.people],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


@dataclass(slots=True)
class _Suspects:
    """Sends that may share a fingerprint, and who is the same person among them."""

    sends: list[Send] = field(default_factory=list)
    prints: list[tuple[bytes | None, bytes | None, bytes | None]] = field(default_factory=list)

    def add(self, table: pa.Table) -> None:
        rows = table.to_pylist()
        self.sends += [Send(*(row[name] for name in _COLUMNS)) for row in rows]
        self.prints += [(row[_LINKEDIN], row[_EMAIL], row[_TITLE_COMPANY]) for row in rows]

    def people(self) -> list[list[Send]]:
        first = list(range(len(self.sends)))

        def root(index: int) -> int:
            while first[index] != index:
                first[index] = first[first[index]]
                index = first[index]
            return index

        for one, other in self._same():
            roots = sorted((root(one), root(other)))
            first[roots[1]] = roots[0]
        gathered: dict[int, list[Send]] = {}
        for index, send in enumerate(self.sends):
            gathered.setdefault(root(index), []).append(send)
        return [sends for sends in gathered.values() if len(sends) > 1]

    def _same(self) -> Iterator[tuple[int, int]]:
        """Pairs of sends of one person; see `leads.people`."""
        profiles: dict[bytes, int] = {}
        others: dict[bytes, int] = {}
        mails: dict[bytes, list[int]] = {}
        for index, (profile, mail, other) in enumerate(self.prints):
            if profile is not None:
                yield profiles.setdefault(profile, index), index
            if mail is not None:
                mails.setdefault(mail, []).append(index)
            if other is not None:  # an id, or what leads with neither of the two are known by
                yield others.setdefault(other, index), index
        for indexes in mails.values():
            yield from self._same_by_mail(indexes)

    def _same_by_mail(self, indexes: list[int]) -> Iterator[tuple[int, int]]:
        """A mailbox that several profiles or ids share is nobody's own: whoever has neither goes with the first."""
        is_alone = {index: self.prints[index][0] is None and self.prints[index][2] is None for index in indexes}
        one = next((index for index in indexes if not is_alone[index]), indexes[0])
        yield from ((one, index) for index in indexes if is_alone[index])


def _names_of_lists(path: Path | None) -> set[str]:
    tables = _results(path, ["list_name"])
    return {name for table in tables for name in table.column("list_name").unique().to_pylist() if name}


def _all_sends(path: Path | None, older: Iterable[OlderList], known: set[str]) -> Iterator[pa.Table]:
    """Everybody who was sent; older lists come first."""
    for each in older:
        for leads, names in each.leads():
            count = leads.num_rows
            own = {
                "list_name": names,
                "run_id": pa.nulls(count, pa.string()),
                "stream": pa.repeat(pa.scalar(str(each.path)), count),
            }
            columns = [own[name] if name in own else leads.column(name) for name in (*_COLUMNS, *IDENTITY_COLUMNS)]
            table = pa.table(columns, names=[*_COLUMNS, *IDENTITY_COLUMNS])
            yield table.filter(pc.invert(pc.is_in(names, value_set=pa.array(sorted(known), pa.string()))))
    yield from _results(path, [*_COLUMNS, *IDENTITY_COLUMNS])


def _results(path: Path | None, columns: list[str]) -> Iterator[pa.Table]:
    if path is not None:
        yield from chosen_tables(path, run=ALL, chosen=Chosen(statuses=(Status.ACCEPTED.value,)), columns=columns)


def _repeated(
    halves: list[Halves],
) -> Halves:
    ordered = np.sort(np.concatenate([np.empty(0, np.uint64), *halves]))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _is_valid(column: pa.Array) -> Flags:
    return np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), np.bool_)


def _place(send: Send) -> str:
    if send.run_id is None:
        return f"{printable(send.list_name)} (row {send.record_no:,} of {printable(send.source)})"
    return f"{printable(send.list_name)} (record {send.record_no:,} of run {send.run_id})"


def _dated(prices: Prices) -> str:
    return f"prices of {prices.as_of}, assumed" if prices.as_of else "prices of the settings"


def _more(count: int, noun: str) -> Iterator[str]:
    if count > _MOST_SHOWN:
        yield f"  and {count - _MOST_SHOWN:,} more {noun}: `--format json` names them all"
