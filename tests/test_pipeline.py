from __future__ import annotations

import io
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from target_amplemarket import read_results
from target_amplemarket.config import read_settings
from target_amplemarket.errors import (
    ApiUnreachable,
    InputError,
    ListsHeld,
    MissingKey,
    RecordBeforeSchema,
    RefusedByApi,
    SettingsError,
    Stopped,
)
from target_amplemarket.runner import Input, execute
from target_amplemarket.sandbox import RunningSandbox, Switches
from target_amplemarket.singer import messages as singer_messages
from target_amplemarket.singer import validation
from target_amplemarket.singer.lines import read_lines
from target_amplemarket.singer.messages import Idle, read_messages
from tests.harness import VirtualClock, as_bytes, contacts, leads_of, record, run_singer, schema, state
from tests.sides import SIDES, USERS, Side

ONE_OF_EACH = [
    schema("people", "linkedin_url", "email", "title", "company", "owner_email"),
    record("people", id=1, linkedin_url="https://de.linkedin.com/in/Ada-Example/?trk=1", email="Ada@Acme.example"),
    record("people", id=2, email="bo@acme.example", linkedin_url="https://www.linkedin.com/company/acme"),
    record("people", id=3, title="Head of Sales", company="Acme"),
    record("people", id=4, title="Head of Sales"),
    record("people", id=5, email="not an address"),
    record("people", id=6, linkedin_url="linkedin.com/in/ada-example"),
    state({"bookmark": 6}),
]


@pytest.mark.step("D6")
def test_every_record_ends_in_one_row_and_every_accepted_one_in_the_commit_log(
    run: Any, sandbox: RunningSandbox
) -> None:
    ran = run(ONE_OF_EACH)
    assert ran.error is None
    assert ran.statuses == ["accepted", "accepted", "accepted", "rejected", "rejected", "duplicate"]
    assert ran.column("reason") == [
        None, "linkedin_url_invalid", None, "no_identity", "email_invalid", "duplicate_in_run",
    ]  # fmt: skip
    assert ran.column("list_type")[:3] == ["linkedin", "email", "titles_and_company"]
    assert ran.column("winner_record_no")[5] == 1
    assert ran.column("record_key") == [f'{{"id":{number}}}' for number in range(1, 7)]
    by_type = {entry.created.type: entry.created.leads.all() for entry in sandbox.log()}
    assert by_type["linkedin"] == [
        {
            "linkedin_url": "https://www.linkedin.com/in/ada-example",
            "email": "ada@acme.example",
            "company_domain": "acme.example",
        }
    ]
    assert by_type["titles_and_company"] == [{"title": "Head of Sales", "company_name": "Acme"}]
    assert ran.states == ['{"bookmark": 6}']


def test_the_request_has_the_documented_shape_and_spends_nothing_unasked(run: Any, sandbox: RunningSandbox) -> None:
    run(contacts(1), list_name="{stream} of {owner}", shared=False)
    created = sandbox.log()[0].created
    assert created.name.startswith("contacts of dana@northwind.example part 1 [")
    assert (created.shared, created.visible, created.owner) == (False, True, "dana@northwind.example")
    options = created.options
    assert (options.enrich, options.validate_email, options.reveal_phone_numbers) == (False, False, False)


@pytest.mark.step("D7")
def test_the_same_input_again_sends_nothing(run: Any, sandbox: RunningSandbox) -> None:
    first, again = run(contacts(30)), run(contacts(30))
    assert first.statuses == ["accepted"] * 30
    assert again.statuses == ["duplicate"] * 30
    assert set(again.column("reason")) == {"already_sent"}
    assert len(leads_of(sandbox)) == 30
    assert again.summary.requests == {}, "a run that sends nothing asks the API nothing"


def test_a_person_sent_under_one_identity_is_known_under_the_other_in_the_next_run(run: Any) -> None:
    both = record("p", id=1, linkedin_url="https://www.linkedin.com/in/ada-example", email="ada@acme.example")
    run([schema("p", "linkedin_url", "email"), both])
    again = run([
        schema("p", "linkedin_url", "email"),
        record("p", id=2, email="ADA@acme.example"),
        record("p", id=3, linkedin_url="https://linkedin.com/in/ADA-example/", email="else@acme.example"),
        record("p", id=4, linkedin_url="https://www.linkedin.com/in/bo-example", email="ada@acme.example"),
    ])  # fmt: skip
    assert again.statuses == ["duplicate", "duplicate", "accepted"], "a shared mailbox is not one person"


