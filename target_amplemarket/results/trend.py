"""How the last runs went, in a line of bars for each figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from target_amplemarket.results.history import PastRun

_BARS: Final = "▁▂▃▄▅▆▇█"


def trend_lines(runs: Sequence[PastRun]) -> Iterator[str]:
    """Records read, accepted, and the share rejected, oldest run first; nothing for fewer than two ended runs."""
    ended = [run for run in runs if run.exit_code is not None]
    if len(ended) < 2:
        return
    read = [float(run.records) for run in ended]
    accepted = [float(run.statuses.get("accepted", 0)) for run in ended]
    rejected = [100 * run.statuses.get("rejected", 0) / max(1, run.records) for run in ended]
    yield f"trend      read  {bars(read)}  {read[-1]:,.0f}"
    yield f"       accepted  {bars(accepted)}  {accepted[-1]:,.0f}"
    yield f"     rejected %  {bars(rejected)}  {rejected[-1]:.1f}"


def bars(values: Sequence[float]) -> str:
    """One character a value, from 0 to the largest."""
    top = max(values, default=0.0)
    return "".join(_BARS[round(value / top * (len(_BARS) - 1))] if top else _BARS[0] for value in values)
