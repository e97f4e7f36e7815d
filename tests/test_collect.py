"""`collect` as somebody types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.results.enriched import enriched_files
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import contacts, run_singer

PROGRAM = [sys.executable, "-m", "target_amplemarket", "collect"]
PAID = {"enrich": True, "validate_email": True, "reveal_phone_numbers": True, "batch_size_rows": 2}
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def config(settings: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


@pytest.fixture
def collect(config: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [*PROGRAM, "--config", str(config), *arguments]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr
        for value in ("sandbox-key", "@acme.example"):
            assert value not in done.stderr
        return done

    return run


@pytest.fixture
def sent(settings: dict[str, Any], sandbox: RunningSandbox) -> dict[str, Any]:
    """Three lists, of two, two and one person, for two owners; not ended."""
    sandbox.set(found_percent=100, phone_percent=100, queued_seconds=3_000)
    run_singer(contacts(3), settings | PAID)
    run_singer(contacts(2, stream="leads", first=4), settings | PAID | {"owner": "lee@northwind.example"})
    return settings


def test_nothing_that_was_sent_is_nothing_to_collect(collect: Run, settings: dict[str, Any]) -> None:
    assert collect().returncode == 8, "no results folder"
    assert not Path(settings["results_path"]).exists(), "looking makes nothing"


def test_the_summary_counts_per_list_stream_and_owner_and_7_says_that_lists_are_processed(
    collect: Run, sent: dict[str, Any], sandbox: RunningSandbox
) -> None:
    early = collect("--format", "json")
    assert early.returncode == 7
    assert len(json.loads(early.stdout)["open"]) == 3
    assert early.stderr.splitlines()[-1].startswith("target-amplemarket: lists not collected: 3 still processed")
    sandbox.set(deliverable_percent=0)
    sandbox.advance(4_000)
    done = collect("--format", "json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert (told["open"], told["failed"]) == ([], {})
    assert {name: counts["sent"] for name, counts in told["streams"].items()} == {"contacts": 3, "leads": 2}
    assert {name: counts["entries"] for name, counts in told["owners"].items()} == {
        "dana@northwind.example": 3, "lee@northwind.example": 2,
    }  # fmt: skip
    total = told["total"]
    assert [total[name] for name in ("found", "with_email", "deliverable", "ready", "with_phone")] == [5, 5, 0, 0, 5]
    assert [each["counts"]["sent"] for each in told["lists"]] == [2, 1, 2]
    assert json.loads(collect("--format", "json").stdout) == told


def test_e_mails_that_nobody_asked_to_validate_are_ready_but_not_deliverable(
    collect: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    run_singer(contacts(2), settings)
    sandbox.advance(60)
    total = json.loads(collect("--format", "json").stdout)["total"]
    assert [total[name] for name in ("found", "with_email", "deliverable", "ready", "with_phone")] == [0, 2, 0, 2, 0]


def test_the_table_is_for_people(collect: Run, sent: dict[str, Any], sandbox: RunningSandbox) -> None:
    sandbox.advance(4_000)
    done = collect("--run", "last")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        "list", "sent", "entries", "missing", "unmatched", "found", "e-mail", "deliverable", "ready", "phone",
    ]  # fmt: skip
    assert re.match(r"leads \S+ part 1 \[\w+\] +2 +2 +0 +0 +2 +2 ", lines[1])
    assert [line.split()[0] for line in lines if line and line.split()[0] in {"leads", "lee@northwind.example"}] == [
        "leads", "leads", "lee@northwind.example",
    ]  # fmt: skip


def test_to_singer_writes_messages_only_and_ends_with_0_while_lists_are_processed(
    collect: Run, sent: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    early = collect("--to-singer")
    assert early.returncode == 0
    assert [json.loads(line)["type"] for line in early.stdout.splitlines()] == ["SCHEMA"]
    sandbox.advance(4_000)
    messages = [json.loads(line) for line in collect("--to-singer").stdout.splitlines()]
    kinds = "".join(message["type"][0:2] for message in messages)
    assert re.fullmatch("SC((RE){1,2}ST){3}", kinds)
    state = tmp_path / "state.json"
    state.write_text(json.dumps(messages[-1]["value"]))
    assert len(collect("--to-singer", "--state", str(state)).stdout.splitlines()) == 1
    again = [json.loads(line)["type"] for line in collect("--to-singer").stdout.splitlines()]
    assert again.count("RECORD") == 5, "without a STATE everything comes again"


@pytest.mark.parametrize("more", [["--run", "last"], ["--list", "x"]])
def test_to_singer_goes_by_its_state_alone(collect: Run, sent: dict[str, Any], more: list[str]) -> None:
    done = collect("--to-singer", *more)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_key_that_is_refused_ends_with_4(collect: Run, sent: dict[str, Any], sandbox: RunningSandbox) -> None:
    sandbox.set(api_key="another")
    done = collect()
    assert (done.returncode, done.stdout) == (4, "")
    assert "does not accept the key" in done.stderr


def test_a_closed_pipe_ends_it_with_a_word(config: Path, sent: dict[str, Any], sandbox: RunningSandbox) -> None:
    sandbox.advance(4_000)
    words = [*PROGRAM, "--config", str(config), "--to-singer"]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.close()
    assert running.stderr is not None
    told = running.stderr.read().decode()
    running.stderr.close()
    assert running.wait(60) == 8
    assert "standard output cannot be written" in told.splitlines()[-1]
    assert "Traceback" not in told


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_waiting_at_once(
    config: Path, sent: dict[str, Any], sandbox: RunningSandbox, number: signal.Signals, exit_code: int
) -> None:
    words = [*PROGRAM, "--config", str(config), "--wait", "600"]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
    until_s = time.monotonic() + 30
    while sum("/lead-lists/" in seen.path for seen in sandbox.requests()) < 3 and time.monotonic() < until_s:
        time.sleep(0.05)
    running.send_signal(number)
    out, told = running.communicate(timeout=10)
    assert (running.returncode, out) == (exit_code, b"")
    assert "stopped by a signal" in told.decode().splitlines()[-1]
    assert enriched_files(sent["results_path"]) == []
