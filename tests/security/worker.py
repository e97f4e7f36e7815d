"""Runs of the program in forks of one process that has everything imported: reads a JSON object a line.

A run costs a tenth of a second in place of one; what it writes goes to files that the test names.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any, NoReturn

from target_amplemarket import cli, runner, taking
from target_amplemarket.clock import SystemClock


class _QuickClock(SystemClock):
    """Waits between tries are short; how long they are is proved elsewhere."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._skipped_s

    def sleep(self, duration_s: float, wake: threading.Event | None = None) -> None:
        super().sleep(min(duration_s, 0.02), wake)
        self._skipped_s += max(0.0, duration_s - 0.02)


def _break(value: str) -> None:
    """A fault of the program, as a library raises it: the text of the exception holds a value of a record."""

    def broken(*arguments: object, **named: object) -> NoReturn:
        try:
            os.environ[value]
        except KeyError as cause:
            raise ValueError(f"Could not convert {value!r} with type str: tried to convert to int64") from cause
        raise AssertionError

    vars(taking)["map_block"] = broken


def main() -> None:
    """Serve requests until there are no more."""
    vars(runner)["SystemClock"] = _QuickClock
    for line in sys.stdin.buffer:
        process_id = os.fork()
        if process_id == 0:
            _run(json.loads(line))
        sys.stdout.write(f"{process_id}\n")
        sys.stdout.flush()
        _, status = os.waitpid(process_id, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _run(request: dict[str, Any]) -> NoReturn:
    for number, name, flags in (
        (0, "stdin", os.O_RDWR),  # a pipe of the file system opens at once
        (1, "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(request[name], flags, 0o600), number)
    os.environ.update(request["environment"])
    sys.argv = ["target-amplemarket", *request["arguments"]]
    if request["break"]:
        _break(request["break"])
    code = 1
    try:
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # as the interpreter does with what nobody caught
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
