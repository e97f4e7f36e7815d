"""Guards over whole runs, with the sandbox's logs as ground truth."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from target_amplemarket import push, read_results
from target_amplemarket.errors import GuardStop, InputError, ListsHeld, RefusedByApi, Stopped
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import as_bytes, contacts, leads_of, record, run_singer, schema, state


def posts(sandbox: RunningSandbox) -> int:
    return sum(seen.method == "POST" for seen in sandbox.requests())


def unusable(count: int, *, first: int = 1, stream: str = "contacts") -> list[dict[str, Any]]:
    people = range(first, first + count)
    return [schema(stream, "email", "title"), *(record(stream, id=n, email="nobody", title="Buyer") for n in people)]


# --- The breaker ------------------------------------------------------------------------------------------------------


def test_a_wrong_mapping_sends_nothing_at_all_however_small_lists_are(run: Any, sandbox: RunningSandbox) -> None:
    """Half of every thousand records is unusable; lists of ten are full long before that can be told."""
    messages = [*contacts(500), state({"at": 500}), *unusable(600, first=501), state({"at": 1100}), *contacts(50)]
    ran = run(messages, batch_size_rows=10, max_rejected_percent=10)
    assert isinstance(ran.error, GuardStop)
    assert ran.error.exit_code == 5
    assert "email_invalid" in str(ran.error)
    assert posts(sandbox) == 0
    assert ran.states == []
    assert set(ran.statuses) <= {"rejected"}
    assert ran.summary.left >= 500
    assert ran.summary.exit_code == 5
    assert not list((ran.results_path / "outbox").glob("*"))


def test_after_the_mapping_is_corrected_the_next_run_sends_everybody(run: Any, sandbox: RunningSandbox) -> None:
    people = [record("p", id=n, work_address=f"p{n}@acme.example", e_mail="-") for n in range(30)]
    messages = [schema("p", "work_address", "e_mail"), *people, state({"at": 30})]
    wrong = run(messages, field_mapping={"p": {"email": "e_mail"}}, max_rejected_percent=50)
    assert isinstance(wrong.error, GuardStop)
    assert "30 of 30 records are rejected (email_invalid 30)" in str(wrong.error)
    assert wrong.statuses == ["rejected"] * 30
    assert wrong.states == [], "rejected rows are durable, and still the source must be read again"
    right = run(messages, field_mapping={"p": {"email": "work_address"}}, max_rejected_percent=50)
    assert right.error is None
    assert len(leads_of(sandbox)) == 30
    assert right.states == ['{"at": 30}']


def test_a_small_input_within_the_mark_is_sent_at_its_end(run: Any, sandbox: RunningSandbox) -> None:
    ran = run([*contacts(18), *unusable(2, first=19), state({"at": 20})], batch_size_rows=5, max_rejected_percent=10)
    assert ran.error is None
    assert len(leads_of(sandbox)) == 18
    assert ran.states == ['{"at": 20}']


def test_past_the_mark_later_on_what_was_sent_stays_recorded_and_the_rest_unsent(
    run: Any, sandbox: RunningSandbox
) -> None:
    good, bad = contacts(1_000), unusable(200, first=1_001)
    messages = [*good, state({"at": 1_000}), *bad, *contacts(3, first=2_000), state({"at": 1_203})]
    ran = run(messages, batch_size_rows=100, max_in_flight=2, max_rejected_records=150)
    assert isinstance(ran.error, GuardStop)
    assert len(leads_of(sandbox)) == 1_000
    assert Counter(ran.statuses)["accepted"] == 1_000
    assert ran.states in ([], ['{"at": 1000}'])
    later = run(messages, batch_size_rows=100)
    assert len(leads_of(sandbox)) == 1_003
    assert later.states[-1] == '{"at": 1203}'


def test_leads_that_the_api_refuses_count_as_rejected(run: Any, sandbox: RunningSandbox) -> None:
    sandbox.set(extra_text_limit=3, errors_told="all")
    notes = ["long" if n % 2 else "ok" for n in range(40)]
    people = [record("p", id=n, email=f"p{n}@acme.example", note=note) for n, note in enumerate(notes)]
    messages = [schema("p", "email", "note"), *people, state({"at": 40})]
    ran = run(messages, extra_fields=["note"], batch_size_rows=10, max_in_flight=1, max_rejected_records=7)
    assert isinstance(ran.error, GuardStop)
    assert "refused_by_api 10" in str(ran.error)
    assert len(leads_of(sandbox)) == 10, "two lists of five, and then no third"
    assert ran.states == []


def test_broken_input_that_is_also_past_the_mark_sends_nothing(run: Any, sandbox: RunningSandbox) -> None:
    lines = b"".join(json.dumps(m).encode() + b"\n" for m in [*contacts(3), *unusable(3, first=4)])
    ran = run(lines + b"{broken\n", max_rejected_percent=10)
    assert isinstance(ran.error, InputError)
    assert posts(sandbox) == 0


def test_duplicates_and_what_stream_maps_leave_out_are_no_rejections(run: Any) -> None:
    run(contacts(20))
    again = run([*contacts(20), state({"at": 20})], max_rejected_percent=0, max_rejected_records=0)
    assert again.error is None
    assert again.states == ['{"at": 20}']


def test_a_stop_before_anything_is_decided_sends_nothing_and_the_next_run_everything(
    settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    messages = [*contacts(40), state({"at": 40}), *contacts(40, first=41), state({"at": 80})]
    chosen = settings | {"batch_size_rows": 5, "max_rejected_percent": 50}
    stopped = run_singer(messages, chosen, stop_after=4)
    assert isinstance(stopped.error, Stopped)
    assert stopped.summary.records > 5
    assert (posts(sandbox), stopped.states) == (0, [])
    assert run_singer(messages, chosen).states[-1] == '{"at": 80}'
    assert len(leads_of(sandbox)) == 80


# --- Ceilings ---------------------------------------------------------------------------------------------------------


def test_a_canary_sends_exactly_so_many_leads_and_each_next_run_the_next_ones(
    run: Any, sandbox: RunningSandbox
) -> None:
    messages = [*contacts(60), state({"at": 60}), *contacts(190, first=61), state({"at": 250})]
    ends = []
    for sent in (100, 200, 250):
        ran = run(messages, max_leads_per_run=100)
        ends.append((ran.summary.exit_code, ran.states))
        assert len(leads_of(sandbox)) == sent
    assert ends == [(5, ['{"at": 60}']), (5, ['{"at": 60}']), (0, ['{"at": 250}'])]
    assert [lead["email"] for lead in leads_of(sandbox)] == [f"person{n}@acme.example" for n in range(1, 251)]


def test_what_a_ceiling_leaves_has_no_row_and_the_error_says_where(run: Any) -> None:
    ran = run([*contacts(5), *unusable(5, first=6), *contacts(10, first=11)], max_leads_per_run=7)
    assert isinstance(ran.error, GuardStop)
    assert "`max_leads_per_run` is reached at record 13" in str(ran.error)
    assert ran.column("record_no") == list(range(1, 13))
    assert Counter(ran.statuses) == {"accepted": 7, "rejected": 5}
    assert ran.summary.records - ran.summary.rows == ran.summary.left


def test_an_input_that_just_fits_is_done(run: Any, sandbox: RunningSandbox) -> None:
    limits = {"max_leads_per_run": 10, "max_records_per_run": 10, "max_email_credits_per_run": 10}
    ran = run([*contacts(10), state({"at": 10})], validate_email=True, **limits)
    assert ran.error is None
    assert ran.states == ['{"at": 10}']


def test_records_are_read_up_to_the_ceiling(run: Any, sandbox: RunningSandbox) -> None:
    messages = [*contacts(4), *unusable(2, first=5), state({"at": 6}), *contacts(20, first=7), state({"at": 26})]
    ran = run(messages, max_records_per_run=8)
    assert isinstance(ran.error, GuardStop)
    assert len(leads_of(sandbox)) == 6
    assert ran.states == ['{"at": 6}']
    assert len(ran.statuses) == 8
    assert run(messages).states[-1] == '{"at": 26}'
    assert len(leads_of(sandbox)) == 24


@pytest.mark.parametrize(
    ("options", "ceiling", "sent"),
    [
        ({"validate_email": True}, {"max_email_credits_per_run": 12}, 12),
        ({"enrich": True, "validate_email": True}, {"max_email_credits_per_run": 12}, 4),
        ({"reveal_phone_numbers": True, "enrich": True}, {"max_phone_credits_per_run": 9}, 9),
        ({"reveal_phone_numbers": True, "credit_prices": {"phone_revealed": 3}}, {"max_phone_credits_per_run": 9}, 3),
        ({}, {"max_email_credits_per_run": 0, "max_phone_credits_per_run": 0}, 25),
        ({"enrich": True}, {"max_email_credits_per_run": 1}, 0),
    ],
)
def test_credits_are_never_spent_past_their_ceiling(
    run: Any, sandbox: RunningSandbox, options: dict[str, Any], ceiling: dict[str, int], sent: int
) -> None:
    ran = run([*contacts(25), state({"at": 25})], batch_size_rows=2, **options, **ceiling)
    assert len(leads_of(sandbox)) == sent
    assert ran.summary.exit_code == (0 if sent == 25 else 5)
    spent = sum(entry.created.email_credits for entry in sandbox.log()) if sent else 0
    assert spent <= ceiling.get("max_email_credits_per_run", spent)


def test_ceilings_hold_over_streams_owners_and_lists(run: Any, sandbox: RunningSandbox) -> None:
    messages = [*many_kinds(30), state({"at": 90})]
    for _ in range(9):
        before = len(leads_of(sandbox))
        ran = run(messages, owner_field="who", batch_size_rows=4, max_leads_per_run=10)
        assert len(leads_of(sandbox)) - before <= 10
        if ran.error is None:
            break
    whole = {json.dumps(lead, sort_keys=True) for lead in leads_of(sandbox)}
    assert len(whole) == len(leads_of(sandbox)), "nobody twice"
    assert ran.states == ['{"at": 90}']


def test_ceilings_hold_for_files_too(settings: dict[str, Any], sandbox: RunningSandbox, tmp_path: Path) -> None:
    people = pa.table({"id": range(50), "email": [f"p{n}@acme.example" for n in range(50)]})
    for sent in (20, 40, 50):
        try:
            push(people, settings | {"max_leads_per_run": 20, "batch_size_rows": 6}, key_properties=["id"])
        except GuardStop:
            assert sent < 50
        assert len(leads_of(sandbox)) == sent
    pq.write_table(
        pa.table({"id": range(9), "email": [f"q{n}@acme.example" for n in range(9)]}), tmp_path / "q.parquet"
    )
    batch = {
        "type": "BATCH",
        "stream": "q",
        "encoding": {"format": "parquet"},
        "manifest": [(tmp_path / "q.parquet").as_uri()],
    }
    messages = [schema("q", "email"), batch, state({"at": 9})]
    chosen = settings | {"batch_paths": [str(tmp_path)]}
    assert run_singer(messages, chosen | {"max_leads_per_run": 4}).states == []
    assert run_singer(messages, chosen | {"max_leads_per_run": 5}).states == ['{"at": 9}']
    assert len(leads_of(sandbox)) == 59


def test_a_list_whose_answer_was_lost_is_settled_before_a_ceiling_ends_the_run(
    run: Any, sandbox: RunningSandbox
) -> None:
    sandbox.set(faults=["server_error_after_commit:status=502,times=1"])
    ran = run([*contacts(12), state({"at": 12})], batch_size_rows=5, max_leads_per_run=10)
    assert isinstance(ran.error, GuardStop)
    assert ran.statuses == ["accepted"] * 10
    assert len(leads_of(sandbox)) == 10


def test_a_held_list_weighs_more_than_a_ceiling(run: Any, sandbox: RunningSandbox) -> None:
    sandbox.set(faults=["server_error_after_commit:status=502,times=1", "listing_error:status=403"])
    ran = run(contacts(12), max_leads_per_run=10)
    assert isinstance(ran.error, ListsHeld)


def test_an_account_out_of_credits_stops_the_run_and_topped_up_the_next_goes_on(
    run: Any, sandbox: RunningSandbox
) -> None:
    sandbox.set(email_credits=25.0)
    messages = [m for n in range(4) for m in (*contacts(10, first=10 * n + 1), state({"at": 10 * n + 10}))]
    ran = run(messages, batch_size_rows=10, max_in_flight=1, validate_email=True)
    assert isinstance(ran.error, RefusedByApi)
    assert ran.error.exit_code == 4
    assert len(leads_of(sandbox)) == 20
    assert ran.states[-1] == '{"at": 20}'
    sandbox.set(email_credits=1_000.0)
    assert run(messages, batch_size_rows=10, validate_email=True).error is None
    assert len(leads_of(sandbox)) == 40


# --- The quote --------------------------------------------------------------------------------------------------------


def test_the_quote_is_logged_before_the_first_list_and_stands_in_the_summary(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ran = run(contacts(20), batch_size_rows=10, enrich=True, reveal_phone_numbers=True)
    texts = [message for message in caplog.messages if "worst" in message]
    assert "1.5 e-mail and 1 phone credits" in texts[0]
    assert "assumed" in texts[0]
    assert "sending list" in texts[1]
    assert "at worst 15 e-mail and 10 phone credits" in texts[1]
    assert ran.summary.worst_credits == {"email": 30.0, "phone": 20.0}
    written = json.loads((ran.results_path / "runs" / f"{ran.summary.run_id}.json").read_bytes())
    assert written["worst_credits"] == {"email": 30.0, "phone": 20.0}
    assert [entry["email_credits"] for entry in written["lists"]] == [15.0, 15.0]


def test_the_sandbox_never_charges_more_than_was_quoted(run: Any, sandbox: RunningSandbox) -> None:
    ran = run(many_kinds(30), owner_field="who", enrich=True, validate_email=True, reveal_phone_numbers=True)
    spent = [entry.created for entry in sandbox.log()]
    assert 0 < sum(commit.email_credits for commit in spent) <= ran.summary.worst_credits["email"]
    assert 0 < sum(commit.phone_credits for commit in spent) <= ran.summary.worst_credits["phone"]


# --- Dry run ----------------------------------------------------------------------------------------------------------


def many_kinds(count: int) -> list[dict[str, Any]]:
    """Three streams of leads of every type, duplicates, rejections and two owners."""
    messages = []
    for stream in ("a", "b", "c"):
        messages.append(schema(stream, "linkedin_url", "email", "title", "company", "who"))
        for n in range(count):
            person = n % (count - 5)
            members: dict[str, Any] = {"who": "lee@northwind.example" if n % 4 == 0 else "gone@northwind.example"}
            if n % 3 == 0:
                members["linkedin_url"] = f"https://www.linkedin.com/in/{stream}-{person}-example"
            elif n % 3 == 1:
                members |= {"email": f"p{person}@acme.example"}
            elif n % 7:
                members |= {"title": f"Buyer {person}", "company": f"{stream} works"}
            messages.append(record(stream, id=n, **members))
    return messages


def without_marker(name: str | None) -> str | None:
    return name and re.sub(r" \[[A-Z2-7]{12}\]$", "", name)


def plan_of(ran: Any) -> list[tuple[Any, ...]]:
    """Everything that a plan and the run that carries it out agree in, row by row."""
    names = ("stream", "record_no", "record_key", "reason", "detail", "field", "list_type", "list_position",
             "winner_record_no")  # fmt: skip
    columns = [ran.column(name) for name in names]
    statuses = ["planned" if status == "accepted" else status for status in ran.statuses]
    return list(zip(statuses, [without_marker(name) for name in ran.column("list_name")], *columns, strict=True))


@pytest.mark.parametrize("limits", [{}, {"max_leads_per_run": 37}, {"max_records_per_run": 50}], ids=str)
def test_the_plan_and_the_real_run_agree_lead_for_lead(
    run: Any, sandbox: RunningSandbox, limits: dict[str, int]
) -> None:
    run(contacts(12))  # somebody was sent before
    earlier = len(sandbox.log())
    messages = [*contacts(20), *many_kinds(30), state({"at": 110})]
    chosen = {"owner_field": "who", "batch_size_rows": 7, "enrich": True} | limits
    before = posts(sandbox)
    planned = run(messages, dry_run=True, **chosen)
    assert posts(sandbox) == before, "a dry run sends nothing"
    assert planned.states == []
    assert planned.summary.states_emitted == 0
    assert planned.summary.dry_run

    real = run(messages, **chosen)
    assert plan_of(planned) == plan_of(real)
    assert planned.summary.exit_code == real.summary.exit_code == (5 if limits else 0)
    assert {"planned", "duplicate"} <= set(planned.statuses)
    assert planned.summary.worst_credits == real.summary.worst_credits
    assert [without_marker(e["name"]) for e in sorted(real.summary.lists, key=lambda e: e["name"])] == sorted(
        entry["name"] for entry in planned.summary.lists
    )
    sent = {without_marker(entry.created.name): entry.created for entry in sandbox.log()[earlier:]}
    assert {name: len(commit.leads) for name, commit in sent.items()} == {
        entry["name"]: entry["lead_count"] for entry in planned.summary.lists
    }
    assert {name: (commit.owner, commit.type) for name, commit in sent.items()} == {
        entry["name"]: (entry["owner"], entry["list_type"]) for entry in planned.summary.lists
    }


def test_each_lead_stands_in_the_list_and_place_that_the_plan_gave_its_record(
    run: Any, sandbox: RunningSandbox
) -> None:
    messages = [m | {"record": m["record"] | {"key": f"{m['stream']} {m['record']['id']}"}} if "record" in m else m
                for m in many_kinds(30)]  # fmt: skip
    chosen = {"owner_field": "who", "batch_size_rows": 7, "extra_fields": ["key"]}
    planned = run(messages, dry_run=True, **chosen)
    assert run(messages, **chosen).error is None
    places = zip(planned.column("list_name"), planned.column("list_position"), strict=True)
    records = zip(planned.column("stream"), planned.column("record_key"), strict=True)
    plan = {
        place: f"{stream} {json.loads(key)['id']}"
        for place, (stream, key) in zip(places, records, strict=True)
        if place[0] is not None and place[1] is not None
    }
    sent = {
        (without_marker(entry.created.name), at): lead["key"]
        for entry in sandbox.log()
        for at, lead in enumerate(entry.created.leads.all())
    }
    assert sent == plan


def test_planned_rows_carry_no_list_id_and_nobody_planned_counts_as_sent(run: Any, sandbox: RunningSandbox) -> None:
    for _ in range(2):
        planned = run([*contacts(5), state({"at": 5})], dry_run=True)
        assert planned.error is None
        assert planned.statuses == ["planned"] * 5
        assert planned.column("list_id") == [None] * 5
        assert planned.column("attempt") == [0] * 5
        assert planned.column("email_fingerprint") == [None] * 5
        assert not list((planned.results_path / "outbox").glob("*"))
        assert not list((planned.results_path / "state").glob("*"))
        assert planned.summary.lists[0]["status"] == "planned"
        assert "[" not in planned.summary.lists[0]["name"]
    assert posts(sandbox) == 0
    assert {seen.method for seen in sandbox.requests()} == {"GET"}
    real = run([*contacts(5), state({"at": 5})])
    assert real.statuses == ["accepted"] * 5
    assert set(read_results(real.results_path, run=planned.summary.run_id).column("status").to_pylist()) == {"planned"}


def test_a_dry_run_still_finds_a_wrong_owner_and_key(run: Any, sandbox: RunningSandbox) -> None:
    assert isinstance(run(contacts(1), dry_run=True, owner="stranger@northwind.example").error, RefusedByApi)
    sandbox.set(api_key="another")
    assert isinstance(run(contacts(1), dry_run=True).error, RefusedByApi)


def test_a_dry_run_past_the_breaker_says_so(run: Any) -> None:
    ran = run([*contacts(1), *unusable(9, first=2)], dry_run=True, max_rejected_percent=10)
    assert isinstance(ran.error, GuardStop)


def test_the_flag_plans_whatever_file_and_environment_say(
    sandbox: RunningSandbox, settings: dict[str, Any], tmp_path: Path
) -> None:
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(settings | {"dry_run": False}), encoding="utf-8")
    done = program(
        "--dry-run", "--config", config, "--config", "ENV",
        given=as_bytes([*contacts(3), state({"at": 3})]), TARGET_AMPLEMARKET_DRY_RUN="false",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"")
    assert "dry run: nothing was sent" in done.stderr.decode()
    assert posts(sandbox) == 0
    shown = program("status", "--config", config).stdout.decode()
    assert re.search(r"accepted +planned", shown)


@pytest.mark.parametrize("output", ["table", "json"])
def test_push_shows_the_plan_and_the_credits_at_worst(
    sandbox: RunningSandbox, settings: dict[str, Any], tmp_path: Path, output: str
) -> None:
    config, people = tmp_path / "settings.json", tmp_path / "people.parquet"
    config.write_text(json.dumps(settings | {"enrich": True, "batch_size_rows": 2}), encoding="utf-8")
    pq.write_table(pa.table({"id": [1, 2, 3], "email": [f"p{n}@acme.example" for n in range(3)]}), people)
    done = program("push", people, "--stream", "event", "--key", "id", "--config", config, "--dry-run",
                   "--format", output)  # fmt: skip
    assert done.returncode == 0
    assert posts(sandbox) == 0
    if output == "json":
        shown = json.loads(done.stdout)
        assert [(entry["lead_count"], entry["status"], entry["email_credits"]) for entry in shown["lists"]] == [
            (2, "planned", 3.0), (1, "planned", 1.5),
        ]  # fmt: skip
        assert shown["worst_credits"] == {"email": 4.5, "phone": 0.0}
    else:
        text = done.stdout.decode()
        assert "event" in text
        assert "part 2  planned" in text
        assert "credits at worst: 4.5 e-mail, 0 phone" in text


def program(*arguments: object, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "target_amplemarket", *map(str, arguments)], input=given, capture_output=True,
        timeout=60, check=False, env=os.environ | environment,
    )  # fmt: skip


# --- Meltano's connection test ----------------------------------------------------------------------------------------

TEST_MESSAGES = [
    {
        "type": "SCHEMA",
        "stream": "meltano_test_stream",
        "schema": {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "name": {"type": "string"},
                "created_at": {"type": "string", "format": "date-time"},
            },
        },
        "key_properties": ["id"],
    },
    record("meltano_test_stream", id=1, name="Meltano Test Record", created_at="2025-09-29T00:00:00Z"),
    state({"bookmarks": {"meltano_test_stream": {"last_record": 1}}}),
    {"type": "ACTIVATE_VERSION", "stream": "meltano_test_stream", "version": 1},
]


def test_a_connection_test_asks_for_key_and_owner_and_sends_nothing(
    run: Any, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ran = run(TEST_MESSAGES, enrich=True, field_mapping={"*": {"title": "name", "company_name": "name"}})
    assert ran.error is None
    assert (ran.statuses, ran.column("reason")) == (["excluded"], ["connection_test"])
    assert {seen.method for seen in sandbox.requests()} == {"GET"}
    assert any("connection test" in message for message in caplog.messages)
    for word in ("error", "exception"):
        assert word not in caplog.text.lower(), "Meltano takes these words for a failure"
    assert ran.states == [], "its STATE is no bookmark of a tap"


def test_a_connection_test_fails_with_a_wrong_key(run: Any, sandbox: RunningSandbox) -> None:
    sandbox.set(api_key="another")
    assert isinstance(run(TEST_MESSAGES).error, RefusedByApi)


def test_a_stream_of_that_name_among_others_is_left_out_and_their_state_leaves(
    run: Any, sandbox: RunningSandbox
) -> None:
    ran = run([*TEST_MESSAGES, *contacts(3), state({"at": 3})])
    assert ran.statuses == ["excluded", "accepted", "accepted", "accepted"]
    assert ran.states == ['{"at": 3}']
    assert len(leads_of(sandbox)) == 3
