"""A copy of the repository's Meltano project, and a real Meltano to run it."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """A folder with a `meltano.yml`; settings of plugins are given as environment variables."""

    meltano: str
    folder: Path

    def start(self, *arguments: str, settings: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """In a process group of its own, to which everything that Meltano starts belongs."""
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [self.meltano, *arguments],
                cwd=self.folder,
                env=os.environ | (settings or {}) | {"MELTANO_CLI_DISABLE_VERSION_CHECK": "1", "NO_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """By the last command."""
        return self._log.read_text(encoding="utf-8")

    @property
    def _log(self) -> Path:
        return self.folder / "meltano.log"

    def run(self, *arguments: str, exit_code: int = 0, settings: dict[str, str] | None = None) -> str:
        """Run to the end, which has to be with this exit code; returns what was said."""
        ended_with = self.try_to(*arguments, settings=settings)
        assert ended_with == exit_code, self.said[-4000:]
        return self.said

    def try_to(self, *arguments: str, settings: dict[str, str] | None = None) -> int:
        """Run to the end; returns the exit code."""
        running = self.start(*arguments, settings=settings)
        try:
            return running.wait(280)
        finally:
            kill(running)


def kill(running: subprocess.Popen[bytes]) -> None:
    """With all that it started; nothing is left to do where it has ended."""
    if running.returncode is None:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
