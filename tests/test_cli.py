"""The program as a process: exit codes, what goes to which stream, and commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket import read_results
from target_amplemarket.errors import EXIT_CODES
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import as_bytes, contacts, leads_of, state

PROGRAM = [sys.executable, "-m", "target_amplemarket"]


@pytest.fixture
def settings_file(settings: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def run(*arguments: object, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], input=given, capture_output=True, timeout=60, check=False,
        env=os.environ | environment,
    )  # fmt: skip


def test_a_good_run_writes_state_alone_to_stdout_and_a_summary_to_stderr(
    settings_file: Path, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    done = run("--config", settings_file, given=as_bytes([*contacts(3), state({"at": 3})]))
    assert done.returncode == 0
    assert done.stdout == b'{"at": 3}\n'
    told = done.stderr.decode()
    assert "3 accepted" in told
    assert settings["results_path"] in told
    assert "https://app.amplemarket.com/dashboard/lead_lists/" in told
    assert '"metric":"record_count"' in told
    assert "person1@" not in told
    assert "sandbox-key" not in told
    for word in ("error", "exception"):
        assert word not in told.lower(), "Meltano takes these words for a failure"


def test_settings_come_from_the_environment_too(settings: dict[str, Any]) -> None:
    named = {
        f"TARGET_AMPLEMARKET_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in (settings | {"extra_fields": ["id"]}).items()
    }
    done = run("--config=ENV", given=as_bytes(contacts(1)), **named)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("batch_size_rows", "canary", "takes a whole number from 1 to 10,000"),
        ("max_leads_per_run", "", "takes a whole number from 1 on, or null"),
        ("dry_run", "ture", "takes true or false"),
        ("flattening_enabled", "canary", "takes true or false"),
        ("field_mapping", "{canary", "takes an object"),
    ],
)
def test_a_setting_in_the_environment_that_cannot_be_read_sends_nothing(
    settings: dict[str, Any], sandbox: RunningSandbox, name: str, text: str, words: str
) -> None:
    given = {**settings, name: text}
    named = {f"TARGET_AMPLEMARKET_{n.upper()}": v if isinstance(v, str) else json.dumps(v) for n, v in given.items()}
    done = run("--config=ENV", given=as_bytes(contacts(1)), **named)
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"settings in the environment: `{name}` {words}" in done.stderr.decode()
    assert "canary" not in done.stderr.decode()
    assert sandbox.log() == []
    assert json.loads(run("check", "--config=ENV", "--format", "json", **named).stdout)


@pytest.mark.parametrize("text", ["TRUE", "1", "yes", "On"])
def test_a_flag_in_the_environment_may_be_written_in_all_the_usual_ways(
    settings_file: Path, sandbox: RunningSandbox, text: str
) -> None:
    done = run("--config", settings_file, "--config=ENV", given=as_bytes(contacts(1)), TARGET_AMPLEMARKET_DRY_RUN=text)
    assert done.returncode == 0
    assert "1 planned" in done.stderr.decode()
    assert sandbox.log() == []


@pytest.mark.parametrize("has_content", [False, True])
def test_certificates_that_cannot_be_read_are_a_fault_of_the_settings(
    settings: dict[str, Any], tmp_path: Path, has_content: bool
) -> None:
    authority, path = tmp_path / "own-ca.pem", tmp_path / "https.json"
    if has_content:
        authority.write_text("no certificate", encoding="utf-8")
    path.write_text(json.dumps(settings | {"base_url": "https://127.0.0.1:9"}), encoding="utf-8")
    done = run("--config", path, given=as_bytes(contacts(1)), SSL_CERT_FILE=str(authority))
    assert done.returncode == 2
    assert "SSL_CERT_FILE or SSL_CERT_DIR in the environment names no certificates" in done.stderr.decode()


def test_input_can_be_a_file(settings_file: Path, tmp_path: Path) -> None:
    messages = tmp_path / "messages.jsonl"
    messages.write_bytes(as_bytes([*contacts(2), state({"at": 2})]))
    done = run("--config", settings_file, "--input", messages)
    assert (done.returncode, done.stdout) == (0, b'{"at": 2}\n')


@pytest.mark.parametrize(
    ("changed", "given", "exit_code", "words"),
    [
        ({"ownr": "x"}, b"", 2, "did you mean `owner`?"),
        ({"base_url": "http://example.com"}, as_bytes(contacts(1)), 2, "https"),
        ({}, b"{oops\n", 3, "line 1, byte offset 0"),
        ({"owner": "stranger@northwind.example"}, as_bytes(contacts(1)), 4, "`owner` is not a user of the account"),
    ],
)
def test_each_way_to_fail_has_its_exit_code_and_says_what_to_do(
    settings: dict[str, Any], tmp_path: Path, changed: dict[str, Any], given: bytes, exit_code: int, words: str
) -> None:
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(settings | changed), encoding="utf-8")
    done = run("--config", path, given=given)
    assert done.returncode == exit_code
    assert exit_code in EXIT_CODES
    assert words in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize(("content", "words"), [(None, "there is no such file"), ("{x", "this one is not")])
def test_a_settings_file_that_cannot_be_read_is_a_usage_fault(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    done = run("--config", path)
    assert done.returncode == 2
    assert words in done.stderr.decode()


def test_a_second_run_on_the_same_folder_ends_at_once_with_its_own_code(
    settings_file: Path, settings: dict[str, Any]
) -> None:
    first = subprocess.Popen([*PROGRAM, "--config", settings_file], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        _until(lambda: list(Path(settings["results_path"]).glob("runs/*.json")))
        second = run("--config", settings_file, given=as_bytes(contacts(1)))
        assert second.returncode == 6
        assert "another run holds the results folder" in second.stderr.decode()
        assert len(list(Path(settings["results_path"]).glob("runs/*.json"))) == 1
    finally:
        first.communicate(b"", timeout=30)


@pytest.mark.step("D8")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_with_its_own_code_and_state_covers_what_is_recorded(
    settings: dict[str, Any], tmp_path: Path, sandbox: RunningSandbox, number: signal.Signals, exit_code: int
) -> None:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(settings | {"batch_size_rows": 2, "max_in_flight": 1}), encoding="utf-8")
    running = subprocess.Popen(
        [*PROGRAM, "--config", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdin is not None
    running.stdin.write(as_bytes([*contacts(2), state({"at": 2}), *contacts(1, first=3), state({"at": 3})]))
    running.stdin.flush()
    _until(lambda: len(leads_of(sandbox)) == 2)
    _until(lambda: list(Path(settings["results_path"]).glob("state/*.arrow")))
    running.send_signal(number)
    out, err = running.communicate(timeout=30)
    assert running.returncode == exit_code, err.decode()
    assert out == b'{"at": 2}\n'
    assert read_results(settings["results_path"]).num_rows == 2
    assert "1 left" in err.decode()


def test_the_sandbox_command_serves_with_its_switches_and_ends_on_a_signal() -> None:
    command = [*PROGRAM, "sandbox", "--port", "0", "--users", "me@northwind.example", "--fault", "server_error:times=1"]
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert serving.stdout is not None
    try:
        url = serving.stdout.readline().split()[1]
        with urllib.request.urlopen(f"{url}/_sandbox/switches") as answer:
            switches = json.load(answer)
        assert switches["users"] == ["me@northwind.example"]
        assert switches["faults"][0]["kind"] == "server_error"
    finally:
        serving.terminate()
        serving.communicate(timeout=30)


def test_a_switch_that_does_not_exist_is_named() -> None:
    done = run("sandbox", "--requests-per-minute", "many")
    assert done.returncode == 2
    assert "requests_per_minute" in done.stderr.decode()


def test_version_and_help_need_no_settings() -> None:
    assert run("--version").stdout.startswith(b"target-amplemarket v")
    told = run("--help").stdout.decode()
    for word in ("--about", "--config", "--input", "sandbox", "demo"):
        assert word in told


def _until(holds: Any, *, most_s: float = 20.0) -> None:
    end = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


_SHOWS_ITSELF = """
import atexit, gc, sys
from target_amplemarket.cli import main

