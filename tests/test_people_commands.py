"""`forget` and `purge` as somebody types them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket import read_results
from target_amplemarket.results.compaction import LEAST_FILES, compact
from target_amplemarket.storage.durable import Folder
from tests.harness import contacts, record, run_singer
from tests.results.test_forget import all_text


def typed(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "target_amplemarket", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def path(settings: dict[str, Any]) -> Path:
    messages = [*contacts(3), record("contacts", id="sonja", email="sonja@")]
    assert run_singer(messages, settings).statuses == ["accepted"] * 3 + ["rejected"]
    return Path(settings["results_path"])


def test_forget_says_what_it_changed_and_nothing_of_the_person(path: Path) -> None:
    code, out, err = typed("forget", "--results-path", str(path), "--email", "Person2@ACME.example")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "1 result rows in 1 files changed",
        "0 leads of lists without an outcome in 0 files changed",
        "0 reports and read-back lists removed",
        "2 fingerprints added: the person is blocked by them",
    ]
    assert read_results(path).column("record_key").to_pylist() == ['{"id":1}', None, '{"id":3}', '{"id":"sonja"}']
    code, out, _ = typed("forget", "--results-path", str(path), "--key", "sonja", "--format", "json")
    assert (code, json.loads(out)["rows"]) == (0, 1)
    assert "sonja" not in all_text(path)


@pytest.mark.parametrize(("arguments", "says"), [
    ([], "say who is to be forgotten"), (["--email", "sonja"], "--email is not an e-mail"),
    (["--linkedin-url", "linkedin.com/company/sonja"], "--linkedin-url is not a LinkedIn profile"),
])  # fmt: skip
def test_forget_refuses_what_names_nobody_and_repeats_no_value(path: Path, arguments: list[str], says: str) -> None:
    code, out, err = typed("forget", "--results-path", str(path), *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert "sonja" not in err


@pytest.mark.parametrize("command", [["forget", "--email", "a@b.example"], ["purge", "--older-than", "1d"]])
def test_no_folder_is_made_where_there_is_none(tmp_path: Path, command: list[str]) -> None:
    code, _, err = typed(*command, "--results-path", str(tmp_path / "none"))
    assert code == 8
    assert "there is no results folder" in err
    assert not (tmp_path / "none").exists()


def test_purge_says_how_many_rows_it_changed(path: Path) -> None:
    code, out, _ = typed("purge", "--results-path", str(path), "--older-than", "0d")
    assert code == 0
    assert out.startswith("4 rows in 2 files lost record and key: older than ")
    code, out, _ = typed("purge", "--results-path", str(path), "--older-than", "0d", "--format", "json")
    assert json.loads(out) == {"rows": 0, "files": 0, "removed_files": 0, "lists_kept": 0}
    assert typed("purge", "--results-path", str(path), "--older-than", "soon")[0] == 2


def test_compacted_files_and_what_they_replace_are_cleaned_alike(settings: dict[str, Any]) -> None:
    """A kill between the large file and the removal of the small ones leaves both."""
    path = Path(settings["results_path"])
    run_singer(contacts(LEAST_FILES + 1), settings | {"batch_size_rows": 1, "results_record": "all"})
    [folder] = (path / "results").iterdir()
    small = {file.name: file.read_bytes() for file in folder.iterdir()}
    compact(Folder(path), threading.Event())
    if len(list(folder.iterdir())) > 1:
        pytest.fail("not compacted")
    for name, content in small.items():
        (folder / name).write_bytes(content)
    before = read_results(path).num_rows
    assert typed("forget", "--results-path", str(path), "--email", "person2@acme.example")[0] == 0
    assert "person2@" not in all_text(path)
    assert read_results(path).num_rows == before
    compact(Folder(path), threading.Event())
    again = run_singer(contacts(LEAST_FILES + 1), settings)
    assert sorted(again.column("reason")) == ["already_sent"] * LEAST_FILES + ["forgotten"]
