"""What `collect --to-singer` writes, loaded by targets of other people: JSON lines, PostgreSQL, and through Meltano."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox
from tests.e2e.postgres import Postgres, programs, running_postgres
from tests.e2e.project import Project
from tests.harness import contacts, run_singer

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PAID = {"enrich": True, "validate_email": True, "reveal_phone_numbers": True, "batch_size_rows": 2}
COLLECT = [sys.executable, "-m", "target_amplemarket", "collect", "--to-singer"]


def loader(name: str) -> str:
    """A target's executable: the environment says where (`TARGET_JSONL`), or `make test` has put it there."""
    own = ROOT / ".venv" / name / "bin" / name
    found = os.environ.get(name.upper().replace("-", "_")) or (str(own) if own.exists() else shutil.which(name))
    if found is None:
        assert "CI" not in os.environ, f"CI runs {name}"
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    where = programs()
    if where is None:
        assert "CI" not in os.environ, "CI has PostgreSQL: Debian's package `postgresql`"
        pytest.skip("PostgreSQL is not installed (Debian's package `postgresql`)")
    with running_postgres(where) as server:
        yield server


@pytest.fixture
def config(settings: dict[str, Any], tmp_path: Path, sandbox: RunningSandbox) -> Path:
    """A settings file; two lists have been sent and have ended."""
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    send(settings, sandbox, first=1)
    return path


def send(settings: dict[str, Any], sandbox: RunningSandbox, *, first: int, people: int = 3) -> None:
    run_singer(contacts(people, first=first), settings | PAID)
    sandbox.advance(60)


def pipe(config: Path, folder: Path, target: str, target_config: dict[str, Any]) -> None:
    """Collect into a target as a shell pipe does; keep the last STATE as an orchestrator does."""
    state, given = folder / "state.json", folder / "target.json"
    given.write_text(json.dumps(target_config), encoding="utf-8")
    words = [*COLLECT, "--config", str(config), *(["--state", str(state)] if state.exists() else [])]
    made = subprocess.run(words, capture_output=True, timeout=120, check=True, cwd=ROOT)
    loaded = subprocess.run(
        [target, "--config", str(given)], input=made.stdout, capture_output=True, timeout=120, check=False, cwd=folder
    )
    assert loaded.returncode == 0, loaded.stderr.decode()[-3000:]
    if lines := loaded.stdout.splitlines():
        state.write_bytes(lines[-1])


def test_target_jsonl_loads_every_entry_once(
    config: Path, settings: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    target, folder = loader("target-jsonl"), tmp_path / "loaded"
    folder.mkdir()
    options = {"destination_path": str(folder), "do_timestamp_file": False}
    pipe(config, folder, target, options)
    pipe(config, folder, target, options)
    send(settings, sandbox, first=4)
    pipe(config, folder, target, options)
    rows = [json.loads(line) for line in (folder / "lead_list_entries.jsonl").read_text().splitlines()]
    assert sorted(row["email"] for row in rows) == [f"person{number}@acme.example" for number in range(1, 7)]
    assert {json.loads(row["record_key"])["id"] for row in rows} == set(range(1, 7))


def test_target_postgres_loads_every_entry_once_with_types(
    config: Path, settings: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path, postgres: Postgres
) -> None:
    target, folder = loader("target-postgres"), tmp_path / "loaded"
    folder.mkdir()
    options = {
        "host": "127.0.0.1", "port": postgres.port, "user": "postgres", "password": "unused", "database": "postgres",
        "default_target_schema": "outreach",
    }  # fmt: skip
    pipe(config, folder, target, options)
    pipe(config, folder, target, options)
    (folder / "state.json").unlink()
    pipe(config, folder, target, options)  # all over again: the keys make that no double
    send(settings, sandbox, first=4)
    pipe(config, folder, target, options)
    rows = postgres.query(
        "select record_key::json->>'id', email, email_validation_result, collected_at > '2020-01-01', record_no "
        "from outreach.lead_list_entries order by email"
    )
    assert [row[1] for row in rows] == [f"person{number}@acme.example" for number in range(1, 7)]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 7)]
    assert {row[3] for row in rows} == {"t"}
    [[count]] = postgres.query(
        "select count(*) from information_schema.columns where table_name = 'lead_list_entries' "
        "and column_name = 'collected_at' and data_type like 'timestamp%'"
    )
    assert count == "1"


PROJECT = """
project_id: collect
default_environment: dev
environments: [{name: dev}]
send_anonymous_usage_stats: false
plugins:
  extractors:
  - name: tap-lead-list-entries
    namespace: tap_lead_list_entries
    executable: ./tap-lead-list-entries
    capabilities: [state]
    settings: [{name: api_key, sensitive: true}, {name: owner}, {name: base_url}, {name: results_path}]
  loaders:
  - name: target-jsonl
    namespace: target_jsonl
    executable: TARGET
    settings: [{name: destination_path}, {name: do_timestamp_file, kind: boolean}]
    config: {destination_path: loaded, do_timestamp_file: false}
"""


def test_meltano_run_loads_what_is_new_and_keeps_the_state(
    meltano: str, settings: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    project = Project(meltano, tmp_path / "project")
    (project.folder / "loaded").mkdir(parents=True)
    (project.folder / "meltano.yml").write_text(PROJECT.replace("TARGET", loader("target-jsonl")))
    tap = project.folder / "tap-lead-list-entries"
    tap.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {" ".join(COLLECT)} "$@"\n')
    tap.chmod(0o700)
    names = ("api_key", "owner", "base_url", "results_path")
    given = {f"TAP_LEAD_LIST_ENTRIES_{name.upper()}": str(settings[name]) for name in names}
    loaded = project.folder / "loaded" / "lead_list_entries.jsonl"
    for first in (1, 4):
        send(settings, sandbox, first=first)
        project.run("run", "tap-lead-list-entries", "target-jsonl", settings=given)
    rows = [json.loads(line) for line in loaded.read_text().splitlines()]
    assert sorted(row["email"] for row in rows) == [f"person{number}@acme.example" for number in range(1, 7)]
    project.run("run", "tap-lead-list-entries", "target-jsonl", settings=given)
    assert len(loaded.read_text().splitlines()) == 6
