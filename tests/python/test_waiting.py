"""Waiting for a block, in threads and in event loops."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import numpool

SOON = 0.05
LONG = 20.0


def wait_until_waiting(pool: numpool.FixedPool, waits: int) -> None:
    """Returns once so many requests have had to wait."""
    deadline = time.monotonic() + LONG
    while pool.stats().waits < waits:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_wait_that_ends_without_a_block_says_how_long_it_was(pool: numpool.FixedPool) -> None:
    buffers = pool.acquire_many(4)
    started = time.monotonic()
    with pytest.raises(numpool.PoolExhausted, match=r"none was released within 0\.05 seconds"):
        pool.acquire(timeout=SOON)
    assert time.monotonic() - started >= SOON
    assert len(buffers) == 4


@pytest.mark.parametrize("timeout", [None, LONG, float("inf"), 1e300])
def test_a_waiting_thread_gets_the_block_that_another_releases(
    pool: numpool.FixedPool, timeout: Any
) -> None:
    buffers = pool.acquire_many(4)
    address = buffers[2].address
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(lambda: pool.acquire(timeout=timeout))
        wait_until_waiting(pool, 1)
        buffers[2].release()
        assert waiting.result(LONG).address == address


@pytest.mark.parametrize(
    ("timeout", "error", "text"),
    [
        (-1, ValueError, "timeout is -1: give seconds from 0 on, or None"),
        (float("nan"), ValueError, "timeout is nan"),
        ("soon", TypeError, "timeout must be a number of seconds or None, not str"),
        (10**400, OverflowError, "too large"),
    ],
)
def test_a_timeout_that_is_none_is_refused(
    pool: numpool.FixedPool, timeout: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        pool.acquire(timeout=timeout)
    assert pool.stats().requests == 0


def test_acquire_takes_one_keyword_and_nothing_else(pool: numpool.FixedPool) -> None:
    acquire: Any = pool.acquire
    with pytest.raises(TypeError, match=r"write acquire\(timeout=...\)"):
        acquire(1)
    with pytest.raises(TypeError, match="only the keyword 'timeout'"):
        acquire(patience=1)
    with pytest.raises(TypeError, match="only the keyword 'timeout'"):
        acquire(timeout=1, patience=1)


def test_threads_are_served_in_the_order_they_came(pool: numpool.FixedPool) -> None:
    buffers = pool.acquire_many(4)
    served: list[int] = []
    kept = []

    def wait(number: int) -> None:
        buffer = pool.acquire(timeout=LONG)
        served.append(number)
        kept.append(buffer)

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        wait_until_waiting(pool, number + 1)
    for number in range(4):
        buffers.pop().release()
        deadline = time.monotonic() + LONG
        while len(served) <= number and time.monotonic() < deadline:
            time.sleep(0.001)
    for thread in threads:
        thread.join(LONG)
    assert served == [0, 1, 2, 3]


def test_closing_a_pool_ends_the_waits_for_it(pool: numpool.FixedPool) -> None:
    buffers = pool.acquire_many(4)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(lambda: pool.acquire(timeout=None))
        wait_until_waiting(pool, 1)
        pool.close()
        with pytest.raises(numpool.PoolClosed, match="was closed while this request waited"):
            waiting.result(LONG)
    assert len(buffers) == 4


def test_other_threads_run_while_one_waits(pool: numpool.FixedPool) -> None:
    buffers = pool.acquire_many(4)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(lambda: pool.acquire(timeout=LONG))
        wait_until_waiting(pool, 1)
        assert sum(range(100_000)) == 4_999_950_000
        del buffers
        waiting.result(LONG)


def test_control_c_interrupts_a_wait(pool: numpool.FixedPool) -> None:
    buffers = pool.acquire_many(4)

    def interrupt() -> None:
        wait_until_waiting(pool, 1)
        os.kill(os.getpid(), signal.SIGINT)

    # A program started in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            pool.acquire(timeout=None)
    finally:
        signal.signal(signal.SIGINT, before)
        interrupter.join()
    buffers.pop().release()
    assert pool.acquire().nbytes == 4096


def test_a_signal_whose_handler_returns_does_not_end_a_wait(pool: numpool.FixedPool) -> None:
    buffers = pool.acquire_many(4)
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))

    def disturb() -> None:
        wait_until_waiting(pool, 1)
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(SOON)
        buffers.pop().release()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        assert pool.acquire(timeout=LONG).nbytes == 4096
    finally:
        signal.signal(signal.SIGUSR1, before)
        disturber.join()
    assert seen == [signal.SIGUSR1]


def test_a_signal_handler_that_raises_loses_no_block(pool: numpool.FixedPool) -> None:
    class Stop(Exception):
        pass

    def stop(number: int, frame: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    try:
        kept: list[numpool.Buffer] = []
        for _ in range(50):
            buffers = pool.acquire_many(4)
            # Release and signal race on purpose.
            timer = threading.Timer(0.002, buffers.clear)
            timer.start()
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            try:
                kept.append(pool.acquire(timeout=1))
                time.sleep(1)
            except Stop:
                pass
            timer.join()
            kept.clear()
            buffers.clear()
            gc.collect()
            assert pool.stats().blocks == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_many_threads_share_a_small_pool_and_lose_nothing(pool: numpool.FixedPool) -> None:
    def work(mark: int) -> None:
        for _ in range(300):
            with pool.acquire(timeout=LONG) as buffer:
                array = buffer.array("u1")
                array[:] = mark
                assert (array == mark).all()
                del array

    with ThreadPoolExecutor(8) as threads:
        for result in [threads.submit(work, mark) for mark in range(8)]:
            result.result(LONG)
    assert pool.stats().blocks == 0
    assert len(pool.acquire_many(4)) == 4


def test_a_block_goes_back_from_whichever_thread_drops_it(pool: numpool.FixedPool) -> None:
    boxes = [[buffer] for buffer in pool.acquire_many(4)]
    threads = [threading.Thread(target=box.clear) for box in boxes]
    for thread in threads:
        thread.start()
        thread.join()
    assert pool.stats().blocks == 0


def test_a_waiter_gets_the_block_that_it_made_and_another_thread_drops(
    pool: numpool.FixedPool,
) -> None:
    box = list(pool.acquire_many(4))

    def drop() -> None:
        wait_until_waiting(pool, 1)
        box.pop()

    dropper = threading.Thread(target=drop)
    dropper.start()
    assert pool.acquire(timeout=LONG).nbytes == 4096
    dropper.join()


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
        # Granted, and cancelled before the task runs again.
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
    pool: numpool.FixedPool,
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
    # A task that never ended would be reported; it is meant to.
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


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_by_a_signal_handler_in_a_wait_goes_on_waiting() -> None:
    pool = numpool.FixedPool(64, 1)
    box = [pool.acquire()]
    children: list[int] = []

    def fork(number: int, frame: object) -> None:
        child = os.fork()
        if child != 0:
            children.append(child)
        else:
            signal.alarm(20)
        box.clear()

    before = signal.signal(signal.SIGUSR1, fork)
    sender = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    sender.start()
    try:
        buffer = pool.acquire(timeout=None)
        if not children:
            os._exit(0 if buffer.nbytes == 64 else 1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    sender.join()
    assert os.waitpid(children[0], 0)[1] == 0


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


def test_threads_and_coroutines_stand_in_one_queue(pool: numpool.FixedPool) -> None:
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
