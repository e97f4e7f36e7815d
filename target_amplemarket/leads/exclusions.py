"""Who must not be sent: the account's exclusion lists, the suppression file, people who were forgotten.

E-mails, LinkedIn profiles and record keys are known by their fingerprints, as people who were sent are; so are domains,
but a domain excludes everything below it. Whoever is excluded is looked for before the ledger is asked, so that an
excluded person never becomes a known one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.domains import DomainIndex, canonical_domains
from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column
from target_amplemarket.leads.index import FingerprintIndex
from target_amplemarket.leads.kept_records import record_texts
from target_amplemarket.leads.keys import MISSING, Values, keys_of
from target_amplemarket.leads.linkedin import canonical_profile_urls
from target_amplemarket.leads.tables import Reason, Status
from target_amplemarket.storage.arrow import NO_TEXT, column_array

_KEPT: Final = ("record_no", "record_key", "list_type", "record")
_SEPARATOR: Final = "\x1f"
_MOST_HOSTS: Final = 1 << 18
"""Hosts whose verdict is remembered."""

_OF_DOMAIN: Final = r"^\s*\*?@"


class Source(IntEnum):
    """Who says so; what comes first counts where several do."""

    FORGOTTEN = 0
    FILE = 1
    ACCOUNT = 2


class _Verdict(NamedTuple):
    reason: Reason
    field: str | None
    detail: str


_VERDICTS: Final = (
    _Verdict(Reason.FORGOTTEN, None, "the person was forgotten, by `forget`"),
    _Verdict(Reason.SUPPRESSED, "linkedin_url", "the suppression file has this LinkedIn profile"),
    _Verdict(Reason.SUPPRESSED, "email", "the suppression file has this e-mail"),
    _Verdict(Reason.EXCLUDED_EMAIL, "email", "the account excludes this e-mail"),
    _Verdict(Reason.SUPPRESSED, "email", "the suppression file has the domain of the e-mail"),
    _Verdict(Reason.EXCLUDED_DOMAIN, "email", "the account excludes the domain of the e-mail"),
    _Verdict(Reason.SUPPRESSED, "company_domain", "the suppression file has the company's domain"),
    _Verdict(Reason.EXCLUDED_DOMAIN, "company_domain", "the account excludes the company's domain"),
)
_FORGOTTEN: Final = 0
_OF_PROFILE: Final = {Source.FORGOTTEN: 0, Source.FILE: 1}
_OF_EMAIL: Final = {Source.FORGOTTEN: 0, Source.FILE: 2, Source.ACCOUNT: 3}
_OF_MAIL_DOMAIN: Final = {Source.FILE: 4, Source.ACCOUNT: 5}
_OF_COMPANY_DOMAIN: Final = {Source.FILE: 6, Source.ACCOUNT: 7}
_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Parted:
    """Every lead is in exactly one of the two.

    Attributes:
        leads: Schema `LEADS`: who may be sent.
        excluded: Schema `REJECTIONS` and the list type; nothing of the record where the person was forgotten.
    """

    leads: pa.Table
    excluded: pa.Table


@dataclass(slots=True)
class Taken:
    """What was taken of a list, and what could not be: neither an e-mail, nor a profile, nor a domain."""

    emails: int = 0
    domains: int = 0
    profiles: int = 0
    unreadable: int = 0

    @property
    def count(self) -> int:
        """All that was taken."""
        return self.emails + self.domains + self.profiles


class ExcludedPeople:
    """Look-ups for who must not be sent.

    Args:
        fingerprint_key: Of the results folder.
        by_company_domain: An excluded domain also excludes leads by their company's domain.
    """

    def __init__(self, fingerprint_key: bytes, *, by_company_domain: bool = True) -> None:
        self._key = fingerprint_key
        self._by_company_domain = by_company_domain
        self._indexes: dict[Identity, FingerprintIndex] = {}
        self._domains = DomainIndex(fingerprint_key)

    def take_forgotten(self, identity: Identity, fingerprints: pa.FixedSizeBinaryArray) -> None:
        """People who were forgotten; before all others."""
        self._gather(identity, fingerprints.drop_null(), _FORGOTTEN)

    def take(
        self,
        source: Source,
        *,
        emails: pa.StringArray | None = None,
        domains: pa.StringArray | None = None,
        profiles: pa.StringArray | None = None,
        taken: Taken | None = None,
    ) -> Taken:
        """Take texts as somebody wrote them; `@acme.example` among the e-mails is a domain.

        All of them before the first `part`.

        Args:
            source: Whose list it is.
            emails: Any order, null is absent.
            domains: The same; addresses of websites count by their host.
            profiles: LinkedIn URLs.
            taken: Counts to add to.
        """
        taken = taken or Taken()
        if emails is not None:
            of_domain = pc.fill_null(pc.match_substring_regex(emails, _OF_DOMAIN), False)
            self._take_domains(source, emails.filter(of_domain), taken)
            taken.emails += self._take_texts(source, Identity.EMAIL, emails.filter(pc.invert(of_domain)), taken)
        if domains is not None:
            self._take_domains(source, domains, taken)
        if profiles is not None:
            taken.profiles += self._take_texts(source, Identity.LINKEDIN, profiles, taken)
        return taken

    def part(self, stream: str, leads: pa.Table) -> Parted:
        """Part who may be sent from who must not.

        Args:
            stream: Of the leads.
            leads: Schema `LEADS`, record order.
        """
        verdicts = np.full(leads.num_rows, _NOBODY)
        for identity in self._indexes:
            _settle(verdicts, self._known(identity, stream, leads))
        if not self._domains.is_empty:
            _settle(verdicts, self._at_domains(leads, "email", _OF_MAIL_DOMAIN))
            if self._by_company_domain:
                _settle(verdicts, self._at_domains(leads, "company_domain", _OF_COMPANY_DOMAIN))
        is_excluded = verdicts != _NOBODY
        if not is_excluded.any():
            return Parted(leads, _nobody())
        chosen = pa.array(is_excluded)
        return Parted(leads.filter(pc.invert(chosen)), _rows(leads.filter(chosen), verdicts[is_excluded]))

    def _take_texts(self, source: Source, identity: Identity, texts: pa.StringArray, taken: Taken) -> int:
        is_email = identity is Identity.EMAIL
        column = canonical_emails(texts) if is_email else canonical_profile_urls(texts)
        taken.unreadable += len(column.reason) - column.reason.null_count
        values = column.value.drop_null()
        self._gather(
            identity, fingerprint_column(values, self._key, identity), (_OF_EMAIL if is_email else _OF_PROFILE)[source]
        )
        return len(values)

    def _take_domains(self, source: Source, texts: pa.StringArray, taken: Taken) -> None:
        domains = canonical_domains(texts).drop_null()
        self._domains.gather(domains, source)
        taken.domains += len(domains)
        taken.unreadable += pc.sum(pc.not_equal(pc.utf8_trim_whitespace(texts), "")).as_py() or 0
        taken.unreadable -= len(domains)

    def _gather(self, identity: Identity, fingerprints: pa.FixedSizeBinaryArray, verdict: int) -> None:
        if len(fingerprints):
            index = self._indexes.setdefault(identity, FingerprintIndex())
            index.gather(keys_of(fingerprints), verdict * 2)

    def _known(self, identity: Identity, stream: str, leads: pa.Table) -> Values:
        """The verdict on each lead by one identity."""
        fingerprints = self._fingerprints(identity, stream, leads)
        found = self._indexes[identity].find(keys_of(fingerprints))
        found = np.where(found == MISSING, _NOBODY, found >> 1)
        if fingerprints.null_count:
            found[fingerprints.is_null().to_numpy(zero_copy_only=False)] = _NOBODY
        return found

    def _fingerprints(self, identity: Identity, stream: str, leads: pa.Table) -> pa.FixedSizeBinaryArray:
        if identity is Identity.RECORD_KEY:
            return record_key_fingerprints(stream, column_array(leads, "record_key"), self._key)
        return column_array(leads, f"{identity.value.decode()}_fingerprint")

    def _at_domains(self, leads: pa.Table, name: str, verdicts: Mapping[Source, int]) -> Values:
        """The verdict on each lead by the domain of its e-mail or its company."""
        found = self._domains.find(column_array(leads, name), is_host=name == "company_domain")
        return np.array([*(verdicts.get(source, _NOBODY) for source in Source), _NOBODY])[
            np.where(found == MISSING, -1, found)
        ]


def record_key_fingerprints(
    stream: str | pa.StringArray, keys: pa.StringArray, folder_key: bytes
) -> pa.FixedSizeBinaryArray:
    """Fingerprints of records by their stream and key (`record_key` of results); null stays null."""
    texts = pc.binary_join_element_wise(stream, keys, _SEPARATOR)
    return fingerprint_column(texts, folder_key, Identity.RECORD_KEY)


def _settle(verdicts: Values, found: Values) -> None:
    """The first verdict in the order of `_VERDICTS` counts."""
    is_better = (found != _NOBODY) & ((verdicts == _NOBODY) | (found < verdicts))
    verdicts[is_better] = found[is_better]


@functools.cache
def _nobody() -> pa.Table:
    names = {"record_no": pa.int64(), "winner_record_no": pa.int64()}
    columns = (*_KEPT, "status", "reason", "field", "detail", "winner_record_no")
    return pa.schema([pa.field(name, names.get(name, pa.string())) for name in columns]).empty_table()


def _rows(leads: pa.Table, verdicts: Values) -> pa.Table:
    is_forgotten = pa.array(verdicts == _FORGOTTEN)
    places = pa.array(verdicts)
    columns = {name: column_array(leads, name) for name in _KEPT}
    columns["record_key"] = pc.if_else(is_forgotten, NO_TEXT, columns["record_key"])
    columns["record"] = record_texts(columns["record"], pc.invert(is_forgotten))
    columns |= {
        "status": pa.array([Status.EXCLUDED.value]).take(pa.array(np.zeros(len(verdicts), np.int64))),
        "reason": pa.array([verdict.reason.value for verdict in _VERDICTS]).take(places),
        "field": pa.array([verdict.field for verdict in _VERDICTS]).take(places),
        "detail": pa.array([verdict.detail for verdict in _VERDICTS]).take(places),
        "winner_record_no": pa.nulls(len(verdicts), pa.int64()),
    }
    return pa.table(columns)
