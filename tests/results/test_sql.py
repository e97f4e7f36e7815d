"""The SQL of docs/how-to/results.md does what the page says, where the database is there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import postgres
from tests.harness import Ran, contacts
from tests.results.dirty import LEADS, REJECTED, dirty_export

PAGE = (Path(__file__).parents[2] / "docs/how-to/results.md").read_text(encoding="utf-8")
Run = Callable[..., Ran]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    run(dirty_export())
    ran = run(contacts(3, stream="people", first=101))
    for output in ("parquet", "csv"):
        words = ["results", "--results-path", str(ran.results_path), "--run", "all", "--rows", "--format", output]
        program = [sys.executable, "-m", "target_amplemarket", *words, "--out", str(tmp_path / f"rows.{output}")]
        subprocess.run(program, check=True, capture_output=True, timeout=60)
    return tmp_path


def test_duckdb_on_the_folder_and_on_parquet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: pip install duckdb")
    import pyarrow.dataset

    rows = pyarrow.dataset.dataset(str(folder / "results" / "results"), format="arrow")
    [on_folder] = [block for block in blocks("python") if "duckdb.sql" in block]
    [query] = re.findall(r'duckdb\.sql\("""(.*?)"""\)', on_folder, re.DOTALL)
    found = duckdb.connect().register("rows", rows).sql(query).fetchall()
    assert sum(count for *_, count in found) == LEADS + REJECTED + 3
    assert ("people", "accepted", None, 3) in found
    monkeypatch.chdir(folder)
    [last_word] = [block for block in blocks("sql") if "read_parquet" in block]
    assert len(duckdb.connect().sql(last_word).fetchall()) == LEADS + REJECTED + 3


@pytest.mark.e2e
def test_postgres_takes_the_csv_file_twice_and_has_each_row_once(folder: Path) -> None:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    [script] = [block for block in blocks("sql") if "CREATE TABLE IF NOT EXISTS amplemarket_results" in block]
    (folder / "load.sql").write_text(script)
    with postgres.running_postgres(programs) as server:
        where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]
        for _ in range(2):
            words = [programs / "psql", *where, "-v", "ON_ERROR_STOP=1", "-f", "load.sql"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=folder)
            assert done.returncode == 0, done.stderr
        counted = server.query("SELECT stream, status, count(*) FROM amplemarket_results GROUP BY 1, 2 ORDER BY 1, 2")
        assert counted == [["contacts", "accepted", "5"], ["contacts", "rejected", "14"], ["people", "accepted", "3"]]
        keys = server.query("SELECT record_key ->> 'id' FROM amplemarket_results WHERE stream = 'people' ORDER BY 1")
        assert keys == [["101"], ["102"], ["103"]]
