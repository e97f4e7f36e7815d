"""SECURITY.md names tests that exist, and the audit never passes in silence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.security.audit import verdict

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_threat_table_names_is_there() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| threat"))]
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert set(named) <= there, row


SOUND: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
SKIPPED: dict[str, Any] = {"name": "b", "skip_reason": "not found"}
VULNERABLE: dict[str, Any] = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1"}]}


@pytest.mark.parametrize(
    ("dependencies", "codes", "words"),
    [
        ([SOUND], (0, 0), "audited: 1 dependencies"),
        ([SOUND, SKIPPED], (0, 1), "NOT AUDITED: no source of advisories could be asked about 1 of 2"),
        ([SKIPPED, VULNERABLE], (1, 1), "vulnerable: c 2: PYSEC-1"),
        ([], (0, 1), "NOT AUDITED"),
        (None, (0, 1), "NOT AUDITED"),
    ],
)
def test_an_audit_that_could_not_ask_says_so(dependencies: Any, codes: tuple[int, int], words: str) -> None:
    report = None if dependencies is None else {"dependencies": dependencies}
    for is_required, code in zip((False, True), codes, strict=True):
        assert verdict(report, is_required=is_required)[0] == code
        assert verdict(report, is_required=is_required)[1].startswith(words)
