"""How many calls a list costs of which the API refuses some leads."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.figures import Figure, Outcome, Plan, at_most
from benchmarks.inputs import LONG_TEXT_CHARS, made
from benchmarks.processes import Failed, run
from benchmarks.programs import OWNER, Bench, target_command, write_settings

LEADS: Final = 10_000
_EXTRA: Final[dict[str, object]] = {"extra_fields": ["Description"]}
_START_S: Final = 20.0


def measure(bench: Bench, plan: Plan) -> Outcome:
    """One list of 10,000 leads of which k have a description that the server finds too long."""
    del plan
    figures = []
    for told, refused_counts in (("first", (1, 10, 50)), ("all", (10, 100))):
        for refused in refused_counts:
            how = "one at a time, with pointers" if told == "first" else "all at once"
            name = f"create calls, {refused} of {LEADS:,} leads refused {how}"
            limit = refused + 1 if told == "first" else 2
            figures.append(_figure(name, limit, lambda told=told, refused=refused: _pointed(bench, told, refused)))
    for refused in (1, 4):
        name = f"create calls, {refused} of {LEADS:,} leads refused, without pointers (≤ 1 + 2 k log2 n)"
        limit = 1 + 2 * refused * math.ceil(math.log2(LEADS))
        figures.append(_figure(name, limit, lambda refused=refused: _unpointed(bench, refused)))
    return Outcome(figures)


def _figure(name: str, limit: int, count: Any) -> Figure:
    try:
        return at_most(name, count(), limit, "{:.0f}")
    except Failed as failure:
        return Figure(name, f"failed: {failure}"[:300], f"≤ {limit}", holds=False)


def _pointed(bench: Bench, told: str, refused: int) -> int:
    """Calls to the shipped sandbox, which names the leads it refuses."""
    given = made(f"profiles-{refused}", LEADS)
    with _running_sandbox(bench, told) as base_url, bench.folder() as folder:
        settings = write_settings(bench, folder, {**_EXTRA, "base_url": base_url})
        run(target_command("--config", settings), stdin=given.path, log=folder / "log", cwd=bench.tree)
        requests = _get(f"{base_url}/_sandbox/requests")["requests"]
        commits = _get(f"{base_url}/_sandbox/log?leads=false")["commits"]
    if (arrived := sum(commit["lead_count"] for commit in commits)) != LEADS - refused:
        raise Failed(f"{arrived:,} leads arrived, not {LEADS - refused:,}")
    return sum(request["method"] == "POST" for request in requests)


def _unpointed(bench: Bench, refused: int) -> int:
    """Calls to the sink, which says only that something is wrong with the list."""
    given = made(f"profiles-{refused}", LEADS)
    bench.sink.reset(refuses_over=LONG_TEXT_CHARS)
    with bench.folder() as folder:
        settings = write_settings(bench, folder, _EXTRA)
        run(target_command("--config", settings), stdin=given.path, log=folder / "log", cwd=bench.tree)
    arrived = bench.sink.arrived()
    arrived.check(LEADS - refused, "without pointers")
    return arrived.lists + arrived.refused


@contextlib.contextmanager
def _running_sandbox(bench: Bench, told: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    switches = {
        "--port": port, "--users": OWNER, "--errors-told": told, "--extra-text-limit": LONG_TEXT_CHARS,
        "--requests-per-minute": 0,
    }  # fmt: skip
    words = [str(word) for pair in switches.items() for word in pair]
    command = [str(word) for word in target_command("sandbox", *words, environment=None)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=bench.tree, stdout=quiet, stderr=quiet) as process:
        try:
            _await(f"http://127.0.0.1:{port}/_sandbox/state")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _await(url: str) -> None:
    end_s = time.monotonic() + _START_S
    while time.monotonic() < end_s:
        with contextlib.suppress(urllib.error.URLError):
            _get(url)
            return
        time.sleep(0.05)
    raise Failed("the sandbox did not start")


def _get(url: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=60) as answer:
        return dict(json.load(answer))
