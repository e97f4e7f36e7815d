"""`push` of files and datasets, from Python and as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from target_amplemarket import push, read_results
from target_amplemarket.errors import SettingsError, UnreadableFile
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import leads_of

PROGRAM = [sys.executable, "-m", "target_amplemarket", "push"]


def people(count: int, *, first: int = 1) -> pa.Table:
    return pa.table(
        {
            "id": range(first, first + count),
            "email": [f"person{n}@acme.example" for n in range(first, first + count)],
            "title": ["Buyer"] * count,
        }
    )


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "people.parquet"
    pq.write_table(people(5), path, row_group_size=2)
    return path


@pytest.fixture
def config(settings: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def command(*arguments: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, timeout=60, check=False, text=True)
    assert "Traceback" not in done.stderr
    assert "person1@" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("form", ["path", "text", "folder", "arrow", "dataset", "reader", "stream", "table"])
def test_every_form_of_the_same_rows_is_sent(
    settings: dict[str, Any], sandbox: RunningSandbox, parquet: Path, tmp_path: Path, form: str
) -> None:
    table = people(5)
    folder, arrow = tmp_path / "year=2026", tmp_path / "people.arrow"
    folder.mkdir()
    pq.write_table(table.slice(0, 3), folder / "a.parquet")
    pq.write_table(table.slice(3).append_column("more", pa.array(["x", "y"])), folder / "b.parquet")
    (folder / "_SUCCESS").touch()
    with pa.ipc.new_file(arrow, table.schema) as writer:
        writer.write_table(table)

    class Stream:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table.__arrow_c_stream__(requested_schema)

    given: dict[str, Any] = {
        "path": parquet,
        "text": str(parquet),
        "folder": folder,
        "arrow": arrow,
        "dataset": pyarrow.dataset.dataset(str(parquet)),
        "reader": table.to_reader(2),
        "stream": Stream(),
        "table": table,
    }
    rows = push(given[form], settings, stream="people", key_properties=["id"])
    assert rows.column("status").to_pylist() == ["accepted"] * 5
    assert rows.column("record_key").to_pylist() == [f'{{"id":{n}}}' for n in range(1, 6)]
    assert [lead["email"] for lead in leads_of(sandbox)] == [f"person{n}@acme.example" for n in range(1, 6)]


def test_rows_are_not_read_back_where_nobody_wants_them(settings: dict[str, Any], parquet: Path) -> None:
    assert push(parquet, settings, read_back=False).num_rows == 0
    assert read_results(settings["results_path"]).num_rows == 5


def test_columns_of_all_files_of_a_folder_count_and_so_do_its_folders(
    settings: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    for region, table in (("emea", people(1)), ("apac", people(1, first=2).append_column("note", pa.array(["x"])))):
        (tmp_path / "all" / f"region={region}").mkdir(parents=True)
        pq.write_table(table, tmp_path / "all" / f"region={region}" / "part.parquet")
    push(tmp_path / "all", settings | {"extra_fields": ["region", "note"]})
    assert [(lead["email"][:7], lead["region"], lead.get("note")) for lead in leads_of(sandbox)] == [
        ("person2", "apac", "x"),
        ("person1", "emea", None),
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone", "gone cannot be opened: No such file or directory"),
        ("text", "text is no Parquet file and no Arrow file, or it is cut or damaged"),
        ("cut", "cut is no Parquet file"),
        ("empty", "empty holds no files"),
        ("mixed", "mixed/b is no Parquet file"),
    ],
)
def test_what_is_no_such_file_is_refused_before_anything_happens(
    settings: dict[str, Any],
    config: Path,
    sandbox: RunningSandbox,
    parquet: Path,
    tmp_path: Path,
    name: str,
    words: str,
) -> None:
    (tmp_path / "text").write_text("id,email\n1,person1@acme.example\n" * 3, encoding="utf-8")
    (tmp_path / "cut").write_bytes(parquet.read_bytes()[:-5])
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    pq.write_table(people(1), tmp_path / "mixed/a")
    (tmp_path / "mixed/b").write_text("person1@acme.example", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        push(tmp_path / name, settings)
    assert words in str(caught.value)
    done = command(parquet, tmp_path / name, "--stream", "people", "--config", config)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not sandbox.requests()


def test_a_file_that_turns_out_damaged_stops_after_what_came_before(
    settings: dict[str, Any], config: Path, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    path = tmp_path / "stream"
    with pa.ipc.new_stream(path, people(1).schema) as writer:
        for first in (1, 2, 3):
            writer.write_table(people(1, first=first))
    path.write_bytes(path.read_bytes().replace(b"person3@", b"\xff" * 8))
    with pytest.raises(UnreadableFile, match="stream cannot be read; it is cut, damaged"):
        push(path, settings)
    assert [lead["email"] for lead in leads_of(sandbox)] == ["person1@acme.example", "person2@acme.example"]
    done = command(path, "--stream", "people", "--config", config)
    assert done.returncode == 3
    assert "2 duplicate (already_sent 2)" in done.stdout


def test_the_command_sends_files_says_what_came_of_them_and_sends_nobody_twice(
    config: Path, sandbox: RunningSandbox, settings: dict[str, Any], parquet: Path, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    pq.write_table(people(3, first=4), tmp_path / "more/a.parquet")
    arguments = (parquet, tmp_path / "more", "--stream", "people", "--key", "id", "--config", config)
    done = command(*arguments)
    assert (done.returncode, done.stdout.splitlines()[1].strip()[:14]) == (0, "8 records read")
    assert "6 accepted" in done.stdout
    assert "2 duplicate (duplicate_in_run 2)" in done.stdout
    again = command(*arguments, "--format", "json")
    document = json.loads(again.stdout)
    assert (again.returncode, document["statuses"]) == (0, {"duplicate": 8})
    assert document == json.loads((Path(settings["results_path"]) / f"runs/{document['run_id']}.json").read_text())
    assert len(leads_of(sandbox)) == 6


def test_the_command_ends_with_the_exit_codes_of_the_target(
    config: Path, settings: dict[str, Any], sandbox: RunningSandbox, parquet: Path
) -> None:
    done = command(parquet, "--stream", "people", "--key", "nope", "--config", config)
    assert done.returncode == 2
    assert "columns that the table does not have: nope" in done.stderr
    config.write_text(json.dumps(settings | {"owner": "stranger@northwind.example"}), encoding="utf-8")
    done = command(parquet, "--stream", "people", "--config", config, "--format", "json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["left"] == 5
    assert command("--stream", "people", "--config", config).returncode == 2


def test_stream_maps_hold_for_pushed_files(
    config: Path, settings: dict[str, Any], sandbox: RunningSandbox, parquet: Path
) -> None:
    maps = {"people": {"title": "'Head'", "__filter__": "id != 2", "__else__": None, "email": "email", "id": "id"}}
    config.write_text(json.dumps(settings | {"stream_maps": maps}), encoding="utf-8")
    done = command(parquet, "--stream", "people", "--config", config)
    assert done.returncode == 0, done.stderr
    assert "1 excluded (filtered_by_stream_map 1)" in done.stdout
    assert [lead["title"] for lead in leads_of(sandbox)] == ["Head"] * 4
