"""`replay`: rejected records go again from the results, once, through the same pipeline."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket import read_results
from target_amplemarket.config import read_settings
from target_amplemarket.errors import StorageError, TargetError
from target_amplemarket.results.explain import Explainer, Explanation, merged_mapping, rejected_of
from target_amplemarket.results.replay import Replay, Selection, singer_lines
from target_amplemarket.results.replays import read_replays
from target_amplemarket.results.summary import RunSummary
from target_amplemarket.runner import Input, execute
from target_amplemarket.sandbox import RunningSandbox
from target_amplemarket.services import intake_of
from tests.harness import Ran, contacts, leads_of, record, run_singer, schema
from tests.results.dirty import LEADS, REJECTED, REPAIRED_PEOPLE, REPAIRED_RECORDS, dirty_export

PROGRAM = [sys.executable, "-m", "target_amplemarket"]
Run = Callable[..., Ran]


def replayed(settings: dict[str, Any], selection: Selection | None = None, **changed: Any) -> RunSummary:
    """One replay, however it ends."""
    checked = read_settings(settings | changed)
    replaying = Replay(Path(checked.results_path), selection or Selection())
    summaries: list[RunSummary] = []

    def report(summary: RunSummary) -> None:
        replaying.remember(summary.run_id, summary.records)
        summaries.append(summary)

    try:
        execute(checked, Input(lambda stop, _: replaying.messages(stop), lambda _: None), report=report)
    except TargetError:
        assert summaries
    return summaries[0]


def explained(settings: dict[str, Any], run: str = "all") -> Explanation:
    taken = intake_of(read_settings(settings))
    return Explainer(Path(settings["results_path"]), run, rejected_of(), taken).explain()


def mapping_of(found: Explanation) -> dict[str, Any]:
    return {"field_mapping": merged_mapping({}, found.repairs)}


@pytest.mark.parametrize("key", ["id", None], ids=["keyed", "keyless"])
def test_after_the_change_just_the_people_go_that_it_said_and_twice_sends_nothing(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox, key: str | None
) -> None:
    run(dirty_export(key=key))
    fixed = mapping_of(explained(settings))
    first = replayed(settings, **fixed)
    assert (first.records, first.statuses["accepted"]) == (REJECTED, REPAIRED_PEOPLE)
    left = REJECTED - REPAIRED_RECORDS
    assert (first.statuses["rejected"], first.statuses["duplicate"]) == (left, 1)
    for selection in (Selection(), Selection(run="last")):
        again = replayed(settings, selection, **fixed)
        assert (again.records, again.statuses) == (left, {"rejected": left})
    assert len(leads_of(sandbox)) == LEADS + REPAIRED_PEOPLE


@pytest.mark.parametrize("key", ["id", None], ids=["keyed", "keyless"])
def test_a_replayed_records_newer_row_supersedes_the_older_and_attempts_count(
    run: Run, settings: dict[str, Any], key: str | None
) -> None:
    first = run(dirty_export(key=key))
    assert explained(settings).count == REJECTED
    fixed = mapping_of(explained(settings))
    for attempt in (2, 3, 4):
        replayed(settings, **fixed)
        found = explained(settings)
        assert found.count == REJECTED - REPAIRED_RECORDS
        assert {example.attempt for group in found.groups for example in group.examples} == {attempt}
    assert explained(settings, first.summary.run_id).count == 0


def test_links_name_the_run_in_which_a_record_came_in(run: Run, settings: dict[str, Any]) -> None:
    first = run(dirty_export(key=None))
    replayed(settings)
    links = read_replays(first.results_path, replayed(settings).run_id).to_pylist()
    assert {link["origin_run_id"] for link in links} == {first.summary.run_id}
    rejected = first.rows.filter(pyarrow_equal(first, "rejected")).column("record_no").to_pylist()
    assert sorted(link["origin_record_no"] for link in links) == rejected
    assert {link["attempt"] for link in links} == {3}


def pyarrow_equal(ran: Ran, status: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(ran.rows.column("status"), status)


def test_only_what_is_chosen_goes(run: Run, settings: dict[str, Any]) -> None:
    run([*dirty_export(), *dirty_export(stream="people")])
    assert replayed(settings, Selection(reasons=("email_invalid",), streams=("people",))).records == 4
    assert replayed(settings, Selection(run="all", streams=("contacts",))).records == REJECTED


def test_what_is_permanent_goes_only_when_it_is_asked_for(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    broken = b'{"type": "RECORD", "stream": "contacts", "record": {"id": 8, "email": "eve@acme.example", "n": NaN}}\n'
    no_object = b'{"type": "RECORD", "stream": "contacts", "record": [1]}\n'
    start = json.dumps(schema("contacts", "email", key=None)).encode() + b"\n"
    ran = run_singer(start + broken + no_object, settings)
    assert ran.column("reason") == ["invalid_json_number", "record_not_an_object"]
    replaying = Replay(ran.results_path, Selection())
    assert replaying.record_count() == 0
    assert list(replaying.left.lines()) == [
        "1 not replayed: invalid_json_number is permanent (`--include-permanent`, or `--reason invalid_json_number`)",
        "1 not replayed: record_not_an_object is permanent (`--include-permanent`, or `--reason record_not_an_object`)",
    ]
    assert Replay(ran.results_path, Selection(reasons=("invalid_json_number",))).record_count() == 1
    done = replayed(settings, Selection(include_permanent=True))
    assert done.statuses == {"accepted": 1, "rejected": 1}
    assert done.reasons["rejected"] == {"record_not_an_object": 1}


def test_held_records_go_once_their_list_has_turned_out_to_be_absent(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    lost = "server_error:status=502,times=1,endpoint=POST /lead-lists"
    sandbox.set(faults=[lost, "listing_error:status=403"])
    ran = run(contacts(3))
    assert ran.statuses == ["held"] * 3
    waiting = run(contacts(2))
    assert waiting.statuses == ["held"] * 2, "the same people wait for the list"
    assert len(leads_of(sandbox)) == 0
    held = Replay(ran.results_path, Selection(run=ran.summary.run_id, status="held"))
    assert held.record_count() == 0
    stuck = replayed(settings, Selection(run="all", status="held"))
    assert stuck.exit_code == 7
    assert len(leads_of(sandbox)) == 0, "nothing goes while nobody can tell"
    sandbox.set(faults=[])
    done = replayed(settings, Selection(run="all", status="held"))
    assert done.statuses == {"accepted": 3}
    assert len(leads_of(sandbox)) == 3
    assert replayed(settings, Selection(run="all", status="held")).records == 0


def test_records_of_a_held_list_go_with_the_run_that_settles_it(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    sandbox.set(faults=["server_error:status=502,times=1,endpoint=POST /lead-lists", "listing_error:status=403"])
    run(contacts(3))
    sandbox.set(faults=[])
    assert replayed(settings, Selection(status="held")).statuses == {"accepted": 3}


def test_records_that_were_not_kept_are_counted(run: Run) -> None:
    ran = run(dirty_export(), results_record="none")
    replaying = Replay(ran.results_path, Selection())
    assert replaying.record_count() == 0
    assert list(replaying.left.lines()) == [
        f"{REJECTED} not replayed: their records were not kept (`results_record`); run the tap again"
    ]


def test_key_properties_and_members_come_back(run: Run) -> None:
    messages = [
        schema("contacts", "note", key="id") | {"key_properties": ["id", "org"]},
        record("contacts", id=7, org="a", note={"text": "x", "n": 1}),
        record("contacts", id=8, org="b", late=1.5, note=None),
    ]
    messages[0]["schema"]["properties"]["org"] = {}
    ran = run(messages)
    first, *records = [json.loads(line) for line in singer_lines(Replay(ran.results_path, Selection()).messages())]
    assert first == {
        "type": "SCHEMA",
        "stream": "contacts",
        "key_properties": ["id", "org"],
        "schema": {
            "type": "object",
            "properties": {
                "id": {"type": ["integer", "null"]},
                "org": {"type": ["string", "null"]},
                "note": {
                    "type": ["object", "null"],
                    "properties": {"text": {"type": ["string", "null"]}, "n": {"type": ["integer", "null"]}},
                },
                "late": {"type": ["number", "null"]},
            },
        },
    }
    assert records == messages[1:]


def test_a_stop_leaves_the_rest_for_the_next_replay(run: Run, settings: dict[str, Any]) -> None:
    run(dirty_export(key=None))
    checked = read_settings(settings)
    replaying = Replay(Path(checked.results_path), Selection())
    summaries: list[RunSummary] = []

    def stopped(stop: Any, _: Any) -> Any:
        for number, message in enumerate(replaying.messages(stop)):
            yield message
            if number == 1:
                stop.request(15)

    with pytest.raises(TargetError, match="stopped by a signal"):
        execute(checked, Input(stopped, lambda _: None), report=summaries.append)
    replaying.remember(summaries[0].run_id, summaries[0].rows)
    assert replayed(settings, Selection(run="all")).records == REJECTED


def test_no_such_run_is_said(run: Run) -> None:
    ran = run(contacts(1))
    with pytest.raises(StorageError, match="there is no run x"):
        Replay(ran.results_path, Selection(run="x"))


def test_as_a_command(run: Run, settings: dict[str, Any], tmp_path: Path, sandbox: RunningSandbox) -> None:
    run(dirty_export())
    config = tmp_path / "settings.json"

    def shell(*words: str, given: bytes = b"", **changed: Any) -> subprocess.CompletedProcess[bytes]:
        config.write_text(json.dumps(settings | changed))
        done = subprocess.run(
            [*PROGRAM, *words, "--config", str(config)], input=given, capture_output=True, timeout=60, check=False
        )
        assert b"Traceback" not in done.stderr
        assert b"person0@" not in done.stderr
        return done

    fixed = json.loads(shell("explain", "--format", "json").stdout)["together"]
    assert fixed["people"] == REPAIRED_PEOPLE
    lines = shell("replay", "--to-singer").stdout
    refused = shell("replay", owner="stranger@northwind.example", **fixed["settings"])
    assert (refused.returncode, len(leads_of(sandbox))) == (4, LEADS), "the exit codes are the target's"
    done = shell("replay", "--format", "json", **fixed["settings"])
    assert done.returncode == 0
    assert json.loads(done.stdout)["statuses"]["accepted"] == REPAIRED_PEOPLE
    assert len(leads_of(sandbox)) == LEADS + REPAIRED_PEOPLE
    other = str(tmp_path / "other")
    assert shell(given=lines, results_path=other, **fixed["settings"]).returncode == 0
    assert read_results(other, status="accepted").num_rows == REPAIRED_PEOPLE
    assert shell("replay", "--reason", "email_invalid").stdout == b"nothing to replay\n"


def test_after_a_replay_a_change_still_has_the_members_that_only_other_records_have(
    run: Run, settings: dict[str, Any]
) -> None:
    messages = dirty_export()
    messages[0]["schema"]["properties"]["work_email"] = {}
    run(messages)
    replayed(settings)
    [change] = explained(settings).repairs
    assert change.sources["email"] == ("Email", "work_email", "custom.mail_privat")
