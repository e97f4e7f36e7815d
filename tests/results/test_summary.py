from __future__ import annotations

import dataclasses
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from made import CANARY, NOW, RUN_ID, accepted, evicted, held, refused, rejected_rows, rows_of

from target_amplemarket.results.books import Books, ListEntry
from target_amplemarket.results.summary import RunSummary, summarise, summary_lines, write_summary
from target_amplemarket.storage.durable import Folder

COUNT = {"type": "integer", "minimum": 0}
COUNTS = {"type": "object", "additionalProperties": COUNT}
TEXT_OR_NULL = {"type": ["string", "null"]}
TIME = {"type": "string", "format": "date-time", "pattern": "Z$"}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


# What programs read; a member that goes or changes its type breaks them.
GOLDEN = closed(
    run_id={"const": RUN_ID},
    version={"type": "string"},
    service={"type": "string"},
    started_at=TIME,
    ended_at={"anyOf": [TIME, {"type": "null"}]},
    exit_code={"type": ["integer", "null"]},
    end={"type": "string"},
    records=COUNT,
    rows=COUNT,
    left=COUNT,
    states_emitted=COUNT,
    requests=COUNTS,
    statuses=COUNTS,
    reasons={"type": "object", "additionalProperties": COUNTS},
    streams={
        "type": "object",
        "additionalProperties": closed(records=COUNT, mapping=TEXT_OR_NULL, statuses=COUNTS),
    },
    lists={
        "type": "array",
        "items": closed(
            name={"type": "string"},
            stream={"type": "string"},
            owner={"type": "string"},
            list_type={"type": "string"},
            lead_count=COUNT,
            list_id=TEXT_OR_NULL,
            url=TEXT_OR_NULL,
            status={"enum": ["accepted", "held", "planned"]},
            email_credits={"type": "number"},
            phone_credits={"type": "number"},
        ),
    },
    resent={"type": "array", "items": {"type": "string"}},
    freed={"type": "array", "items": {"type": "string"}},
    dry_run={"type": "boolean"},
    worst_credits=closed(email={"type": "number"}, phone={"type": "number"}),
    quote={"type": "string"},
    ceilings=COUNTS,
    kept=COUNTS,
)


def list_entry(
    number: int, *, lead_count: int = 10_000, list_id: str | None = "3f2c", url: str | None = None
) -> ListEntry:
    return ListEntry(
        name=f"contacts 2026-01-05 part {number} [K7Q2M9XA4T1B]",
        stream="contacts",
        owner="owner@seller.example",
        list_type="linkedin",
        lead_count=lead_count,
        list_id=list_id,
        url=url,
        status="accepted" if list_id else "held",
    )


def summary_of(books: Books, *, end: str = "done", exit_code: int | None = 0, ended: bool = True) -> RunSummary:
    return summarise(
        books,
        {"contacts": "linkedin_url from `li`"},
        run_id=RUN_ID,
        version="0.1.0",
        service="amplemarket",
        started_at=NOW,
        ended_at=NOW + timedelta(seconds=1_234.56) if ended else None,
        exit_code=exit_code,
        end=end,
        states_emitted=2,
        requests={"POST /lead-lists": 3},
    )


def good_books() -> Books:
    books = Books(Counter({"contacts": 27_000}))
    books.rows["contacts", "accepted", None] = 24_000
    books.rows["contacts", "accepted", "email_invalid"] = 500
    books.rows["contacts", "duplicate", "already_sent"] = 1_500
    books.rows["contacts", "duplicate", "duplicate_in_run"] = 999
    books.rows["contacts", "rejected", "no_identity"] = 1
    books.lists = [list_entry(1, url="https://app.seller.example/lists/3f2c"), list_entry(2, lead_count=4_500)]
    return books


def lines_of(summary: RunSummary) -> list[str]:
    return list(summary_lines(summary, Path("amplemarket-results")))


def test_a_good_run_reads_like_this() -> None:
    assert lines_of(summary_of(good_books())) == [
        "run 20260105T091500000000Z-1f2e3d: done",
        "  27,000 records read in 1,234.6 s",
        "      24,500 accepted (email_invalid 500)",
        "       2,499 duplicate (already_sent 1,500, duplicate_in_run 999)",
        "           1 rejected (no_identity 1)",
        "  2 lists:",
        "     10,000  contacts 2026-01-05 part 1 [K7Q2M9XA4T1B]  https://app.seller.example/lists/3f2c",
        "      4,500  contacts 2026-01-05 part 2 [K7Q2M9XA4T1B]  3f2c",
        "  results: amplemarket-results/results/20260105T091500000000Z-1f2e3d",
    ]