def test_append_only_sends_each_version_of_a_record_once(run: Any, sandbox: RunningSandbox) -> None:
    def version(title: str) -> list[dict[str, Any]]:
        return [schema("p", "email", "title"), record("p", id=1, email="ada@acme.example", title=title)]

    runs = [run(version(title), load_method="append-only") for title in ("Buyer", "Head", "Buyer")]
    assert [r.statuses for r in runs] == [["accepted"], ["accepted"], ["duplicate"]]
    assert [lead["title"] for lead in leads_of(sandbox)] == ["Buyer", "Head"]


@pytest.mark.step("D1")
def test_lists_are_full_before_they_are_closed_and_keep_the_order(run: Any, sandbox: RunningSandbox) -> None:
    ran = run(contacts(25), batch_size_rows=10, max_in_flight=1)
    assert [len(entry.created.leads) for entry in sandbox.log()] == [10, 10, 5]
    assert [lead["email"] for lead in leads_of(sandbox)] == [f"person{n}@acme.example" for n in range(1, 26)]
    assert ran.column("list_position") == [*range(10), *range(10), *range(5)]
    assert len({entry.created.name for entry in sandbox.log()}) == 3


def test_owners_of_records_own_their_lists_and_unknown_ones_fall_back(
    run: Any, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    owners = ["LEE@northwind.example", "gone@northwind.example", None, "dana@northwind.example"]
    records = [record("p", id=n, email=f"p{n}@acme.example", who=owner) for n, owner in enumerate(owners)]
    run([schema("p", "email", "who"), *records], owner_field="who")
    owned = {entry.created.owner: len(entry.created.leads) for entry in sandbox.log()}
    assert owned == {"lee@northwind.example": 1, "dana@northwind.example": 3}
    assert sum("not a user of the account" in message for message in caplog.messages) == 1
    assert "gone@" not in caplog.text


def test_an_owner_who_is_no_user_stops_before_anything_is_sent(run: Any, sandbox: RunningSandbox) -> None:
    ran = run(contacts(3), owner="stranger@northwind.example")
    assert isinstance(ran.error, RefusedByApi)
    assert ran.error.exit_code == 4
    assert not sandbox.log()
    assert ran.states == []


def test_leads_that_the_api_names_become_rejected_rows_and_the_rest_is_one_list(
    run: Any, sandbox: RunningSandbox
) -> None:
    sandbox.set(extra_text_limit=3, errors_told="all")
    records = [record("p", id=n, email=f"p{n}@acme.example", note="long" if n in {2, 5} else "ok") for n in range(8)]
    ran = run([schema("p", "email", "note"), *records], extra_fields=["note"])
    assert [n for n, status in enumerate(ran.statuses) if status == "rejected"] == [2, 5]
    assert ran.column("reason")[2] == "refused_by_api"
    assert ran.column("error_pointer")[5] == "/leads/5/note"
    assert ran.column("list_position") == [0, 1, None, 2, 3, None, 4, 5]
    assert [len(entry.created.leads) for entry in sandbox.log()] == [6]
    assert ran.summary.requests["POST /lead-lists"] == 2, "one refusal, one list"
    assert json.loads(ran.column("record")[2])["note"] == "long"


def test_out_of_credits_stops_sending_and_keeps_state_behind(run: Any, sandbox: RunningSandbox) -> None:
    sandbox.set(email_credits=15.0)
    messages = [*contacts(10), state({"at": 10}), *contacts(10, first=11), state({"at": 20})]
    ran = run(messages, batch_size_rows=10, max_in_flight=1, validate_email=True)
    assert isinstance(ran.error, RefusedByApi)
    assert "credits" in str(ran.error)
    assert ran.statuses == ["accepted"] * 10
    assert ran.states == ['{"at": 10}']
    assert ran.summary.left == 10
    sandbox.set(email_credits=100.0)
    later = run(messages, batch_size_rows=10, validate_email=True)
    assert Counter(later.statuses) == {"duplicate": 10, "accepted": 10}
    assert later.states[-1] == '{"at": 20}'


def test_a_wrong_key_stops_the_run(run: Any, sandbox: RunningSandbox) -> None:
    sandbox.set(api_key="another-key")
    ran = run([*contacts(2), state({"at": 2})])
    assert isinstance(ran.error, RefusedByApi)
    assert ran.states == []
    assert not sandbox.log()


LOST_AFTER_COMMIT = "server_error_after_commit:status=502,times=1"
LOST_BEFORE_COMMIT = "server_error:status=502,times=1,endpoint=POST /lead-lists"


@pytest.mark.step("D5")
@pytest.mark.parametrize("fault", [LOST_AFTER_COMMIT, LOST_BEFORE_COMMIT, "reset_after_commit:times=1"])
def test_a_list_whose_answer_was_lost_is_looked_for_and_is_there_exactly_once(
    run: Any, sandbox: RunningSandbox, fault: str
) -> None:
    sandbox.set(faults=[fault])
    ran = run([*contacts(5), state({"at": 5})])
    assert ran.error is None
    assert ran.statuses == ["accepted"] * 5
    assert ran.column("list_id") == [sandbox.log()[0].id] * 5
    assert len(leads_of(sandbox)) == 5
    assert ran.states == ['{"at": 5}']


@pytest.mark.step("D5", "R4")
@pytest.mark.parametrize("fault", [LOST_AFTER_COMMIT, LOST_BEFORE_COMMIT])
def test_a_list_that_cannot_be_asked_about_is_held_until_it_can(run: Any, sandbox: RunningSandbox, fault: str) -> None:
    sandbox.set(faults=[fault, "listing_error:status=403"])
    messages = [*contacts(5), state({"at": 5})]
    ran = run(messages)
    assert isinstance(ran.error, ListsHeld)
    assert ran.error.exit_code == 7
    assert ran.statuses == ["held"] * 5
    assert ran.states == []
    committed = len(sandbox.log())
    again = run([*messages, *contacts(2, first=6)])
    assert isinstance(again.error, ListsHeld)
    assert again.statuses == ["held"] * 5 + ["accepted"] * 2, "new people are sent all the same"
    assert again.states == []
    assert len(sandbox.log()) == committed + 1

    sandbox.set(faults=[])
    healed = run([*messages, *contacts(2, first=6), state({"at": 7})])
    assert healed.error is None
    assert healed.states[-1] == '{"at": 7}'
    assert len(leads_of(sandbox)) == 7, "everybody exactly once"
    first = read_results(ran.results_path, run=ran.summary.run_id)
    was_there = fault == LOST_AFTER_COMMIT
    assert set(first.column("status").to_pylist()) == {"accepted" if was_there else "rejected"}
    assert first.num_rows == 5
    assert healed.statuses[:5] == ["duplicate" if was_there else "accepted"] * 5


@pytest.mark.step("D5")
@pytest.mark.parametrize(("on_unknown", "committed"), [("resend", 2), ("assume_sent", 1)])
def test_what_cannot_be_asked_about_goes_as_the_settings_say(
    run: Any, sandbox: RunningSandbox, on_unknown: str, committed: int
) -> None:
    sandbox.set(faults=[LOST_AFTER_COMMIT, "listing_error:status=403"])
    ran = run([*contacts(5), state({"at": 5})], on_unknown=on_unknown)
    assert ran.error is None
    assert ran.statuses == ["accepted"] * 5
    assert ran.states == ['{"at": 5}']
    assert len(sandbox.log()) == committed, "resend takes the risk of sending twice, and says so in its name"
    assert set(ran.column("reason")) == {None if on_unknown == "resend" else "outcome_unknown"}


@pytest.mark.step("R3", "R4")
def test_a_run_killed_between_sending_and_recording_sends_nobody_twice(
    run: Any, sandbox: RunningSandbox, settings: dict[str, Any]
) -> None:
    """What a kill leaves behind: an outbox file, no result rows, a server that has the list."""
    sandbox.set(faults=[LOST_AFTER_COMMIT, "listing_error:status=403"])
    messages = [*contacts(5), state({"at": 5})]
    killed = run(messages)
    for file in (killed.results_path / "results" / killed.summary.run_id).iterdir():
        file.unlink()
    sandbox.set(faults=[])
    healed = run(messages)
    assert healed.error is None
    assert healed.statuses == ["duplicate"] * 5
    assert len(leads_of(sandbox)) == 5
    recorded = read_results(killed.results_path, run=killed.summary.run_id)
    assert recorded.column("status").to_pylist() == ["accepted"] * 5
    assert not list((killed.results_path / "outbox").iterdir())


@pytest.mark.step("R1")
def test_what_a_killed_run_left_half_written_is_gone_after_the_next(run: Any) -> None:
    left = run(contacts(1)).results_path
    halves = [left / "outbox" / "000002-AAAAAAAAAAAA.arrow.0a1b2c3d.tmp", left / "key.0a1b2c3d.tmp"]
    for half in halves:
        half.write_bytes(b"ha")
    assert run(contacts(1)).error is None
    assert not [half for half in halves if half.exists()]


@pytest.mark.step("R5")
@pytest.mark.parametrize("second", [LOST_AFTER_COMMIT, None])
def test_a_list_that_is_there_twice_is_an_alarm(run: Any, sandbox: RunningSandbox, second: str | None) -> None:
    """A server that commits later than anybody waited: not prevented, but found, in this run or in the next."""
    sandbox.set(faults=["late_commit:seconds=60,times=1", *([second] if second else [])])

    class LateClock(VirtualClock):
        def sleep(self, duration_s: float, wake: Any = None) -> None:
            if duration_s == 0 and self.slept_s.count(0) == 2:  # both looks are over (settling takes no time here)
                sandbox.advance(100)
            super().sleep(duration_s, wake)

    messages = contacts(3)
    ran = run(messages, clock=LateClock() if second else VirtualClock())
    if second is None:
        assert ran.error is None, "it is not there yet"
        sandbox.advance(100)
        ran = run(messages, clock=VirtualClock())
    assert isinstance(ran.error, ListsHeld)
    assert "is in the account 2 times" in str(ran.error)
    assert ran.error.exit_code == 7


def test_an_api_that_cannot_be_reached_holds_nothing(run: Any, sandbox: RunningSandbox) -> None:
    ran = run(contacts(2), base_url="http://127.0.0.1:9", clock=VirtualClock())
    assert isinstance(ran.error, ApiUnreachable)
    assert ran.statuses == []
    assert run(contacts(2)).statuses == ["accepted"] * 2


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"{not json CANARY\n", InputError),
        (b'{"stream":"contacts","record":{"id":9,"x":"CANARY"}}\n', InputError),
        (b'{"type":"RECORD","stream":"CANARYLESS","record":{"id":9}}\n', RecordBeforeSchema),
        (b'{"type":"RECORD","stream":"contacts","record":{"email":"CANARY@acme.example"}}\n', MissingKey),
    ],
)
def test_bad_input_stops_the_run_after_what_came_before_is_settled(
    run: Any, sandbox: RunningSandbox, line: bytes, error: type[InputError]
) -> None:
    before = b"".join(json.dumps(m).encode() + b"\n" for m in [*contacts(3), state({"at": 3})])
    ran = run(before + line + before)
    assert type(ran.error) is error or isinstance(ran.error, error)
    assert ran.error.exit_code == 3
    assert ran.error.line_no == 6
    assert ran.error.byte_offset == len(before)
    assert "CANARY@" not in str(ran.error)
    assert "CANARY " not in str(ran.error)
    assert ran.statuses == ["accepted"] * 3
    assert ran.states == ['{"at": 3}']


