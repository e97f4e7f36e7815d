import pytest

from benchmarks.processes import Cost
from benchmarks.samples import Sample, ratio, rounds_of


def sample(record_count: int, **cpu_s: float) -> Sample:
    return Sample(record_count, {int(name[1:]): Cost(time_s, time_s, 50.0) for name, time_s in cpu_s.items()})


def test_a_ratio_compares_only_rounds_in_which_both_ran() -> None:
    slow = sample(100, r0=10.0, r4=30.0)
    quick = sample(100, r0=1.0, r2=50.0, r4=3.0)
    assert ratio(slow, quick) == 10.0


def test_a_ratio_is_per_record() -> None:
    assert ratio(sample(100, r0=2.0), sample(200, r0=2.0)) == 2.0


@pytest.mark.parametrize(("repetitions", "wanted"), [(5, {0, 1, 2, 3, 4}), (3, {0, 2, 4}), (2, {0, 4}), (1, {0})])
def test_rarer_programs_are_spread_over_the_rounds(repetitions: int, wanted: set[int]) -> None:
    assert rounds_of(repetitions, 5) == wanted
