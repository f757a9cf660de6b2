"""``numpool.budget``: the arrays of a block of code count, within a limit."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import os
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool

MIB = 1 << 20


def mib(count: float) -> Any:
    return np.empty(int(count * MIB), np.uint8)


def test_arrays_made_inside_count_while_they_live_also_after_the_block() -> None:
    outside = mib(1)
    with numpool.budget("4MiB", name="load") as budget:
        inside = mib(1)
        small = np.zeros(16)
        assert numpool.owner(inside) is budget
        assert budget.stats().in_use == MIB + 128
        assert budget.stats().blocks == 2
    assert numpool.owner(outside) is None
    later = mib(1)
    assert budget.used_bytes == MIB + 128
    del inside, small
    assert budget.used_bytes == 0
    assert budget.peak == MIB + 128
    assert budget.stats().total_blocks == 2
    assert isinstance(budget, numpool.Budget)
    assert isinstance(budget, numpool.Pool)
    del later


def test_a_request_beyond_the_limit_raises_and_no_other_pool_serves_it() -> None:
    with numpool.budget("4MiB", name="load") as budget:
        kept = [mib(1) for _ in range(4)]
        for make in (lambda: mib(1), lambda: np.zeros(10), lambda: kept[0].copy()):
            with pytest.raises(MemoryError):
                make()
        with pytest.raises(MemoryError):
            kept[0].resize(2 * MIB, refcheck=False)
        assert kept[0].nbytes == MIB
        del kept[0]
        kept.append(mib(1))
        assert budget.used_bytes == 4 * MIB
        assert budget.stats().failures >= 4


def test_it_decorates_functions_and_each_call_has_a_budget_of_its_own() -> None:
    seen = []

    @numpool.budget("2MiB", name="call")
    def call() -> Any:
        seen.append(numpool.current())
        return mib(1.5)

    kept = [call(), call()]
    assert seen[0] is not seen[1]
    assert [numpool.owner(array) for array in kept] == seen
    assert numpool.current() is None

    @numpool.budget("2MiB")
    async def wait() -> Any:
        await asyncio.sleep(0)
        return numpool.owner(mib(1))

    @numpool.budget("2MiB")
    def generate() -> Any:
        for _ in range(2):
            yield numpool.current()

    assert isinstance(asyncio.run(wait()), numpool.Budget)
    assert all(isinstance(one, numpool.Budget) for one in generate())


def test_an_inner_budget_counts_against_all_outer_ones() -> None:
    with numpool.budget("4MiB", name="outer") as outer:
        first = mib(1)
        with numpool.budget("8MiB", name="middle") as middle:  # more than the outer one has
            with numpool.budget("2MiB", name="inner") as inner:
                second = mib(2)
                with pytest.raises(MemoryError):
                    mib(0.5)
                assert (inner.source, middle.source) == (middle, outer)
            third = mib(1)
            with pytest.raises(MemoryError):
                mib(0.5)
        assert [one.used_bytes for one in (outer, middle, inner)] == [4 * MIB, 3 * MIB, 2 * MIB]
        del second
        assert [one.used_bytes for one in (outer, middle, inner)] == [2 * MIB, MIB, 0]
    del first, third
    assert outer.used_bytes == 0


def test_a_budget_over_a_named_pool_counts_against_the_budget_around_it() -> None:
    slabs = numpool.SlabPool(name="slabs")
    with numpool.budget("4MiB", name="outer") as outer:
        with numpool.budget("8MiB", source=slabs) as inner:
            array = mib(3)
            assert slabs.owns(array)
            assert inner.source is slabs
            with pytest.raises(MemoryError):
                mib(2)
        with numpool.use(slabs):
            beside = mib(3)
    assert outer.used_bytes == 3 * MIB
    del array, beside
    assert outer.used_bytes == 0


def test_its_arrays_come_from_the_pool_of_the_place() -> None:
    slabs = numpool.SlabPool()
    with numpool.use(slabs), numpool.budget("4MiB") as budget:
        array = mib(1)
    assert budget.source is slabs
    assert slabs.owns(array)
    with numpool.budget("4MiB") as budget:
        assert budget.source is numpool.default_pool()


def test_the_limit_of_the_source_holds_too() -> None:
    with (
        numpool.budget("4MiB", source=numpool.SlabPool(limit="2MiB", name="slabs")) as budget,
        pytest.raises(MemoryError),
    ):
        mib(3)
    assert budget.used_bytes == 0


def test_a_limit_may_be_less_than_what_the_source_has_in_use() -> None:
    slabs = numpool.SlabPool()
    held = slabs.empty(8 * MIB, "u1")
    with numpool.budget("1MiB", source=slabs) as budget:
        array = mib(1)
    assert budget.used_bytes == MIB
    del held, array


def test_without_a_limit_it_only_counts() -> None:
    with numpool.budget(None) as budget:
        array = mib(3)
    assert budget.limit is None
    assert budget.stats().limit is None
    assert budget.peak == 3 * MIB
    del array
    budget.reset_peak()
    assert budget.peak == 0


def test_sizes_may_be_texts_and_shares_of_the_memory() -> None:
    budget = numpool.Budget("50%", soft="1.5 GiB", on_soft=list)
    assert budget.limit == numpool.memory_limit() // 2
    assert budget.soft == 3 << 29
    assert numpool.Budget(4096).limit == 4096
    assert numpool.Budget(4096).soft is None


def test_one_block_object_serves_many_blocks_at_once() -> None:
    block = numpool.budget("2MiB", name="many")
    with block as first, block as second:
        array = mib(2)
        assert first is not second
        assert (first.used_bytes, second.used_bytes) == (2 * MIB, 2 * MIB)
    assert repr(block) == "numpool.budget('2MiB', name='many')"
    assert repr(second) == "<Budget 'many': 1 block, 2 MiB of 2 MiB in use>"
    del array


def test_budgets_that_end_in_another_order_restore_what_was_there() -> None:
    first, second = numpool.budget("4MiB", name="first"), numpool.budget("4MiB", name="second")
    outer = first.__enter__()
    inner = second.__enter__()
    with pytest.warns(RuntimeWarning, match="ends before one that began after it"):
        first.__exit__(None, None, None)
    assert numpool.current() is inner
    array = mib(1)
    assert (outer.used_bytes, inner.used_bytes) == (MIB, MIB)
    second.__exit__(None, None, None)
    assert numpool.current() is None
    with pytest.raises(RuntimeError, match="ends in another thread or task than it began in"):
        second.__exit__(None, None, None)
    del array
    assert outer.used_bytes == 0


def test_threads_and_tasks_that_inherit_the_context_are_included() -> None:
    kept = []

    async def task() -> None:
        kept.append(mib(1))
        kept.append(await asyncio.to_thread(mib, 1))

    async def main() -> None:
        with numpool.budget("8MiB") as budget:
            await asyncio.gather(task(), task())
            thread = threading.Thread(
                target=contextvars.copy_context().run, args=(lambda: kept.append(mib(1)),)
            )
            thread.start()
            thread.join()
            assert budget.used_bytes == 5 * MIB
        await task()
        assert budget.used_bytes == 5 * MIB
        del kept[:]
        assert budget.used_bytes == 0

    asyncio.run(main())


def test_a_task_that_outlives_the_block_keeps_its_budget() -> None:
    async def main() -> int:
        async def later() -> Any:
            await asyncio.sleep(0.01)
            return mib(1)

        with numpool.budget("4MiB") as budget:
            task = asyncio.ensure_future(later())
        array = await task
        assert numpool.owner(array) is budget
        return budget.used_bytes

    assert asyncio.run(main()) == MIB


def test_arrays_freed_by_other_threads_leave_the_budget() -> None:
    with numpool.budget("64MiB") as budget:
        kept = [mib(1) for _ in range(8)] + [np.zeros(8) for _ in range(100)]
    thread = threading.Thread(target=kept.clear)
    thread.start()
    thread.join()
    assert budget.used_bytes == 0
    assert budget.stats().blocks == 0


def test_a_budget_lives_as_long_as_its_arrays() -> None:
    with numpool.budget("4MiB"):
        array = np.arange(100)
    gc.collect()
    owner = numpool.owner(array)
    assert isinstance(owner, numpool.Budget)
    assert owner.used_bytes == 896
    array.resize(1000, refcheck=False)
    assert owner.used_bytes == 8192
    view = array[10:]
    del array
    assert owner.used_bytes == 8192
    del view
    assert owner.used_bytes == 0


def test_a_forked_child_counts_by_itself() -> None:
    with numpool.budget("4MiB") as budget:
        array = mib(2)
        child = os.fork()
        if child == 0:
            right = budget.used_bytes == 2 * MIB
            more = mib(2)
            right = right and budget.used_bytes == 4 * MIB
            del array, more
            os._exit(0 if right and budget.used_bytes == 0 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert budget.used_bytes == 2 * MIB
        assert budget.peak == 2 * MIB
        del array


@pytest.mark.parametrize("kind", ["FixedPool", "BuddyPool", "Arena", "checked SlabPool"])
def test_a_budget_over_a_pool_of_another_kind(kind: str) -> None:
    makers: dict[str, Callable[[], numpool.Pool]] = {
        "FixedPool": lambda: numpool.FixedPool("1MiB", 8),
        "BuddyPool": lambda: numpool.BuddyPool("16MiB"),
        "Arena": lambda: numpool.Arena("1MiB"),
        "checked SlabPool": lambda: numpool.SlabPool(checks=True),
    }
    source = makers[kind]()
    with numpool.budget("4MiB", source=source) as budget:
        kept = [mib(0.75)]
        kept[0][:] = 7
        with pytest.raises(MemoryError):
            kept += [mib(0.75) for _ in range(8)]
        kept[0].resize(1000, refcheck=False)
        assert (kept[0] == 7).all()
        assert 0 < budget.used_bytes <= 4 * MIB
    budget.check()
    del kept
    assert budget.used_bytes == 0


def test_a_budget_refuses_what_its_source_leaves_to_others() -> None:
    frames = numpool.FixedPool("64KiB", 2, name="frames")
    with numpool.budget("4MiB", source=frames), pytest.raises(MemoryError):
        mib(1)
    with numpool.use(numpool.Budget("4MiB", source=frames)), pytest.raises(MemoryError):
        mib(1)


def test_a_budget_is_a_pool_for_use_and_by_itself() -> None:
    budget = numpool.Budget("4MiB", source=numpool.SlabPool(), name="shared")
    with numpool.use(budget):
        first = mib(1)
    second = budget.zeros(MIB, "u1")
    with budget.acquire("1MiB") as buffer:
        assert buffer.pool is budget
        assert budget.used_bytes == 3 * MIB
        with pytest.raises(numpool.PoolExhausted, match="Budget 'shared': 2097152 bytes"):
            budget.acquire("2MiB")
        assert budget.try_acquire("2MiB") is None
        with pytest.raises(numpool.PoolExhausted, match="release arrays or raise the limit"):
            budget.empty(2 * MIB, "u1")
    assert budget.used_bytes == 2 * MIB
    many = budget.acquire_many(100, 10)
    assert budget.stats().blocks == 12
    del first, second, many
    assert budget.used_bytes == 0
    assert budget.trim() >= 0
    budget.close()
    with pytest.raises(numpool.PoolClosed, match="Budget 'shared' is closed"):
        budget.acquire(1)
    with pytest.raises(numpool.PoolClosed, match="Budget 'shared' is closed"):
        budget.try_acquire(1)
    assert repr(budget) == "<Budget 'shared': 0 blocks, 0 bytes of 4 MiB in use, closed>"


def test_another_pool_draws_on_a_budget() -> None:
    budget = numpool.Budget("2MiB", source=numpool.SlabPool())
    frames = numpool.FixedPool("64KiB", 4, max_blocks=None, source=budget)
    held = [frames.acquire() for _ in range(4)]
    assert 4 << 16 <= budget.used_bytes < 2 * MIB
    with pytest.raises(numpool.PoolExhausted, match="its source Budget has"):
        held += [frames.acquire() for _ in range(60)]
    with pytest.raises(BufferError, match="draws on it"):
        budget.close()
    del held
    frames.close()
    assert budget.used_bytes == 0


def test_a_buffer_keeps_the_budget_that_it_counts_against() -> None:
    budget: Any = numpool.Budget("2MiB", source=numpool.SlabPool())
    buffer = budget.acquire(1000)
    del budget
    gc.collect()
    memoryview(buffer)[:] = bytes(1000)
    assert isinstance(buffer.pool, numpool.Budget)
    buffer.release()


def test_install_takes_a_budget_over_a_pool_of_its_own() -> None:
    budget = numpool.Budget("4MiB", source=numpool.SlabPool())
    numpool.install(budget)
    try:
        array = mib(3)
        with pytest.raises(MemoryError):
            mib(2)
        assert numpool.owner(array) is budget
    finally:
        numpool.uninstall()
    del array
    assert budget.used_bytes == 0


INSTALLED_TWICE = """
import numpool
def refused(pool, **options):
    try:
        numpool.install(pool, **options)
    except ValueError as error:
        return str(error)
