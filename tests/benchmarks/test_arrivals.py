import json
import urllib.error
import urllib.request

import pytest

from benchmarks.arrivals import Arrived, RunningSink, running_sink
from benchmarks.processes import Failed


def create(sink: RunningSink, *emails: str, description: str = "") -> None:
    leads = [{"email": email, "Description": description} for email in emails]
    request = urllib.request.Request(f"{sink.base_url}/lead-lists", json.dumps({"leads": leads}).encode())
    urllib.request.urlopen(request).close()


def test_a_lead_that_arrived_twice_fails_the_benchmark() -> None:
    with running_sink() as sink:
        create(sink, "a@b.example", "c@d.example", "a@b.example")
        arrived = sink.arrived()
    assert (arrived.leads, arrived.distinct) == (3, 2)
    with pytest.raises(Failed):
        arrived.check(3, "ours")


def test_a_lead_that_is_missing_fails_the_benchmark() -> None:
    with pytest.raises(Failed):
        Arrived(requests=1, refused=0, lists=1, leads=2, distinct=2, largest_list=2, seconds=0.0).check(3, "ours")


def test_a_list_that_is_refused_does_not_arrive() -> None:
    with running_sink() as sink:
        sink.reset(refuses_over=10)
        create(sink, "a@b.example")
        with pytest.raises(urllib.error.HTTPError):
            create(sink, "c@d.example", description="x" * 11)
        arrived = sink.arrived()
    assert (arrived.leads, arrived.refused) == (1, 1)
