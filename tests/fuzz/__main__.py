"""`python -m tests.fuzz --seconds 600 [--target NAME] [--seed N]`: ends with 1 where an input broke something."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.running import Fuzzed, fuzz
from tests.fuzz.targets import TARGETS

LONGEST_SHOWN = 4_000


def main() -> int:
    """Share the time among the targets and print what came of each."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="time for all targets together")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="may be repeated; all by default")
    parser.add_argument("--seed", type=int, help="of the first round; makes a failure again")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="processes at once")
    chosen = parser.parse_args()
    targets = [TARGETS[name] for name in chosen.target or TARGETS]
    each_s = chosen.seconds * min(chosen.jobs, len(targets)) / len(targets)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        done = list(pool.map(lambda target: fuzz(target, each_s, first_seed=chosen.seed), targets))
    for fuzzed in done:
        sys.stdout.write(line_of(fuzzed) + "\n")
    broken = [fuzzed for fuzzed in done if fuzzed.failure]
    for fuzzed in broken:
        sys.stdout.write(f"\n{fuzzed.name}: {fuzzed.failure}\ninput: {(fuzzed.example or '')[:LONGEST_SHOWN]}\n")
        sys.stdout.write(f"again: python -m tests.fuzz --target {fuzzed.name} --seed {fuzzed.seed}\n")
    return 1 if broken else 0


def line_of(fuzzed: Fuzzed) -> str:
    """One target in one line."""
    verdict = "BROKEN" if fuzzed.failure else "sound"
    return f"{fuzzed.name:18} {fuzzed.executions:>10,} inputs {fuzzed.duration_s:7.1f} s   {verdict}"


if __name__ == "__main__":
    sys.exit(main())
