"""From a block of records to a table of leads and a table of rejections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.canonical import CanonicalColumn
from target_amplemarket.leads.company import company_names, titles, website_domains, with_mail_domains
from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column
from target_amplemarket.leads.linkedin import canonical_profile_urls
from target_amplemarket.leads.mapping import StreamMapping
from target_amplemarket.leads.router import LeadColumns, Routes, route
from target_amplemarket.leads.tables import MAPPED, REJECTIONS, Status
from target_amplemarket.leads.text import extra_column, key_column, text_column
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.records import Path
from target_amplemarket.singer.streams import RecordBlock
from target_amplemarket.storage.arrow import NO_TEXT, column_array

_SEPARATOR: Final = "\x1f"
_NONE: Final = "\x1e"
"""Neither stands in a value: canonical forms hold no control characters, JSON escapes them."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of mapping, and the key of the fingerprints."""

    list_type: str
    company_needs: str
    keep_records: bool
    fingerprint_key: bytes


@dataclass(frozen=True, slots=True)
class MappedBlock:
    """Every record of the block is in exactly one of the two tables; both keep the order of the records."""

    leads: pa.Table  # schema MAPPED
    rejections: pa.Table  # schema REJECTIONS


def map_block(block: RecordBlock, mapping: StreamMapping, rules: Rules) -> MappedBlock:
    """Map, check and route the records of one block; a pure function.

    Args:
        block: Records of one stream.
        mapping: Where that stream's lead fields come from.
        rules: List type, company rule, whether records are kept, fingerprint key.
    """
    read = block.records.columns(mapping.paths)
    values = dict(zip(mapping.paths, read.values, strict=True))
    faults = {**read.faults, **block.faults}
    count = len(block.records)
    columns = _lead_columns(mapping, values, count)
    routes = route(columns, list_type=rules.list_type, company_needs=rules.company_needs)
    fault_codes = pa.array([faults.get(index) for index in range(count)], pa.string()) if faults else _nulls(count)
    is_lead = pc.and_(pc.is_valid(routes.list_type), pc.is_null(fault_codes))
    record_no = pa.array(np.arange(block.first_record_no, block.first_record_no + count))
    record_key = key_column(mapping.keys, values, count)
    record = block.records.texts() if rules.keep_records else pa.nulls(count, MAPPED.field("record").type)
    leads = pa.table(_lead_rows(record_no, record_key, columns, routes, mapping, values) | {"record": record})
    rejections = REJECTIONS.empty_table()
    if is_lead.true_count < count:  # that all are leads is most common
        rejected = pa.table(_rejection_rows(record_no, record_key, routes, fault_codes) | {"record": record})
        rejections = rejected.filter(pc.invert(is_lead)).select(REJECTIONS.names).cast(REJECTIONS)
        leads = leads.filter(is_lead)
    fingerprinted = _fingerprinted(leads, rules.fingerprint_key)
    in_order = [fingerprinted.column(name) for name in MAPPED.names]
    return MappedBlock(pa.Table.from_arrays(in_order, schema=MAPPED), rejections)


def _lead_columns(mapping: StreamMapping, values: Mapping[Path, Sequence[object]], count: int) -> LeadColumns:
    texts = {name: [text_column(values[path]) for path in paths] for name, paths in mapping.sources.items()}
    empty = _nulls(count)
    email = _first_usable([canonical_emails(text) for text in texts.get("email", ())], empty)
    websites = _coalesced((website_domains(text) for text in texts.get("company_domain", ())), empty)
    return LeadColumns(
        linkedin=_first_usable([canonical_profile_urls(text) for text in texts.get("linkedin_url", ())], empty),
        email=email,
        title=_coalesced((titles(text) for text in texts.get("title", ())), empty),
        company_name=_coalesced((company_names(text) for text in texts.get("company_name", ())), empty),
        company_domain=with_mail_domains(websites, email.value),
    )


def _first_usable(columns: Sequence[CanonicalColumn], empty: pa.StringArray) -> CanonicalColumn:
    """Per record the first candidate that is acceptable; else the first reason why one is not."""
    if len(columns) == 1:
        return columns[0]
    value = _coalesced((column.value for column in columns), empty)
    reason = _coalesced((column.reason for column in columns), empty)
    return CanonicalColumn(value, pc.if_else(pc.is_valid(value), NO_TEXT, reason))


