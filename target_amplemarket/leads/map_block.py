"""From a block of records to a table of leads and a table of rejections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.canonical import CanonicalColumn
from target_amplemarket.leads.company import company_names, titles, website_domains, with_mail_domains
from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.intake import Intake
from target_amplemarket.leads.kept_records import with_record_texts
from target_amplemarket.leads.linkedin import canonical_profile_urls
from target_amplemarket.leads.mapping import StreamMapping
from target_amplemarket.leads.prints import with_fingerprints
from target_amplemarket.leads.profile import company_ids, departments, person_ids, phones, tidied
from target_amplemarket.leads.router import LeadColumns, Routes, route
from target_amplemarket.leads.tables import LEADS, MAPPED, REJECTIONS, Status, widened, with_record_type
from target_amplemarket.leads.text import extra_column, key_column, text_column
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.records import Path
from target_amplemarket.singer.streams import RecordBlock
from target_amplemarket.storage.arrow import NO_TEXT

Values = Sequence[object]
"""One value a record, as it came."""

_IDENTITIES: Final[Mapping[str, Callable[[Values], CanonicalColumn]]] = {
    "linkedin_url": lambda values: canonical_profile_urls(text_column(values)),
    "email": lambda values: canonical_emails(text_column(values)),
    "person_id": person_ids,
    "company_id": company_ids,
}
_TEXTS: Final[Mapping[str, Callable[[Values], pa.StringArray]]] = {
    "title": lambda values: titles(text_column(values)),
    "company_name": lambda values: company_names(text_column(values)),
    "company_domain": lambda values: website_domains(text_column(values)),
    **dict.fromkeys(("first_name", "last_name", "city", "country", "seniority"), tidied),
}
_LISTS: Final[Mapping[str, Callable[[Sequence[Values]], pa.ListArray]]] = {"phones": phones, "departments": departments}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the service takes, what the settings say of mapping, and the key of the fingerprints."""

    intake: Intake
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
        rules: What the service takes, whether records are kept, fingerprint key.
    """
    read = block.records.columns(mapping.paths)
    values = dict(zip(mapping.paths, read.values, strict=True))
    faults = {**read.faults, **block.faults}
    count = len(block.records)
    columns = _lead_columns(mapping, values, count, rules.intake)
    routes = route(columns, rules.intake)
    fault_codes = pa.array([faults.get(index) for index in range(count)], pa.string()) if faults else _nulls(count)
    is_lead = pc.and_(pc.is_valid(routes.list_type), pc.is_null(fault_codes))
    record_no = pa.array(block.record_nos)
    record_key = key_column(mapping.keys, values, count)
    record = block.records.kept() if rules.keep_records else pa.nulls(count, MAPPED.field("record").type)
    leads = pa.table(_lead_rows(record_no, record_key, columns, routes, mapping, values) | {"record": record})
    rejections = REJECTIONS.empty_table()
    if is_lead.true_count < count:  # that all are leads is most common
        rejected = pa.table(_rejection_rows(record_no, record_key, routes, fault_codes) | {"record": record})
        rejected = rejected.filter(pc.invert(is_lead)).select(REJECTIONS.names)
        rejections = with_record_texts(rejected).cast(REJECTIONS)
        leads = leads.filter(is_lead)
    leads = with_fingerprints(leads, rules.intake, rules.fingerprint_key)
    return MappedBlock(widened(leads, with_record_type(MAPPED, record.type)), rejections)


def _lead_columns(mapping: StreamMapping, values: Mapping[Path, Values], count: int, intake: Intake) -> LeadColumns:
    found: dict[str, pa.Array] = {}
    reasons: dict[str, pa.StringArray] = {}
    for name in intake.fields:
        members = [values[path] for path in mapping.sources.get(name, ())]
        if not members:
            found[name] = pa.nulls(count, LEADS.field(name).type)
        elif name in _IDENTITIES:
            column = _first_usable(list(map(_IDENTITIES[name], members)))
            found[name], reasons[name] = column.value, column.reason
        else:
            found[name] = _LISTS[name](members) if name in _LISTS else _coalesced(map(_TEXTS[name], members))
    if "company_domain" in found and "email" in found:
        found["company_domain"] = with_mail_domains(found["company_domain"], found["email"])
    return LeadColumns(found, reasons)


def _first_usable(columns: Sequence[CanonicalColumn]) -> CanonicalColumn:
    """Per record the first candidate that is acceptable; else the first reason why one is not."""
    if len(columns) == 1:
        return columns[0]
    value = _coalesced(column.value for column in columns)
    reason = _coalesced(column.reason for column in columns)
    return CanonicalColumn(value, pc.if_else(pc.is_valid(value), NO_TEXT, reason))


def _coalesced(columns: Iterable[pa.StringArray]) -> pa.StringArray:
    first, *others = columns
    return pc.coalesce(first, *others) if others else first


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
        **columns.values,
        "extra": extra_column({name: values[path] for name, path in mapping.extra.items()}, count),
        "reason": routes.reason,
        "field": routes.field,
        "detail": routes.detail,
    }


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
