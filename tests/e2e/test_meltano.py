"""The project file at the root of the repository, run by a real Meltano with a real tap."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from target_amplemarket import read_results
from target_amplemarket.demo.export import write_export
from target_amplemarket.demo.run import count_disagreements, demo_users
from target_amplemarket.sandbox import Switches, running_sandbox

ROOT = Path(__file__).parents[2]
NEEDED = ("meltano.yml", "pyproject.toml", "README.md", "LICENSE", "target_amplemarket")
RECORD_COUNT = 1_500


@pytest.fixture
def meltano() -> str:
    own = ROOT / ".venv" / "meltano" / "bin" / "meltano"
    found = os.environ.get("MELTANO") or (str(own) if own.exists() else shutil.which("meltano"))
    if found is None:
        assert "CI" not in os.environ, "CI runs Meltano: `make test` installs it"
        pytest.skip("Meltano is not installed; `make test` installs it")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the repository's Meltano project with a small export."""
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    write_export(tmp_path / "demo" / "export", record_count=RECORD_COUNT)
    return tmp_path


@pytest.mark.e2e
def test_meltano_run_brings_the_export_into_the_sandbox_and_a_second_run_sends_nobody(
    meltano: str, project: Path
) -> None:
    with running_sandbox(Switches(users=demo_users(), requests_per_minute=0)) as sandbox:
        settings = {"TARGET_AMPLEMARKET_BASE_URL": sandbox.url, "TARGET_AMPLEMARKET_REQUESTS_PER_MINUTE": "6000"}
        run(meltano, project, "install")
        run(meltano, project, "run", "demo", **settings)
        results = project / "demo" / "meltano-results"
        rows = read_results(results)
        statuses = Counter(rows.column("status").to_pylist())
        assert rows.num_rows == RECORD_COUNT
        assert statuses["accepted"] > RECORD_COUNT * 0.8
        assert count_disagreements(sandbox.log(), rows, (results / "key").read_bytes()) == 0
        states = run(meltano, project, "state", "list").stdout
        assert "tap-jsonl-salesforce-to-target-amplemarket" in states

        lists = len(sandbox.log())
        run(meltano, project, "run", "tap-jsonl-hubspot", "target-amplemarket", **settings)
        again = Counter(read_results(results, run="last").column("reason").to_pylist())
        assert again["already_sent"] > 0
        assert len(sandbox.log()) == lists


@pytest.mark.e2e
def test_a_run_that_the_api_refuses_fails_and_leaves_the_state_of_meltano_alone(meltano: str, project: Path) -> None:
    with running_sandbox(Switches(users=demo_users(), api_key="another-key")) as sandbox:
        run(meltano, project, "install")
        settings = {"TARGET_AMPLEMARKET_BASE_URL": sandbox.url}
        failed = run(meltano, project, "run", "tap-jsonl-warehouse", "target-amplemarket", exit_code=1, **settings)
        assert "does not accept the key" in failed.stdout
        assert "to-target-amplemarket" not in run(meltano, project, "state", "list").stdout


def run(
    meltano: str, project: Path, *arguments: str, exit_code: int = 0, **settings: str
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | settings | {"MELTANO_CLI_DISABLE_VERSION_CHECK": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [meltano, *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout[-4000:]
    return done
