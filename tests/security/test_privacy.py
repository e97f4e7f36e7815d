"""No value of a record and no key in what the program says: every fault and every way to stop, at DEBUG."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket import read_results
from target_amplemarket.clock import SystemClock
from target_amplemarket.errors import EXIT_CODES
from target_amplemarket.sandbox import RunningSandbox
from target_amplemarket.sandbox.faults import KINDS
from target_amplemarket.storage.durable import Folder
from target_amplemarket.storage.lock import locked
from tests.harness import as_bytes, state
from tests.security.planted import KEY, MARK, leaks, planted
from tests.security.program import SIGNALS, Program, echo, lines, people, worker

__all__ = ["worker"]

SHORT = {"hang": ":seconds=3600", "late_commit": ":seconds=0.1,times=1"}


@pytest.fixture
def program(tmp_path: Path, sandbox: RunningSandbox, worker: subprocess.Popen[bytes]) -> Program:
    return Program(tmp_path, sandbox.url, worker)


def test_the_values_are_planted_where_they_belong(program: Program, sandbox: RunningSandbox) -> None:
    """Without this the scans of this file could pass over nothing."""
    told = program()
    assert told.exit_code == 0, told.err
    rows = read_results(told.folder)
    assert set(rows["status"].to_pylist()) == {"accepted", "duplicate", "rejected"}
    assert all(MARK in text for text in rows["record"].to_pylist())
    assert told.leaks() == []
    [entry] = sandbox.log()[:1]
    assert MARK in json.dumps(entry.created.leads.all())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_fault_of_the_server_makes_it_say_a_value(kind: str, program: Program, sandbox: RunningSandbox) -> None:
    sandbox.set(faults=[f"{kind}{SHORT.get(kind, '')}"])
    told = program(request_timeout_seconds=1)
    assert told.exit_code in EXIT_CODES
    assert told.leaks() == []
    sandbox.set(faults=[])
    assert program("reconcile").leaks() == []


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 451, 500, 503])
def test_no_answer_that_repeats_request_and_key_makes_it_say_one(
    status: int, tmp_path: Path, worker: subprocess.Popen[bytes]
) -> None:
    with echo(status) as url:
        program = Program(tmp_path, url, worker)
        told = program(on_unknown="hold")
        assert told.exit_code in EXIT_CODES
        assert told.exit_code != 1
        assert told.leaks() == []
        for command in ("status", "reconcile", "state"):
            assert program(command).leaks() == [], command
    for column in ("detail", "error_code", "list_name", "list_id"):
        kept = read_results(told.folder)[column].to_pylist() if list(told.folder.glob("results/*/*.arrow")) else []
        assert leaks(json.dumps(kept)) == [], column


BROKEN = {
    "not_json": b'{"type":"RECORD","record":{"email":"%s"\n',
    "not_utf8": b'{"type":"RECORD","record":{"email":"%s\xff"}}\n',
    "text": b"Traceback: mail to %s failed\n",
    "other_type": b'{"type":"%s"}\n',
    "no_stream": b'{"type":"RECORD","record":{"email":"%s"}}\n',
    "no_key": b'{"type":"RECORD","stream":"people","record":{"email":"%s"}}\n',
    "bad_schema": b'{"type":"SCHEMA","stream":"people","schema":{"properties":"%s"}}\n',
    "bad_state": b'{"type":"STATE","value":["%s",NaN]}\n',
    "deep": b'{"type":"STATE","value":["%s",' + b"[" * 100_000 + b"\n",
    "batch_refused": b'{"type":"BATCH","stream":"people","encoding":{"format":"%s"},"manifest":[]}\n',
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("validate", [False, True])
def test_no_broken_line_is_repeated(line: bytes, validate: bool, program: Program) -> None:
    told = program(given=lines() + line % planted("line").encode(), validate_records=validate)
    assert told.exit_code == 3
    assert told.leaks() == []


@pytest.mark.parametrize(
    "content", [b"{broken %s", b'{"id":1,"email":"%s","x":NaN}\n["%s"]', b"PAR1%sPAR1", b"ARROW1%s"]
)
@pytest.mark.parametrize("form", ["jsonl", "parquet", "arrow"])
def test_no_content_of_a_batch_file_is_repeated(content: bytes, form: str, program: Program, tmp_path: Path) -> None:
    """Its name is: the person who runs the tap has to find it."""
    (tmp_path / "batch").mkdir()
    file = tmp_path / "batch/1"
    file.write_bytes(content.replace(b"%s", planted("file").encode()))
    message = {"type": "BATCH", "stream": "people", "encoding": {"format": form}, "manifest": [file.as_uri()]}
    told = program(given=as_bytes([*people(), message]), batch_paths=[str(tmp_path / "batch")])
    assert told.exit_code == 3
    assert told.leaks() == []


PERSON = ["--email", f"{planted('email')}@acme.example", "--linkedin-url", f"linkedin.com/in/{planted('slug')}"]

STOPS: dict[str, tuple[int, Callable[[Program], object]]] = {
    "unknown_setting": (2, lambda program: program(ownr=planted("value"))),
    "value_of_another_kind": (2, lambda program: program(api_key=[KEY], owner={"a": planted("owner")})),
    "bad_proxy": (2, lambda program: program(proxy=f"http://user:{planted('password')}@[::1")),
    "bad_base_url": (2, lambda program: program(base_url=f"https://user:{planted('password')}@api.example")),
    "bad_key": (2, lambda program: program(api_key=f"{KEY} with spaces")),
    "bad_stream_map": (2, lambda program: program(stream_maps={"people": {"x": f"1 + '{planted('map')}' +"}})),
    "wrong_owner": (4, lambda program: program(owner="stranger@northwind.example")),
    "unreachable": (4, lambda program: program(base_url="http://127.0.0.1:9")),
}


@pytest.mark.parametrize(("exit_code", "stop"), STOPS.values(), ids=STOPS.keys())
def test_no_way_to_stop_says_a_value(exit_code: int, stop: Callable[[Program], object], program: Program) -> None:
    told = stop(program)
    assert told.exit_code == exit_code, told.err  # type: ignore[attr-defined]  # what `Program` returns
    assert told.leaks() == []  # type: ignore[attr-defined]


def test_a_folder_that_cannot_be_used_says_no_value(program: Program) -> None:
    Path(program.settings["results_path"]).write_text("a file in its place", encoding="utf-8")
    told = program()
    assert told.exit_code == 8
    assert leaks(told.out + told.err) == []


@pytest.mark.parametrize(
    "guard", [{"max_rejected_percent": 1}, {"max_rejected_records": 0}, {"max_records_per_run": 1}], ids=str
)
@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["send", "dry_run"])
def test_a_guard_that_stops_a_run_says_no_value(guard: dict[str, Any], dry_run: list[str], program: Program) -> None:
    told = program(*dry_run, **guard)
    assert told.exit_code == 5, told.err
    assert told.leaks() == []


def test_a_folder_that_is_held_says_no_value(program: Program) -> None:
    program()
    with locked(Folder(Path(program.settings["results_path"])), SystemClock()):
        for command in ([], ["reconcile"], ["replay"], ["purge", "--older-than", "0d"], ["forget", *PERSON]):
            told = program(*command, lock_wait_seconds=0)
            assert told.exit_code == 6, (command, told.err)
            assert told.leaks() == [], command


def test_a_dry_run_says_no_value(program: Program) -> None:
    told = program("--dry-run")
    assert told.exit_code == 0, told.err
    assert "planned" in read_results(told.folder)["status"].to_pylist()
    assert told.leaks() == []


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS.items())
def test_a_signal_says_no_value(number: int, exit_code: int, program: Program) -> None:
    told = program(signal_number=number)
    assert told.exit_code == exit_code, told.err
    assert told.leaks() == []


def test_stream_maps_that_fail_on_every_record_say_no_value(program: Program) -> None:
    told = program(stream_maps={"people": {"title": "int(title)", "email": "email + 5"}})
    assert told.leaks() == []


@pytest.mark.parametrize(
    "command", [["--about"], ["--about", "--format", "json"], ["status"], ["status", "--format", "json"], ["state"]]
)
def test_no_command_says_the_key_or_a_value(command: list[str], program: Program) -> None:
    program()
    told = program(*command)
    assert told.exit_code == 0
    assert told.leaks() == []


def test_no_command_says_what_stands_in_the_environment(program: Program) -> None:
    named = {"TARGET_AMPLEMARKET_API_KEY": KEY, "TARGET_AMPLEMARKET_PROXY": f"http://u:{planted('password')}@h:1"}
    told = program("--config", "ENV", environment=named, api_key=KEY)
    assert told.leaks() == []


def test_a_held_list_is_named_without_its_people(program: Program, sandbox: RunningSandbox) -> None:
    sandbox.set(faults=["server_error_after_commit:status=502,times=1", "listing_error:status=403"])
    told = program()
    assert told.exit_code == 7
    assert told.leaks() == []
    [file] = (told.folder / "outbox").glob("*.arrow")
    marker = file.stem.partition("-")[2]
    assert program("resolve", marker, "--as", "sent").leaks() == []


def test_push_says_no_value(program: Program, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": [planted("id")], "email": [f"{planted('push')}@acme.example"], planted("column"): [1]})
    pq.write_table(table, tmp_path / "rows.parquet")
    for output in ("table", "json"):
        told = program("push", str(tmp_path / "rows.parquet"), "--stream", "rows", "--key", "id", "--format", output)
        assert told.exit_code == 0, told.err
        assert told.leaks() == []


def test_a_log_configuration_of_the_user_s_own_gets_no_value(program: Program, tmp_path: Path) -> None:
    config = tmp_path / "logging.yaml"
    config.write_text(
        json.dumps(
            {
                "version": 1, "disable_existing_loggers": False,
                "formatters": {"all": {"()": "singer_sdk.logging.StructuredFormatter"}},
                "handlers": {
                    "file": {"class": "logging.FileHandler", "filename": str(tmp_path / "log"), "formatter": "all"}
                },
                "root": {"level": "DEBUG", "handlers": ["file"]},
                "loggers": {name: {"level": "DEBUG"} for name in ("httpx", "httpcore", "httpcore.http11")},
            }
        ),
        encoding="utf-8",
    )  # fmt: skip
    told = program(environment={"SINGER_SDK_LOG_CONFIG": str(config)})
    assert told.exit_code == 0, told.err
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert "POST /lead-lists" in said
    assert leaks(said) == []
    assert told.leaks() == []


def test_a_fault_of_the_program_shows_where_and_no_value(program: Program) -> None:
    told = program(breaks=planted("crash"), given=as_bytes([*people(), state({"at": 1})]))
    assert told.exit_code == 1
    assert "ValueError" in told.err
    assert "worker.py" in told.err, "where it was raised"
    assert told.leaks() == []


SILENT: dict[str, tuple[str, list[str]]] = {
    "check": ("ok ", ["check"]),
    "check_json": ('"ok"', ["check", "--format", "json"]),
    "results": ("rejected", ["results"]),
    "results_json": ("rejected", ["results", "--format", "json"]),
    "replay": ("2 records read", ["replay"]),
    "replay_all": ("3 records read", ["replay", "--include-permanent"]),
    "replay_json": ('"records": 3', ["replay", "--include-permanent", "--format", "json"]),
    "collect": ("2 lists", ["collect", "--wait", "20"]),
    "collect_json": ('"lists"', ["collect", "--wait", "20", "--format", "json"]),
    "report": (".html", ["report"]),
    "forget": ("2 result rows", ["forget", *PERSON]),
    "forget_json": ('"rows": 2', ["forget", *PERSON, "--format", "json"]),
    "forget_key": ("2 result rows", ["forget", "--stream", "people", "--key", planted("key-1")]),
    "purge": ("6 rows", ["purge", "--older-than", "0d"]),
    "purge_json": ('"rows": 6', ["purge", "--older-than", "0d", "--format", "json"]),
}
"""Each with words that it says when it has found work to do."""


@pytest.mark.parametrize(("words", "command"), SILENT.values(), ids=SILENT.keys())
def test_no_command_on_a_folder_of_people_says_a_value(words: str, command: list[str], program: Program) -> None:
    program()
    told = program(*command)
    assert told.exit_code == 0, told.err
    assert words in told.out + told.err
    assert told.leaks() == []
    pages = list(told.folder.glob("reports/*.html"))
    assert bool(pages) is (command == ["report"])
    assert leaks("".join(page.read_text(encoding="utf-8") for page in pages)) == []


KEYS = re.compile(f"{MARK}-(?:nan-)?key(?:-[1-4])?")
DOCUMENTS: dict[str, tuple[bool, list[str]]] = {
    "rows": (True, ["results", "--rows"]),
    "rows_json": (True, ["results", "--rows", "--format", "json"]),
    "rows_csv": (True, ["results", "--rows", "--format", "csv"]),
    "explain": (True, ["explain"]),
    "explain_json": (True, ["explain", "--format", "json"]),
    "audit": (False, ["audit"]),
    "audit_json": (True, ["audit", "--format", "json"]),
}


@pytest.mark.parametrize(("has_keys", "command"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_document_that_was_asked_for_holds_keys_and_no_values(
    has_keys: bool, command: list[str], program: Program, tmp_path: Path
) -> None:
    """`record_key` says which record it is; what stands in the record is not said."""
    program()
    (tmp_path / "older.csv").write_text(f"email,note\n{planted('email')}@acme.example,{planted('cell')}\n" * 2)
    told = program(*command, *(["--csv", str(tmp_path / "older.csv")] if command[0] == "audit" else []))
    assert told.exit_code == (5 if command[0] == "audit" else 0), told.err
    assert bool(KEYS.search(told.out)) is has_keys
    assert leaks(KEYS.sub("", told.out)) == []
    assert leaks(told.err) == []


VALUES: dict[str, list[str]] = {
    "rows": ["results", "--rows", "--show-values", "--format", "json"],
    "explain": ["explain", "--show-values"],
    "replay_to_singer": ["replay", "--include-permanent", "--to-singer"],
    "collect_to_singer": ["collect", "--wait", "20", "--to-singer"],
}


@pytest.mark.parametrize("command", VALUES.values(), ids=VALUES.keys())
def test_values_that_were_asked_for_are_on_standard_output_only(command: list[str], program: Program) -> None:
    program()
    told = program(*command)
    assert told.exit_code == 0, told.err
    assert leaks(told.out), "they were asked for"
    assert leaks(told.err) == []
