"""Runs a published tap, `tap-jsonl`, over the export.

The tap lives in an environment of its own, because it needs another singer-sdk than this package does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from target_amplemarket.demo.export import STREAMS, SourceStream
from target_amplemarket.errors import SettingsError

TAP_REQUIREMENT: Final = "tap-jsonl==0.3.1"
TAP_VARIABLE: Final = "TAP_JSONL"
"""Environment variable that names a tap-jsonl executable to use."""

OWNER_MEMBER: Final = "owner_email"
"""Member that the tap's stream maps add to every record: each source calls its owner something else."""

_ACCEPTED_VERSION: Final = re.compile(r"\btap-jsonl v?0\.3\.\d")
_READY_FILE: Final = "ready"
_ALL_RECORDS: Final = 1_000_000

Run = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]
"""Runs a program to its end and returns what it wrote; OSError where there is no such program."""


def run_program(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program without input; what it writes to stdout and stderr comes back as one text."""
    return subprocess.run(  # noqa: S603 - the programs are named here or by the person at the keyboard
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def ensure_tap(
    folder: Path,
    *,
    say: Callable[[str], None],
    tap: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    run: Run = run_program,
) -> Path:
    """Find a `tap-jsonl` 0.3.x, or install one.

    Looked for in this order: `tap`, the variable `TAP_JSONL`, PATH, `<folder>/tap-jsonl`. What an interrupted
    installation left in that last place is replaced; a finished one is taken as it is, without running anything.

    Args:
        folder: Where an environment for the tap may be made; created when missing.
        say: Takes a line for people when something takes its time or is passed over.
        tap: An executable to use.
        environ: The process's environment.
        run: Runs programs.

    Returns:
        The executable's absolute path.

    Raises:
        SettingsError: The named executable is no tap-jsonl 0.3.x, or the installation failed.
    """
    named = tap or (Path(environ[TAP_VARIABLE]) if environ.get(TAP_VARIABLE) else None)
    if named is not None:
        return _named_tap(named, run)
    on_path = shutil.which("tap-jsonl", path=environ.get("PATH"))
    if on_path is not None:
        if _is_accepted(Path(on_path), run):
            return Path(on_path).absolute()
        say(f"passing over {on_path}: it does not answer as tap-jsonl 0.3.x")
    return _own_tap(folder.absolute(), say, run)


def tap_commands(tap: Path, export_folder: Path, work_folder: Path) -> dict[str, list[str]]:
    """The command that reads each stream, in the order of `STREAMS`.

    tap-jsonl has one stream per process. No catalog is needed: without one it selects all members, and its settings
    name the key properties. Each command writes Singer messages to stdout and its log to stderr.

    Args:
        tap: The executable that `ensure_tap` found.
        export_folder: Where `write_export` wrote.
        work_folder: Where the tap's settings files go, one per stream; created when missing.

    Returns:
        Stream name → command.
    """
    work_folder.mkdir(parents=True, exist_ok=True)
    commands = {}
    for stream in STREAMS:
        settings_file = work_folder / f"tap-{stream.name}.json"
        settings_file.write_text(json.dumps(tap_settings(stream, export_folder), indent=2) + "\n", encoding="utf-8")
        commands[stream.name] = [str(tap), "--config", str(settings_file.absolute())]
    return commands


def tap_settings(stream: SourceStream, export_folder: Path) -> dict[str, Any]:
    """What tap-jsonl needs to read one stream.

    `schema_sample_records` is undocumented (read in the source of 0.3.1) and covers the whole file, because the tap
    drops every member that its sample lacks.
    """
    return {
        "path": str(export_folder.absolute() / stream.file_name),
        "stream_name": stream.name,
        "primary_keys": list(stream.key_properties),
        "schema_sample_records": _ALL_RECORDS,
        "stream_maps": {stream.name: {OWNER_MEMBER: stream.owner_expression}},
    }


def _named_tap(tap: Path, run: Run) -> Path:
    if not _is_accepted(tap, run):
        raise SettingsError(
            f"{tap} does not answer as tap-jsonl 0.3.x; name another one in {TAP_VARIABLE}, "
            f"or name none and let the demo install {TAP_REQUIREMENT}"
        )
    return tap.absolute()


def _is_accepted(tap: Path, run: Run) -> bool:
    try:
        answer = run([str(tap), "--version"])
    except OSError:
        return False
    return answer.returncode == 0 and _ACCEPTED_VERSION.search(answer.stdout) is not None


def _own_tap(folder: Path, say: Callable[[str], None], run: Run) -> Path:
    environment = folder / "tap-jsonl"
    with _alone(folder):
        if not _is_ready(environment):
            say(f"installing {TAP_REQUIREMENT} into {environment} (once, about 10 seconds)")
            _install(environment, run)
    return environment / "bin" / "tap-jsonl"


def _is_ready(environment: Path) -> bool:
    """Whether the installation was finished, and has neither moved nor lost its Python since."""
    ready_file = environment / _READY_FILE
    programs = [environment / "bin" / name for name in ("python", "tap-jsonl")]
    is_whole = ready_file.is_file() and all(program.exists() for program in programs)
    return is_whole and ready_file.read_text(encoding="utf-8") == _ready_text(environment)


def _ready_text(environment: Path) -> str:
    return f"{TAP_REQUIREMENT}\n{environment}\n"


def _install(environment: Path, run: Run) -> None:
    if environment.exists():
        shutil.rmtree(environment)
    log = environment.with_suffix(".log")
    python = str(environment / "bin" / "python")
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [
            python,
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--retries",
            "1",
            TAP_REQUIREMENT,
        ],
    ):
        answer = run(command)
        log.write_text(answer.stdout, encoding="utf-8")
        if answer.returncode != 0:
            raise SettingsError(_not_installed(command[2], answer.returncode, log))
    if not (environment / "bin" / "tap-jsonl").exists():
        raise SettingsError(_not_installed("pip", 0, log))
    (environment / _READY_FILE).write_text(_ready_text(environment), encoding="utf-8")


def _not_installed(module: str, exit_code: int, log: Path) -> str:
    return (
        f"{TAP_REQUIREMENT} could not be installed: {module} ended with {exit_code} and left no program, its own words "
        f"are in {log}; give pip access to a package index (PIP_INDEX_URL, PIP_FIND_LINKS), or install "
        f"tap-jsonl 0.3.x elsewhere and name its executable in {TAP_VARIABLE}"
    )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold off other processes that would install into the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tap-jsonl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
