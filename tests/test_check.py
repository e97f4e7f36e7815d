"""`check`: one line for each thing that a run needs, and nothing spent."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.check import (
    LEAST_FREE_BYTES,
    LITTLE_FREE_BYTES,
    Finding,
    Level,
    Surroundings,
    examine,
    exit_code_of,
)
from target_amplemarket.clock import SystemClock
from target_amplemarket.config import read_settings
from target_amplemarket.sandbox import RunningSandbox
from target_amplemarket.storage.durable import Folder
from target_amplemarket.storage.lock import locked
from tests.harness import VirtualClock, contacts

Found = dict[str, list[Finding]]


def look(settings: dict[str, Any], *, free: int = 10 * LITTLE_FREE_BYTES, **changed: Any) -> Found:
    found: Found = {}
    given = Surroundings(VirtualClock(), free_bytes=lambda _: free)
    for finding in examine(read_settings(settings | changed), given):
        found.setdefault(finding.subject, []).append(finding)
    return found


def verdict(found: Found) -> int:
    return exit_code_of([finding for findings in found.values() for finding in findings])


def the(found: Found, subject: str) -> Finding:
    [finding] = found[subject]
    return finding


@pytest.fixture
def used(run: Any, settings: dict[str, Any], sandbox: RunningSandbox) -> dict[str, Any]:
    """Settings of a folder that a run has used, with the default waits."""
    run(contacts(1))
    return settings | {"settle_seconds": 180, "requests_per_minute": 450}


def test_a_good_setup_is_ok_line_by_line_and_nothing_is_sent(used: dict[str, Any], sandbox: RunningSandbox) -> None:
    before, files = len(sandbox.requests()), {path: path.read_bytes() for path in files_of(used)}
    found = look(used)
    assert verdict(found) == 0
    assert {finding.level for findings in found.values() for finding in findings} == {Level.OK}
    assert list(found) == [
        "settings", "credits", "guards", "results folder", "space", "held lists", "API", "key", "account", "owner",
        "exclusions",
    ]  # fmt: skip
    assert "Northwind" in the(found, "key").text
    assert "sandbox-key" not in str(found)
    assert {seen.method for seen in list(sandbox.requests())[before:]} == {"GET"}
    assert {path: path.read_bytes() for path in files_of(used)} == files, "the folder is as it was"


def files_of(settings: dict[str, Any]) -> list[Path]:
    return sorted(path for path in Path(settings["results_path"]).rglob("*") if path.is_file())


def test_a_folder_that_is_not_there_is_not_made(settings: dict[str, Any]) -> None:
    found = look(settings)
    assert the(found, "results folder").level is Level.WARNING
    assert verdict(found) == 0
    assert not Path(settings["results_path"]).exists()


@pytest.mark.parametrize(
    ("changed", "subject", "words"),
    [
        ({"dry_run": True}, "dry_run", "send nothing"),
        ({"requests_per_minute": 600}, "requests_per_minute", "500"),
        ({"settle_seconds": 5}, "settle_seconds", "twice"),
        ({"on_unknown": "resend"}, "on_unknown", "twice"),
        ({"batch_paths": ["/nowhere/at/all"]}, "batch_paths", "/nowhere/at/all"),
        ({"enrich": True}, "credits", "set `max_email_credits_per_run`"),
        ({"reveal_phone_numbers": True}, "credits", "set `max_phone_credits_per_run`"),
        ({"exclusions": "off"}, "exclusions", "sent all the same"),
    ],
)
def test_settings_that_work_and_may_surprise_are_warnings(
    used: dict[str, Any], changed: dict[str, Any], subject: str, words: str
) -> None:
    found = look(used, **changed)
    assert the(found, subject).level is Level.WARNING
    assert words in the(found, subject).text
    assert verdict(found) == 0


def test_a_suppression_file_is_read(used: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "no.csv"
    found = look(used, suppression_file=str(file))
    assert the(found, "suppression_file").exit_code == verdict(found) == 2
    file.write_text("email,domain\nada@acme.example,\n,rival.example\n")
    finding = the(look(used, suppression_file=str(file)), "suppression_file")
    assert (finding.level, finding.text[:24]) == (Level.OK, "1 e-mails, 1 domains and")


def test_ceilings_are_named_and_satisfy(used: dict[str, Any]) -> None:
    found = look(used, enrich=True, max_email_credits_per_run=100, max_rejected_percent=10)
    assert the(found, "credits").level is Level.OK
    assert the(found, "guards").text == "`max_email_credits_per_run` 100, `max_rejected_percent` 10"


@pytest.mark.parametrize(
    ("free", "level", "exit_code"),
    [
        (LEAST_FREE_BYTES - 1, Level.FAILED, 8),
        (LITTLE_FREE_BYTES - 1, Level.WARNING, 0),
        (LITTLE_FREE_BYTES, Level.OK, 0),
    ],
)
def test_free_space(used: dict[str, Any], free: int, level: Level, exit_code: int) -> None:
    found = look(used, free=free)
    assert the(found, "space").level is level
    assert verdict(found) == exit_code


def test_a_folder_that_another_run_holds_is_6_and_the_api_is_asked_all_the_same(used: dict[str, Any]) -> None:
    with locked(Folder(Path(used["results_path"])), SystemClock()):
        found = look(used)
    assert the(found, "results folder").exit_code == 6
    assert the(found, "owner").level is Level.OK
    assert verdict(found) == 6


def test_a_folder_that_others_may_look_into_is_a_warning(used: dict[str, Any]) -> None:
    Path(used["results_path"]).chmod(0o755)
    [fine, warning] = look(used)["results folder"]
    assert (fine.level, warning.level) == (Level.OK, Level.WARNING)
    assert "0755" in warning.text


def test_a_symbolic_link_a_file_and_a_lost_key_are_8(used: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(used["results_path"])
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        assert the(look(used, results_path=str(tmp_path / name)), "results folder").exit_code == 8
    (Path(used["results_path"]) / "key").unlink()
    found = look(used)
    assert "key is missing" in the(found, "results folder").text
    assert verdict(found) == 8


def test_a_folder_that_cannot_be_made_is_8(used: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert the(look(used, results_path=str(tmp_path / "file" / "below")), "results folder").exit_code == 8


def test_a_folder_of_another_account_is_2(used: dict[str, Any], sandbox: RunningSandbox) -> None:
    remembered = Path(used["results_path"]) / "account.json"
    remembered.write_bytes(remembered.read_bytes().replace(b'"account_id":"', b'"account_id":"ffff'))
    found = look(used)
    assert the(found, "account").exit_code == 2
    assert verdict(found) == 2


def test_held_lists_are_named_by_their_markers(run: Any, used: dict[str, Any], sandbox: RunningSandbox) -> None:
    sandbox.set(faults=["server_error_after_commit:status=502,times=1", "listing_error:status=403"])
    held = run(contacts(2, first=5))
    sandbox.set(faults=[])
    finding = the(look(used), "held lists")
    assert finding.level is Level.WARNING
    assert held.column("list_name")[0].rpartition("[")[2].rstrip("]") in finding.text
    assert "`reconcile`" in finding.text


def test_a_wrong_key_and_a_stranger_as_owner_are_4(used: dict[str, Any], sandbox: RunningSandbox) -> None:
    found = look(used, owner="stranger@northwind.example")
    assert the(found, "owner").exit_code == verdict(found) == 4
    assert "stranger" not in str(found)
    sandbox.set(api_key="another")
    found = look(used)
    assert the(found, "API").level is Level.OK, "it answers"
    assert the(found, "key").exit_code == verdict(found) == 4
    assert "owner" not in found


def test_an_api_that_is_not_there_is_4_and_says_why(used: dict[str, Any]) -> None:
    found = look(used, base_url="http://127.0.0.1:9")
    assert "nothing listens on port 9" in the(found, "API").text
    assert verdict(found) == 4


@pytest.mark.parametrize(("policy", "level", "exit_code"), [("require", Level.FAILED, 4), ("try", Level.WARNING, 0)])
def test_exclusions_that_cannot_be_read_count_as_the_policy_says(
    used: dict[str, Any], sandbox: RunningSandbox, policy: str, level: Level, exit_code: int
) -> None:
    sandbox.set(faults=["server_error:status=403,endpoint=GET /excluded-emails"])
    found = look(used, exclusions=policy)
    assert the(found, "exclusions").level is level
    assert verdict(found) == exit_code


# --- Lance ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def lance(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of an API without owners and exclusion lists."""
    given = settings | {"service": "lance", "settle_seconds": 180, "requests_per_minute": 5_000}
    return {name: value for name, value in given.items() if name != "owner"}


