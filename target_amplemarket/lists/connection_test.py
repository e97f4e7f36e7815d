"""The stream by which Meltano tests a loader (`meltano config test`): its records are nobody's."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from target_amplemarket.leads.tables import REJECTIONS, Reason, Status

CONNECTION_TEST_STREAM: Final = "meltano_test_stream"
"""Meltano sends a SCHEMA, one RECORD (id, name, created_at), a STATE and, where declared, an ACTIVATE_VERSION of it.

Source: `LoaderTestService` in meltano/core/plugin_test_service.py, Meltano 4.
"""


def connection_test_rows(first_record_no: int, record_count: int) -> pa.Table:
    """Rows (schema `REJECTIONS`) that leave these records out."""
    columns = {
        "record_no": pa.array(range(first_record_no, first_record_no + record_count), pa.int64()),
        "status": pa.array([Status.EXCLUDED.value] * record_count),
        "reason": pa.array([Reason.CONNECTION_TEST.value] * record_count),
        "detail": pa.array(["a connection test, which sends nothing"] * record_count),
    }
    return pa.table([columns.get(f.name, pa.nulls(record_count, f.type)) for f in REJECTIONS], schema=REJECTIONS)
