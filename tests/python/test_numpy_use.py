"""NumPy allocates from a pool in a context: blocks, functions, threads, tasks, generators."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import pickle
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import numpool

THREADS_INHERIT = bool(getattr(sys.flags, "thread_inherit_context", False))


@pytest.fixture
def other() -> Iterator[numpool.FixedPool]:
    pool = numpool.FixedPool(4096, 4, name="other")
    yield pool
    pool.check()


def here() -> str | None:
    """The name of the pool that a new array's data lies in."""
    pool = numpool.pool_of(np.empty(10))
    return None if pool is None else pool.name


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
    # NumPy 1 computes otherwise where an operand ends at the address that the result starts at.
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


def test_blocks_nest_and_restore(pool: numpool.FixedPool, other: numpool.FixedPool) -> None:
    with numpool.use(pool):
        with numpool.use(other):
            assert here() == "other"
            with numpool.use(pool):
                assert here() == "test"
            assert here() == "other"
        assert here() == "test"
    assert here() is None


def test_one_object_can_be_entered_within_itself(pool: numpool.FixedPool) -> None:
    use = numpool.use(pool)
    with use:
        with use:
            assert here() == "test"
        assert here() == "test"
    assert here() is None


def test_an_exception_restores(pool: numpool.FixedPool) -> None:
    with pytest.raises(KeyError, match="passes"), numpool.use(pool):
        raise KeyError("passes")
    assert here() is None


def test_a_view_tells_the_pool_of_what_it_shows(pool: numpool.FixedPool) -> None:
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


def test_pool_of_is_none_for_what_lies_elsewhere() -> None:
    assert numpool.pool_of(np.empty(3)) is None
    assert numpool.pool_of(np.frombuffer(b"bytes", np.uint8)) is None
    assert numpool.pool_of(memoryview(b"bytes")) is None


def test_pool_of_takes_arrays_only() -> None:
    with pytest.raises(TypeError, match="takes an array, a Buffer or a memoryview, not list"):
        numpool.pool_of([1.0])  # type: ignore[arg-type]


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
        assert here() == "test"


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


def test_a_pool_ends_with_its_last_array() -> None:
    def init(view: memoryview) -> None:
        raise AssertionError("NumPy's blocks are not constructed")

    held_by_the_pool = weakref.ref(init)
    pool = numpool.FixedPool(4096, 2, init=init)
    with numpool.use(pool):
        array = np.empty(8)
    del pool, init
    gc.collect()
    assert held_by_the_pool() is not None
    del array
    gc.collect()
    assert held_by_the_pool() is None


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


def test_a_decorated_function_allocates_from_the_pool(pool: numpool.FixedPool) -> None:
    @numpool.use(pool)
    def work(count: int, *, deep: bool = False) -> str | None:
        """What it does."""
        return work(count) if deep else here()

    assert work(3) == "test"
    assert work(3, deep=True) == "test"
    assert work.__name__ == "work"
    assert work.__doc__ == "What it does."
    assert here() is None


def test_a_decorated_coroutine_function_allocates_from_the_pool(pool: numpool.FixedPool) -> None:
    @numpool.use(pool)
    async def work() -> str | None:
        await asyncio.sleep(0)
        return here()

    async def main() -> list[str | None]:
        return [await work(), here(), *await asyncio.gather(work(), work()), here()]

    assert asyncio.run(main()) == ["test", None, "test", "test", None]


def test_a_decorated_generator_holds_only_while_it_runs(pool: numpool.FixedPool) -> None:
    closed: list[str | None] = []

    @numpool.use(pool)
    def work() -> Generator[str | None, str, str]:
        try:
            sent = yield here()
            try:
                yield sent
            except KeyError:
                yield here()
            return "the end"
        finally:
            closed.append(here())

    generator = work()
    assert next(generator) == "test"
    assert here() is None
    assert generator.send("sent") == "sent"
    assert generator.throw(KeyError("thrown")) == "test"
    with pytest.raises(StopIteration, match="the end"):
        next(generator)
    assert closed == ["test"]
    generator = work()
    next(generator)
    generator.close()
    assert closed == ["test", "test"]
    assert here() is None


