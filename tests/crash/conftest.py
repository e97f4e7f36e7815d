from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from target_amplemarket.sandbox import RunningSandbox
from tests.crash.proof import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.close()


@pytest.fixture
def sandbox(sandbox: RunningSandbox) -> RunningSandbox:
    sandbox.set(users=["dana@northwind.example"], extra_text_limit=40)
    return sandbox


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"batch_size_rows": 3, "max_in_flight": 1, "extra_fields": ["note"]}
