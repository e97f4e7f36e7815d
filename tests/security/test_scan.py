"""The scan over the whole suite fails where something is said that must not be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAKS = {
    "a log record below the level that is shown": "logging.getLogger('x.y').debug('mail to %s', WHO)",
    "standard output": "print(WHO)",
    "the text of an exception that is caught": "_made(StorageError, WHO)",
    "error output of a process": (
        "subprocess.run([sys.executable, '-c', 'import sys; sys.exit(sys.argv[1])', WHO, 'target_amplemarket'],"
        " capture_output=True)"
    ),
}
HEAD = """
import logging, subprocess, sys
from target_amplemarket.errors import StorageError
WHO = "person" + "7@acme.example"
def _made(kind, text): kind(text)
def test_it():
    """


def verdict(folder: Path, line: str) -> tuple[int, str]:
    (folder / "test_leak.py").write_text(HEAD + line + "\n", encoding="utf-8")
    words = ["-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    done = subprocess.run(
        [sys.executable, *words, str(folder / "test_leak.py")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("line", LEAKS.values(), ids=LEAKS.keys())
def test_a_planted_value_that_is_said_turns_its_test_red(line: str, tmp_path: Path) -> None:
    code, out = verdict(tmp_path, line)
    assert code == 1, out
    assert "the program said what nobody may read" in out


def test_what_is_not_planted_may_be_said(tmp_path: Path) -> None:
    code, out = verdict(tmp_path, "logging.getLogger('x.y').debug('1,000 records')")
    assert code == 0, out
