"""From a block of records to a table of leads and a table of rejections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.canonical import CanonicalColumn
from target_amplemarket.leads.company import company_domains, company_names, titles
from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column, text_bytes
from target_amplemarket.leads.linkedin import canonical_profile_urls
from target_amplemarket.leads.mapping import StreamMapping
from target_amplemarket.leads.router import LeadColumns, Routes, route
from target_amplemarket.leads.tables import LEADS, REJECTIONS, Status
from target_amplemarket.leads.text import extra_column, text_column
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.records import ABSENT, Path, Records, json_text
from target_amplemarket.singer.streams import RecordBlock

_SEPARATOR: Final = "\x1f"
_NULL: Final = pa.scalar(None, pa.string())
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

    leads: pa.Table  # schema LEADS
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
    record_no = pa.array(range(block.first_record_no, block.first_record_no + count), pa.int64())
    record_key = _record_keys(mapping.keys, values, count)
    lead_rows = _lead_rows(record_no, record_key, columns, routes, mapping, values)
    leads = _fingerprinted(pa.table(lead_rows).filter(is_lead), rules.fingerprint_key)
    rejected = pc.invert(is_lead)
    rejections = _rejection_rows(record_no, record_key, routes, fault_codes).filter(rejected)
    return MappedBlock(
        leads.append_column("record", _kept(block.records, is_lead, rules)).select(LEADS.names).cast(LEADS),
        rejections.append_column("record", _kept(block.records, rejected, rules))
        .select(REJECTIONS.names)
        .cast(REJECTIONS),
    )


def _lead_columns(mapping: StreamMapping, values: Mapping[Path, Sequence[object]], count: int) -> LeadColumns:
    texts = {name: [text_column(values[path]) for path in paths] for name, paths in mapping.sources.items()}
    empty = _nulls(count)
    email = _first_usable((canonical_emails(text) for text in texts.get("email", ())), empty)
    websites = _coalesced((company_domains(text, empty) for text in texts.get("company_domain", ())), empty)
    return LeadColumns(
        linkedin=_first_usable((canonical_profile_urls(text) for text in texts.get("linkedin_url", ())), empty),
        email=email,
        title=_coalesced((titles(text) for text in texts.get("title", ())), empty),
        company_name=_coalesced((company_names(text) for text in texts.get("company_name", ())), empty),
        company_domain=pc.coalesce(websites, company_domains(empty, email.value)),
    )


def _first_usable(candidates: Iterable[CanonicalColumn], empty: pa.StringArray) -> CanonicalColumn:
    """Per record the first candidate that is acceptable; else the first reason why one is not."""
    columns = list(candidates)
    value = _coalesced((column.value for column in columns), empty)
    reason = _coalesced((column.reason for column in columns), empty)
    return CanonicalColumn(value, pc.if_else(pc.is_valid(value), _NULL, reason))


def _coalesced(columns: Iterable[pa.StringArray], empty: pa.StringArray) -> pa.StringArray:
    return pc.coalesce(*columns, empty)


def _record_keys(keys: tuple[str, ...], values: Mapping[Path, Sequence[object]], count: int) -> pa.StringArray:
    if not keys:
        return _nulls(count)
    rows = zip(*(values[key,] for key in keys), strict=True)
    return pa.array(
        [None if ABSENT in row else json_text(dict(zip(keys, row, strict=True))) for row in rows], pa.string()
    )


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
        "owner": pc.if_else(pc.equal(owner, ""), _NULL, owner),
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
    linkedin, email = _column(leads, "linkedin_url"), _column(leads, "email")
    alone = pc.and_(pc.is_null(linkedin), pc.is_null(email))
    company = pc.coalesce(_column(leads, "company_domain"), pc.utf8_lower(_column(leads, "company_name")))
    title_company = pc.binary_join_element_wise(pc.utf8_lower(_column(leads, "title")), company, _SEPARATOR)
    title_company = pc.utf8_normalize(pc.if_else(alone, title_company, _NULL), form="NFC")
    of_version = ["record_key", "linkedin_url", "email", "title", "company_name", "company_domain", "extra"]
    version = pc.binary_join_element_wise(
        *(_column(leads, name) for name in of_version), _SEPARATOR, null_handling="replace", null_replacement=_NONE
    )
    made = {
        "linkedin_fingerprint": (linkedin, Identity.LINKEDIN),
        "email_fingerprint": (email, Identity.EMAIL),
        "title_company_fingerprint": (title_company, Identity.TITLE_COMPANY),
        "version_fingerprint": (version, Identity.VERSION),
    }
    for name, (text, identity) in made.items():
        leads = leads.append_column(name, fingerprint_column(text_bytes(text), key, identity))
    return leads


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else pa.array([], column.type)


def _rejection_rows(
    record_no: pa.Int64Array, record_key: pa.StringArray, routes: Routes, fault_codes: pa.StringArray
) -> pa.Table:
    has_fault = pc.is_valid(fault_codes)
    details = {fault.value: fault.detail for fault in RecordFault}
    fault_details = pa.array([details.get(code) for code in fault_codes.to_pylist()], pa.string())
    filtered = pc.fill_null(pc.equal(fault_codes, RecordFault.FILTERED.value), False)
    return pa.table(
        {
            "record_no": record_no,
            "record_key": record_key,
            "status": pc.if_else(filtered, Status.EXCLUDED.value, Status.REJECTED.value),
            "reason": pc.coalesce(fault_codes, routes.reason),
            "field": pc.if_else(has_fault, _NULL, routes.field),
            "detail": pc.coalesce(fault_details, routes.detail),
            "winner_record_no": pa.nulls(len(record_no), pa.int64()),
        }
    )


def _kept(records: Records, chosen: pa.BooleanArray, rules: Rules) -> pa.StringArray:
    indices = pc.indices_nonzero(chosen).to_pylist()
    if not rules.keep_records:
        return _nulls(len(indices))
    kept = [records.json(index) for index in indices]
    try:
        return pa.array(kept, pa.string())
    except pa.ArrowInvalid:  # bytes that are not UTF-8, in members that nobody asked for
        return pa.array([record.decode("utf-8", "replace") for record in kept], pa.string())


def _nulls(count: int) -> pa.StringArray:
    return pa.nulls(count, pa.string())