slabs = numpool.SlabPool(name="slabs")
numpool.install(slabs)
before = numpool.current()
print(refused(numpool.Budget("4MiB", source=slabs, name="load")))
print(refused(numpool.Budget("4MiB", source=numpool.default_pool(), name="load")))
own = numpool.SlabPool(name="own")
budget = numpool.Budget("4MiB", source=own, name="load")
print(refused(numpool.SlabPool(), fallback=numpool.Budget("4MiB", source=slabs)))
assert numpool.current() is before
numpool.install(budget)
numpool.install(budget)
print(refused(own))
print(refused(numpool.Budget("4MiB", source=budget, name="inner")))
numpool.uninstall()
"""


def test_a_process_cannot_mix_a_budget_with_the_pool_under_it(printed_by: Any) -> None:
    lines = printed_by(INSTALLED_TWICE).splitlines()
    advice = (
        "which has the same blocks, does or did, so it could not be told which of them an array "
        "counts against. Install a budget over a pool of its own: Budget(..., source=SlabPool())"
    )
    assert lines == [
        f"Budget 'load' can't serve the process: SlabPool 'slabs', {advice}",
        f"Budget 'load' can't serve the process: SlabPool 'default', {advice}",
        f"SlabPool can't serve the process: SlabPool 'slabs', {advice}",
        f"SlabPool 'own' can't serve the process: Budget 'load', {advice}",
        f"Budget 'inner' can't serve the process: Budget 'load', {advice}",
    ]


def test_a_named_fallback_must_have_other_blocks() -> None:
    slabs = numpool.SlabPool(name="slabs")
    budget = numpool.Budget("1MiB", source=slabs, name="load")
    for pool, fallback in ((budget, slabs), (slabs, budget)):
        with pytest.raises(ValueError, match="have the same blocks, so it could not be told"):
            numpool.use(pool, fallback=fallback)
    with numpool.use(budget, fallback=numpool.default_pool()):
        kept = [mib(0.75), mib(0.75)]
    assert [numpool.owner(one) for one in kept] == [budget, numpool.default_pool()]


def test_an_invalid_budget_raises_at_once_and_changes_nothing() -> None:
    with pytest.raises(ValueError, match="limit: '4 cats' is not a size"):
        numpool.budget("4 cats")
    with pytest.raises(ValueError, match="limit is -1: it cannot be negative"):
        numpool.Budget(-1)
    closed = numpool.SlabPool()
    block = numpool.budget("1MiB", source=closed)
    closed.close()
    with pytest.raises(numpool.PoolClosed), block:
        pass
    assert numpool.current() is None


def test_a_budget_is_not_pickled_nor_copied() -> None:
    budget = numpool.Budget("1MiB", source=numpool.SlabPool())
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot pickle or copy a Budget"):
            attempt(budget)


def test_threads_share_a_budget_and_never_exceed_it() -> None:
    budget = numpool.Budget("8MiB", source=numpool.SlabPool())
    exceeded = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        sizes = random.integers(1, MIB, 2000)
        with numpool.use(budget):
            kept: list[Any] = []
            for size in sizes:
                try:
                    kept.append(np.empty(size, "u1"))
                except MemoryError:
                    del kept[len(kept) // 2 :]
                if budget.used_bytes > 8 * MIB:
                    exceeded.append(budget.used_bytes)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exceeded == []
    assert budget.used_bytes == 0
    assert budget.stats().blocks == 0
    assert 4 * MIB < budget.peak <= 8 * MIB


AT_EXIT = """
import numpy as np, numpool
kept = numpool.budget("4MiB", name="load").__enter__().zeros(100)
more = [np.ones(10) for _ in range(100)]
class Late:
    def __del__(self, ones=np.ones): ones(1000)
late = Late()
print("end")
"""


def test_arrays_and_open_blocks_outlive_everything(printed_by: Any) -> None:
    assert printed_by(AT_EXIT) == "end\n"
