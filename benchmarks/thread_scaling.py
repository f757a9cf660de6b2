"""What threads on one pool cost each other in Python: see benchmarks/README.md.

    python benchmarks/thread_scaling.py

Each contender runs in 1, 2, 4 … threads up to the number of processors, each thread with
operations of its own; the table shows operations a second of all threads together, in millions, the
best of a few rounds in which the contenders take turns. With a GIL no contender can scale.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np

import numpool

ROUNDS = 3
OPERATIONS = 50_000


def repeated(statement: str, count: int = OPERATIONS, **names: object) -> Callable[[], None]:
    """A function that runs the statement in a bare loop; each thread gets one of its own.

    The names are its local variables: without a GIL, whoever looks an object up in a module or in
    another object counts a reference to it, and the threads then write to one count in turns.
    """
    namespace: dict[str, Any] = {}
    loop = f"for _ in range({count}):\n        {statement}"
    exec(f"def run({', '.join(names)}):\n    {loop}", namespace)
    return functools.partial(namespace["run"], **names)


def operations_per_second(make: Callable[[], Callable[[], None]], threads: int, n: int) -> float:
    """Of all threads together, from the first one's start to the last one's end."""
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
    """The pool that programs write themselves, for several threads."""

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
    gil = "without a GIL" if sysconfig.get_config_var("Py_GIL_DISABLED") else "with a GIL"
    print(
        f"CPython {sys.version.split()[0]} {gil}, NumPy {np.__version__}, {processors} processors"
    )

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
    table: dict[str, list[float]] = {name: [0.0] * len(counts) for name in contenders}
    for _ in range(ROUNDS):
        for name, make in contenders.items():
            for i, count in enumerate(counts):
                rate = operations_per_second(make, count, OPERATIONS)
                table[name][i] = max(table[name][i], rate / 1e6)
    print(f"{'millions a second; threads:':36}" + "".join(f"{count:>8}" for count in counts))
    for name, rates in table.items():
        print(f"{name:36}" + "".join(f"{rate:8.2f}" for rate in rates))

    print(f"\n{'c = a + b, thousands a second':36}" + "".join(f"{count:>16}" for count in counts))
    print(" " * 36 + "".join(f"{'default':>9}{'pool':>7}" for _ in counts))
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
        row = "".join(f"{default:9.1f}{pool:7.1f}" for default, pool in best)
        print(f"{'arrays of ' + numpool.format_size(size):36}{row}")


if __name__ == "__main__":
    main()
