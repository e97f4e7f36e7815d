"""Who is the same person, inside a run and across runs.

The same LinkedIn profile is the same person, whatever else differs. The same e-mail is the same person unless both
carry LinkedIn profiles and these differ (a shared mailbox is not one person). The same title and company count only
between leads that have neither. What a duplicate carries beside is remembered for the person who came first; a
duplicate that has no profile of its own carries nothing beside the e-mail by which it was found.

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


def compared_columns(*, by_version: bool) -> tuple[str, ...]:
    """The columns by which people are told apart, in the order in which they count."""
    return (VERSION_COLUMN,) if by_version else IDENTITY_COLUMNS


class People:
    """Fingerprints of everybody who has been sent, is held, or came earlier in this run.

    Args:
        by_version: Compare whole versions of records (`append-only`) instead of persons.
        make_index: Makes the index of one identity.
    """

    def __init__(
        self, *, by_version: bool = False, make_index: Callable[[], FingerprintIndex] = FingerprintIndex
    ) -> None:
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
        is_given = [_is_valid(array) for array in arrays]
        is_alone = np.ones(table.num_rows, np.bool_)
        columns = []
        for position, array in enumerate(arrays):
            if position == 2:
                is_given[position] &= is_alone  # title and company count beside nothing else
            rows = np.flatnonzero(is_given[position])
            columns.append(_Column(array, rows, keys_of(array).take(rows), is_alone[rows] & (position == 1)))
            is_alone = is_alone & ~is_given[position]
        return columns

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
        is_alone: Of these rows: whether it is an e-mail without a profile.
    """

    array: pa.FixedSizeBinaryArray
    rows: Places
    keys: Keys
    is_alone: Flags

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
    if len(columns) == 1:
        is_known = found[0] != MISSING
        return _where(found[0]), is_known
    has_profile, has_email = (_is_valid(column.array) for column in columns[:2])
    by_profile, by_email, by_job = (values != MISSING for values in found)
    is_settled = (by_profile & (by_email | ~has_email)) | (by_email & ~has_profile) | by_job
    first = np.where(has_profile, found[0], np.where(has_email, found[1], found[2]))
    return np.where(is_settled, _where(first), MISSING), is_settled


def _where(values: Values) -> Values:
    return np.where(values == MISSING, MISSING, values >> 1)


class _InOrder:
    """Leads one after the other, each with what those before it brought.

    Args:
        prints: LinkedIn profile (or version), e-mail, title and company of each lead.
        linkedin: Where profiles are known from, as far as the leads carry them.
        email: The same of e-mails.
        title_company: The same of title and company.
        email_without_linkedin: The same of e-mails that came without a profile.
    """

    def __init__(
        self,
        prints: list[list[bytes | None]],
        linkedin: dict[bytes, Where],
        email: dict[bytes, Where],
        title_company: dict[bytes, Where],
        email_without_linkedin: dict[bytes, Where],
    ) -> None:
        self._prints = prints
        self._linkedin, self._email, self._title_company = linkedin, email, title_company
        self._email_without_linkedin = email_without_linkedin
        self._known_counts = [len(linkedin), len(email), len(title_company)]

    def screen(self, record_numbers: list[int]) -> list[Where]:
        """Where each is known from, `MISSING` for somebody new."""
        verdicts = []
        for linkedin, email, title_company, record_no in zip(*self._prints, record_numbers, strict=True):
            where = self._find(linkedin, email, title_company)
            if where is None or linkedin is not None:
                self._add(linkedin, email, title_company, record_no if where is None else where)
            verdicts.append(MISSING if where is None else where)
        return verdicts

    def added(self) -> list[tuple[Keys, Values]]:
        """What was not known before, as an index takes it."""
        known = zip((self._linkedin, self._email, self._title_company), self._known_counts, strict=True)
        alone: tuple[Container[bytes], ...] = ((), self._email_without_linkedin, ())
        return [
            _added(dict(islice(where.items(), count, None)), keys)
            for (where, count), keys in zip(known, alone, strict=True)
        ]

    def _find(self, linkedin: bytes | None, email: bytes | None, title_company: bytes | None) -> Where | None:
        if linkedin is not None and (where := self._linkedin.get(linkedin)) is not None:
            return where
        if email is not None:
            return (self._email if linkedin is None else self._email_without_linkedin).get(email)
        if title_company is not None and linkedin is None:
            return self._title_company.get(title_company)
        return None

    def _add(self, linkedin: bytes | None, email: bytes | None, title_company: bytes | None, where: Where) -> None:
        if linkedin is not None:
            self._linkedin.setdefault(linkedin, where)
        if email is not None:
            self._email.setdefault(email, where)
            if linkedin is None:
                self._email_without_linkedin.setdefault(email, where)
        if title_company is not None and linkedin is None and email is None:
            self._title_company.setdefault(title_company, where)


def _added(where: dict[bytes, Where], alone: Container[bytes]) -> tuple[Keys, Values]:
    values = [place * 2 + (key in alone) for key, place in where.items()]
    return keys_of_bytes(list(where)), np.array(values, np.int64)


def _joined(one: tuple[Keys, Values], other: tuple[Keys, Values]) -> tuple[Keys, Values]:
    (keys, values), (more_keys, more_values) = one, other
    high, low = np.concatenate([keys.high, more_keys.high]), np.concatenate([keys.low, more_keys.low])
    return Keys(high, low), np.concatenate([values, more_values])


def _is_valid(array: pa.Array) -> Flags:
    if not array.null_count:
        return np.ones(len(array), np.bool_)
    return array.is_valid().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]  # pyarrow is untyped
