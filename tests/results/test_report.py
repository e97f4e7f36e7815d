"""The report: its sums are the books', nothing from outside runs or is loaded, and no value of a record is on it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from target_amplemarket.errors import StorageError
from target_amplemarket.results.report import render_report, write_report
from target_amplemarket.results.report.facts import MOST_MOMENTS, ReportedList, _timeline, find_run, timeline
from target_amplemarket.results.report.flow import flow_of
from target_amplemarket.results.report.page import report_page, safe_link
from target_amplemarket.storage.durable import Folder
from tests.harness import Ran, contacts, record, schema
from tests.results.reported import HOSTILE, mixed_messages

Run = Callable[..., Ran]


_NAME_ENDS = re.compile(r"\n| (?=(?:accepted|rejected|duplicate)\b)")


class Parsed(HTMLParser):
    """Elements, attributes, texts of table rows, and texts by enclosing element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in {"meta", "br"}:
            self._open.append(tag)
        if tag == "br" and self.rows:
            self.rows[-1][-1] += "\n"
        if tag == "tr":
            self.rows.append([])
        if tag in {"th", "td"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self._open and self._open[-1] not in {"style", "title", "desc"}:
            self.text += text
        if {"th", "td"} & set(self._open):
            self.rows[-1][-1] += text

    def row(self, first: str) -> list[str]:
        """Cells after the one that names this."""
        [found] = [row[1:] for row in self.rows if row and _NAME_ENDS.split(row[0].strip())[0] == first]
        return [cell.strip() for cell in found]


def page_of(ran: Ran) -> str:
    return render_report(ran.results_path, "last")[1]


def test_sums_on_the_page_are_those_of_the_books(run: Run) -> None:
    ran = run(mixed_messages(), batch_size_rows=300)
    summary, parsed = ran.summary, Parsed(page_of(ran))
    figures = dict(re.findall(r"<li[^>]*><b>([\d,]+)</b><span>([a-z ]+)</span>", page_of(ran)))
    read = {name: int(count.replace(",", "")) for count, name in figures.items()}
    assert read == {"read": summary.records} | summary.statuses
    statuses = [name for name in ("accepted", "duplicate", "rejected") if name in summary.statuses]
    for stream, counts in summary.streams.items():
        wanted = [counts["records"], *(counts["statuses"].get(name, 0) for name in statuses)]
        assert parsed.row(stream) == [f"{count:,}" for count in wanted]
    for reasons in summary.reasons.values():
        for reason, count in reasons.items():
            assert parsed.row(reason) == [f"{count:,}"]
    for entry in summary.lists:
        assert parsed.row(entry["name"]) == [f"{entry['lead_count']:,}"]
    assert sum(entry["lead_count"] for entry in summary.lists) == summary.statuses["accepted"]


def test_the_flow_loses_no_record_between_its_columns(run: Run) -> None:
    ran = run(mixed_messages(), batch_size_rows=100)  # more lists than are shown one by one
    flow = flow_of(find_run(ran.results_path, "last"))
    columns = [sum(flow.count((column, name)) for name in flow.columns[column]) for column in range(3)]
    assert columns == [ran.summary.records] * 3
    for status, count in ran.summary.statuses.items():
        assert flow.count((1, status)) == count
    assert any(name.endswith("other lists (accepted)") for name in flow.columns[2])


def test_rows_over_time_end_at_the_books(run: Run) -> None:
    ran = run(mixed_messages())
    times = timeline(ran.results_path, find_run(ran.results_path, "last"))
    assert {status: counts[-1] for status, counts in times.recorded.items()} == ran.summary.statuses
    assert all(list(counts) == sorted(counts) for counts in times.recorded.values())
    assert {len(counts) for counts in times.recorded.values()} == {len(times.moments_s)}


def test_a_long_run_is_told_in_few_steps_that_lose_no_row() -> None:
    counts = Counter({(1_000 + second, "accepted"): second for second in range(3_600)})
    counts[1_500, "rejected"] = 7
    counts[999, "held"] = 1  # a clock that was set back
    times = _timeline(counts, 1_000.0)
    assert len(times.moments_s) == MOST_MOMENTS + 1
    assert times.moments_s[-1] == pytest.approx(3_599)
    assert list(times.recorded) == ["accepted", "rejected", "held"]
    assert times.recorded["accepted"][-1] == sum(range(3_600))
    assert times.recorded["rejected"] == [0] * 4 + [7] * (MOST_MOMENTS - 3)
    assert times.row_count == counts.total()


def test_names_from_outside_are_text_and_nothing_is_loaded(run: Run) -> None:
    page = page_of(run(mixed_messages()))
    parsed = Parsed(page)
    assert HOSTILE in parsed.text
    assert not {"script", "img", "iframe", "object", "embed", "link", "form", "base"} & set(parsed.tags)
    names = {name for _, name, _ in parsed.attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "srcset", "action", "data"}}
    links = [value for _, name, value in parsed.attributes if name.endswith("href")]
    assert links
    assert all(link == "#main" or link.startswith("https://app.amplemarket.com/") for link in links)
    assert "url(" not in page
    assert "@import" not in page
    [policy] = [value for tag, name, value in parsed.attributes if tag == "meta" and "default-src" in value]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")


