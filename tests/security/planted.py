"""Values that must never be said aloud: the ones that tests plant, and how to find them in whatever was said."""

from __future__ import annotations

import re
from typing import Final

MARK: Final = "zq7f3a"
"""Stands in every value that the tests of this folder plant, and in nothing else."""

KEY: Final = f"amp_{MARK}_key"

_ELSEWHERE: Final = (
    r"canary\.person@secret\.example",  # tests/singer
    r"CANARY@|secret-CANARY",  # tests/test_pipeline.py, tests/test_target.py
    r"amp_canary_\d+|canary-(?:answer|header|query|body|key|2)\b|canary@acme",  # tests/services
    r"canary (?:title|detail|at acme)",
    r"amp_very_secret",  # tests/sandbox
    r"sandbox-key",  # tests/conftest.py: the key of almost every run
    r"person\d+@acme\.example",  # tests/harness.py: the people of almost every run
)
PERSONAL: Final = re.compile("|".join([MARK, *_ELSEWHERE]), re.IGNORECASE)


def planted(field: str) -> str:
    """A value of this name that nothing else holds."""
    return f"{MARK}-{field}"


def leaks(text: str) -> list[str]:
    """What was said of what must not be, with a little of what stands around it."""
    return [text[max(0, found.start() - 80) : found.end() + 40] for found in PERSONAL.finditer(text)]
