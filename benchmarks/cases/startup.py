"""What it takes to do nothing: an empty run, and `--about`, beside a stock target on the same SDK.

The SDK imports numpy and joblib where they are installed, so the stock target is started from our environment as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import TIMES, Figure, Outcome, Plan, at_most
from benchmarks.inputs import Input
from benchmarks.places import HERE, python_of
from benchmarks.processes import Cost, run
from benchmarks.programs import OWNER, Bench, Program, target_command, write_settings
from benchmarks.samples import Sample, interleaved, ratio, wall_ratio

_ROUNDS: Final = 15
_NOTHING: Final = Input(Path("/dev/null"), 0, 0)


def measure(bench: Bench, plan: Plan) -> Outcome:
    """Each in turns, 15 times, whatever the number of rounds: starts are short and noisy."""
    del plan
    programs = {
        ("an empty run", "ours"): _ours(empty=True),
        ("an empty run", "stock"): _stock(empty=True),
        ("an empty run", "stock in our environment"): _stock(empty=True, environment=None),
        ("--about", "ours"): _ours(empty=False),
        ("--about", "stock"): _stock(empty=False),
        ("--about", "stock in our environment"): _stock(empty=False, environment=None),
    }
    pairs = [(Program(f"{who}: {what}", what, start), _NOTHING) for (what, who), start in programs.items()]
    samples = dict(zip(programs, interleaved(bench, pairs, _ROUNDS), strict=True))
    figures = [figure for what in ("an empty run", "--about") for figure in _figures(what, samples)]
    return Outcome(figures, {f"{who}: {what}": sample.raw() for (what, who), sample in samples.items()})


def _figures(what: str, samples: dict[tuple[str, str], Sample]) -> list[Figure]:
    ours, stock = samples[what, "ours"], samples[what, "stock"]
    if ours.failure or stock.failure:
        return [Figure(what, "failed", holds=False)]
    cpu = f": {ours.cpu_s:.2f} s against {stock.cpu_s:.2f} s"
    wall = f": {ours.wall_s:.2f} s against {stock.wall_s:.2f} s"
    heavy = samples[what, "stock in our environment"]
    return [
        at_most(f"{what}: CPU, ours / stock", ratio(ours, stock), 1.0, f"{{:.2f}} {TIMES}", cpu),
        at_most(f"{what}: wall, ours / stock", wall_ratio(ours, stock), 1.0, f"{{:.2f}} {TIMES}", wall),
        Figure(f"{what}: stock, installed beside our packages", f"{heavy.cpu_s:.2f} s CPU, {heavy.wall_s:.2f} s wall"),
    ]


def _ours(*, empty: bool) -> Callable[[Bench, Input, Path], Cost]:
    def start(bench: Bench, given: Input, folder: Path) -> Cost:
        del given
        words = ("--config", write_settings(bench, folder)) if empty else ("--about", "--format", "json")
        return run(target_command(*words), log=folder / "log", cwd=bench.tree)

    return start


def _stock(*, empty: bool, environment: str | None = "singer-sdk") -> Callable[[Bench, Input, Path], Cost]:
    def start(bench: Bench, given: Input, folder: Path) -> Cost:
        del given
        path = folder / "settings.json"
        settings: dict[str, Any] = {"api_key": "benchmark", "owner": OWNER, "base_url": bench.sink.base_url}
        path.write_text(json.dumps(settings))
        words = ("--config", path) if empty else ("--about", "--format", "json")
        return run([python_of(environment), HERE / "peers" / "stock_target.py", *words], log=folder / "log", cwd=folder)

    return start