@pytest.mark.parametrize(
    ("url", "is_kept"),
    [
        ("https://app.amplemarket.com/lead-lists/1", True),
        ("http://app.amplemarket.com/lead-lists/1", False),
        ("https://amplemarket.com.evil.example/", False),
        ("https://evilamplemarket.com/", False),
        ("https://app.amplemarket.com@evil.example/", False),
        ("https://user@app.amplemarket.com/", False),
        ("https://app.amplemarket.com:8443/", False),
        ("https://app.amplemarket.com:x/", False),
        ("javascript:alert(1)//app.amplemarket.com", False),
        (None, False),
    ],
)
def test_only_the_services_own_addresses_become_links(url: str | None, *, is_kept: bool) -> None:
    entry = ReportedList("contacts", "contacts", "email", 1, "accepted", "id", url)
    assert (safe_link(entry, "amplemarket") is not None) is is_kept
    assert safe_link(entry, "another service") is None


def test_no_value_of_a_record_and_no_key_is_on_the_page(run: Run) -> None:
    page = page_of(run(mixed_messages(), results_record="all"))
    for value in ("@acme.example", "@north.example", "not an address", "Buyer", "sandbox-key", "ann@", "dana@"):
        assert value not in page


def test_repairs_stand_with_their_reasons(run: Run, settings: dict[str, Any]) -> None:
    people = [record("fair", id=n, reach_me=f"ann{n}@fair.example") for n in range(6)]
    ran = run([schema("fair", "reach_me"), *people, record("fair", id=7)], report=True)
    page = (ran.results_path / "reports" / f"{ran.summary.run_id}.html").read_text()
    assert ran.summary.statuses == {"rejected": 7}
    assert "In field_mapping of stream fair, email: reach_me makes leads of 6 of these:" in page
    assert "@fair.example" not in page
    assert "field_mapping" not in page_of(ran), "without settings there is nothing to look for"


def test_texts_of_repairs_are_escaped(run: Run) -> None:
    ran = run(mixed_messages())
    found = find_run(ran.results_path, "last")
    page = report_page(
        found, timeline(ran.results_path, found), {("rejected", "email_invalid"): "map <another> column"}
    )
    assert "map &lt;another&gt; column" in page


def test_a_page_has_one_heading_landmarks_and_named_tables_and_charts(run: Run) -> None:
    page = page_of(run(mixed_messages()))
    parsed = Parsed(page)
    assert [parsed.tags.count(tag) for tag in ("h1", "header", "main", "footer")] == [1, 1, 1, 1]
    assert parsed.tags.count("caption") == parsed.tags.count("table")
    assert all(
        any(name == "scope" for name in re.findall(r" (\w+)=", head)) for head in re.findall(r"<th [^>]*>", page)
    )
    assert "<th>" not in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        title, text = re.findall(r'aria-labelledby="(\S+) (\S+)"', svg)[0]
        assert f'<title id="{title}">' in svg
        assert f'<desc id="{text}">' in svg
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_setting_writes_the_report_of_a_run_however_it_ended(run: Run) -> None:
    ran = run(contacts(3), report=True)
    page = (ran.results_path / "reports" / f"{ran.summary.run_id}.html").read_text()
    assert "3 of 3 records accepted" in page
    assert (ran.results_path / "reports" / f"{ran.summary.run_id}.html").stat().st_mode & 0o777 == 0o600
    broken = run([*contacts(2), {"type": "RECORD", "stream": "nowhere", "record": {}}], report=True)
    assert broken.error is not None
    page = (broken.results_path / "reports" / f"{broken.summary.run_id}.html").read_text()
    assert "exit code 3" in page


def test_without_the_setting_there_is_none(run: Run) -> None:
    assert not (run(contacts(1)).results_path / "reports").exists()


def test_a_report_that_cannot_be_written_never_fails_the_run(
    run: Run, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(settings["results_path"])
    run(contacts(1))
    (folder / "reports").write_text("in the way")
    ran = run(contacts(2), report=True)
    assert (ran.error, ran.summary.exit_code) == (None, 0)
    assert "there is no report of this run" in caplog.text


def test_report_of_a_run_that_read_nothing_or_was_killed(run: Run) -> None:
    ran = run([])
    assert "No record was read." in page_of(ran)
    document = ran.results_path / "runs" / f"{ran.summary.run_id}.json"
    summary = msgspec.json.decode(document.read_bytes()) | {"exit_code": None, "ended_at": None, "rows": 5}
    document.write_bytes(msgspec.json.encode(summary))
    assert "under way, or killed" in page_of(ran)
    assert "The result files hold 0 rows, the books of the run count 5: the run is under way, or was killed" in page_of(
        ran
    )


def test_a_run_is_found_by_its_id_only(run: Run) -> None:
    ran = run(contacts(1))
    assert render_report(ran.results_path, ran.summary.run_id)[0] == ran.summary.run_id
    for name in ("nothing", "../key", ""):
        with pytest.raises(StorageError, match="there is no run"):
            render_report(ran.results_path, name)
    assert write_report(Folder(ran.results_path), "last").name == f"{ran.summary.run_id}.html"


def test_cost_stands_against_its_ceiling(run: Run) -> None:
    parsed = Parsed(page_of(run(contacts(4), validate_email=True, max_email_credits_per_run=50)))
    assert parsed.row("E-mail") == ["4", "50"]
    assert parsed.row("Phone") == ["0", "none"]
