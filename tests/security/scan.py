"""The scan over the whole suite: whatever a test makes the program say, at DEBUG, holds no planted value.

Looked at: log records of every level, what tests leave on standard output and error, what processes of the program
write there, and the texts of the program's own exceptions. Not looked at: what a test takes from `capsys` or keeps in
files. Standard output of a process is STATE and documents that were asked for, so only its error output is looked at.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from target_amplemarket.errors import TargetError
from tests.security.planted import leaks

ALLOWED: Final = "says_planted_values"
"""Mark of a test whose own output holds them."""


class Scan:
    """A pytest plugin; keeps what it finds until the test that made it is over."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def look(self, where: str, text: str) -> None:
        """Remember what is in a text and must not be."""
        self.found.extend(f"{where}: …{leak!r}…" for leak in leaks(text))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report: Any = yield
        if report.when == "call":
            for name, text in report.sections:
                self.look(name, text)
        said, self.found = self.found, []
        if said and report.passed and item.get_closest_marker(ALLOWED) is None:
            report.outcome = "failed"
            report.longrepr = "the program said what nobody may read:\n" + "\n".join(said[:10])
        return report  # type: ignore[no-any-return]  # as above


@contextmanager
def scanning(scan: Scan) -> Iterator[None]:
    """While this lasts, texts of exceptions and the error output of the program's processes are looked at too."""
    made, talked = TargetError.__init__, subprocess.Popen.communicate

    def make(self: TargetError, *arguments: object) -> None:
        made(self, *arguments)
        scan.look(type(self).__name__, " ".join(map(str, arguments)))

    def communicate(self: subprocess.Popen[Any], *arguments: Any, **named: Any) -> tuple[Any, Any]:
        out, err = talked(self, *arguments, **named)
        if "target_amplemarket" in str(self.args) or "target-amplemarket" in str(self.args):
            scan.look(
                "standard error of the program", err.decode("utf-8", "replace") if isinstance(err, bytes) else err or ""
            )
        return out, err

    TargetError.__init__ = make  # type: ignore[method-assign,assignment]
    subprocess.Popen.communicate = communicate  # type: ignore[method-assign]
    try:
        yield
    finally:
        TargetError.__init__ = made  # type: ignore[method-assign]
        subprocess.Popen.communicate = talked  # type: ignore[method-assign]
