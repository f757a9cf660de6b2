"""Pools on pools: a source's limit bounds all pools that draw on it, and it ends after them."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

import numpool

CHILDREN: dict[str, Callable[[numpool.Pool], numpool.Pool]] = {
    "Arena": lambda source: numpool.Arena(source=source),
    "FixedPool": lambda source: numpool.FixedPool("64KiB", 4, max_blocks=None, source=source),
    "aligned FixedPool": lambda source: numpool.FixedPool(
        "64KiB", 4, max_blocks=None, align=4096, source=source
    ),
    "BuddyPool": lambda source: numpool.BuddyPool("1MiB", source=source),
    "Arena on a BuddyPool": lambda source: numpool.Arena(
        source=numpool.BuddyPool("8MiB", source=source)
    ),
}


def take(pool: numpool.Pool) -> numpool.Buffer:
    return pool.acquire() if isinstance(pool, numpool.FixedPool) else pool.acquire(1000)  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", CHILDREN.values(), ids=CHILDREN)
def test_a_pool_takes_its_memory_from_its_source(
    make: Callable[[numpool.Pool], numpool.Pool],
) -> None:
    source = numpool.SlabPool()
    pool = make(source)
    buffer = take(pool)
    array = buffer.array()
    array[:] = 7
    assert source.owns(array)
    assert numpool.owner(array) is pool
    assert source.stats().blocks == 1
    source.check()
    pool.check()
    del array, buffer
    pool.close()
    del pool
    gc.collect()
    assert source.stats().blocks == 0
    source.close()


@pytest.mark.parametrize("make", CHILDREN.values(), ids=CHILDREN)
def test_a_source_does_not_close_while_pools_draw_on_it(
    make: Callable[[numpool.Pool], numpool.Pool],
) -> None:
    source = numpool.SlabPool(name="source")
    pool = make(source)
    buffer = take(pool)
    with pytest.raises(
        BufferError, match=r"^SlabPool 'source': 1 pool draws on it: close that one first$"
    ):
        source.close()
    assert not source.closed
    other = make(source)
    kept = take(other)
    with pytest.raises(BufferError, match="2 pools draw on it: close those first"), source:
        pass
    memoryview(buffer)[:] = b"x" * buffer.nbytes
    del kept, other, buffer, pool
    gc.collect()
    source.close()


def test_an_exception_that_leaves_with_passes_and_what_was_drawn_stays() -> None:
    source = numpool.SlabPool()
    pool = numpool.Arena(source=source)
    array = pool.empty(100)
    with pytest.raises(KeyError, match="passes"), source:
        raise KeyError("passes")
    assert source.closed
    array[:] = 1
    with pytest.raises(numpool.PoolExhausted, match="its source SlabPool is closed"):
        pool.acquire("1MiB")
    del array
    pool.close()
    assert source.stats().blocks == 0


def test_budgets_nest_and_the_refusal_names_the_source() -> None:
    source = numpool.SlabPool(limit="4MiB", name="budget")
    arena = numpool.Arena(source=source, name="a")
    with pytest.raises(
        numpool.PoolExhausted,
        match=r"^Arena 'a': 8 MiB requested, .*its source SlabPool 'budget' has .* of 4 MiB in",
    ):
        arena.acquire("8MiB")
    with pytest.raises(numpool.PoolExhausted, match="its source SlabPool 'budget'"):
        numpool.BuddyPool("16MiB", source=source)
    with pytest.raises(numpool.PoolExhausted, match="refused 16 MiB"):
        numpool.FixedPool("1MiB", 16, source=source)
    pool = numpool.FixedPool("1MiB", 1, max_blocks=None, source=source)
    kept = [pool.acquire()]
    with pytest.raises(numpool.PoolExhausted):
        kept.extend(pool.acquire() for _ in range(8))
    pool.check()
    kept.clear()
    source.check()


def test_no_chain_of_sources_is_deep_since_each_has_half_of_the_one_before() -> None:
    # A request passes through all of a chain, level by level on the C stack.
    capacity = 1 << 40
    last = numpool.BuddyPool(capacity, capacity // 4)
    levels = 1
    while capacity >= 1 << 16:
        capacity //= 2
        try:
            last = numpool.BuddyPool(capacity, max(capacity // 4, 4096), source=last)
        except numpool.PoolExhausted:
            continue
        levels += 1
    assert 10 < levels <= 40
    with pytest.raises(numpool.PoolExhausted, match="its source BuddyPool has"):
        numpool.BuddyPool(last.capacity, source=last)


def test_the_error_names_the_possible_sources() -> None:
    for pool in (numpool.FixedPool(4096, 1), numpool.Arena()):
        with pytest.raises(ValueError, match="can't be a source of other pools: a SlabPool or"):
            numpool.Arena(source=pool)
    closed = numpool.SlabPool(name="c")
    closed.close()
    with pytest.raises(numpool.PoolClosed, match="SlabPool 'c' is closed"):
        numpool.FixedPool(64, 1, source=closed)


def test_a_pool_keeps_its_source() -> None:
    pool = numpool.FixedPool("64KiB", 4, source=numpool.SlabPool())
    gc.collect()
    array = pool.acquire().array()
    del pool
    gc.collect()
    array[:] = 1
    assert array.sum() == 65536


def test_numpy_allocates_through_the_layers() -> None:
    import numpy as np

    source = numpool.SlabPool(limit="64MiB")
    with numpool.Arena(source=source) as arena, numpool.use(arena, fallback=None):
        total = float((np.arange(100_000.0) * 2).sum())
        with pytest.raises(MemoryError):
            np.ones(10**8)
    assert total == 99_999 * 100_000
    assert source.stats().blocks == 0
