"""Who is the same person, inside a run and across runs.

The same LinkedIn profile is the same person, whatever else differs. The same e-mail is the same person unless both
carry LinkedIn profiles and these differ (a shared mailbox is not one person). The same title and company count only
between leads that have neither. What a duplicate carries beside is remembered for the person who came first; a
duplicate that has no profile of its own carries nothing beside the e-mail by which it was found.

Where the service knows people by ids of its own, the third column holds the id of a lead that carries one. The same id
is the same person, before profile and e-mail. The same e-mail is the same person unless both carry a profile or an id,
and share neither.

Most leads of a block are new and share nothing with each other, and many others are known with all they carry: both are
told apart in columns. Only leads that bear on each other, or bring something new of somebody known, go one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.index import FingerprintIndex
from target_amplemarket.leads.keys import MISSING, Flags, Keys, Places, Values, keys_of, keys_of_bytes
from target_amplemarket.storage.arrow import column_array


class Known(IntEnum):
    """Where a person is known from, in place of a record number of this run."""

    SENT = 0
    HELD = -1


Where = int
"""A record number of this run (from 1), or a `Known`."""

IDENTITY_COLUMNS: Final = ("linkedin_fingerprint", "email_fingerprint", "title_company_fingerprint")
VERSION_COLUMN: Final = "version_fingerprint"
_FROM_WEAKEST: Final = (1, 0, 2)
"""Places of the identity columns: an id goes before a profile, and that before an e-mail."""


def compared_columns(*, by_version: bool) -> tuple[str, ...]:
    """The columns by which people are told apart, in the order in which they count."""
    return (VERSION_COLUMN,) if by_version else IDENTITY_COLUMNS


class People:
    """Fingerprints of everybody who has been sent, is held, or came earlier in this run.

    Args:
        by_version: Compare whole versions of records (`append-only`) instead of persons.
        has_ids: The service's own ids stand in the third column, and count beside everything else.
        make_index: Makes the index of one identity.
    """

    def __init__(
        self,
        *,
        by_version: bool = False,
        has_ids: bool = False,
        make_index: Callable[[], FingerprintIndex] = FingerprintIndex,
    ) -> None:
        self._has_ids = has_ids
        self._names = compared_columns(by_version=by_version)
        self._indexes = [make_index() for _ in self._names]

    def remember(self, rows: pa.Table, where: Known) -> None:
        """Take the fingerprint columns of earlier runs' result rows; all of them before the first `screen`."""
        for index, column in zip(self._indexes, self._columns(rows), strict=True):
            for is_alone in (False, True):
                index.gather(column.keys.take(column.is_alone == is_alone), where * 2 + is_alone)

    def settles(self, leads: pa.Table) -> bool:
        """Whether everybody among the leads is known with all that they carry; nobody becomes known by asking.

        Raises:
            StorageError: A scratch file cannot be read.
        """
        columns = self._columns(leads)
        found = [column.spread(index.find(column.keys)) for column, index in zip(columns, self._indexes, strict=True)]
        return bool(_settled(columns, found)[1].all())

    def screen(self, leads: pa.Table) -> pa.Int64Array:
        """For each lead, in order: where the same person is known from, or null for somebody new, who is then known.

        Raises:
            StorageError: A scratch file cannot be read.
        """
        columns = self._columns(leads)
        numbers = column_array(leads, "record_no").to_numpy()
        found = [column.spread(index.find(column.keys)) for column, index in zip(columns, self._indexes, strict=True)]
        is_new = _is_new(columns, found)
        verdicts = np.full(leads.num_rows, MISSING)
        added = [column.values(is_new, numbers) for column in columns]
        if not is_new.all():
            verdicts, is_settled = _settled(columns, found)
            rest = np.flatnonzero(~(is_new | is_settled))
            if len(rest):
                in_order = self._in_order([column.array.take(rest) for column in columns], [f[rest] for f in found])
                verdicts[rest] = in_order.screen(numbers[rest].tolist())
                added = [_joined(*pair) for pair in zip(added, in_order.added(), strict=False)]
        for index, new in zip(self._indexes, added, strict=True):
            index.add(*new)
        return pa.array(verdicts, pa.int64(), mask=verdicts == MISSING)

    def _columns(self, table: pa.Table) -> list[_Column]:
        arrays = [column_array(table, name) for name in self._names]
        if len(arrays) == 1:
            return [_Column.of(arrays[0])]
        linkedin, email, third = arrays
        has_profile = _is_valid(linkedin)
        if not self._has_ids:
            third = _only(third, ~(has_profile | _is_valid(email)))  # title and company count beside nothing else
        return [
            _Column.of(linkedin),
            _Column.of(email, is_alone=~(has_profile | _is_valid(third))),
            _Column.of(third),
        ]

    def _in_order(self, arrays: list[pa.FixedSizeBinaryArray], found: list[Values]) -> _InOrder:
        prints = [array.to_pylist() for array in arrays]
        known = [
            {key: value >> 1 for key, value in zip(keys, values.tolist(), strict=True) if value != MISSING}
            for keys, values in zip(prints, found, strict=True)
        ]
        if len(prints) == 1:
            nothing: list[bytes | None] = [None] * len(prints[0])
            return _InOrder([*prints, nothing, nothing], known[0], {}, {}, {})
        of_alone = self._indexes[1].find(keys_of(arrays[1]), only_alone=True).tolist()
        alone = {
            key: value >> 1
            for key, value in zip(prints[1], of_alone, strict=True)
            if key is not None and value != MISSING
        }
        return _InOrder(prints, known[0], known[1], known[2], alone)


