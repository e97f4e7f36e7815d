"""CPU per record on the RECORD path: ours, the floor, and the peers, side by side."""

from __future__ import annotations

from typing import Final

from benchmarks import programs
from benchmarks.figures import TIMES, Figure, Outcome, Plan, at_least, at_most
from benchmarks.inputs import made
from benchmarks.programs import Bench, Program
from benchmarks.samples import Sample, interleaved, ratio

RECORDS: Final = 300_000
PROGRAMS: Final = (
    programs.FLOOR, programs.FLOOR_MAPPED, programs.OURS, programs.VALIDATED, programs.STOCK, programs.STOCK_VALIDATED,
    programs.DLT, programs.JSONL,
)  # fmt: skip
_SLOW: Final = {"stock": 3, "stock-validated": 3, "dlt": 2, "jsonl": 2}
_ASKED: Final = (
    # dearer, cheaper, limit, at least?
    ("ours", "floor", 2.5, False),
    ("stock", "ours", 6.0, True),
    ("stock-validated", "ours", 25.0, True),
    ("stock-validated", "validated", 8.0, True),
)
_TOLD: Final = (("dlt", "ours"), ("jsonl", "ours"), ("ours", "floor-mapped"))


def measure(bench: Bench, plan: Plan) -> Outcome:
    """All programs over the same 300,000 records, in turns."""
    chosen = [program for program in PROGRAMS if not plan.programs or program.key in plan.programs]
    given, nothing = made("contacts", RECORDS), made("contacts", 0)

    def repetitions(program: Program) -> int:
        return min(plan.rounds, _SLOW.get(program.key, plan.rounds))

    taken = interleaved(bench, [(program, given) for program in chosen], plan.rounds, repetitions=repetitions)
    empty = interleaved(bench, [(program, nothing) for program in chosen if program.key != "dlt"], 3)
    samples = {program.key: sample for program, sample in zip(chosen, taken, strict=True)}
    start_ups = dict(zip([program.key for program in chosen if program.key != "dlt"], empty, strict=True))
    figures = [_cost(program, samples[program.key], start_ups.get(program.key)) for program in chosen]
    whole = {key: sample for key, sample in samples.items() if not sample.failure}
    figures += [_asked(*asked, whole) for asked in _ASKED if samples.keys() >= set(asked[:2])]
    figures += [_told(*told, whole) for told in _TOLD if whole.keys() >= set(told)]
    return Outcome(figures, {key: sample.raw() for key, sample in whole.items()})


def _cost(program: Program, sample: Sample, start_up: Sample | None) -> Figure:
    if sample.failure:
        return Figure(f"CPU a record: {program.label}", "failed", holds=False)
    beyond = ""
    if start_up is not None and not start_up.failure:
        beyond = f", {(sample.cpu_s - start_up.cpu_s) / RECORDS * 1e6:.2f} beyond start-up"
    told = f"{sample.cpu_us:.2f} µs{beyond}; ±{sample.noise_percent / 2:.0f} %, peak {sample.peak_mb:.0f} MB"
    return Figure(f"CPU a record: {program.label}", told)


def _asked(dearer: str, cheaper: str, limit: float, is_least: bool, samples: dict[str, Sample]) -> Figure:
    if not samples.keys() >= {dearer, cheaper}:
        return Figure(f"CPU a record: {dearer} / {cheaper}", "failed", f"{limit} {TIMES}", holds=False)
    value = ratio(samples[dearer], samples[cheaper])
    make = at_least if is_least else at_most
    return make(f"CPU a record: {dearer} / {cheaper}", value, limit, f"{{:.1f}} {TIMES}")


def _told(dearer: str, cheaper: str, samples: dict[str, Sample]) -> Figure:
    return Figure(f"CPU a record: {dearer} / {cheaper}", f"{ratio(samples[dearer], samples[cheaper]):.1f} {TIMES}")
