"""The slowest of ten million pairs of acquire and release, from Python and in C++.

    python benchmarks/acquire_tail.py
    python benchmarks/acquire_tail.py --cpp build/benchmark/benchmarks/acquire_tail

Each pair is timed alone, so the time of the clock itself, which the first row shows, is in every
figure. The garbage collector is off.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import time
from array import array
from collections.abc import Callable
from itertools import repeat

import numpy as np
from markdown import table
from surroundings import Bystanders, busy, where

import numpool

SIZE = 4096
HEAD = ["Python", "p50", "p99", "p99.99", "p99.999", "worst", "above 1 µs"]
SHARES = (0.5, 0.99, 0.9999, 0.99999, 1)


def times(
    pair: Callable[[], object] | None, pairs: int
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The nanoseconds of each pair; those of the clock, where there is none."""
    took = array("Q", bytes(8 * pairs))
    clock = time.perf_counter_ns
    for number, _ in enumerate(repeat(None, pairs)):
        if pair is None:
            start = clock()
            took[number] = clock() - start
        else:
            start = clock()
            pair()
            took[number] = clock() - start
    return np.frombuffer(took, np.uint64)


def row(name: str, pair: Callable[[], object] | None, pairs: int) -> list[str]:
    times(pair, min(pairs, 100_000))
    took = np.sort(times(pair, pairs))
    places = [min(len(took) - 1, int(share * len(took))) for share in SHARES]
    return [name, *(f"{took[place]}" for place in places), f"{(took > 1000).sum()}"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10_000_000, help="10000000")
    parser.add_argument("--cpp", metavar="PROGRAM", help="the program of the C++ benchmark, to run")
    options = parser.parse_args()
    if options.pairs < 1:
        parser.error(f"--pairs {options.pairs}: must be at least 1")
    bystanders = Bystanders()
    fixed = numpool.FixedPool(SIZE, 1024)
    slabs = numpool.SlabPool()
    acquire, acquire_size = fixed.acquire, slabs.acquire
    # The buffer goes back when the call's result is dropped.
    contenders: dict[str, Callable[[], object] | None] = {
        "the clock alone": None,
        "FixedPool.acquire, released": acquire,
        "SlabPool.acquire, released": lambda: acquire_size(SIZE),
        "bytearray(4096)": lambda: bytearray(SIZE),
    }
    gc.disable()
    rows = [row(name, pair, options.pairs) for name, pair in contenders.items()]
    said = ""
    if options.cpp:
        command = [options.cpp, str(options.pairs)]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    print(where())
    print(f"{busy(bystanders.share())}\n")
    print(f"{options.pairs:,} pairs of acquire and release of {SIZE} bytes, ns with the clock\n")
    print(table(HEAD, rows))
    print(said)


if __name__ == "__main__":
    main()
