"""Throughput against a sink that takes two seconds to answer, by how many lists may be in flight."""

from __future__ import annotations

from typing import Final

from benchmarks.figures import Figure, Outcome, Plan, at_least, at_most
from benchmarks.inputs import made
from benchmarks.processes import Failed
from benchmarks.programs import FAST, Bench, Program, Target

LATENCY_S: Final = 2.0
_IN_FLIGHT: Final = (1, 2, 4, 8)
_TURNS: Final = 6
"""How many lists follow one another in each place in flight."""
_LEADS: Final = 10_000
_SHARE: Final = 0.8
"""Of what the sink's latency allows; the rest is the first list's reading and the last turn's waiting."""
_SLOW_RATE: Final = 60
"""Requests a minute at which eight lists in flight are bounded by the limiter."""


def measure(bench: Bench, plan: Plan) -> Outcome:
    """Full lists of one type; leads a second from the first call's arrival to the last answer."""
    del plan
    figures, raw = [], {}
    for in_flight in _IN_FLIGHT:
        name = f"leads a second, {in_flight} in flight, 2 s latency"
        try:
            raw[str(in_flight)] = rate = _rate(bench, in_flight, FAST, _TURNS * in_flight)
        except Failed as failure:
            figures.append(Figure(name, f"failed: {failure}"[:200], holds=False))
            continue
        figures.append(at_least(name, rate, _SHARE * in_flight * _LEADS / LATENCY_S, "{:,.0f}"))
    # A burst of 5 calls is granted at once, and two calls ask for account and owners.
    lists = 30
    name = f"the same, 8 in flight, {_SLOW_RATE} requests a minute"
    try:
        raw["limited"] = rate = _rate(bench, 8, _SLOW_RATE, lists)
    except Failed as failure:
        return Outcome([*figures, Figure(name, f"failed: {failure}"[:200], holds=False)], raw)
    limit = _LEADS * lists / ((lists - 5) * 60 / _SLOW_RATE)
    return Outcome([*figures, at_most(name, rate, limit, "{:,.0f}", ", bounded by the limiter")], raw)


def _rate(bench: Bench, in_flight: int, requests_per_minute: int, lists: int) -> float:
    changes = {"max_in_flight": in_flight, "requests_per_minute": requests_per_minute}
    program = Program("latency", "", Target(changes))
    _, arrived = program.cost(bench, made("profiles", lists * _LEADS), LATENCY_S)
    return arrived.leads / arrived.seconds