@dataclass(frozen=True, slots=True)
class _Column:
    """The fingerprints of one identity in a table.

    Attributes:
        array: As they stand in the table.
        rows: Positions of the rows in which it counts.
        keys: Of these rows.
        is_alone: Of these rows: whether it is an e-mail without a profile and without an id.
    """

    array: pa.FixedSizeBinaryArray
    rows: Places
    keys: Keys
    is_alone: Flags

    @classmethod
    def of(cls, array: pa.FixedSizeBinaryArray, *, is_alone: Flags | None = None) -> _Column:
        """The column of an identity that counts wherever it is given.

        Args:
            array: Its fingerprints.
            is_alone: Of all rows; nowhere by default.
        """
        rows = np.flatnonzero(_is_valid(array))
        alone = np.zeros(len(rows), np.bool_) if is_alone is None else is_alone[rows]
        return cls(array, rows, keys_of(array).take(rows), alone)

    def is_open(self, values: Values) -> Flags:
        """Which rows carry it without being known by it, by values of all rows."""
        is_open = np.zeros(len(self.array), np.bool_)
        is_open[self.rows] = values[self.rows] == MISSING
        return is_open

    def spread(self, values: Values) -> Values:
        """Values of these rows as values of all rows."""
        if len(self.rows) == len(self.array):
            return values
        spread = np.full(len(self.array), MISSING)
        spread[self.rows] = values
        return spread

    def values(self, is_chosen: Flags, numbers: Values) -> tuple[Keys, Values]:
        """What an index takes of the chosen rows."""
        chosen = is_chosen[self.rows]
        return self.keys.take(chosen), numbers[self.rows[chosen]] * 2 + self.is_alone[chosen]


def _is_new(columns: list[_Column], found: list[Values]) -> Flags:
    """Leads of which nothing is known, and that share nothing with another of the block."""
    is_new = np.ones(len(found[0]), np.bool_)
    for column, values in zip(columns, found, strict=True):
        is_new &= values == MISSING
        is_new[column.rows[column.keys.repeated()]] = False
    return is_new


