from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from target_amplemarket.errors import SettingsError
from target_amplemarket.results.enriched import ENRICHED, ListFacts, write_enriched
from target_amplemarket.results.entry_stream import STREAM, EntryStream, read_bookmark, schema_message
from target_amplemarket.storage.durable import Folder

START = datetime(2026, 1, 5, 9, 15, tzinfo=UTC)
NEVER = read_bookmark(b"{}")


@pytest.fixture
def lists(tmp_path: Path) -> list[Path]:
    """Three lists that were collected one microsecond after the other: of two entries, of none, of one."""
    return [write(tmp_path, number, count) for number, count in enumerate([2, 0, 1], start=1)]


def write(path: Path, number: int, count: int) -> Path:
    at = START + timedelta(microseconds=number)
    common = {"run_id": "r", "stream": "contacts", "list_id": f"list-{number}", "list_name": "n", "collected_at": at}
    rows = [
        common | {"matched_by": "nobody", "list_status": "completed", "entry_no": no, "entry_id": f"{number}-{no}"}
        for no in range(count)
    ]
    facts = ListFacts(f"list-{number}", "n", "completed", "r", "contacts", None, count, 0, 0, at)
    table = ENRICHED.empty_table() if not rows else ENRICHED.empty_table().from_pylist(rows, schema=ENRICHED)
    write_enriched(Folder(path), table, facts)
    return path / f"list-{number}.arrow"


def emitted(files: list[Path], bookmark: datetime = NEVER) -> list[dict[str, Any]]:
    lines: list[bytes] = []
    stream = EntryStream(lines.append, bookmark)
    stream.begin()
    for file in files:
        stream.emit(file)
    return [json.loads(line) for line in b"".join(lines).splitlines()]


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


def test_the_schema_comes_first_and_each_state_after_the_records_of_its_list(lists: list[Path]) -> None:
    messages = emitted(lists)
    assert kinds(messages) == ["SCHEMA", "RECORD", "RECORD", "STATE", "STATE", "RECORD", "STATE"]
    assert messages[0]["key_properties"] == ["list_id", "entry_id"]
    assert {message["stream"] for message in messages if "stream" in message} == {STREAM}


def test_a_schema_comes_also_where_there_is_nothing_to_load() -> None:
    assert kinds(emitted([])) == ["SCHEMA"]


def test_every_record_is_what_the_schema_says(lists: list[Path]) -> None:
    schema = schema_message()["schema"]
    Draft202012Validator.check_schema(schema)
    check = Draft202012Validator(schema | {"additionalProperties": False}, format_checker=FormatChecker())
    records = [message["record"] for message in emitted(lists) if message["type"] == "RECORD"]
    assert [error.message for record in records for error in check.iter_errors(record)] == []
    assert list(records[0]) == ENRICHED.names


@pytest.mark.parametrize("known", [0, 1, 2, 3])
def test_the_next_call_goes_on_after_the_lists_that_its_state_covers(lists: list[Path], known: int) -> None:
    states = [json.dumps(m["value"]).encode() for m in emitted(lists) if m["type"] == "STATE"]
    bookmark = read_bookmark(states[known - 1]) if known else NEVER
    assert kinds(emitted(lists, bookmark)).count("STATE") == 3 - known


def test_a_state_does_not_leave_when_a_record_could_not(lists: list[Path]) -> None:
    lines: list[bytes] = []

    def write(line: bytes) -> None:
        if b"RECORD" in line:
            raise OSError("closed")
        lines.append(line)

    stream = EntryStream(write, NEVER)
    with pytest.raises(OSError, match="closed"):
        stream.emit(lists[0])
    assert lines == []


@pytest.mark.parametrize(
    "state", [b"", b"{oops", b"[]", b'{"bookmarks": {"lead_list_entries": {"replication_key_value": "x"}}}']
)
def test_a_state_of_something_else_is_refused(state: bytes) -> None:
    with pytest.raises(SettingsError, match="is not one that"):
        read_bookmark(state)


@pytest.mark.parametrize(
    "state", [b"{}", b'{"bookmarks": {"contacts": {}}}', b'{"bookmarks": {"lead_list_entries": {}}}']
)
def test_a_state_without_a_word_on_the_stream_begins_at_the_start(state: bytes) -> None:
    assert read_bookmark(state) == NEVER