def _coalesced(columns: Iterable[pa.StringArray], empty: pa.StringArray) -> pa.StringArray:
    listed = list(columns)
    return listed[0] if len(listed) == 1 else pc.coalesce(*listed, empty)


def _lead_rows(
    record_no: pa.Int64Array,
    record_key: pa.StringArray,
    columns: LeadColumns,
    routes: Routes,
    mapping: StreamMapping,
    values: Mapping[Path, Sequence[object]],
) -> dict[str, pa.Array]:
    count = len(record_no)
    owner = text_column(values[mapping.owner]) if mapping.owner else _nulls(count)
    owner = pc.utf8_lower(pc.utf8_trim_whitespace(owner))
    return {
        "record_no": record_no,
        "record_key": record_key,
        "owner": pc.if_else(pc.equal(owner, ""), NO_TEXT, owner),
        "list_type": routes.list_type,
        "linkedin_url": columns.linkedin.value,
        "email": columns.email.value,
        "title": columns.title,
        "company_name": columns.company_name,
        "company_domain": columns.company_domain,
        "extra": extra_column({name: values[path] for name, path in mapping.extra.items()}, count),
        "reason": routes.reason,
        "field": routes.field,
        "detail": routes.detail,
    }


def _fingerprinted(leads: pa.Table, key: bytes) -> pa.Table:
    leads = leads.combine_chunks()
    linkedin, email = column_array(leads, "linkedin_url"), column_array(leads, "email")
    alone = pc.and_(pc.is_null(linkedin), pc.is_null(email))
    title_company = _title_company(leads, alone) if pc.any(alone).as_py() else _nulls(leads.num_rows)
    of_version = ["record_key", "linkedin_url", "email", "title", "company_name", "company_domain", "extra"]
    version = pc.binary_join_element_wise(
        *(column_array(leads, name) for name in of_version), _SEPARATOR, null_handling="replace", null_replacement=_NONE
    )
    made = {
        "linkedin_fingerprint": (linkedin, Identity.LINKEDIN),
        "email_fingerprint": (email, Identity.EMAIL),
        "title_company_fingerprint": (title_company, Identity.TITLE_COMPANY),
        "version_fingerprint": (version, Identity.VERSION),
    }
    for name, (text, identity) in made.items():
        leads = leads.append_column(name, fingerprint_column(text, key, identity))
    return leads


def _title_company(leads: pa.Table, alone: pa.BooleanArray) -> pa.StringArray:
    """What identifies leads that have neither of the other identities."""
    company = pc.coalesce(column_array(leads, "company_domain"), pc.utf8_lower(column_array(leads, "company_name")))
    both = pc.binary_join_element_wise(pc.utf8_lower(column_array(leads, "title")), company, _SEPARATOR)
    return pc.utf8_normalize(pc.if_else(alone, both, NO_TEXT), form="NFC")


def _rejection_rows(
    record_no: pa.Int64Array, record_key: pa.StringArray, routes: Routes, fault_codes: pa.StringArray
) -> dict[str, pa.Array]:
    has_fault = pc.is_valid(fault_codes)
    filtered = pc.fill_null(pc.equal(fault_codes, RecordFault.FILTERED.value), False)
    return {
        "record_no": record_no,
        "record_key": record_key,
        "status": pc.if_else(filtered, Status.EXCLUDED.value, Status.REJECTED.value),
        "reason": pc.coalesce(fault_codes, routes.reason),
        "field": pc.if_else(has_fault, NO_TEXT, routes.field),
        "detail": pc.coalesce(_fault_details(fault_codes), routes.detail),
        "winner_record_no": pa.nulls(len(record_no), pa.int64()),
    }


def _fault_details(codes: pa.StringArray) -> pa.StringArray:
    distinct = codes.dictionary_encode()
    details = [RecordFault(code).detail for code in distinct.dictionary.to_pylist()]
    return pa.array(details, pa.string()).take(distinct.indices)


def _nulls(count: int) -> pa.StringArray:
    return pa.nulls(count, pa.string())
