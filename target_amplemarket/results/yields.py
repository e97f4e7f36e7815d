"""What came of the lists that were collected: found, deliverable, ready to sequence, per list, stream and owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.results.enriched import enriched_files, read_enriched
from target_amplemarket.results.matching import MatchedBy

_COLUMNS = ["matched_by", "person_id", "email", "email_validation_result", "phone_numbers"]


class Yield(msgspec.Struct, frozen=True):
    """Counts of entries.

    Attributes:
        sent: Leads in the requests.
        entries: Entries read back.
        missing: Leads that no entry is of.
        unmatched: Entries of no record, or of several.
        found: Entries with a person of the API's.
        with_email: Entries with an e-mail.
        deliverable: Those whose e-mail was validated as deliverable.
        ready: Those with an e-mail that is deliverable, or that was not validated. What the API itself goes by is not
            documented.
        with_phone: Entries with a phone number.
    """

    sent: int = 0
    entries: int = 0
    missing: int = 0
    unmatched: int = 0
    found: int = 0
    with_email: int = 0
    deliverable: int = 0
    ready: int = 0
    with_phone: int = 0

    def __add__(self, other: Yield) -> Yield:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Yield(*(one + another for one, another in pairs))


class ListYield(msgspec.Struct, frozen=True):
    """Counts of one list."""

    list_id: str
    list_name: str
    list_status: str
    run_id: str
    stream: str
    owner: str | None
    counts: Yield


class CollectSummary(msgspec.Struct, frozen=True):
    """All lists that were collected, of the runs and lists that were asked for.

    Attributes:
        open: Ids of lists that are still processed.
        failed: Ids of lists that could not be read, with the reason.
    """

    total: Yield
    streams: dict[str, Yield]
    owners: dict[str, Yield]
    lists: list[ListYield]
    open: list[str]
    failed: dict[str, str]

    def json(self) -> str:
        """As one JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()


def collect_summary(
    path: Path, is_wanted: Callable[[str], bool], *, open_lists: Iterable[str], failed: dict[str, str]
) -> CollectSummary:
    """Count what was collected, list by list.

    Args:
        path: The results folder.
        is_wanted: Of a list's id.
        open_lists: Ids of lists that are still processed.
        failed: Ids of lists that could not be read, with the reason.

    Raises:
        StorageError: A file cannot be read.
    """
    lists = sorted(_yields(path, is_wanted), key=lambda each: (each.run_id, each.list_name))
    return CollectSummary(
        total=sum((each.counts for each in lists), Yield()),
        streams=_summed((each.stream, each.counts) for each in lists),
        owners=_summed((each.owner or "", each.counts) for each in lists),
        lists=lists,
        open=list(open_lists),
        failed=failed,
    )


def _yields(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[ListYield]:
    for file in enriched_files(path):
        if not is_wanted(file.stem):
            continue
        rows, facts = read_enriched(file, _COLUMNS)
        yield ListYield(
            facts.list_id, facts.list_name, facts.list_status, facts.run_id, facts.stream, facts.owner,
            _counts(rows, facts.sent, facts.missing),
        )  # fmt: skip


def _counts(rows: pa.Table, sent: int, missing: int) -> Yield:
    result = rows.column("email_validation_result")
    has_email = _is_given(rows.column("email"))
    is_deliverable = pc.and_(has_email, pc.fill_null(pc.equal(result, "deliverable"), fill_value=False))
    no_source = pa.array([MatchedBy.NOBODY.value, MatchedBy.SEVERAL.value])
    return Yield(
        sent=sent,
        entries=rows.num_rows,
        missing=missing,
        unmatched=_sum(pc.is_in(rows.column("matched_by").cast(pa.string()), value_set=no_source)),
        found=_sum(_is_given(rows.column("person_id"))),
        with_email=_sum(has_email),
        deliverable=_sum(is_deliverable),
        ready=_sum(pc.or_(is_deliverable, pc.and_(has_email, pc.is_null(result)))),
        with_phone=_sum(pc.fill_null(pc.not_equal(rows.column("phone_numbers"), "[]"), fill_value=False)),
    )


def _is_given(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.not_equal(column, ""), fill_value=False)


def _sum(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)


def _summed(pairs: Iterable[tuple[str, Yield]]) -> dict[str, Yield]:
    sums: dict[str, Yield] = {}
    for name, counts in pairs:
        sums[name] = sums.get(name, Yield()) + counts
    return sums
