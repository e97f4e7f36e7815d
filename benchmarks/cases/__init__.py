"""The cases, in the order in which they run."""

from __future__ import annotations

from typing import Final

from benchmarks.cases import batch, growth, latency, ledger, record, requests, startup, variants
from benchmarks.figures import Case

CASES: Final[dict[str, Case]] = {
    "record": record.measure,
    "batch": batch.measure,
    "growth": growth.measure,
    "variants": variants.measure,
    "requests": requests.measure,
    "latency": latency.measure,
    "startup": startup.measure,
    "ledger": ledger.measure,
}
