"""The same million contacts as RECORD lines, as BATCH files, and pushed without a tap."""

from __future__ import annotations

from typing import Final

from benchmarks.figures import TIMES, Figure, Outcome, Plan, at_least
from benchmarks.inputs import made
from benchmarks.programs import OURS, PUSH, Bench
from benchmarks.samples import Sample, interleaved, ratio

RECORDS: Final = 1_000_000
_ASKED: Final = "BATCH Parquet"
_PARQUET_GAIN: Final = 2.0
_ROUNDS: Final = 3


def measure(bench: Bench, plan: Plan) -> Outcome:
    """End to end, the sink included; start-up is paid once in each."""
    pairs = {
        "RECORD": (OURS, made("contacts", RECORDS)),
        _ASKED: (OURS, made("parquet", RECORDS)),
        "BATCH Arrow": (OURS, made("arrow", RECORDS)),
        "BATCH JSONL": (OURS, made("jsonl", RECORDS)),
        "BATCH JSONL, gzip": (OURS, made("gzip", RECORDS)),
        "push of Parquet": (PUSH, made("parquet", RECORDS)),
    }
    taken = dict(zip(pairs, interleaved(bench, list(pairs.values()), min(plan.rounds, _ROUNDS)), strict=True))
    figures = [_told(name, sample, taken["RECORD"]) for name, sample in taken.items()]
    return Outcome(figures, {name: sample.raw() for name, sample in taken.items() if not sample.failure})


def _told(name: str, sample: Sample, record: Sample) -> Figure:
    label = f"{name}: CPU a record"
    if sample.failure:
        what = "not available: the command refuses it" if sample.exit_code in {2, 3} else "failed"
        return Figure(label, what, holds=False if name == _ASKED else None)
    told = f"{sample.cpu_us:.2f} µs, {sample.wall_s:.1f} s in all, peak {sample.peak_mb:.0f} MB"
    if record.failure or name == "RECORD":
        return Figure(label, told)
    gain = ratio(record, sample)
    if name == _ASKED:
        return at_least(label, gain, _PARQUET_GAIN, f"{{:.1f}} {TIMES} faster", f": {told}")
    return Figure(label, f"{gain:.1f} {TIMES} faster: {told}")
