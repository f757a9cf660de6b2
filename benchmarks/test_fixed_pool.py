"""The cost of a fixed pool's block in Python, beside other sources of bytes."""

from __future__ import annotations

import asyncio
import mmap
from collections import deque
from collections.abc import Callable
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from races import label, race
from turns import Contender

import numpool

SIZES = [64, 4096, 65536, 2**20]


def thousand_times(statement: str, source: object) -> Callable[[], None]:
    """A function that runs the statement in a bare loop, so that only its own calls are timed.

    Names in it are attributes of ``source``. The function uses no others, because objects of other
    contenders must not be in its memory.
    """
    namespace: dict[str, Any] = {"np": np, "mmap": mmap}
    for name in compile(statement, "statement", "exec").co_names:
        if hasattr(source, name):
            namespace[name] = getattr(source, name)
    exec(f"def run():\n    for _ in range(1000):\n        {statement}", namespace)
    run: Callable[[], None] = namespace["run"]
    return run


class Source:
    """Sources of blocks of one size, each made at its first use."""

    def __init__(self, size: int) -> None:
        self.size = size

    @cached_property
    def pool(self) -> numpool.FixedPool:
        return numpool.FixedPool(self.size, 16)

    @cached_property
    def free(self) -> deque[bytearray]:
        return deque(bytearray(self.size) for _ in range(16))


SOURCES = {
    "FixedPool.acquire": "pool.acquire()",
    "bytearray(1)": "bytearray(1)",
    "bytearray(size)": "bytearray(size)",
    "np.empty(size)": "np.empty(size, np.uint8)",
    # A pool as a program may write it itself: it does not check, wait or give memory back.
    "deque of bytearrays": "free.append(free.pop())",
    "mmap": "mmap.mmap(-1, size)",
}


@race("1000 x acquire and release, {size}", SOURCES, reference="bytearray(1)")
@pytest.mark.parametrize("size", SIZES, ids=label)
def test_acquire_and_release(contender: str, size: int) -> Contender:
    return Contender(thousand_times(SOURCES[contender], Source(size)))


VIEWS = {
    "memoryview": "memoryview(subject)",
    "np.frombuffer": "np.frombuffer(subject, np.uint8)",
}


@race("1000 x {view} of 4KiB", ["Buffer", "bytearray"], reference="bytearray")
@pytest.mark.parametrize("view", VIEWS)
def test_view(contender: str, view: str) -> Contender:
    subject = numpool.FixedPool(4096, 1).acquire() if contender == "Buffer" else bytearray(4096)
    return Contender(thousand_times(VIEWS[view], SimpleNamespace(subject=subject)))


ARRAYS = {
    "buffer.array": "buffer.array('f4', (32, 32))",
    "frombuffer and reshape": "np.frombuffer(buffer, 'f4').reshape(32, 32)",
    "np.ndarray(buffer=)": "np.ndarray((32, 32), 'f4', memoryview(buffer))",
}


@race("1000 x a 32 x 32 float array on 4KiB", ARRAYS, reference="frombuffer and reshape")
def test_array_on_a_buffer(contender: str) -> Contender:
    buffer = numpool.FixedPool(4096, 1).acquire()
    return Contender(thousand_times(ARRAYS[contender], SimpleNamespace(buffer=buffer)))


BOUNDS = ["FixedPool.acquire_async", "asyncio.Semaphore"]


@race("100 coroutines share 4 blocks of 4KiB", BOUNDS, reference="asyncio.Semaphore")
def test_a_hundred_coroutines_share_four_blocks(contender: str) -> Contender:
    pool = numpool.FixedPool(4096, 4)

    async def with_pool() -> None:
        async def once() -> None:
            with await pool.acquire_async():
                await asyncio.sleep(0)

        await asyncio.gather(*(once() for _ in range(100)))

    async def with_semaphore() -> None:
        semaphore = asyncio.Semaphore(4)

        async def once() -> None:
            async with semaphore:
                bytearray(4096)
                await asyncio.sleep(0)

        await asyncio.gather(*(once() for _ in range(100)))

    work = with_pool if contender == "FixedPool.acquire_async" else with_semaphore
    loop = asyncio.new_event_loop()
    return Contender(lambda: loop.run_until_complete(work()), close=loop.close)
