"""Result rows from what leads and delivery say of records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.delivery.deliver import AlreadyThere, Delivery, NotAdded, Part, Planned
from target_amplemarket.leads.kept_records import record_texts
from target_amplemarket.leads.tables import Reason, Status
from target_amplemarket.results.schema import conform, in_record_order
from target_amplemarket.services.protocol import Accepted, Refused, Unknown
from target_amplemarket.storage.arrow import column_array

_FINGERPRINTS: Final = (
    "linkedin_fingerprint",
    "email_fingerprint",
    "title_company_fingerprint",
    "version_fingerprint",
)
_UNSEEN: Final = {
    "reason": Reason.NOT_IN_LIST.value,
    "detail": "the API said that it took this lead, and the list, read back, does not show it",
}
_KEPT_RECORD: Final = {
    "none": frozenset[Status](),
    "rejected": frozenset({Status.REJECTED, Status.HELD}),
    "all": frozenset(Status),
}


@dataclass(frozen=True, slots=True)
class RowMaker:
    """What all rows of a run have in common.

    Attributes:
        run_id: Of this run.
        results_record: `none`, `rejected` or `all`: which rows keep the original record.
    """

    run_id: str
    results_record: str

    def of_rejections(self, stream: str, rejections: pa.Table, now: datetime) -> pa.Table:
        """Rows (schema `RESULTS`) of records that go into no list.

        Args:
            stream: Of all of them.
            rejections: Schema `REJECTIONS`, and any further columns that result rows have.
            now: Wall clock, UTC.
        """
        count = rejections.num_rows
        columns = {name: column_array(rejections, name) for name in rejections.column_names}
        kept = pc.is_in(columns["status"], value_set=pa.array(sorted(_KEPT_RECORD[self.results_record]), pa.string()))
        columns["record"] = record_texts(columns["record"], kept)
        return conform(columns | self._common(stream, count, now) | {"attempt": _repeat(0, count)}, count)

    def of_delivery(self, delivery: Delivery, now: datetime) -> pa.Table:
        """Rows of all leads of a list that have come to an end, in record order."""
        stream = delivery.lead_list.key.stream
        tables = [self._of_part(stream, part, now) for part in delivery.parts]
        return tables[0] if len(tables) == 1 else in_record_order(tables)

    def _of_part(self, stream: str, part: Part, now: datetime) -> pa.Table:
        leads, lead_list = part.lead_list.leads, part.lead_list
        count = leads.num_rows
        columns = {name: column_array(leads, name) for name in ("record_no", "record_key", "list_type")}
        columns |= self._common(stream, count, now)
        columns |= {
            "list_name": _repeat(lead_list.name, count),
            "http_status": _repeat(part.outcome.http_status, count),
            "attempt": _repeat(part.attempt, count),
        }
        match part.outcome:
            case Accepted(list_id=list_id):
                status = Status.ACCEPTED
                columns |= {name: column_array(leads, name) for name in ("reason", "field", "detail", *_FINGERPRINTS)}
                positions = range(count) if part.positions is None else part.positions
                columns |= {"list_id": _repeat(list_id, count), "list_position": pa.array(positions, pa.int32())}
                if part.is_unseen:
                    columns |= {name: _repeat(text, count) for name, text in _UNSEEN.items()}
            case AlreadyThere(winner_record_nos=winners):
                status = Status.DUPLICATE
                columns["reason"] = _repeat(Reason.ALREADY_IN_LIST.value, count)
                columns["detail"] = _repeat("the API takes this lead for one that came before it", count)
                columns["winner_record_no"] = pa.array(winners, pa.int64())
            case NotAdded():
                status = Status.REJECTED
                columns["reason"] = _repeat(Reason.NOT_ADDED.value, count)
                columns["detail"] = _repeat("the API added fewer than were sent, and the list lacks this one", count)
            case Planned():
                status = Status.PLANNED
                columns |= {name: column_array(leads, name) for name in ("reason", "field", "detail")}
                columns["list_position"] = pa.array(range(count), pa.int32())
            case Refused():
                status = Status.REJECTED
                columns |= _refused(part.outcome, count)
            case Unknown() if part.is_assumed_sent:
                status = Status.ACCEPTED
                columns |= {name: column_array(leads, name) for name in ("field", *_FINGERPRINTS)}
                columns["reason"] = _repeat(Reason.OUTCOME_UNKNOWN.value, count)
                columns["detail"] = _repeat("its answer was lost; counted as sent by hand or by `on_unknown`", count)
            case Unknown(reason=reason):
                status = Status.HELD
                columns |= {name: column_array(leads, name) for name in _FINGERPRINTS}
                columns["reason"] = _repeat(Reason.OUTCOME_UNKNOWN.value, count)
                columns["detail"] = _repeat(_held_detail(reason), count)
            case _:
                assert_never(part.outcome)
        columns["status"] = _repeat(status.value, count)
        if status in _KEPT_RECORD[self.results_record]:
            columns["record"] = record_texts(column_array(leads, "record"))
        return conform(columns, count)

    def _common(self, stream: str, count: int, now: datetime) -> dict[str, pa.Array]:
        recorded_at = pa.array([now], pa.timestamp("us", tz="UTC")).take(pa.nulls(count, pa.int64()).fill_null(0))
        return {"run_id": _repeat(self.run_id, count), "stream": _repeat(stream, count), "recorded_at": recorded_at}


def _refused(refused: Refused, count: int) -> dict[str, pa.Array]:
    common = {"reason": _repeat(Reason.REFUSED_BY_API.value, count)}
    if not refused.leads:
        return common | {
            "error_code": _repeat(refused.code, count),
            "error_pointer": _repeat(refused.pointer, count),
            "detail": _repeat("the API refuses this lead without saying why", count),
        }
    return common | {
        "error_code": pa.array([lead.code for lead in refused.leads], pa.string()),
        "error_pointer": pa.array([lead.pointer for lead in refused.leads], pa.string()),
        "field": pa.array([lead.field for lead in refused.leads], pa.string()),
        "detail": _repeat("the API named this lead when it refused the list", count),
    }


def _held_detail(reason: str) -> str:
    return f"{reason.replace('_', ' ')}: nobody can tell whether the list arrived"


def _repeat(value: object, count: int) -> pa.Array:
    if isinstance(value, str):
        return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [value])
    return pa.repeat(pa.scalar(value), count) if value is not None else pa.nulls(count)
