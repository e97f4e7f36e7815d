"""Repetitions of several programs, taken in turns, and what can be said of them.

The machine is shared and its speed drifts, so programs are compared within a round: a ratio is the median of the ratios
of the rounds in which both ran.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.arrivals import Arrived
from benchmarks.inputs import Input
from benchmarks.processes import Cost, Failed
from benchmarks.programs import Bench, Program


@dataclass(slots=True)
class Sample:
    """What the repetitions of one program over one input cost, by round.

    Attributes:
        failure: What went wrong, if something did: nothing can be said then, and it is not run again.
        exit_code: With which exit code, where the program said so itself.
    """

    record_count: int
    costs: dict[int, Cost] = field(default_factory=dict)
    arrived: list[Arrived] = field(default_factory=list)
    failure: str = ""
    exit_code: int | None = None

    @property
    def cpu_s(self) -> float:
        """Median."""
        return statistics.median(cost.cpu_s for cost in self.costs.values())

    @property
    def cpu_us(self) -> float:
        """Median of CPU microseconds a record, start-up included."""
        return self.cpu_s / max(self.record_count, 1) * 1e6

    @property
    def wall_s(self) -> float:
        """Median."""
        return statistics.median(cost.wall_s for cost in self.costs.values())

    @property
    def peak_mb(self) -> float:
        """Median."""
        return statistics.median(cost.peak_mb for cost in self.costs.values())

    @property
    def noise_percent(self) -> float:
        """How far the dearest repetition lay above the cheapest."""
        times_s = [cost.cpu_s for cost in self.costs.values()]
        return (max(times_s) / min(times_s) - 1) * 100

    def raw(self) -> dict[str, object]:
        """For the JSON file."""
        return {
            "records": self.record_count,
            "cpu_us_per_record": round(self.cpu_us, 3),
            "cpu_s": [round(cost.cpu_s, 3) for cost in self.costs.values()],
            "wall_s": [round(cost.wall_s, 3) for cost in self.costs.values()],
            "peak_mb": [round(cost.peak_mb, 1) for cost in self.costs.values()],
        }


def ratio(dearer: Sample, cheaper: Sample) -> float:
    """How many times the CPU of one the other takes, per record, in rounds where both ran."""
    rounds = dearer.costs.keys() & cheaper.costs.keys()
    records = cheaper.record_count / dearer.record_count if dearer.record_count else 1.0
    return statistics.median(dearer.costs[one].cpu_s / cheaper.costs[one].cpu_s for one in rounds) * records


def wall_ratio(dearer: Sample, cheaper: Sample) -> float:
    """The same of the time that passed."""
    rounds = dearer.costs.keys() & cheaper.costs.keys()
    return statistics.median(dearer.costs[one].wall_s / cheaper.costs[one].wall_s for one in rounds)


def rounds_of(repetitions: int, rounds: int) -> set[int]:
    """In which rounds something runs that is repeated less often than there are rounds: spread evenly."""
    if repetitions >= rounds:
        return set(range(rounds))
    return {round(at * (rounds - 1) / max(repetitions - 1, 1)) for at in range(repetitions)}


def interleaved(
    bench: Bench,
    pairs: Sequence[tuple[Program, Input]],
    rounds: int,
    *,
    repetitions: Callable[[Program], int] | None = None,
    latency_s: float = 0.0,
) -> list[Sample]:
    """Run programs in turns, each round in another order; one sample a pair.

    Args:
        bench: Where to.
        pairs: What runs over what.
        rounds: How many rounds.
        repetitions: How many of them a program takes part in; all by default.
        latency_s: How long the sink waits before it answers a create call.

    """
    samples = [Sample(given.record_count) for _, given in pairs]
    for number in range(rounds):
        for at in _rotated(range(len(pairs)), number):
            program, given = pairs[at]
            wanted = rounds_of(repetitions(program) if repetitions else rounds, rounds)
            if number in wanted and not samples[at].failure:
                _run_once(samples[at], number, bench, program, given, latency_s)
    return samples


def _run_once(sample: Sample, number: int, bench: Bench, program: Program, given: Input, latency_s: float) -> None:
    try:
        cost, arrived = program.cost(bench, given, latency_s)
    except Failed as failure:
        sample.failure, sample.exit_code = str(failure) or "failed", failure.exit_code
        print(f"{program.key} failed: {failure}", file=sys.stderr)
        return
    sample.costs[number] = cost
    sample.arrived.append(arrived)


def _rotated(items: Iterable[int], by: int) -> list[int]:
    ordered = list(items)
    by %= max(len(ordered), 1)
    return ordered[by:] + ordered[:by]
