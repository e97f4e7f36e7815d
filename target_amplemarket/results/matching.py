"""Which record an entry came from.

The order of a list's entries is not documented, so their places say nothing. An entry is known by the fingerprints of
what it carries, among the leads of its own list: the service's own id where the lead brought it, LinkedIn profile, else
e-mail, else name and company, or title and company; and by the record's key where `extra_fields` sent it along and
`data` gives it back. Where that leaves nobody, or several, the entry has no record, and that is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.company import company_names, titles, website_domains
from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column
from target_amplemarket.leads.linkedin import canonical_profile_urls
from target_amplemarket.leads.prints import joined_text, name_company_text
from target_amplemarket.services.entries import further_emails
from target_amplemarket.storage.arrow import column_array


class MatchedBy(StrEnum):
    """How the record of an entry was found, or why it was not."""

    SERVICE_ID = "service_id"
    LINKEDIN = "linkedin"
    EMAIL = "email"
    NAME_COMPANY = "name_company"
    TITLE_COMPANY = "title_company"
    RECORD_KEY = "record_key"
    NOBODY = "nobody"
    SEVERAL = "several"


IDENTITIES: Final = {
    MatchedBy.SERVICE_ID: Identity.SERVICE_ID,
    MatchedBy.LINKEDIN: Identity.LINKEDIN,
    MatchedBy.EMAIL: Identity.EMAIL,
    MatchedBy.NAME_COMPANY: Identity.NAME_COMPANY,
    MatchedBy.TITLE_COMPANY: Identity.TITLE_COMPANY,
}
_OWN_COLUMNS: Final = frozenset({MatchedBy.LINKEDIN, MatchedBy.EMAIL})

Prints = Sequence[tuple[MatchedBy, Sequence[bytes | None]]]
"""Fingerprints of entries, entry by entry, in the order in which they count."""


@dataclass(frozen=True, slots=True)
class Match:
    """Row of the record that an entry came from, or None, and how that was found."""

    row: int | None
    by: MatchedBy


def kept_as(by: MatchedBy) -> str:
    """Under which name rows and tombstones keep fingerprints of an identity: all but two share the third column."""
    return by.value if by in _OWN_COLUMNS else MatchedBy.TITLE_COMPANY.value


def prints_of(entries: pa.Table, fingerprint_key: bytes) -> Prints:
    """Fingerprints of entries (schema `ENTRIES`), made as those of leads are.

    A lead without a domain is known by its company's name, and enrichment may add the domain: both are tried.
    """
    entries = entries.combine_chunks()
    columns = {name: column_array(entries, name) for name in entries.column_names}
    profile = pc.coalesce(*(canonical_profile_urls(columns[name]).value for name in ("linkedin_url", "linkedin")))
    title, names = titles(columns["title"]), (columns["first_name"], columns["last_name"])
    companies = (website_domains(columns["company_domain"]), company_names(columns["company_name"]))
    emails = (columns["email"], *_further(columns["data"]))
    texts = [
        (MatchedBy.SERVICE_ID, pc.coalesce(columns["person_id"], columns["entry_id"])),
        (MatchedBy.LINKEDIN, profile),
        *((MatchedBy.EMAIL, canonical_emails(each).value) for each in emails),
        *((MatchedBy.NAME_COMPANY, name_company_text(*names, company)) for company in companies),
        *((MatchedBy.TITLE_COMPANY, joined_text(title, company)) for company in companies),
    ]
    return [(by, fingerprint_column(text, fingerprint_key, IDENTITIES[by]).to_pylist()) for by, text in texts]


def _further(data: pa.StringArray) -> list[pa.StringArray]:
    """E-mails of entries that have several: the first of each, the second of each, and so on."""
    each = [further_emails(text) for text in data.to_pylist()]
    most = max(map(len, each), default=0)
    return [pa.array([found[n] if n < len(found) else None for found in each], pa.string()) for n in range(most)]


def match_entries(entries: pa.Table, prints: Prints, rows: pa.Table) -> list[Match]:
    """The record of each entry.

    Args:
        entries: Schema `ENTRIES`.
        prints: Of these entries.
        rows: Accepted result rows of the same list: the identities' fingerprints, and `record_key`.
    """
    leads = {by: _places(rows.column(f"{kept_as(by)}_fingerprint").to_pylist()) for by in IDENTITIES}
    keys = _Keys(rows.column("record_key").to_pylist())
    data = entries.column("data").to_pylist()
    return [_match(entry, prints, leads, keys, data[entry]) for entry in range(entries.num_rows)]


def _match(
    entry: int, prints: Prints, leads: Mapping[MatchedBy, Mapping[bytes, list[int]]], keys: _Keys, data: str | None
) -> Match:
    found: list[int] = []
    for by, values in prints:
        value = values[entry]
        found = leads[by].get(value, []) if value is not None else []
        if len(found) == 1:
            return Match(found[0], by)
        if found:
            break
    by_key = keys.rows_of(data)
    both = [row for row in by_key if row in found] if found else by_key
    if len(both) == 1:
        return Match(both[0], MatchedBy.RECORD_KEY)
    return Match(None, MatchedBy.SEVERAL if found or both else MatchedBy.NOBODY)


class _Keys:
    """Records of a list by their key, as an entry's `data` may give it back."""

    def __init__(self, texts: Sequence[str | None]) -> None:
        keys = [None if text is None else _members(text) for text in texts]
        self._names = sorted(next((key for key in keys if key), {}))
        self._rows = _places([None if key is None else self._of(key) for key in keys])

    def rows_of(self, data: str | None) -> list[int]:
        key = self._of(_members(data)) if self._names and data else None
        return self._rows.get(key, []) if key is not None else []

    def _of(self, members: Mapping[str, Any]) -> tuple[str, ...] | None:
        if not all(members.get(name) is not None for name in self._names):
            return None
        return tuple(_text(members[name]) for name in self._names)


def _members(text: str) -> dict[str, Any]:
    decoded = msgspec.json.decode(text)
    return decoded if isinstance(decoded, dict) else {}


def _text(value: object) -> str:
    """As further fields of a lead are sent: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _places(values: Sequence[Any]) -> dict[Any, list[int]]:  # Any: fingerprints, or keys
    places: defaultdict[Any, list[int]] = defaultdict(list)
    for row, value in enumerate(values):
        if value is not None:
            places[value].append(row)
    return dict(places)