def test_an_api_without_owners_and_exclusions_says_so(lance: dict[str, Any], sandbox: RunningSandbox) -> None:
    found = look(lance)
    assert verdict(found) == 0
    assert [
        finding.subject for findings in found.values() for finding in findings if finding.level is not Level.OK
    ] == ["results folder"]
    assert the(found, "API").text == f"{sandbox.url} answers"
    assert the(found, "key").text == "`api_key` is accepted, for the account org_2acme"
    assert "`owner` is not used" in the(found, "owner").text
    assert "`suppression_file`" in the(found, "exclusions").text
    assert "requests_per_minute" not in found, "no limit is documented"
    assert {(seen.method, seen.path) for seen in sandbox.requests()} == {("GET", "/api/v1/operations/credits/balance")}


def test_a_session_that_has_ended_is_4_and_says_how_to_renew_it(
    lance: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.set(lance_token_seconds=60)
    finding = the(look(lance), "key")
    assert finding.exit_code == 4
    assert "set api_key to a key of the account" in finding.text
    key = tmp_path / "key"
    key.write_text(sandbox.token("lance"))
    by_file = {name: value for name, value in lance.items() if name != "api_key"} | {"api_key_file": str(key)}
    assert the(look(by_file), "key").text == "that of `api_key_file` is accepted, for the account org_2acme"
    key.write_text("another")
    assert "see that what api_key_file gives is a key of the account" in the(look(by_file), "key").text
    key.unlink()
    finding = the(look(by_file), "API")
    assert (finding.exit_code, finding.text) == (2, "`api_key_file` cannot be read (No such file or directory)")


def test_a_session_without_an_organisation_is_4(lance: dict[str, Any], sandbox: RunningSandbox) -> None:
    for status in ("400", "401"):
        sandbox.set(lance_organization=None, lance_no_organization_status=status)
        assert the(look(lance), "key").exit_code == 4


def test_what_lance_does_not_have_is_2_once(lance: dict[str, Any]) -> None:
    found = look(lance, enrich=True)
    assert the(found, "settings").exit_code == verdict(found) == 2
    assert "`enrich` is on" in the(found, "settings").text
    assert not {"API", "key"} & set(found)


def test_looking_for_people_is_a_warning(lance: dict[str, Any]) -> None:
    found = look(lance, lance_find_people="linkedin_url")
    assert the(found, "lance_find_people").level is Level.WARNING
    assert verdict(found) == 0


# --- As a command -----------------------------------------------------------------------------------------------------


def command(settings: dict[str, Any], tmp_path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "target_amplemarket", "check", "--config", str(config), *more],
        capture_output=True, timeout=60, check=False, text=True, env=os.environ,
    )  # fmt: skip


def test_the_command_prints_a_line_for_each_and_ends_with_what_a_run_would(
    used: dict[str, Any], tmp_path: Path, sandbox: RunningSandbox
) -> None:
    done = command(used, tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("ok ") for line in done.stdout.splitlines())
    done = command(used | {"owner": "stranger@northwind.example"}, tmp_path)
    assert done.returncode == 4
    assert "failed   owner" in done.stdout


def test_json_is_one_document(used: dict[str, Any], tmp_path: Path, sandbox: RunningSandbox) -> None:
    done = command(used, tmp_path, "--format", "json")
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode == 0
    assert set(document["checks"][0]) == {field.name for field in dataclasses.fields(Finding)}


def test_settings_that_cannot_be_used_are_2_and_a_line_too(used: dict[str, Any], tmp_path: Path) -> None:
    done = command(used | {"max_lead_per_run": 5}, tmp_path)
    assert done.returncode == 2
    assert "did you mean `max_leads_per_run`?" in done.stdout
