"""Where the benchmark keeps its things."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
HERE: Final = ROOT / "benchmarks"
CACHE: Final = HERE / ".data"
"""Made input and folders of runs; ignored by git, removed without loss."""
RESULTS: Final = HERE / "results"
PLOT: Final = ROOT / "docs" / "explanation" / "performance-growth.svg"
REQUIREMENTS: Final = HERE


def python_of(environment: str | None = None) -> Path:
    """The interpreter of the project, or of one of the benchmark's own environments (`own`, `singer-sdk`, `dlt`, ...).

    `own` holds the target as its users install it, without the extras.
    """
    folder = ROOT / ".venv" if environment is None else ROOT / ".venv" / f"bench-{environment}"
    return folder / "bin" / "python"
