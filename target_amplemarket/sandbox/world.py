"""What all APIs of a sandbox share: its switches, its time, what happened, its faults, and commits still to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from target_amplemarket.sandbox.api import Api, ApiMaker, Directory
from target_amplemarket.sandbox.faults import FaultPlan
from target_amplemarket.sandbox.ids import draw
from target_amplemarket.sandbox.journal import Journal
from target_amplemarket.sandbox.limiter import RateLimiter
from target_amplemarket.sandbox.switch_values import switches_from
from target_amplemarket.sandbox.switches import Switches

Clock = Callable[[], float]
"""Seconds since 1970."""


@dataclass(frozen=True)
class _Due:
    at_s: float
    commit: Callable[[float], object]


class World:
    """All state of the sandbox. Not thread-safe: one event loop owns it.

    Raises:
        ValueError: A fault names an endpoint that no API has.
    """

    def __init__(self, switches: Switches, clock: Clock, apis: Sequence[ApiMaker]) -> None:
        self.switches = switches
        self._clock = clock
        self._makers = apis
        self._ahead_s = 0.0
        self._begin()

    def _begin(self) -> None:
        self.journal = Journal(self.switches.requests_kept)
        self.limiter = RateLimiter()
        self.apis: list[Api] = [make(self) for make in self._makers]
        self.directory = Directory(self.apis)
        self.plan = self._planned(self.switches)
        self._due: list[_Due] = []
        self._latency_draws = 0

    def _planned(self, switches: Switches) -> FaultPlan:
        return FaultPlan(switches.faults, switches.seed, [one for api in self.apis for one in api.endpoints])

    def api(self, name: str) -> Api:
        """The API of this name.

        Raises:
            KeyError: There is none.
        """
        return {api.name: api for api in self.apis}[name]

    def reset(self, switches: Switches | None = None) -> None:
        """Forget everything that happened; keep the switches unless others are given.

        Raises:
            ValueError: A fault names an endpoint that no API has; nothing is forgotten then.
        """
        self._planned(switches or self.switches)
        self.switches = switches or self.switches
        self._begin()

    def set(self, changes: Mapping[str, Any]) -> None:
        """Change switches while running: new faults count from zero, named balances start anew.

        Raises:
            ValueError: A name is unknown or a value does not fit; nothing is changed then.
        """
        switches = switches_from(changes, self.switches)
        names = {name.replace("-", "_") for name in changes}
        if names & {"faults", "seed"}:
            self.plan = self._planned(switches)
        self.switches = switches
        self.journal.keep(switches.requests_kept)
        for api in self.apis:
            api.switched(names)

    def now_s(self) -> float:
        """The clock, and what it was advanced by."""
        return self._clock() + self._ahead_s

    def advance(self, duration_s: float) -> None:
        """Put the sandbox's time forward."""
        self._ahead_s += duration_s

    def settle(self) -> None:
        """Carry out the late commits whose time has come, oldest first."""
        now_s = self.now_s()
        ready = sorted((due for due in self._due if due.at_s <= now_s), key=lambda due: due.at_s)
        self._due = [due for due in self._due if due.at_s > now_s]
        for due in ready:
            due.commit(due.at_s)

    def commit_later(self, at_s: float, commit: Callable[[float], object]) -> None:
        """Let a commit happen once the clock has reached `at_s`."""
        self._due.append(_Due(at_s, commit))

    @property
    def pending_count(self) -> int:
        """Late commits still to come."""
        return len(self._due)

    def latency_s(self) -> float:
        """How long the next call waits before it is looked at."""
        self._latency_draws += 1
        chance = int.from_bytes(draw(self.switches.seed, "latency", self._latency_draws)[:4], "big") / 2**32
        return (self.switches.latency_ms + self.switches.latency_jitter_ms * chance) / 1000

    def state(self) -> dict[str, Any]:
        """Counts, what each API counts, and the sandbox's time in seconds since 1970."""
        own = {name: value for api in self.apis for name, value in api.state().items()}
        return {
            "now_s": self.now_s(),
            **own,
            "lists": sum(len(api.lists()) for api in self.apis),
            "pending_commits": self.pending_count,
            **self.journal.counts(),
        }
