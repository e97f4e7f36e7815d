"""`results`: counts and rows by what they say, in forms that other programs and spreadsheets can take."""

from __future__ import annotations

import csv
import io
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from target_amplemarket import read_results
from target_amplemarket.errors import SettingsError, StorageError
from target_amplemarket.results.chosen import Chosen
from target_amplemarket.results.export import WRITERS
from target_amplemarket.results.query import count_rows
from target_amplemarket.results.reader import run_tables
from tests.harness import Ran, contacts, record, schema

PROGRAM = [sys.executable, "-m", "target_amplemarket"]


def formula_contacts() -> list[dict[str, Any]]:
    keys = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\tx", "\rx", 'say "hi", twice', "plain"]
    return [schema("contacts", "email"), *(record("contacts", id=key, email="nobody") for key in keys)]


@pytest.fixture
def two_runs(run: Callable[..., Ran]) -> tuple[Ran, Ran]:
    bad = [record("contacts", id=9, email="nobody"), schema("people", "email"), record("people", id=1)]
    first = run([*contacts(3), *bad])
    return first, run(contacts(2, first=2))


def shell(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    words = [*PROGRAM, "results", "--results-path", str(folder), *arguments]
    done = subprocess.run(words, capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr
    return done


def test_counts_of_the_last_run_of_one_and_of_all(two_runs: tuple[Ran, Ran]) -> None:
    first, last = two_runs
    counts = {
        run: {(c["stream"], c["status"], c["reason"]): c["count"] for c in count_rows(
            last.results_path, run=run, chosen=Chosen()).to_pylist()}
        for run in ("last", first.summary.run_id, "all")
    }  # fmt: skip
    assert counts["last"] == {("contacts", "duplicate", "already_sent"): 2}
    assert counts[first.summary.run_id] == {
        ("contacts", "accepted", None): 3,
        ("contacts", "rejected", "email_invalid"): 1,
        ("people", "rejected", "no_identity"): 1,
    }
    assert sum(counts["all"].values()) == 7


def test_rows_are_chosen_by_status_reason_stream_list_and_key(two_runs: tuple[Ran, Ran]) -> None:
    path = two_runs[0].results_path

    def numbers(**chosen: Any) -> list[int]:
        found: list[int] = read_results(path, **chosen).column("record_no").to_pylist()
        return sorted(found)

    assert numbers(status="rejected") == [4, 5]
    assert numbers(status=["rejected", "duplicate"]) == [1, 2, 4, 5]
    assert numbers(reason="email_invalid") == [4]
    assert numbers(stream="people") == [5]
    [name] = set(read_results(path, status="accepted").column("list_name").to_pylist())
    [list_id] = set(read_results(path, status="accepted").column("list_id").to_pylist())
    marker = name[-13:-1]
    assert numbers(lead_list=name) == numbers(lead_list=list_id) == numbers(lead_list=marker.lower()) == [1, 2, 3]
    assert numbers(key="9") == numbers(key='{"id":9}') == [4]
    assert numbers(key="1", stream="contacts") == [1], "and not 11 or 21"
    assert numbers(key="1", columns=["record_no"]) == [1, 5]
    assert read_results(path, key="nobody's").num_rows == 0
    with pytest.raises(SettingsError, match="there is no status refused"):
        numbers(status="refused")


def test_a_file_that_is_compacted_while_it_is_read_gives_each_row_once(run: Callable[..., Ran]) -> None:
    from target_amplemarket.results.compaction import _replace
    from target_amplemarket.results.reader import run_files
    from target_amplemarket.storage.durable import Folder

    ran = run(contacts(12), batch_size_rows=2)
    path, run_id = ran.results_path, ran.summary.run_id
    tables = run_tables(path, run_id, ["record_no"])
    seen = next(tables).column("record_no").to_pylist() + next(tables).column("record_no").to_pylist()
    _replace(Folder(path), run_id, run_files(path, run_id)[0])
    rest = [number for table in tables for number in table.column("record_no").to_pylist()]
    assert sorted(seen + rest) == list(range(1, 13))


def test_no_cell_of_a_csv_begins_a_formula_and_every_value_comes_back(run: Callable[..., Ran]) -> None:
    ran = run(formula_contacts())
    done = shell(ran.results_path, "--rows", "--format", "csv", "--show-values")
    assert done.returncode == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert [json.loads(row["record_key"])["id"] for row in rows] == [
        json.loads(key)["id"] for key in ran.column("record_key")
    ]
    texts = pa.table({"a": ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "x=1", None, ""], "n": [-1] * 10})
    sink = io.BytesIO()
    WRITERS["csv"]([texts], texts.schema, sink)
    cells = [row["a"] for row in csv.DictReader(io.StringIO(sink.getvalue().decode(), newline=""))]
    assert cells == ["'=1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "'\nx", "x=1", "", ""]
    assert b",-1" in sink.getvalue(), "a number is no formula"


@pytest.mark.parametrize("output", ["csv", "json", "parquet", "arrow"])
def test_a_file_is_whole_private_and_replaces_the_older_one(
    two_runs: tuple[Ran, Ran], tmp_path: Path, output: str
) -> None:
    out = tmp_path / f"rows.{output}"
    out.write_text("older")
    out.chmod(0o644)
    done = shell(two_runs[0].results_path, "--run", "all", "--rows", "--format", output, "--out", str(out))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    readers: dict[str, Callable[[], Any]] = {
        "csv": lambda: len(list(csv.reader(io.StringIO(out.read_text(), newline="")))) - 1,
        "json": lambda: len(json.loads(out.read_text())),
        "parquet": lambda: pq.read_table(out).num_rows,
        "arrow": lambda: pa.ipc.open_file(out).read_all().num_rows,
    }
    assert readers[output]() == 7
    assert b"nobody" not in out.read_bytes(), "original records only with --show-values"


def test_a_write_that_fails_leaves_what_was_there(two_runs: tuple[Ran, Ran], tmp_path: Path) -> None:
    out = tmp_path / "missing" / "rows.csv"
    done = shell(two_runs[0].results_path, "--format", "csv", "--out", str(out))
    assert done.returncode == 8
    assert done.stderr.decode().startswith(f"target-amplemarket: {out} cannot be written: No such file or directory")
    older = tmp_path / "rows.csv"
    older.write_text("older")
    [damaged] = (two_runs[1].results_path / "results" / two_runs[1].summary.run_id).glob("*.arrow")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    done = shell(two_runs[0].results_path, "--run", "all", "--rows", "--format", "csv", "--out", str(older))
    assert done.returncode == 8
    assert older.read_text() == "older"


def test_what_cannot_be_done_is_said(two_runs: tuple[Ran, Ran], tmp_path: Path) -> None:
    path = two_runs[0].results_path
    cases = {
        ("--run", "x"): (8, f"there is no run x in {path}"),
        ("--format", "parquet"): (2, "`--format parquet` is no text: name a file with `--out`"),
        ("--out", "x"): (2, "`--out` takes `--format` json, csv, parquet or arrow"),
        ("--status", "sent"): (2, "there is no status sent; a row is one of accepted, planned, duplicate, excluded, "
                                  "rejected, held"),
    }  # fmt: skip
    for arguments, (code, text) in cases.items():
        done = shell(path, *arguments)
        assert (done.returncode, done.stderr.decode()) == (code, f"target-amplemarket: {text}\n")
    with pytest.raises(StorageError, match="there is no results folder"):
        count_rows(tmp_path / "nothing", run="last", chosen=Chosen())


def test_tables_for_people(two_runs: tuple[Ran, Ran]) -> None:
    path = two_runs[0].results_path
    counts = shell(path, "--run", "all").stdout.decode().splitlines()
    assert counts[0].split() == ["stream", "status", "reason", "count"]
    assert counts[1].split() == ["contacts", "accepted", "3"]
    rows = shell(path, "--run", "all", "--rows", "--limit", "2").stdout.decode().splitlines()
    assert rows[-1].startswith("and 5 more")
    assert shell(path, "--status", "held").stdout == b"no rows\n"


def test_json_of_no_rows_is_an_empty_list(two_runs: tuple[Ran, Ran]) -> None:
    assert json.loads(shell(two_runs[0].results_path, "--status", "held", "--rows", "--format", "json").stdout) == []


def test_everything_comes_out_of_a_pandas_frame(two_runs: tuple[Ran, Ran]) -> None:
    frame = read_results(two_runs[0].results_path, status="rejected").to_pandas()
    assert frame.groupby(["stream", "reason"], observed=True).size().to_dict() == {
        ("contacts", "email_invalid"): 1,
        ("people", "no_identity"): 1,
    }


def test_a_key_is_the_whole_value_of_a_key_property(run: Callable[..., Ran]) -> None:
    ran = run(contacts(12))
    assert read_results(ran.results_path, key="1").column("record_no").to_pylist() == [1], "and not 10, 11, 12"
    assert read_results(ran.results_path, key="id").num_rows == 0
