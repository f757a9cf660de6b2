"""install(limit=..., spill=...): what the limit refuses lies in a file, with right results."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

MIB = 1 << 20


def make_for_ever(arrays: list[Any], items: int) -> None:
    while True:
        arrays.append(np.ones(items))


def test_arrays_beyond_the_limit_lie_in_a_file(disk: Path) -> None:
    pool = numpool.install(limit="32MiB", spill=disk)
    spill = numpool.spill_pool()
    assert spill is not None
    assert spill.name == "spill"
    assert (pool.name, pool.stats().limit) == ("installed", 32 * MIB)
    arrays = [np.full(4 * MIB // 8, float(number)) for number in range(20)]
    owners = [numpool.owner(array) for array in arrays]
    in_memory = owners.count(pool)
    assert 6 <= in_memory <= 8
    assert owners == [pool] * in_memory + [spill] * (20 - in_memory)
    assert numpool.pool_of(arrays[-1]) is spill
    stats = spill.stats()
    assert stats.blocks == 20 - in_memory
    assert stats.in_use >= (20 - in_memory) * 4 * MIB
    assert stats.in_file >= stats.in_use
    assert [array.mean() for array in arrays] == list(range(20))
    assert np.sum(arrays) == sum(range(20)) * arrays[0].size
    # What is freed in memory serves again.
    del arrays[:4]
    assert numpool.owner(np.empty(4 * MIB // 8)) is pool
    arrays.clear()
    assert spill.stats().in_file == 0
    numpool.uninstall()
    assert numpool.spill_pool() is None


def test_small_arrays_stay_in_memory_where_a_part_of_the_limit_is_kept_for_them(disk: Path) -> None:
    pool = numpool.install(limit="32MiB", spill=disk)
    large = [np.zeros(MIB) for _ in range(6)]
    small = [np.ones(4000) for _ in range(30)]  # 32,000 bytes
    assert {numpool.owner(array) for array in small} == {pool}
    assert numpool.owner(large[-1]) is numpool.spill_pool()
    with pytest.raises(MemoryError):
        make_for_ever(small, 8000)
    numpool.uninstall()


def test_an_array_that_grows_beyond_the_limit_moves_to_the_file(disk: Path) -> None:
    pool = numpool.install(limit="16MiB", spill=disk)
    array = np.arange(MIB)
    assert numpool.owner(array) is pool
    array.resize(4 * MIB, refcheck=False)
    assert numpool.owner(array) is numpool.spill_pool()
    assert (array[:MIB] == np.arange(MIB)).all()
    assert not array[MIB:].any()
    array.resize(MIB // 2, refcheck=False)
    assert (array == np.arange(MIB // 2)).all()
    assert pool.stats().in_use < MIB
    numpool.uninstall()


def test_the_file_has_a_limit_of_its_own(disk: Path) -> None:
    numpool.install(limit="8MiB", spill=disk, spill_limit="16MiB")
    spill = numpool.spill_pool()
    assert spill is not None
    assert spill.stats().limit == 16 * MIB
    arrays: list[Any] = []
    with pytest.raises(MemoryError):
        make_for_ever(arrays, MIB // 2)
    assert spill.stats().failures == 1
    assert 12 * MIB <= spill.stats().in_use <= 16 * MIB
    numpool.uninstall()
    assert arrays[-1].sum() == MIB // 2


UNCAUGHT = """
import sys
import numpy as np
import numpool

