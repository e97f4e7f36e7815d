"""What input of other kinds costs: untidy contacts, and several streams in turns."""

from __future__ import annotations

from typing import Final

from benchmarks.figures import TIMES, Figure, Outcome, Plan
from benchmarks.inputs import made
from benchmarks.programs import OURS, Bench
from benchmarks.samples import interleaved, ratio

RECORDS: Final = 300_000
_ROUNDS: Final = 3
_KINDS: Final = {
    "contacts": "one stream, everybody once",
    "untidy": "2 % duplicates, 2 % without identity",
    "streams": "four streams, 100 records in turns",
}


def measure(bench: Bench, plan: Plan) -> Outcome:
    """Beside the plain stream."""
    pairs = [(OURS, made(kind, RECORDS)) for kind in _KINDS]
    samples = dict(zip(_KINDS, interleaved(bench, pairs, min(plan.rounds, _ROUNDS)), strict=True))
    plain = samples["contacts"]
    figures = []
    for kind, sample in samples.items():
        if sample.failure or plain.failure:
            figures.append(Figure(_KINDS[kind], "failed", holds=False))
            continue
        told = f"{sample.cpu_us:.2f} µs, {ratio(sample, plain):.2f} {TIMES} plain, peak {sample.peak_mb:.0f} MB"
        figures.append(Figure(f"CPU a record: {_KINDS[kind]}", told))
    return Outcome(figures, {kind: sample.raw() for kind, sample in samples.items() if not sample.failure})
