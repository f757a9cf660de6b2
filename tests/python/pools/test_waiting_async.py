"""Waiting for a block in event loops, beside threads."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import numpool

SOON = 0.05


LONG = 20.0


def test_a_coroutine_waits_without_holding_up_its_loop(pool: numpool.FixedPool) -> None:
    async def main() -> None:
        buffers = pool.acquire_many(4)
        waiting = asyncio.create_task(pool.acquire_async())
        for _ in range(5):
            await asyncio.sleep(0.001)
        assert not waiting.done()
        buffers.pop().release()
        buffer = await waiting
        assert buffer.nbytes == 4096
        assert (await asyncio.gather(pool_free(buffers)))[0] == 3

    async def pool_free(buffers: list[numpool.Buffer]) -> int:
        return len(buffers)

    asyncio.run(main())


def test_a_coroutine_gets_a_free_block_at_once(pool: numpool.FixedPool) -> None:
    async def main() -> int:
        return (await pool.acquire_async()).nbytes

    assert asyncio.run(main()) == 4096
    assert pool.stats().waits == 0


def test_coroutines_are_served_in_the_order_they_came(pool: numpool.FixedPool) -> None:
    async def main() -> None:
        buffers = pool.acquire_many(4)
        served: list[int] = []

        async def wait(number: int) -> numpool.Buffer:
            buffer = await pool.acquire_async()
            served.append(number)
            return buffer

        tasks = [asyncio.create_task(wait(number)) for number in range(8)]
        await asyncio.sleep(SOON)
        buffers.clear()
        for task in tasks:
            (await task).release()
        assert served == list(range(8))

    asyncio.run(main())


def test_a_cancelled_wait_loses_no_block(pool: numpool.FixedPool) -> None:
    async def main() -> None:
        buffers = pool.acquire_many(4)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.acquire_async(), SOON)
        # The block is granted, and the task is cancelled before it runs again.
        cancelled = asyncio.create_task(pool.acquire_async())
        patient = asyncio.create_task(pool.acquire_async())
        await asyncio.sleep(SOON)
        buffers.pop().release()
        cancelled.cancel()
        assert (await patient).nbytes == 4096
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    asyncio.run(main())
    gc.collect()
    assert pool.stats().blocks == 0


def test_a_loop_that_was_closed_under_its_waiter_passes_the_block_on(
    pool: numpool.FixedPool, wait_until_waiting: Callable[..., None]
) -> None:
    buffers = pool.acquire_many(4)
    loop = asyncio.new_event_loop()
    task = loop.create_task(pool.acquire_async())
    loop.run_until_complete(asyncio.sleep(SOON))
    assert pool.stats().waits == 1
    loop.close()
    with ThreadPoolExecutor() as threads:
        patient = threads.submit(lambda: pool.acquire(timeout=LONG))
        wait_until_waiting(pool, 2)
        buffers.pop().release()
        assert patient.result(LONG).nbytes == 4096
    # asyncio would report a task that never ended, but this test leaves one on purpose.
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    del task
    gc.collect()


def test_a_coroutine_is_woken_by_a_release_that_had_no_stack_left(pool: numpool.FixedPool) -> None:
    async def main() -> None:
        buffers = pool.acquire_many(4)
        waiting = asyncio.create_task(pool.acquire_async())
        await asyncio.sleep(SOON)

        def descend() -> None:
            try:
                descend()
            except RecursionError:
                if buffers:
                    buffers.pop()

        descend()
        assert (await asyncio.wait_for(waiting, LONG)).nbytes == 4096

    asyncio.run(main())


def test_control_c_while_a_coroutine_is_being_woken_is_kept(
    pool: numpool.FixedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        buffers = pool.acquire_many(4)
        loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(pool.acquire_async())
        await asyncio.sleep(SOON)
        original = loop.call_soon_threadsafe
        interruptions: list[int] = []

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            handle = original(*args, **kwargs)
            if not interruptions:
                interruptions.append(1)
                raise KeyboardInterrupt
            return handle

        monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
        seen = []
        before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
        try:
            buffers.pop().release()
            assert (await asyncio.wait_for(waiting, LONG)).nbytes == 4096
            assert seen == [1]
        finally:
            signal.signal(signal.SIGINT, before)

    asyncio.run(main())


def test_several_loops_wait_for_one_pool(pool: numpool.FixedPool) -> None:
    async def use(count: int) -> int:
        async def once() -> int:
            buffer = await pool.acquire_async()
            await asyncio.sleep(0)
            with buffer:
                return buffer.nbytes

        return sum(await asyncio.gather(*(once() for _ in range(count))))

    with ThreadPoolExecutor(3) as threads:
        sums = list(threads.map(lambda count: asyncio.run(use(count)), [50, 60, 70]))
    assert sums == [50 * 4096, 60 * 4096, 70 * 4096]
    assert pool.stats().blocks == 0


def test_closing_a_pool_ends_the_waits_of_coroutines(pool: numpool.FixedPool) -> None:
    async def main() -> None:
        buffers = pool.acquire_many(4)
        waiting = asyncio.create_task(pool.acquire_async())
        await asyncio.sleep(SOON)
        pool.close()
        with pytest.raises(numpool.PoolClosed, match="was closed while this request waited"):
            await waiting
        assert len(buffers) == 4
        with pytest.raises(numpool.PoolClosed):
            await pool.acquire_async()

    asyncio.run(main())


def test_threads_and_coroutines_wait_in_one_queue(pool: numpool.FixedPool) -> None:
    buffers = pool.acquire_many(4)
    served: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def wait_in_thread() -> numpool.Buffer:
            buffer = pool.acquire(timeout=LONG)
            served.append("thread")
            return buffer

        async def wait_in_loop() -> numpool.Buffer:
            buffer = await pool.acquire_async()
            served.append("coroutine")
            return buffer

        first = loop.run_in_executor(None, wait_in_thread)
        while pool.stats().waits < 1:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(wait_in_loop())
        await asyncio.sleep(SOON)
        third = loop.run_in_executor(None, wait_in_thread)
        while pool.stats().waits < 3:
            await asyncio.sleep(0.001)
        kept = []
        for pending in (first, second, third):
            buffers.pop().release()
            kept.append(await pending)

    asyncio.run(main())
    assert served == ["thread", "coroutine", "thread"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with 3.11")
def test_asyncio_timeout_bounds_a_wait(pool: numpool.FixedPool) -> None:
    async def main() -> None:
        buffers = pool.acquire_many(4)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SOON):
                await pool.acquire_async()
        assert len(buffers) == 4

    asyncio.run(main())
    assert pool.stats().blocks == 0


def test_a_coroutine_waits_until_its_timeout(pool: numpool.FixedPool) -> None:
    async def main() -> None:
        buffers = pool.acquire_many(4)
        with pytest.raises(
            numpool.PoolExhausted,
            match=r"all 4 blocks of 4 KiB are in use, and none was released within 0\.05 seconds$",
        ):
            await pool.acquire_async(timeout=SOON)
        with pytest.raises(numpool.PoolExhausted, match="within 0 seconds"):
            await pool.acquire_async(timeout=0)
        waiting = asyncio.create_task(pool.acquire_async(timeout=LONG))
        await asyncio.sleep(SOON)
        buffers.pop().release()
        buffers.append(await waiting)
        assert pool.stats().blocks == 4
        assert pool.stats().failures == 2

    asyncio.run(main())
    assert pool.stats().blocks == 0


def test_a_block_that_is_free_comes_whatever_the_timeout(pool: numpool.FixedPool) -> None:
    async def main() -> int:
        return (await pool.acquire_async(timeout=0)).nbytes

    assert asyncio.run(main()) == 4096


def test_a_bad_timeout_is_refused_at_once(pool: numpool.FixedPool) -> None:
    for timeout, error, text in [
        (-1, ValueError, "timeout is -1: give seconds from 0 on, or None to wait for ever"),
        ("1", TypeError, "timeout must be a number of seconds or None, not str"),
    ]:
        with pytest.raises(error, match=text):
            pool.acquire_async(timeout=timeout)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"write acquire_async\(timeout=...\)"):
        pool.acquire_async(1)  # type: ignore[call-arg]


def test_an_async_with_block_waits_and_gives_the_buffer_up(pool: numpool.FixedPool) -> None:
    async def total() -> float:
        async with pool.acquire_async(timeout=LONG) as buffer:
            assert pool.stats().blocks == 1
            a = buffer.array("f4", (32, 32))
            a[...] = 2
            return float(a.sum())

    async def main() -> None:
        assert await total() == 2048
        assert pool.stats().blocks == 0
        with pytest.raises(LookupError, match="passes"):
            async with pool.acquire_async():
                raise LookupError("passes")
        assert pool.stats().blocks == 0
        buffers = pool.acquire_many(4)
        with pytest.raises(numpool.PoolExhausted):
            async with pool.acquire_async(timeout=0):
                raise AssertionError("it has no buffer")
        del buffers
        assert [one.nbytes for one in await asyncio.gather(pool.acquire_async())] == [4096]
        buffer = await asyncio.wait_for(pool.acquire_async(), LONG)
        buffer.release()

    asyncio.run(main())


def test_a_request_that_is_never_awaited_warns_as_any_coroutine(pool: numpool.FixedPool) -> None:
    with pytest.warns(RuntimeWarning, match="coroutine 'acquire_async' was never awaited"):
        pool.acquire_async()
    waiting = pool.acquire_async()
    waiting.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        asyncio.run(waiting)


UNAWAITED: dict[str, Callable[[Any], object]] = {
    "an attribute": lambda buffer: buffer.array("f4"),
    "an array": np.asarray,
    "a with block": lambda buffer: buffer.__enter__(),
}
if sys.version_info >= (3, 12):
    UNAWAITED["a memoryview"] = memoryview


@pytest.mark.parametrize("use", UNAWAITED.values(), ids=UNAWAITED)
@pytest.mark.filterwarnings("ignore:coroutine 'acquire_async' was never awaited")
def test_what_was_not_awaited_says_so_where_it_is_used(
    pool: numpool.FixedPool, use: Callable[[Any], object]
) -> None:
    waiting = pool.acquire_async()
    with pytest.raises(
        (AttributeError, TypeError),
        match=r"acquire_async\(\) was not awaited: this is no buffer yet.*: write `await pool.acq",
    ):
        use(waiting)
    assert not hasattr(waiting, "nbytes")
    assert asyncio.run(waiting).nbytes == 4096