numpool.install(limit="8MiB", spill=sys.argv[1], spill_limit="16MiB")
np.ones(4 << 20)
"""


def test_an_uncaught_error_names_the_pool_in_the_file(disk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNCAUGHT, str(disk)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert (
        "SlabPool 'spill': 33554432 bytes (32 MiB) requested, 0 bytes of a limit of 16 MiB in use; "
        "that is more than the limit: raise the limit" in done.stderr
    )


def test_a_pool_of_your_own_may_spill_to_pages_of_your_own() -> None:
    own = numpool.SlabPool(limit="8MiB", name="own")
    pages = numpool.Pages(file="/dev/shm", force=True)
    assert numpool.install(own, spill=pages) is own
    arrays = [np.ones(MIB // 4) for _ in range(8)]
    assert {numpool.owner(array) for array in arrays} == {own, numpool.spill_pool()}
    numpool.uninstall()


def test_a_pool_in_a_file_may_be_a_fallback_of_use(disk: Path) -> None:
    small = numpool.SlabPool(limit="1MiB")
    scratch = numpool.SlabPool(source=numpool.Pages(file=disk))
    with numpool.use(small, fallback=scratch):
        array = np.ones(MIB)
    assert numpool.owner(array) is scratch


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda folder: numpool.install(numpool.SlabPool(), spill=folder),
            "spill serves what a limit refuses: install a pool with a limit",
        ),
        (
            lambda folder: numpool.install(limit="1MiB", spill=folder, fallback=None),
            "the fallback is the pool in the file: leave fallback or spill out",
        ),
        (
            lambda _: numpool.install(limit="1MiB", spill_limit="1MiB"),
            "spill_limit bounds the file of spill: name its folder with spill=",
        ),
        (
            lambda _: numpool.install(numpool.SlabPool(), limit="1MiB"),
            "limit is for a new pool: give it to the pool that you install",
        ),
        (
            lambda folder: numpool.install(limit="1MiB", spill=folder, spill_limit="x"),
            "spill_limit: 'x' is not a size",
        ),
        (
            lambda folder: numpool.install(limit="1MiB", spill=numpool.Pages()),
            "source is <numpool.Pages: as they come>, but a SlabPool takes",
        ),
    ],
)
def test_what_does_not_fit_together_installs_nothing(
    call: Callable[[Path], object], text: str, disk: Path
) -> None:
    with pytest.raises(ValueError, match=text):
        call(disk)
    assert numpool.current() is None
    assert numpool.spill_pool() is None


def test_a_folder_that_is_missing_installs_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        numpool.install(limit="1MiB", spill=tmp_path / "nowhere")
    assert numpool.current() is None


FORKS = """
import os, sys, shutil
import numpy as np
import numpool

def in_child(act):
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

pool = numpool.install(limit="16MiB", spill=sys.argv[1])
kept = [np.full(1 << 19, float(number)) for number in range(8)]
spill = numpool.spill_pool()
assert numpool.owner(kept[-1]) is spill

def act():
    assert numpool.spill_pool() is not spill
    assert [array.mean() for array in kept] == list(range(8))
    own = [np.full(1 << 19, 50.0) for _ in range(4)]
    assert {numpool.owner(array) for array in own} == {numpool.spill_pool()}
    kept[-1][:] = -1
    grown = np.concatenate([kept[-1], own[0]])
    assert (grown[0], grown[-1]) == (-1, 50)
    kept.clear()
    in_child(lambda: np.ones(1 << 22))

def without_a_folder():
    assert numpool.spill_pool() is spill and spill.closed
    try:
        np.ones(1 << 22)
    except MemoryError:
        return
    raise AssertionError

in_child(act)
assert [array.mean() for array in kept] == list(range(8))
shutil.rmtree(sys.argv[1])
in_child(without_a_folder)
kept.append(np.ones(1 << 22))
assert numpool.owner(kept[-1]) is spill
print("end")
"""


def test_a_forked_child_spills_to_a_file_of_its_own(disk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(disk)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "end\n")


def test_threads_spill_at_once(disk: Path) -> None:
    numpool.install(limit="16MiB", spill=disk)

    def work(number: int) -> bool:
        for _ in range(20):
            arrays = [np.full(MIB // 4, float(number)) for _ in range(4)]
            if any(array.min() != number or array.max() != number for array in arrays):
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(4)))
    spill = numpool.spill_pool()
    assert spill is not None
    assert spill.stats().total_blocks > 0
    numpool.uninstall()
    spill.check()