atexit.register(lambda: print(gc.isenabled(), len(gc.get_objects()), *sys.modules))
main()
"""


def test_a_run_without_records_imports_nothing_that_only_records_calls_and_files_need(settings_file: Path) -> None:
    words = [sys.executable, "-c", _SHOWS_ITSELF, "--config", settings_file]
    done = subprocess.run(words, input=as_bytes(contacts(0)), capture_output=True, timeout=60, check=True)
    is_enabled, tracked_count, *modules = done.stdout.decode().split()
    assert "target_amplemarket.pipeline" in modules
    slow = {"email_validator", "httpx", "jsonschema_rs", "pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "rich"}
    assert slow.isdisjoint(modules)
    assert is_enabled == "True"
    assert int(tracked_count) < 1_000, "what the run leaves is looked through for garbage when the process ends"


def test_what_only_tells_of_the_settings_loads_nothing_that_only_a_run_needs() -> None:
    program = "import sys; sys.argv[1:] = ['--about']; from target_amplemarket.cli import main; main()"
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    modules = set(done.stderr.decode().split())
    assert "target_amplemarket.target" in modules
    assert modules.isdisjoint({"pyarrow", "httpx", "target_amplemarket.runner", "target_amplemarket.singer.messages"})


def test_what_start_up_makes_is_not_looked_through_for_garbage() -> None:
    code = """
