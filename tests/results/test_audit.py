"""`audit`: everybody who was sent more than once is named, and nobody else."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.config import read_settings
from target_amplemarket.errors import SettingsError
from target_amplemarket.leads.intake import Intake, Route
from target_amplemarket.leads.map_block import Rules
from target_amplemarket.lists.credits import prices_of
from target_amplemarket.results.audit import Audit, audit, audit_json, audit_lines
from target_amplemarket.results.ledger import compared_key
from target_amplemarket.results.older_lists import OlderList, comparable
from target_amplemarket.services import intake_of
from tests.harness import Ran, contacts, record, schema

Run = Callable[..., Ran]
ALL_ON = {"enrich": True, "validate_email": True, "reveal_phone_numbers": True}
SETTINGS = read_settings({"api_key": "k", "owner": "o", **ALL_ON})
PRICES = prices_of(SETTINGS)


def write(path: Path, header: list[str], rows: Iterable[list[str]], *, encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])
    return path


def audited(*files: Path, results: Path | None = None) -> Audit:
    rules = Rules(comparable(intake_of(SETTINGS)), False, compared_key(results or Path("there-is-none")))
    return audit(results, [OlderList(path, rules) for path in files], PRICES)


def rows_of(found: Audit) -> set[tuple[int, ...]]:
    return {tuple(send.record_no for send in sends) for sends in found.people}


def url(name: str) -> str:
    return f"https://www.linkedin.com/in/{name}"


def test_planted_duplicates_in_a_made_up_history_are_all_found_and_no_others(tmp_path: Path) -> None:
    rng = random.Random(7)
    people = [(f"slug-{n}", f"p{n}@acme.example") for n in range(3_000)]
    rows: list[tuple[int | None, list[str]]] = [(None, [url(slug), mail]) for slug, mail in people]
    for n in rng.sample(range(3_000), 100):
        slug, mail = people[n]
        form = rng.choice(
            [[f"http://uk.linkedin.com/in/{slug.upper()}/?x=1", ""], ["", mail.upper()], [url(slug), "x@y.example"]]
        )
        rows.append((n, form))
    rng.shuffle(rows)
    lists = [write(tmp_path / f"list {n}.csv", ["LinkedIn URL", "Email"], [r for _, r in rows[n::3]]) for n in range(3)]
    found = audited(*lists)
    assert (found.sends, len(found.people), found.too_many) == (3_100, 100, 100)


CASES = {
    "the same profile": ([[url("jane-doe"), "a@x.example"], [url("JANE-doe/"), "b@x.example"]], {(1, 2)}),
    "the same e-mail": ([["", "a@x.example"], ["", "A@X.example "]], {(1, 2)}),
    "an e-mail that two profiles share": ([[url("jane"), "i@x.example"], [url("john"), "i@x.example"]], set()),
    "joined by a third": ([[url("jane"), ""], [url("jane"), "a@x.example"], ["", "a@x.example"]], {(1, 2, 3)}),
    "nobody": ([["", ""], ["", ""], ["n/a", "-"]], set()),
    "three times": ([["", "a@x.example"]] * 3, {(1, 2, 3)}),
    "a shared mailbox goes with the first": (
        [[url("jane"), "i@x.example"], [url("john"), "i@x.example"], ["", "i@x.example"]], {(1, 3)},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "wanted"), CASES.values(), ids=CASES)
def test_people_are_told_apart_as_a_run_does_it(
    tmp_path: Path, rows: list[list[str]], wanted: set[tuple[int, ...]]
) -> None:
    assert rows_of(audited(write(tmp_path / "a.csv", ["linkedin", "work email"], rows))) == wanted


def test_title_and_company_count_only_beside_nothing_else(tmp_path: Path) -> None:
    header = ["Title", "Company", "Email"]
    rows = [["CTO", "Acme", ""], ["cto", "ACME", ""], ["CTO", "Acme", "a@x.example"], ["CTO", "Acme", "b@x.example"]]
    assert rows_of(audited(write(tmp_path / "a.csv", header, rows))) == {(1, 2)}


def test_the_apis_own_id_is_one_person_whatever_else_differs_and_parts_a_shared_mailbox(tmp_path: Path) -> None:
    by_id = Intake(("person_id",), (Route("ids", (("person_id",),)),), id_field="person_id")
    rules = Rules(comparable(by_id), False, bytes(32))
    header = ["lance_id", "Email"]
    rows = [["i1", "a@x.example"], ["i1", "b@x.example"], ["i2", "c@x.example"], ["i3", "c@x.example"], ["i4", ""]]
    file = write(tmp_path / "a.csv", header, [*rows, ["", "c@x.example"]])
    assert rows_of(audit(None, [OlderList(file, rules)], PRICES)) == {(1, 2), (3, 6)}


def test_results_and_older_lists_are_compared(run: Run, tmp_path: Path) -> None:
    ran = run(contacts(3))
    assert audited(results=ran.results_path).people == []
    older = write(tmp_path / "Spring 2024.csv", ["Email"], [["person2@acme.example"], ["else@acme.example"]])
    found = audited(older, results=ran.results_path)
    [(old, new)] = found.people
    assert (old.list_name, old.run_id, old.record_no) == ("Spring 2024", None, 1)
    assert (new.run_id, new.record_no, new.record_key) == (ran.summary.run_id, 2, '{"id":2}')
    assert (found.worst.email, found.worst.phone) == (2.5, 1.0)
    for text in ("\n".join(audit_lines(found, PRICES)), audit_json(found)):
        assert "person2@" not in text
        assert "Spring 2024" in text


def test_runs_that_sent_each_version_are_found(run: Run) -> None:
    rows = [record("crm", id=1, email="a@x.example", title=title) for title in ("CTO", "CEO")]
    ran = run([schema("crm", "email", "title"), *rows], load_method="append-only")
    assert rows_of(audited(results=ran.results_path)) == {(1, 2)}


def test_the_export_of_a_list_that_the_results_know_counts_once(run: Run, tmp_path: Path) -> None:
    ran = run(contacts(2))
    [name] = set(ran.column("list_name"))
    older = write(tmp_path / "x.csv", ["List name", "Email"], [[name, "person1@acme.example"]])
    assert audited(older, results=ran.results_path).people == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_files_as_spreadsheets_write_them(tmp_path: Path, delimiter: str) -> None:
    text = f'Name{delimiter}E-Mail\r\n"Doe, Jane\nII"{delimiter}a@x.example\r\n"x"{delimiter}"a@x.example"\r\n'
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("E-Mail", "Email").encode())
    assert rows_of(audited(tmp_path / "a.csv")) == {(1, 2)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is no CSV file in UTF-8 with a header"),
        ("Email\nm\xfcller@x.example\n".encode("latin-1"), "is no CSV file in UTF-8 with a header"),
        (b"Email,Title\na@x.example\n", "is no CSV file in UTF-8 with a header"),
        (b"First,Last\nJane,Doe\n", "has no column that is known"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SettingsError, match=says) as caught:
        audited(tmp_path / "a.csv")
    assert "x.example" not in str(caught.value)


def test_as_a_command(run: Run, tmp_path: Path) -> None:
    ran = run(contacts(3))

    def shell(*words: str) -> tuple[int, str, str]:
        program = [sys.executable, "-m", "target_amplemarket", "audit", *words]
        done = subprocess.run(program, capture_output=True, timeout=60, check=False, cwd=tmp_path)
        assert b"Traceback" not in done.stderr
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    code, out, _ = shell("--results-path", str(ran.results_path))
    assert (code, out) == (0, "3 leads looked at\nnobody was sent more than once\n")
    older = write(tmp_path / "old.csv", ["Email"], [["person1@acme.example"], ["person1@acme.example"]])
    code, out, err = shell("--csv", str(older), "--format", "json")
    assert code == 5
    assert err.splitlines()[-1] == "target-amplemarket: sent more than once: 1 person"
    assert json.loads(out)["sends_too_many"] == 1
    assert not (tmp_path / "amplemarket-results").exists(), "looking makes nothing"
    assert shell()[0] == shell("--results-path", "nowhere", "--csv", str(older))[0] == 8
    assert json.loads(shell("--results-path", str(ran.results_path), "--csv", str(older), "--format", "json")[1])[
        "sends_too_many"
    ] == 2  # fmt: skip


def test_nothing_of_a_person_is_in_an_object_that_is_shown(tmp_path: Path) -> None:
    found: Any = audited(write(tmp_path / "a.csv", ["Email"], [["canary@x.example"]] * 2))
    assert "canary" not in repr(found)