def test_a_stop_records_what_was_sent_and_leaves_the_rest_to_the_next_run(
    run: Any, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    messages = [
        *contacts(10), state({"at": 10}), *contacts(10, first=11), state({"at": 20}), *contacts(5, first=21),
        state({"at": 25}),
    ]  # fmt: skip
    stopped = run_singer(messages, settings | {"batch_size_rows": 10, "max_in_flight": 1}, stop_after=8)
    assert isinstance(stopped.error, Stopped)
    assert stopped.error.exit_code == 143
    sent = len(leads_of(sandbox))
    assert sent in {10, 20}, "the second list may have been overtaken by the stop"
    assert stopped.statuses == ["accepted"] * sent
    assert stopped.states[-1] == f'{{"at": {sent}}}'
    assert stopped.summary.left == 25 - sent
    assert Counter(run(messages).statuses) == {"duplicate": sent, "accepted": 25 - sent}


@pytest.mark.step("D8")
def test_state_waits_for_the_slowest_stream(settings: dict[str, Any]) -> None:
    """Full lists of one stream do not release a STATE that covers an open list of another."""
    messages = [
        schema("a", "email"), schema("b", "email"),
        record("b", id=1, email="b1@acme.example"),
        *(record("a", id=n, email=f"a{n}@acme.example") for n in range(2)), state({"n": 3}),
        *(record("a", id=n, email=f"a{n}@acme.example") for n in range(2, 8)), state({"n": 9}),
        {"type": "ACTIVATE_VERSION", "stream": "a", "version": 1},
    ]  # fmt: skip
    small = settings | {"batch_size_rows": 2, "max_in_flight": 1}
    stopped = run_singer(messages, small, stop_after=3)  # two SCHEMAs, and everything whose streams take turns
    assert "accepted" in stopped.statuses
    assert stopped.states == []
    assert run_singer(messages, small).states[-1] == '{"n": 9}'


def test_empty_state_never_leaves_and_state_before_all_records_does(run: Any) -> None:
    assert run([state({}), *contacts(1), state({})]).states == []
    assert run([state({"first": 1}), *contacts(1), state({})]).states == ['{"first": 1}']


@pytest.mark.step("D8")
def test_state_values_leave_as_the_tap_wrote_them(run: Any) -> None:
    value = b'{"a":1.10,  "b":123456789012345678901234567890,"c":"\\u00e9","a":2}'
    assert run(b'{"type":"STATE","value":' + value + b"}\n").states == [value.decode()]


def test_a_stream_with_nothing_to_map_is_rejected_row_by_row_with_a_warning(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ran = run([schema("orders", "amount"), record("orders", id=1, amount=3), state({"at": 1})])
    assert ran.error is None
    assert ran.statuses == ["rejected"]
    assert ran.states == ['{"at": 1}']
    assert any("nothing in it can make a lead" in message for message in caplog.messages)


def test_no_value_of_a_record_reaches_a_log(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    members = {"id": "canary-key", "email": "canary@acme.example", "title": "Canary", "company": "Canary Co"}
    bad = {"id": "canary-2", "email": "canary at acme", "linkedin_url": "https://linkedin.com/school/canary"}
    run([schema("p", "email", "title", "company", "linkedin_url"), record("p", **members), record("p", **bad)])
    assert caplog.messages
    assert "canary" not in caplog.text.lower().replace("canary-free", "")


PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, "x", "y", "z", "company"]),
        st.sampled_from([None, "p", "q", "bad"]),
    ),
    max_size=30,
)


