from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox, running_sandbox
from tests.crash.proof import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.close()


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        running.set(users=["dana@northwind.example"], requests_per_minute=0, extra_text_limit=40)
        yield running


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path) -> dict[str, Any]:
    return {
        "api_key": "sandbox-key",
        "owner": "dana@northwind.example",
        "base_url": sandbox.url,
        "results_path": str(tmp_path / "results"),
        "requests_per_minute": 100_000,
        "settle_seconds": 0,
        "batch_size_rows": 3,
        "max_in_flight": 1,
        "extra_fields": ["note"],
    }
