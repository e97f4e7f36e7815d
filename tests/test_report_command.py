"""`report` as somebody types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Ran, contacts


def report(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "target_amplemarket", "report", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_writes_the_page_into_the_folder_or_a_file(run: Callable[..., Ran], tmp_path: Path) -> None:
    first, second = run(contacts(2)), run(contacts(5))
    folder = first.results_path
    done = report("--results-path", folder)
    path = folder / "reports" / f"{second.summary.run_id}.html"
    assert (done.returncode, done.stdout) == (0, f"{path}\n")
    assert "3 of 5 records accepted" in path.read_text()
    out = tmp_path / "page.html"
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"results_path": str(folder)}))
    done = report("--config", config, "--run", first.summary.run_id, "--out", out)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    assert "2 of 2 records accepted" in out.read_text()
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("run_id", ["nothing", "../runs/x"])
def test_a_run_that_is_not_there_is_said(run: Callable[..., Ran], settings: dict[str, Any], run_id: str) -> None:
    run(contacts(1))
    done = report("--results-path", settings["results_path"], "--run", run_id)
    assert done.returncode == 8
    assert f"there is no run {run_id}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert report("--results-path", tmp_path / "nothing").returncode == 8
    assert not (tmp_path / "nothing").exists()


def test_without_the_extra_it_says_what_to_install(run: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run(contacts(1))
    without = (
        "import sys; sys.modules['pygal'] = None; sys.argv[0] = 'x'; from target_amplemarket.cli import main; main()"
    )
    words = [sys.executable, "-c", without, "report", "--results-path", str(ran.results_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'target-amplemarket[report]'" in done.stderr
