"""What many tests share: a sandbox, settings that reach it, and a way to run Singer messages through the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.clock import Clock
from target_amplemarket.sandbox import RunningSandbox, running_sandbox
from tests.harness import Ran, run_singer
from tests.security.scan import ALLOWED, Scan, scanning

_SCAN = Scan()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "step(*names): proves these steps of docs/explanation/delivery.md")
    config.addinivalue_line("markers", f"{ALLOWED}: a test whose own output holds values that were planted")
    config.option.log_level = config.option.log_level or "DEBUG"  # so that the scan sees everything
    config.pluginmanager.register(_SCAN, "scan")


@pytest.fixture(scope="session", autouse=True)
def _scan() -> Iterator[None]:
    with scanning(_SCAN):
        yield


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        running.set(users=["dana@northwind.example", "lee@northwind.example"], requests_per_minute=0)
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
    }


@pytest.fixture
def run(settings: dict[str, Any]) -> Callable[..., Ran]:
    """Run messages with the settings, some of them replaced."""

    def run_with(messages: Any, *, clock: Clock | None = None, **changed: Any) -> Ran:
        return run_singer(messages, settings | changed, clock=clock)

    return run_with
