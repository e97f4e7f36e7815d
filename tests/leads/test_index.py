from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.errors import StorageError
from target_amplemarket.leads.filter import Filter
from target_amplemarket.leads.index import FingerprintIndex
from target_amplemarket.leads.keys import MISSING, Keys, keys_of, keys_of_bytes
from target_amplemarket.leads.segments import Gathering, ScratchFile
from tests.leads.building import UNHURRIED, scratch

RANDOM = np.random.default_rng(20260105)


def random_keys(count: int) -> Keys:
    return Keys(*RANDOM.integers(0, 2**64, (2, count), dtype=np.uint64))


def values_from(first: int, count: int) -> Any:
    return np.arange(first, first + count, dtype=np.int64)


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_keys_are_read_from_a_slice_of_a_column_without_a_copy() -> None:
    column = pa.array([bytes([n]) * 16 for n in range(5)], pa.binary(16))
    keys = keys_of(column.slice(2, 2))
    assert keys.high.tolist() == [int.from_bytes(bytes([n]) * 8, "little") for n in (2, 3)]
    assert keys.low.tolist() == keys.high.tolist()
    assert keys.high.base is not None
    assert keys_of(pa.nulls(3, pa.binary(16)).slice(3)).size == 0


def test_every_key_that_occurs_twice_counts_as_repeated() -> None:
    keys = keys_of_bytes([bytes([n]) * 16 for n in (1, 2, 3, 2, 4, 1, 1)])
    assert keys.repeated().tolist() == [True, True, False, True, False, True, True]
    assert not random_keys(1000).repeated().any()


# --- The filter -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [0, 1, 1000, 100_000])
def test_the_filter_never_calls_a_known_key_new(capacity: int) -> None:
    made, keys = Filter(capacity), random_keys(5000)
    made.add(keys)
    assert made.maybe(keys).tolist() == list(range(5000))


def test_a_full_filter_takes_some_new_keys_in_a_thousand_for_known_ones_at_most() -> None:
    made = Filter(100_000)
    made.add(random_keys(100_000))
    assert len(made.maybe(random_keys(200_000))) < 1000


# --- The index --------------------------------------------------------------------------------------------------------


HALF = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
KEY = st.tuples(HALF, HALF)


def as_keys(pairs: list[tuple[int, int]]) -> Keys:
    both = np.array(pairs, np.uint64).reshape(-1, 2)
    return Keys(both[:, 0], both[:, 1])


@given(
    st.lists(st.tuples(st.lists(KEY, max_size=6), st.integers(-2, 1)), max_size=5),
    st.lists(st.lists(KEY, max_size=6, unique=True), max_size=12),
    st.booleans(),
    st.booleans(),
)
@UNHURRIED
def test_an_index_says_what_dictionaries_say(
    gathered: list[tuple[list[tuple[int, int]], int]],
    added: list[list[tuple[int, int]]],
    on_disk: bool,
    only_alone: bool,
) -> None:
    index = FingerprintIndex(scratch if on_disk else None, most_in_memory=0, merged_at_once=2)
    first: dict[tuple[int, int], int] = {}
    first_alone: dict[tuple[int, int], int] = {}
    entries = [(pair, value) for pairs, value in gathered for pair in pairs]
    for pairs, value in gathered:
        index.gather(as_keys(pairs), value)
    for number, pairs in enumerate(added, start=1):
        new = [pair for pair in pairs if pair not in {known for known, _ in entries}]
        value = 2 * number + number % 2
        index.add(as_keys(new), np.full(len(new), value))
        entries += [(pair, value) for pair in new]
    for pair, value in entries:
        first.setdefault(pair, value)
        if value % 2:
            first_alone.setdefault(pair, value)
    asked = [(high, low) for high in (0, 1, 2, 7, 2**63, 2**64 - 1) for low in (0, 1, 2, 7, 2**63, 2**64 - 1)]
    found = index.find(as_keys(asked), only_alone=only_alone).tolist()
    expected = [(first_alone if only_alone else first).get(pair, MISSING) for pair in asked]
    assert [value >> 1 for value in found] == [value >> 1 for value in expected]  # where from


