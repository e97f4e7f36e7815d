"""Parting new leads from people who are known already."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.people import IDENTITY_COLUMNS, Known, People
from target_amplemarket.leads.tables import LEADS, Reason, Status
from target_amplemarket.storage.arrow import sorted_by

_COMPARED: Final = ("record_no", *IDENTITY_COLUMNS, "version_fingerprint")
_KEPT: Final = ("record_no", "record_key", "list_type", "record")


@dataclass(frozen=True, slots=True)
class Screened:
    """Every lead is in exactly one of the three tables.

    Attributes:
        new: Schema `LEADS`.
        duplicates: Schema `REJECTIONS` and the list type; each names the record that came first, if in this run.
        held: The same with fingerprints: people whose list may or may not have arrived.
    """

    new: pa.Table
    duplicates: pa.Table
    held: pa.Table

    def before(self, record_no: int) -> Screened:
        """What came before a record."""
        return Screened(*(rows_before(rows, record_no) for rows in (self.new, self.duplicates, self.held)))


def screen(leads: pa.Table, people: People) -> Screened:
    """Look each lead (schema `LEADS`, record order) up among the people known; the new ones are then known too."""
    verdicts = people.screen(leads)
    if verdicts.null_count == len(verdicts):
        nobody = _nobody()
        return Screened(new=leads, duplicates=nobody.duplicates, held=nobody.held)
    return _parted(leads, verdicts)


def screen_together(parts: Sequence[pa.Table], people: People) -> list[Screened]:
    """Look the leads of several blocks up as `screen` does, in the order of their records across the blocks.

    Args:
        parts: Schema `LEADS`, each in record order.
        people: Everybody who is known.
    """
    if len(parts) == 1:
        return [screen(parts[0], people)]
    together = pa.concat_tables([leads.select(_COMPARED) for leads in parts])
    order = np.argsort(together.column("record_no").to_numpy(), kind="stable")
    verdicts = people.screen(together.take(pa.array(order)))
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    of_parts = np.split(places, np.cumsum([leads.num_rows for leads in parts])[:-1])
    return [_parted(leads, verdicts.take(pa.array(rows))) for leads, rows in zip(parts, of_parts, strict=True)]


def in_record_order(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables that are in record order each as one that is."""
    if len(tables) == 1:
        return tables[0]
    return sorted_by(pa.concat_tables(tables), "record_no")


def rows_before(rows: pa.Table, record_no: int) -> pa.Table:
    """The rows of records that came before one."""
    return rows.filter(pc.less(rows.column("record_no"), record_no))


@functools.cache
def _nobody() -> Screened:
    return _parted(LEADS.empty_table(), pa.array([], pa.int64()))


def _parted(leads: pa.Table, verdicts: pa.Int64Array) -> Screened:
    is_held = pc.fill_null(pc.equal(verdicts, Known.HELD.value), False)  # the fill value
    is_duplicate = pc.and_not(pc.is_valid(verdicts), is_held)
    return Screened(
        new=leads.filter(pc.is_null(verdicts)),
        duplicates=_duplicates(leads.filter(is_duplicate), verdicts.filter(is_duplicate)),
        held=_held(leads.filter(is_held)),
    )


def _duplicates(leads: pa.Table, verdicts: pa.Int64Array) -> pa.Table:
    in_run = pc.greater(verdicts, Known.SENT.value)
    return (
        leads.select(_KEPT)
        .append_column("status", _repeat(Status.DUPLICATE.value, leads))
        .append_column("reason", pc.if_else(in_run, Reason.DUPLICATE_IN_RUN.value, Reason.ALREADY_SENT.value))
        .append_column("field", pa.nulls(leads.num_rows, pa.string()))
        .append_column(
            "detail", pc.if_else(in_run, "the same person came earlier in this run", "the same person was sent before")
        )
        .append_column("winner_record_no", pc.if_else(in_run, verdicts, pa.scalar(None, pa.int64())))
    )


def _held(leads: pa.Table) -> pa.Table:
    return (
        leads.select([*_KEPT, *IDENTITY_COLUMNS, "version_fingerprint"])
        .append_column("status", _repeat(Status.HELD.value, leads))
        .append_column("reason", _repeat(Reason.OUTCOME_UNKNOWN.value, leads))
        .append_column("field", pa.nulls(leads.num_rows, pa.string()))
        .append_column("detail", _repeat("the same person is in a list that is held", leads))
        .append_column("winner_record_no", pa.nulls(leads.num_rows, pa.int64()))
    )


def _repeat(text: str, leads: pa.Table) -> pa.Array:
    return pa.repeat(pa.scalar(text), leads.num_rows)
