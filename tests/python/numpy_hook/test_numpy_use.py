"""NumPy allocates from a pool in a block: which arrays the pool owns, and how they end."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import numpool


def test_arrays_made_in_the_block_lie_in_the_pool(pool: numpool.FixedPool) -> None:
    with numpool.use(pool) as entered:
        assert entered is pool
        assert numpool.current() is pool
        array = np.arange(100.0)
    assert numpool.current() is None
    assert numpool.pool_of(array) is pool
    assert pool.owns(array)
    assert pool.stats().blocks == 1
    assert array.sum() == 4950
    del array
    assert pool.stats().blocks == 0


@pytest.mark.parametrize("wipe", [False, True])
@pytest.mark.parametrize("ufunc", [np.arccos, np.exp, np.log1p, np.sin, np.tanh])
def test_results_are_the_same_to_the_last_bit(ufunc: np.ufunc, wipe: bool) -> None:
    # NumPy 1 computes in another way if an operand ends at the address where the result starts.
    for count in (2**n for n in range(2, 16)):
        for dtype in ("f4", "f8"):
            steps = np.linspace(-0.9, 0.9, count, dtype=dtype)
            expected = ufunc(steps)
            live = []
            with numpool.use(numpool.SlabPool(wipe=wipe)):
                for _ in range(4):
                    operand = steps.copy()
                    result = ufunc(operand)
                    assert np.array_equal(result, expected)
                    live += [operand, result]


@pytest.mark.parametrize("count", [8, 1000, 10**6])
def test_a_wiping_pool_hands_out_what_reads_as_zero(count: int) -> None:
    secrets = numpool.SlabPool(wipe=True)
    with numpool.use(secrets):
        for _ in range(3):
            again = [np.empty(count) for _ in range(3)]
            assert not any(array.any() for array in again)
            for array in again:
                array.fill(42.0)
            del array, again
    secrets.check()


def test_results_of_ufuncs_and_copies_lie_in_the_pool(pool: numpool.FixedPool) -> None:
    outside = np.ones(10)
    with numpool.use(pool):
        assert numpool.pool_of(outside + outside) is pool
        assert numpool.pool_of(outside.copy()) is pool
        assert numpool.pool_of(outside.astype("f4")) is pool
        assert numpool.pool_of(np.concatenate([outside, outside])) is pool
    assert numpool.pool_of(outside + outside) is None


def test_the_pool_of_a_view_is_the_pool_of_its_array(pool: numpool.FixedPool) -> None:
    with numpool.use(pool):
        array = np.arange(100.0)
    view = array[10:].reshape(9, 10).T[::2]
    del array
    assert numpool.pool_of(view) is pool
    assert numpool.pool_of(np.asarray(memoryview(view))) is pool
    assert numpool.pool_of(view.view(np.matrix)) is pool
    assert numpool.pool_of(view.copy()) is None


def test_pool_of_knows_buffers(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    assert numpool.pool_of(buffer) is pool
    assert numpool.pool_of(memoryview(buffer)) is pool
    assert numpool.pool_of(buffer.array("f4")[3:]) is pool
    assert numpool.pool_of(np.frombuffer(buffer, np.uint8)) is pool
    assert numpool.pool_of(pickle.loads(pickle.dumps(buffer))) is None


def test_pool_of_is_none_for_memory_of_no_pool() -> None:
    assert numpool.pool_of(np.empty(3)) is None
    assert numpool.pool_of(np.frombuffer(b"bytes", np.uint8)) is None
    assert numpool.pool_of(memoryview(b"bytes")) is None


def test_pool_of_takes_arrays_only() -> None:
    with pytest.raises(TypeError, match="takes an array, a Buffer or a memoryview, not list"):
        numpool.pool_of([1.0])  # type: ignore[arg-type]


def test_arrays_outlive_the_pool_object(other: numpool.FixedPool) -> None:
    pool = numpool.FixedPool(4096, 2, name="gone")
    with numpool.use(pool):
        array = np.arange(512)
    del pool
    gc.collect()
    array += 1
    assert array.sum() == 131328
    owner = numpool.pool_of(array)
    assert owner is not None
    assert owner.name == "gone"
    assert owner.stats().blocks == 1


def test_an_array_outlives_the_init_that_its_pool_held() -> None:
    def init(view: memoryview) -> None:
        raise AssertionError("NumPy's blocks are not constructed")

    held_by_the_pool = weakref.ref(init)
    pool = numpool.FixedPool(4096, 2, init=init)
    with numpool.use(pool):
        array = np.empty(8)
    del pool, init
    gc.collect()
    # The init may refer to the array, and the collector could not see such a cycle.
    assert held_by_the_pool() is None
    array[:] = 3
    assert array.sum() == 24


def test_a_freed_array_serves_those_who_wait_for_a_block() -> None:
    pool = numpool.FixedPool(4096, 1)
    with numpool.use(pool):
        array = np.empty(8)
    timer = threading.Timer(0.05, lambda: arrays.clear())
    arrays = [array]
    del array
    timer.start()
    with pool.acquire(timeout=10) as buffer:
        assert buffer.nbytes == 4096
    timer.join()


def test_pickles_and_copies_are_made_where_the_context_says(pool: numpool.FixedPool) -> None:
    outside = np.arange(100.0)
    with numpool.use(pool):
        loaded = pickle.loads(pickle.dumps(outside))
        copied = copy.deepcopy(outside)
        assert numpool.pool_of(copied) is pool
    assert (loaded == outside).all()
    assert (copied == outside).all()


@pytest.mark.parametrize(
    ("dtype", "empty"),
    [("O", None), ("S7", b""), ("U5", ""), ("i4,f8,O", None), ("M8[s]", None), ("?", False)],
)
def test_every_dtype_starts_as_with_numpys_allocator(
    pool: numpool.FixedPool, dtype: str, empty: object
) -> None:
    with numpool.use(pool):
        for _ in range(6):
            dirty = np.full(4096, 0xFF, np.uint8)
            del dirty
            array = np.zeros(20, dtype)
            assert numpool.pool_of(array) is pool
            if empty is not None:
                assert (array == empty).all()
            del array
    with numpool.use(pool):
        made = np.zeros(20, dtype)
    assert made.tolist() == np.zeros(20, dtype).tolist()


def test_zero_sized_arrays(pool: numpool.FixedPool) -> None:
    with numpool.use(pool):
        array = np.empty((0, 5))
        assert array.sum() == 0
        assert numpool.pool_of(array) is pool
        array.resize((3, 5), refcheck=False)
        assert not array.any()


def test_memory_maps_stay_files(pool: numpool.FixedPool, tmp_path: Any) -> None:
    with numpool.use(pool):
        mapped = np.memmap(tmp_path / "file", np.uint8, "w+", shape=(100,))
        mapped[:] = 7
        assert numpool.pool_of(mapped) is None
        mapped.flush()
        assert np.fromfile(tmp_path / "file", np.uint8).sum() == 700
        del mapped


def test_only_pools_can_be_used() -> None:
    with pytest.raises(TypeError, match=r"NumPy can allocate from a SlabPool.* not from str"):
        numpool.use("pool")  # type: ignore[arg-type]


def test_a_closed_pool_cannot_be_used() -> None:
    pool = numpool.FixedPool(64, 1, name="shut")
    pool.close()
    with pytest.raises(numpool.PoolClosed, match="FixedPool 'shut' is closed"):
        numpool.use(pool)


def test_it_says_what_it_uses(pool: numpool.FixedPool) -> None:
    assert repr(numpool.use(pool)) == f"numpool.use({pool!r})"


def test_blocks_with_init_are_constructed_again_after_numpy_had_them() -> None:
    pool = numpool.FixedPool(64, 1, init=lambda view: view.cast("B").__setitem__(0, 42))
    for _ in range(2):
        with pool.acquire() as buffer:
            assert memoryview(buffer)[0] == 42
        with numpool.use(pool):
            array = np.full(64, 0xEE, np.uint8)
            assert numpool.pool_of(array) is pool
            del array