@pytest.mark.parametrize("make", [scratch, None])
def test_half_a_million_keys_are_found_again_and_no_others(make: Any) -> None:
    index, keys = FingerprintIndex(make), random_keys(500_000)
    for start in range(0, 500_000, 2_500):
        some = keys.take(slice(start, start + 2_500))
        assert (index.find(some) == MISSING).all()
        index.add(some, values_from(2 * start, 2_500))
    shuffled = RANDOM.permutation(500_000)
    assert (index.find(keys.take(shuffled)) - 2 * (shuffled // 2_500 * 2_500) == shuffled % 2_500).all()
    strangers = Keys(keys.high, keys.low ^ np.uint64(1 << 63))
    assert (index.find(strangers) == MISSING).all()
    assert (index.find(Keys(keys.high ^ np.uint64(1), keys.low)) == MISSING).all()


def test_gathered_keys_are_sorted_whatever_the_size_of_the_chunks() -> None:
    keys = random_keys(300_000)
    gathering = Gathering(chunk_keys=70_000)
    for start in range(0, 300_000, 45_000):
        gathering.add(keys.take(slice(start, start + 45_000)))
    segment = gathering.segment(7)
    assert segment is not None
    order = np.argsort(keys.high)
    made = segment.entries(0, 300_000)
    assert (made.high == keys.high[order]).all()
    assert (made.low == keys.low[order]).all()
    assert set(made.value.tolist()) == {7}
    assert gathering.segment(7) is None


# --- Scratch files ----------------------------------------------------------------------------------------------------


class FullDisk:
    """Takes some bytes, then no more."""

    def __init__(self, room: int) -> None:
        self._file: Any = scratch()
        self._room = room

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, content: memoryview, /) -> int | None:
        if not self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._file.write(content[: min(self._room, 1000)])
        self._room -= min(self._room, written or 0)
        return written

    def close(self) -> None:
        self._file.close()


@pytest.mark.parametrize("room", [0, 100_000, 600_000, 10_000_000])
def test_a_full_disk_costs_memory_and_nobody_is_forgotten(room: int) -> None:
    index, keys = FingerprintIndex(lambda: FullDisk(room), most_in_memory=8_000, merged_at_once=4), random_keys(60_000)
    for start in range(0, 60_000, 1_000):
        index.add(keys.take(slice(start, start + 1_000)), values_from(start, 1_000))
    assert (index.find(keys) == values_from(0, 60_000)).all()


def test_no_scratch_file_at_all_costs_memory() -> None:
    def refuse() -> ScratchFile:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    index, keys = FingerprintIndex(refuse, most_in_memory=0, merged_at_once=2), random_keys(100)
    for start in range(0, 100, 10):
        index.add(keys.take(slice(start, start + 10)), values_from(start, 10))
    assert (index.find(keys) == values_from(0, 100)).all()


def test_a_scratch_file_that_was_cut_or_closed_is_a_storage_fault_and_nobody_is_taken_for_new() -> None:
    files: list[Any] = []

    def make() -> ScratchFile:
        files.append(scratch())
        return files[-1]  # type: ignore[no-any-return]

    index, keys = FingerprintIndex(make, most_in_memory=0, merged_at_once=2), random_keys(1_000)
    for start in range(0, 1_000, 500):
        index.add(keys.take(slice(start, start + 500)), values_from(start, 500))
    os.ftruncate(files[-1].fileno(), 1_000)
    with pytest.raises(StorageError, match="was cut") as caught:
        index.find(keys)
    assert caught.value.exit_code == 8


def test_a_scratch_file_is_closed_as_soon_as_it_is_merged_into_another() -> None:
    files: list[Any] = []

    def make() -> ScratchFile:
        files.append(scratch())
        return files[-1]  # type: ignore[no-any-return]

    index = FingerprintIndex(make, most_in_memory=0, merged_at_once=2)
    for start in range(64):
        index.add(random_keys(10), values_from(start, 10))
    assert sum(not file.closed for file in files) <= 4
    del index
    assert all(file.closed for file in files)


GROWTH = """
import resource, sys, tempfile
import numpy as np
from target_amplemarket.leads.index import FingerprintIndex
from target_amplemarket.leads.keys import Keys
index = FingerprintIndex(lambda: tempfile.TemporaryFile(buffering=0))
random = np.random.default_rng(1)
peaks = []
for block in range(800):
    keys = Keys(*random.integers(0, 2**64, (2, 2500), dtype=np.uint64))
    index.find(keys)
    index.add(keys, np.arange(2500))
    if block in (79, 799):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(peaks[1] - peaks[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units elsewhere")
def test_ten_times_as_many_new_keys_take_few_bytes_each_in_memory() -> None:
    """24 bytes a key would be 43 MB for the 1.8 million that come after the first 200,000."""
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < 22, resource.getrusage(resource.RUSAGE_CHILDREN)


def test_a_scratch_file_leaves_nothing_behind_in_its_folder(tmp_path: Path) -> None:
    index = FingerprintIndex(lambda: scratch(tmp_path), most_in_memory=0, merged_at_once=2)
    for start in range(8):
        index.add(random_keys(10), values_from(start, 10))
        assert list(tmp_path.iterdir()) == []
