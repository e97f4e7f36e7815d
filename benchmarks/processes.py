"""Running one program to its end and asking the system what it cost."""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_BYTES_PER_UNIT: Final = 1 if sys.platform == "darwin" else 1024
_TOLD_BYTES: Final = 2_000


class Failed(Exception):
    """A program did not do what was asked, so nothing can be said of what it cost.

    Attributes:
        exit_code: How it ended; None where it ended well and yet leads are missing.
    """

    def __init__(self, told: str, exit_code: int | None = None) -> None:
        super().__init__(told)
        self.exit_code = exit_code


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a program cost.

    Attributes:
        cpu_s: User and system time of the process and of all children it waited for.
        wall_s: From start to end.
        peak_mb: Largest resident memory of the process in 10^6 bytes. Linux lets a process inherit the peak of the one
            that started it, so that one has to stay small; `own_peak_mb` tells.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float


def own_peak_mb() -> float:
    """The floor of every `peak_mb` measured from this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_UNIT / 1e6


def run(
    command: Sequence[object],
    *,
    stdin: Path | None = None,
    log: Path,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    exit_codes: frozenset[int] = frozenset({0}),
) -> Cost:
    """Run a program to its end.

    Args:
        command: Program and arguments.
        stdin: File to be its standard input; without it the input is empty.
        log: File for what it writes to stderr; stdout goes to `<log>.out`.
        environ: Added to the environment of this process.
        cwd: Where to run.
        exit_codes: Those that are no failure.

    Raises:
        Failed: It ended with another exit code.
    """
    with (
        Path(stdin or os.devnull).open("rb") as source,
        log.open("wb") as errors,
        log.with_suffix(".out").open("wb") as out,
    ):
        started_s = time.perf_counter()
        environ = {**os.environ, **(environ or {})}
        words = list(map(str, command))
        process = subprocess.Popen(words, stdin=source, stdout=out, stderr=errors, cwd=cwd, env=environ)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in exit_codes:
        told = log.read_bytes()[-_TOLD_BYTES:].decode(errors="replace")
        raise Failed(f"{' '.join(map(str, command))}\nended with {process.returncode}:\n{told}", process.returncode)
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss * _BYTES_PER_UNIT / 1e6)
