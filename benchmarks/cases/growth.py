"""Time and memory as the input grows."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure, Outcome, Plan, at_most
from benchmarks.inputs import made
from benchmarks.places import CACHE, HERE, PLOT, ROOT, python_of
from benchmarks.processes import own_peak_mb
from benchmarks.programs import OURS, Bench
from benchmarks.samples import Sample, interleaved

SIZES: Final = (100_000, 300_000, 1_000_000, 3_000_000)
LONG_SIZES: Final = (*SIZES, 10_000_000)
_RECORDS_A_SIZE: Final = 3_000_000
"""Small sizes are repeated more often, up to `rounds`."""
_MEMORY_GROWTH: Final = 1.15
_MEMORY_MB: Final = 250.0


def measure(bench: Bench, plan: Plan) -> Outcome:
    """Each size on a new, empty results folder; a whole run draws the plot of the docs anew."""
    samples: dict[int, Sample] = {}
    for size in LONG_SIZES if plan.is_long else SIZES:
        rounds = max(1, min(plan.rounds, 3, _RECORDS_A_SIZE // size))
        (samples[size],) = interleaved(bench, [(OURS, made("contacts", size))], rounds)
    whole = {size: sample for size, sample in samples.items() if not sample.failure}
    figures = [_told(size, sample) for size, sample in samples.items()]
    figures += _memory(whole)
    figures.append(Figure("memory that every process measured inherits", f"{own_peak_mb():.0f} MB"))
    raw = {str(size): sample.raw() for size, sample in whole.items()}
    out = PLOT if plan.keeps else CACHE / PLOT.name
    return Outcome([*figures, _draw(whole, out)], raw)


def _told(size: int, sample: Sample) -> Figure:
    name = f"{size:,} records"
    if sample.failure:
        return Figure(name, "failed", holds=False)
    return Figure(name, f"{sample.cpu_us:.2f} µs a record, peak {sample.peak_mb:.0f} MB, {sample.wall_s:.1f} s")


def _memory(samples: dict[int, Sample]) -> list[Figure]:
    if not samples.keys() >= {300_000, 3_000_000}:
        return [Figure("peak memory at 3 M / at 300 k", "failed", holds=False)]
    small_mb, large_mb = samples[300_000].peak_mb, samples[3_000_000].peak_mb
    return [
        at_most("peak memory at 3 M / at 300 k", large_mb / small_mb, _MEMORY_GROWTH),
        at_most("peak memory at 3 M, empty ledger", large_mb, _MEMORY_MB, "{:.0f} MB"),
    ]


def _draw(samples: dict[int, Sample], out: Path) -> Figure:
    if not python_of("plot").exists():
        return Figure("plot", "not drawn: `make bench` installs matplotlib")
    points = [{"records": size, "cpu_us": sample.cpu_us, "peak_mb": sample.peak_mb} for size, sample in samples.items()]
    path = CACHE / "growth.json"
    path.write_text(json.dumps(points))
    subprocess.run([str(python_of("plot")), str(HERE / "plot.py"), str(path), str(out)], check=True)
    return Figure("plot", str(out.relative_to(ROOT)))
