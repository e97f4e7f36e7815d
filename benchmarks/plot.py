"""Draws cost against size; runs in the environment of `requirements-plot.txt`.

Called as `plot.py POINTS.json OUT.svg`. The background is transparent and all lines and words are of middle tones, so
that the picture can be read on dark and on light pages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

INK, BLUE, ORANGE = "#7d8590", "#3b82f6", "#e8590c"


def main(points_path: str, out_path: str) -> None:
    """Draw CPU time a record and peak memory, side by side."""
    points = json.loads(Path(points_path).read_text())
    mpl.rcParams.update({
        "svg.hashsalt": "growth", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False, "grid.color": INK, "grid.alpha": 0.25,
    })  # fmt: skip
    figure, (time, memory) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    _panel(time, points, "cpu_us", BLUE, "CPU time, µs a record", "{:.1f}")
    _panel(memory, points, "peak_mb", ORANGE, "peak memory, MB", "{:.0f}")
    figure.savefig(out_path, transparent=True, metadata={"Date": None})


def _panel(axes: Any, points: list[dict[str, float]], member: str, colour: str, label: str, form: str) -> None:
    sizes, values = [point["records"] for point in points], [point[member] for point in points]
    axes.plot(sizes, values, color=colour, marker="o", linewidth=2)
    for size, value in zip(sizes, values, strict=True):
        axes.annotate(form.format(value), (size, value), (0, 8), textcoords="offset points", ha="center", color=colour)
    axes.set_xscale("log")
    axes.set_xticks(sizes, minor=False)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: _short(size)))
    axes.set_ylim(0, max(values) * 1.25)
    axes.set_xlabel("records in one run")
    axes.set_ylabel(label)
    axes.grid(axis="y")


def _short(size: float) -> str:
    return f"{size / 1e6:g} M" if size >= 1e6 else f"{size / 1e3:g} k"


if __name__ == "__main__":
    main(*sys.argv[1:])