def test_one_record_and_one_list_are_not_several() -> None:
    books = Books(Counter({"contacts": 1}))
    books.rows["contacts", "accepted", None] = 1
    books.lists = [list_entry(1, lead_count=1)]
    lines = lines_of(summary_of(books))
    assert lines[1] == "  1 record read in 1,234.6 s"
    assert lines[3] == "  1 list:"


def test_a_run_without_input_says_so() -> None:
    assert lines_of(summary_of(Books())) == [
        "run 20260105T091500000000Z-1f2e3d: done",
        "  0 records read in 1,234.6 s",
        "  results: amplemarket-results/results/20260105T091500000000Z-1f2e3d",
    ]


def test_a_good_run_holds_no_word_that_alarms() -> None:
    assert not re.search(
        r"error|exception|fail|traceback", "\n".join(lines_of(summary_of(good_books()))), re.IGNORECASE
    )


def test_a_run_that_stopped_says_what_is_left_and_what_is_held() -> None:
    books = Books(Counter({"contacts": 12_345}))
    books.rows["contacts", "held", "outcome_unknown"] = 10_000
    books.lists = [list_entry(1, list_id=None)]
    lines = lines_of(summary_of(books, end="lists are held", exit_code=7))
    assert "       2,345 left: read, not recorded yet; the next run reads them again" in lines
    assert lines[-2].endswith("held: nobody can tell whether it arrived")


def test_of_many_lists_the_first_ten_are_shown() -> None:
    books = good_books()
    books.lists = [list_entry(number) for number in range(1, 1_235)]
    lines = lines_of(summary_of(books))
    assert "  1,234 lists:" in lines
    assert sum("contacts 2026-01-05 part" in line for line in lines) == 10
    assert f"    and 1,224 more in runs/{RUN_ID}.json" in lines


@pytest.mark.parametrize("ended", [True, False])
def test_the_document_has_the_members_and_types_that_programs_rely_on(tmp_path: Path, *, ended: bool) -> None:
    folder = Folder(tmp_path / "results-folder")
    books = good_books()
    books.lists.append(list_entry(3, list_id=None))
    summary = summary_of(books, ended=ended, exit_code=0 if ended else None)
    write_summary(folder, summary)
    content = folder.read(f"runs/{RUN_ID}.json") or b""
    document = msgspec.json.decode(content)
    jsonschema.validate(document, GOLDEN)
    assert content.endswith(b"}\n")
    assert list(document) == [field.name for field in dataclasses.fields(RunSummary)] == list(GOLDEN["properties"])
    assert document["started_at"] == "2026-01-05T09:15:30.123456Z"
    assert (document["records"], document["rows"], document["left"]) == (27_000, 27_000, 0)
    assert document["streams"]["contacts"]["statuses"] == {"accepted": 24_500, "duplicate": 2_499, "rejected": 1}


def test_a_later_summary_replaces_the_earlier_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results-folder")
    write_summary(folder, summary_of(Books(), end="under way", exit_code=None, ended=False))
    write_summary(folder, summary_of(good_books()))
    assert folder.names("runs/*") == [f"runs/{RUN_ID}.json"]
    assert msgspec.json.decode(folder.read(f"runs/{RUN_ID}.json") or b"")["end"] == "done"


def test_the_summary_of_real_rows_holds_no_value_of_a_record(tmp_path: Path) -> None:
    books = Books(Counter({"contacts": 9}))
    books.enter(rows_of(accepted([1, 2]), evicted([3]), refused([4]), held([5])))
    books.enter(rejected_rows([6, 7]))
    books.lists = [list_entry(1), list_entry(2, list_id=None)]
    folder = Folder(tmp_path / "results-folder")
    summary = summary_of(books, end="stopped", exit_code=143)
    write_summary(folder, summary)
    assert CANARY not in "\n".join(lines_of(summary))
    assert CANARY not in (folder.read(f"runs/{RUN_ID}.json") or b"").decode()
    assert summary.left == 2
