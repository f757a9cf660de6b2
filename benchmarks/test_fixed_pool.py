"""What a fixed pool's block costs in Python, beside what else gives a program bytes.

Run with ``pytest benchmarks --benchmark-only``; pytest-benchmark interleaves nothing, so compare
ratios of runs, and see ``--benchmark-compare`` for comparing with a saved run.
"""

from __future__ import annotations

import asyncio
import mmap
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import numpool

SIZES = [64, 4096, 65536, 2**20]


def label(size: int) -> str:
    return numpool.format_size(size).replace(" ", "")


def thousand_times(statement: str, **names: object) -> Callable[[], None]:
    """A function that runs the statement in a bare loop: no call but its own is timed."""
    namespace: dict[str, Any] = {"np": np, "mmap": mmap, "numpool": numpool, **names}
    exec(f"def run():\n    for _ in range(1000):\n        {statement}", namespace)
    run: Callable[[], None] = namespace["run"]
    return run


SOURCES = {
    "FixedPool.acquire": "pool.acquire()",
    "bytearray(1)": "bytearray(1)",
    "bytearray(size)": "bytearray(size)",
    "np.empty(size)": "np.empty(size, np.uint8)",
    # The pool that programs write themselves: nothing is checked, waited for or given back.
    "deque of bytearrays": "free.append(free.pop())",
    "mmap": "mmap.mmap(-1, size)",
}


@pytest.mark.parametrize("size", SIZES, ids=label)
@pytest.mark.parametrize("source", SOURCES)
def test_acquire_and_release(benchmark: BenchmarkFixture, source: str, size: int) -> None:
    benchmark.group = f"1000 x acquire and release, {label(size)}"
    free = deque(bytearray(size) for _ in range(16))
    pool = numpool.FixedPool(size, 16)
    benchmark(thousand_times(SOURCES[source], size=size, free=free, pool=pool))


@pytest.mark.parametrize("view", ["memoryview(subject)", "np.frombuffer(subject, np.uint8)"])
@pytest.mark.parametrize("exporter", ["Buffer", "bytearray"])
def test_view(benchmark: BenchmarkFixture, exporter: str, view: str) -> None:
    benchmark.group = f"1000 x {view.partition('(')[0]} of 4KiB"
    subject = numpool.FixedPool(4096, 1).acquire() if exporter == "Buffer" else bytearray(4096)
    benchmark(thousand_times(view, subject=subject))


ARRAYS = {
    "buffer.array": "buffer.array('f4', (32, 32))",
    "frombuffer and reshape": "np.frombuffer(buffer, 'f4').reshape(32, 32)",
    "np.ndarray(buffer=)": "np.ndarray((32, 32), 'f4', memoryview(buffer))",
}


@pytest.mark.parametrize("way", ARRAYS)
def test_array_on_a_buffer(benchmark: BenchmarkFixture, way: str) -> None:
    benchmark.group = "1000 x a 32 x 32 float array on 4KiB"
    benchmark(thousand_times(ARRAYS[way], buffer=numpool.FixedPool(4096, 1).acquire()))


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


@pytest.mark.parametrize("bound", ["FixedPool.acquire_async", "asyncio.Semaphore"])
def test_a_hundred_coroutines_share_four_blocks(benchmark: BenchmarkFixture, bound: str) -> None:
    benchmark.group = "100 coroutines share 4 blocks of 4KiB"
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

    work = with_pool if bound == "FixedPool.acquire_async" else with_semaphore
    with event_loop() as loop:
        benchmark(lambda: loop.run_until_complete(work()))
