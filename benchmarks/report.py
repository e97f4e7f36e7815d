"""The table on the terminal, the same as Markdown, and the raw numbers."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Outcome

_STYLES = {True: "green", False: "bold red", None: ""}


def show(outcomes: Mapping[str, Outcome], console: Console) -> None:
    """Print the table."""
    table = Table("case", "figure", "measured", "asked for", "", title="target-amplemarket: speed and size")
    for case, outcome in outcomes.items():
        for at, figure in enumerate(outcome.figures):
            verdict = f"[{style}]{figure.verdict}[/]" if (style := _STYLES[figure.holds]) else figure.verdict
            table.add_row("" if at else case, figure.name, figure.measured, figure.target, verdict)
        table.add_section()
    console.print(table)


def write(outcomes: Mapping[str, Outcome], folder: Path, surroundings: Mapping[str, object]) -> None:
    """Write `latest.md` and `latest.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.md").write_text(_markdown(outcomes, surroundings))
    raw: dict[str, Any] = {"surroundings": dict(surroundings)}
    for case, outcome in outcomes.items():
        lines = [
            {"name": f.name, "measured": f.measured, "target": f.target, "holds": f.holds} for f in outcome.figures
        ]
        raw[case] = {"figures": lines, "raw": outcome.raw}
    (folder / "latest.json").write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n")


def surroundings(seconds: float) -> dict[str, object]:
    """What the numbers depend on."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load at the end": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
        "took": f"{seconds / 60:.0f} minutes",
    }


def _markdown(outcomes: Mapping[str, Outcome], surroundings: Mapping[str, object]) -> str:
    told = " · ".join(f"{name}: {value}" for name, value in surroundings.items())
    lines = ["# Figures of the last whole run of `make bench`", "", told, ""]
    lines += ["| case | figure | measured | asked for | |", "| --- | --- | --- | --- | --- |"]
    for case, outcome in outcomes.items():
        for figure in outcome.figures:
            lines.append(f"| {case} | {figure.name} | {figure.measured} | {figure.target} | {figure.verdict} |")
    return "\n".join(lines) + "\n"
