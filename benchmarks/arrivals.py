"""The sink as the benchmark holds it: started, reset before a run, asked after it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.places import ROOT, python_of
from benchmarks.processes import Failed


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the sink saw since it was reset.

    Attributes:
        seconds: From the first create call's arrival to the last answer.
    """

    requests: int
    refused: int
    lists: int
    leads: int
    distinct: int
    largest_list: int
    seconds: float

    def check(self, lead_count: int, who: str) -> None:
        """Everybody arrived, and once.

        Raises:
            Failed: Somebody did not, or twice.
        """
        if (self.leads, self.distinct) != (lead_count, lead_count):
            raise Failed(f"{who}: of {lead_count:,} leads {self.leads:,} arrived, {self.distinct:,} different ones")


@dataclass(frozen=True, slots=True)
class RunningSink:
    """A sink in a process of its own."""

    base_url: str

    def reset(self, latency_s: float = 0.0, refuses_over: int = 0) -> None:
        """Forget what arrived; from now on answer after this time, and refuse lists with a longer description."""
        self._call("/_sink/reset", json.dumps({"latency_s": latency_s, "refuses_over": refuses_over}).encode())

    def arrived(self) -> Arrived:
        """What arrived since the last reset."""
        return Arrived(**self._call("/_sink/counts"))

    def _call(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(self.base_url + path, body)  # noqa: S310  # the address is our own
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return dict(json.load(answer))


@contextlib.contextmanager
def running_sink() -> Iterator[RunningSink]:
    """A sink that ends with the block."""
    command = [str(python_of()), "-m", "benchmarks.sink"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or not (port := process.stdout.readline().strip()):
                raise Failed("the sink did not start")
            yield RunningSink(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
