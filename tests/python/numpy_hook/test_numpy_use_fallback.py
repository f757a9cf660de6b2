"""Requests that NumPy's pool cannot serve go to a fallback, or are refused."""

from __future__ import annotations

import numpy as np
import pytest

import numpool


def test_a_request_too_large_for_a_block_goes_to_the_default_pool(pool: numpool.FixedPool) -> None:
    with numpool.use(pool):
        array = np.ones(5000)
    assert numpool.pool_of(array) is numpool.default_pool()
    assert array.sum() == 5000


def test_what_a_full_pool_cannot_serve_goes_to_the_default_pool(pool: numpool.FixedPool) -> None:
    with numpool.use(pool):
        arrays = [np.arange(i, i + 512) for i in range(10)]
    assert [numpool.pool_of(array) for array in arrays[:4]] == [pool] * 4
    assert [numpool.pool_of(array) for array in arrays[4:]] == [numpool.default_pool()] * 6
    assert [int(array.sum()) for array in arrays] == [130816 + 512 * i for i in range(10)]
    assert pool.stats().failures == 6


def test_another_pool_may_be_the_fallback(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    with numpool.use(pool, fallback=other):
        arrays = [np.empty(512) for _ in range(8)]
        with pytest.raises(MemoryError):
            np.empty(512)
    assert [numpool.pool_of(array) for array in arrays] == [pool] * 4 + [other] * 4
    del arrays
    assert pool.stats().blocks == other.stats().blocks == 0


def test_without_a_fallback_numpy_raises_memory_error(pool: numpool.FixedPool) -> None:
    with numpool.use(pool, fallback=None):
        with pytest.raises(MemoryError):
            np.empty(4097, np.uint8)
        with pytest.raises(MemoryError):
            np.zeros(4097, np.uint8)
        arrays = [np.empty(4096, np.uint8) for _ in range(4)]
        with pytest.raises(MemoryError):
            arrays[0] + arrays[1]
        del arrays
        assert numpool.pool_of(np.empty(10)) is pool


def test_a_full_pool_inside_a_ufunc_leaves_nothing_behind(pool: numpool.FixedPool) -> None:
    with numpool.use(pool, fallback=None):
        array = np.arange(512.0)
        for _ in range(20):
            with pytest.raises(MemoryError):
                np.add.outer(array, array)
        assert pool.stats().blocks == 1


def test_resizing_moves_between_pool_and_fallback(pool: numpool.FixedPool) -> None:
    with numpool.use(pool):
        array = np.arange(100)
    array.resize(512, refcheck=False)
    assert numpool.pool_of(array) is pool
    array.resize(100_000, refcheck=False)
    assert numpool.pool_of(array) is numpool.default_pool()
    assert pool.stats().blocks == 0
    assert array[:100].sum() == 4950
    assert not array[100:].any()
    array.resize(50, refcheck=False)
    assert array.sum() == 1225


def test_a_resize_that_is_refused_keeps_the_array(pool: numpool.FixedPool) -> None:
    with numpool.use(pool, fallback=None):
        array = np.arange(512)
    with pytest.raises(MemoryError):
        array.resize(513, refcheck=False)
    assert array.sum() == 130816
    assert numpool.pool_of(array) is pool


def test_arrays_outlive_a_closed_pool_and_new_ones_go_to_the_fallback(
    pool: numpool.FixedPool,
) -> None:
    with numpool.use(pool):
        array = np.arange(512)
        pool.close()
        assert numpool.pool_of(array + 1) is numpool.default_pool()
    assert array.sum() == 130816
    assert numpool.pool_of(array) is pool
    del array
    assert pool.stats().mapped == 0


def test_the_fallback_is_a_pool_or_none(pool: numpool.FixedPool) -> None:
    with pytest.raises(TypeError, match="fallback must be a pool, None or 'default', not 3"):
        numpool.use(pool, fallback=3)  # type: ignore[arg-type]
