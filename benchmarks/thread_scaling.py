"""The cost of several threads on one pool in Python.

    python benchmarks/thread_scaling.py

Each contender runs in 1, 2, 4 … threads up to the number of processors; each thread has operations
of its own. The table shows the operations of all threads in a second, in millions: the best of some
rounds, in which the contenders take turns. With a GIL no contender can scale.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np
from markdown import table
from surroundings import where

import numpool

ROUNDS = 3
OPERATIONS = 50_000


def repeated(statement: str, count: int = OPERATIONS, **names: object) -> Callable[[], None]:
    """A function that runs the statement in a bare loop. Each thread gets a function of its own.

    The names are its local variables. Without a GIL, each look-up in a module or in another object
    counts a reference, so that the threads write to one count in turns.
    """
    namespace: dict[str, Any] = {}
    loop = f"for _ in range({count}):\n        {statement}"
    exec(f"def run({', '.join(names)}):\n    {loop}", namespace)
    return functools.partial(namespace["run"], **names)


def operations_per_second(make: Callable[[], Callable[[], None]], threads: int, n: int) -> float:
    """Operations of all threads, from the first thread's start to the last one's end."""
    start = threading.Barrier(threads)
    begins: list[float] = []
    ends: list[float] = []

    def work() -> None:
        run = make()
        run()
        start.wait()
        begins.append(time.perf_counter())
        run()
        ends.append(time.perf_counter())

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return threads * n / (max(ends) - min(begins))


class LockedFreeList:
    """A pool for several threads, as a program may write it itself."""

    def __init__(self, size: int, blocks: int) -> None:
        self.lock = threading.Lock()
        self.free = [bytearray(size) for _ in range(blocks)]

    def acquire(self) -> bytearray:
        with self.lock:
            return self.free.pop()

    def release(self, block: bytearray) -> None:
        with self.lock:
            self.free.append(block)


def numpy_work(size: int) -> Callable[[], Callable[[], None]]:
    """c = a + b in each thread, on arrays of its own."""

    def make() -> Callable[[], None]:
        a = np.ones(size // 8)
        return repeated("a + b", max(50, min(OPERATIONS, 2**27 // size)), a=a, b=a.copy())

    return make


def main() -> None:
    processors = len(os.sched_getaffinity(0))
    counts = sorted({1, *(2**i for i in range(1, processors.bit_length())), max(processors, 2)})
    counts = [count for count in counts if count <= max(processors, 2)]
    print(where(), end="\n\n")

    fixed = numpool.FixedPool(4096, 1024)
    slabs = numpool.SlabPool()
    free = LockedFreeList(4096, 1024)
    contenders = {
        "FixedPool.acquire, 4 KiB": lambda: repeated("pool.acquire()", pool=fixed),
        "the same, looked up each time": lambda: repeated(
            "here.pool.acquire()", here=types.SimpleNamespace(pool=fixed)
        ),
        "SlabPool.acquire, 4 KiB": lambda: repeated("pool.acquire(4096)", pool=slabs),
        "a free list behind a lock": lambda: repeated("free.release(free.acquire())", free=free),
        "bytearray(1)": lambda: repeated("bytearray(1)"),
        "bytearray(4096)": lambda: repeated("bytearray(4096)"),
        "np.empty(4096)": lambda: repeated("empty(4096, 'u1')", empty=np.empty),
    }
    best: dict[str, list[float]] = {name: [0.0] * len(counts) for name in contenders}
    for _ in range(ROUNDS):
        for name, make in contenders.items():
            for i, count in enumerate(counts):
                rate = operations_per_second(make, count, OPERATIONS)
                best[name][i] = max(best[name][i], rate / 1e6)
    head = [f"{count} thread{'s' * (count != 1)}" for count in counts]
    rows = [[name, *(f"{rate:.2f}" for rate in rates)] for name, rates in best.items()]
    print(table(["millions a second", *head], rows))
    print(table(["`c = a + b`, thousands a second", *both_of(head)], numpy_rows(counts)))


def both_of(head: list[str]) -> list[str]:
    return [f"{allocator}, {threads}" for threads in head for allocator in ("default", "pool")]


def numpy_rows(counts: list[int]) -> list[list[str]]:
    """``c = a + b`` for arrays of some sizes, with default NumPy and on the pool."""
    rows = []
    for size in (1024, 65536, 2**20, 2**23):
        n = max(50, min(OPERATIONS, 2**27 // size))
        best = [[0.0, 0.0] for _ in counts]
        for _ in range(ROUNDS):
            for i, count in enumerate(counts):
                for installed in (False, True):
                    if installed:
                        numpool.install()
                    rate = operations_per_second(numpy_work(size), count, n)
                    numpool.uninstall()
                    best[i][installed] = max(best[i][installed], rate / 1e3)
        cells = [f"{rate:.1f}" for pair in best for rate in pair]
        rows.append([f"arrays of {numpool.format_size(size)}", *cells])
    return rows


if __name__ == "__main__":
    main()
