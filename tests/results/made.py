"""Leads, rejections and deliveries of made-up people; every value of theirs holds the canary."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from target_amplemarket.delivery.deliver import Delivery, Part
from target_amplemarket.leads.tables import LEADS, REJECTIONS
from target_amplemarket.lists.lead_list import GroupKey, LeadList
from target_amplemarket.results.rows import RowMaker
from target_amplemarket.services.protocol import Accepted, LeadRefusal, RefusalKind, Refused, Unknown

CANARY = "canary"
RUN_ID = "20260105T091500000000Z-1f2e3d"
NOW = datetime(2026, 1, 5, 9, 15, 30, 123_456, tzinfo=UTC)
ROWS = RowMaker(RUN_ID, "rejected")


def fingerprint(kind: str, number: int) -> bytes:
    return hashlib.blake2b(f"{kind} {number}".encode(), digest_size=16).digest()


def fingerprints(kind: str, numbers: Sequence[int]) -> pa.Array:
    return pa.array([fingerprint(kind, number) for number in numbers], pa.binary(16))


def make_leads(numbers: Sequence[int]) -> pa.Table:
    texts = {
        "record_key": '{{"id":"canary-{}"}}',
        "owner": "canary-owner-{}@seller.example",
        "linkedin_url": "https://www.linkedin.com/in/canary-{}",
        "email": "canary-{}@buyer.example",
        "title": "canary engineer {}",
        "company_name": "canary works {}",
        "company_domain": "canary-{}.example",
        "extra": '{{"phone":"canary-{}"}}',
        "record": '{{"id":"canary-{}","note":"canary"}}',
    }
    columns = {name: pa.array([text.format(n) for n in numbers], pa.string()) for name, text in texts.items()}
    for kind in ("linkedin", "email", "version"):
        columns[f"{kind}_fingerprint"] = fingerprints(kind, numbers)
    columns |= {"record_no": pa.array(numbers, pa.int64()), "list_type": pa.array(["linkedin"] * len(numbers))}
    return pa.table([columns.get(f.name, pa.nulls(len(numbers), f.type)) for f in LEADS], schema=LEADS)


def make_list(numbers: Sequence[int], *, number: int = 1, marker: str = "AAAAAAAAAAAA") -> LeadList:
    key = GroupKey("contacts", "canary-owner@seller.example", "linkedin")
    return LeadList(number, 1, marker, "contacts 2026-01-05", key, make_leads(numbers))


def accepted(numbers: Sequence[int], *, marker: str = "AAAAAAAAAAAA", attempt: int = 1) -> Part:
    return Part(make_list(numbers, marker=marker), Accepted(f"list-{marker}", None, 202), attempt)


def evicted(numbers: Sequence[int]) -> Part:
    leads = tuple(LeadRefusal(p, f"code_{n}", f"/leads/{p}/email", "email") for p, n in enumerate(numbers))
    return Part(make_list(numbers), Refused(RefusalKind.LEADS, 422, "first_code", "/leads/0/email", leads), 1)


def refused(numbers: Sequence[int]) -> Part:
    return Part(make_list(numbers), Refused(RefusalKind.REQUEST, 400, "unrecognised", "/leads"), 3)


def held(numbers: Sequence[int]) -> Part:
    return Part(make_list(numbers), Unknown("connection_lost", 502), 2)


def delivered(*parts: Part) -> Delivery:
    numbers = sorted(n for part in parts for n in part.lead_list.leads.column("record_no").to_pylist())
    return Delivery(make_list(numbers), list(parts))


def rows_of(*parts: Part, maker: RowMaker = ROWS) -> pa.Table:
    return maker.of_delivery(delivered(*parts), NOW)


def make_rejections(numbers: Sequence[int], *, status: str = "rejected", reason: str = "no_identity") -> pa.Table:
    count = len(numbers)
    columns = {
        "record_no": pa.array(numbers, pa.int64()),
        "record_key": pa.array([f'{{"id":"canary-{n}"}}' for n in numbers]),
        "status": pa.array([status] * count, pa.string()),
        "reason": pa.array([reason] * count, pa.string()),
        "field": pa.array(["email"] * count, pa.string()),
        "detail": pa.array(["nothing to be found by"] * count, pa.string()),
        "record": pa.array([f'{{"note":"canary {n}"}}' for n in numbers], pa.string()),
    }
    return pa.table([columns.get(f.name, pa.nulls(count, f.type)) for f in REJECTIONS], schema=REJECTIONS)


def rejected_rows(numbers: Sequence[int], stream: str = "contacts") -> pa.Table:
    return ROWS.of_rejections(stream, make_rejections(numbers), NOW)
