"""The fuzzer runs, and finds what is planted."""

from __future__ import annotations

import pytest

from tests.fuzz.running import fuzz, round_of
from tests.fuzz.targets import TARGETS, Target


@pytest.mark.parametrize("name", TARGETS)
def test_a_round_of_each_target_is_sound(name: str) -> None:
    done = fuzz(TARGETS[name], 1, first_seed=7)
    assert done.failure is None, (done.failure, done.example)
    assert done.executions > 0


def test_a_planted_defect_is_found_with_its_smallest_input_and_found_again_by_its_seed() -> None:
    def refuses_braces(content: bytes) -> None:
        assert b"}}" not in content

    target = Target("planted", TARGETS["reader_oracle"].given, refuses_braces)
    found = fuzz(target, 20, first_seed=3)
    assert found.failure is not None
    assert "AssertionError" in found.failure
    assert found.example is not None
    assert found.seed is not None
    with pytest.raises(AssertionError):
        round_of(target, refuses_braces, found.seed)()


def test_an_input_that_takes_the_process_along_is_said() -> None:
    import os

    found = fuzz(Target("planted", TARGETS["headers"].given, lambda text: os._exit(9)), 5)
    assert found.failure == "the process ended with 9"
    assert found.example is not None
