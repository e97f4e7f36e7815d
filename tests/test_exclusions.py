"""Who is excluded, by the account or by a suppression file, is in no request, and never becomes somebody known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from target_amplemarket.errors import ApiUnreachable, RefusedByApi, SettingsError
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import leads_of, record, schema, state

PEOPLE = [
    schema("contacts", "email", "linkedin_url", "title", "company_domain"),
    record("contacts", id=1, email="Ann@Buyer.example"),
    record("contacts", id=2, email="bob@rival.example"),
    record("contacts", id=3, email="cem@mail.Rival.example"),
    record("contacts", id=4, email="dora@notrival.example"),
    record("contacts", id=5, linkedin_url="linkedin.com/in/eva-mok", company_domain="https://www.rival.example/"),
    record("contacts", id=6, title="CEO", company_domain="free.example"),
    state({"at": 6}),
]
PATHS = {"domains": "/excluded-domains", "emails": "/excluded-emails"}


def exclude(sandbox: RunningSandbox, kind: str, *values: str) -> None:
    for value in values:
        assert sandbox._on_loop(lambda value=value: sandbox._world.api("amplemarket").exclude(kind, value, 0.0))


def reasons(ran: Any) -> list[str | None]:
    return ran.column("reason")


@pytest.fixture
def excluding(sandbox: RunningSandbox) -> RunningSandbox:
    exclude(sandbox, "email", "ann@buyer.example")
    exclude(sandbox, "domain", "rival.example")
    return sandbox


def test_excluded_people_are_in_no_request_and_each_has_a_row_that_says_why(run: Any, excluding: Any) -> None:
    ran = run(PEOPLE)
    assert ran.error is None
    assert {lead.get("email") or lead.get("title") for lead in leads_of(excluding)} == {"dora@notrival.example", "CEO"}
    assert reasons(ran) == ["excluded_email", "excluded_domain", "excluded_domain", None, "excluded_domain", None]
    assert ran.statuses == ["excluded"] * 3 + ["accepted", "excluded", "accepted"]
    assert ran.column("field")[:5] == ["email", "email", "email", None, "company_domain"]
    assert ran.states == ['{"at": 6}']
    fingerprints = ran.rows.filter(pa.array([word == "excluded" for word in ran.statuses]))
    assert fingerprints.column("email_fingerprint").null_count == 4


def test_a_domain_excludes_by_the_company_only_where_the_settings_say_so(run: Any, excluding: Any) -> None:
    ran = run(PEOPLE, exclude_company_domains=False)
    assert reasons(ran)[4] is None
    assert reasons(ran)[:3] == ["excluded_email", "excluded_domain", "excluded_domain"]


def test_an_excluded_person_is_not_known_and_is_sent_once_the_exclusion_ends(run: Any, excluding: Any) -> None:
    run(PEOPLE)
    for values in excluding._world.api("amplemarket").excluded.values():
        excluding._on_loop(values.clear)
    again = run(PEOPLE)
    assert again.statuses == ["accepted"] * 3 + ["duplicate", "accepted", "duplicate"]


def test_lists_are_read_once_before_the_first_post_and_by_an_empty_run_never(run: Any, excluding: Any) -> None:
    run([PEOPLE[0], state({"at": 0})])
    assert excluding.requests() == []
    run(PEOPLE, batch_size_rows=1)
    asked = [request.path.partition("?")[0] for request in excluding.requests()]
    first_post = asked.index("/lead-lists")
    for path in PATHS.values():
        assert asked.count(path) == 1
        assert asked.index(path) < first_post


def test_all_pages_are_read(run: Any, excluding: RunningSandbox) -> None:
    excluding.set(exclusion_page_size=2)
    exclude(excluding, "domain", *(f"other{number}.example" for number in range(5)), "notrival.example")
    ran = run(PEOPLE)
    assert reasons(ran)[3] == "excluded_domain"
    assert ran.summary.requests["GET /excluded-domains"] == 4


@pytest.mark.parametrize("path", PATHS.values())
@pytest.mark.parametrize(("fault", "error"), [
    ("server_error:status=403", RefusedByApi), ("server_error:status=404", RefusedByApi), ("not_json", ApiUnreachable),
])  # fmt: skip
def test_lists_that_cannot_be_read_stop_the_run_before_anything_is_sent(
    run: Any, excluding: RunningSandbox, path: str, fault: str, error: type
) -> None:
    excluding.set(faults=[fault_at(fault, path)])
    ran = run(PEOPLE)
    assert type(ran.error) is error
    assert ran.error.exit_code == 4
    assert "nothing was sent" in str(ran.error)
    assert "`exclusions` to `try`" in str(ran.error)
    assert path in str(ran.error)
    assert leads_of(excluding) == []
    assert ran.states == []


def fault_at(fault: str, path: str) -> str:
    return f"{fault}{',' if ':' in fault else ':'}endpoint=GET {path}"


def test_try_goes_on_without_the_lists_and_says_so(
    run: Any, excluding: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    excluding.set(faults=[fault_at("server_error:status=403", "/excluded-domains")])
    ran = run(PEOPLE, exclusions="try")
    assert ran.error is None
    assert ran.statuses == ["accepted"] * 6
    assert [r for r in caplog.records if r.levelname == "WARNING" and "as `exclusions: try` says" in r.getMessage()]


def test_off_asks_for_nothing(run: Any, excluding: RunningSandbox) -> None:
    ran = run(PEOPLE, exclusions="off")
    assert ran.statuses == ["accepted"] * 6
    assert not any("excluded" in name for name in ran.summary.requests)


# --- The suppression file ---------------------------------------------------------------------------------------------

LISTED = {
    "Work Email": ["ANN@buyer.example", None, "no address", "@rival.example"],
    "LinkedIn": [None, "https://www.linkedin.com/in/Eva-Mok/?x=1", None, None],
    "Notes": ["a", "b", "c", "d"],
}


def write_csv(path: Path, table: pa.Table) -> None:
    pyarrow.csv.write_csv(table, path)


def write_stream(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)


def write_file(path: Path, table: pa.Table) -> None:
    pyarrow.feather.write_feather(table, path)


@pytest.mark.parametrize(("name", "write"), [
    ("people.csv", write_csv),
    ("people.parquet", lambda path, table: pyarrow.parquet.write_table(table, path, row_group_size=1)),
    ("people.feather", write_file), ("people.arrow", write_stream),
])  # fmt: skip
def test_a_suppression_file_in_any_form_excludes_whom_it_names(
    run: Any, sandbox: RunningSandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, write: Any
) -> None:
    write(tmp_path / name, pa.table(LISTED))
    ran = run(PEOPLE, suppression_file=str(tmp_path / name), exclusions="off")
    assert reasons(ran) == ["suppressed", "suppressed", "suppressed", None, "suppressed", None]
    assert ran.column("field")[4] == "linkedin_url"
    assert {lead.get("email") for lead in leads_of(sandbox)} == {"dora@notrival.example", None}
    said = [record.getMessage() for record in caplog.records if "suppression file" in record.getMessage()]
    assert "1 e-mails, 1 domains, 1 LinkedIn profiles, from the columns `Work Email`, `LinkedIn`" in said[0]
    assert "1 rows or cells" in said[1]


def test_rows_of_a_csv_that_cannot_be_read_are_counted_and_the_others_count(
    run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(
        b"\xef\xbb\xbfemail,domain\nann@buyer.example,\nsurplus,1,2\n\xff\xfe@x.example,\n,RIVAL.example.\n"
    )
    ran = run(PEOPLE, suppression_file=str(path), exclusions="off")
    assert reasons(ran)[:3] == ["suppressed"] * 3
    assert "2 rows or cells" in caplog.text


@pytest.mark.parametrize(("name", "content", "says"), [
    ("gone.csv", None, "is not there"),
    ("people.xlsx", b"PK", "has an ending"),
    ("people.csv", b"name,city\nAnn,Bonn\n", "has no column"),
    ("people.csv", b"ann@buyer.example\nbob@rival.example\n", "first row of a CSV file holds the names"),
    ("people.csv", b"email,email\na@b.example,c@d.example\n", "more than one column"),
    ("people.csv", b"", "is damaged, empty"),
    ("people.parquet", b"PAR1 no parquet", "is damaged"),
    ("people.arrow", b"ARROW1 no arrow", "is damaged"),
])  # fmt: skip
def test_a_file_that_says_nothing_stops_the_run_before_anything_is_read_or_sent(
    run: Any, sandbox: RunningSandbox, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=says) as stopped:
        run(PEOPLE, suppression_file=str(tmp_path / name))
    assert stopped.value.exit_code == 2
    assert sandbox.requests() == []
    assert "@" not in str(stopped.value)
