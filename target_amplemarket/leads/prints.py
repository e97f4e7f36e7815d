"""By which fingerprints leads are known: each identity that they carry, and the whole of what they say."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.fingerprints import FINGERPRINT, Identity, fingerprint_column
from target_amplemarket.leads.intake import Intake
from target_amplemarket.leads.tables import FURTHER_FIELDS
from target_amplemarket.storage.arrow import NO_TEXT, column_array

_SEPARATOR: Final = "\x1f"
_NONE: Final = "\x1e"
"""Neither stands in a value: canonical forms hold no control characters, JSON escapes them."""

_OF_VERSION: Final = ("record_key", "linkedin_url", "email", "title", "company_name", "company_domain", "extra")


def with_fingerprints(leads: pa.Table, intake: Intake, key: bytes) -> pa.Table:
    """The leads with their four fingerprint columns.

    The third column knows a lead by the service's own id, where records can carry one and this one does. Leads that
    have neither that nor a profile nor an e-mail are known there by first name, last name and company, else by title
    and company.

    Args:
        leads: Columns of schema `MAPPED`; lead fields that the service does not take may be missing.
        intake: What it takes.
        key: Of the results folder.
    """
    leads = leads.combine_chunks()
    fields = _Fields(leads)
    linkedin, email = fields["linkedin_url"], fields["email"]
    made = {
        "linkedin_fingerprint": fingerprint_column(linkedin, key, Identity.LINKEDIN),
        "email_fingerprint": fingerprint_column(email, key, Identity.EMAIL),
        "title_company_fingerprint": _third(fields, intake.id_field, key),
        "version_fingerprint": fingerprint_column(_version(fields), key, Identity.VERSION),
    }
    for name, column in made.items():
        leads = leads.append_column(name, column)
    return leads


class _Fields:
    """Columns of a table in one piece each, null where it has no such column."""

    def __init__(self, leads: pa.Table) -> None:
        self._leads = leads
        self._names = set(leads.column_names)

    def __getitem__(self, name: str) -> pa.StringArray:
        return column_array(self._leads, name) if name in self._names else _nulls(self._leads.num_rows)

    def text(self, name: str) -> pa.StringArray | None:
        """Text of a further field, None where no lead has it."""
        if name not in self._names or (column := self[name]).null_count == len(column):
            return None
        return column if pa.types.is_string(column.type) else pc.binary_join(column, _NONE)


def _third(fields: _Fields, id_field: str | None, key: bytes) -> pa.FixedSizeBinaryArray:
    is_open = pc.and_(pc.is_null(fields["linkedin_url"]), pc.is_null(fields["email"]))
    texts = {}
    if id_field is not None:
        texts[Identity.SERVICE_ID] = fields[id_field]
        is_open = pc.and_(is_open, pc.is_null(fields[id_field]))
    if pc.any(is_open).as_py():
        company = pc.coalesce(fields["company_domain"], fields["company_name"])
        if fields.text("first_name") is not None:
            first_name = pc.if_else(is_open, fields["first_name"], NO_TEXT)
            known_as = pc.coalesce(company, fields["company_id"])
            texts[Identity.NAME_COMPANY] = name_company_text(first_name, fields["last_name"], known_as)
        title = pc.if_else(is_open, fields["title"], NO_TEXT)
        texts[Identity.TITLE_COMPANY] = joined_text(title, company)
    prints = [fingerprint_column(column, key, identity) for identity, column in texts.items()]
    if len(prints) < 2:
        return prints[0] if prints else pa.nulls(len(is_open), FINGERPRINT)
    return pc.coalesce(*prints)


def name_company_text(first_name: pa.StringArray, last_name: pa.StringArray, company: pa.StringArray) -> pa.StringArray:
    """Somebody's full name with the company, or without one where none is known."""
    return joined_text(first_name, last_name, pc.coalesce(company, _NONE))


def joined_text(*parts: pa.StringArray) -> pa.StringArray:
    """Compared whatever their case and composition; null where a part is."""
    return pc.utf8_normalize(pc.utf8_lower(pc.binary_join_element_wise(*parts, _SEPARATOR)), form="NFC")


def _version(fields: _Fields) -> pa.StringArray:
    """All that a lead says; a field that it does not have adds nothing, but for the five that every version has."""
    version = pc.binary_join_element_wise(
        *(fields[name] for name in _OF_VERSION), _SEPARATOR, null_handling="replace", null_replacement=_NONE
    )
    for field in FURTHER_FIELDS:
        if (text := fields.text(field.name)) is not None:
            added = pc.binary_join_element_wise(f"{_SEPARATOR}{field.name}", text, _NONE)
            version = pc.binary_join_element_wise(version, pc.fill_null(added, ""), "")
    return version


def _nulls(count: int) -> pa.StringArray:
    return pa.nulls(count, pa.string())
