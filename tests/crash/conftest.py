from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox
from tests.crash.proof import Worker
from tests.sides import SIDES, USERS, Side


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.close()


@pytest.fixture(params=SIDES, ids=str)
def side(request: pytest.FixtureRequest) -> Side:
    """Every test that reaches it runs over both services."""
    chosen: Side = request.param
    return chosen


@pytest.fixture
def sandbox(sandbox: RunningSandbox, side: Side) -> RunningSandbox:
    sandbox.set(users=USERS, **side.switches)
    return sandbox


@pytest.fixture
def settings(settings: dict[str, Any], side: Side) -> dict[str, Any]:
    return side.adapted(settings) | {"batch_size_rows": 3, "max_in_flight": 1}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What all tests of the proof tried together, and whether anything was found."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call" and report.nodeid.startswith(("tests/crash/", "tests/e2e/test_meltano_kills"))
    ]
    tried, seeds, most = Counter[str](), set[str](), Counter[str]()
    said = "\n".join(report.capstdout for report in reports)
    for seed, counts in re.findall(r"^tried with seed (\d+): (.*)$", said, re.MULTILINE):
        seeds.add(seed)
        for count in counts.split(", "):
            name, number = count.rsplit(" ", 1)
            tried[name] += int(number.replace(",", ""))
            most[name] = max(most[name], int(number.replace(",", "")))
    if not tried:
        return
    tried["effects in a run"] = most["effects in a run"]
    failed = sum(report.failed for report in reports)
    terminalreporter.section("the proof of delivery")
    terminalreporter.line(
        f"seed {', '.join(sorted(seeds))}: " + ", ".join(f"{n} {c:,}" for n, c in sorted(tried.items()))
    )
    terminalreporter.line(
        "L = D = A = S = 0" if not failed else f"{failed} tests found leads lost, doubled or unaccounted for"
    )
