"""The same rows in every form that they can come in: one result."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from singer_sdk.helpers._batch import BatchConfig
from singer_sdk.singerlib.json import serialize_json

from target_amplemarket import push, read_results
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import Ran, as_bytes, contacts, leads_of, state

UTC = dt.UTC
NOW = dt.datetime(2026, 1, 5, 9, 15, tzinfo=UTC)
TYPES = pa.schema(
    [
        ("Id", pa.int64()),
        ("Region", pa.dictionary(pa.int32(), pa.string())),
        ("Email", pa.string()),
        ("Title", pa.large_string()),
        ("Company", pa.struct([("Name", pa.string()), ("Website", pa.string()), ("Size", pa.int32())])),
        ("LinkedIn_URL", pa.string_view()),
        ("Phones", pa.list_(pa.struct([("value", pa.string()), ("primary", pa.bool_())]))),
        ("Score", pa.float64()),
        ("Revenue", pa.decimal128(20, 2)),
        ("Employees", pa.decimal128(20, 0)),
        ("IsActive", pa.bool_()),
        ("CreatedAt", pa.timestamp("us", tz="UTC")),
        ("SeenAt", pa.timestamp("ms")),
        ("Birthday", pa.date32()),
        ("Tags", pa.list_(pa.string())),
        ("Note", pa.string()),
        ("Nothing", pa.null()),
        ("Meta", pa.map_(pa.string(), pa.int64())),
        ('Qu"ote\n', pa.string()),
    ]
)
NOTES = ['said "no"', "two\nlines\t", "back\\slash", "caf\u00e9 \u2028 \U0001f600", "", "plain", "\x01", None]
SETTINGS: dict[str, Any] = {"extra_fields": ["*"], "results_record": "all", "batch_size_rows": 40, "max_in_flight": 1}


def made_records(count: int = 250) -> list[dict[str, Any]]:
    """Records of every type, with nulls, duplicates, addresses that are none, and people that cannot be reached."""
    pick = random.Random(4)
    records = []
    for number in range(count):
        person = pick.randrange(count * 9 // 10)
        records.append(
            {
                "Id": 2**53 + number if number % 7 == 0 else number,
                "Region": pick.choice(["EMEA", "APAC", None]),
                "Email": pick.choice([f"p{person}@acme{person % 9}.com", f"P{person}@Acme.COM ", "none", None]),
                "Title": pick.choice(["Buyer", " Head of R&D ", "Gesch\u00e4ftsf\u00fchrer", None]),
                "Company": pick.choice(
                    [{"Name": f"Acme {person % 9}", "Website": f"www.acme{person % 9}.com/x", "Size": person}, None]
                ),
                "LinkedIn_URL": pick.choice([f"https://linkedin.com/in/p-{person}/", "linkedin.com/jobs", None, None]),
                "Phones": pick.choice([[{"value": "1", "primary": False}, {"value": "2", "primary": True}], [], None]),
                "Score": pick.choice([0.1, 1.0, 1e20, 1e-7, -0.0, person / 7, None]),
                "Revenue": pick.choice([Decimal("1.10"), Decimal("-2000000.00"), None]),
                "Employees": pick.choice([Decimal(5), Decimal(10**19), None]),
                "IsActive": pick.choice([True, False, None]),
                "CreatedAt": pick.choice([NOW, dt.datetime(1960, 1, 1, 0, 0, 0, 5, UTC)]),
                "SeenAt": pick.choice([at.replace(tzinfo=None) for at in (NOW, NOW + dt.timedelta(milliseconds=250))]),
                "Birthday": pick.choice([dt.date(1980, 2, 29), None]),
                "Tags": pick.choice([["a", None, 'b"'], [], None]),
                "Note": pick.choice(NOTES),
                "Nothing": None,
                "Meta": pick.choice([{"k": 1, 'l"': None}, {}, None]),
                'Qu"ote\n': pick.choice(["x", None]),
            }
        )  # fmt: skip
    return [*records, *records[:9]]


def the_table(records: list[dict[str, Any]]) -> pa.Table:
    rows = [record | {"Meta": None if record["Meta"] is None else list(record["Meta"].items())} for record in records]
    return pa.Table.from_pylist(rows, schema=TYPES)


def the_schema(key: str = "Id") -> dict[str, Any]:
    properties: dict[str, Any] = {name: {} for name in TYPES.names}
    properties["Company"] = {"type": ["object", "null"], "properties": {"Name": {}, "Website": {}, "Size": {}}}
    return {"type": "SCHEMA", "stream": "people", "schema": {"properties": properties}, "key_properties": [key]}


def batch_message(form: str, *paths: Path | str, stream: str = "people", **encoding: Any) -> dict[str, Any]:
    manifest = [path.as_uri() if isinstance(path, Path) else path for path in paths]
    return {"type": "BATCH", "stream": stream, "encoding": {"format": form, **encoding}, "manifest": manifest}


def write_jsonl(path: Path, records: list[dict[str, Any]], *, zipped: bool = False) -> Path:
    content = "".join(serialize_json(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


def write_parquet(path: Path, records: list[dict[str, Any]], **options: Any) -> Path:
    table = the_table(records)
    view = table.schema.get_field_index("LinkedIn_URL")
    table = table.set_column(view, "LinkedIn_URL", table.column(view).cast(pa.string()))
    pq.write_table(table, path, **options)
    return path


def write_arrow(path: Path, records: list[dict[str, Any]], *, new: Any = pa.ipc.new_file, **options: Any) -> Path:
    with new(path, TYPES, **options) as writer:
        writer.write_table(the_table(records), max_chunksize=100)
    return path


def write_encoded(path: Path, records: list[dict[str, Any]]) -> Path:
    """Numbers as dictionaries, which `record_struct` does not take."""
    table = the_table(records)
    encoded = table.set_column(0, "Id", table.column("Id").dictionary_encode())
    with pa.ipc.new_file(path, encoded.schema) as writer:
        writer.write_table(encoded)
    return path


Written = Callable[[Path, list[dict[str, Any]]], list[Any]]
FORMS: dict[str, Written] = {
    "jsonl": lambda folder, records: [batch_message("jsonl", write_jsonl(folder / "a.json", records))],
    "jsonl, zipped whatever the message says": lambda folder, records: [
        batch_message("jsonl", write_jsonl(folder / "a.json", records, zipped=True), compression="none")
    ],
    "two jsonl": lambda folder, records: [
        batch_message(
            "jsonl", write_jsonl(folder / "a", records[:90]), write_jsonl(folder / "b", records[90:], zipped=True)
        )
    ],
    "parquet": lambda folder, records: [batch_message("parquet", write_parquet(folder / "a", records))],
    "parquet in small row groups": lambda folder, records: [
        batch_message("parquet", write_parquet(folder / "a", records, row_group_size=7, compression="gzip"))
    ],
    "two messages": lambda folder, records: [
        batch_message("parquet", write_parquet(folder / "a", records[:120])),
        batch_message("arrow", write_arrow(folder / "b", records[120:])),
    ],
    "arrow file": lambda folder, records: [batch_message("arrow", write_arrow(folder / "a", records))],
    "arrow file of rows that are kept as columns, and rows that are kept as text": lambda folder, records: [
        batch_message("arrow", write_arrow(folder / "a", records[:130])),
        batch_message("arrow", write_encoded(folder / "b", records[130:])),
    ],
    "arrow stream": lambda folder, records: [
        batch_message("arrow", write_arrow(folder / "a", records, new=pa.ipc.new_stream))
    ],
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "nothing kept": {"results_record": "none"},
    "versions": {"load_method": "append-only"},
    "validated": {"validate_records": True},
}
OWN_TO_THE_RUN = {"run_id", "list_name", "list_id", "recorded_at"}
FINGERPRINTS = [f"{name}_fingerprint" for name in ("linkedin", "email", "title_company", "version")]


def rows_of(rows: pa.Table) -> list[dict[str, Any]]:
    """All that two runs of the same records can have in common; fingerprints as their order of appearance."""
    listed: list[dict[str, Any]] = rows.drop_columns(list(OWN_TO_THE_RUN)).to_pylist()
    for name in FINGERPRINTS:
        seen: dict[Any, int] = {}
        for row in listed:
            row[name] = None if row[name] is None else seen.setdefault(row[name], len(seen))
    for row in listed:
        row["record"] = row["record"] and json.loads(row["record"])
    return listed


def lists_of(sandbox: RunningSandbox) -> list[tuple[Any, ...]]:
    """Every list as it was sent, byte for byte; lists of one kind in their order.

    Which kind of list fills up first depends on how many records come at once, and with it the number in the name.
    """
    sent = [
        (made.type, made.owner, made.options, b"".join(made.leads.json_parts()))
        for made in (entry.created for entry in sandbox.log())
    ]
    return sorted(sent, key=lambda each: (each[0], each[1]))


@pytest.fixture
def outcome(
    run: Any, settings: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path
) -> Callable[..., tuple[list[Any], list[Any], Ran]]:
    """What becomes of messages in a results folder of their own."""

    def run_alone(messages: list[Any], name: str, **changed: Any) -> tuple[list[Any], list[Any], Ran]:
        sandbox.reset()
        ran: Ran = run(
            messages, **{**SETTINGS, "batch_paths": [str(tmp_path)], **changed}, results_path=str(tmp_path / name)
        )
        return rows_of(ran.rows), lists_of(sandbox), ran

    return run_alone


@pytest.mark.parametrize("variant", VARIANTS)
def test_records_batch_files_and_pushed_tables_give_the_same_lists_and_rows(
    outcome: Any, settings: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path, variant: str
) -> None:
    records, changed = made_records(), VARIANTS[variant]
    lines = [
        f'{{"type":"RECORD","stream":"people","record":{serialize_json(record)}}}\n'.encode() for record in records
    ]
    end = as_bytes([state({"at": "end"})])
    rows, lists, ran = outcome(as_bytes([the_schema()]) + b"".join(lines) + end, "records", **changed)
    assert ran.error is None
    assert {"accepted", "duplicate", "rejected"} <= set(ran.statuses)
    assert len(lists) > 4
    for name, written in FORMS.items():
        folder = tmp_path / name
        folder.mkdir()
        messages = [the_schema(), *written(folder, records), state({"at": "end"})]
        seen_rows, seen_lists, seen = outcome(messages, f"results of {name}", **changed)
        assert seen.error is None, name
        assert seen_lists == lists, name
        assert seen_rows == rows, name
        assert seen.states == ran.states, name
    sandbox.reset()
    pushed = push(
        the_table(records),
        settings | SETTINGS | changed | {"results_path": str(tmp_path / "pushed")},
        stream="people",
        key_properties=["Id"],
    )
    assert lists_of(sandbox) == lists
    assert rows_of(pushed) == rows


# --- through the target ---


def people(count: int, *, first: int = 1) -> list[dict[str, Any]]:
    return [{"id": n, "email": f"person{n}@acme.example", "title": "Buyer"} for n in range(first, first + count)]


def file_of(path: Path, records: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(records), path)
    return path


def test_state_after_a_batch_waits_for_every_row_of_it(run: Any, tmp_path: Path) -> None:
    first = file_of(tmp_path / "a", people(5))
    messages = [
        *contacts(2),
        state({"at": 2}),
        batch_message("parquet", first, stream="contacts"),
        state({"at": "batch"}),
        *contacts(1, first=9)[1:],
        state({"at": "end"}),
    ]
    ran: Ran = run(messages, batch_paths=[str(tmp_path)], batch_size_rows=2, max_in_flight=1)
    assert ran.states[-1] == '{"at": "end"}'
    assert ran.column("record_key") == [f'{{"id":{n}}}' for n in (1, 2, 1, 2, 3, 4, 5, 9)]
    assert ran.statuses == ["accepted"] * 2 + ["duplicate"] * 2 + ["accepted"] * 4
    assert ran.summary.records == ran.summary.rows == 8


@pytest.mark.step("R3")
def test_rows_of_a_file_keep_their_records_while_they_are_held_and_when_they_were_never_sent(
    run: Any, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """The file may be gone by then: what the outbox holds is enough."""
    records = people(5)
    file = file_of(tmp_path / "a", records)
    messages = [contacts(0)[0], batch_message("parquet", file, stream="contacts"), state({"at": 5})]
    sandbox.set(faults=["server_error:status=502,times=1,endpoint=POST /lead-lists", "listing_error:status=403"])
    held: Ran = run(messages, batch_paths=[str(tmp_path)])
    assert held.statuses == ["held"] * 5
    assert [json.loads(text) for text in held.column("record")] == records
    file.unlink()
    sandbox.set(faults=[])
    healed: Ran = run([contacts(0)[0]])
    assert healed.error is None
    rows = read_results(held.results_path, run=held.summary.run_id)
    assert rows.column("status").to_pylist() == ["rejected"] * 5
    assert [json.loads(text) for text in rows.column("record").to_pylist()] == records


@pytest.mark.parametrize("damage", ["cut", "gone", "line"])
def test_after_a_file_that_cannot_be_read_all_before_it_is_settled_and_state_stays_before_the_batch(
    run: Any, sandbox: RunningSandbox, tmp_path: Path, damage: str
) -> None:
    whole, bad = write_jsonl(tmp_path / "whole", people(3, first=3)), tmp_path / "bad"
    content = "".join(json.dumps(row) + "\n" for row in people(2, first=6))
    match damage:
        case "cut":
            bad.write_bytes(gzip.compress(content.encode())[:-9])
        case "line":
            bad.write_text(content + "oops\n" + content, encoding="utf-8")
    messages = [
        *contacts(2),
        state({"at": 2}),
        batch_message("jsonl", whole, bad, stream="contacts"),
        state({"at": "never"}),
        *contacts(1, first=99)[1:],
    ]
    ran: Ran = run(messages, batch_paths=[str(tmp_path)])
    assert ran.error is not None
    assert ran.error.exit_code == 3
    assert "file 2 of this BATCH" in str(ran.error)
    assert ran.states == ['{"at": 2}']
    sent = sorted(lead["email"] for lead in leads_of(sandbox))
    assert sent[:5] == [f"person{n}@acme.example" for n in range(1, 6)]
    assert len(sent) == ran.summary.rows == {"gone": 5, "line": 7, "cut": len(sent)}[damage]
    assert "person99@acme.example" not in sent
    write_jsonl(bad, people(4, first=6))
    again: Ran = run(messages, batch_paths=[str(tmp_path)])
    assert again.error is None
    assert again.states == ['{"at": "never"}']
    assert sorted(lead["email"] for lead in leads_of(sandbox)) == sorted(
        f"person{n}@acme.example" for n in [*range(1, 10), 99]
    ), "nobody twice, nobody left out"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["bad", "whole"], "files stay"


def test_without_the_setting_a_batch_is_refused_before_anything_of_it_is_opened(run: Any, tmp_path: Path) -> None:
    secret = write_jsonl(tmp_path / "secret", people(3))
    for folders in ([], [str(tmp_path / "elsewhere")]):
        ran: Ran = run([*contacts(1), batch_message("jsonl", secret, stream="contacts")], batch_paths=folders)
        assert ran.error is not None
        assert ran.error.exit_code == 3
        assert "`batch_paths`" in str(ran.error)
        assert ran.summary.records == 1


def test_a_signal_in_the_middle_of_a_batch_lets_no_state_pass_that_covers_what_was_not_read(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from target_amplemarket.singer import arrow_files
    from tests import harness

    monkeypatch.setattr(arrow_files, "ROWS_PER_PIECE", 2)
    stops: list[Any] = []
    read_lines = harness.read_lines

    def seeing_the_stop(source: Any, stop: Any, **options: Any) -> Any:
        stops.append(stop)
        return read_lines(source, stop, **options)

    def validated(batch: pa.RecordBatch, record_count: list[int]) -> None:
        record_count[0] += batch.num_rows
        if record_count[0] >= 4:
            stops[0].request(15)

    monkeypatch.setattr(harness, "read_lines", seeing_the_stop)
    seen = [0]
    pieces = arrow_files.ArrowRows.pieces

    def watched(self: Any, *arguments: Any) -> Any:
        for piece in pieces(self, *arguments):
            yield piece
            validated(piece, seen)

    monkeypatch.setattr(arrow_files.ArrowRows, "pieces", watched)
    messages = [
        contacts(0)[0],
        state({"at": 0}),
        batch_message("parquet", file_of(tmp_path / "a", people(10)), stream="contacts"),
        state({"at": "end"}),
    ]
    ran = harness.run_singer(messages, settings | {"batch_paths": [str(tmp_path)], "batch_size_rows": 2})
    assert ran.error is not None
    assert ran.error.exit_code == 143
    assert '{"at": "end"}' not in ran.states
    assert ran.summary.records < 10


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("root", ["file://{}/made by tap", "{}/made by tap", "{}/100%25 é"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_what_the_batchers_of_singer_sdk_write_is_read(
    run: Any, tmp_path: Path, form: str, root: str, compression: str
) -> None:
    from singer_sdk.contrib.batch_encoder_jsonl import JSONLinesBatcher
    from singer_sdk.contrib.batch_encoder_parquet import ParquetBatcher

    storage = {"root": root.format(tmp_path), "prefix": "pre-"}
    (tmp_path / "made by tap").mkdir()
    encoding = {"format": form, "compression": compression}
    config = BatchConfig.from_dict({"encoding": encoding, "storage": storage, "batch_size": 2})
    batcher = {"jsonl": JSONLinesBatcher, "parquet": ParquetBatcher}[form]("tap", "contacts é%20", config)
    manifests = list(batcher.get_batches(iter(people(5))))
    assert len(manifests) == 3
    messages = [
        contacts(0)[0],
        *(batch_message(form, *manifest, stream="contacts", compression=compression) for manifest in manifests),
        state({"at": "end"}),
    ]
    ran: Ran = run(messages, batch_paths=[str(tmp_path)])
    assert ran.error is None
    assert ran.statuses == ["accepted"] * 5
    assert ran.states == ['{"at": "end"}']


def test_a_file_of_many_pieces_fills_lists_as_records_do(run: Any, tmp_path: Path) -> None:

    path = file_of(tmp_path / "a", people(25_000))
    ran: Ran = run(
        [contacts(0)[0], batch_message("parquet", path, stream="contacts"), state({"at": 1})],
        batch_paths=[str(tmp_path)],
        results_record="none",
    )
    assert ran.error is None
    assert read_results(ran.results_path).num_rows == 25_000
    assert ran.states == ['{"at": 1}']
    assert sorted(entry["lead_count"] for entry in ran.summary.lists) == [5_000, 10_000, 10_000]
