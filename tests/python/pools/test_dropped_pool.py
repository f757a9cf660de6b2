"""A FixedPool that is dropped with blocks in use gives a ResourceWarning."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable

import pytest

import numpool


def run_on() -> int:
    """Python code during which a pending warning appears."""
    return sum(1 for _ in range(100))


def drop(pools: list[numpool.FixedPool]) -> None:
    pools.clear()
    run_on()


def test_a_pool_that_is_dropped_with_a_block_in_use_warns_once() -> None:
    pools = [numpool.FixedPool(4096, 4, name="frames")]
    buffers = pools[0].acquire_many(2)
    with pytest.warns(ResourceWarning) as warned:
        drop(pools)
    [one] = warned
    assert str(one.message) == (
        "FixedPool 'frames' was dropped with 2 blocks in use: keep the pool as long as its blocks "
        "are used, or close it"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert buffers[0].pool is not None  # Make it again, and drop it again.
        run_on()
    del buffers


def test_an_array_may_outlive_its_pool_and_is_one_block() -> None:
    pools = [numpool.FixedPool(4096, 4)]
    array = pools[0].acquire().array("f4")
    with pytest.warns(ResourceWarning, match="FixedPool was dropped with 1 block in use"):
        drop(pools)
    array[...] = 1


def closed() -> object:
    pool = numpool.FixedPool(4096, 4)
    buffer = pool.acquire()
    pool.close()
    return buffer


def with_all_blocks_back() -> None:
    pool = numpool.FixedPool(4096, 4)
    pool.acquire().release()
    with pool.acquire():
        pass


def with_variables_that_go_in_any_order() -> None:
    pool = numpool.FixedPool(4096, 4)
    buffer = pool.acquire()
    view = memoryview(buffer)
    view[0] = pool.blocks


@pytest.mark.parametrize("use", [closed, with_all_blocks_back, with_variables_that_go_in_any_order])
def test_a_correct_program_gets_no_warning(use: Callable[[], object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = use()
        run_on()
    del kept


def test_it_is_silent_unless_asked_for_and_at_the_programs_end() -> None:
    code = "import numpool; pool = numpool.FixedPool(8, 2); kept = pool.acquire()"
    for program, options, text in [
        (code, ["-X", "dev"], ""),
        (f"{code}; del pool; print()", [], ""),
        (f"{code}; del pool; print()", ["-X", "dev"], "FixedPool was dropped with 1 block in use"),
        (f"{code}; del pool; print()", ["-W", "error"], "ResourceWarning: FixedPool was dropped"),
    ]:
        command = [sys.executable, *options, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert text in done.stderr
        assert bool(text) == bool(done.stderr)
