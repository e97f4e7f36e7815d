"""`python -m benchmarks`: measure, print the table, keep the numbers."""

from __future__ import annotations

import argparse
import compileall
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.arrivals import running_sink
from benchmarks.cases import CASES
from benchmarks.cases.record import PROGRAMS
from benchmarks.figures import Figure, Outcome, Plan
from benchmarks.places import RESULTS, ROOT
from benchmarks.processes import Failed
from benchmarks.programs import Bench


def main() -> int:
    """Run the cases that are asked for; 1 when one could not be measured."""
    words = _arguments()
    keys = {program.key for program in PROGRAMS}
    only = [word for word in words.only.split(",") if word]
    if unknown := set(only) - keys - CASES.keys():
        sys.exit(
            f"unknown: {', '.join(sorted(unknown))}; cases: {', '.join(CASES)}; programs: {', '.join(sorted(keys))}"
        )
    chosen = [case for case in CASES if not only or case in only or (case == "record" and keys & set(only))]
    plan = Plan(rounds=words.rounds, is_long=words.long, keeps=not only, programs=frozenset(keys & set(only)))
    console, started_s = Console(width=None if sys.stdout.isatty() else 160), time.monotonic()
    outcomes: dict[str, Outcome] = {}
    compileall.compile_dir(words.tree / "target_amplemarket", quiet=1)  # as pip does where users install it
    with running_sink() as sink:
        for case in chosen:
            print(f"{time.monotonic() - started_s:5.0f} s  {case}", file=sys.stderr, flush=True)
            try:
                outcomes[case] = CASES[case](Bench(sink, words.tree), plan)
            except Failed as failure:
                print(f"{case} failed: {failure}", file=sys.stderr)
                outcomes[case] = Outcome([Figure(case, "failed: see above", holds=False)])
    report.show(outcomes, console)
    if plan.keeps:
        report.write(outcomes, RESULTS, report.surroundings(time.monotonic() - started_s))
    return int(any(figure.measured.startswith("failed") for outcome in outcomes.values() for figure in outcome.figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="cases or programs, with commas: floor,ours,stock or memory,ledger")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of what is cheap to repeat")
    parser.add_argument("--tree", type=Path, default=ROOT, help="source tree of the target to measure, to compare two")
    parser.add_argument("--long", action="store_true", help="10 million records and leads too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
