"""Waiting for a block, in threads."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import numpool

SOON = 0.05


LONG = 20.0


def test_a_wait_that_ends_without_a_block_says_how_long_it_was(pool: numpool.FixedPool) -> None:
    buffers = pool.acquire_many(4)
    started = time.monotonic()
    with pytest.raises(numpool.PoolExhausted, match=r"none was released within 0\.05 seconds"):
        pool.acquire(timeout=SOON)
    assert time.monotonic() - started >= SOON
    assert len(buffers) == 4


@pytest.mark.parametrize("timeout", [None, LONG, float("inf"), 1e300])
def test_a_waiting_thread_gets_the_block_that_another_releases(
    pool: numpool.FixedPool,
    timeout: Any,
    wait_until_waiting: Callable[..., None],
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
def test_a_bad_timeout_is_refused(
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


def test_threads_are_served_in_the_order_they_came(
    pool: numpool.FixedPool, wait_until_waiting: Callable[..., None]
) -> None:
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


def test_closing_a_pool_ends_the_waits_for_it(
    pool: numpool.FixedPool, wait_until_waiting: Callable[..., None]
) -> None:
    buffers = pool.acquire_many(4)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(lambda: pool.acquire(timeout=None))
        wait_until_waiting(pool, 1)
        pool.close()
        with pytest.raises(numpool.PoolClosed, match="was closed while this request waited"):
            waiting.result(LONG)
    assert len(buffers) == 4


def test_other_threads_run_while_one_waits(
    pool: numpool.FixedPool, wait_until_waiting: Callable[..., None]
) -> None:
    buffers = pool.acquire_many(4)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(lambda: pool.acquire(timeout=LONG))
        wait_until_waiting(pool, 1)
        assert sum(range(100_000)) == 4_999_950_000
        del buffers
        waiting.result(LONG)


def test_control_c_interrupts_a_wait(
    pool: numpool.FixedPool, wait_until_waiting: Callable[..., None]
) -> None:
    buffers = pool.acquire_many(4)

    def interrupt() -> None:
        wait_until_waiting(pool, 1)
        os.kill(os.getpid(), signal.SIGINT)

    # A program that a shell started in the background ignores SIGINT.
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


def test_a_signal_whose_handler_returns_does_not_end_a_wait(
    pool: numpool.FixedPool, wait_until_waiting: Callable[..., None]
) -> None:
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
            # The release and the signal race on purpose.
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
    pool: numpool.FixedPool, wait_until_waiting: Callable[..., None]
) -> None:
    box = list(pool.acquire_many(4))

    def drop() -> None:
        wait_until_waiting(pool, 1)
        box.pop()

    dropper = threading.Thread(target=drop)
    dropper.start()
    assert pool.acquire(timeout=LONG).nbytes == 4096
    dropper.join()


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