def _settled(columns: list[_Column], found: list[Values]) -> tuple[Values, Flags]:
    """Leads who are known with everything that they carry: where from, and which these are."""
    is_open = np.zeros(len(found[0]), np.bool_)
    for column, values in zip(columns, found, strict=True):
        is_open |= column.is_open(values)
    first = found[0]
    if len(found) > 1:
        for values in (found[place] for place in _FROM_WEAKEST):
            first = np.where(values == MISSING, first, values)
    is_settled = ~is_open & (first != MISSING)
    return np.where(is_settled, _where(first), MISSING), is_settled


def _where(values: Values) -> Values:
    return np.where(values == MISSING, MISSING, values >> 1)


class _InOrder:
    """Leads one after the other, each with what those before it brought.

    Args:
        prints: LinkedIn profile (or version), e-mail, and id or title and company of each lead, as far as they count.
        linkedin: Where profiles are known from, as far as the leads carry them.
        email: The same of e-mails.
        third: The same of ids, or of title and company.
        email_alone: The same of e-mails that came without a profile and without an id.
    """

    def __init__(
        self,
        prints: list[list[bytes | None]],
        linkedin: dict[bytes, Where],
        email: dict[bytes, Where],
        third: dict[bytes, Where],
        email_alone: dict[bytes, Where],
    ) -> None:
        self._prints = prints
        self._linkedin, self._email, self._third, self._email_alone = linkedin, email, third, email_alone
        self._known_counts = [len(linkedin), len(email), len(third)]

    def screen(self, record_numbers: list[int]) -> list[Where]:
        """Where each is known from, `MISSING` for somebody new."""
        verdicts = []
        for linkedin, email, third, record_no in zip(*self._prints, record_numbers, strict=True):
            where = self._find(linkedin, email, third)
            if where is None or linkedin is not None or third is not None:
                self._add(linkedin, email, third, record_no if where is None else where)
            verdicts.append(MISSING if where is None else where)
        return verdicts

    def added(self) -> list[tuple[Keys, Values]]:
        """What was not known before, as an index takes it."""
        known = zip((self._linkedin, self._email, self._third), self._known_counts, strict=True)
        alone: tuple[Container[bytes], ...] = ((), self._email_alone, ())
        return [
            _added(dict(islice(where.items(), count, None)), keys)
            for (where, count), keys in zip(known, alone, strict=True)
        ]

    def _find(self, linkedin: bytes | None, email: bytes | None, third: bytes | None) -> Where | None:
        if third is not None and (where := self._third.get(third)) is not None:
            return where
        if linkedin is not None and (where := self._linkedin.get(linkedin)) is not None:
            return where
        if email is not None:
            return (self._email if linkedin is None and third is None else self._email_alone).get(email)
        return None

    def _add(self, linkedin: bytes | None, email: bytes | None, third: bytes | None, where: Where) -> None:
        if third is not None:
            self._third.setdefault(third, where)
        if linkedin is not None:
            self._linkedin.setdefault(linkedin, where)
        if email is not None:
            self._email.setdefault(email, where)
            if linkedin is None and third is None:
                self._email_alone.setdefault(email, where)


def _added(where: dict[bytes, Where], alone: Container[bytes]) -> tuple[Keys, Values]:
    values = [place * 2 + (key in alone) for key, place in where.items()]
    return keys_of_bytes(list(where)), np.array(values, np.int64)


def _joined(one: tuple[Keys, Values], other: tuple[Keys, Values]) -> tuple[Keys, Values]:
    (keys, values), (more_keys, more_values) = one, other
    high, low = np.concatenate([keys.high, more_keys.high]), np.concatenate([keys.low, more_keys.low])
    return Keys(high, low), np.concatenate([values, more_values])


def _only(array: pa.FixedSizeBinaryArray, is_kept: Flags) -> pa.FixedSizeBinaryArray:
    """The array with nulls in all other rows."""
    if not (_is_valid(array) & ~is_kept).any():
        return array
    return pc.if_else(pa.array(is_kept), array, pa.scalar(None, array.type))


def _is_valid(array: pa.Array) -> Flags:
    if not array.null_count:
        return np.ones(len(array), np.bool_)
    return array.is_valid().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]  # pyarrow is untyped