@pytest.mark.parametrize("side", SIDES, ids=str)
@given(people=PEOPLE, size=st.integers(1, 4), states=st.sets(st.integers(0, 30)))
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_books_close_for_any_mixture_and_the_commit_log_agrees(
    side: Side, people: Any, size: int, states: set[int], sandbox: RunningSandbox, settings: dict[str, Any],
    tmp_path_factory: Any,
) -> None:  # fmt: skip
    sandbox.reset()
    sandbox.set(users=USERS, requests_per_minute=0)
    names = ("linkedin_url", *side.members)
    messages: list[dict[str, Any]] = [schema("a", *names), schema("b", *names)]
    for number, (stream, slug, mail) in enumerate(people):
        if number in states:
            messages.append(state({"n": number}))
        url = (
            None
            if slug is None
            else f"https://www.linkedin.com/{'company' if slug == 'company' else 'in'}/{slug}-example"
        )
        address = None if mail is None else "nobody" if mail == "bad" else f"{mail}@acme.example"
        members = side.person(3 * number + 2) | {"linkedin_url": url, "email": address}
        messages.append(record(stream, id=number, **members))
    messages.append(state({"n": len(people)}))
    folder = {"batch_size_rows": size, "results_path": str(tmp_path_factory.mktemp("r"))}
    ran = run_singer(messages, side.adapted(settings) | folder)
    assert ran.error is None
    assert ran.column("record_no") == list(range(1, len(people) + 1))
    assert ran.states[-1:] == [json.dumps({"n": len(people)})]
    arrived = Counter((arrival.list_id, arrival.position) for arrival in side.arrivals(sandbox))
    rows = [row for row in ran.rows.to_pylist() if row["status"] == "accepted"]
    has_positions = any(position is not None for _, position in arrived)
    assert Counter((row["list_id"], row["list_position"] if has_positions else None) for row in rows) == arrived
    leads = [lead for entry in sandbox.log() for lead in entry.leads]
    slugs = Counter(lead.get("linkedin_url") or lead.get("linkedinUrl") for lead in leads)
    assert all(count == 1 for slug, count in slugs.items() if slug)


