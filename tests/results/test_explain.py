"""`explain`: a change is printed with the count that it really repairs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.config import read_settings
from target_amplemarket.results.explain import Explainer, Explanation, merged_mapping, rejected_of
from target_amplemarket.results.explained import explanation_json, explanation_lines
from target_amplemarket.services import intake_of
from tests.harness import Ran, leads_of, record, schema
from tests.results.dirty import LEADS, REJECTED, REPAIRED_PEOPLE, REPAIRED_RECORDS, dirty_export, profile

Run = Callable[..., Ran]


def explained(ran: Ran, *, list_type: str = "auto", **changed: Any) -> Explanation:
    taken = intake_of(read_settings({"api_key": "k", "owner": "o", "list_type": list_type}))
    return Explainer(ran.results_path, changed.pop("run", "last"), rejected_of(), taken, **changed).explain()


def text_of(found: Explanation, *, show_values: bool = False, mapping: dict[str, Any] | None = None) -> str:
    return "\n".join(explanation_lines(found, mapping or {}, show_values=show_values))


def accepted(ran: Ran) -> int:
    return ran.statuses.count("accepted")


def test_rejected_records_are_grouped_by_cause_with_counts_and_examples(run: Run) -> None:
    found = explained(run(dirty_export()))
    causes = {(g.cause.reason, g.cause.field, g.cause.detail): g.count for g in found.groups}
    assert causes == {
        ("no_identity", None, "no LinkedIn URL, no e-mail, no title with a company"): 5,
        ("linkedin_url_invalid", "linkedin_url", "company_page"): 4,
        ("email_invalid", "email", "bad_domain"): 3,
        ("linkedin_url_invalid", "linkedin_url", "opaque_member_id"): 1,
        ("email_invalid", "email", "no_at_sign"): 1,
    }
    assert found.count == REJECTED
    assert [example.record_no for example in found.groups[0].examples] == [10, 11, 12]


def test_every_printed_change_sends_just_as_many_more_as_it_says(run: Run, tmp_path: Path) -> None:
    first = run(dirty_export())
    found = explained(first)
    changes = [group.repair for group in found.groups if group.repair] + found.repairs
    assert len(changes) == 5
    for number, change in enumerate(changes):
        mapping = {"field_mapping": merged_mapping({}, [change])}
        again = run(dirty_export(), **mapping, results_path=str(tmp_path / f"new{number}"))
        assert accepted(again) == LEADS + change.people, change.sources
        assert change.people > 0
    together = {"field_mapping": merged_mapping({}, found.repairs)}
    again = run(dirty_export(), **together)
    assert accepted(again) == REPAIRED_PEOPLE
    assert (found.repairs[0].count, found.repairs[0].people) == (REPAIRED_RECORDS, REPAIRED_PEOPLE)
    assert again.statuses.count("rejected") == REJECTED - REPAIRED_RECORDS


def test_no_change_is_about_the_owner_of_an_account(run: Run, sandbox: Any) -> None:
    found = explained(run(dirty_export()))
    assert "Owner" not in text_of(found)
    run(dirty_export(), field_mapping=merged_mapping({}, found.repairs))
    assert not [lead for lead in leads_of(sandbox) if "rep@" in str(lead) or "the-rep" in str(lead)]


def test_an_address_that_most_records_share_is_nobodys(run: Run) -> None:
    rows = [record("contacts", id=n, central="office@acme.example") for n in range(8)]
    found = explained(run([schema("contacts", "Email"), *rows]))
    assert found.repairs == []
    assert "no change of the mapping repairs it" in text_of(found)


def test_people_sent_before_are_no_gain(run: Run) -> None:
    people = [record("crm", id=n, linkedin_url=profile(n)) for n in range(3)]
    run([schema("crm", "linkedin_url"), *people])
    found = explained(run(dirty_export()))
    assert found.repairs[0].count == REPAIRED_RECORDS
    assert found.repairs[0].people == REPAIRED_PEOPLE - 3


def test_the_change_is_put_into_the_mapping_that_the_settings_have(run: Run) -> None:
    mapping = {"*": {"title": "Rank"}, "contacts": {"email": ["Mail", "Email"]}}
    ran = run(dirty_export(), field_mapping=mapping)
    found = explained(ran, field_mapping={"*": {"title": ("Rank",)}, "contacts": {"email": ("Mail", "Email")}})
    [change] = found.repairs
    assert change.sources["email"] == ("Mail", "Email", "custom.mail_privat")
    assert change.sources["title"] == ("Rank", "Funktion")
    merged = merged_mapping(mapping, [change])
    assert merged["*"] == {"title": "Rank"}
    assert text_of(found, mapping=mapping).count('"*"') >= 1
    json.loads("\n".join(text_of(found, mapping=mapping).split("not sent yet:\n")[-1].splitlines()[:-3]))


def test_each_change_in_the_text_is_json_that_can_be_pasted(run: Run) -> None:
    lines = text_of(explained(run(dirty_export()))).splitlines()
    blocks, block = [], ""
    for line in [*lines, ""]:
        if line.startswith("     "):
            block += line
        elif block:
            blocks.append(json.loads(block)["field_mapping"]["contacts"])
            block = ""
    assert len(blocks) == 5
    assert all(len(line) <= 80 for line in lines)


def test_values_are_shown_only_when_asked_for(run: Run) -> None:
    found = explained(run(dirty_export()))
    values = ("jane-1-doe", "@beta.example", "broken", "rep@", "Beta 0")
    for text in (text_of(found), explanation_json(found, {}, show_values=False)):
        assert not [value for value in values if value in text]
    assert "mail_privat" in text_of(found), "names of members are no values"
    assert "person0@beta.example" in text_of(found, show_values=True)
    assert "person0@beta.example" in explanation_json(found, {}, show_values=True)


def test_a_key_that_is_an_address_is_a_value(run: Run) -> None:
    rows = [record("contacts", id="canary@acme.example", note="x")]
    found = explained(run([schema("contacts", "note"), *rows]))
    for text in (text_of(found), explanation_json(found, {}, show_values=False)):
        assert "canary" not in text
    assert "canary@acme.example" in text_of(found, show_values=True)


def test_without_kept_records_it_says_that_nothing_can_be_looked_at(run: Run) -> None:
    found = explained(run(dirty_export(), results_record="none"))
    assert found.repairs == []
    assert found.count == REJECTED
    assert " ".join(text_of(found).split()).count("nothing can be looked at (`results_record` was `none`)") == 5


def test_a_newer_row_of_the_same_record_settles_the_older(run: Run) -> None:
    run(dirty_export())
    repaired = run(dirty_export(), field_mapping={"contacts": {"linkedin_url": ["LinkedIn__c", "Notes_Profile"]}})
    found = explained(repaired, run="all")
    assert Counter(g.cause.reason for g in found.groups for _ in range(g.count)) == {
        "no_identity": 5, "email_invalid": 3, "linkedin_url_invalid": 1,
    }  # fmt: skip


def test_a_plan_settles_nothing_and_is_explained_when_it_is_named(run: Run) -> None:
    run(dirty_export())
    mapping = {"contacts": {"linkedin_url": ["LinkedIn__c", "Notes_Profile"]}}
    ran = run(dirty_export(), field_mapping=mapping, dry_run=True)
    assert explained(ran, run="all").count == REJECTED
    assert explained(ran).count == REJECTED - 5


@pytest.mark.parametrize("list_type", ["linkedin", "email"])
def test_a_list_type_takes_only_changes_that_it_can_use(run: Run, list_type: str) -> None:
    ran = run(dirty_export(), list_type=list_type)
    [change] = explained(ran, list_type=list_type).repairs
    assert list(change.sources) == ["linkedin_url" if list_type == "linkedin" else "email"]
    again = run(dirty_export(), list_type=list_type, field_mapping=merged_mapping({}, [change]))
    assert accepted(again) == change.people


def test_nothing_rejected_is_said(run: Run) -> None:
    ran = run([schema("contacts", "email"), record("contacts", id=1, email="a@acme.example")])
    assert text_of(explained(ran)) == "no rejected record is open"


def test_settings_that_have_changed_since_are_what_counts(run: Run) -> None:
    ran = run(dirty_export())
    [change] = explained(ran).repairs
    found = explained(ran, field_mapping={"contacts": change.sources})
    assert [(each.count, each.people, each.sources) for each in found.repairs] == [
        (REPAIRED_RECORDS, REPAIRED_PEOPLE, {})
    ]
    text = text_of(found)
    assert text.count("the settings as they are now repair") == 4
    assert text.count("no change of the mapping repairs it") == 1, "of the opaque id"
    assert 'field_mapping":' not in text_of(found)


def test_people_who_must_not_be_sent_are_no_gain(run: Run, settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "never.csv").write_text("domain\nbeta.example\n")
    changed = {"suppression_file": str(tmp_path / "never.csv")}
    ran = run(dirty_export(), **changed)
    found = explained(ran, settings=read_settings(settings | changed))
    assert (found.repairs[0].count, found.repairs[0].people) == (REPAIRED_RECORDS, REPAIRED_PEOPLE - 3)
    again = run(dirty_export(), **changed, field_mapping=merged_mapping({}, found.repairs))
    assert accepted(again) == REPAIRED_PEOPLE - 3
