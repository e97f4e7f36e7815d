"""The project file at the root of the repository, run by a real Meltano with a real tap."""

from __future__ import annotations

from collections import Counter

import pytest

from target_amplemarket import read_results
from target_amplemarket.demo.export import write_export
from target_amplemarket.demo.run import count_disagreements, demo_users
from target_amplemarket.sandbox import Switches, running_sandbox
from tests.e2e.project import Project

RECORD_COUNT = 1_500


@pytest.fixture
def exported(project: Project) -> Project:
    """The project with a small export."""
    write_export(project.folder / "demo" / "export", record_count=RECORD_COUNT)
    return project


@pytest.mark.e2e
def test_meltano_run_brings_the_export_into_the_sandbox_and_a_second_run_sends_nobody(exported: Project) -> None:
    with running_sandbox(Switches(users=demo_users(), requests_per_minute=0)) as sandbox:
        settings = {"TARGET_AMPLEMARKET_BASE_URL": sandbox.url, "TARGET_AMPLEMARKET_REQUESTS_PER_MINUTE": "6000"}
        exported.run("install")
        exported.run("run", "demo", settings=settings)
        results = exported.folder / "demo" / "meltano-results"
        rows = read_results(results)
        statuses = Counter(rows.column("status").to_pylist())
        assert rows.num_rows == RECORD_COUNT
        assert statuses["accepted"] > RECORD_COUNT * 0.8
        assert count_disagreements(sandbox.log(), rows, (results / "key").read_bytes()) == 0
        assert "tap-jsonl-salesforce-to-target-amplemarket" in exported.run("state", "list")

        lists = len(sandbox.log())
        exported.run("run", "tap-jsonl-hubspot", "target-amplemarket", settings=settings)
        again = Counter(read_results(results, run="last").column("reason").to_pylist())
        assert again["already_sent"] > 0
        assert len(sandbox.log()) == lists


@pytest.mark.e2e
def test_a_run_that_the_api_refuses_fails_and_leaves_the_state_of_meltano_alone(exported: Project) -> None:
    with running_sandbox(Switches(users=demo_users(), api_key="another-key")) as sandbox:
        exported.run("install")
        settings = {"TARGET_AMPLEMARKET_BASE_URL": sandbox.url}
        said = exported.run("run", "tap-jsonl-warehouse", "target-amplemarket", exit_code=1, settings=settings)
        assert "does not accept the key" in said
        assert "to-target-amplemarket" not in exported.run("state", "list")


@pytest.mark.e2e
def test_meltano_s_test_of_the_loader_finds_a_wrong_key_and_sends_nothing(project: Project) -> None:
    """Meltano 4.4 itself ends with a traceback after it has tested a loader, whatever came of it."""
    with running_sandbox(Switches(users=demo_users(), requests_per_minute=0)) as sandbox:
        settings = {"TARGET_AMPLEMARKET_BASE_URL": sandbox.url}
        project.run("install", "--plugin-type", "loader")
        test = ("config", "test", "--plugin-type", "loader", "target-amplemarket")
        project.try_to(*test, settings=settings)
        assert "Test data was written" in project.said, "Meltano's word for a loader that ended well"
        assert {seen.method for seen in sandbox.requests()} == {"GET"}
        sandbox.set(api_key="another-key")
        project.try_to(*test, settings=settings)
        assert "Test data was written" not in project.said
        rows = read_results(project.folder / "demo" / "meltano-results")
        assert rows.column("reason").to_pylist() == ["connection_test"]
        assert not sandbox.log()
