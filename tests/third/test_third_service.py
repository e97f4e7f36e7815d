"""A further service is one file in `services/`, one in `sandbox/`, and one line in `config.SERVICES`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket import config
from target_amplemarket.sandbox import RunningSandbox, running_sandbox
from tests.harness import contacts, record, run_singer, schema, state
from tests.third.sandbox import ParrotApi


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one line, as if it had stood there when the settings were declared."""
    monkeypatch.setitem(config.SERVICES, "parrot", config.ServiceEntry("tests.third.service:Parrot", ("base_url",)))
    names = config.Settings.__dataclass_fields__["service"].metadata["schema"]["enum"]
    names.append("parrot")
    yield
    names.remove("parrot")


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(apis=(ParrotApi,)) as running:
        yield running


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path) -> dict[str, Any]:
    return {
        "service": "parrot", "api_key": "seed", "base_url": sandbox.url, "results_path": str(tmp_path / "results"),
        "requests_per_minute": 100_000, "settle_seconds": 0,
    }  # fmt: skip


def arrived(sandbox: RunningSandbox) -> Counter[str]:
    return Counter(lead["email"] for entry in sandbox.log() for lead in entry.leads)


def test_a_run_fills_lists_a_thousand_leads_a_call(sandbox: RunningSandbox, settings: dict[str, Any]) -> None:
    ran = run_singer([*contacts(2_500), state({"at": 1})], settings)
    assert (ran.error, ran.states, ran.statuses) == (None, ['{"at": 1}'], ["accepted"] * 2_500)
    [entry] = sandbox.log()
    assert [len(call.leads) for call in entry.calls] == [0, 1_000, 1_000, 500]
    assert set(arrived(sandbox).values()) == {1}
    again = run_singer(contacts(2_500), settings)
    assert set(again.column("reason")) == {"already_sent"}
    assert len(arrived(sandbox)) == 2_500


@pytest.mark.parametrize("kind", ["server_error", "server_error_after_commit", "reset_after_commit", "rate_limited"])
@pytest.mark.parametrize("path", ["/parrot/lists", "/parrot/lists/{id}/leads"])
def test_faults_lose_and_double_nobody(sandbox: RunningSandbox, settings: dict[str, Any], path: str, kind: str) -> None:
    sandbox.set(faults=[{"kind": kind, "endpoint": f"POST {path}", "times": 1}])
    ran = run_singer(contacts(1_500), settings)
    assert ran.error is None
    assert set(ran.statuses) == {"accepted"}
    assert arrived(sandbox) == Counter(f"person{n}@acme.example" for n in range(1, 1_501))


def test_a_record_that_it_cannot_take_is_rejected_in_its_own_words(settings: dict[str, Any]) -> None:
    messages = [schema("people", "linkedin_url", "title"), record("people", id=1, linkedin_url="linkedin.com/in/kim")]
    ran = run_singer(messages, settings)
    assert ran.column("reason") == ["no_identity"]
    assert ran.column("detail") == ["no e-mail"]