import gc
from target_amplemarket.cli import start_up

with start_up():
    during, made = gc.isenabled(), [[] for _ in range(10_000)]
print(during, gc.isenabled(), len(gc.get_objects()) < 1_000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout.split() == [b"False", b"True", b"True"]


@pytest.mark.step("R3")
def test_a_call_that_never_ends_does_not_keep_a_stopped_process(
    settings: dict[str, Any], tmp_path: Path, sandbox: RunningSandbox
) -> None:
    """After a signal answers are awaited for 25 seconds; here the program is told to have less patience.

    This is also where singer-sdk's own handling acknowledges records that were never sent (meltano/sdk issue 3775).
    """
    path = tmp_path / "hang.json"
    path.write_text(json.dumps(settings | {"batch_size_rows": 2}), encoding="utf-8")
    sandbox.set(faults=["hang_after_commit:seconds=60,times=1"])
    impatient = (
        "import target_amplemarket.pipeline as p; p._PATIENCE_AFTER_SIGNAL_S = 0.5;"
        "from target_amplemarket.cli import main; main()"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", impatient, "--config", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdin is not None
    running.stdin.write(as_bytes([*contacts(2), state({"at": 2})]))
    running.stdin.flush()
    _until(lambda: len(leads_of(sandbox)) == 2)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=20)
    assert running.returncode == 143, err.decode()
    assert out == b""
    assert b"still without an answer" in err
    sandbox.set(faults=[])
    healed = run("--config", path, given=as_bytes([*contacts(2), state({"at": 2})]))
    assert healed.stdout == b'{"at": 2}\n', healed.stderr.decode()
    assert len(leads_of(sandbox)) == 2


def test_a_closed_stdout_stops_the_run_and_nothing_is_lost(settings_file: Path, sandbox: RunningSandbox) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    messages = as_bytes([*contacts(2), state({"at": 2}), *contacts(2, first=3), state({"at": 4})])
    stopped = subprocess.run(
        [*PROGRAM, "--config", settings_file], input=messages, stdout=write_end, stderr=subprocess.PIPE, timeout=60,
        check=False,
    )  # fmt: skip
    os.close(write_end)
    assert stopped.returncode == 8
    assert b"standard output is closed" in stopped.stderr
    assert b"Traceback" not in stopped.stderr
    healed = run("--config", settings_file, given=messages)
    assert healed.returncode == 0
    assert healed.stdout.endswith(b'{"at": 4}\n')
    assert len(leads_of(sandbox)) == 4
