"""`status`, `state`, `reconcile` and `resolve` as somebody types them whose list is held."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket import read_results
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import as_bytes, contacts, leads_of, state

PROGRAM = [sys.executable, "-m", "target_amplemarket"]
MESSAGES = as_bytes([*contacts(3), state({"at": 3})])
LOST_AFTER_COMMIT = "server_error_after_commit:status=502,times=1"
LOST_BEFORE_COMMIT = "server_error:status=502,times=1,endpoint=POST /lead-lists"
NO_LISTING = "listing_error:status=403"


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    exit_code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """The program with a settings file."""

    config: Path
    results: Path
    sandbox: RunningSandbox

    def __call__(self, *arguments: str, given: bytes = b"", config: bool = True) -> Done:
        words = [*PROGRAM, *arguments, *(["--config", str(self.config)] if config else [])]
        done = subprocess.run(words, input=given, capture_output=True, timeout=60, check=False, env=os.environ)
        assert b"Traceback" not in done.stderr
        assert b"sandbox-key" not in done.stdout + done.stderr
        assert b"person1@" not in done.stdout + done.stderr
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def hold(self, fault: str) -> str:
        """Leave a list whose answer was lost and that nobody can ask about; returns its marker."""
        self.sandbox.set(faults=[fault, NO_LISTING])
        done = self(given=MESSAGES)
        assert done.exit_code == 7
        assert done.out == "", "STATE stays before a held list"
        [entry] = self.status()["unsettled"]
        return str(entry["marker"])

    def status(self) -> dict[str, Any]:
        done = self("status", "--format", "json")
        assert done.exit_code == 0
        document: dict[str, Any] = json.loads(done.out)
        return document

    def statuses(self) -> list[str]:
        found: list[str] = read_results(self.results).column("status").to_pylist()
        return found


@pytest.fixture
def shell(settings: dict[str, Any], tmp_path: Path, sandbox: RunningSandbox) -> Shell:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return Shell(path, Path(settings["results_path"]), sandbox)


def last_line(text: str) -> str:
    return text.splitlines()[-1]


# --- Looking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "state"])
def test_a_folder_that_is_not_there_is_named(shell: Shell, command: str, tmp_path: Path) -> None:
    done = shell(command, "--results-path", str(tmp_path / "elsewhere"), config=False)
    assert (done.exit_code, done.out) == (8, "")
    assert done.err == f"target-amplemarket: there is no results folder {tmp_path / 'elsewhere'}\n"
    assert not (tmp_path / "elsewhere").exists(), "looking makes nothing"


def test_status_and_state_after_a_run_without_trouble(shell: Shell) -> None:
    assert shell(given=MESSAGES).exit_code == 0
    told = shell("status")
    header, run, last = told.out.splitlines()
    assert header.split() == ["run", "exit", "read", "accepted", "duplicate", "rejected", "held", "left", "lists"]
    assert run.split()[1:] == ["0", "3", "3", "0", "0", "0", "0", "1"]
    assert last == 'last STATE: {"at": 3}'
    assert told.err == ""
    assert shell("state").out == '{"at": 3}\n'
    document = shell.status()
    assert (document["unsettled"], document["last_state"]) == ([], '{"at": 3}')
    assert [(r["exit_code"], r["records"], r["statuses"]) for r in document["runs"]] == [(0, 3, {"accepted": 3})]


def test_status_shows_as_many_runs_as_asked_for_the_newest_last(shell: Shell) -> None:
    for first in (1, 2, 3):
        assert shell(given=as_bytes(contacts(1, first=first))).exit_code == 0
    ids = [run["run_id"] for run in shell.status()["runs"]]
    assert ids == sorted(ids)
    assert len(ids) == 3
    shown = shell("status", "--runs", "2").out.splitlines()
    assert [line.split()[0] for line in shown[1:3]] == ids[1:]
    assert [line.split()[0] for line in shown[3:6]] == ["trend", "accepted", "rejected"]
    assert shown[6] == "last STATE: none has left"


def test_status_names_a_held_list_with_its_marker_and_state_has_nothing_to_give(shell: Shell) -> None:
    marker = shell.hold(LOST_AFTER_COMMIT)
    document = shell.status()
    [entry] = document["unsettled"]
    assert re.fullmatch("[A-Z2-7]{12}", marker)
    assert entry["name"].endswith(f" part 1 [{marker}]")
    assert (entry["lead_count"], entry["run_id"]) == (3, document["runs"][0]["run_id"])
    assert document["last_state"] is None
    lines = shell("status").out.splitlines()
    assert "resolve MARKER" in lines[-2], "what to do about it"
    assert lines[-3] == f"not settled: {entry['name']}: 3 leads, run {entry['run_id']}"
    assert lines[-1] == "last STATE: none has left"
    told = shell("state")
    assert (told.exit_code, told.out) == (0, "")


def test_status_shows_how_a_run_ended_that_holds_a_list(shell: Shell) -> None:
    shell.hold(LOST_AFTER_COMMIT)
    [run] = shell.status()["runs"]
    assert (run["exit_code"], run["records"], run["statuses"]) == (7, 3, {"held": 3})
    assert shell("status").out.splitlines()[1].split()[1:] == ["7", "3", "0", "0", "0", "3", "0", "1"]


# --- Asking -----------------------------------------------------------------------------------------------------------


def test_reconcile_with_nothing_to_ask_says_so(shell: Shell) -> None:
    done = shell("reconcile")
    assert (done.exit_code, done.out) == (0, "no list is without an outcome\n")
    assert not shell.sandbox.requests()


def test_reconcile_without_settings_says_which(shell: Shell) -> None:
    done = shell("reconcile", config=False)
    assert done.exit_code == 2
    assert "`api_key` is required" in last_line(done.err)


@pytest.mark.step("R3", "R4")
@pytest.mark.parametrize(("fault", "verdict", "after"), [
    (LOST_AFTER_COMMIT, "sent", "accepted"), (LOST_BEFORE_COMMIT, "absent", "rejected"),
])  # fmt: skip
def test_reconcile_ends_with_7_while_nobody_can_tell_and_with_0_once_the_api_can(
    shell: Shell, fault: str, verdict: str, after: str
) -> None:
    marker = shell.hold(fault)
    [entry] = shell.status()["unsettled"]
    still = shell("reconcile")
    assert (still.exit_code, still.out) == (7, f"held: {entry['name']} (3 leads)\n")
    assert "use `resolve`" in last_line(still.err)
    assert shell.statuses() == ["held"] * 3

    shell.sandbox.set(faults=[])
    done = shell("reconcile")
    assert (done.exit_code, done.out) == (0, f"{verdict}: {entry['name']} (3 leads)\n")
    assert marker in done.out
    assert shell.statuses() == [after] * 3
    assert shell.status()["unsettled"] == []
    assert shell("reconcile").out == "no list is without an outcome\n"

    run = shell(given=MESSAGES)
    assert (run.exit_code, run.out) == (0, '{"at": 3}\n')
    assert len(leads_of(shell.sandbox)) == 3, "everybody exactly once"


# --- Deciding ---------------------------------------------------------------------------------------------------------


@pytest.mark.step("R4")
@pytest.mark.parametrize(("fault", "verdict", "form", "after", "next_run"), [
    (LOST_AFTER_COMMIT, "sent", "{}", "accepted", "duplicate"),
    (LOST_BEFORE_COMMIT, "absent", "[{}]", "rejected", "accepted"),
])  # fmt: skip
def test_resolve_settles_a_list_as_somebody_saw_it_without_asking_the_api(
    shell: Shell, fault: str, verdict: str, form: str, after: str, next_run: str
) -> None:
    marker = shell.hold(fault)
    [entry] = shell.status()["unsettled"]
    asked = len(shell.sandbox.requests())
    done = shell("resolve", form.format(marker), "--as", verdict)
    assert (done.exit_code, done.out) == (0, f"{verdict}: {entry['name']} (3 leads)\n")
    assert len(shell.sandbox.requests()) == asked
    assert shell.statuses() == [after] * 3
    assert shell.status()["unsettled"] == []

    run = shell(given=MESSAGES)  # the listing is still down, and nobody needs it
    assert (run.exit_code, run.out) == (0, '{"at": 3}\n')
    assert shell.statuses() == [after] * 3 + [next_run] * 3
    assert len(leads_of(shell.sandbox)) == 3, "everybody exactly once"

    again = shell("resolve", marker, "--as", verdict)
    assert again.exit_code == 2
    assert "is held" in last_line(again.err)


def test_resolve_of_a_marker_that_nothing_has_changes_nothing_and_says_where_to_look(shell: Shell) -> None:
    marker = shell.hold(LOST_AFTER_COMMIT)
    done = shell("resolve", "ABCDEFGHIJKL", "--as", "absent")
    assert (done.exit_code, done.out) == (2, "")
    assert last_line(done.err) == (
        "target-amplemarket: no list with the marker ABCDEFGHIJKL is held; `status` shows those that are"
    )
    assert [entry["marker"] for entry in shell.status()["unsettled"]] == [marker]
    assert shell.statuses() == ["held"] * 3


@pytest.mark.parametrize("arguments", [["MARKER"], ["MARKER", "--as", "maybe"], ["--as", "sent"]])
def test_resolve_takes_a_marker_and_one_of_two_answers(shell: Shell, arguments: list[str]) -> None:
    done = shell("resolve", *arguments)
    assert done.exit_code == 2
    assert any(word in done.err for word in ("'--as'", "'MARKER'"))


@pytest.mark.parametrize("given", [b"", as_bytes([*contacts(2, first=8), state({"at": 9})])])
def test_a_run_that_leaves_a_list_held_says_so_whatever_it_read(shell: Shell, given: bytes) -> None:
    shell.hold(LOST_AFTER_COMMIT)
    assert shell(given=given).exit_code == 7


@pytest.mark.parametrize("key", [{"api_key_command": "false"}, {"api_key_file": "there-is-none"}, {}])
def test_what_asks_no_api_needs_no_key_however_it_is_given(shell: Shell, tmp_path: Path, key: dict[str, str]) -> None:
    (tmp_path / "results").mkdir(mode=0o700, exist_ok=True)
    settings = tmp_path / "keyless.json"
    settings.write_text(json.dumps(key | {"results_path": str(tmp_path / "results")}))
    done = shell("explain", "--config", str(settings), config=False)
    assert "api_key" not in done.err
    assert done.exit_code in {0, 8}


def test_a_settings_file_that_is_no_object_is_a_fault_of_the_settings(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    done = shell("status", "--config", str(tmp_path / "list.json"), config=False)
    assert done.exit_code == 2
    assert "one JSON object" in done.err
