from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.errors import StorageError
from target_amplemarket.results.reader import compacted_name, read_results
from target_amplemarket.results.sent_lists import lead_rows, sent_lists
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import Ran, contacts, record, schema

Run = Callable[..., Ran]


def test_every_list_that_was_accepted_with_its_leads(run: Run, settings: dict[str, Any]) -> None:
    messages = [*contacts(3), schema("b", "email"), record("b", id=1, email="x@b.example"), record("b", id=2)]
    path = run(messages, batch_size_rows=2).results_path
    found = sent_lists(path)
    assert sorted((each.stream, each.lead_count) for each in found) == [("b", 1), ("contacts", 1), ("contacts", 2)]
    rows = read_results(path)
    for each in found:
        of_list = [n for n, i in zip(*(rows.column(c).to_pylist() for c in ("record_no", "list_id")), strict=True)
                   if i == each.list_id]  # fmt: skip
        assert lead_rows(path, each).column("record_no").to_pylist() == of_list


def test_lists_that_were_held_or_refused_are_not_among_them(
    run: Run, settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    sandbox.set(faults=["server_error_after_commit:status=502,times=1", "listing_error:status=403"])
    assert run(contacts(2)).error is not None
    assert sent_lists(Path(settings["results_path"])) == []


def test_leads_are_found_after_the_files_of_their_run_were_compacted(run: Run) -> None:
    path = run(contacts(6), batch_size_rows=2).results_path
    before = sent_lists(path)
    expected = [lead_rows(path, each) for each in before]
    for number, file in enumerate(sorted(path.glob("results/*/*.arrow")), start=1):
        file.rename(file.with_name(compacted_name(number, number)))
    assert not any(file.exists() for each in before for file in each.files)
    assert [lead_rows(path, each) for each in before] == expected
    after = sent_lists(path)
    assert {each.list_id for each in after} == {each.list_id for each in before}
    assert {each.lead_count for each in after} == {2}


def test_a_run_that_is_not_there_is_named(run: Run) -> None:
    path = run(contacts(1)).results_path
    with pytest.raises(StorageError, match="no run 2026"):
        sent_lists(path, "2026")