@pytest.mark.parametrize("value", [b"{}", b"{ }", b"null"])
def test_a_state_that_says_nothing_never_leaves(run: Any, value: bytes) -> None:
    assert run(b'{"type":"STATE","value":' + value + b"}\n").states == []


def test_a_stop_after_the_input_has_ended_leaves_unsent_lists_to_the_next_run(
    settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    """A signal while the last lists are sent is no fault of the program."""

    sandbox.set(faults=["server_error:status=429,times=1,endpoint=POST /lead-lists"], rate_limit_retry_after="seconds")
    stops: list[Any] = []

    class StoppingClock(VirtualClock):
        def sleep(self, duration_s: float, wake: Any = None) -> None:
            stops[0].request(15)

    def read(stop: Any, expected: Any) -> Any:
        stops.append(stop)
        return read_messages(read_lines(io.BytesIO(as_bytes(contacts(2))), stop, idle_s=0.01), Counter(), expected)

    with pytest.raises(Stopped) as caught:
        execute(read_settings(settings), Input(read, lambda _: None), report=lambda _: None, clock=StoppingClock())
    assert caught.value.exit_code == 143
    assert not sandbox.log()
    assert run_singer(contacts(2), settings).statuses == ["accepted"] * 2


def test_a_results_folder_serves_one_account(run: Any, sandbox: RunningSandbox) -> None:
    """People sent in one account are not thereby sent in another."""
    assert run(contacts(1)).error is None
    sandbox.reset(Switches(seed=7, users=("dana@northwind.example",), requests_per_minute=0))
    other = run(contacts(2))
    assert isinstance(other.error, SettingsError)
    assert other.error.exit_code == 2
    assert "belongs to another account" in str(other.error)
    assert not sandbox.log()


def test_fields_that_the_settings_name_and_a_stream_does_not_have_are_said(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run(contacts(1), owner_field="ownr", extra_fields=["scor"], field_mapping={"contacts": {"title": "titel"}})
    for name in ("ownr", "scor", "titel"):
        assert any(f"`{name}`, which the stream does not have" in message for message in caplog.messages)


def test_another_account_is_not_asked_about_the_lists_of_this_one(run: Any, sandbox: RunningSandbox) -> None:
    """It would say that they are absent, and they would be sent a second time."""
    sandbox.set(faults=[LOST_AFTER_COMMIT, "listing_error:status=403"])
    assert isinstance(run(contacts(3)).error, ListsHeld)
    sandbox.reset(Switches(seed=7, users=("dana@northwind.example",), requests_per_minute=0))
    with pytest.raises(SettingsError, match="belongs to another account"):
        run(contacts(3))
    assert not [request for request in sandbox.requests() if request.path == "/lead-lists"]


@pytest.mark.step("D1")
def test_a_list_that_waits_long_enough_is_closed_so_that_state_goes_on(
    settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    """A trickle of records does not hold STATE back for ever."""
    clock, states = VirtualClock(), []
    left_while_open: list[list[str]] = []

    def read(stop: Any, expected: Any) -> Any:
        trickle = [*contacts(3), state({"at": 3})]
        yield from read_messages(read_lines(io.BytesIO(as_bytes(trickle)), stop, idle_s=0.01), Counter(), expected)
        clock.sleep(200.0)
        yield Idle()
        left_while_open.append(list(states))
        clock.sleep(150.0)
        end_s = time.monotonic() + 10
        while not states and time.monotonic() < end_s:  # the answer comes in a thread of its own
            time.sleep(0.005)
            yield Idle()
        left_while_open.append(list(states))

    given = Input(read, lambda value: states.append(value.decode()))
    execute(read_settings(settings), given, report=lambda _: None, clock=clock)
    assert left_while_open == [[], ['{"at": 3}']]


def test_an_empty_run_asks_the_api_nothing(run: Any, sandbox: RunningSandbox) -> None:
    ran = run([])
    assert ran.error is None
    assert ran.summary.records == 0
    assert not sandbox.requests()


@pytest.mark.step("D7")
def test_ten_runs_of_one_input_with_changing_list_sizes_send_everybody_once(run: Any, sandbox: RunningSandbox) -> None:
    """As when the bookmarks of the runner are lost: every run reads everything anew."""
    messages = [*contacts(12), state({"at": 12})]
    for size in (5, 3, 1, 12, 10_000, 7, 2, 4, 6, 9):
        ran = run(messages, batch_size_rows=size)
        assert ran.error is None
        assert ran.states[-1] == '{"at": 12}'
    assert Counter(lead["email"] for lead in leads_of(sandbox)) == {f"person{n}@acme.example": 1 for n in range(1, 13)}


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_a_storm_of_429_is_waited_out_as_the_api_asks(run: Any, sandbox: RunningSandbox, form: str) -> None:
    sandbox.set(faults=[f"rate_limited:times=6,endpoint=POST /lead-lists,retry_after={form},seconds=7"])
    clock = VirtualClock()
    ran = run([*contacts(4), state({"at": 4})], batch_size_rows=2, max_in_flight=1, clock=clock)
    assert ran.error is None
    assert ran.statuses == ["accepted"] * 4
    assert len(leads_of(sandbox)) == 4
    assert sum(clock.slept_s) >= 6 * 7 * 0.9


@pytest.mark.step("R5")
def test_a_list_that_comes_after_it_was_found_absent_is_an_alarm(run: Any, sandbox: RunningSandbox) -> None:
    """The answer is lost, nobody can be asked, the next run finds nothing and sends anew; then the list commits."""
    sandbox.set(faults=["late_commit:seconds=60,times=1", "listing_error:status=403"])
    messages = contacts(3)
    assert isinstance(run(messages).error, ListsHeld)
    sandbox.set(faults=[])
    assert run(messages).statuses == ["accepted"] * 3
    sandbox.advance(100)
    late = run(messages)
    assert isinstance(late.error, ListsHeld)
    assert "is in the account" in str(late.error)


@pytest.mark.step("D6", "D8")
def test_when_a_state_leaves_every_record_before_it_has_a_durable_row(settings: dict[str, Any]) -> None:
    """Looked at in the moment when the line is written: accepted, rejected and duplicate records alike."""
    messages = [schema("p", "email")]
    for number in range(1, 31):
        address = {0: f"p{number}@acme.example", 1: "nobody", 2: "p3@acme.example"}[number % 3]
        messages += [record("p", id=number, email=address), state({"at": number})]
    seen: list[int] = []

    def emit(value: bytes) -> None:
        seen.append(json.loads(value)["at"])
        numbers = set(read_results(settings["results_path"]).column("record_no").to_pylist())
        assert numbers >= set(range(1, seen[-1] + 1))

    def read(stop: Any, expected: Any) -> Any:
        return read_messages(read_lines(io.BytesIO(as_bytes(messages)), stop, idle_s=0.01), Counter(), expected)

    small = read_settings(settings | {"batch_size_rows": 2})
    execute(small, Input(read, emit), report=lambda _: None)
    assert seen[-1] == 30
    assert len(seen) > 1


@pytest.mark.step("R5")
def test_a_list_that_was_sent_again_is_noted_before_the_run_may_be_killed(
    settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    """Later runs look whether it is there twice, whatever became of this one."""
    sandbox.set(faults=[LOST_BEFORE_COMMIT])
    noted: list[list[str]] = []

    def emit(_: bytes) -> None:
        [file] = Path(settings["results_path"]).glob("runs/*.json")
        noted.append(json.loads(file.read_bytes())["resent"])

    def read(stop: Any, expected: Any) -> Any:
        messages = as_bytes([*contacts(2), state({"at": 2})])
        return read_messages(read_lines(io.BytesIO(messages), stop, idle_s=0.01), Counter(), expected)

    execute(read_settings(settings), Input(read, emit), report=lambda _: None)
    [[marker]] = noted
    assert sandbox.log()[0].name.endswith(f"[{marker}]")


# --- Streams that take turns ------------------------------------------------------------------------------------------


@pytest.mark.step("D8")
@pytest.mark.parametrize(
    "changed",
    [{}, {"max_leads_per_run": 9}, {"batch_size_rows": 4}, {"max_records_per_run": 23}, {"validate_records": True}],
)
def test_gathering_streams_that_take_turns_changes_no_row_and_no_state(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    chance = random.Random(7)
    messages: list[dict[str, Any]] = [schema("a", "email", "title"), schema("b", "email", "title")]
    messages[0]["schema"]["properties"]["email"] = {"type": "string"}
    for number in range(1, 61):
        email = f"p{chance.randrange(40)}@acme.example" if chance.random() < 0.85 else None
        messages.append(record(chance.choice("ab"), id=number, email=email, title="Buyer"))
        if number % 7 == 0:
            messages.append(state({"at": number}))
    gathered = run_singer(messages, settings | {"results_path": str(tmp_path / "gathered")} | changed)
    monkeypatch.setattr(singer_messages, "_together", iter)
    singly = run_singer(messages, settings | {"results_path": str(tmp_path / "singly")} | changed)
    names = ["record_no", "stream", "status", "reason", "winner_record_no", "list_type", "record_key"]
    assert gathered.rows.select(names).to_pylist() == singly.rows.select(names).to_pylist()
    assert gathered.states[-1:] == singly.states[-1:]
    assert gathered.summary.statuses == singly.summary.statuses
    assert bool(gathered.summary.left) is bool(singly.summary.left)  # of what was read together some more is left
    sizes = [Counter((one["stream"], one["lead_count"]) for one in ran.summary.lists) for ran in (gathered, singly)]
    assert sizes[0] == sizes[1]
    assert type(gathered.error) is type(singly.error)


def test_checking_records_by_type_changes_no_row(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = schema("contacts", "email", "age")
    declared["schema"]["properties"] |= {
        "email": {"type": ["null", "string"]},
        "age": {"type": "integer", "minimum": 18},
    }
    odd: list[dict[str, Any]] = [{"age": 17}, {"age": 40.0}, {"age": "40"}, {"email": 5}, {"note": float("nan")},
        {"note": "x\ud800"}, {"email": "x\ud800"}, {"note": "of no schema"}, {"age": True}]  # fmt: skip
    sound = [{"id": n, "email": f"p{n}@acme.example", "age": 40} for n in range(60)]
    messages = [declared, *(record("contacts", **row) for row in sound)]
    messages += [record("contacts", **(row | other)) for row, other in zip(sound, odd, strict=False)]
    changed = {"validate_records": True}
    typed = run_singer(messages, settings | changed | {"results_path": str(tmp_path / "typed")})
    monkeypatch.setattr(validation, "decoder_of", lambda *_: None)
    singly = run_singer(messages, settings | changed | {"results_path": str(tmp_path / "singly")})
    names = ["record_no", "status", "reason", "field", "winner_record_no", "record"]
    assert typed.rows.select(names).to_pylist() == singly.rows.select(names).to_pylist()
    reasons = Counter(typed.rows["reason"].to_pylist())
    assert reasons == {
        None: 60,
        "schema_violation": 4,
        "invalid_json_number": 1,
        "invalid_json_text": 2,
        "duplicate_in_run": 2,
    }


def test_a_record_without_its_key_among_streams_that_take_turns_settles_what_came_before(run: Any) -> None:
    messages = [schema("a", "email"), schema("b", "email")]
    messages += [record("ab"[n % 2], id=n, email=f"p{n}@acme.example") for n in range(7)]
    messages += [state({"at": 7}), record("a", email="x@acme.example"), record("b", id=9), state({"at": 9})]
    ran = run(messages)
    assert isinstance(ran.error, InputError)
    assert "line 11" in str(ran.error)
    assert ran.statuses == ["accepted"] * 7
    assert ran.states == ['{"at": 7}']


@pytest.mark.step("D8")
def test_a_state_leaves_when_the_rows_of_records_that_go_into_no_list_are_on_disk(settings: dict[str, Any]) -> None:
    seen: list[int] = []

    def emit(_: bytes) -> None:
        seen.append(read_results(settings["results_path"]).num_rows)

    def read(stop: Any, expected: Any) -> Any:
        lines = as_bytes([schema("people", "title"), *(record("people", id=n) for n in range(3)), state({"at": 3})])
        return read_messages(read_lines(io.BytesIO(lines), stop, idle_s=0.01), Counter(), expected)

    execute(read_settings(settings), Input(read, emit), report=lambda _: None)
    assert seen == [3]
