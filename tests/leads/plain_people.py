"""Who is the same person, one lead after the other in plain dictionaries: what `People` has to agree with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from target_amplemarket.leads.people import IDENTITY_COLUMNS, Known, Where


@dataclass(slots=True)
class PlainPeople:
    """Fingerprints of everybody who has been sent, is held, or came earlier in this run.

    Args:
        by_version: Compare whole versions of records (`append-only`) instead of persons.
        has_ids: The third column holds ids, which count beside everything else.
    """

    by_version: bool = False
    has_ids: bool = False
    _linkedin: dict[bytes, Where] = field(default_factory=dict)
    _email: dict[bytes, Where] = field(default_factory=dict)
    _email_without_linkedin: dict[bytes, Where] = field(default_factory=dict)
    _email_of_nobody_else: dict[bytes, Where] = field(default_factory=dict)
    _id: dict[bytes, Where] = field(default_factory=dict)
    _title_company: dict[bytes, Where] = field(default_factory=dict)
    _version: dict[bytes, Where] = field(default_factory=dict)

    def remember(self, rows: pa.Table, where: Known) -> None:
        """Take the fingerprint columns of earlier runs' result rows."""
        for prints in _prints(rows):
            self._add(prints, where)

    def screen(self, leads: pa.Table) -> list[Where | None]:
        """For each lead, in order: where the same person is known from, or None for somebody new, who is then known."""
        verdicts: list[Where | None] = []
        for prints, record_no in zip(_prints(leads), leads.column("record_no").to_pylist(), strict=True):
            where = self._find(prints)
            if where is None:
                self._add(prints, record_no)
            elif prints[0] is not None or (self.has_ids and prints[2] is not None):
                self._add(prints, where)
            verdicts.append(where)
        return verdicts

    def _find(self, prints: _Prints) -> Where | None:
        linkedin, email, title_company, version = prints
        if self.by_version:
            return self._version.get(version) if version else None
        if self.has_ids:
            return self._find_with_id(linkedin, email, title_company)
        if linkedin is not None and (where := self._linkedin.get(linkedin)) is not None:
            return where
        if email is not None:
            return (self._email if linkedin is None else self._email_without_linkedin).get(email)
        if title_company is not None and linkedin is None:
            return self._title_company.get(title_company)
        return None

    def _find_with_id(self, linkedin: bytes | None, email: bytes | None, own_id: bytes | None) -> Where | None:
        if own_id is not None and own_id in self._id:
            return self._id[own_id]
        if linkedin is not None and linkedin in self._linkedin:
            return self._linkedin[linkedin]
        if email is not None and linkedin is None and own_id is None:
            return self._email.get(email)
        return self._email_of_nobody_else.get(email) if email is not None else None

    def _add(self, prints: _Prints, where: Where) -> None:
        linkedin, email, title_company, version = prints
        if self.by_version:
            if version is not None:
                self._version.setdefault(version, where)
            return
        if self.has_ids and title_company is not None:
            self._id.setdefault(title_company, where)
        if self.has_ids and email is not None and linkedin is None and title_company is None:
            self._email_of_nobody_else.setdefault(email, where)
        if linkedin is not None:
            self._linkedin.setdefault(linkedin, where)
        if email is not None:
            self._email.setdefault(email, where)
            if linkedin is None:
                self._email_without_linkedin.setdefault(email, where)
        if title_company is not None and linkedin is None and email is None:
            self._title_company.setdefault(title_company, where)


_Prints = tuple[bytes | None, bytes | None, bytes | None, bytes | None]


def _prints(rows: pa.Table) -> Iterable[_Prints]:
    names = (*IDENTITY_COLUMNS, "version_fingerprint")
    return zip(*(rows.column(name).to_pylist() for name in names), strict=True)