def test_a_decorated_asynchronous_generator_holds_only_while_it_runs(
    pool: numpool.FixedPool,
) -> None:
    closed: list[str | None] = []

    @numpool.use(pool)
    async def work() -> AsyncIterator[str | None]:
        try:
            yield here()
            await asyncio.sleep(0)
            try:
                yield here()
            except KeyError:
                yield "caught"
        finally:
            closed.append(here())

    async def main() -> None:
        seen = []
        async for item in work():
            seen += [item, here()]
        assert seen == ["test", None, "test", None]
        generator: Any = work()
        await generator.asend(None)
        await generator.asend(None)
        assert await generator.athrow(KeyError("thrown")) == "caught"
        await generator.aclose()
        assert here() is None

    asyncio.run(main())
    assert closed == ["test", "test"]


def test_only_functions_can_be_decorated(pool: numpool.FixedPool) -> None:
    with pytest.raises(TypeError, match=r"use\(<FixedPool 'test'.* decorates functions, not 3"):
        numpool.use(pool)(3)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="decorates functions, not <class 'int'>"):
        numpool.use(pool)(int)


def test_blocks_that_end_out_of_order_restore_what_they_must(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    def leaking() -> Iterator[None]:
        with numpool.use(other):
            yield

    outer = numpool.use(pool)
    outer.__enter__()
    generator = leaking()
    next(generator)
    assert here() == "other"
    with pytest.warns(RuntimeWarning, match="before one that began after it"):
        outer.__exit__()
    # The generator still is in its block, and this context with it.
    assert here() == "other"
    next(generator, None)
    assert here() is None


def test_a_block_that_ends_in_another_context_says_so(pool: numpool.FixedPool) -> None:
    def leaking() -> Iterator[None]:
        with numpool.use(pool):
            yield

    generator = leaking()
    contextvars.copy_context().run(next, generator)
    with pytest.raises(RuntimeError, match="ends in another thread or task than it began in"):
        next(generator, None)
    assert here() is None


def test_a_block_entered_by_a_parent_cannot_be_ended_by_its_task(pool: numpool.FixedPool) -> None:
    use = numpool.use(pool)
    with use:
        with pytest.raises(RuntimeError, match="ends in another thread or task"):
            contextvars.copy_context().run(use.__exit__)
        assert here() == "test"
    assert here() is None


def test_threads_begin_with_the_allocator_of_the_process(pool: numpool.FixedPool) -> None:
    inherited = "test" if THREADS_INHERIT else None
    with numpool.use(pool), ThreadPoolExecutor(2) as executor:
        assert executor.submit(here).result() == inherited


def test_threads_have_blocks_of_their_own(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    barrier = threading.Barrier(2)

    def work(mine: numpool.FixedPool) -> list[str | None]:
        with numpool.use(mine):
            barrier.wait(10)
            seen = [here()]
            barrier.wait(10)
        return [*seen, here()]

    with ThreadPoolExecutor(2) as executor:
        results = executor.map(work, [pool, other])
        assert list(results) == [["test", None], ["other", None]]


def test_tasks_inherit_and_do_not_disturb_each_other(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    async def work(mine: numpool.FixedPool) -> list[str | None]:
        seen = [here()]
        with numpool.use(mine):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(here())
        return seen

    async def main() -> None:
        with numpool.use(pool):
            tasks = [asyncio.create_task(work(mine)) for mine in (other, pool)]
            assert await asyncio.to_thread(here) == "test"
        assert await tasks[0] == ["test", "other", "other", "other"]
        assert await tasks[1] == ["test"] * 4
        assert here() is None

    asyncio.run(main())


def test_use_goes_on_deciding_where_a_pool_is_installed(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    numpool.install(other)
    with numpool.use(pool):
        assert here() == "test"
        assert numpool.current() is pool
    assert here() == "other"


def test_only_pools_can_be_used() -> None:
    with pytest.raises(TypeError, match="NumPy can allocate from a pool only, not from str"):
        numpool.use("pool")  # type: ignore[arg-type]


def test_a_closed_pool_cannot_be_used() -> None:
    pool = numpool.FixedPool(64, 1, name="shut")
    pool.close()
    with pytest.raises(numpool.PoolClosed, match="FixedPool 'shut' is closed"):
        numpool.use(pool)


def test_the_fallback_is_a_pool_or_none(pool: numpool.FixedPool) -> None:
    with pytest.raises(TypeError, match="fallback must be a pool or None, not int"):
        numpool.use(pool, fallback=3)  # type: ignore[arg-type]


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
