"""Records, blocks and tables as the tests of leads and lists need them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from hypothesis import HealthCheck, settings

from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.leads.map_block import MappedBlock, Rules, map_block
from target_amplemarket.leads.mapping import StreamMapping, choose_mapping
from target_amplemarket.leads.segments import ScratchFile
from target_amplemarket.leads.tables import FURTHER_FIELDS, LEADS
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.records import JsonRecords
from target_amplemarket.singer.streams import RecordBlock, Stream

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: a busy machine is no fault of the code."""

KEY = bytes(range(32))
SCHEMAS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "schemas").glob("*.json"))
}
ALL_FIELDS = {name: (name,) for name in ("linkedin_url", "email", "title", "company_name", "company_domain")}
FIVE = tuple(ALL_FIELDS)
GOOD_URL = "https://www.linkedin.com/in/dana-farrow"

BY_ID = Intake(
    ("linkedin_url", "email", "title", "company_name", "company_domain", *(field.name for field in FURTHER_FIELDS)),
    (Route("people", (("first_name",), ("last_name",))), Route("ids", (("person_id",),))),
    id_field="person_id",
    takes_further_fields=False,
)
"""Of a service that takes people by name, or by an id of its own."""


def intake(list_type: str = "auto", company_needs: str = "either") -> Intake:
    """Of a service that takes profiles, else e-mails, else titles with companies, or one of these."""
    company = {"name": ("company_name",), "domain": ("company_domain",), "either": ("company_name", "company_domain")}
    needs: dict[str, tuple[tuple[str, ...], ...]] = {
        "linkedin": (("linkedin_url",),),
        "email": (("email",),),
        "titles_and_company": (("title",), company[company_needs]),
    }
    wanted = list(needs) if list_type == "auto" else [list_type]
    return Intake(FIVE, tuple(Route(name, needs[name]) for name in wanted))


def json_records(records: Sequence[Mapping[str, object]]) -> JsonRecords:
    return JsonRecords([msgspec.Raw(json.dumps(record, ensure_ascii=False).encode()) for record in records])


def mapping_of(
    records: Sequence[Mapping[str, object]],
    *,
    schema: Mapping[str, Any] | None = None,
    keys: tuple[str, ...] = (),
    taken: Intake | None = None,
    overrides: Mapping[str, tuple[str, ...]] | None = None,
    extra_fields: Sequence[str] = (),
    owner_field: str | None = None,
) -> StreamMapping:
    return choose_mapping(
        schema or {"properties": {}},
        keys,
        json_records(records),
        intake=taken or intake(),
        overrides=overrides or {},
        extra_fields=extra_fields,
        owner_field=owner_field,
    )


def mapped(
    records: Sequence[Mapping[str, object]],
    *,
    mapping: StreamMapping | None = None,
    first_record_no: int = 1,
    faults: Mapping[int, RecordFault] | None = None,
    taken: Intake | None = None,
    keep_records: bool = False,
    **chosen: Any,
) -> MappedBlock:
    """The records' leads and rejections, by a mapping that is given or chosen."""
    mapping = mapping or mapping_of(records, taken=taken, **chosen)
    block = RecordBlock(
        Stream("people", {"properties": {}}, mapping.keys), first_record_no, json_records(records), faults or {}
    )
    return map_block(block, mapping, Rules(taken or intake(), keep_records, KEY))


def fingerprint(name: str | None) -> bytes | None:
    return None if name is None else name.encode().ljust(16, b".")


def leads_table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Leads (schema `LEADS`); fingerprints are given as short names, record numbers follow on from 1."""
    complete = []
    for record_no, row in enumerate(rows, start=1):
        defaults = {"record_no": record_no, "list_type": "email", "version_fingerprint": f"v{record_no}"}
        values = dict.fromkeys(LEADS.names) | defaults | row
        prints = {name: fingerprint(values[name]) for name in LEADS.names if name.endswith("_fingerprint")}
        complete.append(values | prints)
    return pa.Table.from_pylist(complete, LEADS)


def scratch(folder: Path | None = None) -> ScratchFile:
    """A file without a name."""
    return tempfile.TemporaryFile(dir=folder, buffering=0)
