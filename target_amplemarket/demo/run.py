"""The demo: a made-up CRM export through a real tap into the sandbox, twice, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.demo.export import write_export
from target_amplemarket.demo.names import OWNERS
from target_amplemarket.demo.tap import OWNER_MEMBER, ensure_tap, tap_commands
from target_amplemarket.errors import SettingsError, TargetError
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column
from target_amplemarket.results.reader import LAST, read_results

_LEADS_PER_LIST: Final = 5_000
_SANDBOX_KEY: Final = "sandbox-key"
_OF_SERVICE: Final[dict[str, dict[str, str]]] = {
    "amplemarket": {"owner": OWNERS[0], "owner_field": OWNER_MEMBER},
    "lance": {"lance_find_people": "linkedin_url"},  # the warehouse's rows have no first and last name
}
"""Settings of the demo beside those that both have."""


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One run of the target over the export.

    Attributes:
        rows: The run's result rows.
        summary: The run's summary as `runs/<run_id>.json` holds it.
        log_path: What the target wrote to stderr.
        committed_lists: Lists in the sandbox's commit log that this run added.
        disagreements: Leads on which commit log and result rows disagree.
    """

    rows: pa.Table
    summary: dict[str, Any]
    log_path: Path
    committed_lists: int
    disagreements: int


def run_demo(
    folder: Path,
    *,
    record_count: int,
    sandbox: Any,
    say: Callable[[str], None],
    service: str = "amplemarket",
    tap: Path | None = None,
) -> Iterator[DemoRun]:
    """Write the export, read it with a real tap, send it; then the same once more.

    Args:
        folder: Where everything of the demo goes; results of an earlier demo in it are removed.
        record_count: Records in the export.
        sandbox: A running sandbox whose users include the export's owners.
        say: Takes a line for people before each step.
        service: Which API the leads go to.
        tap: A tap-jsonl executable, or None to find or install one.

    Yields:
        The first run, and the second, in which everybody is known already.

    Raises:
        TargetError: A step failed; the message says where its log is.
    """
    say(f"writing a made-up CRM export of {record_count:,} records to {folder / 'export'}")
    export = write_export(folder / "export", record_count=record_count)
    executable = ensure_tap(folder / "taps", say=say, tap=tap)
    commands = list(tap_commands(executable, export.folder, folder / "taps" / "settings").values())
    shutil.rmtree(folder / "results", ignore_errors=True)
    settings_path = _write_settings(folder, sandbox.url, service)
    for number, what in ((1, "sending it"), (2, "sending the same export once more")):
        say(f"{what}: {len(commands)} runs of tap-jsonl | target-amplemarket")
        known_lists = len(sandbox.log())
        log_path = folder / f"run-{number}.log"
        _run_target(commands, settings_path, log_path, folder / f"state-{number}.jsonl")
        rows = read_results(folder / "results", run=LAST)
        committed = sandbox.log()[known_lists:]
        key = (folder / "results" / "key").read_bytes()
        run_id = str(rows.column("run_id")[0].as_py())
        summary = json.loads((folder / "results" / "runs" / f"{run_id}.json").read_text(encoding="utf-8"))
        yield DemoRun(rows, summary, log_path, len(committed), count_disagreements(committed, rows, key))


def demo_users() -> tuple[str, ...]:
    """Users that the sandbox's account must have, as its `users` switch takes them."""
    return tuple(OWNERS)


def _write_settings(folder: Path, url: str, service: str) -> Path:
    settings = {
        "service": service,
        "api_key": _SANDBOX_KEY,
        "base_url": url,
        "results_path": str(folder / "results"),
        "batch_size_rows": _LEADS_PER_LIST,
        **_OF_SERVICE[service],
    }
    path = folder / "target.json"
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return path


def _run_target(taps: list[list[str]], settings_path: Path, log_path: Path, state_path: Path) -> None:
    """What a shell would write as `(tap …; tap …; tap …) | target-amplemarket --config … > state`."""
    read_end, write_end = os.pipe()
    target = [sys.executable, "-m", "target_amplemarket", "--config", str(settings_path)]
    tap_exit_code = 0
    with log_path.open("w", encoding="utf-8") as log, state_path.open("w", encoding="utf-8") as state:
        running = subprocess.Popen(target, stdin=read_end, stdout=state, stderr=log)  # noqa: S603  # this program
        os.close(read_end)
        with os.fdopen(write_end, "wb") as pipe:
            for tap in taps:
                tap_exit_code = subprocess.run(tap, stdout=pipe, stderr=log, check=False).returncode  # noqa: S603
                if tap_exit_code:
                    break
        exit_code = running.wait()
    if exit_code:
        raise TargetError(f"the target ended with status {exit_code}; its log is {log_path}")
    if tap_exit_code:
        raise SettingsError(f"the tap ended with status {tap_exit_code}; its log is {log_path}")


def count_disagreements(committed: list[Any], rows: pa.Table, fingerprint_key: bytes) -> int:
    """Leads that the commit log has and the results do not say were accepted there, and the other way round.

    A lead is the same where list, LinkedIn profile and e-mail agree, the latter two by fingerprint; and the position,
    where a list comes with one call.

    Args:
        committed: Lists of the sandbox's commit log.
        rows: Result rows of the run that sent them.
        fingerprint_key: Of the results folder.
    """
    in_log = Counter(lead for entry in committed for lead in _logged(entry, fingerprint_key))
    accepted = rows.filter(pc.equal(rows.column("status"), "accepted"))
    is_filled = any(entry.additions for entry in committed)
    names = ("list_id", "list_position", "linkedin_fingerprint", "email_fingerprint")
    columns = [accepted.column(name).to_pylist() for name in names]
    if is_filled:
        columns[1] = [None] * accepted.num_rows
    in_results = Counter(zip(*columns, strict=True))
    return ((in_log - in_results) + (in_results - in_log)).total()


def _logged(entry: Any, key: bytes) -> Iterator[tuple[str, int | None, bytes | None, bytes | None]]:
    """Each lead of a list in the commit log; of calls that add to a list those whom it took."""
    for call in entry.calls:
        leads = call.leads.all()
        is_new = call.is_new if entry.additions else [True] * len(leads)
        texts = (
            [_member(lead, *names) for lead in leads]
            for names in (("linkedin_url", "linkedinUrl"), ("email", "emails"))
        )
        prints = [
            fingerprint_column(pa.array(column, pa.string()), key, identity).to_pylist()
            for column, identity in zip(texts, (Identity.LINKEDIN, Identity.EMAIL), strict=True)
        ]
        for position, (linkedin, email, is_taken) in enumerate(zip(*prints, is_new, strict=True)):
            if is_taken:
                yield entry.id, None if entry.additions else position, linkedin, email


def _member(lead: dict[str, Any], *names: str) -> str | None:
    value = next((lead[name] for name in names if lead.get(name)), None)
    return value[0] if isinstance(value, list) else value
