"""ReservePool: a request that may wait never fails."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import threading
import time
from typing import Any

import pytest

import numpool


def exhausted(blocks: int = 4) -> tuple[numpool.FixedPool, numpool.ReservePool]:
    """A reserve of two blocks on a pool that has no other free blocks."""
    backing = numpool.FixedPool(4096, blocks, name="small")
    reserve = numpool.ReservePool(backing, 4096, 2, name="vital")
    return backing, reserve


def test_creation_takes_the_reserve_or_fails() -> None:
    backing, reserve = exhausted()
    assert (reserve.nbytes, reserve.reserve, reserve.at_hand) == (4096, 2, 2)
    assert reserve.pool is backing
    assert backing.stats().blocks == 2
    with pytest.raises(
        numpool.PoolExhausted,
        match="FixedPool 'small' gave 2 of the 3 blocks of 4 KiB to keep in reserve",
    ):
        numpool.ReservePool(backing, 4096, 3)
    assert backing.stats().blocks == 2
    with pytest.raises(MemoryError, match="gave 0 of the 1 block of 8 KiB"):
        numpool.ReservePool(backing, 8192, 1)


def test_the_backing_pool_serves_first_and_the_reserve_when_it_refuses() -> None:
    backing, reserve = exhausted()
    buffers = [reserve.acquire(), reserve.acquire()]
    assert (reserve.at_hand, backing.stats().blocks) == (2, 4)
    buffers += [reserve.acquire(), reserve.acquire()]
    assert reserve.at_hand == 0
    assert reserve.try_acquire() is None
    with pytest.raises(
        numpool.PoolExhausted,
        match=r"ReservePool 'vital': FixedPool 'small' has no 4 KiB left, and all 2 blocks in "
        r"reserve are in use: release one, or wait with acquire\(timeout=...\)",
    ):
        reserve.acquire()
    with pytest.raises(MemoryError, match=r"none was released within 0\.01 seconds"):
        reserve.acquire(timeout=0.01)
    buffers.pop(0).release()
    assert (reserve.at_hand, backing.stats().blocks) == (1, 4)
    for buffer in buffers:
        buffer.release()
    assert (reserve.at_hand, backing.stats().blocks) == (2, 2)
    reserve.check()
    backing.check()


def test_its_buffers_work_as_others_do() -> None:
    slabs = numpool.SlabPool()
    reserve = numpool.ReservePool(slabs, "100KiB", 1)
    with reserve.acquire() as buffer:
        assert buffer.pool is reserve
        assert buffer.nbytes == 102400
        array = buffer.array("f8")
        array[:] = 1
        assert reserve.owns(array)
        assert slabs.owns(array)
        with pytest.raises(BufferError, match="still in use by 1 view"):
            buffer.release()
        del array


def test_a_view_outlives_both_pools() -> None:
    backing, reserve = exhausted()
    view = memoryview(reserve.acquire())
    view[:] = b"\1" * 4096
    del backing, reserve
    gc.collect()
    assert bytes(view) == b"\1" * 4096
    view.release()


def test_threads_wait_in_their_order() -> None:
    _, reserve = exhausted(blocks=2)
    buffers = [reserve.acquire(), reserve.acquire()]
    served: list[int] = []

    def wait(number: int) -> None:
        with reserve.acquire(timeout=10):
            served.append(number)

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        while reserve.stats().waits <= number:
            time.sleep(0.001)
    buffers.pop().release()
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3]


def test_a_waiting_thread_gets_a_block_released_to_the_backing_pool() -> None:
    backing, reserve = exhausted(blocks=3)
    other = backing.acquire()
    buffers = [reserve.acquire(), reserve.acquire()]
    threading.Timer(0.05, other.release).start()
    with reserve.acquire(timeout=10):
        assert reserve.at_hand == 0
    assert len(buffers) == 2


def test_a_waiting_task_gets_a_block_released_to_the_backing_pool() -> None:
    backing, reserve = exhausted(blocks=3)

    async def main() -> None:
        other = backing.acquire()
        buffers = [reserve.acquire(), reserve.acquire()]
        asyncio.get_running_loop().call_later(0.05, other.release)
        with await asyncio.wait_for(reserve.acquire_async(), 10):
            assert reserve.at_hand == 0
        assert len(buffers) == 2

    asyncio.run(main())


def test_tasks_and_threads_share_the_reserve() -> None:
    _, reserve = exhausted(blocks=2)
    done: list[str] = []

    async def task(number: int) -> None:
        for _ in range(20):
            with await reserve.acquire_async() as buffer:
                memoryview(buffer)[0] = number
                await asyncio.sleep(0)
        done.append("task")

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(10)))

    def thread() -> None:
        for _ in range(200):
            with reserve.acquire(timeout=None) as buffer:
                memoryview(buffer)[0] = 1
        done.append("thread")

    threads = [threading.Thread(target=thread) for _ in range(3)]
    for one in threads:
        one.start()
    asyncio.run(main())
    for one in threads:
        one.join()
    assert sorted(done) == ["task"] * 10 + ["thread"] * 3
    assert reserve.at_hand == 2
    reserve.check()


def test_cancelling_a_wait_loses_no_block() -> None:
    _, reserve = exhausted(blocks=2)

    async def main() -> None:
        buffers = [reserve.acquire(), reserve.acquire()]
        waiting = [asyncio.ensure_future(reserve.acquire_async()) for _ in range(3)]
        await asyncio.sleep(0)
        for buffer in buffers:
            buffer.release()
        for task in waiting[:2]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        waiting[2].result().release()

    asyncio.run(main())
    gc.collect()
    assert reserve.at_hand == 2
    assert reserve.stats().blocks == 0


def test_ctrl_c_ends_a_wait_and_loses_no_block() -> None:
    _, reserve = exhausted(blocks=2)
    buffers = [reserve.acquire(), reserve.acquire()]
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        reserve.acquire(timeout=None)
    del buffers
    assert reserve.at_hand == 2
    assert reserve.stats().blocks == 0


def test_a_caller_that_may_wait_never_fails_under_a_tight_limit() -> None:
    """Other threads repeatedly take all memory that the limit allows."""
    slabs = numpool.SlabPool(limit="1MiB")
    reserve = numpool.ReservePool(slabs, "64KiB", 2)
    stop = threading.Event()
    refused = 0

    def hog() -> None:
        nonlocal refused
        rng = random.Random(1)
        held: list[numpool.Buffer] = []
        while not stop.is_set():
            buffer = slabs.try_acquire(rng.choice([1000, 60_000, 200_000]))
            if buffer is None:
                refused += 1
                held.clear()
                time.sleep(0.0002)
            else:
                held.append(buffer)

    served = []

    def work() -> None:
        for _ in range(300):
            with reserve.acquire(timeout=None) as buffer:
                memoryview(buffer)[0] = 1
        served.append(300)

    hogs = [threading.Thread(target=hog) for _ in range(2)]
    workers = [threading.Thread(target=work) for _ in range(6)]
    for thread in hogs + workers:
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    for thread in hogs:
        thread.join()
    assert served == [300] * 6
    assert refused > 0
    assert reserve.stats().failures == 0
    assert reserve.at_hand == 2
    reserve.check()
    slabs.check()


def test_resize_shrinks_at_once_and_grows_as_it_can() -> None:
    backing, reserve = exhausted(blocks=4)
    buffer = reserve.acquire()
    reserve.resize(1)
    assert backing.stats().blocks == 2
    reserve.resize(4)
    assert (reserve.reserve, reserve.at_hand) == (4, 3)
    buffer.release()
    assert reserve.at_hand == 4
    with pytest.raises(ValueError, match="reserve is 0: a request could wait for ever"):
        reserve.resize(0)
    reserve.check()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("pool", 64, 0), ValueError, "reserve is 0: a request could wait for ever"),
        (("pool", 64, 1.5), TypeError, "reserve must be an int, not float"),
        (("pool", "many", 1), ValueError, "nbytes: 'many' is not a size"),
        ((None, 64, 1), TypeError, "a reserve is kept of a pool's blocks, not of NoneType"),
        (("handles", 64, 1), TypeError, "HandlePool can't back a reserve: it hands out no memory"),
        (("closed", 64, 1), ValueError, "FixedPool is closed and takes no more requests"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, error: type[Exception], text: str) -> None:
    closed = numpool.FixedPool(64, 1)
    closed.close()
    pools = {
        "pool": numpool.FixedPool(64, 4),
        "handles": numpool.HandlePool({64: 1}),
        "closed": closed,
    }
    with pytest.raises(error, match=text):
        numpool.ReservePool(pools.get(arguments[0], arguments[0]), *arguments[1:])


def test_a_closed_pool_gives_its_reserve_back() -> None:
    backing, reserve = exhausted(blocks=2)
    buffers = [reserve.acquire(), reserve.acquire()]
    errors: list[Exception] = []

    def wait() -> None:
        try:
            reserve.acquire(timeout=10)
        except numpool.PoolClosed as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while reserve.stats().waits == 0:
        time.sleep(0.001)
    reserve.close()
    thread.join()
    assert [str(error) for error in errors] == [
        "ReservePool 'vital' was closed while this request waited"
    ]
    assert repr(reserve) == "<ReservePool 'vital': closed, 2 blocks of 4 KiB still in use>"
    for use in (reserve.acquire, reserve.try_acquire, lambda: reserve.resize(1)):
        with pytest.raises(numpool.PoolClosed, match="ReservePool 'vital' is closed"):
            use()
    buffers.clear()
    assert backing.stats().blocks == 0
    assert repr(reserve) == "<ReservePool 'vital': closed>"


def test_a_closed_backing_pool_leaves_the_reserve() -> None:
    backing, reserve = exhausted()
    backing.close()
    buffers = [reserve.acquire(), reserve.acquire()]
    threading.Timer(0.05, buffers.pop().release).start()
    reserve.acquire(timeout=10).release()
    reserve.check()


def test_the_repr_and_stats_show_the_state() -> None:
    _, reserve = exhausted()
    buffers = [reserve.acquire() for _ in range(3)]
    assert repr(reserve) == (
        "<ReservePool 'vital': 3 blocks of 4 KiB in use, 1 of 2 in reserve, from FixedPool 'small'>"
    )
    stats = reserve.stats()
    assert (stats.blocks, stats.requests, stats.hits) == (3, 3, 1)
    assert (stats.in_use, stats.cached, stats.committed) == (3 * 4096, 4096, 4 * 4096)
    assert stats.limit is None
    del buffers


def test_a_reserve_can_sit_on_a_pool_that_constructs() -> None:
    backing = numpool.FixedPool(16, 2, init=lambda view: None)
    reserve = numpool.ReservePool(backing, 16, 1)
    memoryview(reserve.acquire())[:] = b"x" * 16
    reserve.close()
    assert backing.stats().blocks == 0
    backing.check()
